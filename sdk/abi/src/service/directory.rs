//! The directory service: who has a mailbox here, and in which groups they are.

use crate::{EmHost, EmText, EmToken, STATUS};

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
/// EmDirectoryService.route: a domain of ours where several have the address; refused.
pub const EM_ROUTE_AMBIGUOUS: u32 = 7;

/// EmDirectoryService.fetch and wait: what becomes of mail for the address, for `user` and `route`.
pub const EM_DIRECTORY_ROUTE: u32 = 1;
/// EmDirectoryService.fetch and wait: the groups of the address, for `member` and `group`.
pub const EM_DIRECTORY_GROUPS: u32 = 2;

/// Looks users up, in what the operator has configured: local domains with their mailboxes, the groups file, and LDAP. An
/// address is written as in MAIL and RCPT, without angle brackets; the case of its letters makes no difference.
///
/// `user`, `member`, `group` and `route` answer from memory, so that handlers called in line may ask. What is kept elsewhere, in
/// LDAP, is fetched before, by `fetch` or `wait`, and is in memory for seconds at least; of the recipient in hand after(RCPT) finds
/// it there.
///
/// They return NOERROR, ERR_NOT_FOUND (no such user, no further group, not a member), EM_PENDING (it is to be fetched before),
/// EM_ERR_IO (nobody knows now: no reason to refuse for good) or ERR_MISC_INVALID_ARGS (a NULL, or what is no address).
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

    /// Reads the groups of an address, by index from 0: those of the file in its order, then others.
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

    /// Fetches what the directory says of an address. Once that is in memory, however it came out, this returns NOERROR: ask
    /// then. Until then it returns EM_PENDING and has the call woken when it is there: poll calls this again.
    ///
    /// - token: of a call with a poll.
    /// - what: EM_DIRECTORY_ROUTE, EM_DIRECTORY_GROUPS, or both by `|`.
    ///
    /// Returns NOERROR, EM_PENDING, EM_ERR_LIMIT (64 of this call are under way), EM_ERR_STAGE (there is no poll), EM_ERR_OVER,
    /// ERR_NOT_FOUND (no such token), or ERR_MISC_INVALID_ARGS. [any-thread]
    pub fetch: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        address: EmText,
        what: u32,
    ) -> STATUS,

    /// Fetches the same and waits for it, in a handler called on the pool, or in an admin verb.
    ///
    /// Returns NOERROR, EM_ERR_OVER (it took too long), EM_ERR_STAGE (this thread must not block, or is one of the plug-in's
    /// own), or ERR_MISC_INVALID_ARGS.
    /// [any-thread & may-block]
    pub wait: unsafe extern "C" fn(host: *mut EmHost, address: EmText, what: u32) -> STATUS,
}
