//! A site that fetches its mail, and the clients that may do it for it.
//! Decides of one client and one node; asks nobody.

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

impl Node {
    /// What a client is told that asks for the node's mail; none: it may not ask.
    pub(crate) fn tells(&self, client: Client<'_>) -> Option<Tell> {
        if self.entitled.has(client) {
            Some(self.tell)
        } else {
            self.anybody.then_some(Tell::Nothing)
        }
    }
}

impl Entitled {
    fn has(&self, client: Client<'_>) -> bool {
        let shown = |digest: &str| self.certificates.iter().any(|known| **known == *digest);
        self.networks.iter().any(|network| network.contains(&client.address))
            || client.certificate.is_some_and(shown)
            || client.user.is_some_and(|user| self.has_user(user))
            || client.names.iter().any(|name| self.host_names.iter().any(|host| host.fits(name)))
    }

    /// Whether a user who has logged in is entitled.
    pub(crate) fn has_user(&self, user: &str) -> bool {
        self.users.iter().any(|known| **known == *user)
    }

    pub(crate) fn is_empty(&self) -> bool {
        let Self { networks, host_names, certificates, users } = self;
        networks.is_empty() && host_names.is_empty() && certificates.is_empty() && users.is_empty()
    }
}

impl HostName {
    fn fits(&self, name: &str) -> bool {
        if self.0.starts_with('.') { name.ends_with(&*self.0) } else { *self.0 == *name }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_the_four_is_enough() {
        let entitled = Entitled {
            networks: vec!["192.0.2.0/28".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
            host_names: [".branch.test", "gw.other.test"].map(|name| HostName(name.into())).into(),
            certificates: vec!["00ff".into()],
            users: vec!["branch".into()],
        };
        let nobody = Client {
            address: "203.0.113.1".parse().unwrap(),
            names: &[],
            certificate: None,
            user: None,
        };
        assert!(!entitled.has(nobody) && !entitled.is_empty() && Entitled::default().is_empty());
        assert!(!Entitled::default().has(nobody));
        for (address, wanted) in [
            ("192.0.2.1", true),
            ("192.0.2.16", false),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
        ] {
            let client = Client { address: address.parse().unwrap(), ..nobody };
            assert_eq!(entitled.has(client), wanted, "{address}");
        }
        for (name, wanted) in [
            ("gw.branch.test", true),
            ("branch.test", false),
            ("xbranch.test", false),
            ("gw.other.test", true),
            ("a.gw.other.test", false),
        ] {
            let client = Client { names: &[name.to_owned()], ..nobody };
            assert_eq!(entitled.has(client), wanted, "{name}");
        }
        assert!(entitled.has(Client { certificate: Some("00ff"), ..nobody }));
        assert!(!entitled.has(Client { certificate: Some("00fe"), ..nobody }));
        assert!(entitled.has(Client { user: Some("branch"), ..nobody }));
        assert!(!entitled.has(Client { user: Some(""), ..nobody }));
    }
}
