//! Where mail goes: which domains are ours, which are relayed, and to whom.
//! Knows no DNS, and of the queue only names. It is asked again at each attempt, so that a changed configuration takes effect.

mod road;

use std::collections::HashMap;
use std::fmt;

use stagepost_queue::{QueueName, Queues};
use stagepost_smtp::{Address, Route};

use crate::config::{DomainPattern, LocalDomain, Mailboxes, Pace, Retry, RouteRule, Settings};
use road::Shared;

/// Answers where mail for an address goes.
#[derive(Debug)]
pub(crate) struct Router {
    /// By name; the one with `postmaster_domain` as its name is always there.
    local: HashMap<String, LocalDomain>,
    exact: HashMap<String, RouteRule>,
    subtrees: HashMap<String, RouteRule>,
    default: Option<RouteRule>,
    /// Where mail for a bare Postmaster goes.
    postmaster_domain: String,
    /// How deliveries are tried where no route says otherwise.
    retry: Retry,
    /// The same of how much goes at a time.
    pace: Pace,
    /// What routes and local domains with servers of their own share.
    shared: Shared,
}

/// Where mail of a domain goes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination<'r> {
    /// To the mailboxes of a domain of ours.
    Local(&'r LocalDomain),
    /// Elsewhere, as a route says.
    Route(&'r RouteRule),
}

impl fmt::Display for Destination<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(domain) => write!(out, "local:{}", domain.name),
            Self::Route(rule) => write!(out, "smtp:{}", rule.way),
        }
    }
}

impl Router {
    /// Makes a router of checked settings.
    pub(crate) fn new(settings: &Settings) -> Self {
        let mut router = Self {
            local: HashMap::new(),
            exact: HashMap::new(),
            subtrees: HashMap::new(),
            default: None,
            retry: settings.queue.retry.clone(),
            pace: settings.delivery.pace,
            shared: Shared::of(settings),
            postmaster_domain: settings.local_domains.first().map_or_else(
                || settings.receive.hostname.to_ascii_lowercase(),
                |domain| domain.name.clone(),
            ),
        };
        for domain in &settings.local_domains {
            router.local.insert(domain.name.clone(), domain.clone());
        }
        for rule in &settings.routes {
            let (name, rule) = (&rule.domain, rule.clone());
            match name {
                DomainPattern::Exact(name) => drop(router.exact.insert(name.clone(), rule)),
                DomainPattern::Subtree(name) => drop(router.subtrees.insert(name.clone(), rule)),
                DomainPattern::Default => router.default = Some(rule),
            }
        }
        router
    }

    /// What accepting a recipient depends on; none: whether the directory in LDAP knows it.
    pub(crate) fn route(&self, recipient: &Address) -> Option<Route> {
        let domain = self.queue_domain(recipient);
        if let Some(local) = self.local.get(&domain) {
            // RFC 5321 section 4.5.1: the postmaster is always there.
            let known = recipient.is_postmaster()
                || match &local.mailboxes {
                    Mailboxes::Any => true,
                    Mailboxes::Listed(names) => {
                        names.contains(&recipient.local_unquoted().to_ascii_lowercase())
                    }
                    Mailboxes::Ldap => return None,
                };
            return Some(if known { Route::Local } else { Route::UnknownUser });
        }
        Some(match self.relay(&domain) {
            // The server behind it believes us, and might send on for who may not relay.
            Some(_) if names_way(recipient) => Route::Foreign,
            Some(_) => Route::Relay,
            None if self.default.is_some() => Route::Foreign,
            None => Route::Unreachable,
        })
    }

    /// A domain of ours, by its name in small letters.
    pub(crate) fn local(&self, domain: &str) -> Option<&LocalDomain> {
        self.local.get(domain)
    }

    /// The domains of ours.
    pub(crate) fn local_domains(&self) -> impl Iterator<Item = &LocalDomain> {
        self.local.values()
    }

    /// The domain under which a recipient's mail is queued: its own in lower case; for a bare Postmaster
    /// the first local domain.
    pub(crate) fn queue_domain(&self, recipient: &Address) -> String {
        if recipient.domain().is_empty() {
            self.postmaster_domain.clone()
        } else {
            recipient.domain_key()
        }
    }

