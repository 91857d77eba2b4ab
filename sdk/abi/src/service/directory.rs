//! The directory service: who has a mailbox here, and in which groups they are.

use crate::{EmHost, EmText, STATUS};

/// Id of EmDirectoryService. A host may be without it.
pub const EM_DIRECTORY_ID: &core::ffi::CStr = c"em.directory/1";

/// EmDirectoryService.route: a mailbox of ours.
pub const EM_ROUTE_LOCAL: u32 = 1;
/// EmDirectoryService.route: a domain of ours, without such a mailbox; refused.
pub const EM_ROUTE_UNKNOWN_USER: u32 = 2;
/// EmDirectoryService.route: a domain that the operator relays for, whoever asks.
pub const EM_ROUTE_RELAY: u32 = 3;
/// EmDirectoryService.route: any other domain; accepted with a grant alone (EM_ATTRIBUTE_RELAY_GRANTED).
pub const EM_ROUTE_FOREIGN: u32 = 4;
/// EmDirectoryService.route: any other domain, that mail could not reach now even with a grant.
pub const EM_ROUTE_UNREACHABLE: u32 = 5;
/// EmDirectoryService.route: nobody knows now; deferred.
pub const EM_ROUTE_UNAVAILABLE: u32 = 6;

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

    /// Tells what becomes of mail for an address, as far as RCPT depends on it.
    ///
    /// - route: receives one of EM_ROUTE_LOCAL and its kin; take an unknown one for EM_ROUTE_FOREIGN.
    ///
    /// [any-thread]
    pub route: unsafe extern "C" fn(host: *mut EmHost, address: EmText, route: *mut u32) -> STATUS,
}
