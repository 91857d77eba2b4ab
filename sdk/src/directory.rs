//! Users and groups, as the operator has configured them.
//! Knows no address.

use std::fmt;
use std::future::Future;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};

use stagepost_abi::{
    EM_DIRECTORY_GROUPS, EM_DIRECTORY_ROUTE, EM_PENDING, EM_ROUTE_AMBIGUOUS, EM_ROUTE_LOCAL,
    EM_ROUTE_RELAY, EM_ROUTE_UNAVAILABLE, EM_ROUTE_UNKNOWN_USER, EM_ROUTE_UNREACHABLE,
    ERR_NOT_FOUND, EmDirectoryService, EmText, STATUS,
};

use crate::call::{Refusal, check};
use crate::host::Host;
use crate::pending::{Pending, PendingCall};
use crate::text::{lend, text};

/// Who has a mailbox here, and in which groups they are. Addresses are written without angle brackets; what is no address
/// is refused ([`Reason::Invalid`](crate::Reason::Invalid)). Everything is answered from memory, where [`Self::fetch`] or
/// [`Self::wait`] has put what is kept in LDAP; else it is refused ([`Reason::NotFetched`](crate::Reason::NotFetched)). While
/// nobody knows it is [`Reason::Unreadable`](crate::Reason::Unreadable): no reason to refuse anybody for good. Any thread.
#[derive(Clone, Copy)]
pub struct Directory {
    host: Host,
    table: &'static EmDirectoryService,
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").finish_non_exhaustive()
    }
}

/// What is fetched of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryPart {
    /// What becomes of its mail: for [`Directory::is_user`] and [`Directory::route`].
    Route,
    /// Its groups: for [`Directory::is_member`] and [`Directory::groups`].
    Groups,
}

impl DirectoryPart {
    const fn flags(self) -> u32 {
        match self {
            Self::Route => EM_DIRECTORY_ROUTE,
            Self::Groups => EM_DIRECTORY_GROUPS,
        }
    }
}

/// What becomes of mail for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Route {
    /// A mailbox of ours.
    Local,
    /// A domain of ours, without such a mailbox: refused.
    UnknownUser,
    /// A domain that the operator relays for, whoever asks.
    Relay,
    /// Any other domain: accepted with a grant alone ([`Edits::grant_relay`](crate::Edits::grant_relay)).
    Foreign,
    /// Any other domain, that mail could not reach now even with a grant.
    Unreachable,
    /// Nobody knows now: deferred.
    Unavailable,
    /// A domain of ours where several have the address: refused.
    Ambiguous,
}

impl Route {
    const fn of(route: u32) -> Self {
        match route {
            EM_ROUTE_LOCAL => Self::Local,
            EM_ROUTE_UNKNOWN_USER => Self::UnknownUser,
            EM_ROUTE_RELAY => Self::Relay,
            EM_ROUTE_UNREACHABLE => Self::Unreachable,
            EM_ROUTE_UNAVAILABLE => Self::Unavailable,
            EM_ROUTE_AMBIGUOUS => Self::Ambiguous,
            // The contract wants an unknown one taken for EM_ROUTE_FOREIGN.
            _ => Self::Foreign,
        }
    }
}

impl Host {
    /// Users and groups; a host may be without them.
    pub fn directory(&self) -> Option<Directory> {
        let table = self.services().directory?;
        Some(Directory { host: *self, table })
    }
}

impl Directory {
    /// Tells whether an address is that of a user with a mailbox here.
    pub fn is_user(&self, address: &str) -> Result<bool, Refusal> {
        // SAFETY: host and table belong together; the text is lent for the call.
        let status = unsafe { (self.table.user)(self.host.handle(), lend(address.as_bytes())) };
        yes_or_no("user", status)
    }

    /// Tells what becomes of mail for an address, as far as RCPT depends on it.
    pub fn route(&self, address: &str) -> Result<Route, Refusal> {
        let mut route = MaybeUninit::<u32>::uninit();
        // SAFETY: host and table belong together; the text is lent for the call; route has room for what is written.
        let status = unsafe {
            (self.table.route)(self.host.handle(), lend(address.as_bytes()), route.as_mut_ptr())
        };
        check("route", status)?;
        // SAFETY: NOERROR says that it was written.
        Ok(Route::of(unsafe { route.assume_init() }))
    }

    /// Tells whether an address is in a group.
    pub fn is_member(&self, address: &str, group: &str) -> Result<bool, Refusal> {
        let (address, group) = (lend(address.as_bytes()), lend(group.as_bytes()));
        // SAFETY: as above.
        let status = unsafe { (self.table.member)(self.host.handle(), address, group) };
        yes_or_no("member", status)
    }

    /// Fetches what the directory says of an address into memory, for the asynchronous handler of this call. Ready at once
    /// where it is in memory.
    pub fn fetch<'a>(&self, call: &'a Pending, address: &str, part: DirectoryPart) -> Fetch<'a> {
        let (table, call) = (self.table, &*call.call);
        Fetch { table, call, address: address.to_owned(), part, waiter: None }
    }

    /// Fetches the same and blocks this thread until it is there. For handlers that run on the pool, as all of class `blocking`
    /// do, and for admin verbs.
    pub fn wait(&self, address: &str, part: DirectoryPart) -> Result<(), Refusal> {
        // SAFETY: host and table belong together; the text is lent for the call.
        let status = unsafe {
            (self.table.wait)(self.host.handle(), lend(address.as_bytes()), part.flags())
        };
        check("wait", status)
    }

    /// The groups of an address: those of the operator's file in its order, then others.
    pub fn groups(&self, address: &str) -> Result<Vec<&'static str>, Refusal> {
        let address = lend(address.as_bytes());
        let mut groups = Vec::new();
        loop {
            let index = u32::try_from(groups.len()).unwrap_or(u32::MAX);
            let mut name = MaybeUninit::<EmText>::uninit();
            // SAFETY: as above; the place has room for what is written.
            let status = unsafe {
                (self.table.group)(self.host.handle(), address, index, name.as_mut_ptr())
            };
            if !yes_or_no("group", status)? {
                return Ok(groups);
            }
            // SAFETY: written, by the contract, with text that is valid until the process ends.
            if let Ok(name) = unsafe { text(name.assume_init()) } {
                groups.push(name);
            } else {
                return Ok(groups);
            }
        }
    }
}

/// A fetch under way. It begins when it is first polled.
#[must_use = "a fetch begins when it is awaited"]
pub struct Fetch<'a> {
    table: &'static EmDirectoryService,
    call: &'a PendingCall,
    address: String,
    part: DirectoryPart,
    waiter: Option<u64>,
}

impl fmt::Debug for Fetch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetch").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Future for Fetch<'_> {
    type Output = Result<(), Refusal>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (call, address) = (self.call, lend(self.address.as_bytes()));
        // Before the host is asked: who is woken then must be known.
        let waiter = *self.waiter.get_or_insert_with(|| call.waiter());
        call.wait(waiter, None, context.waker());
        // SAFETY: host and table belong together; a token may be any number; the text is lent for the call.
        let status = unsafe {
            (self.table.fetch)(call.host.handle(), call.token, address, self.part.flags())
        };
        match status {
            EM_PENDING => Poll::Pending,
            status => Poll::Ready(check("a fetch", status)),
        }
    }
}

impl Drop for Fetch<'_> {
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter {
            self.call.forget(waiter);
        }
    }
}

fn yes_or_no(call: &'static str, status: STATUS) -> Result<bool, Refusal> {
    match status {
        ERR_NOT_FOUND => Ok(false),
        status => check(call, status).map(|()| true),
    }
}
