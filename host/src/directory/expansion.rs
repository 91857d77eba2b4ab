//! What an address comes to: through aliases, sub-addresses, the directory in LDAP and whoever has the rest of a domain.
//! Asks memory alone; what is not there is named, for others to fetch. Always ends, and says how.

use std::collections::HashSet;

use stagepost_smtp::Address;

use super::Shared;
use super::aliases::mailbox;
use super::ldap::{Found, User};
use crate::config::{Ambiguous, LocalDomain, MailStore, Mailboxes};

/// The most addresses that one comes to, with all on the way.
pub(super) const ADDRESSES_MAX: usize = 1000;
/// The most addresses one behind the other.
const DEPTH_MAX: usize = 50;

/// What an address comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expansion {
    /// Who gets the mail, each once.
    pub(crate) recipients: Vec<Address>,
    /// How they were found.
    pub(crate) steps: Vec<Step>,
    /// Those that lead nowhere.
    pub(crate) left_out: Vec<Address>,
    /// Several have one of these, and nobody can tell who is meant.
    pub(crate) ambiguous: bool,
}

/// An address that stands for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) from: Address,
    pub(crate) to: Vec<Address>,
    pub(crate) by: By,
}

/// What an address stands for others by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// A line of the aliases file.
    Alias(u32),
    /// What stands behind the separator is left away.
    SubAddress,
    /// A line of the aliases file for whomever nobody knows.
    CatchAll(u32),
    /// An alias or group in LDAP.
    LdapAlias,
    /// The entry of a user in LDAP, which has another address for its mailbox.
    LdapMailbox,
}

/// Why it is not known what an address comes to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unexpanded {
    /// LDAP has to be asked about this address first.
    #[error("{0} is to be asked about")]
    NotFetched(Address),
    /// LDAP can't be asked.
    #[error("the directory in LDAP can't be asked about {0}")]
    Trouble(Address),
    /// It comes back to itself.
    #[error("aliases go round in a circle: {0}")]
    Circle(String),
    /// There are too many.
    #[error("{0} comes to more than {ADDRESSES_MAX} addresses, or by more than {DEPTH_MAX} steps")]
    TooMany(Address),
}

/// What is said of one address.
enum Said {
    /// It is somebody's mailbox, or somebody else's domain.
    Final,
    To(By, Vec<Address>),
    Unknown,
    Ambiguous,
}

impl Shared {
    /// What an address comes to, from memory.
    ///
    /// # Errors
    /// Why that is not known.
    pub(super) fn expand(&self, address: &Address) -> Result<Expansion, Unexpanded> {
        let mut walk = Walk { shared: self, seen: HashSet::new(), expansion: Expansion::default() };
        walk.follow(address, &mut Vec::new())?;
        Ok(walk.expansion)
    }

    /// What is said of an address of any domain.
    fn say(&self, address: &Address) -> Result<Said, Unexpanded> {
        let domain = self.router.queue_domain(address);
        let Some(local_domain) = self.router.local(&domain) else {
            let leads_somewhere = self.router.destination(&domain).is_some();
            return Ok(if leads_somewhere { Said::Final } else { Said::Unknown });
        };
        let local = address.local_unquoted();
        let aliases = self.aliases();
        if let Some(alias) = aliases.find(&local.to_lowercase(), &domain) {
            return Ok(Said::To(By::Alias(alias.line), alias.at(&domain)));
        }
        let said = match self.say_of_mailbox(address, local_domain)? {
            Said::Unknown => self.say_of_base(&local, local_domain)?,
            said => said,
        };
        Ok(match (said, aliases.catch_all(&domain)) {
            (Said::Unknown, Some(alias)) => Said::To(By::CatchAll(alias.line), alias.at(&domain)),
            (said, _) => said,
        })
    }

    /// The same of the mailbox of its very name.
    fn say_of_mailbox(&self, address: &Address, domain: &LocalDomain) -> Result<Said, Unexpanded> {
        let local = address.local_unquoted();
        // RFC 5321 section 4.5.1: the postmaster is always there.
        if local.eq_ignore_ascii_case("postmaster") {
            return Ok(Said::Final);
        }
        match &domain.mailboxes {
            Mailboxes::Any if base(&local, domain).is_none() => Ok(Said::Final),
            Mailboxes::Any => Ok(Said::Unknown),
            Mailboxes::Listed(names) if names.contains(&local.to_ascii_lowercase()) => {
                Ok(Said::Final)
            }
            Mailboxes::Listed(_) => Ok(Said::Unknown),
            Mailboxes::Ldap => self.say_of_entry(address, domain),
        }
    }

