//! What an address comes to: through aliases, sub-addresses, the directory in LDAP and whoever has the rest of a domain.
//! Asks memory alone; what is not there is named, for others to fetch. Always ends, and says how.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use stagepost_smtp::Address;

use super::Shared;
use super::aliases::{Aliases, mailbox};
use super::ldap::{Found, Known, Ldap, User};
use crate::config::{Ambiguous, LocalDomain, MailStore, Mailboxes};

/// The most addresses that one comes to.
const ADDRESSES_MAX: usize = 1000;
/// The same with all on the way.
const SEEN_MAX: usize = 2 * ADDRESSES_MAX;
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

/// What LDAP has said of addresses on the way, however long it is true: so an answer that is forgotten, or not even kept, is not asked
/// for again by the one that it was fetched for.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    said: HashMap<String, Found<Arc<Known>>>,
    /// What is remembered of other times does not count.
    alone: bool,
}

impl Fetched {
    /// Nothing, whatever is remembered.
    pub(super) fn nothing() -> Self {
        Self { alone: true, ..Self::default() }
    }

    /// Takes what was said of an address.
    pub(super) fn take(&mut self, address: &Address, said: Found<Arc<Known>>) {
        self.said.insert(key(address), said);
    }
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
    /// What an address comes to by these aliases, from memory and what was fetched.
    ///
    /// # Errors
    /// Why that is not known.
    pub(super) fn expand(
        &self,
        address: &Address,
        aliases: &Aliases,
        fetched: &Fetched,
    ) -> Result<Expansion, Unexpanded> {
        let (seen, expansion) = (HashSet::new(), Expansion::default());
        let mut walk = Walk { shared: self, aliases, fetched, seen, expansion };
        match walk.follow(address, &mut Vec::new()) {
            Ok(()) if walk.ends() <= ADDRESSES_MAX => Ok(walk.expansion),
            // Of whom it was asked says more than where the count ended.
            Ok(()) | Err(Unexpanded::TooMany(_)) => Err(Unexpanded::TooMany(address.clone())),
            Err(error) => Err(error),
        }
    }
}

/// An address on its way through others.
struct Walk<'w> {
    shared: &'w Shared,
    aliases: &'w Aliases,
    fetched: &'w Fetched,
    seen: HashSet<String>,
    expansion: Expansion,
}

