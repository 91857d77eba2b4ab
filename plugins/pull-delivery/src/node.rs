//! A site that fetches its mail, and the clients that may do it for it.
//! Decides nothing: who is entitled to what is found elsewhere.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::scope::Scope;
use crate::section::Tell;

/// A site.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Whose mail it is.
    pub(crate) domains: Vec<Scope>,
    pub(crate) entitled: Entitled,
    /// What those who are entitled are told.
    pub(crate) tell: Tell,
    /// Whether a user who names no domain is sent its mail.
    pub(crate) default: bool,
    /// Whether everybody else may have the mail sent, and be told nothing.
    pub(crate) anybody: bool,
}

/// Who is entitled: whoever fits one of these.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entitled {
    pub(crate) networks: Vec<IpNet>,
    /// Names that the client's address has, confirmed: a host, or what is below one.
    pub(crate) host_names: Vec<HostName>,
    /// SHA-256 digests, small hexadecimal digits.
    pub(crate) certificates: Vec<Box<str>>,
    pub(crate) users: Vec<Box<str>>,
}

/// A host, or with a dot before it every host below a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostName(pub(crate) Box<str>);

/// A client, as far as is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client<'c> {
    pub(crate) address: IpAddr,
    /// Its names, each of which has its address in turn, folded.
    pub(crate) names: &'c [String],
    pub(crate) certificate: Option<&'c str>,
    pub(crate) user: Option<&'c str>,
}

impl Entitled {
    pub(crate) fn is_empty(&self) -> bool {
        let Self { networks, host_names, certificates, users } = self;
        networks.is_empty() && host_names.is_empty() && certificates.is_empty() && users.is_empty()
    }
}
