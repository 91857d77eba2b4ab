//! Where to listen and where to connect, as configuration files write it.
//! Knows no DNS: a name stays a name.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use super::name::parse_domain;
use super::routing::{LmtpServer, NextHop, Way};
use super::text::deserialize_text;

/// An IP address and port to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ListenAddress(pub(super) SocketAddr);

fn parse_listen_address(text: &str) -> Result<ListenAddress, String> {
    let address: Result<SocketAddr, _> = text.parse();
    if let Ok(SocketAddr::V6(address)) = &address
        && let Some(mapped) = address.ip().to_ipv4_mapped()
    {
        return Err(format!(
            "{text:?} is an IPv4 address in the form of IPv6\nwrite \"{mapped}:{}\": each socket is for one of the two",
            address.port()
        ));
    }
    address.map(ListenAddress).map_err(|_| {
        format!(
            "{text:?} is not an IP address and port\nwrite both, such as \"127.0.0.1:2525\", \"0.0.0.0:25\" or \"[::1]:2525\""
        )
    })
}

/// The name under which a service manager passes sockets (FileDescriptorName= in systemd.socket(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SocketName(pub(super) String);

fn parse_socket_name(text: &str) -> Result<SocketName, String> {
    let sound = |octet: u8| matches!(octet, b' '..=b'~') && octet != b':';
    if (1..=255).contains(&text.len()) && text.bytes().all(sound) {
        Ok(SocketName(text.to_owned()))
    } else {
        Err(format!(
            "{text:?} is not the name of a socket\nwrite what FileDescriptorName= has in the socket unit, such as \"mx\""
        ))
    }
}

/// The address of a DNS server, on port 53 unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DnsServer(pub(super) SocketAddr);

fn parse_dns_server(text: &str) -> Result<DnsServer, String> {
    let on_53 = text.parse().map(|address: IpAddr| SocketAddr::from((address, 53)));
    let server = on_53.or_else(|_| text.parse()).ok().filter(|server| server.port() != 0);
    server.map(DnsServer).ok_or_else(|| {
        format!(
            "{text:?} is not an IP address\nwrite one, such as \"192.0.2.53\", or one with a port, such as \"127.0.0.1:5353\" or \"[::1]:53\""
        )
    })
}

pub(super) fn parse_next_hop(text: &str) -> Result<NextHop, String> {
    let wrong = || {
        format!(
            "{text:?} is not host:port\nwrite both, such as \"mail.example.org:25\", \"192.0.2.1:25\" or \"[2001:db8::1]:25\""
        )
    };
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let digits = (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    let port = port.parse::<u16>().ok().filter(|port| digits && *port != 0).ok_or_else(wrong)?;
    let host = match host.strip_prefix('[').map(|rest| rest.strip_suffix(']')) {
        Some(literal) => {
            let address: Option<std::net::Ipv6Addr> = literal.and_then(|inner| inner.parse().ok());
            address.ok_or_else(wrong)?.to_string()
        }
        None => parse_domain(host).map_err(|_| wrong())?,
    };
    Ok(NextHop { host, port })
}

/// So many servers of one route at most: more would not be tried within one attempt.
const HOSTS_MAX: usize = 8;

fn parse_way(text: &str) -> Result<Way, String> {
    match text {
        "mx" => return Ok(Way::Mx(None)),
        "discard" => return Ok(Way::Discard),
        _ => {}
    }
    match text.strip_prefix("mx:") {
        Some(domain) => parse_domain(domain).map(|domain| Way::Mx(Some(domain))),
        None if text.contains(':') => parse_next_hop(text).map(|host| Way::Hosts(vec![host])),
        None => Err(format!(
            "{text:?} is no way to go\nwrite a server and its port, such as \"mail.example.org:25\", or \"mx\", \"mx:example.org\" or \"discard\"; mail that somebody fetches has hold = ... in its place"
        )),
    }
}

impl Way {
    /// Parses a way as `next_hop` has it, of one server at most.
    ///
    /// # Errors
    /// What is wrong with it, and what to write.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        parse_way(text)
    }
}

fn parse_lmtp_server(text: &str) -> Result<LmtpServer, String> {
    if text.starts_with('/') {
        return Ok(LmtpServer::Socket(text.into()));
    }
    parse_next_hop(text).map(LmtpServer::Host).map_err(|_| {
        format!(
            "{text:?} is neither host:port nor a path\nwrite a server such as \"127.0.0.1:24\", or the whole path of a socket such as \"/run/dovecot/lmtp\""
        )
    })
}

impl<'de> Deserialize<'de> for ListenAddress {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let expecting = "an IP address and port in double quotes, such as \"127.0.0.1:2525\"";
        deserialize_text(from, expecting, parse_listen_address)
    }
}

impl<'de> Deserialize<'de> for SocketName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let expecting = "the name of a socket in double quotes, such as \"mx\"";
        deserialize_text(from, expecting, parse_socket_name)
    }
}

impl<'de> Deserialize<'de> for DnsServer {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let expecting = "an IP address in double quotes, such as \"192.0.2.53\"";
        deserialize_text(from, expecting, parse_dns_server)
    }
}

impl<'de> Deserialize<'de> for LmtpServer {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let expecting = "host:port or the path of a socket in double quotes";
        deserialize_text(from, expecting, parse_lmtp_server)
    }
}

