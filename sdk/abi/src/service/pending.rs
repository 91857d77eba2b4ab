//! The async service: a handler that answers later, without a thread waiting for it.

use core::ffi::c_void;

use crate::{EMRECORD, EmEdits, EmHost, EmRelease, STATUS};

/// Id of EmAsyncService.
pub const EM_ASYNC_ID: &core::ffi::CStr = c"em.async/1";

/// EmPoll reason: the token was woken.
pub const EM_POLL_WOKEN: u32 = 0;
/// EmPoll reason: nobody waits for the answer any more. The deadline has passed, or the client is gone.
pub const EM_POLL_OVER: u32 = 1;

/// Names one pending call, for as long as the process runs: no two have the same, and 0 names none.
pub type EmToken = u64;

/// Names something that was asked for with a token and is done later: the token is woken then, and the service that was
/// asked tells the result. No two of a process have the same, and 0 names none.
pub type EmRequest = u64;

/// Looks after a pending call: called after EmAsyncService.wake, and once more when the call is over unanswered. Never
/// while the handler runs, and never twice at once for one call; for a plug-in of class blocking on a thread that may
/// block, and within its deadline.
///
/// - record: the handler's own, still valid.
/// - data: what was given to EmAsyncService.pending.
/// - reason: EM_POLL_...; take an unknown value for EM_POLL_OVER.
///
/// Returns, and what happens next:
/// - EM_PENDING: the call stays pending. After EM_POLL_OVER its record stays valid until `complete` is called, and no
///   further event of the session reaches the plug-in until then.
/// - anything else: the answer, as a handler returns it (EMHANDLER), and the end of the call. After EM_POLL_OVER, and
///   when `complete` has answered already, it changes nothing.
///
/// [session-thread]
pub type EmPoll =
    Option<unsafe extern "C" fn(record: *const EMRECORD, data: *mut c_void, reason: u32) -> STATUS>;

/// Lets a handler return EM_PENDING and answer later. The session waits, and with it nothing else: no thread, and no
/// other session.
///
/// A pending call ends when it is answered, by `complete` or by its poll. Until then everything that came with its
/// record stays valid, from any thread, also past the deadline and past the end of the session; from then on nothing of
/// it may be used. What was written to the sheet counts if the answer comes in time.
///
/// When the deadline passes first, that is a fault of the plug-in, and its fault contract applies. When the connection
/// breaks first, it is none; EM_SMTPHEADERS, EM_SMTPBODY and EM_SMTPMESSAGEACCEPT are then waited for all the same, since
/// the message may be stored. A client that only stops sending may still want its replies, and is waited for.
///
/// Ask for this table while em_entry runs: before a plug-in has asked, its calls can't go pending.
///
/// All functions but `pending` take a token that may be any number: one that was never given out, or not to this plug-in,
/// is ERR_NOT_FOUND, and one whose call is over is EM_ERR_OVER.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EmAsyncService {
    /// sizeof(EmAsyncService) of the host.
    pub size: u32,
    /// Zero.
    pub reserved: u32,

    /// Takes a token for the call of the handler that runs, which must then return EM_PENDING: another status is a
    /// fault, even though the token may have been completed already. EM_BEFORE only, not at EM_SMTPDISCONNECT.
    ///
    /// - edits: the sheet of the call.
    /// - poll: called after `wake`; may be NULL, and then `wake` is refused.
    /// - data: handed to poll; may be NULL.
    /// - release: called with data when the call has ended and poll is never called again; may be NULL. It is not called
    ///   when this function fails.
    /// - token: receives the token on success.
    ///
    /// Returns NOERROR, EM_ERR_STAGE (not here, or the call has a token), EM_ERR_LIMIT (pending_max calls of this plug-in
    /// are pending), or ERR_MISC_INVALID_ARGS (a NULL). [session-thread & in-handler]
    pub pending: unsafe extern "C" fn(
        edits: *mut EmEdits,
        poll: EmPoll,
        data: *mut c_void,
        release: EmRelease,
        token: *mut EmToken,
    ) -> STATUS,

    /// Answers and ends a pending call. Exactly once for each token that no poll has ended. May be called before the
    /// handler has returned: its record stays valid until then.
    ///
    /// - status: what a handler returns (EMHANDLER), but EM_PENDING. EM_FAULT gives the call up.
    ///
    /// Returns NOERROR, EM_ERR_OVER (too late, and nothing comes of it; or the second time), ERR_NOT_FOUND, or
    /// ERR_MISC_INVALID_ARGS (NULL, or EM_PENDING). [any-thread]
    pub complete: unsafe extern "C" fn(host: *mut EmHost, token: EmToken, status: STATUS) -> STATUS,

    /// Has poll called soon. Calls of this function before it is called are one.
    ///
    /// Returns NOERROR, EM_ERR_OVER (poll is not called any more, or for EM_POLL_OVER only), ERR_NOT_FOUND,
    /// EM_ERR_STAGE (there is no poll), or ERR_MISC_INVALID_ARGS (NULL). [any-thread]
    pub wake: unsafe extern "C" fn(host: *mut EmHost, token: EmToken) -> STATUS,

    /// Lets the call take at least so long from now on; a deadline that is later already stays.
    ///
    /// - milliseconds: what is left then, at most up to deadline_max_ms from the beginning of the call, and up to the end
    ///   of the budget that all plug-ins have together at one event.
    ///
    /// Returns NOERROR, EM_ERR_LIMIT (more than there may be; nothing is changed), EM_ERR_OVER, ERR_NOT_FOUND, or
    /// ERR_MISC_INVALID_ARGS (NULL). [any-thread]
    pub extend:
        unsafe extern "C" fn(host: *mut EmHost, token: EmToken, milliseconds: u32) -> STATUS,
}
