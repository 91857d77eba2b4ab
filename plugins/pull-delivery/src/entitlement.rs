//! Who is entitled to which nodes, found by what a client is and not by trying one node after the other.
//! Knows nodes by their numbers alone; so the time it takes tells nobody anything of the nodes of others.

use std::collections::{BTreeSet, HashMap};

use ipnet::IpNet;

use crate::node::{Client, Entitled};

/// Whom nodes are for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entitlements {
    networks: HashMap<IpNet, Vec<usize>>,
    /// The lengths that prefixes of networks have: of addresses with 4 octets, and with 16.
    lengths: [BTreeSet<u8>; 2],
    /// A host, or what is below one with a dot before it.
    host_names: HashMap<Box<str>, Vec<usize>>,
    certificates: HashMap<Box<str>, Vec<usize>>,
    users: HashMap<Box<str>, Vec<usize>>,
}

/// The nodes that somebody is entitled to: lists of them, each in order. One may be in several.
#[derive(Clone, Debug, Default)]
pub(crate) struct Granted<'e>(Vec<&'e [usize]>);

impl Entitlements {
    /// Adds a node, behind those of lower numbers.
    pub(crate) fn add(&mut self, number: usize, entitled: &Entitled) {
        let add = |list: &mut Vec<usize>| {
            if list.last() != Some(&number) {
                list.push(number);
            }
        };
        for network in &entitled.networks {
            let family = usize::from(network.addr().is_ipv6());
            self.lengths[family].insert(network.prefix_len());
            add(self.networks.entry(network.trunc()).or_default());
        }
        for host in &entitled.host_names {
            add(self.host_names.entry(host.0.clone()).or_default());
        }
        for digest in &entitled.certificates {
            add(self.certificates.entry(digest.clone()).or_default());
        }
        for user in &entitled.users {
            add(self.users.entry(user.clone()).or_default());
        }
    }

    /// Whether somebody is entitled by the name of their host.
    pub(crate) fn has_host_names(&self) -> bool {
        !self.host_names.is_empty()
    }

    /// Whether somebody is entitled by having logged in.
    pub(crate) fn has_users(&self) -> bool {
        !self.users.is_empty()
    }

    /// The nodes of a client: of each that it fits in one way at least.
    pub(crate) fn of(&self, client: Client<'_>) -> Granted<'_> {
        let mut lists = Vec::new();
        for length in &self.lengths[usize::from(client.address.is_ipv6())] {
            let network = IpNet::new(client.address, *length).ok();
            lists.extend(network.and_then(|network| self.networks.get(&network.trunc())));
        }
        for name in client.names {
            let dots = name.match_indices('.').filter(|(at, _)| *at > 0);
            let keys = std::iter::once(0).chain(dots.map(|(at, _)| at)).map(|at| &name[at..]);
            lists.extend(keys.filter_map(|key| self.host_names.get(key)));
        }
        lists.extend(client.certificate.and_then(|digest| self.certificates.get(digest)));
        lists.extend(client.user.and_then(|user| self.users.get(user)));
        Granted(lists.into_iter().map(Vec::as_slice).collect())
    }

    /// The nodes of a user, in order.
    pub(crate) fn of_user(&self, user: &str) -> Granted<'_> {
        Granted(self.users.get(user).map(Vec::as_slice).into_iter().collect())
    }
}

impl Granted<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn has(&self, number: usize) -> bool {
        self.0.iter().any(|list| list.binary_search(&number).is_ok())
    }

    /// How many there are, those that are in several lists as often.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(|list| list.len()).sum()
    }

    pub(crate) fn numbers(&self) -> impl Iterator<Item = usize> {
        self.0.iter().copied().flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::node::HostName;

    #[test]
    fn one_of_the_four_is_enough() {
        let branch = Entitled {
            networks: ["192.0.2.5/28", "2001:db8::/32"].map(|text| text.parse().unwrap()).into(),
            host_names: [".branch.test", "gw.other.test"].map(|name| HostName(name.into())).into(),
            certificates: vec!["00ff".into()],
            users: vec!["branch".into()],
        };
        let wider = Entitled {
            networks: vec!["192.0.2.0/24".parse().unwrap(), "192.0.2.0/24".parse().unwrap()],
            ..Entitled::default()
        };
        assert!(!branch.is_empty() && Entitled::default().is_empty());
        let mut entitlements = Entitlements::default();
        entitlements.add(0, &Entitled::default());
        entitlements.add(1, &branch);
        entitlements.add(2, &wider);
        let nobody: IpAddr = "203.0.113.1".parse().unwrap();
        let nobody = Client { address: nobody, names: &[], certificate: None, user: None };
        let of = |client: Client<'_>| {
            let granted = entitlements.of(client);
            let numbers: Vec<_> = granted.numbers().collect();
            assert!((0..3).all(|number| granted.has(number) == numbers.contains(&number)));
            assert_eq!((granted.is_empty(), granted.count()), (numbers.is_empty(), numbers.len()));
            numbers
        };
        assert!(of(nobody).is_empty());
        for (address, wanted) in [
            ("192.0.2.1", vec![2, 1]),
            ("192.0.2.16", vec![2]),
            ("192.0.3.1", vec![]),
            ("2001:db8::1", vec![1]),
            ("2001:db9::1", vec![]),
        ] {
            let client = Client { address: address.parse().unwrap(), ..nobody };
            assert_eq!(of(client), wanted, "{address}");
        }
        for (name, wanted) in [
            ("gw.branch.test", vec![1]),
            ("a.gw.branch.test", vec![1]),
            ("branch.test", vec![]),
            ("xbranch.test", vec![]),
            (".branch.test", vec![1]),
            ("gw.other.test", vec![1]),
            ("a.gw.other.test", vec![]),
            ("", vec![]),
        ] {
            let client = Client { names: &[name.to_owned()], ..nobody };
            assert_eq!(of(client), wanted, "{name}");
        }
        assert_eq!(of(Client { certificate: Some("00ff"), ..nobody }), [1]);
        assert!(of(Client { certificate: Some("00fe"), ..nobody }).is_empty());
        assert_eq!(of(Client { user: Some("branch"), ..nobody }), [1]);
        assert!(of(Client { user: Some(""), ..nobody }).is_empty());
        assert_eq!(entitlements.of_user("branch").count(), 1);
        assert!(entitlements.of_user("other").is_empty());
    }
}