    /// Where mail queued under a domain goes now; nothing when the configuration leads nowhere any more.
    pub(crate) fn destination(&self, domain: &str) -> Option<Destination<'_>> {
        if let Some(local) = self.local.get(domain) {
            return Some(Destination::Local(local));
        }
        self.relay(domain).or(self.default.as_ref()).map(Destination::Route)
    }

    /// The same of mail that an operator has put on a route, as long as there is that route.
    pub(crate) fn destination_by(
        &self,
        route: Option<&str>,
        domain: &str,
    ) -> Option<Destination<'_>> {
        let chosen = route.and_then(|route| self.rule(route)).map(Destination::Route);
        chosen.or_else(|| self.destination(domain))
    }

    /// The route of this name: the domain that it is written for, with its `@`, or `*`.
    pub(crate) fn rule(&self, name: &str) -> Option<&RouteRule> {
        match name.strip_prefix('@') {
            _ if name == "*" => self.default.as_ref(),
            Some(name) => self.subtrees.get(name),
            None => self.exact.get(name),
        }
    }

    /// All routes, in no order.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &RouteRule> {
        self.exact.values().chain(self.subtrees.values()).chain(&self.default)
    }

    /// The queue that new mail of a domain comes into, if its route names one.
    pub(crate) fn queue(&self, domain: &str) -> Option<&QueueName> {
        match self.destination(domain)? {
            Destination::Route(rule) => rule.queue.as_ref(),
            Destination::Local(_) => None,
        }
    }

    /// How often and for how long mail queued under a domain, or put on a route, is tried now.
    pub(crate) fn retry(&self, route: Option<&str>, domain: &str) -> &Retry {
        match self.destination_by(route, domain) {
            Some(Destination::Route(rule)) => &rule.retry,
            Some(Destination::Local(_)) | None => &self.retry,
        }
    }

    /// The route of a domain that one names: the domain itself, else the nearest subtree around it.
    fn relay(&self, domain: &str) -> Option<&RouteRule> {
        let around = std::iter::successors(Some(domain), |inner| {
            inner.split_once('.').map(|(_, outer)| outer)
        });
        let subtree = || around.into_iter().find_map(|name| self.subtrees.get(name));
        self.exact.get(domain).or_else(subtree)
    }
}

/// Whether the local part says where mail goes from its domain on: `user%far.test`, `far.test!user` and `"user@far.test"` are followed
/// by some servers (RFC 5321 section F.2 and RFC 1123 section 5.2.16).
fn names_way(recipient: &Address) -> bool {
    recipient.local_unquoted().contains(['%', '!', '@'])
}

