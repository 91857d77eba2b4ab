//! What a registration wants to be asked about: a cheap look before a call is made.
//! Knows addresses and names; knows no plug-in.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use stagepost_smtp::{Address, Ask, Question, ReversePath};

/// The most items in one list.
const ITEMS_MAX: usize = 256;

/// All lists that are not empty must fit.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    networks: Box<[IpNet]>,
    listeners: Box<[Box<str>]>,
    sender_domains: Box<[Domain]>,
    recipient_domains: Box<[Domain]>,
    /// Whether the connection is to be protected; none: it does not matter.
    tls: Option<bool>,
    /// Whether somebody is to have logged in; none: it does not matter.
    authenticated: Option<bool>,
}

/// One item of a list of domains.
#[derive(Debug, PartialEq, Eq)]
enum Domain {
    /// The null path.
    Null,
    /// This domain alone.
    Exactly(Box<str>),
    /// Everything below a domain; with the dot before it.
    Below(Box<str>),
}

/// The lists as a plug-in writes them: items separated by white space.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FilterText<'a> {
    pub(crate) networks: &'a str,
    pub(crate) listeners: &'a str,
    pub(crate) sender_domains: &'a str,
    pub(crate) recipient_domains: &'a str,
    pub(crate) tls: Option<bool>,
    pub(crate) authenticated: Option<bool>,
}

/// Why a plug-in can't have such a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FilterError {
    /// A list is too long.
    #[error("{list}: wanted at most {ITEMS_MAX} items, found {found}")]
    Items { list: &'static str, found: usize },
    /// An item is none.
    #[error("{list}: wanted {wanted}, found \"{}\"", found.escape_debug())]
    Item { list: &'static str, wanted: &'static str, found: String },
}

impl Filter {
    /// Reads the lists.
    ///
    /// # Errors
    /// The first list or item that is not acceptable.
    pub(crate) fn parse(text: FilterText<'_>) -> Result<Self, FilterError> {
        Ok(Self {
            networks: items(
                "networks",
                text.networks,
                "an address, or a network without bits beyond its prefix",
                network,
            )?,
            listeners: items("listeners", text.listeners, "a name", |name| Some(name.into()))?,
            sender_domains: items(
                "sender_domains",
                text.sender_domains,
                "example.org, .example.org or <>",
                |item| if item == "<>" { Some(Domain::Null) } else { domain(item) },
            )?,
            recipient_domains: items(
                "recipient_domains",
                text.recipient_domains,
                "example.org or .example.org",
                domain,
            )?,
            tls: text.tls,
            authenticated: text.authenticated,
        })
    }

    /// Whether the question may matter.
    pub(crate) fn admits(&self, ask: &Ask) -> bool {
        let peer = &ask.facts.peer;
        (self.networks.is_empty() || self.has_network(peer.remote.ip()))
            && self.tls.is_none_or(|wanted| wanted == ask.facts.tls.is_some())
            && self.authenticated.is_none_or(|wanted| wanted == ask.facts.authenticated.is_some())
            && (self.listeners.is_empty() || self.listeners.contains(&peer.listener))
            && self.admits_addresses(ask)
    }

    fn has_network(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }

    fn admits_addresses(&self, ask: &Ask) -> bool {
        let facts = &ask.facts;
        match &ask.question {
            Question::Mail { sender, .. } => self.admits_sender(sender),
            Question::Rcpt { recipient, .. } => {
                self.admits_accepted_sender(ask)
                    && (self.recipient_domains.is_empty() || self.has_recipient(recipient))
            }
            Question::Data { .. }
            | Question::Headers
            | Question::Body { .. }
            | Question::MessageAccept { .. }
            | Question::Queue { .. }
            | Question::Route { .. }
            | Question::Deliver { .. }
            | Question::Bounce(_)
            | Question::Expire { .. } => {
                self.admits_accepted_sender(ask)
                    && (self.recipient_domains.is_empty()
                        || facts.recipients.iter().any(|known| self.has_recipient(known)))
            }
            Question::Connect
            | Question::Command { .. }
            | Question::Ehlo { .. }
            | Question::StartTls
            | Question::Auth { .. }
            | Question::Etrn { .. }
            | Question::Atrn { .. }
            | Question::Vrfy { .. }
            | Question::Rset
            | Question::Verb { .. }
            | Question::Quit
            | Question::Timeout { .. }
            | Question::Disconnect { .. } => true,
        }
    }

    fn admits_accepted_sender(&self, ask: &Ask) -> bool {
        ask.facts.sender.as_ref().is_none_or(|sender| self.admits_sender(sender))
    }

    fn admits_sender(&self, sender: &ReversePath) -> bool {
        let list = &self.sender_domains;
        list.is_empty()
            || match sender {
                ReversePath::Null => list.contains(&Domain::Null),
                ReversePath::Address(sender) => {
                    let domain = sender.domain_key();
                    list.iter().any(|item| item.fits(&domain))
                }
            }
    }

    fn has_recipient(&self, recipient: &Address) -> bool {
        let domain = recipient.domain_key();
        self.recipient_domains.iter().any(|item| item.fits(&domain))
    }
}

