//! Where mail goes: the domains whose mailboxes are here, and the routes to others, as the server runs with them.
//! Knows no file format and no server.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use stagepost_queue::QueueName;

use super::name::parse_domain;
use super::settings::{Pace, Retry};

/// A domain whose mailboxes are here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalDomain {
    /// Its name in lower case.
    pub(crate) name: String,
    /// Who has a mailbox.
    pub(crate) mailboxes: Mailboxes,
    /// What stands between a mailbox's name and what its owner puts behind it.
    pub(crate) separators: String,
    /// Who keeps the mail.
    pub(crate) store: MailStore,
}

/// Who keeps the mail of a local domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MailStore {
    /// This server: a folder that has one Maildir for each mailbox.
    Maildir(PathBuf),
    /// A server of mailboxes that is given the mail over LMTP (RFC 2033).
    Lmtp(LmtpServer),
}

/// Where a server speaks LMTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LmtpServer {
    /// On a port.
    Host(NextHop),
    /// On a socket of this machine.
    Socket(PathBuf),
}

/// Who has a mailbox in a local domain. The postmaster always has one (RFC 5321 section 4.5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mailboxes {
    /// Everybody: a mailbox is made when its first message comes.
    Any,
    /// These, in lower case.
    Listed(BTreeSet<String>),
    /// Whom the directory in LDAP knows.
    Ldap,
}

/// Where the mail of some domains goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RouteRule {
    /// Which domains.
    pub(crate) domain: DomainPattern,
    /// The queue that the mail is in, to be counted and flushed as one.
    pub(crate) queue: Option<QueueName>,
    /// To whom it is given.
    pub(crate) way: Way,
    /// How often and for how long that is tried.
    pub(crate) retry: Retry,
    /// How much goes to its servers at a time.
    pub(crate) pace: Pace,
    /// What is wanted of TLS on the way.
    pub(crate) tls: TlsPolicy,
    /// The file of who we are to its servers; none: nobody in particular.
    pub(crate) login_file: Option<PathBuf>,
}

/// What is wanted of TLS on the way to another server; what comes later wants more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TlsPolicy {
    /// None of it.
    None,
    /// It is used where it can be had; anybody may be at the other end, where the server's domain does not say who is.
    #[default]
    Opportunistic,
    /// The same, and nothing is sent without.
    Required,
    /// Nothing is sent without, and but to who has a certificate for the server's name.
    Verified,
    /// Nothing is sent but to who has a certificate that the DNS vouches for (RFC 7672).
    Dane,
}

impl TlsPolicy {
    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Opportunistic => "opportunistic",
            Self::Required => "required",
            Self::Verified => "verified",
            Self::Dane => "dane",
        }
    }
}

/// How mail leaves by a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the first of these servers that can be talked to; at least one.
    Hosts(Vec<NextHop>),
    /// To the servers that the DNS names for the recipient's domain, or for this one (RFC 5321 section 5.1).
    Mx(Option<String>),
    /// To whoever comes to fetch it.
    Wait,
    /// Nowhere: it is taken and thrown away.
    Discard,
}

impl fmt::Display for Way {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hosts(hosts) => {
                let hosts: Vec<String> = hosts.iter().map(NextHop::to_string).collect();
                out.write_str(&hosts.join(", "))
            }
            Self::Mx(None) => out.write_str("mx"),
            Self::Mx(Some(domain)) => write!(out, "mx:{domain}"),
            Self::Wait => out.write_str("whoever fetches it"),
            Self::Discard => out.write_str("discard"),
        }
    }
}

/// Which domains a route is for; names in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DomainPattern {
    /// This one.
    Exact(String),
    /// This one and everything below it.
    Subtree(String),
    /// Every domain that nothing else names; mail to it needs a grant.
    Default,
}

impl fmt::Display for DomainPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => out.write_str(name),
            Self::Subtree(name) => write!(out, "@{name}"),
            Self::Default => out.write_str("*"),
        }
    }
}

/// A host and port that mail is relayed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NextHop {
    /// A domain name or an IP address, without brackets.
    pub(crate) host: String,
    /// The port; never 0.
    pub(crate) port: u16,
}

impl NextHop {
    /// A host by its name or address, without brackets, and a port; none: it can't be one.
    pub(crate) fn new(host: &str, port: u16) -> Option<Self> {
        let host = match host.parse::<IpAddr>() {
            Ok(address) => address.to_string(),
            Err(_) => parse_domain(host).ok()?,
        };
        (port != 0).then_some(Self { host, port })
    }
}

impl fmt::Display for NextHop {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(out, "[{}]:{}", self.host, self.port)
        } else {
            write!(out, "{}:{}", self.host, self.port)
        }
    }
}
