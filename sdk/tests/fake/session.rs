//! A session of the fake host, and its service.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;

use stagepost_abi::*;

use super::{read, text, write};

/// A session, and what is kept for it.
pub(crate) struct Session {
    pub(crate) id: u64,
    pub(crate) recipients: Vec<&'static str>,
    slot: Kept,
    /// None: there is no message.
    message: Option<Kept>,
}

/// A pointer that the plug-in keeps, and how it is given back.
#[derive(Default)]
struct Kept(Cell<Option<(*mut c_void, EmRelease)>>);

impl Kept {
    fn get(&self) -> *mut c_void {
        self.0.get().map_or(ptr::null_mut(), |(value, _)| value)
    }

    fn set(&self, value: *mut c_void, release: EmRelease) {
        assert!(self.0.replace(Some((value, release))).is_none(), "the SDK sets a slot once");
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some((value, Some(release))) = self.0.take() {
            // SAFETY: given with this slot, and called once.
            unsafe { release(value) };
        }
    }
}

impl Session {
    pub(crate) fn new(id: u64) -> Self {
        Self { id, recipients: Vec::new(), slot: Kept::default(), message: Some(Kept::default()) }
    }

    /// Ends the message; another begins when `next`.
    pub(crate) fn end_message(&mut self, next: bool) {
        self.message = next.then(Kept::default);
    }

    pub(crate) fn handle(&self) -> *const EmSession {
        ptr::from_ref(self).cast()
    }
}

pub(super) fn session<'a>(handle: *const EmSession) -> &'a Session {
    // SAFETY: the handle is what `Session::handle` made, and lives during the call.
    unsafe { &*handle.cast() }
}

pub(super) static SESSION: EmSessionService = EmSessionService {
    size: size_of::<EmSessionService>() as u32,
    reserved: 0,
    text: session_text,
    number: session_number,
    recipient: session_recipient,
    attribute: session_attribute,
    slot: session_slot,
    slot_set: session_slot_set,
    tag: session_tag,
    message_slot: session_message_slot,
    message_slot_set: session_message_slot_set,
};

unsafe extern "C" fn session_text(_: *const EmSession, fact: u32, value: *mut EmText) -> STATUS {
    match fact {
        EM_FACT_REMOTE_IP => write(value, Some(text(b"192.0.2.1"))),
        EM_FACT_HELO => write(value, Some(text(b"not utf-8: \xFF"))),
        _ => ERR_NOT_FOUND,
    }
}

unsafe extern "C" fn session_number(of: *const EmSession, fact: u32, value: *mut u64) -> STATUS {
    match fact {
        EM_FACT_ID => write(value, Some(session(of).id)),
        EM_FACT_RECIPIENTS => write(value, Some(session(of).recipients.len() as u64)),
        EM_FACT_TAGS => write(value, Some(2)),
        EM_FACT_REMOTE_PORT => write(value, Some(70_000)),
        _ => ERR_NOT_FOUND,
    }
}

unsafe extern "C" fn session_recipient(
    of: *const EmSession,
    index: u64,
    value: *mut EmText,
) -> STATUS {
    let found = session(of).recipients.get(index as usize);
    write(value, found.map(|recipient| text(recipient.as_bytes())))
}

unsafe extern "C" fn session_tag(_: *const EmSession, index: u64, value: *mut EmText) -> STATUS {
    write(value, [text(b"seen"), text(b"odd")].get(index as usize).copied())
}

unsafe extern "C" fn session_attribute(
    _: *const EmSession,
    name: EmText,
    value: *mut EmText,
) -> STATUS {
    write(value, (read(name) == "relay_granted").then(|| text(b"1")))
}

unsafe extern "C" fn session_slot(of: *const EmSession, value: *mut *mut c_void) -> STATUS {
    write(value, Some(session(of).slot.get()))
}

unsafe extern "C" fn session_slot_set(
    of: *const EmSession,
    value: *mut c_void,
    release: EmRelease,
) -> STATUS {
    if session(of).id == 0 {
        return EM_ERR_LIMIT;
    }
    session(of).slot.set(value, release);
    NOERROR
}

unsafe extern "C" fn session_message_slot(of: *const EmSession, value: *mut *mut c_void) -> STATUS {
    write(value, session(of).message.as_ref().map(Kept::get))
}

unsafe extern "C" fn session_message_slot_set(
    of: *const EmSession,
    value: *mut c_void,
    release: EmRelease,
) -> STATUS {
    let Some(message) = &session(of).message else { return ERR_NOT_FOUND };
    message.set(value, release);
    NOERROR
}
