//! Who may connect: the lists of hosts that are allowed and denied, and whether a host needs a name.
//! Decides; knows neither the DNS nor a session.

use crate::list::{Hit, List};
use crate::peer::{HostName, Peer, Trust};

/// When a host that may not connect is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RefuseAt {
    /// By the greeting; every command but QUIT is refused.
    Connect,
    /// At MAIL.
    Mail,
    /// At RCPT.
    Rcpt,
}

/// The rules about connections.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionRules {
    /// Without entries everybody may connect who is not denied.
    pub(crate) allow: List,
    pub(crate) deny: List,
    /// Whether a host whose address is allowed is refused for its name.
    pub(crate) strict_deny: bool,
    /// Whether a host must have a name in the DNS.
    pub(crate) verify_host_name: bool,
    /// Which names are allowed to connect.
    pub(crate) trust: Trust,
    pub(crate) refuse_at: RefuseAt,
}

/// May a host connect?
#[derive(Clone, Copy, Debug)]
pub(crate) enum Connection<'l> {
    /// Yes; by which entry, or because nothing speaks against it.
    Accepted(Option<Hit<'l>>),
    /// No, by this entry.
    Denied(Hit<'l>),
    /// No: some hosts are allowed, and this one is not among them.
    NotAllowed(&'l List),
    /// Not now: its name might be allowed, and the DNS does not say it.
    NameUnknown(&'l List),
    /// It depends on its name.
    NeedsName,
}

/// Has a host the name that it needs?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verified {
    /// It has, or needs none.
    Yes,
    /// It has none.
    No,
    /// Nobody knows now.
    Trouble,
    /// Nobody has asked.
    NeedsName,
}

impl ConnectionRules {
    /// Decides by the address, and by the name where that has to be.
    pub(crate) fn decide(&self, peer: Peer<'_>) -> Connection<'_> {
        if let Some(hit) = self.deny.find_address(peer.address) {
            return Connection::Denied(hit);
        }
        let allowed = self.allow.find_address(peer.address);
        let denied_by_name = self.strict_deny || allowed.is_none();
        if *peer.name == HostName::NotAsked {
            let allow_asks = allowed.is_none() && self.allow.has_names();
            if allow_asks || denied_by_name && self.deny.has_names() {
                return Connection::NeedsName;
            }
        }
        if denied_by_name && let Some(hit) = peer.find_name(&self.deny, Trust::Claimed) {
            return Connection::Denied(hit);
        }
        if allowed.is_some() || self.allow.is_empty() {
            return Connection::Accepted(allowed);
        }
        match peer.find_name(&self.allow, self.trust) {
            Some(hit) => Connection::Accepted(Some(hit)),
            None if *peer.name == HostName::Trouble && self.allow.has_names() => {
                Connection::NameUnknown(&self.allow)
            }
            None => Connection::NotAllowed(&self.allow),
        }
    }

    /// Decides whether the host has the name that it needs to send mail.
    pub(crate) fn verify(&self, name: &HostName) -> Verified {
        match name {
            _ if !self.verify_host_name => Verified::Yes,
            HostName::Found(_) => Verified::Yes,
            HostName::Missing => Verified::No,
            HostName::Trouble => Verified::Trouble,
            HostName::NotAsked => Verified::NeedsName,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::Name;
    use crate::written::tests::hosts;

    fn rules(allow: &[&str], deny: &[&str]) -> ConnectionRules {
        ConnectionRules {
            allow: hosts("connection.allow", allow),
            deny: hosts("connection.deny", deny),
            strict_deny: false,
            verify_host_name: false,
            trust: Trust::Claimed,
            refuse_at: RefuseAt::Connect,
        }
    }

    fn named(name: &str, confirmed: bool) -> HostName {
        HostName::Found(vec![Name { text: name.to_owned(), confirmed }])
    }

    /// The decision in a word, with the list that made it. Asks for the name only when the rules do.
    fn decided(rules: &ConnectionRules, address: &str, name: &HostName) -> String {
        let address = address.parse().unwrap();
        let not_asked = Peer { address, name: &HostName::NotAsked };
        let (asked, decision) = match rules.decide(not_asked) {
            Connection::NeedsName => ("asked, ", rules.decide(Peer { address, name })),
            decision => ("", decision),
        };
        let word = match decision {
            Connection::Accepted(None) => "accepted".to_owned(),
            Connection::Accepted(Some(hit)) => format!("accepted by {}", hit.entry.text),
            Connection::Denied(hit) => format!("denied by {}", hit.entry.text),
            Connection::NotAllowed(list) => format!("not in {}", list.name()),
            Connection::NameUnknown(_) => "unknown".to_owned(),
            Connection::NeedsName => "asks again".to_owned(),
        };
        format!("{asked}{word}")
    }

    #[test]
    fn the_tables_of_connections_hold() {
        let (none, trouble) = (HostName::Missing, HostName::Trouble);
        let smtp = named("smtp.abc.com", true);
        let (ip, other) = ("192.0.2.10", "192.0.2.11");
        let entry = "[192.0.2.10]";
        #[allow(clippy::type_complexity, reason = "the columns of the table, as it stands")]
        let cases: [(&str, &[&str], &[&str], &str, &HostName, &str); 19] = [
            ("C1", &[], &[], ip, &none, "accepted"),
            ("C2", &[entry], &[], ip, &none, "accepted by [192.0.2.10]"),
            ("C3", &[entry], &[], other, &none, "not in connection.allow"),
            ("C4", &["abc.com"], &[], ip, &smtp, "asked, accepted by abc.com"),
            (
                "C4 itself",
                &["abc.com"],
                &[],
                ip,
                &named("abc.com", true),
                "asked, accepted by abc.com",
            ),
            ("C5 none", &["abc.com"], &[], ip, &none, "asked, not in connection.allow"),
            ("C5 trouble", &["abc.com"], &[], ip, &trouble, "asked, unknown"),
            ("C6", &[], &["abc.com"], ip, &none, "asked, accepted"),
            ("C6 trouble", &[], &["abc.com"], ip, &trouble, "asked, accepted"),
            ("C6 named", &[], &["abc.com"], ip, &smtp, "asked, denied by abc.com"),
            ("C7", &[], &["abc.com"], ip, &named("xyzabc.com", true), "asked, accepted"),
            ("C8", &[], &[".abc.com"], ip, &named("mail.abc.com", true), "accepted"),
            ("C9", &[entry], &[entry], ip, &none, "denied by [192.0.2.10]"),
            ("C9 names", &["abc.com"], &["abc.com"], ip, &smtp, "asked, denied by abc.com"),
            (
                "C10",
                &[entry],
                &["abc.com"],
                ip,
                &named("x.abc.com", true),
                "accepted by [192.0.2.10]",
            ),
            ("C12", &["192.0.2.10"], &[], ip, &none, "not in connection.allow"),
            ("deny beats", &["[192.0.2.0/24]"], &[entry], ip, &none, "denied by [192.0.2.10]"),
            ("all but one", &["*"], &[entry], other, &none, "accepted by *"),
            ("one alone", &[entry], &["*"], ip, &none, "denied by *"),
        ];
        for (id, allow, deny, address, name, wanted) in cases {
            assert_eq!(decided(&rules(allow, deny), address, name), wanted, "{id}");
        }
    }

    #[test]
    fn strict_denial_looks_at_the_name_of_an_allowed_address() {
        let mut rules = rules(&["[192.0.2.10]"], &["abc.com"]);
        rules.strict_deny = true;
        let denied = decided(&rules, "192.0.2.10", &named("x.abc.com", false));
        assert_eq!(denied, "asked, denied by abc.com");
        let accepted = decided(&rules, "192.0.2.10", &HostName::Trouble);
        assert_eq!(accepted, "asked, accepted by [192.0.2.10]");
    }

    #[test]
    fn a_claimed_name_allows_nothing_where_names_are_confirmed() {
        let mut rules = rules(&["abc.com"], &[]);
        rules.trust = Trust::Confirmed;
        let claimed = decided(&rules, "192.0.2.10", &named("mail.abc.com", false));
        assert_eq!(claimed, "asked, not in connection.allow");
        let confirmed = decided(&rules, "192.0.2.10", &named("mail.abc.com", true));
        assert_eq!(confirmed, "asked, accepted by abc.com");
    }

    #[test]
    fn a_name_is_needed_where_it_is_verified() {
        let mut rules = rules(&[], &[]);
        assert_eq!(rules.verify(&HostName::Missing), Verified::Yes);
        rules.verify_host_name = true;
        for (name, wanted) in [
            (named("any.example", false), Verified::Yes),
            (HostName::Missing, Verified::No),
            (HostName::Trouble, Verified::Trouble),
            (HostName::NotAsked, Verified::NeedsName),
        ] {
            assert_eq!(rules.verify(&name), wanted, "{name:?}");
        }
    }
}
