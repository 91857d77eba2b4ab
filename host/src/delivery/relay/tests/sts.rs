//! Deliveries to domains that say over HTTPS who their servers are.
//! Knows the relay by its public methods, the DNS by its records and a policy by its page.

use tempfile::TempDir;

use super::tls::offering_tls;
use super::*;
use crate::dns::signed::{SignedRoot, Written};
use crate::https::Https;
use crate::sts::site::{Page, Site};
use crate::tls::authority::{Authority, Shown, sha256_hex};

pub(super) const NAMES: [Written<'static>; 4] = [
    ("x.test.", "MX 10 mx.test."),
    ("mx.test.", "A 127.0.0.1"),
    ("_mta-sts.x.test.", "TXT \"v=STSv1;id=1;\""),
    ("mta-sts.x.test.", "A 127.0.0.1"),
];
/// The same of a domain that nobody has signed.
const PLAIN: [Written<'static>; 4] = [
    ("plain.test.", "MX 10 mx.plain.test."),
    ("mx.plain.test.", "A 127.0.0.1"),
    ("_mta-sts.plain.test.", "TXT \"v=STSv1;id=1;\""),
    ("mta-sts.plain.test.", "A 127.0.0.1"),
];

/// A domain's HTTPS server, who vouches for it, and the folder of what was fetched.
pub(super) struct Domain {
    pub(super) authority: Authority,
    pub(super) site: Site,
    pub(super) folder: TempDir,
}

impl Domain {
    pub(super) async fn new(mode: &str, mx: &str) -> Self {
        let authority = Authority::new();
        let shown = authority.server(&["mta-sts.x.test", "mta-sts.plain.test"], 2100);
        let site = Site::start(&shown, Page::policy(mode, mx, 1000)).await;
        Self { authority, site, folder: tempfile::tempdir().unwrap() }
    }

