//! What the plug-in keeps for a session: one value of a type of its own, dropped when the session is over.
//! Knows neither session nor value beyond that.

use std::any::Any;
use std::ffi::c_void;
use std::mem;
use std::ptr;

use stagepost_abi::NOERROR;

use crate::boundary;
use crate::call::{Refusal, check};
use crate::guard::guard;
use crate::session::Session;

/// What the host's pointer points to. Values go in and out whole, so no reference to one outlives a call.
struct Slot(Option<Box<dyn Any + Send>>);

impl Session<'_> {
    /// Changes what the plug-in keeps for this session, beginning with the default.
    ///
    /// A value of another type, kept by `slot_set`, is replaced.
    pub fn slot<T, R>(&self, change: impl FnOnce(&mut T) -> R) -> Result<R, Refusal>
    where
        T: Any + Send + Default,
    {
        let mut value = self.slot_take::<T>().unwrap_or_default();
        let result = change(&mut value);
        self.slot_set(value)?;
        Ok(result)
    }

    /// Takes what the plug-in keeps for this session, when it is of this type.
    pub fn slot_take<T: Any + Send>(&self) -> Option<T> {
        let _guard = guard(self.handle().addr());
        let slot = self.slot_pointer()?;
        // SAFETY: `slot_pointer` gives a live Slot; calls of one session are never made at once, `Session` does not
        // outlive its call, the threads of one call are guarded from each other, and no reference into the slot outlives
        // this function.
        let slot = unsafe { &mut *slot };
        match slot.0.take()?.downcast::<T>() {
            Ok(value) => Some(*value),
            Err(other) => {
                slot.0 = Some(other);
                None
            }
        }
    }

    /// Keeps a value for this session; the one kept before is dropped.
    pub fn slot_set<T: Any + Send>(&self, value: T) -> Result<(), Refusal> {
        let value: Option<Box<dyn Any + Send>> = Some(Box::new(value));
        let guard = guard(self.handle().addr());
        if let Some(slot) = self.slot_pointer() {
            // SAFETY: as in `slot_take`. The old value is dropped only after the reference has ended.
            let old = mem::replace(unsafe { &mut (*slot).0 }, value);
            drop(guard);
            drop(old);
            return Ok(());
        }
        let slot = Box::into_raw(Box::new(Slot(value)));
        // SAFETY: the session's handle is valid; `release` takes what `into_raw` gave.
        let status = unsafe { (self.table().slot_set)(self.handle(), slot.cast(), Some(release)) };
        drop(guard);
        if status != NOERROR {
            // SAFETY: made by `into_raw` above, and the host has not kept it.
            drop(unsafe { Box::from_raw(slot) });
        }
        check("slot_set", status)
    }

    /// The slot of this plug-in, which is only ever set above.
    fn slot_pointer(&self) -> Option<*mut Slot> {
        let mut pointer: *mut c_void = ptr::null_mut();
        // SAFETY: the session's handle is valid.
        let status = unsafe { (self.table().slot)(self.handle(), &raw mut pointer) };
        (status == NOERROR && !pointer.is_null()).then(|| pointer.cast())
    }
}

/// # Safety
///
/// `slot` is what `slot_set` gave to the host, which calls this once.
unsafe extern "C" fn release(slot: *mut c_void) {
    // SAFETY: made by `into_raw` in `slot_set`; the host gives it back once.
    let slot = unsafe { Box::from_raw(slot.cast::<Slot>()) };
    // A panic has nobody to be told to here, and must not go on into the host.
    let _ = boundary::catch(|| drop(slot));
}
