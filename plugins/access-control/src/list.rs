//! A list: entries, ready to be searched, each of which can be named with its place.
//! Knows neither what a hit means nor where entries are read from.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::address_index::{AddressIndex, SCATTERED_MAX};
use crate::entry::{Entry, Kind, Meaning, mailbox_key};
use crate::name_index::{NameIndex, folded};
use crate::pattern::{Pattern, canonical};

/// Entries of one kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct List {
    /// Its name in the configuration, such as `connection.deny`.
    name: Box<str>,
    entries: Vec<Entry>,
    everything: Option<u32>,
    addresses: AddressIndex,
    names: NameIndex,
    mailboxes: HashMap<Box<str>, u32>,
    /// Groups that only the directory knows: whose members change without us.
    groups: Vec<(u32, Box<str>)>,
}

/// Which entry of which list fits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hit<'l> {
    pub(crate) list: &'l str,
    pub(crate) entry: &'l Entry,
}

impl std::fmt::Display for Hit<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.list, self.entry.text)?;
        if let Some(group) = &self.entry.group {
            write!(f, " of {group:?}")?;
        }
        write!(f, " ({})", self.entry.place)
    }
}

/// Makes a list, entry by entry.
pub(crate) struct Builder {
    kind: Kind,
    list: List,
    patterns: Vec<(u32, Pattern)>,
    scattered: usize,
}

/// A list has too many entries. The operator is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooMany {
    #[error("a list has at most {ENTRIES_MAX} entries")]
    Entries,
    #[error("a list has at most {SCATTERED_MAX} entries with a wildcard or range before a number")]
    Scattered,
}

/// The most entries of one list.
pub(crate) const ENTRIES_MAX: usize = 4_000_000;

impl Builder {
    pub(crate) fn new(name: &str, kind: Kind) -> Self {
        let list = List { name: name.into(), ..List::default() };
        Self { kind, list, patterns: Vec::new(), scattered: 0 }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Adds an entry by its meaning. Of two that are the same the first is found.
    pub(crate) fn add(&mut self, entry: Entry, meaning: Meaning) -> Result<(), TooMany> {
        let list = &mut self.list;
        if list.entries.len() >= ENTRIES_MAX {
            return Err(TooMany::Entries);
        }
        let number = u32::try_from(list.entries.len()).map_err(|_| TooMany::Entries)?;
        match meaning {
            Meaning::Everything => list.everything = list.everything.or(Some(number)),
            Meaning::Addresses(pattern) => {
                if matches!(pattern, Pattern::Octets(_)) {
                    if self.scattered == SCATTERED_MAX {
                        return Err(TooMany::Scattered);
                    }
                    self.scattered += 1;
                }
                self.patterns.push((number, pattern));
            }
            Meaning::Name(name, ending) => list.names.add(number, &name, ending),
            Meaning::Mailbox(address) => {
                list.mailboxes.entry(address.into()).or_insert(number);
            }
            Meaning::Group(name) => list.groups.push((number, name.into())),
            // Kept out of the indexes: nothing fits it.
            Meaning::Never(_) => {}
        }
        list.entries.push(entry);
        Ok(())
    }

    pub(crate) fn finish(mut self) -> List {
        self.list.addresses = AddressIndex::new(self.patterns);
        self.list.entries.shrink_to_fit();
        self.list
    }
}

impl List {
    /// Its name in the configuration.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether nobody has written an entry; one that never fits counts.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many entries it has.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has entries that a name can fit.
    pub(crate) fn has_names(&self) -> bool {
        !self.names.is_empty()
    }

    /// Whether it has groups that only the directory knows.
    pub(crate) fn has_groups(&self) -> bool {
        !self.groups.is_empty()
    }

    /// The entries, in their order.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The first entry that a peer's address fits; `*` is one.
    pub(crate) fn find_address(&self, address: IpAddr) -> Option<Hit<'_>> {
        let found = self.addresses.find(canonical(address));
        self.hit([found, self.everything].into_iter().flatten().min())
    }

