//! What aliases come to before anybody asks: those that go round in a circle, lead to nobody, or to too many.
//! Knows the directory's files; of LDAP nothing, which may say something else tomorrow, so what depends on that is passed over.

use stagepost_smtp::Address;

use super::aliases::Aliases;
use super::expansion::{Fetched, Unexpanded};
use super::{Directory, Shared};
use crate::config::LocalDomain;

/// An alias of the file that does not do what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Idle {
    /// Its line.
    pub(crate) line: u32,
    /// Its name, as it is looked up.
    pub(crate) name: String,
    /// Why.
    pub(crate) why: Why,
}

/// Why an alias does not do what it says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Why {
    /// Nobody knows one of those in it.
    #[error("{0} gets nothing: there is no such mailbox, or no route")]
    Nobody(Address),
    /// There are too many behind it.
    #[error("its mail is put off: {0}")]
    TooMany(Unexpanded),
}

impl Directory {
    /// The aliases of the file that do not do what they say, in its order. Of a name without a domain: in no local domain, since it
    /// need not be meant for all.
    pub(crate) fn idle_aliases(&self) -> Vec<Idle> {
        let shared = &self.shared;
        let aliases = shared.aliases();
        let domains = shared.router.local_domains().map(|domain| &*domain.name);
        let mut domains: Vec<&str> = domains.collect();
        domains.sort_unstable();
        let idle = |(line, name, addresses): (u32, String, Vec<Address>)| {
            let mut why = None;
            for address in &addresses {
                why = Some(match shared.expand(address, &aliases, &Fetched::nothing()) {
                    Ok(expansion) => Why::Nobody(expansion.left_out.into_iter().next()?),
                    Err(too_many @ Unexpanded::TooMany(_)) => Why::TooMany(too_many),
                    Err(_) => return None,
                });
            }
            why.map(|why| Idle { line, name, why })
        };
        aliases.addresses(&domains).into_iter().filter_map(idle).collect()
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
                self.check_circle(&address, aliases).map_err(|circle| (line, circle))?;
            }
        }
        for domain in domains {
            let Some(rest) = aliases.catch_all(domain) else { continue };
            for address in rest.at(domain) {
                self.check_circle(&address, aliases).map_err(|circle| (rest.line, circle))?;
            }
        }
        Ok(())
    }

    fn check_circle(&self, address: &Address, aliases: &Aliases) -> Result<(), Unexpanded> {
        match self.expand(address, aliases, &Fetched::nothing()) {
            Err(circle @ Unexpanded::Circle(_)) => Err(circle),
            _ => Ok(()),
        }
    }
}
