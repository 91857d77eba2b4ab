//! One entry of a list, as an administrator writes it, and what it means in each kind of list.
//! Knows no group's members and no index.

use std::sync::Arc;

use crate::name_index::{Ending, folded};
use crate::pattern::{Pattern, PatternError};

/// Where an entry stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file, as the operator names it.
    pub(crate) file: Arc<str>,
    /// From 1; 0 where nobody has written it, and `file` says why it is there.
    pub(crate) line: u32,
    /// From 1.
    pub(crate) column: u32,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}

/// An entry as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) text: Box<str>,
    pub(crate) place: Place,
    /// The group that stands in the list for it and others.
    pub(crate) group: Option<Arc<str>>,
}

/// What a list is about, and so how its entries are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Hosts: `[addresses]`, the ends of host names, groups.
    Hosts {
        /// How a host name ends: with whole labels, or with any letters.
        ending: Ending,
    },
    /// Senders or recipients: whole addresses, the ends of their domains, groups.
    Mailboxes,
    /// Domains to relay to: `@domain` alone, or any domain that ends with these letters.
    Destinations,
}

/// What an entry means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Everything,
    Addresses(Pattern),
    /// A domain or host name, folded.
    Name(String, Ending),
    /// An address, folded.
    Mailbox(String),
    /// A name without dot and `@`: that of a group, or of a host, which only the groups can tell.
    Group(String),
    /// Nothing will ever fit it; why, and what to write.
    Never(String),
}

/// Why an entry has no meaning. The operator is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EntryError {
    #[error("{0}")]
    Pattern(#[from] PatternError),
    #[error("{0:?} has a bracket on one side only")]
    Bracket(String),
    #[error(
        "{0:?}... is longer than {ENTRY_OCTETS_MAX} octets: entries have commas, semicolons or line ends between"
    )]
    TooLong(String),
    #[error("{0:?} is no host name, domain, address or group: {1}")]
    Form(String, &'static str),
    #[error(
        "{0:?} names a Domino domain, and those are not known here: write its Internet domains, each as @domain"
    )]
    DominoDomain(String),
}

/// The longest entry: the longest address there is has less.
const ENTRY_OCTETS_MAX: usize = 512;

/// How much of a longer one is told.
const SHOWN_OCTETS_MAX: usize = 40;

impl Kind {
    /// Reads an entry, trimmed and not empty.
    pub(crate) fn read(self, text: &str) -> Result<Meaning, EntryError> {
        if text.len() > ENTRY_OCTETS_MAX {
            let shown = text.floor_char_boundary(SHOWN_OCTETS_MAX);
            return Err(EntryError::TooLong(text[..shown].to_owned()));
        }
        if text == "*" {
            return Ok(Meaning::Everything);
        }
        if text.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER) {
            let why = "it has octets that are no UTF-8 text";
            return Err(EntryError::Form(text.to_owned(), why));
        }
        if text.starts_with('[') || text.ends_with(']') {
            return self.brackets(text);
        }
        // The name of a group may have some.
        if text.contains(['.', '@']) && text.contains(char::is_whitespace) {
            return Err(EntryError::Form(text.to_owned(), "it has a space in it"));
        }
        match self {
            Self::Hosts { ending } => host(text, ending),
            Self::Mailboxes => mailbox(text),
            Self::Destinations => destination(text),
        }
    }

    fn brackets(self, text: &str) -> Result<Meaning, EntryError> {
        let inner = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'))
            .ok_or_else(|| EntryError::Bracket(text.to_owned()))?;
        match self {
            Self::Hosts { .. } => Ok(Meaning::Addresses(inner.parse()?)),
            Self::Mailboxes | Self::Destinations => Err(EntryError::Form(
                text.to_owned(),
                "network addresses belong in the lists of hosts",
            )),
        }
    }
}

fn host(text: &str, ending: Ending) -> Result<Meaning, EntryError> {
    if looks_like_address(text) {
        return Ok(Meaning::Never(format!("an address stands in brackets: write [{text}]")));
    }
    if let Some(domain) = text.strip_prefix('.') {
        return Ok(Meaning::Never(format!("a leading dot fits no name: write {domain}")));
    }
    if text.contains('@') {
        return Err(EntryError::Form(text.to_owned(), "a host name has no @"));
    }
    name(text, ending)
}

