//! What the plug-in keeps for a session or for a message: one value of a type of its own for each, dropped when that is over.
//! Knows neither of them nor the value beyond that.

use std::any::Any;
use std::ffi::c_void;
use std::mem;
use std::ptr;

use stagepost_abi::{EmRelease, EmSession, NOERROR, STATUS};

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
        self.of_session().change(change)
    }

    /// Takes what the plug-in keeps for this session, when it is of this type.
    pub fn slot_take<T: Any + Send>(&self) -> Option<T> {
        self.of_session().take()
    }

    /// Keeps a value for this session; the one kept before is dropped.
    pub fn slot_set<T: Any + Send>(&self, value: T) -> Result<(), Refusal> {
        self.of_session().set(value)
    }

    /// Changes what the plug-in keeps for the message of the open transaction, beginning with the default. It is dropped when
    /// the transaction is over.
    ///
    /// There is a message from *before mail* on until the reply that ends the transaction; elsewhere this is refused. A value
    /// of another type, kept by `message_slot_set`, is replaced.
    pub fn message_slot<T, R>(&self, change: impl FnOnce(&mut T) -> R) -> Result<R, Refusal>
    where
        T: Any + Send + Default,
    {
        self.of_message().change(change)
    }

    /// Takes what the plug-in keeps for the message, when it is of this type.
    pub fn message_slot_take<T: Any + Send>(&self) -> Option<T> {
        self.of_message().take()
    }

    /// Keeps a value for the message; the one kept before is dropped. When as `message_slot`.
    pub fn message_slot_set<T: Any + Send>(&self, value: T) -> Result<(), Refusal> {
        self.of_message().set(value)
    }

    fn of_session(&self) -> Place {
        let (session, table) = (self.handle(), self.table());
        Place { session, read: table.slot, write: table.slot_set, name: "slot_set" }
    }

    fn of_message(&self) -> Place {
        let (session, table) = (self.handle(), self.table());
        let (read, write) = (table.message_slot, table.message_slot_set);
        Place { session, read, write, name: "message_slot_set" }
    }
}

/// One of the places that the host has for a pointer of the plug-in. Made and used within one call of a `Session`, whose
/// handle is valid.
struct Place {
    session: *const EmSession,
    read: unsafe extern "C" fn(session: *const EmSession, value: *mut *mut c_void) -> STATUS,
    write: unsafe extern "C" fn(
        session: *const EmSession,
        value: *mut c_void,
        release: EmRelease,
    ) -> STATUS,
    name: &'static str,
}

impl Place {
    fn change<T, R>(&self, change: impl FnOnce(&mut T) -> R) -> Result<R, Refusal>
    where
        T: Any + Send + Default,
    {
        let mut value = self.take::<T>().unwrap_or_default();
        let result = change(&mut value);
        self.set(value)?;
        Ok(result)
    }

    fn take<T: Any + Send>(&self) -> Option<T> {
        let _guard = guard(self.session.addr());
        let slot = self.slot()?;
        // SAFETY: `slot` gives a live Slot; calls of one session are never made at once, `Session` does not outlive its
        // call, the threads of one call are guarded from each other, and no reference into the slot outlives this function.
        let slot = unsafe { &mut *slot };
        match slot.0.take()?.downcast::<T>() {
            Ok(value) => Some(*value),
            Err(other) => {
                slot.0 = Some(other);
                None
            }
        }
    }

    fn set<T: Any + Send>(&self, value: T) -> Result<(), Refusal> {
        let value: Option<Box<dyn Any + Send>> = Some(Box::new(value));
        let guard = guard(self.session.addr());
        if let Some(slot) = self.slot() {
            // SAFETY: as in `take`. The old value is dropped only after the reference has ended.
            let old = mem::replace(unsafe { &mut (*slot).0 }, value);
            drop(guard);
            drop(old);
            return Ok(());
        }
        let slot = Box::into_raw(Box::new(Slot(value)));
        // SAFETY: the session's handle is valid; `release` takes what `into_raw` gave.
        let status = unsafe { (self.write)(self.session, slot.cast(), Some(release)) };
        drop(guard);
        if status != NOERROR {
            // SAFETY: made by `into_raw` above, and the host has not kept it.
            drop(unsafe { Box::from_raw(slot) });
        }
        check(self.name, status)
    }

    /// The slot of this plug-in, which is only ever set above.
    fn slot(&self) -> Option<*mut Slot> {
        let mut pointer: *mut c_void = ptr::null_mut();
        // SAFETY: the session's handle is valid.
        let status = unsafe { (self.read)(self.session, &raw mut pointer) };
        (status == NOERROR && !pointer.is_null()).then(|| pointer.cast())
    }
}

/// # Safety
///
/// `slot` is what `Place::set` gave to the host, which calls this once.
unsafe extern "C" fn release(slot: *mut c_void) {
    // SAFETY: made by `into_raw` in `Place::set`; the host gives it back once.
    let slot = unsafe { Box::from_raw(slot.cast::<Slot>()) };
    // A panic has nobody to be told to here, and must not go on into the host.
    let _ = boundary::catch(|| drop(slot));
}
