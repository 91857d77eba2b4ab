//! Networks as configuration files write them: `"192.0.2.0/24"`, or one address.
//! Knows no field.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::de::{Deserialize, Deserializer};

use super::text::deserialize_text;

/// A network, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network(pub(super) IpNet);

/// Any number of networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Networks(Vec<IpNet>);

impl Networks {
    pub(super) fn new(networks: &[Network]) -> Self {
        Self(networks.iter().map(|network| network.0).collect())
    }

    /// Whether an address is in one of them.
    pub(crate) fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

fn parse(text: &str) -> Result<Network, String> {
    let single = || text.parse().ok().map(|address: IpAddr| IpNet::from(address));
    let network = text.parse().ok().or_else(single).ok_or_else(|| {
        format!(
            "{text:?} is not a network\nwrite one, such as \"192.0.2.0/24\", \"2001:db8::/32\" or \"192.0.2.1\""
        )
    })?;
    if network != network.trunc() {
        return Err(format!(
            "{text:?} is an address within a network\nwrite \"{}\", or \"{}\" for that address alone",
            network.trunc(),
            network.addr()
        ));
    }
    // Clients are never seen in this form.
    if network.addr().to_canonical() != network.addr() {
        return Err(format!(
            "{text:?} is an IPv4 address in the form of IPv6\nwrite it in the form of IPv4"
        ));
    }
    Ok(Network(network))
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        deserialize_text(from, "a network in double quotes, such as \"192.0.2.0/24\"", parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_written_as_what_they_are() {
        for (text, wanted) in [
            ("192.0.2.0/24", Ok("192.0.2.0/24")),
            ("192.0.2.1", Ok("192.0.2.1/32")),
            ("0.0.0.0/0", Ok("0.0.0.0/0")),
            ("2001:db8::/32", Ok("2001:db8::/32")),
            ("::1", Ok("::1/128")),
            ("::/0", Ok("::/0")),
            ("192.0.2.1/24", Err("write \"192.0.2.0/24\"")),
            ("::ffff:192.0.2.1", Err("the form of IPv4")),
            ("::ffff:0:0/96", Err("the form of IPv4")),
            ("192.0.2.0/33", Err("is not a network")),
            ("192.0.2", Err("is not a network")),
            ("host.test", Err("is not a network")),
            ("", Err("is not a network")),
        ] {
            match (parse(text), wanted) {
                (Ok(found), Ok(wanted)) => assert_eq!(found.0.to_string(), wanted),
                (Err(found), Err(wanted)) => assert!(found.contains(wanted), "{text}: {found}"),
                (found, wanted) => panic!("{text}: {found:?}, wanted {wanted:?}"),
            }
        }
    }

    #[test]
    fn an_address_is_in_a_network_of_its_own_kind() {
        let networks = ["192.0.2.0/24", "::/0"].map(|text| parse(text).unwrap());
        let networks = Networks::new(&networks);
        for (address, wanted) in [("192.0.2.9", true), ("192.0.3.9", false), ("2001:db8::1", true)]
        {
            assert_eq!(networks.contain(address.parse().unwrap()), wanted, "{address}");
        }
        assert!(!Networks::default().contain("192.0.2.9".parse().unwrap()));
    }
}