impl<'de> Deserialize<'de> for Way {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct OneOrList;

        impl<'de> Visitor<'de> for OneOrList {
            type Value = Way;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(
                    "host:port in double quotes, such as \"mail.example.org:25\", a list of them, \"mx\" or \"discard\"",
                )
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Way, E> {
                parse_way(text).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Way, A::Error> {
                let mut hosts = Vec::new();
                while let Some(text) = list.next_element::<String>()? {
                    hosts.push(parse_next_hop(&text).map_err(A::Error::custom)?);
                }
                if (1..=HOSTS_MAX).contains(&hosts.len()) {
                    return Ok(Way::Hosts(hosts));
                }
                Err(A::Error::custom(format!(
                    "{} servers are named\nwrite 1 to {HOSTS_MAX} of them",
                    hosts.len()
                )))
            }
        }

        from.deserialize_any(OneOrList)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_have_names_that_a_socket_unit_can_give_them() {
        let long = "x".repeat(256);
        for (text, wanted) in [
            ("mx", true),
            ("stagepost-mx.socket", true),
            ("", false),
            ("a:b", false),
            ("a\tb", false),
            ("\u{e9}", false),
            (&long[1..], true),
            (&long, false),
        ] {
            assert_eq!(parse_socket_name(text).is_ok(), wanted, "{text:?}");
        }
    }

    #[test]
    fn dns_servers_are_addresses() {
        for (text, wanted) in [
            ("192.0.2.53", Some("192.0.2.53:53")),
            ("127.0.0.1:5353", Some("127.0.0.1:5353")),
            ("2001:db8::53", Some("[2001:db8::53]:53")),
            ("[::1]:5353", Some("[::1]:5353")),
            ("192.0.2.53:0", None),
            ("[::1]", None),
            ("dns.example.org", None),
            ("", None),
        ] {
            let found = parse_dns_server(text).ok().map(|server| server.0.to_string());
            assert_eq!(found.as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn next_hops_name_host_and_port() {
        let hop = |host: &str, port| Some(NextHop { host: host.to_owned(), port });
        let cases = [
            ("mail.example.org:25", hop("mail.example.org", 25)),
            ("Mail.Example.org:2525", hop("mail.example.org", 2525)),
            ("192.0.2.1:25", hop("192.0.2.1", 25)),
            ("[2001:DB8::1]:25", hop("2001:db8::1", 25)),
            ("mail.example.org", None),
            ("mail.example.org:", None),
            (":25", None),
            ("mail.example.org:0", None),
            ("mail.example.org:65536", None),
            ("mail.example.org:+25", None),
            ("mail_1:25", None),
            ("2001:db8::1:25", None),
            ("[192.0.2.1]:25", None),
            ("[2001:db8::1:25", None),
            ("[]:25", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(parse_next_hop(text).ok(), wanted, "{text:?}");
        }
        assert_eq!(parse_next_hop("[::1]:25").unwrap().to_string(), "[::1]:25");
        assert_eq!(parse_next_hop("a.example:25").unwrap().to_string(), "a.example:25");
    }

    #[test]
    fn ways_are_servers_or_what_the_dns_names() {
        #[derive(serde::Deserialize)]
        struct Sample {
            way: Way,
        }
        let read = |value: &str| {
            let sample = toml::from_str::<Sample>(&format!("way = {value}"));
            sample.ok().map(|sample| sample.way.to_string())
        };
        let nine = format!("[{}]", "\"a.test:25\",".repeat(9));
        let cases = [
            ("\"a.test:25\"", Some("a.test:25")),
            ("[\"A.test:25\", \"[::1]:26\"]", Some("a.test:25, [::1]:26")),
            ("\"mx\"", Some("mx")),
            ("\"mx:Example.org\"", Some("mx:example.org")),
            ("\"discard\"", Some("discard")),
            ("[]", None),
            (nine.as_str(), None),
            ("[\"mx\"]", None),
            ("[\"a.test:25\", 25]", None),
            ("\"mx:\"", None),
            ("\"hold\"", None),
            ("25", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(read(text).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn lmtp_is_spoken_on_a_port_or_a_socket() {
        let host = |host: &str, port| LmtpServer::Host(NextHop { host: host.to_owned(), port });
        let cases = [
            ("127.0.0.1:24", Some(host("127.0.0.1", 24))),
            ("/run/lmtp", Some(LmtpServer::Socket("/run/lmtp".into()))),
            ("run/lmtp", None),
            ("127.0.0.1", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(parse_lmtp_server(text).ok(), wanted, "{text}");
        }
    }

    #[test]
    fn listen_addresses_are_an_ip_address_and_a_port() {
        let cases = [
            ("127.0.0.1:2525", true),
            ("0.0.0.0:0", true),
            ("[::1]:25", true),
            ("localhost:25", false),
            ("127.0.0.1", false),
            (":25", false),
            ("25", false),
            ("*:25", false),
            ("::1:25", false),
            ("[::ffff:192.0.2.1]:25", false),
            ("[::ffff:0:0]:25", false),
        ];
        for (text, wanted) in cases {
            assert_eq!(parse_listen_address(text).is_ok(), wanted, "{text:?}");
        }
    }
}