impl Walk<'_> {
    /// What is said of an address of any domain.
    fn say(&self, address: &Address) -> Result<Said, Unexpanded> {
        let domain = self.shared.router.queue_domain(address);
        let Some(local_domain) = self.shared.router.local(&domain) else {
            let leads_somewhere = self.shared.router.destination(&domain).is_some();
            return Ok(if leads_somewhere { Said::Final } else { Said::Unknown });
        };
        let local = address.local_unquoted();
        if let Some(alias) = self.aliases.find(&local.to_lowercase(), &domain) {
            return Ok(Said::To(By::Alias(alias.line), alias.at(&domain)));
        }
        let said = match self.say_of_mailbox(address, local_domain)? {
            Said::Unknown => self.say_of_base(&local, local_domain)?,
            said => said,
        };
        Ok(match (said, self.aliases.catch_all(&domain)) {
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
        let known = self.known(address)?;
        Ok(match &known.alias {
            Some(successors) => Said::To(By::LdapAlias, successors.clone()),
            None => self.say_of_users(&known.users, address, domain),
        })
    }

    /// What LDAP has of it.
    fn known(&self, address: &Address) -> Result<Arc<Known>, Unexpanded> {
        let Some(ldap) = &self.shared.ldap else { return Ok(Arc::default()) };
        let fetched = self.fetched.said.get(&key(address)).cloned();
        let remembered = || if self.fetched.alone { None } else { ldap.known(address) };
        match fetched.or_else(remembered) {
            Some(Found::Known(known)) => Ok(known),
            Some(Found::Trouble) => Err(Unexpanded::Trouble(address.clone())),
            None => Err(Unexpanded::NotFetched(address.clone())),
        }
    }

    /// What the entries of users that have it make of it.
    fn say_of_users(&self, users: &[User], address: &Address, domain: &LocalDomain) -> Said {
        let ambiguous = self.shared.ldap.as_ref().map(Ldap::ambiguous);
        if users.len() > 1 && ambiguous != Some(Ambiguous::All) {
            return Said::Ambiguous;
        }
        let mut mailboxes = Vec::new();
        for user in users {
            mailboxes.push(own_mailbox(user, address, domain));
        }
        mailboxes.dedup_by_key(|mailbox| key(mailbox));
        match &mailboxes[..] {
            [] => Said::Unknown,
            [one] if key(one) == key(address) => Said::Final,
            _ => Said::To(By::LdapMailbox, mailboxes),
        }
    }

    /// The same of what stands before a separator.
    fn say_of_base(&self, local: &str, domain: &LocalDomain) -> Result<Said, Unexpanded> {
        let Some(base) = base(local, domain).and_then(|base| mailbox(base, &domain.name)) else {
            return Ok(Said::Unknown);
        };
        let alias =
            self.aliases.find(&base.local_unquoted().to_lowercase(), &domain.name).is_some();
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

    /// Follows an address to its ends. `way`: those that it was found behind.
    fn follow(&mut self, address: &Address, way: &mut Vec<String>) -> Result<(), Unexpanded> {
        let key = key(address);
        if way.last() == Some(&key) {
            return self.take_own(address, way);
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
        if self.ends() > ADDRESSES_MAX || self.seen.len() > SEEN_MAX || way.len() >= DEPTH_MAX {
            return Err(Unexpanded::TooMany(address.clone()));
        }
        match self.say(address)? {
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

    /// How many it has come to so far.
    fn ends(&self) -> usize {
        self.expansion.recipients.len() + self.expansion.left_out.len()
    }

    /// Takes an address that stands for itself too: its mailbox is meant.
    fn take_own(&mut self, address: &Address, way: &mut Vec<String>) -> Result<(), Unexpanded> {
        match self.say_of_own(address)? {
            Said::Final => self.expansion.recipients.push(address.clone()),
            Said::Unknown => self.expansion.left_out.push(address.clone()),
            Said::Ambiguous => self.leave_out_ambiguous(address),
            Said::To(_, mailboxes) => {
                for mailbox in &mailboxes {
                    match key(mailbox) == key(address) {
                        true => self.expansion.recipients.push(mailbox.clone()),
                        false => self.follow(mailbox, way)?,
                    }
                }
            }
        }
        Ok(())
    }

    /// What is said of its mailbox, whatever else it stands for.
    fn say_of_own(&self, address: &Address) -> Result<Said, Unexpanded> {
        let domain = self.shared.router.queue_domain(address);
        match self.shared.router.local(&domain) {
            Some(domain) if domain.mailboxes == Mailboxes::Ldap && !address.is_postmaster() => {
                Ok(self.say_of_users(&self.known(address)?.users, address, domain))
            }
            Some(domain) => self.say_of_mailbox(address, domain),
            None => Ok(Said::Final),
        }
    }

    fn leave_out_ambiguous(&mut self, address: &Address) {
        self.expansion.ambiguous = true;
        self.expansion.left_out.push(address.clone());
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

/// An address as it is compared: the case of its letters makes no difference.
fn key(address: &Address) -> String {
    format!("{}@{}", address.local_unquoted().to_lowercase(), address.domain_key())
}

#[cfg(test)]
mod tests {
    use super::super::Directory;
    use super::*;
    use crate::router::Router;

    const CONFIGURATION: &str = r#"
hostname = "mx.test"
listen = [{ name = "mx", address = "127.0.0.1:1" }]
[ldap]
servers = ["ldap://127.0.0.1:1"]
starttls = false
base = "dc=test"
ambiguous = "all"
[[local_domain]]
name = "corp.test"
mailboxes = "ldap"
sub_address = "+"
"#;

    fn address(local: &str) -> Address {
        Address::parse(&format!("{local}@corp.test")).unwrap()
    }

    /// What LDAP has said of a name: the mailboxes of each user that has it, and whom it stands for as an alias.
    type Had<'n> = (&'n str, Vec<&'n str>, Option<Vec<&'n str>>);

    /// What one comes to, where LDAP was asked about these.
    fn expanded(of: &str, had: &[Had<'_>]) -> Result<Vec<String>, Unexpanded> {
        let settings = crate::config::from_text(CONFIGURATION).unwrap();
        let directory = Directory::load(&settings, Arc::new(Router::new(&settings))).unwrap();
        let mut fetched = Fetched::default();
        for (name, users, alias) in had {
            let users = users.iter().map(|mailbox| User::at(mailbox)).collect();
            let targets = |names: &Vec<&str>| names.iter().map(|name| address(name)).collect();
            let alias = alias.as_ref().map(targets);
            fetched.take(&address(name), Found::Known(Arc::new(Known { users, alias })));
        }
        let expansion = directory.shared.expand(&address(of), &Aliases::default(), &fetched)?;
        Ok(expansion.recipients.iter().map(Address::to_string).collect())
    }

    #[test]
    fn who_stands_for_itself_too_is_there_once() {
        let with = |users: &[&'static str], alias: &[&'static str]| {
            let alias = (!alias.is_empty()).then(|| alias.to_vec());
            let bob = ("bob", vec!["bob@corp.test"], None);
            expanded("alice", &[("alice", users.to_vec(), alias), bob]).unwrap()
        };
        let (alice, bob) = ("alice@corp.test", "bob@corp.test");
        // Several have the address of one of them.
        assert_eq!(with(&[alice, bob], &[]), [alice, bob]);
        // An alias that names itself means the mailbox, where there is one.
        assert_eq!(with(&[alice], &["alice", "bob"]), [alice, bob]);
        assert_eq!(with(&[alice], &["bob", "alice", "bob"]), [bob, alice]);
        assert_eq!(with(&[], &["alice", "bob"]), [bob]);
        // Its mailbox is another's, or none that anything leads to.
        assert_eq!(with(&[bob], &["alice", "bob"]), [bob]);
        assert_eq!(with(&["x@far.test"], &["alice", "bob"]), [bob]);
    }

    #[test]
    fn how_many_there_are_is_bounded_and_told_of_who_was_asked_for() {
        let names: Vec<(String, String)> =
            (0..=ADDRESSES_MAX).map(|n| (format!("u{n}"), format!("u{n}@corp.test"))).collect();
        let expanded = |number: usize| {
            let names = &names[..number];
            let users = names.iter().map(|(name, own)| (&**name, vec![&**own], None));
            let all = names.iter().map(|(name, _)| &**name).collect();
            let had: Vec<Had<'_>> = users.chain([("all", Vec::new(), Some(all))]).collect();
            expanded("all", &had)
        };
        assert_eq!(expanded(ADDRESSES_MAX).unwrap().len(), ADDRESSES_MAX);
        assert_eq!(expanded(ADDRESSES_MAX + 1), Err(Unexpanded::TooMany(address("all"))));
    }
}
