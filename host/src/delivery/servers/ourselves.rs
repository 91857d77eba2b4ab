//! Which servers are this one: mail that is given to ourselves goes round in a circle.
//! Knows our name and where we listen; asks the system which addresses the machine has, and nobody else.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;

/// This server, as others would find it. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Ourselves {
    /// In small letters.
    name: Box<str>,
    places: Arc<[SocketAddr]>,
}

impl Ourselves {
    /// Of this name, listening nowhere.
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_ascii_lowercase().into(), places: Arc::default() }
    }

    /// The same, listening at these places.
    pub(super) fn listening(self, places: &[SocketAddr]) -> Self {
        Self { places: places.into(), ..self }
    }

    /// Whether a name in small letters is ours.
    pub(super) fn are_called(&self, name: &str) -> bool {
        *self.name == *name
    }

    /// Whether who connects there comes to us, whatever the server is called.
    pub(super) fn are_at(&self, address: SocketAddr) -> bool {
        self.places.iter().any(|own| leads_to(address, *own))
    }
}

/// Whether an address leads to a socket of this machine that listens at `own`, which is for one family alone.
fn leads_to(address: SocketAddr, own: SocketAddr) -> bool {
    let (ip, own_ip) = (address.ip().to_canonical(), own.ip());
    if address.port() != own.port() || ip.is_ipv4() != own_ip.is_ipv4() {
        return false;
    }
    // The system takes the unspecified address for the machine itself.
    let here = ip.is_loopback() || ip.is_unspecified();
    match own_ip {
        _ if ip == own_ip => true,
        _ if own_ip.is_unspecified() => here || is_of_this_machine(ip),
        _ => own_ip.is_loopback() && ip.is_unspecified(),
    }
}

/// Whether the machine has this address: to another's no socket can be bound.
fn is_of_this_machine(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_are_where_we_listen() {
        let cases = [
            ("127.0.0.1:25", "127.0.0.1:25", true),
            ("127.0.0.1:26", "127.0.0.1:25", false),
            ("127.0.0.2:25", "127.0.0.1:25", false),
            ("192.0.2.1:25", "192.0.2.1:25", true),
            ("[::1]:25", "[::1]:25", true),
            ("[::ffff:127.0.0.1]:25", "127.0.0.1:25", true),
            ("[::1]:25", "127.0.0.1:25", false),
            ("0.0.0.0:25", "127.0.0.1:25", true),
            ("0.0.0.0:25", "192.0.2.1:25", false),
            // Every address of the machine, and of nobody else.
            ("127.0.0.9:25", "0.0.0.0:25", true),
            ("0.0.0.0:25", "0.0.0.0:25", true),
            ("192.0.2.1:25", "0.0.0.0:25", false),
            ("[::1]:25", "[::]:25", true),
            ("[2001:db8::1]:25", "[::]:25", false),
            ("127.0.0.1:25", "[::]:25", false),
            ("127.0.0.1:26", "0.0.0.0:25", false),
        ];
        for (address, own, wanted) in cases {
            let ourselves = Ourselves::new("Us.test").listening(&[own.parse().unwrap()]);
            assert_eq!(ourselves.are_at(address.parse().unwrap()), wanted, "{address} at {own}");
        }
        let ourselves = Ourselves::new("Us.test");
        assert!(ourselves.are_called("us.test") && !ourselves.are_called("them.test"));
        assert!(!ourselves.are_at("127.0.0.1:25".parse().unwrap()));
    }
}
