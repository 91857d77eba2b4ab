//! What is known of a session at one moment, shared unchanged with whoever is asked about it.
//! Knows neither how the facts were learnt nor who reads them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use crate::{Address, ChannelBindings, Mechanism, MessageSlots, ReversePath};

/// A snapshot of one session. A reader keeps the `Arc` it was given; the session changes a copy.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The session's id: unique in this process, the same in logs and plug-ins.
    pub id: u64,
    /// Who is connected, and where.
    pub peer: Arc<Peer>,
    /// What protects the connection; none: clear text.
    pub tls: Option<Arc<Tls>>,
    /// Who has logged in; none: nobody.
    pub authenticated: Option<Arc<Authenticated>>,
    /// The accepted HELO or EHLO.
    pub helo: Option<Helo>,
    /// The sender of the open transaction.
    pub sender: Option<ReversePath>,
    /// The accepted recipients of the open transaction.
    pub recipients: Vec<Address>,
    /// How plug-ins marked the open transaction, oldest first; a mark occurs once.
    pub tags: Vec<Arc<str>>,
    /// What others keep for the message; none: there is no message. From before MAIL on, also of one that is refused.
    pub slots: Option<MessageSlots>,
    /// What plug-ins said of this session, oldest first; a name occurs once.
    pub attributes: Vec<Attribute>,
}

/// The two ends of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The client's address.
    pub remote: SocketAddr,
    /// The address it connected to.
    pub local: SocketAddr,
    /// The client's address as text, exactly as inet_ntop prints it.
    pub remote_text: Box<str>,
    /// Our address as text.
    pub local_text: Box<str>,
    /// The name of the listener that accepted the connection.
    pub listener: Box<str>,
    /// The client's host name, where a proxy that is trusted has told it.
    pub name: Option<Box<str>>,
    /// Where the connection itself came from, when a proxy that is trusted has told who its client is.
    pub proxy: Option<Proxy>,
}

/// A proxy that has told who its client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Its address.
    pub address: SocketAddr,
    /// Its IP address as text, exactly as inet_ntop prints it.
    pub text: Box<str>,
}

impl Proxy {
    /// Describes one that has connected from `address`.
    pub fn new(address: SocketAddr) -> Self {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        Self { address, text: address_text(address.ip()).into() }
    }
}

impl Peer {
    /// Describes a connection from `remote` to `local`, accepted by `listener`. An IPv4 address in the form of IPv6 is
    /// taken for what it is.
    pub fn new(remote: SocketAddr, local: SocketAddr, listener: &str) -> Self {
        let [remote, local] = [remote, local]
            .map(|address| SocketAddr::new(address.ip().to_canonical(), address.port()));
        Self {
            remote,
            local,
            remote_text: address_text(remote.ip()).into(),
            local_text: address_text(local.ip()).into(),
            listener: listener.into(),
            name: None,
            proxy: None,
        }
    }

    /// The same client, of whom a proxy at this address has told.
    #[must_use]
    pub fn through(mut self, proxy: SocketAddr) -> Self {
        self.proxy = Some(Proxy::new(proxy));
        self
    }
}

/// An address exactly as inet_ntop prints it. Rust differs in one thing: it has no form for IPv4-compatible addresses.
fn address_text(address: IpAddr) -> String {
    match address {
        IpAddr::V6(address) if is_ipv4_compatible(address) => {
            let [.., a, b, c, d] = address.octets();
            format!("::{a}.{b}.{c}.{d}")
        }
        other => other.to_string(),
    }
}

/// RFC 4291 section 2.5.5.1, as far as inet_ntop goes by it.
fn is_ipv4_compatible(address: Ipv6Addr) -> bool {
    let [zeros @ .., high, _] = address.segments();
    zeros == [0; 6] && high != 0
}

/// What a TLS handshake came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Such as `TLSv1.3`.
    pub version: Box<str>,
    /// The cipher suite by its IANA name.
    pub cipher: Box<str>,
    /// The name that the client asked for (SNI), in lower case.
    pub server_name: Option<Box<str>>,
    /// The certificate that the client has shown, if it has.
    pub client: Option<ClientCertificate>,
    /// What an authentication can be bound to the connection by.
    pub bindings: ChannelBindings,
}

/// A client's certificate. The client has proved that the key is its own; that anybody vouches for the name was not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The name in it, as RFC 4514 writes it: whatever the client likes.
    pub subject: Box<str>,
    /// The SHA-256 digest of the whole certificate, in lower-case hexadecimal.
    pub sha256: Box<str>,
}