    /// The first entry that a host name fits, `*` left out: that fits the address already.
    pub(crate) fn find_host(&self, name: &str) -> Option<Hit<'_>> {
        self.hit(self.names.find(&folded(name)))
    }

    /// The first entry that a domain fits.
    pub(crate) fn find_domain(&self, domain: &str) -> Option<Hit<'_>> {
        let found = self.names.find(&folded(domain));
        self.hit([found, self.everything].into_iter().flatten().min())
    }

    /// The first entry that an address of mail fits.
    ///
    /// - member: whether the address is in a group, by the directory.
    pub(crate) fn find_mailbox(
        &self,
        local: &str,
        domain: &str,
        member: impl Fn(&str) -> bool,
    ) -> Option<Hit<'_>> {
        let indexed = [
            self.mailboxes.get(mailbox_key(local, domain).as_str()).copied(),
            self.names.find(&folded(domain)),
            self.everything,
        ];
        let indexed = indexed.into_iter().flatten().min();
        // The directory is asked only about groups that stand before what is found already.
        let grouped = self
            .groups
            .iter()
            .take_while(|(number, _)| indexed.is_none_or(|found| *number < found))
            .find(|(_, group)| member(group))
            .map(|(number, _)| *number);
        self.hit(grouped.or(indexed))
    }

    fn hit(&self, number: Option<u32>) -> Option<Hit<'_>> {
        let entry = self.entries.get(usize::try_from(number?).ok()?)?;
        Some(Hit { list: &self.name, entry })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Place;
    use crate::name_index::Ending;

    fn list(kind: Kind, texts: &[&str]) -> List {
        let mut builder = Builder::new("l", kind);
        for (line, text) in (1..).zip(texts) {
            let place = Place { file: "f".into(), line, column: 1 };
            let entry = Entry { text: (*text).into(), place, group: None };
            builder.add(entry, kind.read(text).unwrap()).unwrap();
        }
        builder.finish()
    }

    fn text<'l>(hit: Option<Hit<'l>>) -> Option<&'l str> {
        hit.map(|hit| &*hit.entry.text)
    }

    #[test]
    fn the_first_entry_that_fits_is_named() {
        let hosts = Kind::Hosts { ending: Ending::Labels };
        let list = list(hosts, &["[10.*.0.1]", "abc.com", "[10.0.0.0/8]", "1.2.3.4", "*"]);
        let find = |address: &str| text(list.find_address(address.parse().unwrap()));
        assert_eq!(find("10.9.0.1"), Some("[10.*.0.1]"));
        assert_eq!(find("::ffff:10.9.0.2"), Some("[10.0.0.0/8]"));
        assert_eq!(find("1.2.3.4"), Some("*"));
        assert_eq!(text(list.find_host("MAIL.abc.com.")), Some("abc.com"));
        assert_eq!(text(list.find_host("abc.org")), None);
        let hit = list.find_host("abc.com").unwrap();
        assert_eq!(hit.to_string(), r#"l "abc.com" (f:2:1)"#);
        assert!(list.has_names() && !list.is_empty());
    }

    #[test]
    fn mailboxes_fit_whole_by_domain_or_by_group() {
        let list = list(Kind::Mailboxes, &["smith@acme.com", "staff", "acme.com", "@only.org"]);
        let find = |local: &str, domain: &str| {
            text(list.find_mailbox(local, domain, |group| group == "staff" && local == "ann"))
        };
        assert_eq!(find("Smith", "ACME.com"), Some("smith@acme.com"));
        assert_eq!(find("\"smith\"", "acme.com"), Some("smith@acme.com"), "the same mailbox");
        assert_eq!(find("\"s\\mi\\th\"", "acme.com"), Some("smith@acme.com"));
        assert_eq!(find("jsmith", "acme.com"), Some("acme.com"));
        assert_eq!(find("x", "serv1.acme.com"), Some("acme.com"));
        assert_eq!(find("x", "xacme.com"), None);
        assert_eq!(find("ann", "acme.com"), Some("staff"));
        assert_eq!(find("ann", "elsewhere.net"), Some("staff"));
        assert_eq!(find("x", "only.org"), Some("@only.org"));
        assert_eq!(find("x", "sub.only.org"), None);
    }

    #[test]
    fn scattered_entries_are_bounded() {
        let hosts = Kind::Hosts { ending: Ending::Labels };
        let mut builder = Builder::new("l", hosts);
        let place = Place { file: "f".into(), line: 1, column: 1 };
        let mut add = |text: &str| {
            let entry = Entry { text: text.into(), place: place.clone(), group: None };
            builder.add(entry, hosts.read(text).unwrap())
        };
        for _ in 0..SCATTERED_MAX {
            add("[1.*.2.3]").unwrap();
        }
        assert_eq!(add("[1.*.2.3]"), Err(TooMany::Scattered));
        add("[1.2.3.*]").unwrap();
    }
}
