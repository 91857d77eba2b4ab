//! Look-ups as plug-ins ask for them, and whoever makes them, behind a trait.
//! Knows no resolver and no socket.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

/// Makes look-ups, and caches as it sees fit.
pub trait Resolver: Send + Sync {
    /// Looks one name up. Ends by itself, within seconds.
    fn look_up(&self, question: DnsQuestion) -> LookingUp;
}

/// A look-up under way.
pub type LookingUp = Pin<Box<dyn Future<Output = DnsAnswer> + Send>>;

/// What a look-up is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordType {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Who takes mail.
    Mx,
    /// Octets.
    Txt,
    /// The name of an address.
    Ptr,
}

/// A question to the DNS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DnsQuestion {
    record_type: RecordType,
    name: Box<str>,
}

/// What came of a look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsAnswer {
    /// Records, at least one.
    Found {
        /// In the order of the answer.
        records: Vec<DnsRecord>,
        /// How long they may be kept.
        ttl: Duration,
    },
    /// The name does not exist.
    NoName,
    /// It exists without such records.
    NoData,
    /// Nobody knows now.
    Trouble,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsRecord {
    /// An address as inet_ntop prints it, a name without its last dot, or octets.
    pub value: Box<[u8]>,
    /// Of MX; zero of others.
    pub preference: u16,
}

impl DnsQuestion {
    /// A question for a name, with or without its last dot; for PTR an address does too. None: that is no name.
    pub fn new(record_type: RecordType, name: &str) -> Option<Self> {
        if record_type == RecordType::Ptr
            && let Ok(address) = name.parse::<IpAddr>()
        {
            return Some(Self { record_type, name: reverse(address).into() });
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        // RFC 1035 section 2.3.4. Octets that a zone file would have to escape are in no name that anybody asks for.
        let sound = |octet: u8| octet.is_ascii_graphic() && !b"\\\"();@$".contains(&octet);
        let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(sound);
        let is_name = (1..=253).contains(&name.len()) && name.split('.').all(label);
        is_name.then(|| Self { record_type, name: name.to_ascii_lowercase().into() })
    }

    /// What is asked for.
    pub fn record_type(&self) -> RecordType {
        self.record_type
    }

    /// The name, in small letters and without its last dot.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The name below which an address has its name (RFC 1035 section 3.5, RFC 3596 section 2.5).
fn reverse(address: IpAddr) -> String {
    let mut name = String::new();
    match address {
        IpAddr::V4(address) => {
            for octet in address.octets().iter().rev() {
                // Writing to a String does not fail.
                let _ = write!(name, "{octet}.");
            }
            name + "in-addr.arpa"
        }
        IpAddr::V6(address) => {
            for octet in address.octets().iter().rev() {
                let _ = write!(name, "{:x}.{:x}.", octet & 15, octet >> 4);
            }
            name + "ip6.arpa"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_for_names() {
        let (long, longer) = ("a.".repeat(126) + "a", "a.".repeat(127) + "a");
        let label = "a".repeat(63);
        for (name, wanted) in [
            ("Example.ORG", Some("example.org")),
            ("example.org.", Some("example.org")),
            ("_dmarc.example.org", Some("_dmarc.example.org")),
            ("192.0.2.1", Some("192.0.2.1")),
            (&long, Some(&*long)),
            (&longer, None),
            (&label, Some(&*label)),
            (&(label.clone() + "a"), None),
            ("", None),
            (".", None),
            ("a..b", None),
            ("a b", None),
            ("a\\.b", None),
            ("a\0b", None),
            ("ä.example", None),
        ] {
            let question = DnsQuestion::new(RecordType::Txt, name);
            assert_eq!(question.as_ref().map(DnsQuestion::name), wanted, "{name}");
        }
    }

    #[test]
    fn an_address_is_asked_for_by_its_own_name() {
        for (address, wanted) in [
            ("192.0.2.1", "1.2.0.192.in-addr.arpa"),
            (
                "2001:db8::12",
                "2.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
            ),
            ("1.2.0.192.in-addr.arpa", "1.2.0.192.in-addr.arpa"),
        ] {
            let question = DnsQuestion::new(RecordType::Ptr, address).unwrap();
            assert_eq!(question.name(), wanted);
        }
    }
}
