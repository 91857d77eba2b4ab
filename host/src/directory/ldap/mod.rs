//! A directory kept in LDAP: who has an address, and in which groups they are; with a memory, since every recipient is asked about.
//! Knows what to search for; how a server is talked to is the client's.

mod alias;
mod client;
mod login;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ldap3::Scope;
use stagepost_smtp::{Address, Secret};

use self::client::{Client, Entry, LdapFault, Query};
pub(crate) use self::login::LdapLogin;
use super::memory::{Memory, TROUBLE_KEPT};
use super::names::Names;
use crate::config::{self, Ambiguous, ConfigError, Place, Settings, Slot};
use crate::secret_file;
use crate::throttle::{Line, Throttle};
use crate::tls::{VerifyingError, verifying};

/// Entries that one address is that of. More are as many as need to be known.
const USERS_MAX: usize = 16;
/// Groups that one address is in, through others too.
const GROUPS_MAX: usize = 1000;
/// Searches for the groups of one address.
const GROUP_SEARCHES_MAX: usize = 200;
/// The longest password, in octets.
const PASSWORD_OCTETS_MAX: usize = 1024;

/// A directory in LDAP. Any thread.
pub(crate) struct Ldap {
    lookups: Arc<Lookups>,
    addresses: Arc<Memory<Found<Arc<Known>>>>,
    groups: Arc<Memory<Found<Groups>>>,
}

/// What a directory says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found<T> {
    Known(T),
    /// Nobody knows now.
    Trouble,
}

/// What a directory has of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// The entries that it is that of.
    pub(super) users: Vec<User>,
    /// Whom it stands for, if it is an alias.
    pub(super) alias: Option<Vec<Address>>,
}

/// The entry of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    /// Its distinguished name.
    dn: Box<str>,
    /// The addresses that it has for its mailbox.
    pub(super) mailboxes: Vec<String>,
}

#[cfg(test)]
impl User {
    /// One that has its mailbox at this address.
    pub(super) fn at(mailbox: &str) -> Self {
        Self { dn: "uid=user".into(), mailboxes: vec![mailbox.to_owned()] }
    }
}

