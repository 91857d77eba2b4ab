//! What deliveries ask the DNS, and what it answers: records, and whether DNSSEC vouches for them.
//! Knows no resolver and no server.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;

/// Looks names up for deliveries.
pub(crate) trait Names: Send + Sync {
    /// Looks one name up. Ends by itself, within a minute.
    fn ask(&self, kind: Kind, name: &str) -> Asking;
}

/// A look-up under way.
pub(crate) type Asking = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// What a look-up is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Who takes mail.
    Mx,
    /// Octets.
    Txt,
    /// Certificates (RFC 6698).
    Tlsa,
}

/// What came of a look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Records, at least one.
    Found(Found),
    /// The name does not exist.
    NoName,
    /// It exists without such records.
    NoData,
    /// Nobody knows now, or the answer is forged (RFC 4033 section 5: bogus).
    Trouble,
}

/// Records of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// In the order of the answer.
    pub(crate) records: Vec<Data>,
    /// DNSSEC vouches for all of them and for all aliases on the way (RFC 4033 section 5: secure).
    pub(crate) secure: bool,
    /// What the name is another name of.
    pub(crate) alias: Option<Alias>,
}

/// Another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alias {
    /// The name that has the records, in small letters and without its last dot.
    pub(crate) target: Box<str>,
    /// DNSSEC vouches for the first alias on the way, if not for all.
    pub(crate) secure: bool,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    /// A or AAAA.
    Address(IpAddr),
    /// MX: the name in small letters and without its last dot.
    Exchange { preference: u16, name: Box<str> },
    /// TXT: its strings, joined.
    Text(Box<[u8]>),
    /// TLSA.
    Tlsa(Tlsa),
}

/// What a TLSA record says of a certificate (RFC 6698 section 2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tlsa {
    /// Which certificate of the chain it is about, and how it counts.
    pub(crate) usage: u8,
    /// Which part of that.
    pub(crate) selector: u8,
    /// As it is, or as which digest.
    pub(crate) matching: u8,
    /// That, or its digest.
    pub(crate) data: Box<[u8]>,
}

/// As zone files have it (RFC 6698 section 2.2).
impl fmt::Display for Tlsa {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} {} ", self.usage, self.selector, self.matching)?;
        self.data.iter().try_for_each(|octet| write!(out, "{octet:02x}"))
    }
}