fn mailbox(text: &str) -> Result<Meaning, EntryError> {
    if let Some((local, domain)) = text.rsplit_once('@') {
        if local.is_empty() {
            return name(domain, Ending::Whole);
        }
        sound_name(domain, text)?;
        return Ok(Meaning::Mailbox(mailbox_key(local, domain)));
    }
    if let Some(domain) = text.strip_prefix('.') {
        return Ok(Meaning::Never(format!("a leading dot fits no domain: write {domain}")));
    }
    name(text, Ending::Labels)
}

fn destination(text: &str) -> Result<Meaning, EntryError> {
    if text.starts_with('%') {
        return Err(EntryError::DominoDomain(text.to_owned()));
    }
    match text.strip_prefix('@') {
        Some(domain) => {
            sound_name(domain, text)?;
            Ok(Meaning::Name(folded(domain), Ending::Whole))
        }
        None if text.contains('@') => Err(EntryError::Form(
            text.to_owned(),
            "destinations are domains; addresses belong in the lists of recipients",
        )),
        // Letters, so that a leading dot means something here: names below the domain.
        None if text.starts_with('.') => Ok(Meaning::Name(folded(text), Ending::Letters)),
        None => name(text, Ending::Letters),
    }
}

fn name(text: &str, ending: Ending) -> Result<Meaning, EntryError> {
    if text.contains('.') {
        sound_name(text, text)?;
        return Ok(Meaning::Name(folded(text), ending));
    }
    if text.contains(['*', '[', ']', '<', '>', '"', '\\', ':']) {
        return Err(EntryError::Form(text.to_owned(), PUNCTUATION));
    }
    Ok(Meaning::Group(text.to_owned()))
}

/// An address as it is compared: however it is written, with quotes or without, in capitals or small letters, it is the same mailbox
/// (RFC 5321 section 4.1.2).
pub(crate) fn mailbox_key(local: &str, domain: &str) -> String {
    format!("{}@{}", local_key(local), folded(domain))
}

/// The same of the part before the @.
pub(crate) fn local_key(local: &str) -> String {
    let Some(quoted) = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return local.to_lowercase();
    };
    let mut plain = String::with_capacity(quoted.len());
    let mut rest = quoted.chars();
    while let Some(next) = rest.next() {
        plain.extend(if next == '\\' { rest.next() } else { Some(next) });
    }
    plain.to_lowercase()
}

const PUNCTUATION: &str = "a wildcard stands alone or between brackets, and punctuation nowhere";

fn sound_name(name: &str, entry: &str) -> Result<(), EntryError> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let wrong = |why| Err(EntryError::Form(entry.to_owned(), why));
    if name.is_empty() || name.len() > 253 {
        return wrong("a name has 1 to 253 characters");
    }
    if name.split('.').any(str::is_empty) {
        return wrong("there is nothing between two of its dots");
    }
    if name.contains(['*', '[', ']', '<', '>', '(', ')', '"', '\\', '/', ':', '%']) {
        return wrong(PUNCTUATION);
    }
    Ok(())
}

