//! What aliases come to before anybody asks: those that go round in a circle, and names that lead to nobody.
//! Knows the directory's files and memory; asks LDAP nothing, so what only LDAP knows is passed over.

use stagepost_smtp::Address;

use super::aliases::Aliases;
use super::expansion::{Expansion, Fetched, Unexpanded};
use super::{Directory, Shared};
use crate::config::LocalDomain;

/// Somebody of an alias who gets nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Forsaken {
    /// The line of the alias.
    pub(crate) line: u32,
    /// Its name, as it is looked up.
    pub(crate) name: String,
    /// Whom nobody knows.
    pub(crate) nobody: Address,
}

impl Directory {
    /// The aliases of the file that have somebody in them whom nobody knows, in its order. Of a name without a domain: in every local
    /// domain, since it need not be meant for all.
    pub(crate) fn forsaken(&self) -> Vec<Forsaken> {
        let shared = &self.shared;
        let aliases = shared.aliases();
        let domains = shared.router.local_domains().map(|domain| &*domain.name);
        let mut domains: Vec<&str> = domains.collect();
        domains.sort_unstable();
        let forsaken = |(line, name, addresses): (u32, String, Vec<Address>)| {
            let mut nobody = None;
            for address in &addresses {
                let left_out = shared.surveyed(address, &aliases).ok().flatten()?.left_out;
                nobody = Some(left_out.into_iter().next()?);
            }
            nobody.map(|nobody| Forsaken { line, name, nobody })
        };
        aliases.addresses(&domains).into_iter().filter_map(forsaken).collect()
    }
}

impl Shared {
    /// Finds an alias that comes back to itself by a sub-address or by whoever has the rest of a domain; others are found by their names
    /// alone.
    ///
    /// # Errors
    /// The line of the alias, and the circle.
    pub(super) fn find_circle(&self, aliases: &Aliases) -> Result<(), (u32, Unexpanded)> {
        let may_turn = |domain: &&LocalDomain| {
            !domain.separators.is_empty() || aliases.catch_all(&domain.name).is_some()
        };
        let domains = self.router.local_domains().filter(may_turn);
        let mut domains: Vec<&str> = domains.map(|domain| &*domain.name).collect();
        // The same file has the same error.
        domains.sort_unstable();
        for (line, _, addresses) in aliases.addresses(&domains) {
            for address in addresses {
                self.surveyed(&address, aliases).map_err(|circle| (line, circle))?;
            }
        }
        for domain in domains {
            let Some(rest) = aliases.catch_all(domain) else { continue };
            for address in rest.at(domain) {
                self.surveyed(&address, aliases).map_err(|circle| (rest.line, circle))?;
            }
        }
        Ok(())
    }

    /// What an address comes to; none: that can't be said without asking, or is too much.
    fn surveyed(
        &self,
        address: &Address,
        aliases: &Aliases,
    ) -> Result<Option<Expansion>, Unexpanded> {
        match self.expand(address, aliases, &Fetched::default()) {
            Ok(expansion) => Ok(Some(expansion)),
            Err(circle @ Unexpanded::Circle(_)) => Err(circle),
            Err(_) => Ok(None),
        }
    }
}
