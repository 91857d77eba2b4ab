//! The timers service: time that passes without a thread.

use crate::{EmEdits, EmHost, EmToken, STATUS};

/// Id of EmTimersService.
pub const EM_TIMERS_ID: &core::ffi::CStr = c"em.timers/1";

/// Tells pending calls that time has passed, and lets handlers of class blocking wait for it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EmTimersService {
    /// sizeof(EmTimersService) of the host.
    pub size: u32,
    /// Zero.
    pub reserved: u32,

    /// Wakes a pending call when time has passed, never sooner: its poll is called. A timer that would end after the call
    /// does is none. It does not put the deadline off: EmAsyncService.extend does.
    ///
    /// - token: of a call with a poll.
    ///
    /// Returns NOERROR, EM_ERR_LIMIT (64 timers of this call are running), EM_ERR_STAGE (there is no poll), EM_ERR_OVER,
    /// ERR_NOT_FOUND, or ERR_MISC_INVALID_ARGS (NULL). [any-thread]
    pub wake_after:
        unsafe extern "C" fn(host: *mut EmHost, token: EmToken, milliseconds: u32) -> STATUS,

    /// Waits on the thread of a handler that is called on the pool, as every handler of class blocking is.
    ///
    /// - edits: the sheet of the call.
    ///
    /// Returns NOERROR when the time has passed, EM_ERR_OVER when the deadline of the call came first, EM_ERR_STAGE (this
    /// thread must not block), or ERR_MISC_INVALID_ARGS (NULL). [session-thread & in-handler & may-block]
    pub wait: unsafe extern "C" fn(edits: *mut EmEdits, milliseconds: u32) -> STATUS,
}
