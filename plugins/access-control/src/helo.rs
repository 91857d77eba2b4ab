//! What a client calls itself in EHLO or HELO: whether that is a name at all, and one that it may use.
//! Decides; knows neither the DNS nor a session.

use std::net::IpAddr;

use crate::list::{Hit, List};

/// The rules about names of clients. RFC 5321 section 4.1.4 wants no mail refused for a name that is not the client's:
/// so nothing compares the two, and all of it is off unless the operator wants it.
#[derive(Clone, Debug)]
pub(crate) struct HeloRules {
    pub(crate) deny: List,
    /// Whether it must be a full domain name, or an address in brackets.
    pub(crate) full_name: bool,
    /// Whether the name must exist in the DNS.
    pub(crate) verify: bool,
}

/// May a client call itself so?
#[derive(Clone, Copy, Debug)]
pub(crate) enum Helo<'h> {
    Accepted,
    Denied(Hit<'h>),
    NotFull,
    /// It must exist: whether it does is to be looked up.
    MustExist(&'h str),
}

impl HeloRules {
    pub(crate) fn decide<'h>(&'h self, helo: &'h str) -> Helo<'h> {
        let literal = helo.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let address = address(literal.unwrap_or(helo));
        let hit = match address {
            Some(address) => self.deny.find_address(address.to_canonical()),
            None => self.deny.find_domain(helo),
        };
        match hit {
            Some(hit) => Helo::Denied(hit),
            None if literal.is_some() && address.is_some() => Helo::Accepted,
            None if (self.full_name || self.verify) && !is_full_name(helo) => Helo::NotFull,
            None if self.verify => Helo::MustExist(helo),
            None => Helo::Accepted,
        }
    }
}

/// The address that is written in brackets (RFC 5321 section 4.1.3), or was meant to be.
fn address(text: &str) -> Option<IpAddr> {
    match text.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("ipv6:") => text[5..].parse().ok(),
        _ => text.parse().ok(),
    }
}

/// Whether it is a domain name of several labels, and no address without its brackets.
fn is_full_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253
        && name.contains('.')
        && name.split('.').all(label)
        && !last.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::written::tests::hosts;

    #[test]
    fn names_are_judged_as_the_operator_wants() {
        let word = |rules: &HeloRules, helo: &str| match rules.decide(helo) {
            Helo::Accepted => "accepted".to_owned(),
            Helo::Denied(hit) => format!("denied by {}", hit.entry.text),
            Helo::NotFull => "not full".to_owned(),
            Helo::MustExist(name) => format!("look up {name}"),
        };
        let own = ["mx.here.org", "[192.0.2.25]", "localhost.localdomain", "[2001:db8::25]"];
        let deny = hosts("helo.deny", &own);
        let rules = |full_name, verify| HeloRules { deny: deny.clone(), full_name, verify };
        let (open, full, verified) = (rules(false, false), rules(true, false), rules(true, true));
        for (helo, in_open, in_full, in_verified) in [
            ("mail.a.org", "accepted", "accepted", "look up mail.a.org"),
            (
                "MX.here.org",
                "denied by mx.here.org",
                "denied by mx.here.org",
                "denied by mx.here.org",
            ),
            ("xmx.here.org", "accepted", "accepted", "look up xmx.here.org"),
            (
                "[192.0.2.25]",
                "denied by [192.0.2.25]",
                "denied by [192.0.2.25]",
                "denied by [192.0.2.25]",
            ),
            ("[IPv6:2001:db8::1]", "accepted", "accepted", "accepted"),
            (
                "[ipv6:2001:DB8:0::25]",
                "denied by [2001:db8::25]",
                "denied by [2001:db8::25]",
                "denied by [2001:db8::25]",
            ),
            (
                "[IPv6:::ffff:192.0.2.25]",
                "denied by [192.0.2.25]",
                "denied by [192.0.2.25]",
                "denied by [192.0.2.25]",
            ),
            // Its brackets are forgotten as often as not.
            (
                "192.0.2.25",
                "denied by [192.0.2.25]",
                "denied by [192.0.2.25]",
                "denied by [192.0.2.25]",
            ),
            ("2001:db8::1", "accepted", "not full", "not full"),
            ("[192.0.2.1]", "accepted", "accepted", "accepted"),
            ("192.0.2.1", "accepted", "not full", "not full"),
            ("localhost", "accepted", "not full", "not full"),
            ("a..org", "accepted", "not full", "not full"),
            ("-a.org", "accepted", "not full", "not full"),
            ("a.org.", "accepted", "accepted", "look up a.org."),
            ("[x]", "accepted", "not full", "not full"),
        ] {
            assert_eq!(word(&open, helo), in_open, "{helo}");
            assert_eq!(word(&full, helo), in_full, "{helo}");
            assert_eq!(word(&verified, helo), in_verified, "{helo}");
        }
    }
}
