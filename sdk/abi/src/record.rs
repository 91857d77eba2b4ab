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

/// What a handler is told. The record, the event struct and all text in it are valid until the handler returns.
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
///   EHLO, MAIL, RCPT and DATA, where skipping would put client and server out of step.
/// - anything else is a fault of the plug-in: its fault contract applies, by default a 4yz reply.
///
/// In EM_AFTER everybody is asked and the return value changes nothing; only EmEditsService.reply_text and attribute have
/// an effect.
/// A handler must not throw, unwind or longjmp out of the call.
///
/// [session-thread]
pub type EMHANDLER = Option<unsafe extern "C" fn(record: *const EMRECORD) -> STATUS>;

/// Gives something back to the plug-in when nobody can reach it any more. Called exactly once. [any-thread]
pub type EmRelease = Option<unsafe extern "C" fn(data: *mut c_void)>;