/// Who has logged in, and how (RFC 4954).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// The user's name as it is kept, or as a plug-in or a trusted proxy gave it.
    pub identity: Box<str>,
    /// The mechanism; none: they have with a proxy, which has told so by XCLIENT.
    pub mechanism: Option<Mechanism>,
}

impl Authenticated {
    /// The mechanism's name, as it is announced; `XCLIENT` where a proxy has told.
    pub fn mechanism_name(&self) -> &'static str {
        self.mechanism.map_or("XCLIENT", Mechanism::name)
    }
}

/// How the client introduced itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helo {
    /// The name it gave.
    pub name: Box<str>,
    /// EHLO rather than HELO.
    pub extended: bool,
}

/// A named remark of a plug-in about a session, readable by every later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name, for example `relay_granted`.
    pub name: Arc<str>,
    /// Its value; for a switch `1`.
    pub value: Arc<str>,
    /// The plug-in that set it.
    pub plugin: Arc<str>,
}

impl Attribute {
    /// In the place of a plug-in's name where the core has set it: no plug-in can be called so.
    pub const CORE: &'static str = "(core)";
}

impl Facts {
    /// Permission to relay to any destination: set by a plug-in, or for who has logged in where the listener says so.
    pub const RELAY_GRANTED: &'static str = "relay_granted";

    /// Starts the facts of a session that knows its peer and nothing else.
    pub fn new(id: u64, peer: Arc<Peer>) -> Self {
        Self {
            id,
            peer,
            tls: None,
            authenticated: None,
            helo: None,
            sender: None,
            recipients: Vec::new(),
            tags: Vec::new(),
            slots: None,
            attributes: Vec::new(),
        }
    }

    /// The value of an attribute, if a plug-in set it.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| &*attribute.name == name)
    }

    /// Sets an attribute, replacing an earlier value of the same name.
    pub fn set_attribute(&mut self, attribute: Attribute) {
        match self.attributes.iter_mut().find(|known| known.name == attribute.name) {
            Some(known) => *known = attribute,
            None => self.attributes.push(attribute),
        }
    }

    /// Adds a recipient, unless they are there.
    pub fn add_recipient(&mut self, recipient: &Address) {
        if !self.recipients.iter().any(|known| known.is_same_as(recipient)) {
            self.recipients.push(recipient.clone());
        }
    }

    /// Takes a recipient out, if they are there.
    pub fn remove_recipient(&mut self, recipient: &Address) {
        self.recipients.retain(|known| !known.is_same_as(recipient));
    }

    /// Puts a recipient in the place of another, if they are there; one who is there elsewhere is kept once.
    pub fn replace_recipient(&mut self, replaced: &Address, by: &Address) {
        let place = |of: &Address| self.recipients.iter().position(|known| known.is_same_as(of));
        let Some(at) = place(replaced) else { return };
        if place(by).is_some_and(|elsewhere| elsewhere != at) {
            self.recipients.remove(at);
        } else {
            self.recipients[at] = by.clone();
        }
    }

    /// Marks the open transaction, unless it is marked so.
    pub fn add_tag(&mut self, name: &str) {
        if !self.tags.iter().any(|known| **known == *name) {
            self.tags.push(name.into());
        }
    }

    /// Whether a plug-in allowed this session to relay.
    pub fn relay_granted(&self) -> bool {
        self.attribute(Self::RELAY_GRANTED).is_some_and(|attribute| &*attribute.value == "1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_inet_ntop_does() {
        // The second column is what glibc prints.
        let cases = [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("::", "::"),
            ("::1", "::1"),
            ("::ffff", "::ffff"),
            ("::1:0", "::0.1.0.0"),
            ("::192.0.2.1", "::192.0.2.1"),
            ("::ffff:0:192.0.2.1", "::ffff:0:c000:201"),
            ("2001:db8::1", "2001:db8::1"),
            ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
            ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
            ("fe80::1:0:0:0", "fe80::1:0:0:0"),
        ];
        for (written, wanted) in cases {
            let remote = SocketAddr::new(written.parse().unwrap(), 1);
            let peer = Peer::new(remote, remote, "mx");
            assert_eq!((&*peer.remote_text, &*peer.local_text), (wanted, wanted), "{written}");
            assert_eq!(
                peer.remote.is_ipv4(),
                wanted.split('.').count() == 4 && !wanted.contains(':')
            );
        }
    }
}
