//! The record every handler is given, and the handler itself.
//! Knows no particular event: `Event` points to the event's own struct.

use core::ffi::c_void;

use crate::STATUS;

/// The number of an event.
pub type EID = u16;

/// NotificationType: the core has not acted yet.
pub const EM_BEFORE: u16 = 0;

/// NotificationType: the core has acted; its reply is composed but not sent.
pub const EM_AFTER: u16 = 1;

/// What a handler is told. The record, the event struct and all text in it are valid until the handler returns or, if it
/// returned EM_PENDING, until its call ends (EmAsyncService).
///
/// Every member is for reading only.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EMRECORD {
    /// Which event: EM_SMTPCONNECT and so on.
    pub EId: EID,
    /// EM_BEFORE or EM_AFTER.
    pub NotificationType: u16,
    /// EM_BEFORE: NOERROR. EM_AFTER: NOERROR when the reply is positive (2yz, 3yz), else EM_VERDICT.
    pub Status: STATUS,
    /// sizeof(EMRECORD) of the host.
    pub Size: u16,
    /// The event's own struct, which starts with an EmEvent: EmConnect for EM_SMTPCONNECT and so on.
    pub Event: *const c_void,
    /// What was given to EMRegister.
    pub UserData: *mut c_void,
}

/// A handler: called for each event and stage it is registered for.
///
/// Returns, and what happens next in EM_BEFORE:
/// - ERR_EM_CONTINUE: the next handler is asked; after the last one the core does its work.
/// - EM_VERDICT: the verdict given to the edits sheet ends the chain.
/// - NOERROR: handled; ends the chain. The core skips its own work and replies positively. A fault at
///   CONNECT, EHLO, STARTTLS, MAIL, RCPT, DATA, HEADERS, BODY, RSET, QUIT, TIMEOUT and ROUTE, and at COMMAND for the commands that
///   EM_SMTPCOMMAND names, where skipping would put client and server out of step.
/// - EM_PENDING: the answer comes later, if the handler has taken a token; else that is a fault.
/// - anything else is a fault of the plug-in: its fault contract applies, by default a 4yz reply.
///
/// A status that contradicts the sheet is a fault as well: NOERROR with a verdict other than handled, and
/// ERR_EM_CONTINUE with any. So `return edits->verdict(...)`, which returns the setter's NOERROR, is told as an error and
/// accepts nothing.
/// A verdict to defer with code 421 closes the connection behind the reply, at every event (RFC 5321 section 3.8).
///
/// In EM_AFTER everybody is asked, also when a handler in EM_BEFORE, or the core in its own work, refused (see Status).
/// The return value changes nothing; only EmEditsService.reply_text, reply_change and attribute have an effect.
/// One handler may be called for several sessions at the same time, on several threads; for one session never twice at
/// once, nor while a call of this plug-in is pending in it.
/// A handler must not throw, unwind or longjmp out of the call: what is thrown out of it aborts the process.
///
/// [session-thread]; behind the session [message-thread]: any OS thread, never two at once for one message and destination. Both
/// slots (EmSessionService.slot, message_slot) last for one attempt there.
pub type EMHANDLER = Option<unsafe extern "C" fn(record: *const EMRECORD) -> STATUS>;

/// Gives something back to the plug-in when nobody can reach it any more. Called exactly once. At the end of a session
/// its slots are released before the registrations that it was the last to use.
/// It is called as handlers are: for a plug-in that is called in line perhaps on a thread that serves sessions, so it must
/// not block there (the functions that wait return EM_ERR_STAGE, and taking long is a fault); for one of class blocking on
/// a thread that may block. What came with a registration for EM_START, EM_CONFIG or EM_STOP, or with an admin verb, is
/// released on a thread that may block, whatever the class. No deadline is for a release on such a thread, but while it runs
/// it has one of the plug-in's threads_max threads, and the server ends without waiting for it for long. [any-thread]
pub type EmRelease = Option<unsafe extern "C" fn(data: *mut c_void)>;
