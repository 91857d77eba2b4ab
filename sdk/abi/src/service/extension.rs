//! The extension service: what a plug-in adds to the protocol.

use crate::{EmHost, EmText, STATUS};

/// Id of EmExtensionService.
pub const EM_EXTENSION_ID: &core::ffi::CStr = c"em.extension/1";

/// Claims verbs, EHLO keywords and parameters of MAIL and RCPT for the plug-in. What is claimed counts in every session
/// that begins while the plug-in has a handler for it. Names are the same in any case.
///
/// Two plug-ins can't have the same: the one loaded later is refused, in a line that names both. So is one that claims
/// what the server knows itself, or a verb or parameter without a handler before its event.
///
/// The claim_ functions return NOERROR, EM_ERR_CLAIMED (it is the server's own: the plug-in will be refused),
/// EM_ERR_STAGE (outside em_entry), EM_ERR_LIMIT (at most 64 claims), ERR_EM_NOTAUTHORIZED (not declared: the
/// descriptor's stages for verbs and parameters, EM_EDIT_KEYWORD for keywords) or ERR_MISC_INVALID_ARGS. What is claimed
/// twice counts once.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EmExtensionService {
    /// sizeof(EmExtensionService) of the host.
    pub size: u32,
    /// Zero.
    pub reserved: u32,

    /// Claims a command: its handlers are called at EM_SMTPVERB.
    ///
    /// - verb: 1 to 64 letters and digits, a letter first.
    ///
    /// [main-thread & loading]
    pub claim_verb: unsafe extern "C" fn(host: *mut EmHost, verb: EmText) -> STATUS,

    /// Claims a line in every reply to EHLO. All plug-ins together have 40 of them, of 2,048 octets.
    ///
    /// - keyword: 1 to 64 letters, digits and '-', which is not first (RFC 5321 section 4.1.1.1).
    /// - parameters: words of printable ASCII, one space between two, at most 256 octets; empty for none.
    ///
    /// [main-thread & loading]
    pub claim_keyword:
        unsafe extern "C" fn(host: *mut EmHost, keyword: EmText, parameters: EmText) -> STATUS,

    /// Claims a parameter of MAIL: the server takes it from clients that have said EHLO, and leaves its meaning to the
    /// plug-in. It is kept with the message as received and not sent on, since the next server may not know it.
    ///
    /// - keyword: as in claim_keyword.
    ///
    /// [main-thread & loading]
    pub claim_mail_parameter: unsafe extern "C" fn(host: *mut EmHost, keyword: EmText) -> STATUS,

    /// Claims a parameter of RCPT, as claim_mail_parameter one of MAIL.
    ///
    /// [main-thread & loading]
    pub claim_rcpt_parameter: unsafe extern "C" fn(host: *mut EmHost, keyword: EmText) -> STATUS,

    /// Finds one parameter in EmMail.parameters or EmRcpt.parameters.
    ///
    /// - parameters: as received.
    /// - keyword: in any case.
    /// - value: a piece of `parameters`, as received, empty for a keyword without a value; valid as long as those.
    ///
    /// Returns NOERROR, ERR_NOT_FOUND or ERR_MISC_INVALID_ARGS. [any-thread]
    pub parameter:
        unsafe extern "C" fn(parameters: EmText, keyword: EmText, value: *mut EmText) -> STATUS,
}