/// The names of groups.
pub(super) type Groups = Arc<[&'static str]>;

/// What look-ups need, also those that nobody waits for any more.
struct Lookups {
    settings: config::Ldap,
    client: Client,
    names: Names,
    /// Strangers can cause its lines at will.
    lines: Throttle,
}

impl Ldap {
    /// Makes ready what asks the directory of a configuration, which is not asked yet.
    ///
    /// # Errors
    /// The password or the certificates that are named can't be used.
    pub(super) fn new(
        ldap: &config::Ldap,
        settings: &Settings,
        names: Names,
    ) -> Result<Self, VerifyingError> {
        const LOST: &str =
            "no server of LDAP can be talked to by TLS; name a file in [ldap] tls_roots";
        let tls = verifying(ldap.tls_roots.as_ref(), settings.tls_minimum, LOST)?;
        let bind = match &ldap.bind {
            Some(bind) => {
                let (path, place) = &bind.password_file;
                Some((bind.dn.clone(), password(path, place)?))
            }
            None => None,
        };
        let client = Client::new(ldap, tls, bind);
        let most = ldap.kept_max as usize;
        let lookups = Lookups { settings: ldap.clone(), client, names, lines: Throttle::default() };
        Ok(Self {
            lookups: Arc::new(lookups),
            addresses: Arc::new(Memory::new(most, Found::Trouble)),
            groups: Arc::new(Memory::new(most, Found::Trouble)),
        })
    }

    /// What is made of an address that several entries have.
    pub(super) fn ambiguous(&self) -> Ambiguous {
        self.lookups.settings.ambiguous
    }

    /// What it has of an address, from memory.
    pub(super) fn known(&self, address: &Address) -> Option<Found<Arc<Known>>> {
        self.addresses.get(&key(address))
    }

    /// What it has of an address.
    pub(super) async fn know(&self, address: &Address) -> Found<Arc<Known>> {
        let lookups = self.lookups.clone();
        let asked = address.clone();
        let find = || async move { lookups.remembered(lookups.know(&asked).await) };
        self.addresses.get_or_find(&key(address), find).await
    }

    /// The groups of an address, from memory.
    pub(super) fn known_groups(&self, address: &Address) -> Option<Found<Groups>> {
        self.groups.get(&key(address))
    }

    /// The groups of an address.
    pub(super) async fn groups(&self, address: &Address) -> Found<Groups> {
        let key = key(address);
        if let Some(known) = self.groups.get(&key) {
            return known;
        }
        let known = match self.know(address).await {
            Found::Known(known) => known,
            Found::Trouble => return self.groups.keep(&key, Found::Trouble, TROUBLE_KEPT),
        };
        let lookups = self.lookups.clone();
        let find = || async move { lookups.remembered(lookups.groups(&known.users).await) };
        self.groups.get_or_find(&key, find).await
    }

    /// Forgets what was said.
    pub(super) fn forget(&self) {
        self.addresses.forget();
        self.groups.forget();
    }
}

/// What there may be none of.
trait Several {
    fn is_none(&self) -> bool;
}

impl<T> Several for Arc<[T]> {
    fn is_none(&self) -> bool {
        self.is_empty()
    }
}

impl Several for Arc<Known> {
    fn is_none(&self) -> bool {
        self.users.is_empty() && self.alias.is_none()
    }
}

impl Lookups {
    /// What was found, and for how long it is true.
    fn remembered<T: Several>(&self, found: Result<T, LdapFault>) -> (Found<T>, Duration) {
        match found {
            Ok(found) => {
                let settings = &self.settings;
                let kept = if found.is_none() { settings.missing_kept } else { settings.kept };
                (Found::Known(found), kept)
            }
            Err(fault) => {
                if let Some(Line { left_out }) = self.lines.line(Instant::now()) {
                    tracing::error!(left_out, "trouble with LDAP: {fault}");
                }
                (Found::Trouble, TROUBLE_KEPT)
            }
        }
    }

    async fn know(&self, address: &Address) -> Result<Arc<Known>, LdapFault> {
        let (whole, local, domain) = parts(address);
        let value = |slot| match slot {
            Slot::Address => &*whole,
            Slot::Local => &*local,
            Slot::Domain | Slot::Dn | Slot::Name => &*domain,
        };
        let mailbox = &*self.settings.mailbox_attribute;
        let filter = self.settings.user_filter.fill(value);
        let (entries, _) = self.search(&filter, &[mailbox], USERS_MAX).await?;
        let user = |entry: Entry| User {
            mailboxes: entry.values(mailbox).into_iter().map(str::to_owned).collect(),
            dn: entry.dn.into(),
        };
        let users = entries.into_iter().map(user).collect();
        let alias = match &self.settings.alias_filter {
            Some(filter) => self.alias(&filter.fill(value), &domain).await?,
            None => None,
        };
        Ok(Arc::new(Known { users, alias }))
    }

    /// The groups that entries are in, and those that these groups are in. A group is looked at once, so groups that are in each
    /// other come to an end.
    async fn groups(&self, users: &[User]) -> Result<Groups, LdapFault> {
        let attribute = &*self.settings.group_name_attribute;
        let mut seen: HashSet<String> =
            users.iter().map(|user| user.dn.to_ascii_lowercase()).collect();
        let mut waiting: Vec<String> = users.iter().rev().map(|user| user.dn.to_string()).collect();
        let (mut names, mut searches) = (Vec::new(), 0);
        while let Some(dn) = waiting.pop() {
            searches += 1;
            if searches > GROUP_SEARCHES_MAX {
                return Err(LdapFault::TooMuch(GROUP_SEARCHES_MAX, "groups in groups"));
            }
            let filter = self.settings.group_filter.fill(|_| &dn);
            let (entries, more) = self.search(&filter, &[attribute], GROUPS_MAX).await?;
            if more || names.len() + entries.len() > GROUPS_MAX {
                return Err(LdapFault::TooMuch(GROUPS_MAX, "groups of one address"));
            }
            for entry in entries {
                if seen.insert(entry.dn.to_ascii_lowercase()) {
                    names.extend(
                        entry.values(attribute).first().map(|name| self.names.lasting(name)),
                    );
                    waiting.push(entry.dn);
                }
            }
        }
        let names: Option<Vec<&str>> = names.into_iter().collect();
        let names = names.ok_or(LdapFault::TooMuch(super::names::NAMES_MAX, "names of groups"))?;
        Ok(names.into())
    }

    async fn search(
        &self,
        filter: &str,
        attributes: &[&str],
        entries_max: usize,
    ) -> Result<(Vec<Entry>, bool), LdapFault> {
        let (base, scope) = (&*self.settings.base, Scope::Subtree);
        self.client.search(Query { base, scope, filter, attributes, entries_max }).await
    }
}

/// What an address is remembered under: the case of its letters makes no difference.
fn key(address: &Address) -> String {
    parts(address).0
}

/// An address as it is searched for, what stands before its `@`, and what behind it.
fn parts(address: &Address) -> (String, String, String) {
    let (local, domain) = (address.local_unquoted().to_lowercase(), address.domain_key());
    (format!("{local}@{domain}"), local, domain)
}

/// The password that a file has in its only line.
fn password(path: &std::path::Path, place: &Place) -> Result<Secret, ConfigError> {
    let file = secret_file::read(path).map_err(|error| {
        let said = error.to_string();
        let (problem, remedy) = said.split_once("; remedy: ").unwrap_or((
            &said,
            "name a file that is there and that only the server's user can read",
        ));
        place.fault(problem, remedy)
    })?;
    let line = file.octets().strip_suffix(b"\n").unwrap_or_else(|| file.octets());
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).is_ok_and(|text| !text.contains(char::is_control));
    // RFC 4513 section 5.1.2: without a password it would be no login.
    if line.is_empty() || !text || line.len() > PASSWORD_OCTETS_MAX {
        let problem = format!("{}: not a password", path.display());
        let remedy = format!(
            "write the password in one line, at most {PASSWORD_OCTETS_MAX} octets of UTF-8, and nothing else"
        );
        return Err(place.fault(problem, remedy));
    }
    Ok(Secret::new(line.to_vec()))
}
