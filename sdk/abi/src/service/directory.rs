//! The directory service: who has a mailbox here, and in which groups they are.

use crate::{EmHost, EmText, STATUS};

/// Id of EmDirectoryService. A host may be without it.
pub const EM_DIRECTORY_ID: &core::ffi::CStr = c"em.directory/1";

/// Looks users up, in what the operator has configured: local domains with their mailboxes, and the groups file. An address
/// is written as in MAIL and RCPT, without angle brackets; the case of its letters makes no difference. Everything is
/// answered from memory, so that handlers called in line may ask.
///
/// The functions return NOERROR, ERR_NOT_FOUND (no such user, no further group, not a member) or ERR_MISC_INVALID_ARGS (a NULL,
/// or what is no address).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EmDirectoryService {
    /// sizeof(EmDirectoryService) of the host.
    pub size: u32,
    /// Zero.
    pub reserved: u32,

    /// Tells whether an address is that of a user with a mailbox here. Where mailboxes are for anybody, every address of
    /// the domain is. [any-thread]
    pub user: unsafe extern "C" fn(host: *mut EmHost, address: EmText) -> STATUS,

    /// Tells whether an address is in a group, whether it is of a user here or elsewhere. [any-thread]
    pub member: unsafe extern "C" fn(host: *mut EmHost, address: EmText, group: EmText) -> STATUS,

    /// Reads the groups of an address, by index from 0, in the order of the file.
    ///
    /// - group: receives the name; valid until the process ends.
    ///
    /// [any-thread]
    pub group: unsafe extern "C" fn(
        host: *mut EmHost,
        address: EmText,
        index: u32,
        group: *mut EmText,
    ) -> STATUS,
}