/// Whether somebody has meant a network address, and not written the brackets.
fn looks_like_address(text: &str) -> bool {
    text.parse::<Pattern>().is_ok()
        && (text.contains(':')
            || text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '*' | '-' | '/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: Kind = Kind::Hosts { ending: Ending::Labels };

    fn named(name: &str, ending: Ending) -> Result<Meaning, EntryError> {
        Ok(Meaning::Name(name.to_owned(), ending))
    }

    #[test]
    fn entries_mean_what_their_list_makes_of_them() {
        let group = |name: &str| Ok(Meaning::Group(name.to_owned()));
        let mailbox = |address: &str| Ok(Meaning::Mailbox(address.to_owned()));
        let cases = [
            (HOSTS, "*", Ok(Meaning::Everything)),
            (HOSTS, "[1.2.3.4]", Ok(Meaning::Addresses("1.2.3.4".parse().unwrap()))),
            (HOSTS, "[IPv6:::1]", Ok(Meaning::Addresses("::1".parse().unwrap()))),
            (HOSTS, "Mail.ABC.com", named("mail.abc.com", Ending::Labels)),
            (HOSTS, "abc.com.", named("abc.com", Ending::Labels)),
            (HOSTS, "partners", group("partners")),
            (Kind::Mailboxes, "*", Ok(Meaning::Everything)),
            (Kind::Mailboxes, "acme.com", named("acme.com", Ending::Labels)),
            (Kind::Mailboxes, "@acme.com", named("acme.com", Ending::Whole)),
            (Kind::Mailboxes, "Smith@ACME.com", mailbox("smith@acme.com")),
            (Kind::Mailboxes, "\"a@b\"@acme.com", mailbox("a@b@acme.com")),
            (Kind::Mailboxes, "\"J\\oe\"@acme.com", mailbox("joe@acme.com")),
            (Kind::Mailboxes, "staff", group("staff")),
            (Kind::Mailboxes, "Domain Admins (R&D)/Acme", group("Domain Admins (R&D)/Acme")),
            (Kind::Destinations, "*", Ok(Meaning::Everything)),
            (Kind::Destinations, "xyz.com", named("xyz.com", Ending::Letters)),
            (Kind::Destinations, ".xyz.com", named(".xyz.com", Ending::Letters)),
            (Kind::Destinations, "@XYZ.com", named("xyz.com", Ending::Whole)),
            (Kind::Destinations, "customers", group("customers")),
        ];
        for (kind, text, wanted) in cases {
            assert_eq!(kind.read(text), wanted, "{kind:?} {text}");
        }
    }

    #[test]
    fn entries_that_never_fit_say_what_to_write() {
        for (kind, text, remedy) in [
            (HOSTS, "192.0.2.10", "write [192.0.2.10]"),
            (HOSTS, "192.0.2.*", "write [192.0.2.*]"),
            (HOSTS, "192.0.2.0/24", "write [192.0.2.0/24]"),
            (HOSTS, "2001:db8::1", "write [2001:db8::1]"),
            (HOSTS, ".abc.com", "write abc.com"),
            (Kind::Mailboxes, ".abc.com", "write abc.com"),
        ] {
            let Ok(Meaning::Never(why)) = kind.read(text) else { panic!("{text}") };
            assert!(why.ends_with(remedy), "{text}: {why}");
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let long = "\u{fc}".repeat(1 << 20);
        for (kind, text, part) in [
            (HOSTS, "[1.2.3.4", "one side"),
            (HOSTS, "1.2.3.4]", "one side"),
            (HOSTS, "[1.2.3.x]", "no octet"),
            (HOSTS, "[1.2.3.1-*]", "wildcard inside a range"),
            (HOSTS, "a b.com", "space"),
            (HOSTS, "*.abc.com", "wildcard"),
            (HOSTS, "a..com", "between two"),
            (HOSTS, "joe@abc.com", "no @"),
            (HOSTS, "*abc", "wildcard"),
            (HOSTS, "a.b\0c", "no UTF-8"),
            (HOSTS, "[1.2.3.4\0]", "no UTF-8"),
            (HOSTS, "b\u{fffd}cher.org", "no UTF-8"),
            (HOSTS, &long, "... is longer than 512 octets"),
            (Kind::Mailboxes, "*@*", "wildcard"),
            (Kind::Mailboxes, "2001:db8::1", "punctuation"),
            (Kind::Mailboxes, "[1.2.3.4]", "lists of hosts"),
            (Kind::Mailboxes, "joe@", "1 to 253"),
            (Kind::Mailboxes, "*@abc.com.*", "wildcard"),
            (Kind::Destinations, "%AcmeEast", "Domino domain"),
            (Kind::Destinations, "joe@abc.com", "lists of recipients"),
            (Kind::Destinations, "@", "1 to 253"),
        ] {
            match kind.read(text) {
                Err(error) => {
                    let said = error.to_string();
                    assert!(said.contains(part) && said.len() < 1024, "{text}: {said}");
                }
                Ok(meaning) => panic!("{text}: {meaning:?}"),
            }
        }
    }
}
