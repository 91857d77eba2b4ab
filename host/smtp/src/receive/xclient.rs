//! XCLIENT: a proxy that is trusted tells who its client is, and the session begins anew with that one.
//! Has the form that Postfix gives it; who is trusted is for the caller to say.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::command::{is_client_name, syntax};
use super::patience::Tally;
use super::session::Session;
use super::state::Place;
use crate::{Authenticated, Helo, Peer, Proxy, Reply};

/// What can be told, as it is announced.
pub(crate) const ATTRIBUTES: &str = "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT";

const FORM: &str = "Syntax: XCLIENT attribute=value [attribute=value ...]";

/// One thing that a proxy may tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Told<T> {
    /// Nothing: it stays as it was.
    #[default]
    Nothing,
    /// That it is not known.
    Unknown,
    /// This.
    Value(T),
}

/// All that one command tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Xclient {
    name: Told<Box<str>>,
    address: Told<IpAddr>,
    port: Told<u16>,
    extended: Told<bool>,
    helo: Told<Box<str>>,
    login: Told<Box<str>>,
    local_address: Told<IpAddr>,
    local_port: Told<u16>,
}

impl Session {
    /// The same session, whose client may tell of another one by XCLIENT.
    #[must_use]
    pub fn with_xclient(mut self) -> Self {
        self.xclient = true;
        self
    }

    /// Begins anew with the client that was told of: nothing stays that was learnt from the proxy, beside TLS.
    pub(super) fn proceed_xclient(&mut self, told: &Xclient) {
        self.forget_transaction();
        self.place = Place::Stranger;
        self.withheld = Vec::new();
        self.tally = Tally::default();
        self.logins_refused = 0;
        self.welcome_attributes = Vec::new();
        self.welcomed_at = self.exchange;
        let facts = Arc::make_mut(&mut self.facts);
        let user = told.user(facts.authenticated.take().as_deref());
        facts.attributes.clear();
        facts.peer = Arc::new(told.peer(&facts.peer));
        facts.helo = told.hello(facts.helo.take());
        if let Some(user) = user {
            self.log_in(None, user);
        }
        self.open();
    }
}

impl Xclient {
    /// Reads what follows the verb.
    ///
    /// # Errors
    /// The reply to it.
    pub(crate) fn parse(argument: &str) -> Result<Self, Reply> {
        let mut told = Self::default();
        let mut seen: Vec<String> = Vec::new();
        for word in argument.split(' ').filter(|word| !word.is_empty()) {
            let (name, value) = word.split_once('=').ok_or_else(|| syntax(FORM))?;
            let name = name.to_ascii_uppercase();
            if seen.contains(&name) || told.take(&name, value).is_none() {
                let words = format!("Bad XCLIENT attribute: {word}");
                return Err(Reply::new(501, Some((5, 5, 4)), words));
            }
            seen.push(name);
        }
        if seen.is_empty() { Err(syntax(FORM)) } else { Ok(told) }
    }

    /// Takes one attribute; none when it is not known or its value is not one.
    fn take(&mut self, name: &str, value: &str) -> Option<()> {
        let known = ["[UNAVAILABLE]", "[TEMPUNAVAIL]"];
        let unknown = known.iter().any(|unknown| unknown.eq_ignore_ascii_case(value));
        let value = if unknown { None } else { Some(decoded(value)?) };
        match name {
            "NAME" => self.name = Told::of(value, |text| host_name(&text))?,
            "ADDR" => self.address = Told::of(value, |text| address(&text))?,
            "PORT" => self.port = Told::of(value, |text| port(&text))?,
            "PROTO" => self.extended = Told::of(value, |text| protocol(&text))?,
            "HELO" => self.helo = Told::of(value, |text| words(&text))?,
            "LOGIN" => self.login = Told::of(value, |text| user(&text))?,
            "DESTADDR" => self.local_address = Told::of(value, |text| address(&text))?,
            "DESTPORT" => self.local_port = Told::of(value, |text| port(&text))?,
            _ => return None,
        }
        Some(())
    }

    /// The two ends as they are now known.
    fn peer(&self, old: &Peer) -> Peer {
        let remote = end(&self.address, &self.port, old.remote);
        let local = end(&self.local_address, &self.local_port, old.local);
        let mut peer = Peer::new(remote, local, &old.listener);
        peer.name = match (&self.name, &self.address) {
            (Told::Value(name), _) => Some(name.clone()),
            (Told::Nothing, Told::Nothing) => old.name.clone(),
            // Another address, so not that one's name.
            _ => None,
        };
        peer.proxy = old.proxy.clone().or_else(|| Some(Proxy::new(old.remote)));
        peer
    }

