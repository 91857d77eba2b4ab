//! The submit service: a new message, made by a plug-in.

use core::ffi::c_char;

use crate::{EmHost, EmRequest, EmSession, EmText, EmToken, STATUS};

/// Id of EmSubmitService.
pub const EM_SUBMIT_ID: &core::ffi::CStr = c"em.submit/1";

/// EmSubmitService.recipient flag: the plug-in vouches for a recipient of a foreign domain, as relay_granted does for a
/// session.
pub const EM_SUBMIT_GRANT: u32 = 1;

/// Names a message that is being made. Never comes twice for one plug-in; 0 names none.
pub type EmSubmission = u64;

/// The id of a queued message.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmQueueId {
    /// 26 digits and capital letters, then a NUL.
    pub text: [c_char; 32],
}

/// Makes a new message: sender, recipients, then its octets in pieces of any size, then the commit. Once that returns
/// NOERROR the message is on disk, as one that a client was told 250 for, and it goes out like any other.
///
/// It is held to what clients are held to: paths and parameters as MAIL and RCPT take them, the server's limits, lines
/// ended by CRLF, no NUL and no bare CR or LF. Its octets are the header block, an empty line and the body, without dots
/// doubled. The server puts its own Received field on top.
///
/// No handler is called for it but those registered with EM_REG_SUBMITTED, and of these none with a recursion id that led to
/// it: the ids that the calling plug-in gave at the event of its handler, and those that led to that event if it is about
/// a message that a plug-in makes. Without a cause (`session` is NULL) they are all ids of the plug-in, of whose handlers then
/// none is called, with an id or without. To such handlers the
/// listener is "plug-in" and the client 127.0.0.1; nothing was said before, so slots and attributes are empty. A verdict
/// that refuses the message is EM_ERR_REFUSED, one that defers it EM_ERR_IO.
///
/// What no recursion id keeps apart, and the way through other servers, is bounded by hops: made because of a message that
/// it is allowed to see, it begins with as many Received fields as that one has, and one more if that one is a plug-in's;
/// beyond the server's limit it is refused. So give the cause where there is one: a message without begins anew, and of two
/// plug-ins that answer each other's so, nothing ends it. An automatic reply is best sent from the null path, and never to one (RFC 3834 section 2).
///
/// Needs EM_EDIT_SUBMIT in the descriptor. A plug-in makes at most 64 messages at once, and one message is made by one
/// thread at a time, any one. The functions with `_wait` and those with a token are as in EmQueueService; while one of
/// a message is under way every other of it is EM_ERR_STAGE.
///
/// All return NOERROR, ERR_EM_NOTAUTHORIZED (not declared), ERR_NOT_FOUND (no such message, or it was committed, given up
/// or refused), EM_ERR_STAGE (not in this order, or as in EmQueueService), EM_ERR_IO (the queue is not available or has no
/// room now) or ERR_MISC_INVALID_ARGS.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EmSubmitService {
    /// sizeof(EmSubmitService) of the host.
    pub size: u32,
    /// Zero.
    pub reserved: u32,

    /// Begins a message.
    ///
    /// - session: that of the handler that runs or is pending, when the message is made because of what happens there; NULL
    ///   when it has no such cause.
    /// - sender: a path without angle brackets, empty for the null path.
    /// - parameters: those of MAIL; may be empty.
    /// - submission: receives its name.
    ///
    /// Returns EM_ERR_LIMIT too: 64 messages are being made. [any-thread]
    pub begin: unsafe extern "C" fn(
        host: *mut EmHost,
        session: *const EmSession,
        sender: EmText,
        parameters: EmText,
        submission: *mut EmSubmission,
    ) -> STATUS,

    /// Adds a recipient, before anything is written. Does not wait.
    ///
    /// - path: without angle brackets. parameters: those of RCPT; may be empty.
    /// - flags: EM_SUBMIT_..., or 0.
    ///
    /// Returns EM_ERR_ROUTE too: nobody of that name is here, or no mail goes there. The message goes on without them.
    /// EM_ERR_LIMIT: more than a message may have. [any-thread]
    pub recipient: unsafe extern "C" fn(
        host: *mut EmHost,
        submission: EmSubmission,
        path: EmText,
        parameters: EmText,
        flags: u32,
    ) -> STATUS,

    /// Writes octets, which are copied; waits for the disk when they are many. [any-thread & may-block]
    pub write_wait:
        unsafe extern "C" fn(host: *mut EmHost, submission: EmSubmission, octets: EmText) -> STATUS,

    /// Makes the message durable, and ends it. Without CRLF at its end it gets one.
    ///
    /// - id: receives the message's id, empty when a handler has had it dropped or took it over; may be NULL.
    ///
    /// Returns EM_ERR_REFUSED too: the message can't be stored; the log says why. [any-thread & may-block]
    pub commit_wait: unsafe extern "C" fn(
        host: *mut EmHost,
        submission: EmSubmission,
        id: *mut EmQueueId,
    ) -> STATUS,

    /// As write_wait, later. [any-thread]
    pub write: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        submission: EmSubmission,
        octets: EmText,
        request: *mut EmRequest,
    ) -> STATUS,

    /// As commit_wait, later. [any-thread]
    pub commit: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        submission: EmSubmission,
        request: *mut EmRequest,
    ) -> STATUS,

    /// Takes the result of `write` or `commit`, once.
    ///
    /// - id: receives the message's id after `commit`; may be NULL.
    ///
    /// Returns what the function with `_wait` would have, EM_PENDING (it is not done yet), or
    /// ERR_MISC_INVALID_ARGS (there is no such request, or its result was taken). [any-thread]
    pub result:
        unsafe extern "C" fn(host: *mut EmHost, request: EmRequest, id: *mut EmQueueId) -> STATUS,

    /// Gives a message up: nothing of it is kept. Whoever begins one ends it, by this or by its commit. [any-thread]
    pub abandon: unsafe extern "C" fn(host: *mut EmHost, submission: EmSubmission) -> STATUS,
}
