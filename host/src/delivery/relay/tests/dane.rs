//! Deliveries to servers whose certificates a signed DNS vouches for, or does not.
//! Knows the relay by its public methods, and the DNS by its records.

use super::tls::{asking_for_plain, offering_tls};
use super::*;
use crate::delivery::servers::Footing;
use crate::dns::Tlsa;
use crate::dns::signed::{LIES, SignedRoot, Written};
use crate::tls::authority::{Authority, Shown, sha256, sha256_hex};

/// A next hop at an address of its own, on a port that the DNS can't know before.
pub(super) async fn hop(scripts: Vec<Vec<Turn>>) -> (u16, JoinHandle<Vec<String>>) {
    let (address, heard) = next_hop(scripts).await;
    (address.port(), heard)
}

/// What comes of one message to `domain`, with these records.
async fn deliver(policy: TlsPolicy, port: u16, domain: &str, root: &SignedRoot) -> String {
    let name = OwnName::parse("us.test").unwrap();
    let timeouts = RelayTimeouts::default();
    let resolver = root.resolver();
    let demands = demands("", Some(resolver.clone()), None);
    let relay = Relay::new(resolver, demands, name, port, outbound(""), timeouts);
    let message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
    let hop =
        Hop { servers: Servers::Mx(domain), protocol: Protocol::Smtp, tls: policy, login: None };
    let outcome = relay.deliver(hop, &message, &[0]).await.outcomes.remove(0);
    match outcome {
        RecipientOutcome::Delivered(..) => DELIVERED.to_owned(),
        other => other.to_string(),
    }
}

pub(super) const MX: Written<'static> = ("x.test.", "MX 10 mx.test.");
pub(super) const HOST: Written<'static> = ("mx.test.", "A 127.0.0.1");

/// The record of a server's own certificate, below a name.
pub(super) fn record(base: &str, port: u16, shown: &Shown) -> (String, String) {
    (format!("_{port}._tcp.{base}."), format!("TLSA 3 0 1 {}", sha256_hex(&shown.chain[0])))
}

pub(super) fn written<'w>(
    records: &[Written<'w>],
    further: &'w [(String, String)],
) -> Vec<Written<'w>> {
    let further = further.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    records.iter().copied().chain(further).collect()
}

/// A server without TLS that takes what comes.
pub(super) fn clear() -> Vec<Turn> {
    script([Hear("DATA\r\n"), Say(GO), Hear(END), Say("250 queued\r\n"), Wait])
}

/// A server without TLS that gets nothing.
pub(super) fn untold() -> Vec<Turn> {
    script([Hear("QUIT\r\n"), Say("221 bye\r\n"), Wait])
}

#[tokio::test]
async fn a_server_that_the_dns_vouches_for_must_be_that_server() {
    // Neither its name nor its time is right: with a record of itself that says nothing.
    let (shown, other) = (Shown::alone(&["else.test"], 2010), Shown::alone(&["mx.test"], 2100));
    for (presented, good) in [(&shown, true), (&other, false)] {
        let (port, heard) = hop(vec![offering_tls(&presented.acceptor())]).await;
        let further = [record("mx.test", port, &shown)];
        let root = SignedRoot::start(&written(&[MX, HOST], &further)).await;
        let outcome = deliver(TlsPolicy::Opportunistic, port, "x.test", &root).await;
        let why = "the TLS handshake failed: no TLSA record of the server matches its certificates; wanted by the DNS (DANE)";
        let refused = outcome.starts_with("deferred 4.7.5 ") && outcome.ends_with(why);
        assert_eq!((outcome == DELIVERED, refused), (good, !good), "{outcome}");
        assert_eq!(heard.await.unwrap().concat().contains("MAIL"), good);
    }
    // Nor does it get clear text where it offers no TLS.
    let (port, heard) = hop(vec![untold()]).await;
    let further = [record("mx.test", port, &shown)];
    let root = SignedRoot::start(&written(&[MX, HOST], &further)).await;
    let outcome = deliver(TlsPolicy::Opportunistic, port, "x.test", &root).await;
    assert!(outcome.starts_with("deferred 4.7.4 "), "{outcome}");
    assert!(!heard.await.unwrap().concat().contains("MAIL"));
}

