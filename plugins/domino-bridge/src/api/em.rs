//! Registration, threads and the log, as add-ins call them.
#![allow(non_snake_case, reason = "the names are Domino's")]

use std::ffi::c_char;
use std::sync::atomic::{AtomicU16, Ordering};

use super::pointer::{put, text};
use crate::bridge::Bridge;
use crate::linker::Handler;
use crate::status::{self, ERR_EM_NOTAUTHORIZED, ERR_MISC_INVALID_ARGS, NOERROR};

pub(super) unsafe extern "C" fn EMRegister(
    event: u16,
    flags: u32,
    handler: Option<Handler>,
    _recursion_id: u16,
    registration: *mut u32,
) -> u16 {
    let (Some(bridge), Some(handler)) = (Bridge::get(), handler) else {
        return ERR_MISC_INVALID_ARGS;
    };
    // Whose it is decides its place in the chain; threads that add-ins have made are nobody's.
    let Some(add_in) = Bridge::current() else {
        bridge.say("EMRegister was called on a thread of its own, and is refused");
        return ERR_EM_NOTAUTHORIZED;
    };
    // The host was told by then which stages are wanted.
    if bridge.opened.get().is_some() {
        bridge.say("EMRegister was called after MainEntryPoint, and is refused");
        return ERR_EM_NOTAUTHORIZED;
    }
    match bridge.registry.add(add_in, event, flags, handler) {
        Ok(id) => {
            // SAFETY: NULL or a place for the handle (extmgr.h).
            unsafe { put(registration, id) };
            NOERROR
        }
        Err(status) => status,
    }
}

pub(super) extern "C" fn EMDeregister(registration: u32) -> u16 {
    let Some(bridge) = Bridge::get() else { return ERR_MISC_INVALID_ARGS };
    bridge.registry.remove(registration).err().unwrap_or(NOERROR)
}

/// No handler can cause an SMTP event on its own thread, so that there is nothing to skip: ids only have to differ.
pub(super) unsafe extern "C" fn EMCreateRecursionID(recursion_id: *mut u16) -> u16 {
    static LAST: AtomicU16 = AtomicU16::new(0);
    if recursion_id.is_null() {
        return ERR_MISC_INVALID_ARGS;
    }
    let id = LAST.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1);
    // SAFETY: a place for the id (extmgr.h).
    unsafe { put(recursion_id, id) };
    NOERROR
}

/// Handles are good on every thread here.
pub(super) extern "C" fn NotesInitThread() -> u16 {
    NOERROR
}

pub(super) extern "C" fn NotesTermThread() {}

/// Writes a line that libnotes.so has put together.
pub(super) unsafe extern "C" fn write_line(line: *const c_char, additional: u16) {
    let Some(bridge) = Bridge::get() else { return };
    // SAFETY: libnotes.so gives a text of its own.
    let line = String::from_utf8_lossy(unsafe { text(line) });
    match (status::plain(additional), status::words(additional)) {
        (NOERROR, _) => bridge.say(&line),
        (status, "") => bridge.say(&format!("{line}: status {status:#06x}")),
        (_, words) => bridge.say(&format!("{line}: {words}")),
    }
}