    /// What LDAP says of it.
    fn say_of_entry(&self, address: &Address, domain: &LocalDomain) -> Result<Said, Unexpanded> {
        let Some(ldap) = &self.ldap else { return Ok(Said::Unknown) };
        let known = match ldap.known(address) {
            Some(Found::Known(known)) => known,
            Some(Found::Trouble) => return Err(Unexpanded::Trouble(address.clone())),
            None => return Err(Unexpanded::NotFetched(address.clone())),
        };
        if let Some(successors) = &known.alias {
            return Ok(Said::To(By::LdapAlias, successors.clone()));
        }
        if known.users.len() > 1 && ldap.ambiguous() == Ambiguous::Refuse {
            return Ok(Said::Ambiguous);
        }
        let mut mailboxes = Vec::new();
        for user in &known.users {
            mailboxes.push(own_mailbox(user, address, domain));
        }
        mailboxes.dedup_by_key(|mailbox| key(mailbox));
        Ok(match &mailboxes[..] {
            [] => Said::Unknown,
            [one] if key(one) == key(address) => Said::Final,
            _ => Said::To(By::LdapMailbox, mailboxes),
        })
    }

    /// The same of what stands before a separator.
    fn say_of_base(&self, local: &str, domain: &LocalDomain) -> Result<Said, Unexpanded> {
        let Some(base) = base(local, domain).and_then(|base| mailbox(base, &domain.name)) else {
            return Ok(Said::Unknown);
        };
        let alias =
            self.aliases().find(&base.local_unquoted().to_lowercase(), &domain.name).is_some();
        let said = match alias {
            true => None,
            false => Some(self.say_of_mailbox(&base, domain)?),
        };
        Ok(match (said, &domain.store) {
            (Some(Said::Unknown), _) => Said::Unknown,
            (Some(Said::Ambiguous), _) => Said::Ambiguous,
            // Who keeps the mailboxes sorts by what stands behind the separator.
            (Some(Said::Final), MailStore::Lmtp(_)) => Said::Final,
            _ => Said::To(By::SubAddress, vec![base]),
        })
    }
}

/// The mailbox of an entry that has an address: this one, if it is among those that it has for that, else the first of them.
fn own_mailbox(user: &User, address: &Address, domain: &LocalDomain) -> Address {
    let named = |value: &String| match value.contains('@') {
        true => Address::parse_international(value).ok(),
        false => mailbox(value, &domain.name),
    };
    let mailboxes: Vec<Address> = user.mailboxes.iter().filter_map(named).collect();
    let own = mailboxes.iter().find(|mailbox| key(mailbox) == key(address));
    own.or_else(|| mailboxes.first()).unwrap_or(address).clone()
}

/// What stands before the first separator.
fn base<'l>(local: &'l str, domain: &LocalDomain) -> Option<&'l str> {
    let at = local.find(|c| domain.separators.contains(c))?;
    (at > 0).then(|| &local[..at])
}

/// An address on its way through others.
struct Walk<'w> {
    shared: &'w Shared,
    seen: HashSet<String>,
    expansion: Expansion,
}

impl Walk<'_> {
    /// Follows an address to its ends. `way`: those that it was found behind.
    fn follow(&mut self, address: &Address, way: &mut Vec<String>) -> Result<(), Unexpanded> {
        let key = key(address);
        if way.last() == Some(&key) {
            return self.take_own(address);
        }
        if way.contains(&key) {
            let begin = way.iter().position(|known| *known == key).unwrap_or_default();
            let mut circle = way.split_off(begin);
            circle.push(key);
            return Err(Unexpanded::Circle(circle.join(" -> ")));
        }
        if !self.seen.insert(key.clone()) {
            return Ok(());
        }
        if self.seen.len() > ADDRESSES_MAX || way.len() >= DEPTH_MAX {
            return Err(Unexpanded::TooMany(address.clone()));
        }
        match self.shared.say(address)? {
            Said::Final => self.expansion.recipients.push(address.clone()),
            Said::Unknown => self.expansion.left_out.push(address.clone()),
            Said::Ambiguous => self.leave_out_ambiguous(address),
            Said::To(by, to) => {
                self.expansion.steps.push(Step { from: address.clone(), to: to.clone(), by });
                way.push(key);
                for next in &to {
                    self.follow(next, way)?;
                }
                way.pop();
            }
        }
        Ok(())
    }

    /// Takes an address that stands for itself too: its mailbox is meant.
    fn take_own(&mut self, address: &Address) -> Result<(), Unexpanded> {
        let domain = self.shared.router.queue_domain(address);
        let said = match self.shared.router.local(&domain) {
            Some(domain) => self.shared.say_of_mailbox(address, domain)?,
            None => Said::Final,
        };
        match said {
            Said::Final => self.expansion.recipients.push(address.clone()),
            Said::To(_, to) => self.expansion.recipients.extend(to),
            Said::Unknown => self.expansion.left_out.push(address.clone()),
            Said::Ambiguous => self.leave_out_ambiguous(address),
        }
        Ok(())
    }

    fn leave_out_ambiguous(&mut self, address: &Address) {
        self.expansion.ambiguous = true;
        self.expansion.left_out.push(address.clone());
    }
}

/// An address as it is compared: the case of its letters makes no difference.
fn key(address: &Address) -> String {
    format!("{}@{}", address.local_unquoted().to_lowercase(), address.domain_key())
}
