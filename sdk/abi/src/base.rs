//! The base table: registration and the way to everything else. From 1.0 on it is frozen.
//! Knows no service: those are asked for by id.

use core::ffi::c_void;

use crate::{EID, EMHANDLER, EmRelease, EmText, STATUS};

/// Version of this contract: the host refuses a plug-in of another major. 0 = the base may still change.
pub const EM_ABI_MAJOR: u16 = 0;

/// Minor version of this contract: grows with every addition.
pub const EM_ABI_MINOR: u16 = 1;

/// EMRegister flag: call the handler before the core acts.
pub const EM_REG_BEFORE: u32 = 0x0001;

/// EMRegister flag: call the handler after the core has acted.
pub const EM_REG_AFTER: u32 = 0x0002;

/// EMRegister flag, beside the others: call the handler for messages that plug-ins make (EmSubmitService), too. At
/// EM_SMTPHEADERS, EM_SMTPBODY and EM_SMTPMESSAGEACCEPT.
pub const EM_REG_SUBMITTED: u32 = 0x0004;

/// Names a registration for EMDeregister; 0 names none.
pub type HEMREGISTRATION = u32;

/// The host as one plug-in sees it. Opaque; each plug-in has its own, valid until the process ends.
pub struct EmHost {
    _opaque: [u8; 0],
}

/// The base table, given to em_entry and valid until the process ends.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EmBase {
    /// sizeof(EmBase) of the host.
    pub size: u32,
    /// EM_ABI_MAJOR of the host.
    pub abi_major: u16,
    /// EM_ABI_MINOR of the host.
    pub abi_minor: u16,

    /// Registers a handler for one event.
    ///
    /// - host: as given to em_entry.
    /// - event: EM_SMTPCONNECT and so on; the descriptor must declare its stage.
    /// - flags: EM_REG_BEFORE, EM_REG_AFTER or both (the handler is then called twice); and EM_REG_SUBMITTED.
    /// - handler: never NULL.
    /// - user_data: comes back as EMRECORD.UserData; may be NULL. The plug-in keeps it alive until release.
    /// - release: called with user_data when no session can reach the registration any more; may be NULL.
    ///   It is not called when EMRegister fails.
    /// - recursion_id: 0, or one from EMCreateRecursionID: the handler is then not called for what a handler with the same id
    ///   caused, however long the chain between them is, and on whatever thread. See EmSubmitService, whose messages are
    ///   what a handler can cause. Ids are the server's: plug-ins that share one skip what the others caused.
    /// - registration: receives the handle on success; may be NULL.
    ///
    /// Returns NOERROR, ERR_EM_ILLEGAL, ERR_EM_ILLEGALFLAGS (none, unknown, or after or submitted where there is none),
    /// ERR_EM_NOTAUTHORIZED (not declared), ERR_EM_TOOMANYADDINS (more than 256), ERR_MISC_INVALID_ARGS (NULL handler or host, or
    /// an id that nobody has made), EM_ERR_STAGE (outside em_entry).
    ///
    /// [main-thread & loading]
    pub EMRegister: unsafe extern "C" fn(
        host: *mut EmHost,
        event: EID,
        flags: u32,
        handler: EMHANDLER,
        user_data: *mut c_void,
        release: EmRelease,
        recursion_id: u16,
        registration: *mut HEMREGISTRATION,
    ) -> STATUS,

    /// Ends a registration: sessions that begin later no longer see it, those under way still do.
    ///
    /// Returns NOERROR, ERR_NOT_FOUND when it is not a registration of this plug-in, or ERR_MISC_INVALID_ARGS (NULL). Nobody
    /// needs to call it: the host ends all registrations when it stops. [any-thread]
    pub EMDeregister:
        unsafe extern "C" fn(host: *mut EmHost, registration: HEMREGISTRATION) -> STATUS,

    /// Makes an id for EMRegister; it is never given back.
    ///
    /// Returns NOERROR, ERR_MISC_INVALID_ARGS (NULL), or EM_ERR_LIMIT: 256 for each plug-in. [any-thread]
    pub EMCreateRecursionID:
        unsafe extern "C" fn(host: *mut EmHost, recursion_id: *mut u16) -> STATUS,

    /// Finds a service table by its id, for example EM_LOG_ID.
    ///
    /// Returns the table, valid until the process ends, or NULL when this host has no such service: test for it.
    /// Tables only grow; read `size` before you use a member that a later minor version added. [any-thread]
    pub service: unsafe extern "C" fn(host: *mut EmHost, id: EmText) -> *const c_void,

    /// NULL.
    pub reserved: [*const c_void; 4],
}

/// Entry point: the one symbol that a plug-in exports. The plug-in defines it, the host calls it once.
///
/// - base: the base table, valid until the process ends.
/// - host: this plug-in's own handle, for every call of the tables.
///
/// Returns NOERROR when the plug-in is ready; anything else refuses it, and what it registered is taken back. One plug-in is
/// entered after the other, each on any thread; one that has not returned after the operator's
/// start_deadline_ms, 300 s by default, is refused, as by EM_START.
///
/// [main-thread & loading]
pub type EmEntry = unsafe extern "C" fn(base: *const EmBase, host: *mut EmHost) -> STATUS;