#[tokio::test]
async fn an_authority_in_the_dns_vouches_for_the_server_or_its_domain() {
    let authority = Authority::new();
    for (names, until, good) in [
        (&["mx.test"][..], 2100, true),
        (&["x.test"], 2100, true),
        (&["else.test"], 2100, false),
        (&["mx.test"], 2010, false),
    ] {
        let shown = authority.server(names, until);
        let (port, heard) = hop(vec![offering_tls(&shown.acceptor())]).await;
        let digest = sha256_hex(authority.der());
        let further = [(format!("_{port}._tcp.mx.test."), format!("TLSA 2 0 1 {digest}"))];
        let root = SignedRoot::start(&written(&[MX, HOST], &further)).await;
        let outcome = deliver(TlsPolicy::Dane, port, "x.test", &root).await;
        assert_eq!(outcome == DELIVERED, good, "{names:?} {until}: {outcome}");
        heard.await.unwrap();
    }
}

#[tokio::test]
async fn what_dnssec_does_not_vouch_for_asks_for_nothing() {
    let shown = Shown::alone(&["mx.test"], 2100);
    let plain: [Written<'_>; 2] =
        [("plain.test.", "MX 10 mx.plain.test."), ("mx.plain.test.", "A 127.0.0.1")];
    let led: [Written<'_>; 2] =
        [("x.test.", "MX 10 mx.plain.test."), ("mx.plain.test.", "A 127.0.0.1")];
    let cases: [(&[Written<'_>], &str, &str); 4] = [
        // Nothing is signed; a record of certificates is not even looked for.
        (&plain, "plain.test", "mx.plain.test"),
        // The server's name is not signed.
        (&led, "x.test", "mx.plain.test"),
        // There is a signed no.
        (&[MX, HOST], "x.test", "else.test"),
        (&[("plain.test.", "MX 10 mx.test."), HOST], "plain.test", "mx.test"),
    ];
    for (records, domain, base) in cases {
        let (port, heard) = hop(vec![clear()]).await;
        let further = [record(base, port, &shown)];
        let root = SignedRoot::start(&written(records, &further)).await;
        let outcome = deliver(TlsPolicy::Opportunistic, port, domain, &root).await;
        assert_eq!(outcome, DELIVERED, "{domain} {base}");
        let asked = root.asked().iter().any(|question| question.starts_with("TLSA"));
        assert_eq!(asked, base == "else.test", "{:?}", root.asked());
        heard.await.unwrap();

        // Who wants certificates gets no further.
        let outcome = deliver(TlsPolicy::Dane, port, domain, &root).await;
        let why = "the DNS has no certificates of the server (TLSA) that DNSSEC vouches for";
        assert!(outcome.starts_with("deferred 4.7.5 ") && outcome.ends_with(why), "{outcome}");
    }
}

#[tokio::test]
async fn no_answer_about_certificates_is_no_leave_to_do_without() {
    let shown = Shown::alone(&["mx.test"], 2100);
    // The address is as it should be; the record of certificates is forged, or can't be had, or is denied by who can't know.
    let hosts = ["forged.test", "broken.test"].into_iter().chain(LIES);
    for host in hosts.map(|domain| format!("mx.{domain}")) {
        let (port, heard) = hop(vec![]).await;
        let alias = format!("CNAME _{port}._tcp.{host}.");
        let mut further = vec![(format!("_{port}._tcp.mx.test."), alias)];
        if host.contains("forged") {
            further.push(record(&host, port, &shown));
        }
        let records = [MX, HOST, ("host.plain.test.", "A 127.0.0.1")];
        let root = SignedRoot::start(&written(&records, &further)).await;
        for policy in [TlsPolicy::Opportunistic, TlsPolicy::Required, TlsPolicy::Dane] {
            let outcome = deliver(policy, port, "x.test", &root).await;
            let why = "the DNS can't tell now which certificates the server has (TLSA)";
            assert!(outcome.starts_with("deferred 4.7.5 ") && outcome.ends_with(why), "{outcome}");
        }
        assert_eq!(heard.await.unwrap(), [""; 0]);
    }
    // A forged address leads nowhere at all; nor does a forged MX record, or one that is denied by who can't know.
    let records = [
        ("x.test.", "MX 10 mx.forged.test."),
        ("mx.forged.test.", "A 127.0.0.1"),
        ("x.forged.test.", "MX 10 mx.test."),
        ("x.elsewhere.test.", "MX 10 mx.test."),
        ("x.elsewhere.test.", "A 127.0.0.1"),
        HOST,
    ];
    let root = SignedRoot::start(&records).await;
    for domain in ["x.test", "x.forged.test", "x.broken.test", "x.elsewhere.test"] {
        let (port, _heard) = hop(vec![]).await;
        let outcome = deliver(TlsPolicy::Opportunistic, port, domain, &root).await;
        let why = "deferred 4.4.3 the DNS can't tell now where mail for the domain goes";
        assert_eq!(outcome, why, "{domain}");
    }
}

#[tokio::test]
async fn records_that_nobody_can_use_still_want_tls() {
    for (tls, good) in [(true, true), (false, false)] {
        let shown = Shown::alone(&["else.test"], 2100);
        let script = if tls { offering_tls(&shown.acceptor()) } else { untold() };
        let (port, heard) = hop(vec![script]).await;
        let unusable = format!("TLSA 1 1 1 {}", sha256_hex(b"x"));
        let further = [(format!("_{port}._tcp.mx.test."), unusable)];
        let root = SignedRoot::start(&written(&[MX, HOST], &further)).await;
        let outcome = deliver(TlsPolicy::Opportunistic, port, "x.test", &root).await;
        assert_eq!(outcome == DELIVERED, good, "{outcome}");
        heard.await.unwrap();
    }
}

#[tokio::test]
async fn other_names_lead_to_the_records_of_the_last_one_first() {
    let (shown, other) = (Shown::alone(&["mx.test"], 2100), Shown::alone(&["mx.test"], 2100));
    let records = [MX, ("mx.test.", "CNAME host.test."), ("host.test.", "A 127.0.0.1")];
    for (first, second, good) in [
        // Both have records: those of the host count.
        (Some(&shown), Some(&other), true),
        (Some(&other), Some(&shown), false),
        // The host has none.
        (None, Some(&shown), true),
    ] {
        let (port, heard) = hop(vec![offering_tls(&shown.acceptor())]).await;
        let of = |base: &str, shown: Option<&Shown>| shown.map(|shown| record(base, port, shown));
        let further: Vec<_> =
            [of("host.test", first), of("mx.test", second)].into_iter().flatten().collect();
        let root = SignedRoot::start(&written(&records, &further)).await;
        let outcome = deliver(TlsPolicy::Opportunistic, port, "x.test", &root).await;
        assert_eq!(outcome == DELIVERED, good, "{outcome}");
        heard.await.unwrap();
    }
    // The alias is signed and what it leads to is not: the alias's own records count.
    let records = [MX, ("mx.test.", "CNAME mx.plain.test."), ("mx.plain.test.", "A 127.0.0.1")];
    let (port, heard) = hop(vec![offering_tls(&other.acceptor())]).await;
    let further = [record("mx.test", port, &shown)];
    let root = SignedRoot::start(&written(&records, &further)).await;
    let outcome = deliver(TlsPolicy::Opportunistic, port, "x.test", &root).await;
    assert!(outcome.starts_with("deferred 4.7.5 "), "{outcome}");
    heard.await.unwrap();
}

/// RFC 7672 section 8.1: a server of many names knows by it which certificate to show.
#[tokio::test]
async fn a_server_is_asked_for_the_name_that_its_records_stand_below() {
    let shown = Shown::alone(&["else.test"], 2100);
    let alias = [MX, ("mx.test.", "CNAME host.test."), ("host.test.", "A 127.0.0.1")];
    for (records, base, policy) in [
        (&[MX, HOST][..], "mx.test", TlsPolicy::Opportunistic),
        (&alias, "host.test", TlsPolicy::Opportunistic),
        (&alias, "mx.test", TlsPolicy::Dane),
    ] {
        let names = Arc::default();
        let acceptor = shown.acceptor_noting(Arc::clone(&names));
        let (port, heard) = hop(vec![offering_tls(&acceptor)]).await;
        let further = [record(base, port, &shown)];
        let root = SignedRoot::start(&written(records, &further)).await;
        assert_eq!(deliver(policy, port, "x.test", &root).await, DELIVERED, "{base}");
        heard.await.unwrap();
        assert_eq!(*names.lock().unwrap(), [base]);
    }
}

/// RFC 7672 section 3.1.3: those of usage 0 and 1 stand beside others as if they were not there.
#[tokio::test]
async fn records_that_nobody_can_use_take_nothing_from_the_others() {
    let (shown, other) = (Shown::alone(&["mx.test"], 2100), Shown::alone(&["mx.test"], 2100));
    let digest = |shown: &Shown| sha256_hex(&shown.chain[0]);
    for (presented, usages, policy, wanted) in [
        // What they say of another certificate counts no more than what they say of this one.
        (&shown, &[(3, &shown), (0, &other), (1, &other)][..], TlsPolicy::Dane, DELIVERED),
        (
            &other,
            &[(3, &shown), (0, &other), (1, &other)],
            TlsPolicy::Opportunistic,
            "deferred 4.7.5 ",
        ),
        (&other, &[(0, &shown), (1, &shown)], TlsPolicy::Opportunistic, DELIVERED),
        (&shown, &[(0, &shown), (1, &shown)], TlsPolicy::Dane, "deferred 4.7.5 "),
    ] {
        let none = policy == TlsPolicy::Dane && wanted != DELIVERED;
        let scripts = if none { vec![] } else { vec![offering_tls(&presented.acceptor())] };
        let (port, heard) = hop(scripts).await;
        let record = |&(usage, shown): &(u8, &Shown)| {
            (format!("_{port}._tcp.mx.test."), format!("TLSA {usage} 0 1 {}", digest(shown)))
        };
        let further: Vec<_> = usages.iter().map(record).collect();
        let root = SignedRoot::start(&written(&[MX, HOST], &further)).await;
        let outcome = deliver(policy, port, "x.test", &root).await;
        assert!(outcome.starts_with(wanted), "{policy:?}: {outcome}");
        let why = "the DNS has no certificates of the server (TLSA) that can be used";
        assert!(!none || outcome.ends_with(why), "{outcome}");
        heard.await.unwrap();
    }
}

/// More than fits into a datagram, and nearly all of them of no use.
#[tokio::test]
async fn many_records_are_looked_through() {
    let shown = Shown::alone(&["else.test"], 2010);
    let (port, heard) = hop(vec![offering_tls(&shown.acceptor())]).await;
    let unusable = |number: u32| {
        let text = format!("TLSA 1 1 1 {}", sha256_hex(&number.to_be_bytes()));
        (format!("_{port}._tcp.mx.test."), text)
    };
    let mut further: Vec<_> = (0..200).map(unusable).collect();
    further.push(record("mx.test", port, &shown));
    let root = SignedRoot::start(&written(&[MX, HOST], &further)).await;
    assert_eq!(deliver(TlsPolicy::Dane, port, "x.test", &root).await, DELIVERED);
    heard.await.unwrap();
}

/// A server that the operator has named counts like one whose MX record is signed (RFC 7672 section 2.2.3).
#[tokio::test]
async fn a_named_server_is_held_to_its_records() {
    let shown = Shown::alone(&["mx.test"], 2100);
    let endpoint = |port| Endpoint::Tcp(([127, 0, 0, 1], port).into());
    let demand_on = async |host: &str, policy, further: &[(String, String)]| {
        let records: [Written<'_>; 4] = [
            HOST,
            ("mx.plain.test.", "A 127.0.0.1"),
            ("alias.test.", "CNAME mx.test."),
            ("mx.forged.test.", "A 127.0.0.1"),
        ];
        let root = SignedRoot::start(&written(&records, further)).await;
        let demands = demands("", Some(root.resolver()), None);
        let wanted = demands.of_delivery(policy, Servers::Hosts(&[]), TlsWish::Unsaid).await;
        let server = Server {
            host: host.into(),
            shown: host.into(),
            endpoint: endpoint(587),
            footing: Footing::Named,
            vouched: true,
        };
        let demanded = demands.of(&wanted, &server).await.demand;
        let asked = root.asked().iter().any(|question| question.starts_with("TLSA"));
        (demanded.map(|demand| (demand.tls, demand.identity)), asked)
    };
    let below = |host: &str| record(host, 587, &shown);
    let dane_of = |names: &[&str]| {
        let data = sha256(&shown.chain[0]).into();
        let record = Tlsa { usage: 3, selector: 0, matching: 1, data };
        let names = names.iter().map(|name| (*name).into()).collect();
        Identity::Dane(crate::tls::Dane::of(&[record], names).unwrap())
    };
    use TlsPolicy::{Dane, Opportunistic, Required, Verified};
    for policy in [Opportunistic, Required, Dane] {
        for (host, base) in
            [("mx.test", "mx.test"), ("alias.test", "mx.test"), ("alias.test", "alias.test")]
        {
            let (found, _) = demand_on(host, policy, &[below(base)]).await;
            // RFC 7672 section 3.2.2: a certificate by an authority may be for the name that was named, too.
            let names = if host == base { vec![base] } else { vec![base, host] };
            let wanted = (SendingTls::Must, dane_of(&names));
            assert_eq!(found, Ok(wanted), "{policy:?} {host} {base}");
        }
        // Whoever forges the address could forge the rest.
        let (found, _) = demand_on("mx.forged.test", policy, &[below("mx.forged.test")]).await;
        assert_eq!(found.unwrap_err(), Unmet::Unknown, "{policy:?}");
    }
    // It is for its port.
    let (found, asked) =
        demand_on("mx.test", Opportunistic, &[record("mx.test", 25, &shown)]).await;
    assert_eq!((found, asked), (Ok((SendingTls::IfOffered, Identity::Anybody)), true));
    // A zone that is not signed is not asked for them.
    let (found, asked) = demand_on("mx.plain.test", Required, &[below("mx.plain.test")]).await;
    assert_eq!((found, asked), (Ok((SendingTls::Must, Identity::Anybody)), false));
    let (found, _) = demand_on("mx.plain.test", Dane, &[below("mx.plain.test")]).await;
    assert_eq!(found, Err(Unmet::NoRecords));
    // The operator wants an authority's word, whatever the DNS says.
    let (found, asked) = demand_on("mx.test", Verified, &[below("mx.test")]).await;
    assert_eq!((found, asked), (Ok((SendingTls::Must, Identity::Named)), false));
}

/// A server that the DNS vouches for has shown who it is: it may see the password.
#[tokio::test]
async fn a_password_is_for_a_server_that_the_dns_vouches_for() {
    let shown = Shown::alone(&["else.test"], 2100);
    for vouched in [true, false] {
        let mut script = asking_for_plain(&shown.acceptor());
        if !vouched {
            script.truncate(8);
            script.push(Wait);
        }
        let (port, heard) = hop(vec![script]).await;
        let further = [record("mx.test", port, &shown)];
        let further = if vouched { &further[..] } else { &[] };
        let root = SignedRoot::start(&written(&[MX, HOST], further)).await;
        let resolver = root.resolver();
        let demands = demands("", Some(resolver.clone()), None);
        let name = OwnName::parse("us.test").unwrap();
        let timeouts = RelayTimeouts::default();
        let relay = Relay::new(resolver, demands, name, port, outbound(""), timeouts);
        let login = Credentials::new("user", Secret::new(b"pencil".to_vec()));
        let (servers, tls) = (Servers::Mx("x.test"), TlsPolicy::Required);
        let hop = Hop { servers, protocol: Protocol::Smtp, tls, login: login.as_ref() };
        let message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
        let outcome = relay.deliver(hop, &message, &[0]).await.outcomes.remove(0);
        let is_delivered = matches!(outcome, RecipientOutcome::Delivered(..));
        assert_eq!(is_delivered, vouched, "{outcome}");
        drop(relay);
        let heard = heard.await.unwrap().concat();
        assert_eq!(heard.contains("AUTH PLAIN AHVzZXIAcGVuY2ls\r\nMAIL "), vouched, "{heard}");
        assert_eq!(heard.contains("AUTH"), vouched, "{heard}");
    }
}