    /// Who has logged in with the proxy. As whom the proxy has logged in here is nobody's but its own.
    fn user(&self, old: Option<&Authenticated>) -> Option<Box<str>> {
        match &self.login {
            Told::Value(name) => Some(name.clone()),
            Told::Unknown => None,
            Told::Nothing => {
                old.filter(|old| old.mechanism.is_none()).map(|old| old.identity.clone())
            }
        }
    }

    /// How the client has introduced itself to the proxy.
    fn hello(&self, old: Option<Helo>) -> Option<Helo> {
        let extended = match self.extended {
            Told::Value(extended) => extended,
            _ => old.is_none_or(|old| old.extended),
        };
        match &self.helo {
            Told::Value(name) => Some(Helo { name: name.clone(), extended }),
            // What the proxy has said of itself is not what its client says.
            Told::Nothing | Told::Unknown => None,
        }
    }
}

impl<T> Told<T> {
    /// None when the value has not its form.
    fn of(value: Option<String>, read: impl FnOnce(String) -> Option<T>) -> Option<Self> {
        match value {
            None => Some(Self::Unknown),
            Some(text) => read(text).map(Self::Value),
        }
    }
}

/// An address that is not known must not stay the proxy's, which plug-ins may trust; nor its port without it.
fn end(address: &Told<IpAddr>, port: &Told<u16>, old: SocketAddr) -> SocketAddr {
    let (ip, old_port) = match address {
        Told::Nothing => (old.ip(), old.port()),
        Told::Unknown => (Ipv4Addr::UNSPECIFIED.into(), 0),
        Told::Value(ip) => (*ip, 0),
    };
    match port {
        Told::Nothing => SocketAddr::new(ip, old_port),
        Told::Unknown => SocketAddr::new(ip, 0),
        Told::Value(port) => SocketAddr::new(ip, *port),
    }
}

/// Text out of xtext (RFC 3461 section 4), printable ASCII alone.
fn decoded(xtext: &str) -> Option<String> {
    let mut text = String::new();
    let mut octets = xtext.bytes();
    while let Some(octet) = octets.next() {
        let octet = match octet {
            b'+' => {
                let (high, low) = (digit(octets.next()?)?, digit(octets.next()?)?);
                high << 4 | low
            }
            other => other,
        };
        matches!(octet, b' '..=b'~').then(|| text.push(octet.into()))?;
    }
    Some(text)
}

fn digit(octet: u8) -> Option<u8> {
    match octet {
        b'0'..=b'9' => Some(octet - b'0'),
        b'A'..=b'F' => Some(octet - b'A' + 10),
        // Postfix takes them, RFC 3461 does not have them.
        b'a'..=b'f' => Some(octet - b'a' + 10),
        _ => None,
    }
}

fn host_name(text: &str) -> Option<Box<str>> {
    (!text.starts_with('[') && is_client_name(text)).then(|| text.into())
}

fn address(text: &str) -> Option<IpAddr> {
    match text.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPV6:") => text[5..].parse().ok().map(IpAddr::V6),
        _ => text.parse().ok().map(IpAddr::V4),
    }
}

