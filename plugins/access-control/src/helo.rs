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
        let address = literal.and_then(|literal| {
            literal.strip_prefix("IPv6:").unwrap_or(literal).parse::<IpAddr>().ok()
        });
        let hit = match address {
            Some(address) => self.deny.find_address(address.to_canonical()),
            None => self.deny.find_domain(helo),
        };
        match hit {
            Some(hit) => Helo::Denied(hit),
            None if address.is_some() => Helo::Accepted,
            None if (self.full_name || self.verify) && !is_full_name(helo) => Helo::NotFull,
            None if self.verify => Helo::MustExist(helo),
            None => Helo::Accepted,
        }
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
        let deny = hosts("helo.deny", &["mx.here.org", "[192.0.2.25]", "localhost.localdomain"]);
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
