//! Messages that require TLS on all of their way, and those that ask for less of it than others do (RFC 8689).
//! Knows the relay by its public methods, and the DNS by its records.

use stagepost_queue::Origin;

use super::dane::{HOST, MX, clear, hop, record, untold, written};
use super::*;
use crate::dns::signed::{SignedRoot, Written};
use crate::tls::authority::{Authority, Shown};

/// What a server offers under TLS.
const PROMISE: &str = "250-hop\r\n250-PIPELINING\r\n250 REQUIRETLS\r\n";
const NO_PROMISE: &str = "250-hop\r\n250 PIPELINING\r\n";
const MAIL: &str = "MAIL FROM:<a@b.test> REQUIRETLS\r\n";

/// A server that offers this under TLS, and takes what comes then.
fn taking(shown: &Shown, offer: &'static str) -> Vec<Turn> {
    let taken = [Hear("DATA\r\n"), Say(GO), Hear(END), Say("250 queued\r\n"), Wait];
    offering(shown, offer, taken)
}

/// A server that promises the same, and takes what comes.
pub(super) fn promising(shown: &Shown) -> Vec<Turn> {
    taking(shown, PROMISE)
}

/// The same as the first, which gets nothing.
fn left(shown: &Shown, offer: &'static str) -> Vec<Turn> {
    offering(shown, offer, [Wait])
}

fn offering(shown: &Shown, offer: &'static str, then: impl IntoIterator<Item = Turn>) -> Vec<Turn> {
    let opening = [
        Say("220 hop\r\n"),
        Hear("EHLO us.test\r\n"),
        Say("250-hop\r\n250-REQUIRETLS\r\n250 STARTTLS\r\n"),
        Hear("STARTTLS\r\n"),
        Say("220 go\r\n"),
        Secure(shown.acceptor()),
        Hear("EHLO us.test\r\n"),
        Say(offer),
    ];
    opening.into_iter().chain(then).collect()
}

/// TLS that believes this authority.
fn believing(authority: &Authority) -> OutboundTls {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roots.pem");
    std::fs::write(&path, authority.pem()).unwrap();
    outbound(&format!("[delivery]\ntls_roots = \"{}\"\n", path.display()))
}

fn required() -> StoredMessage {
    let mut message = message(&["u@x.test"], "TLS-Required: No\r\n", &[b"\r\n"]);
    message.envelope.parameters = "REQUIRETLS".into();
    message
}

/// A relay by this DNS, to servers on a port.
fn relay(port: u16, root: &SignedRoot, tls: OutboundTls) -> Relay {
    let name = OwnName::parse("us.test").unwrap();
    let resolver = root.resolver();
    let demands = demands("", Some(resolver.clone()), None);
    Relay::new(resolver, demands, name, port, tls, RelayTimeouts::default())
}

async fn send(
    relay: &Relay,
    servers: Servers<'_>,
    tls: TlsPolicy,
    message: &StoredMessage,
) -> String {
    let hop = Hop { servers, protocol: Protocol::Smtp, tls, login: None };
    match relay.deliver(hop, message, &[0]).await.outcomes.remove(0) {
        RecipientOutcome::Delivered(..) => DELIVERED.to_owned(),
        other => other.to_string(),
    }
}