fn port(text: &str) -> Option<u16> {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

fn protocol(text: &str) -> Option<bool> {
    match text.to_ascii_uppercase().as_str() {
        "SMTP" => Some(false),
        "ESMTP" => Some(true),
        _ => None,
    }
}

/// What a client may say to a proxy that is more lenient than we are, as long as it is one word.
fn words(text: &str) -> Option<Box<str>> {
    let sound = (1..=255).contains(&text.len()) && !text.contains(' ');
    sound.then(|| text.into())
}

/// A user's name: what it is made of is for who has it from their own users to know.
fn user(text: &str) -> Option<Box<str>> {
    (1..=255).contains(&text.len()).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy() -> Peer {
        Peer::new(([10, 0, 0, 1], 4000).into(), ([10, 0, 0, 2], 25).into(), "mx")
    }

    #[test]
    fn a_proxy_tells_what_it_knows() {
        // Remote, name, local; then the name of HELO and whether it is EHLO.
        let cases = [
            ("ADDR=192.0.2.1", "192.0.2.1:0 - 10.0.0.2:25", "-"),
            ("addr=192.0.2.1 port=99", "192.0.2.1:99 - 10.0.0.2:25", "-"),
            ("ADDR=IPV6:2001:db8::1 PORT=9", "[2001:db8::1]:9 - 10.0.0.2:25", "-"),
            ("ADDR=ipv6:::ffff:192.0.2.1 NAME=a.test", "192.0.2.1:0 a.test 10.0.0.2:25", "-"),
            ("ADDR=[UNAVAILABLE] NAME=[TEMPUNAVAIL]", "0.0.0.0:0 - 10.0.0.2:25", "-"),
            ("NAME=mail+2Ea.test", "10.0.0.1:4000 mail.a.test 10.0.0.2:25", "-"),
            ("PORT=[unavailable]", "10.0.0.1:0 - 10.0.0.2:25", "-"),
            ("DESTADDR=192.0.2.9 DESTPORT=587", "10.0.0.1:4000 - 192.0.2.9:587", "-"),
            ("HELO=a.test PROTO=SMTP", "10.0.0.1:4000 - 10.0.0.2:25", "HELO a.test"),
            ("HELO=strange!name", "10.0.0.1:4000 - 10.0.0.2:25", "EHLO strange!name"),
            ("HELO=[UNAVAILABLE] PROTO=ESMTP", "10.0.0.1:4000 - 10.0.0.2:25", "-"),
        ];
        for (argument, ends, hello) in cases {
            let told = Xclient::parse(argument).unwrap();
            let peer = told.peer(&proxy());
            let name = peer.name.as_deref().unwrap_or("-");
            assert_eq!(format!("{} {name} {}", peer.remote, peer.local), ends, "{argument}");
            assert_eq!(peer.proxy, Some(Proxy::new(proxy().remote)), "{argument}");
            let old = Some(Helo { name: "proxy".into(), extended: true });
            let found = told.hello(old).map_or_else(
                || "-".to_owned(),
                |helo| format!("{} {}", if helo.extended { "EHLO" } else { "HELO" }, helo.name),
            );
            assert_eq!(found, hello, "{argument}");
        }
    }

    #[test]
    fn a_user_is_the_clients_and_not_the_proxys() {
        let known = |mechanism| Authenticated { identity: "proxy".into(), mechanism };
        let (told, logged_in) = (known(None), known(Some(crate::Mechanism::Plain)));
        let cases = [
            ("LOGIN=bob", None, Some("bob")),
            ("login=bob+20b+40a.test", Some(&logged_in), Some("bob b@a.test")),
            ("LOGIN=[UNAVAILABLE]", Some(&told), None),
            ("ADDR=192.0.2.1", Some(&told), Some("proxy")),
            ("ADDR=192.0.2.1", Some(&logged_in), None),
            ("ADDR=192.0.2.1", None, None),
        ];
        for (argument, old, wanted) in cases {
            let user = Xclient::parse(argument).unwrap().user(old);
            assert_eq!(user.as_deref(), wanted, "{argument} after {old:?}");
        }
        let long = format!("LOGIN={}", "u".repeat(256));
        assert_eq!(Xclient::parse(&long).map_err(|reply| reply.code()), Err(501));
    }

    #[test]
    fn the_connection_stays_known_however_often_it_is_told() {
        let first = Xclient::parse("ADDR=192.0.2.1 NAME=a.test").unwrap().peer(&proxy());
        let second = Xclient::parse("PORT=7").unwrap().peer(&first);
        assert_eq!((second.name.as_deref(), second.remote.port()), (Some("a.test"), 7));
        assert_eq!((second.remote.ip(), &second.proxy), (first.remote.ip(), &first.proxy));
        let third = Xclient::parse("ADDR=192.0.2.2").unwrap().peer(&second);
        assert_eq!((third.name, third.remote.port()), (None, 0));
    }

    #[test]
    fn what_is_no_attribute_is_refused() {
        for argument in [
            "",
            " ",
            "ADDR",
            "ADDR=",
            "ADDR=192.0.2.1.5",
            "ADDR=2001:db8::1",
            "ADDR=IPV6:192.0.2.1",
            "ADDR=host.test",
            "ADDR=192.0.2.1 ADDR=192.0.2.2",
            "ADDR=192.0.2.1 addr=192.0.2.2",
            "PORT=65536",
            "PORT=+25",
            "PORT=-1",
            "NAME=a..b",
            "NAME=[192.0.2.1]",
            "NAME=a+0Ab",
            "NAME=a+2",
            "NAME=a+GG",
            "PROTO=LMTP",
            "HELO=a+20b",
            "HELO=",
            "LOGIN=",
            "LOGIN=a+00b",
            "FOO=bar",
        ] {
            let refused = Xclient::parse(argument).map_err(|reply| reply.code());
            assert_eq!(refused, Err(501), "{argument:?}");
        }
    }
}