impl Queues for Router {
    fn queue_of(&self, destination: &stagepost_queue::Destination) -> Option<QueueName> {
        self.queue(destination.as_str()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIGURATION: &str = r#"
hostname = "mx.example.test"
[[listen]]
name = "mx"
address = "127.0.0.1:0"
[[local_domain]]
name = "example.test"
mailboxes = "any"
[[local_domain]]
name = "Listed.test"
mailboxes = ["Alice", "bob"]
[[local_domain]]
name = "ldap.test"
mailboxes = "ldap"
[ldap]
servers = ["ldaps://ldap.test"]
base = "dc=test"
[[route]]
domain = "example.org"
next_hop = "exact.test:25"
[[route]]
domain = "@example.org"
next_hop = "below.test:25"
[[route]]
domain = "@deep.example.org"
next_hop = "deep.test:25"
queue = "Deep"
[[route]]
domain = "@test"
next_hop = "[2001:db8::1]:25"
"#;

    fn router(further: &str) -> Router {
        let text = format!("{CONFIGURATION}{further}");
        Router::new(&crate::config::from_text(&text).unwrap())
    }

    fn default() -> Router {
        router("[[route]]\ndomain = \"*\"\nnext_hop = \"smart.test:587\"\n")
    }

    #[test]
    fn recipients_are_told_apart() {
        use Route::{Foreign, Local, Relay, UnknownUser, Unreachable};
        let (without, with) = (router(""), default());
        let cases = [
            ("anybody@example.test", Local, Local),
            ("anybody@EXAMPLE.Test", Local, Local),
            ("ALICE@listed.test", Local, Local),
            ("\"alice\"@listed.test", Local, Local),
            ("carol@listed.test", UnknownUser, UnknownUser),
            ("PostMaster@listed.test", Local, Local),
            ("Postmaster", Local, Local),
            ("a@example.org", Relay, Relay),
            ("a@x.example.org", Relay, Relay),
            ("a@other.test", Relay, Relay),
            // The server of the domain would send it on, or not; that is for who may relay to find out.
            ("a%far.test@example.org", Foreign, Foreign),
            ("far.test!a@x.example.org", Foreign, Foreign),
            ("\"a@far.test\"@example.org", Foreign, Foreign),
            ("\"a\\@far.test\"@example.org", Foreign, Foreign),
            ("a=far.test+b@example.org", Relay, Relay),
            ("a%far.test@example.test", Local, Local),
            ("a%far.test@example.net", Unreachable, Foreign),
            ("a@example.net", Unreachable, Foreign),
            ("a@org", Unreachable, Foreign),
            ("a@badexample.org", Unreachable, Foreign),
            ("a@[127.0.0.1]", Unreachable, Foreign),
            ("postmaster@example.net", Unreachable, Foreign),
        ];
        for (address, wanted, wanted_with_default) in cases {
            let address = Address::parse(address).unwrap();
            assert_eq!(without.route(&address), Some(wanted), "{address}");
            assert_eq!(with.route(&address), Some(wanted_with_default), "{address}");
        }
    }

    #[test]
    fn whom_ldap_knows_is_not_for_the_router_to_say() {
        let route = |address: &str| router("").route(&Address::parse(address).unwrap());
        assert_eq!(route("alice@ldap.test"), None);
        assert_eq!(route("postmaster@ldap.test"), Some(Route::Local));
    }

    #[test]
    fn a_domain_is_the_same_in_every_script() {
        let local = "[[local_domain]]\nname = \"B\u{fc}cher.test\"\nmailboxes = [\"j\u{f6}rg\"]\n\
                     [[route]]\ndomain = \"@xn--r8jz45g.test\"\nnext_hop = \"there.test:25\"\n";
        let router = router(local);
        let cases = [
            ("j\u{f6}rg@b\u{fc}cher.test", Route::Local),
            ("j\u{f6}rg@XN--bcher-kva.test", Route::Local),
            ("jorg@b\u{fc}cher.test", Route::UnknownUser),
            ("a@mx.\u{4f8b}\u{3048}.test", Route::Relay),
        ];
        for (address, wanted) in cases {
            let address = Address::parse_international(address).unwrap();
            assert_eq!(router.route(&address), Some(wanted), "{address}");
        }
    }

    #[test]
    fn the_nearest_route_wins() {
        let (without, with) = (router(""), default());
        let cases = [
            ("example.test", Some("local:example.test")),
            ("listed.test", Some("local:listed.test")),
            ("sub.example.test", Some("smtp:[2001:db8::1]:25")),
            ("test", Some("smtp:[2001:db8::1]:25")),
            ("example.org", Some("smtp:exact.test:25")),
            ("a.b.example.org", Some("smtp:below.test:25")),
            ("deep.example.org", Some("smtp:deep.test:25")),
            ("a.deep.example.org", Some("smtp:deep.test:25")),
            ("verydeep.example.org", Some("smtp:below.test:25")),
            ("badexample.org", None),
            ("[127.0.0.1]", None),
        ];
        for (domain, wanted) in cases {
            let found = without.destination(domain).map(|found| found.to_string());
            assert_eq!(found.as_deref(), wanted, "{domain}");
            let found = with.destination(domain).map(|found| found.to_string());
            assert_eq!(found.as_deref(), wanted.or(Some("smtp:smart.test:587")), "{domain}");
        }
    }

    #[test]
    fn a_route_that_was_chosen_is_taken_as_long_as_it_is_there() {
        let router = default();
        for (route, wanted) in [
            ("example.org", "smtp:exact.test:25"),
            ("@example.org", "smtp:below.test:25"),
            ("*", "smtp:smart.test:587"),
            ("gone.example", "local:example.test"),
            ("@gone.example", "local:example.test"),
            ("", "local:example.test"),
        ] {
            let found = router.destination_by(Some(route), "example.test").unwrap();
            assert_eq!(found.to_string(), wanted, "{route}");
        }
    }

    #[test]
    fn mail_is_in_the_queue_of_its_route() {
        let router = default();
        for (domain, wanted) in [
            ("deep.example.org", Some("deep")),
            ("a.deep.example.org", Some("deep")),
            ("example.org", None),
            ("example.test", None),
            ("elsewhere.test", None),
        ] {
            assert_eq!(router.queue(domain).map(QueueName::as_str), wanted, "{domain}");
        }
    }

    #[test]
    fn a_bare_postmaster_has_the_first_local_domain() {
        let bare = Address::parse("POSTMASTER").unwrap();
        assert_eq!(router("").queue_domain(&bare), "example.test");
        let relay_only = "hostname = \"MX.example.test\"\nlisten = [{ name = \"mx\", address = \"127.0.0.1:0\" }]\n";
        let router = Router::new(&crate::config::from_text(relay_only).unwrap());
        assert_eq!(router.queue_domain(&bare), "mx.example.test");
        assert_eq!(router.route(&bare), Some(Route::Local));
        let other = Address::parse("root@mx.example.test").unwrap();
        assert_eq!(router.route(&other), Some(Route::UnknownUser));
        assert!(router.destination("mx.example.test").is_some());
    }
}
