//! Who may send mail through us to domains that are not ours: who is subject to the check, and what it comes to.
//! Decides; knows neither the DNS nor a session.

use crate::list::{Hit, List};
use crate::name_index::{Ending, NameIndex, folded};
use crate::peer::{HostName, Peer, Trust};

/// Which hosts are subject to the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Enforce {
    /// Those whose name is not in an internal domain.
    External,
    All,
    None,
}

/// What authenticated users may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Authenticated {
    /// Relay.
    Allow,
    /// What everybody may.
    Check,
}

/// The rules about relaying.
#[derive(Clone, Debug)]
pub(crate) struct RelayRules {
    pub(crate) enforce: Enforce,
    /// Domains whose hosts are internal.
    pub(crate) internal: Internal,
    /// Hosts that are not subject to the check.
    pub(crate) exclude: List,
    pub(crate) authenticated: Authenticated,
    pub(crate) allow_destinations: List,
    pub(crate) deny_destinations: List,
    pub(crate) allow_sources: List,
    pub(crate) deny_sources: List,
    /// Whether a denied source or destination beats an allowed destination or source.
    pub(crate) deny_wins: bool,
    /// Which names let a host relay.
    pub(crate) trust: Trust,
}

/// Domains whose hosts are internal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Internal(NameIndex);

/// Is a host subject to the check?
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject<'l> {
    Yes,
    /// No: nobody is, or it is internal.
    No(Exempt<'l>),
    /// It depends on its name.
    NeedsName,
}

/// Why a host is not subject to the check.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Exempt<'l> {
    NotEnforced,
    Internal,
    Excluded(Hit<'l>),
}

/// May it relay to a domain?
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relay<'l> {
    pub(crate) granted: bool,
    pub(crate) by: By<'l>,
}

/// What a decision about relaying is made by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By<'l> {
    Entry(Hit<'l>),
    /// Some are allowed, and this one is not among them.
    NotListed(&'l List),
    /// There is no rule.
    NoRule,
}

impl Internal {
    pub(crate) fn new<'d>(domains: impl IntoIterator<Item = &'d str>) -> Self {
        let mut index = NameIndex::default();
        for (number, domain) in (0..).zip(domains) {
            index.add(number, &folded(domain), Ending::Labels);
        }
        Self(index)
    }

    fn contains(&self, name: &str) -> bool {
        self.0.find(&folded(name)).is_some()
    }
}