impl Domain {
    fn fits(&self, domain: &str) -> bool {
        match self {
            Self::Null => false,
            Self::Exactly(wanted) => domain.eq_ignore_ascii_case(wanted),
            Self::Below(end) => {
                let (domain, end) = (domain.as_bytes(), end.as_bytes());
                let head = domain.len().checked_sub(end.len());
                head.is_some_and(|head| head > 0 && domain[head..].eq_ignore_ascii_case(end))
            }
        }
    }
}

fn items<T>(
    list: &'static str,
    text: &str,
    wanted: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Box<[T]>, FilterError> {
    let found = text.split_ascii_whitespace().count();
    if found > ITEMS_MAX {
        return Err(FilterError::Items { list, found });
    }
    let read = |item: &str| {
        let refused = || FilterError::Item { list, wanted, found: item.chars().take(80).collect() };
        parse(item).ok_or_else(refused)
    };
    text.split_ascii_whitespace().map(read).collect()
}

fn network(item: &str) -> Option<IpNet> {
    if let Ok(address) = item.parse::<IpAddr>() {
        return Some(address.to_canonical().into());
    }
    let network = item.parse::<IpNet>().ok().filter(|network| network.trunc() == *network)?;
    Some(of_ipv4(&network).unwrap_or(network))
}

/// A network of IPv4-mapped addresses as what it is: clients have their addresses in the form of IPv4 (RFC 4291 section
/// 2.5.5.2).
fn of_ipv4(network: &IpNet) -> Option<IpNet> {
    let IpNet::V6(mapped) = network else { return None };
    let (address, length) = (mapped.addr().to_ipv4_mapped()?, mapped.prefix_len().checked_sub(96)?);
    Ipv4Net::new(address, length).ok().map(IpNet::V4)
}

fn domain(item: &str) -> Option<Domain> {
    let (below, name) = match item.strip_prefix('.') {
        Some(name) => (true, name),
        None => (false, item),
    };
    stagepost_smtp::check_domain(name).ok()?;
    Some(if below { Domain::Below(item.into()) } else { Domain::Exactly(item.into()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domains(list: &str) -> Filter {
        Filter::parse(FilterText { sender_domains: list, ..FilterText::default() }).unwrap()
    }

    #[test]
    fn senders_fit_by_domain() {
        let cases = [
            ("", "a@example.org", true),
            ("", "", true),
            ("example.org", "a@example.org", true),
            ("example.org", "a@EXAMPLE.org", true),
            ("example.org", "a@b.example.org", false),
            ("example.org", "a@badexample.org", false),
            ("example.org", "", false),
            ("example.org <>", "", true),
            (".example.org", "a@b.example.org", true),
            (".example.org", "a@c.b.Example.org", true),
            (".example.org", "a@example.org", false),
            (".example.org", "a@badexample.org", false),
            ("other.test\t\r\n example.org", "\"a@b\"@example.org", true),
        ];
        for (list, path, wanted) in cases {
            let sender = match path {
                "" => ReversePath::Null,
                path => ReversePath::Address(Address::parse(path).unwrap()),
            };
            assert_eq!(domains(list).admits_sender(&sender), wanted, "{path:?} in {list:?}");
        }
    }

    #[test]
    fn clients_fit_by_network() {
        let cases = [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "::ffff:192.0.2.7", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("2001:db8::/32 192.0.2.1", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::ffff:192.0.2.1", "192.0.2.1", true),
            ("::ffff:192.0.2.0/120", "192.0.2.255", true),
            ("::ffff:192.0.2.0/120", "::ffff:192.0.3.0", false),
            ("::ffff:0:0/96", "192.0.2.1", true),
            ("::ffff:0:0/96", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
        ];
        for (list, address, wanted) in cases {
            let filter = Filter::parse(FilterText { networks: list, ..FilterText::default() });
            let found = filter.unwrap().has_network(address.parse().unwrap());
            assert_eq!(found, wanted, "{address} in {list:?}");
        }
    }

    #[test]
    fn items_that_are_none_are_refused_by_name() {
        let none = FilterText::default();
        let many = "a ".repeat(ITEMS_MAX + 1);
        let cases = [
            (
                FilterText { networks: "192.0.2.1/24", ..none },
                "networks: wanted an address, or a network without bits beyond its prefix, found \"192.0.2.1/24\"",
            ),
            (
                FilterText { networks: "1.2.3.4 host", ..none },
                "networks: wanted an address, or a network without bits beyond its prefix, found \"host\"",
            ),
            (
                FilterText { sender_domains: "a@b", ..none },
                "sender_domains: wanted example.org, .example.org or <>, found \"a@b\"",
            ),
            (
                FilterText { recipient_domains: "<>", ..none },
                "recipient_domains: wanted example.org or .example.org, found \"<>\"",
            ),
            (
                FilterText { recipient_domains: ".\u{1b}", ..none },
                "recipient_domains: wanted example.org or .example.org, found \".\\u{1b}\"",
            ),
            (
                FilterText { listeners: &many, ..none },
                "listeners: wanted at most 256 items, found 257",
            ),
        ];
        for (text, wanted) in cases {
            assert_eq!(Filter::parse(text).unwrap_err().to_string(), wanted);
        }
    }
}
