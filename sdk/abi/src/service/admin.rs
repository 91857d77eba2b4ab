//! The admin service: verbs of a plug-in that an operator calls.

use core::ffi::c_void;

use crate::{EmHost, EmRelease, EmText, STATUS};

/// Id of EmAdminService.
pub const EM_ADMIN_ID: &core::ffi::CStr = c"em.admin/1";

/// One call of a verb. Opaque; valid until the verb's handler returns, on any thread.
pub struct EmAdminCall {
    _opaque: [u8; 0],
}

/// A verb: does what an operator asks for.
///
/// - call: to answer with.
/// - arguments: JSON of at most 1 MiB, `null` when the operator gave none; valid until the handler returns.
/// - user_data: as given to EmAdminService.verb.
///
/// Returns NOERROR when it is done: the operator then sees what was answered, or `null`. Any other status is a failure: the
/// operator sees what EmAdminService.fail was given, or else the status, and the command fails.
///
/// It may block, whatever the plug-in's class: it is called on a thread made for that, up to four verbs of a plug-in at
/// once and beside handlers. The operator waits for 30 seconds; a call that takes longer goes on unheard.
/// [any-thread]
pub type EmAdminVerb = Option<
    unsafe extern "C" fn(
        call: *mut EmAdminCall,
        arguments: EmText,
        user_data: *mut c_void,
    ) -> STATUS,
>;

/// Lets an operator call into the plug-in: `stagepost plugin call NAME VERB [JSON]`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EmAdminService {
    /// sizeof(EmAdminService) of the host.
    pub size: u32,
    /// Zero.
    pub reserved: u32,

    /// Makes a verb.
    ///
    /// - name: 1 to 32 octets of a-z, 0-9 and '-', the first a letter. Once a plug-in.
    /// - help: what it does and takes, 1 to 256 octets without control characters.
    /// - handler: never NULL.
    /// - user_data: comes back with each call; may be NULL. The plug-in keeps it alive until release.
    /// - release: called with user_data when no call can reach it any more; may be NULL. It is not called when this fails.
    ///
    /// Returns NOERROR, ERR_MISC_INVALID_ARGS, EM_ERR_LIMIT (more than 32 verbs), EM_ERR_STAGE (outside em_entry).
    ///
    /// [main-thread & loading]
    pub verb: unsafe extern "C" fn(
        host: *mut EmHost,
        name: EmText,
        help: EmText,
        handler: EmAdminVerb,
        user_data: *mut c_void,
        release: EmRelease,
    ) -> STATUS,

    /// Gives the answer of a call; the last one given counts.
    ///
    /// - json: JSON of at most 1 MiB, nested at most 127 deep, copied.
    ///
    /// Returns NOERROR, ERR_MISC_INVALID_ARGS (no JSON, or a call that is over), EM_ERR_LIMIT.
    ///
    /// [any-thread & in-verb]
    pub answer: unsafe extern "C" fn(call: *mut EmAdminCall, json: EmText) -> STATUS,

    /// Says why the call fails, for the operator; return another status than NOERROR then.
    ///
    /// - message: UTF-8, copied, cut after 4,096 octets.
    ///
    /// Returns NOERROR or ERR_MISC_INVALID_ARGS. [any-thread & in-verb]
    pub fail: unsafe extern "C" fn(call: *mut EmAdminCall, message: EmText) -> STATUS,
}