    /// What comes of a message to `domain`.
    async fn deliver(
        &self,
        policy: TlsPolicy,
        port: u16,
        domain: &str,
        records: &[Written<'_>],
    ) -> String {
        let message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
        self.deliver_this(&message, policy, port, domain, records).await
    }

    async fn deliver_this(
        &self,
        message: &StoredMessage,
        policy: TlsPolicy,
        port: u16,
        domain: &str,
        records: &[Written<'_>],
    ) -> String {
        let (_root, relay) = self.relay(port, records).await;
        let servers = Servers::Mx(domain);
        let hop = Hop { servers, protocol: Protocol::Smtp, tls: policy, login: None };
        match relay.deliver(hop, message, &[0]).await.outcomes.remove(0) {
            RecipientOutcome::Delivered(..) => DELIVERED.to_owned(),
            other => other.to_string(),
        }
    }

    /// A relay that has just begun, and the DNS that it asks.
    pub(super) async fn relay(&self, port: u16, records: &[Written<'_>]) -> (SignedRoot, Relay) {
        let root = SignedRoot::start(records).await;
        let roots = self.folder.path().join("roots.pem");
        std::fs::write(&roots, self.authority.pem()).unwrap();
        let tls = outbound(&format!("[delivery]\ntls_roots = \"{}\"\n", roots.display()));
        let names = root.resolver();
        let https = Https::new(names.clone(), tls.clone(), self.site.port, Duration::from_secs(60));
        let sts = Sts::new(names.clone(), https, self.folder.path().join("mta-sts"));
        let demands = demands("", Some(names.clone()), Some(Arc::new(sts)));
        let name = OwnName::parse("us.test").unwrap();
        let timeouts = RelayTimeouts::default();
        (root, Relay::new(names, demands, name, port, tls, timeouts))
    }
}

/// A server without TLS that takes what comes.
pub(super) fn clear() -> Vec<Turn> {
    script([Hear("DATA\r\n"), Say(GO), Hear(END), Say("250 queued\r\n"), Wait])
}

/// A server without TLS that gets nothing.
pub(super) fn untold() -> Vec<Turn> {
    script([Hear("QUIT\r\n"), Say("221 bye\r\n"), Wait])
}

fn is_deferred(outcome: &str, status: &str, why: &str) -> bool {
    outcome.starts_with(&format!("deferred {status} mx.")) && outcome.ends_with(why)
}

const NOT_NAMED: &str = "it is none of the servers that the policy of the domain (MTA-STS) names";

#[tokio::test]
async fn a_policy_that_is_enforced_is_kept_to() {
    use TlsPolicy::{Opportunistic, Required, Verified};
    let stranger = Authority::new();
    let domain = Domain::new("enforce", "mx.test").await;
    let own = |names: &[&str], until| domain.authority.server(names, until);
    let failed = "the TLS handshake failed: ";
    let cases = [
        (Opportunistic, own(&["mx.test"], 2100), true),
        (Required, own(&["other.test", "mx.test"], 2100), true),
        (Verified, own(&["mx.test"], 2100), true),
        (Opportunistic, own(&["x.test"], 2100), false),
        (Opportunistic, own(&["mx.test"], 2010), false),
        (Opportunistic, stranger.server(&["mx.test"], 2100), false),
        (Opportunistic, Shown::alone(&["mx.test"], 2100), false),
    ];
    for (policy, shown, good) in cases {
        let (address, heard) = next_hop(vec![offering_tls(&shown.acceptor())]).await;
        let outcome = domain.deliver(policy, address.port(), "x.test", &NAMES).await;
        let refused = outcome.starts_with("deferred 4.7.5 mx.test") && outcome.contains(failed);
        assert_eq!((outcome == DELIVERED, refused), (good, !good), "{outcome}");
        assert_eq!(heard.await.unwrap().concat().contains("MAIL"), good);
    }
    // Nor is there clear text.
    let (address, heard) = next_hop(vec![untold()]).await;
    let outcome = domain.deliver(Opportunistic, address.port(), "x.test", &NAMES).await;
    let why = "TLS is required, and the server does not offer it; wanted by the policy of the domain (MTA-STS)";
    assert!(is_deferred(&outcome, "4.7.4", why), "{outcome}");
    assert!(!heard.await.unwrap().concat().contains("MAIL"));
    // It was fetched by the first of these relays, which came and went.
    assert_eq!(domain.site.asked().len(), 1);
}

#[tokio::test]
async fn a_server_that_the_policy_does_not_name_is_not_talked_to() {
    use TlsPolicy::{Dane, Opportunistic, Required, Verified};
    for (mx, good) in [("*.test", true), ("*.mx.test", false), ("other.test", false)] {
        let domain = Domain::new("enforce", mx).await;
        let shown = domain.authority.server(&["mx.test"], 2100);
        for policy in [Opportunistic, Required, Verified] {
            let scripts = if good { vec![offering_tls(&shown.acceptor())] } else { vec![] };
            let (address, heard) = next_hop(scripts).await;
            let outcome = domain.deliver(policy, address.port(), "x.test", &NAMES).await;
            let refused = is_deferred(&outcome, "4.7.5", NOT_NAMED);
            assert_eq!((outcome == DELIVERED, refused), (good, !good), "{policy:?}: {outcome}");
            heard.await.unwrap();
        }
        let outcome = domain.deliver(Dane, 9, "x.test", &NAMES).await;
        assert!(outcome.ends_with("that DNSSEC vouches for"), "{outcome}");
    }
    // Another one is named, and comes next.
    let domain = Domain::new("enforce", "other.test").await;
    let shown = domain.authority.server(&["other.test"], 2100);
    let (address, heard) = next_hop(vec![offering_tls(&shown.acceptor())]).await;
    let mut records = NAMES.to_vec();
    records.extend([("x.test.", "MX 20 other.test."), ("other.test.", "A 127.0.0.1")]);
    let outcome = domain.deliver(Opportunistic, address.port(), "x.test", &records).await;
    assert_eq!(outcome, DELIVERED);
    heard.await.unwrap();
}

#[tokio::test]
async fn a_policy_that_is_tried_out_stops_nothing() {
    let (listed, unlisted) = ("mx.test", "other.test");
    let domain = Domain::new("testing", listed).await;
    let (own, strange) =
        (domain.authority.server(&["mx.test"], 2100), Shown::alone(&["mx.test"], 2100));
    for (mx, script) in [
        (listed, offering_tls(&own.acceptor())),
        (listed, offering_tls(&strange.acceptor())),
        (listed, clear()),
        (unlisted, offering_tls(&own.acceptor())),
        (unlisted, clear()),
    ] {
        let domain = Domain::new("testing", mx).await;
        let (address, heard) = next_hop(vec![script]).await;
        let policy = TlsPolicy::Opportunistic;
        let outcome = domain.deliver(policy, address.port(), "x.test", &NAMES).await;
        assert_eq!(outcome, DELIVERED, "{mx}");
        heard.await.unwrap();
        assert_eq!(domain.site.asked().len(), 1);
    }
    // What the operator wants holds all the same.
    for (policy, good) in [(TlsPolicy::Required, true), (TlsPolicy::Verified, false)] {
        let (address, heard) = next_hop(vec![offering_tls(&strange.acceptor())]).await;
        let outcome = domain.deliver(policy, address.port(), "x.test", &NAMES).await;
        assert_eq!(outcome == DELIVERED, good, "{outcome}");
        heard.await.unwrap();
    }
}

#[tokio::test]
async fn what_the_dns_vouches_for_goes_by_the_dns() {
    // Neither in the policy nor by an authority: the record alone counts (RFC 8461 section 2).
    let domain = Domain::new("enforce", "other.test").await;
    let (shown, other) = (Shown::alone(&["else.test"], 2010), Shown::alone(&["mx.test"], 2100));
    for (presented, good) in [(&shown, true), (&other, false)] {
        let (address, heard) = next_hop(vec![offering_tls(&presented.acceptor())]).await;
        let port = address.port();
        let (owner, text) = (
            format!("_{port}._tcp.mx.test."),
            format!("TLSA 3 0 1 {}", sha256_hex(&shown.chain[0])),
        );
        let mut records = NAMES.to_vec();
        records.push((&owner, &text));
        let outcome = domain.deliver(TlsPolicy::Opportunistic, port, "x.test", &records).await;
        assert_eq!(outcome == DELIVERED, good, "{outcome}");
        assert_eq!(outcome.contains("no TLSA record"), !good, "{outcome}");
        heard.await.unwrap();
    }
    // A good policy does not make up for it (RFC 8461 section 2).
    let domain = Domain::new("enforce", "mx.test").await;
    let good = domain.authority.server(&["mx.test"], 2100);
    let (address, heard) = next_hop(vec![offering_tls(&good.acceptor())]).await;
    let port = address.port();
    let text = format!("TLSA 3 0 1 {}", sha256_hex(&shown.chain[0]));
    let owner = format!("_{port}._tcp.mx.test.");
    let mut records = NAMES.to_vec();
    records.push((&owner, &text));
    let outcome = domain.deliver(TlsPolicy::Opportunistic, port, "x.test", &records).await;
    assert!(outcome.contains("no TLSA record"), "{outcome}");
    heard.await.unwrap();
    // Records that nobody can use leave it to the policy.
    let (address, heard) = next_hop(vec![]).await;
    let port = address.port();
    let (owner, text) =
        (format!("_{port}._tcp.mx.test."), format!("TLSA 1 1 1 {}", sha256_hex(b"x")));
    let mut records = NAMES.to_vec();
    records.push((&owner, &text));
    let domain = Domain::new("enforce", "other.test").await;
    let outcome = domain.deliver(TlsPolicy::Opportunistic, port, "x.test", &records).await;
    assert!(is_deferred(&outcome, "4.7.5", NOT_NAMED), "{outcome}");
    heard.await.unwrap();
}

#[tokio::test]
async fn nothing_is_asked_of_a_domain_that_has_no_say() {
    let domain = Domain::new("enforce", "other.test").await;
    let (address, heard) = next_hop(vec![clear()]).await;
    // The operator leaves TLS alone.
    let outcome = domain.deliver(TlsPolicy::None, address.port(), "x.test", &NAMES).await;
    assert_eq!(outcome, DELIVERED);
    heard.await.unwrap();
    // There is no record of a policy.
    let (address, heard) = next_hop(vec![clear()]).await;
    let port = address.port();
    let outcome = domain.deliver(TlsPolicy::Opportunistic, port, "x.test", &NAMES[..2]).await;
    assert_eq!(outcome, DELIVERED);
    heard.await.unwrap();
    assert_eq!(domain.site.asked(), [""; 0]);
}

#[tokio::test]
async fn a_policy_that_cant_be_had_counts_if_it_is_known() {
    let domain = Domain::new("enforce", "other.test").await;
    domain.site.show(Page::status("500 No"));
    let (address, heard) = next_hop(vec![clear()]).await;
    let (port, policy) = (address.port(), TlsPolicy::Opportunistic);
    // Never known: as if there were none (RFC 8461 section 3.3).
    assert_eq!(domain.deliver(policy, port, "plain.test", &PLAIN).await, DELIVERED);
    heard.await.unwrap();

    domain.site.show(Page::policy("enforce", "other.test", 1000));
    let deferred = domain.deliver(policy, port, "plain.test", &PLAIN).await;
    assert!(is_deferred(&deferred, "4.7.5", NOT_NAMED), "{deferred}");
    // Known, and then out of reach, over a restart and without its record.
    domain.site.show(Page::status("500 No"));
    assert_eq!(domain.deliver(policy, port, "plain.test", &PLAIN).await, deferred);
    assert_eq!(domain.deliver(policy, port, "plain.test", &PLAIN[..2]).await, deferred);
}

/// What is told of the only server: certificates in the DNS, result and why.
async fn told_of(domain: &Domain, tls: TlsPolicy, records: &[Written<'_>]) -> [String; 3] {
    let text =
        format!("[[route]]\ndomain = \"x.test\"\nnext_hop = \"mx\"\ntls = \"{}\"\n", tls.name());
    let rule = settings(&format!("{text}[dns]\ndnssec = true\n")).routes.remove(0);
    let (_root, relay) = domain.relay(25, records).await;
    let explained = relay.explain(&rule, "x.test").await.unwrap();
    let server = explained.servers.unwrap().remove(0);
    assert_eq!(&*server.shown, "mx.test[127.0.0.1]:25");
    let dane = [server.dane.to_owned()].into_iter().chain(server.records).collect::<Vec<_>>();
    [dane.join(" "), server.result, server.why]
}

#[tokio::test]
async fn what_is_wanted_is_told_with_its_reason() {
    use TlsPolicy::{Dane, None, Opportunistic, Required, Verified};
    let digest = "ab".repeat(32);
    let usable = format!("TLSA 3 1 1 {digest}");
    let unusable = format!("TLSA 1 1 1 {digest}");
    let named = "TLS, certificate for mx.test";
    let tried =
        |tls: &str| format!("tls = {tls:?}; the policy of the domain (MTA-STS) is only tried out");
    let (record, useless) = (format!("usable 3 1 1 {digest}"), format!("unusable 1 1 1 {digest}"));
    let cases: Vec<(&str, TlsPolicy, &str, [&str; 2], String)> = vec![
        (
            "enforce mx.test",
            Opportunistic,
            "",
            ["none", named],
            "the policy of the domain (MTA-STS)".into(),
        ),
        ("enforce other.test", Required, "", ["none", "nothing is sent"], NOT_NAMED.into()),
        (
            "enforce other.test",
            Opportunistic,
            &usable,
            [&record, "TLS, certificate in the DNS"],
            "the DNS vouches for it (DANE)".into(),
        ),
        (
            "none other.test",
            Opportunistic,
            &unusable,
            [&useless, "TLS"],
            "the DNS says that it has TLS (DANE)".into(),
        ),
        ("testing mx.test", Opportunistic, "", ["none", "TLS if offered"], tried("opportunistic")),
        (
            "testing other.test",
            Required,
            "",
            ["none", "TLS"],
            format!("{}: {NOT_NAMED}", tried("required")),
        ),
        ("enforce other.test", None, &usable, ["not asked", "clear text"], "tls = \"none\"".into()),
        ("none other.test", Verified, &usable, ["not asked", named], "tls = \"verified\"".into()),
        ("enforce mx.test", Dane, "", ["none", "nothing is sent"], Unmet::NoRecords.to_string()),
    ];
    for (policy, tls, tlsa, [dane, result], why) in cases {
        let (mode, mx) = policy.split_once(' ').unwrap();
        let domain = Domain::new(mode, mx).await;
        let mut records = NAMES.to_vec();
        if !tlsa.is_empty() {
            records.push(("_25._tcp.mx.test.", tlsa));
        }
        let told = told_of(&domain, tls, &records).await;
        assert_eq!(told, [dane.to_owned(), result.to_owned(), why], "{policy} {tls:?}");
    }
}

#[tokio::test]
async fn who_has_no_say_is_told_with_the_reason() {
    let domain = Domain::new("enforce", "other.test").await;
    let (_root, relay) = domain.relay(25, &NAMES).await;
    for (fields, why) in [
        ("next_hop = \"mx\"", None),
        ("next_hop = \"mx\"\ntls = \"verified\"", None),
        ("next_hop = \"mx:x.test\"", None),
        ("next_hop = \"127.0.0.1:9\"", Some("the route names its servers itself")),
        ("next_hop = \"mx\"\ntls = \"none\"", Some("the route has tls = \"none\"")),
        ("next_hop = \"mx\"\ntls = \"dane\"", Some("the route has tls = \"dane\"")),
    ] {
        let text = format!("[dns]\ndnssec = true\n[[route]]\ndomain = \"x.test\"\n{fields}\n");
        let rule = settings(&text).routes.remove(0);
        let explained = relay.explain(&rule, "x.test").await.unwrap();
        let said = explained.no_say.map(|why| why.to_string());
        assert_eq!(said.as_deref(), why, "{fields}");
        assert_eq!(explained.told.kept.is_some(), why.is_none(), "{fields}");
    }
}

/// Of a message that requires TLS (RFC 8689): where nobody has signed anything, a policy vouches for the names of servers, be it one
/// that is only tried.
#[tokio::test]
async fn a_policy_vouches_for_the_name_of_a_server() {
    let mut required = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
    required.envelope.parameters = "REQUIRETLS".into();
    let optional = message(&["u@x.test"], "TLS-Required: No\r\n", &[b"\r\n"]);
    for (mode, mx, wanted) in [
        ("enforce", "mx.plain.test", DELIVERED),
        ("testing", "mx.plain.test", DELIVERED),
        ("enforce", "else.test", "failed 5.7.10 "),
        ("testing", "else.test", "failed 5.7.10 "),
        ("none", "mx.plain.test", "failed 5.7.10 "),
    ] {
        let domain = Domain::new(mode, mx).await;
        let shown = domain.authority.server(&["mx.plain.test"], 2100);
        let promising = super::requiring::promising(&shown);
        let scripts = if wanted == DELIVERED { vec![promising] } else { vec![] };
        let (address, heard) = next_hop(scripts).await;
        let (policy, port) = (TlsPolicy::Opportunistic, address.port());
        let outcome = domain.deliver_this(&required, policy, port, "plain.test", &PLAIN).await;
        assert!(outcome.starts_with(wanted), "{mode} {mx}: {outcome}");
        heard.await.unwrap();
    }
    // It can't be had: another day it may vouch.
    let domain = Domain::new("enforce", "").await;
    let outcome =
        domain.deliver_this(&required, TlsPolicy::Opportunistic, 1, "plain.test", &PLAIN).await;
    assert!(outcome.starts_with("deferred 4.7.5 "), "{outcome}");
    // Nor can the DNS tell now whether there is one; where it is sure that there is none, the message comes back.
    let alias = ("_mta-sts.plain.test.", "CNAME _mta-sts.broken.test.");
    for (records, wanted) in
        [(&[PLAIN[0], PLAIN[1], alias][..], "deferred 4.7.5 "), (&PLAIN[..2], "failed 5.7.10 ")]
    {
        let policy = TlsPolicy::Opportunistic;
        let outcome = domain.deliver_this(&required, policy, 1, "plain.test", records).await;
        assert!(outcome.starts_with(wanted), "{outcome}");
    }
    // Who asks for less of it is not held to a policy.
    let domain = Domain::new("enforce", "else.test").await;
    let (address, heard) = next_hop(vec![clear()]).await;
    let policy = TlsPolicy::Opportunistic;
    let outcome =
        domain.deliver_this(&optional, policy, address.port(), "plain.test", &PLAIN).await;
    assert_eq!(outcome, DELIVERED);
    heard.await.unwrap();
}