impl RelayRules {
    /// Decides whether a host is subject to the check. Private and DNS lists are about those alone.
    pub(crate) fn subject(&self, peer: Peer<'_>) -> Subject<'_> {
        if self.enforce == Enforce::None {
            return Subject::No(Exempt::NotEnforced);
        }
        if let Some(hit) = self.exclude.find_address(peer.address) {
            return Subject::No(Exempt::Excluded(hit));
        }
        let external = self.enforce == Enforce::External;
        if *peer.name == HostName::NotAsked
            && (self.exclude.has_names() || external && !self.internal.0.is_empty())
        {
            return Subject::NeedsName;
        }
        if external && peer.name.names(self.trust).any(|name| self.internal.contains(name)) {
            return Subject::No(Exempt::Internal);
        }
        match peer.find_name(&self.exclude, self.trust) {
            Some(hit) => Subject::No(Exempt::Excluded(hit)),
            None => Subject::Yes,
        }
    }

    /// Whether the name of a host can make a difference to what it may relay.
    pub(crate) fn name_matters(&self, peer: Peer<'_>) -> bool {
        peer.name_matters(&self.allow_sources) || peer.name_matters(&self.deny_sources)
    }

    /// Decides about a host that is subject to the check, and a domain that is not ours.
    pub(crate) fn decide(&self, peer: Peer<'_>, domain: &str) -> Relay<'_> {
        let source = side(
            peer.find(&self.deny_sources, Trust::Claimed),
            peer.find(&self.allow_sources, self.trust),
            &self.allow_sources,
        );
        let destination = side(
            self.deny_destinations.find_domain(domain),
            self.allow_destinations.find_domain(domain),
            &self.allow_destinations,
        );
        let (first, second) = if self.deny_wins { (false, true) } else { (true, false) };
        let pick = |wanted: bool| {
            [destination, source].into_iter().flatten().find(|(granted, _)| *granted == wanted)
        };
        let (granted, by) = pick(first).or_else(|| pick(second)).unwrap_or((true, By::NoRule));
        Relay { granted, by }
    }
}

/// What one pair of lists comes to; none when it does not speak.
fn side<'l>(
    denied: Option<Hit<'l>>,
    allowed: Option<Hit<'l>>,
    allow: &'l List,
) -> Option<(bool, By<'l>)> {
    match (denied, allowed) {
        (Some(hit), _) => Some((false, By::Entry(hit))),
        (None, Some(hit)) => Some((true, By::Entry(hit))),
        (None, None) if !allow.is_empty() => Some((false, By::NotListed(allow))),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::Name;
    use crate::written::tests::{destinations, hosts};

    fn rules() -> RelayRules {
        RelayRules {
            enforce: Enforce::External,
            internal: Internal::new(["corp.example"]),
            exclude: hosts("relay.exclude", &[]),
            authenticated: Authenticated::Allow,
            allow_destinations: destinations("relay.allow_destinations", &[]),
            deny_destinations: destinations("relay.deny_destinations", &[]),
            allow_sources: hosts("relay.allow_sources", &[]),
            deny_sources: hosts("relay.deny_sources", &[]),
            deny_wins: false,
            trust: Trust::Confirmed,
        }
    }

    fn named(name: &str, confirmed: bool) -> HostName {
        HostName::Found(vec![Name { text: name.to_owned(), confirmed }])
    }

    const ADDRESS: &str = "192.0.2.1";

    #[test]
    fn the_table_of_relaying_holds() {
        struct Case<'c> {
            id: &'c str,
            name: &'c str,
            domain: &'c str,
            /// Allowed and denied sources, allowed and denied destinations.
            lists: [&'c [&'c str]; 4],
            /// With the rule of release 6, and with that of release 5.
            wanted: (bool, bool),
        }
        let case = |id, name, domain, lists, wanted| Case { id, name, domain, lists, wanted };
        let cases = [
            case(
                "R1",
                "relay.abc.com",
                "xyz.com",
                [&["relay.abc.com"], &[], &[], &["xyz.com"]],
                (true, false),
            ),
            case(
                "R2",
                "myhost.x",
                "abc.com",
                [&[], &["myhost.x"], &["abc.com"], &[]],
                (true, false),
            ),
            case("R3", "a.b", "any.org", [&[], &[], &[], &["*"]], (false, false)),
            case("R4", "a.b", "any.org", [&[], &[], &[], &[]], (true, true)),
            case(
                "deny of a pair",
                "a.b",
                "any.org",
                [&["a.b"], &["a.b"], &[], &[]],
                (false, false),
            ),
            case(
                "deny of a pair",
                "a.b",
                "xyz.com",
                [&[], &[], &["xyz.com"], &["xyz.com"]],
                (false, false),
            ),
            case("not listed", "c.d", "any.org", [&["a.b"], &[], &[], &[]], (false, false)),
            case("not listed", "c.d", "any.org", [&[], &[], &["xyz.com"], &[]], (false, false)),
            case(
                "both allowed",
                "a.b",
                "xyz.com",
                [&["a.b"], &[], &["xyz.com"], &[]],
                (true, true),
            ),
            case("letters", "a.b", "uvwxyz.com", [&[], &[], &["xyz.com"], &["*"]], (false, false)),
            case("letters", "a.b", "uvwxyz.com", [&[], &[], &["xyz.com"], &[]], (true, true)),
            case("exactly", "a.b", "uvwxyz.com", [&[], &[], &["@xyz.com"], &[]], (false, false)),
            case("address", "a.b", "any.org", [&["[192.0.2.*]"], &[], &[], &["*"]], (true, false)),
        ];
        for Case { id, name, domain, lists, wanted } in cases {
            let name = named(name, true);
            let peer = Peer { address: ADDRESS.parse().unwrap(), name: &name };
            for (deny_wins, wanted) in [(false, wanted.0), (true, wanted.1)] {
                let rules = RelayRules {
                    allow_sources: hosts("allow_sources", lists[0]),
                    deny_sources: hosts("deny_sources", lists[1]),
                    allow_destinations: destinations("allow_destinations", lists[2]),
                    deny_destinations: destinations("deny_destinations", lists[3]),
                    deny_wins,
                    ..rules()
                };
                let decided = rules.decide(peer, domain);
                assert_eq!(decided.granted, wanted, "{id}, {deny_wins}: {:?}", decided.by);
            }
        }
    }

