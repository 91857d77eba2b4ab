//! What the directory says of an address: fetched before the rules ask, so that they decide at once.
//! Knows which lists need it; decides nothing.

use stagepost_sdk::{DirectoryPart, Pending, Reason, Route};

use crate::AccessControl;
use crate::list::List;

/// Nobody knows now: no reason to refuse for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NobodyKnows;

impl AccessControl {
    /// Fetches what becomes of mail for an address.
    pub(crate) async fn fetch_route(
        &self,
        call: &Pending,
        address: &str,
    ) -> Result<(), NobodyKnows> {
        let Some(directory) = self.host.directory() else { return Ok(()) };
        match directory.fetch(call, address, DirectoryPart::Route).await {
            Ok(()) => match directory.route(address) {
                Ok(Route::Unavailable) => Err(NobodyKnows),
                _ => Ok(()),
            },
            // What is no address has no mailbox.
            Err(refusal) if refusal.reason == Reason::Invalid => Ok(()),
            Err(_) => Err(NobodyKnows),
        }
    }

    /// Fetches the groups of an address, if one of the lists has groups that only the directory knows.
    pub(crate) async fn fetch_groups(
        &self,
        call: &Pending,
        address: &str,
        lists: &[&List],
    ) -> Result<(), NobodyKnows> {
        let Some(directory) = self.host.directory() else { return Ok(()) };
        if !lists.iter().any(|list| list.has_groups()) {
            return Ok(());
        }
        let fetched = directory.fetch(call, address, DirectoryPart::Groups).await;
        match fetched.and_then(|()| directory.groups(address).map(|_| ())) {
            Err(refusal) if refusal.reason != Reason::Invalid => Err(NobodyKnows),
            _ => Ok(()),
        }
    }

    /// Waits for both, on a thread that may block.
    pub(crate) fn wait_for(&self, address: &str) {
        let Some(directory) = self.host.directory() else { return };
        for part in [DirectoryPart::Route, DirectoryPart::Groups] {
            // What nobody knows is told where it is asked for.
            let _ = directory.wait(address, part);
        }
    }

    /// Whether mail for an address leaves us, and only with a grant.
    pub(crate) fn is_foreign(&self, recipient: &str) -> bool {
        let route = self.host.directory().map(|directory| directory.route(recipient));
        // Without a directory, or for what it does not know, the check is made: the core has the last word. What nobody knows now
        // is ours: who keeps our domains' mailboxes can't be asked.
        let ours = |route| {
            use Route::{Ambiguous, Local, Unavailable, UnknownUser};
            matches!(route, Local | UnknownUser | Unavailable | Ambiguous)
        };
        !matches!(route, Some(Ok(route)) if ours(route) || route == Route::Relay)
    }

    /// Whether the directory has an address in a group. What is no address is in none.
    pub(crate) fn is_member(&self, address: &str, group: &str) -> bool {
        let directory = self.host.directory();
        directory.is_some_and(|directory| directory.is_member(address, group).unwrap_or(false))
    }
}