#[tokio::test]
async fn what_requires_tls_goes_to_a_known_server_that_promises_the_same() {
    let authority = Authority::new();
    let (good, strange) = (authority.server(&["mx.test"], 2100), Shown::alone(&["mx.test"], 2100));
    let other = authority.server(&["else.test"], 2100);
    let plain: [Written<'_>; 2] =
        [("x.test.", "MX 10 mx.test."), ("plain.test.", "MX 10 mx.test.")];
    let promise =
        "the message requires TLS on all of its way, and the server does not offer REQUIRETLS";
    let handshake = "the message requires TLS: the TLS handshake failed: ";
    let unvouched = "the message requires TLS: nobody vouches for the name of the server";
    for (domain, script, wanted, why) in [
        ("x.test", taking(&good, PROMISE), DELIVERED, ""),
        ("x.test", left(&good, NO_PROMISE), "failed 5.7.30 ", promise),
        ("x.test", left(&strange, PROMISE), "failed 5.7.10 ", handshake),
        ("x.test", left(&other, PROMISE), "failed 5.7.10 ", handshake),
        ("x.test", untold(), "failed 5.7.10 ", "the message requires TLS: TLS is required"),
        // Nobody has signed where its mail goes.
        ("plain.test", vec![], "failed 5.7.10 ", unvouched),
    ] {
        let none = script.is_empty();
        let (port, heard) = hop(if none { vec![] } else { vec![script] }).await;
        let root = SignedRoot::start(&[&plain[..], &[HOST]].concat()).await;
        let relay = relay(port, &root, believing(&authority));
        let outcome =
            send(&relay, Servers::Mx(domain), TlsPolicy::Opportunistic, &required()).await;
        assert!(outcome.starts_with(wanted) && outcome.contains(why), "{outcome}");
        drop(relay);
        let heard = heard.await.unwrap().concat();
        assert_eq!(heard.contains(MAIL), outcome == DELIVERED, "{heard}");
        assert_eq!(heard.contains("MAIL"), outcome == DELIVERED, "{heard}");
    }
}

#[tokio::test]
async fn certificates_in_the_dns_will_do() {
    let (shown, other) = (Shown::alone(&["else.test"], 2010), Shown::alone(&["mx.test"], 2100));
    for (presented, wanted) in [(&shown, DELIVERED), (&other, "failed 5.7.10 ")] {
        let (port, heard) = hop(vec![taking(presented, PROMISE)]).await;
        let further = [record("mx.test", port, &shown)];
        let root = SignedRoot::start(&written(&[MX, HOST], &further)).await;
        let relay = relay(port, &root, outbound(""));
        let outcome =
            send(&relay, Servers::Mx("x.test"), TlsPolicy::Opportunistic, &required()).await;
        assert!(outcome.starts_with(wanted), "{outcome}");
        drop(relay);
        assert_eq!(heard.await.unwrap().concat().contains(MAIL), wanted == DELIVERED);
    }
}

#[tokio::test]
async fn what_may_be_better_another_day_is_tried_again() {
    let authority = Authority::new();
    let shown = authority.server(&["mx.test"], 2100);
    // The handshake breaks off: nobody has said anything of certificates.
    let mut broken = taking(&shown, PROMISE);
    broken.truncate(5);
    let (port, heard) = hop(vec![broken]).await;
    let root = SignedRoot::start(&[MX, HOST]).await;
    let relay = relay(port, &root, believing(&authority));
    let outcome = send(&relay, Servers::Mx("x.test"), TlsPolicy::Opportunistic, &required()).await;
    assert!(outcome.starts_with("deferred 4.7.5 "), "{outcome}");
    heard.await.unwrap();
    // Nobody is there.
    let outcome = send(&relay, Servers::Mx("x.test"), TlsPolicy::Opportunistic, &required()).await;
    assert!(outcome.starts_with("deferred 4.4.1 "), "{outcome}");
}

/// What comes of a message to servers that the operator has named, so that nobody else need vouch for them; and what they hear.
/// Each has a script for each connection.
async fn to_hosts(
    scripts: Vec<Vec<Vec<Turn>>>,
    authority: &Authority,
    message: &StoredMessage,
    tls: TlsPolicy,
) -> (String, String) {
    let (mut hosts, mut tasks) = (Vec::new(), Vec::new());
    for scripts in scripts {
        let (port, heard) = hop(scripts).await;
        hosts.push(NextHop { host: "127.0.0.1".to_owned(), port });
        tasks.push(heard);
    }
    let mut sending = Sending::new(&[], RelayTimeouts::default());
    sending.relay.tls = believing(authority);
    let outcome = send(&sending.relay, Servers::Hosts(&hosts), tls, message).await;
    drop(sending);
    let mut heard = String::new();
    for task in tasks {
        heard += &task.await.unwrap().concat();
    }
    (outcome, heard)
}

#[tokio::test]
async fn each_server_of_a_route_is_tried_and_the_last_word_is_about_all() {
    let authority = Authority::new();
    let shown = authority.server(&["127.0.0.1"], 2100);
    let opportunistic = TlsPolicy::Opportunistic;
    let scripts = vec![vec![left(&shown, NO_PROMISE)], vec![taking(&shown, PROMISE)]];
    let (outcome, _) = to_hosts(scripts, &authority, &required(), opportunistic).await;
    assert_eq!(outcome, DELIVERED);
    // That one of them might have promised says more than that the other one has no TLS.
    let scripts = vec![vec![left(&shown, NO_PROMISE)], vec![untold()]];
    let (outcome, _) = to_hosts(scripts, &authority, &required(), opportunistic).await;
    assert!(outcome.starts_with("failed 5.7.30 "), "{outcome}");
    // One of them is down, and may be up tomorrow.
    let scripts = vec![vec![], vec![left(&shown, NO_PROMISE)]];
    let (outcome, _) = to_hosts(scripts, &authority, &required(), opportunistic).await;
    assert!(outcome.starts_with("deferred 4.4.1 "), "{outcome}");
    // The operator wants no TLS.
    let (outcome, _) = to_hosts(vec![vec![]], &authority, &required(), TlsPolicy::None).await;
    let why = "the message requires TLS: the route has tls = \"none\"";
    assert!(outcome.starts_with("failed 5.7.10 ") && outcome.ends_with(why), "{outcome}");
}

#[tokio::test]
async fn a_notification_is_not_lost() {
    let authority = Authority::new();
    let shown = authority.server(&["127.0.0.1"], 2100);
    let mut message = required();
    message.envelope.sender = stagepost_smtp::ReversePath::Null;
    for (scripts, said) in [
        (vec![taking(&shown, PROMISE)], "MAIL FROM:<> REQUIRETLS\r\n"),
        // The one that was left on its account will do.
        (vec![taking(&shown, NO_PROMISE)], "MAIL FROM:<>\r\n"),
        (vec![untold(), clear()], "MAIL FROM:<> SIZE=20\r\n"),
    ] {
        let (outcome, heard) =
            to_hosts(vec![scripts], &authority, &message, TlsPolicy::Opportunistic).await;
        assert_eq!(outcome, DELIVERED, "{said}");
        assert!(heard.contains(said) && heard.matches("MAIL").count() == 1, "{heard}");
    }
}

#[tokio::test]
async fn who_asks_for_less_is_not_held_to_what_a_domain_wants() {
    let (shown, other) = (Shown::alone(&["mx.test"], 2100), Shown::alone(&["mx.test"], 2100));
    let mut message = message(&["u@x.test"], "TLS-Required: No\r\n", &[b"\r\n"]);
    for (heeds, here, policy, delivered) in [
        (true, false, TlsPolicy::Opportunistic, true),
        (true, false, TlsPolicy::Required, true),
        (false, false, TlsPolicy::Opportunistic, false),
        // A report of TLS by ourselves (RFC 8460 section 3).
        (false, true, TlsPolicy::Opportunistic, true),
        // What the operator wants still counts.
        (true, true, TlsPolicy::Dane, false),
    ] {
        message.origin = if here { Origin::here() } else { Origin::default() };
        let (port, heard) = hop(vec![taking(&other, NO_PROMISE)]).await;
        let further = [record("mx.test", port, &shown)];
        let root = SignedRoot::start(&written(&[MX, HOST], &further)).await;
        let relay = relay(port, &root, outbound("")).heeding_field(heeds);
        let outcome = send(&relay, Servers::Mx("x.test"), policy, &message).await;
        assert_eq!(outcome == DELIVERED, delivered, "{policy:?}: {outcome}");
        assert!(delivered || outcome.starts_with("deferred 4.7.5 "), "{outcome}");
        drop(relay);
        heard.await.unwrap();
    }
}

#[tokio::test]
async fn in_the_mailbox_is_the_end_of_the_way() {
    let taken = [
        Say("220 hop\r\n"),
        Hear("LHLO us.test\r\n"),
        Say(NO_PROMISE),
        Hear("DATA\r\n"),
        Say(GO),
        Hear(END),
        Say("250 queued\r\n"),
        Wait,
    ];
    let (address, heard) = next_hop(vec![taken.into_iter().collect()]).await;
    let mut sending = relay_to(address);
    (sending.protocol, sending.tls) = (Protocol::Lmtp, TlsPolicy::None);
    assert_eq!(sending.deliver(&required(), &[0]).await, [DELIVERED]);
    drop(sending);
    assert!(heard.await.unwrap().concat().contains("MAIL FROM:<a@b.test>\r\n"));
}