    #[test]
    fn who_is_subject_is_decided_in_order() {
        let word = |subject: Subject<'_>| match subject {
            Subject::Yes => "subject".to_owned(),
            Subject::NeedsName => "needs name".to_owned(),
            Subject::No(Exempt::Internal) => "internal".to_owned(),
            Subject::No(Exempt::NotEnforced) => "not enforced".to_owned(),
            Subject::No(Exempt::Excluded(hit)) => format!("excluded by {}", hit.entry.text),
        };
        let excluded: &[&str] = &["[192.0.2.1]", "friend.example"];
        let internal = named("pc1.corp.example", true);
        let claimed = named("pc1.corp.example", false);
        let friend = named("mx.friend.example", true);
        let not_asked = HostName::NotAsked;
        let cases: [(Enforce, &[&str], &str, &HostName, &str); 12] = [
            (Enforce::None, &[], "10.0.0.1", &not_asked, "not enforced"),
            (Enforce::None, excluded, "192.0.2.1", &not_asked, "not enforced"),
            (Enforce::All, &[], "10.0.0.1", &not_asked, "subject"),
            (Enforce::All, &[], "10.0.0.1", &internal, "subject"),
            (Enforce::All, excluded, "10.0.0.1", &not_asked, "needs name"),
            (Enforce::All, excluded, "10.0.0.1", &friend, "excluded by friend.example"),
            (Enforce::External, &[], "10.0.0.1", &not_asked, "needs name"),
            (Enforce::External, excluded, "192.0.2.1", &not_asked, "excluded by [192.0.2.1]"),
            (Enforce::External, &[], "10.0.0.1", &internal, "internal"),
            (Enforce::External, &[], "10.0.0.1", &claimed, "subject"),
            (Enforce::External, &[], "10.0.0.1", &HostName::Missing, "subject"),
            (Enforce::External, &[], "10.0.0.1", &HostName::Trouble, "subject"),
        ];
        for (enforce, exclude, address, name, wanted) in cases {
            let exclude = hosts("relay.exclude", exclude);
            let rules = RelayRules { enforce, exclude, ..rules() };
            let peer = Peer { address: address.parse().unwrap(), name };
            assert_eq!(word(rules.subject(peer)), wanted, "{enforce:?} {address} {name:?}");
        }
    }

    #[test]
    fn a_claimed_name_may_be_refused_and_not_granted() {
        let claimed = named("mx.friend.example", false);
        let peer = Peer { address: ADDRESS.parse().unwrap(), name: &claimed };
        let lists = |allow: &[&str], deny: &[&str]| RelayRules {
            allow_sources: hosts("allow_sources", allow),
            deny_sources: hosts("deny_sources", deny),
            ..rules()
        };
        assert!(!lists(&["friend.example"], &[]).decide(peer, "any.org").granted);
        assert!(!lists(&[], &["friend.example"]).decide(peer, "any.org").granted);
        assert!(lists(&[], &[]).decide(peer, "any.org").granted);
    }
}
