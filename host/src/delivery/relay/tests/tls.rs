//! TLS to scripted next hops: what routes want of it, and servers, or somebody before them, who would rather have clear text.
//! Knows the relay by its public methods and by what a next hop hears.

use super::*;

/// A certificate for `localhost`: in PEM, and as a server shows it.
pub(super) fn certificate() -> (String, TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (made.cert.pem(), Arc::new(config).into())
}

/// A server that takes a message under TLS.
pub(super) fn offering_tls(acceptor: &TlsAcceptor) -> Vec<Turn> {
    vec![
        Say("220 hop\r\n"),
        Hear("EHLO us.test\r\n"),
        Say("250-hop\r\n250 STARTTLS\r\n"),
        Hear("STARTTLS\r\n"),
        Say("220 go\r\n"),
        Secure(acceptor.clone()),
        Hear("EHLO us.test\r\n"),
        Say("250-hop\r\n250 PIPELINING\r\n"),
        Hear("DATA\r\n"),
        Say(GO),
        Hear(END),
        Say("250 queued\r\n"),
        Wait,
    ]
}

#[tokio::test]
async fn routes_say_what_is_wanted_of_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (trusted, acceptor) = certificate();
    let roots = |pem: &str| {
        let path = folder.path().join("roots.pem");
        std::fs::write(&path, pem).unwrap();
        outbound(&format!("[delivery]\ntls_roots = \"{}\"\n", path.display()))
    };
    let (known, strange) = (roots(&trusted), roots(&certificate().0));
    use TlsPolicy::{None, Opportunistic, Required, Verified};
    let cases = [
        (Opportunistic, &strange, "localhost", true),
        (Required, &strange, "127.0.0.1", true),
        (Verified, &known, "localhost", true),
        (Verified, &strange, "localhost", false),
        // The certificate is for another name.
        (Verified, &known, "127.0.0.1", false),
    ];
    let message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
    for (policy, tls, host, good) in cases {
        let (address, heard) = next_hop(vec![offering_tls(&acceptor)]).await;
        let mut sending = Sending::new(&[(host, address.port())], RelayTimeouts::default());
        (sending.tls, sending.relay.tls) = (policy, tls.clone());
        let outcomes = sending.deliver(&message, &[0]).await;
        let words = "4.7.5 ";
        let failed = outcomes[0].contains(words) && outcomes[0].contains("TLS handshake failed");
        assert_eq!((outcomes[0] == DELIVERED, failed), (good, !good), "{policy:?}: {outcomes:?}");
        drop(sending);
        let heard = heard.await.unwrap().concat();
        assert_eq!(heard.contains("MAIL"), good, "{heard}");
    }

    // Nothing of the message where TLS is required and not offered; all of it where TLS is left alone.
    for (policy, wanted) in
        [(Required, false), (Verified, false), (None, true), (Opportunistic, true)]
    {
        let rest = [Hear("DATA\r\n"), Say(GO), Hear(END), Say("250 queued\r\n"), Wait];
        let quits = [Hear("QUIT\r\n"), Say("221 bye\r\n"), Wait];
        let script = if wanted { script(rest) } else { script(quits) };
        let (address, heard) = next_hop(vec![script]).await;
        let mut sending = relay_to(address);
        sending.tls = policy;
        let outcomes = sending.deliver(&message, &[0]).await;
        let why = format!(
            "TLS is required, and the server does not offer it; wanted by the route (tls = {:?})",
            policy.name()
        );
        let refusal = deferred(address, "4.7.4", &why);
        assert_eq!(outcomes, [if wanted { DELIVERED.to_owned() } else { refusal }], "{policy:?}");
        drop(sending);
        assert_eq!(heard.await.unwrap().concat().contains("MAIL"), wanted);
    }
}

/// A server that wants to know who we are, and takes PLAIN.
pub(super) fn asking_for_plain(acceptor: &TlsAcceptor) -> Vec<Turn> {
    let mut turns = offering_tls(acceptor);
    turns.splice(
        7..8,
        [
            Say("250-hop\r\n250-PIPELINING\r\n250 AUTH PLAIN LOGIN\r\n"),
            Hear("AUTH PLAIN AHVzZXIAcGVuY2ls\r\n"),
            Say("235 2.7.0 in\r\n"),
        ],
    );
    turns
}

#[tokio::test]
async fn the_password_is_for_a_server_that_has_shown_who_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (pem, acceptor) = certificate();
    let path = folder.path().join("roots.pem");
    std::fs::write(&path, pem).unwrap();
    let tls = outbound(&format!("[delivery]\ntls_roots = \"{}\"\n", path.display()));
    let message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
    let sending = |address: SocketAddr, policy| {
        let mut sending = Sending::new(&[("localhost", address.port())], RelayTimeouts::default());
        (sending.tls, sending.relay.tls) = (policy, tls.clone());
        sending.login = Credentials::new("user", Secret::new(b"pencil".to_vec()));
        sending
    };
    let (address, heard) = next_hop(vec![asking_for_plain(&acceptor)]).await;
    let verified = sending(address, TlsPolicy::Verified);
    assert_eq!(verified.deliver(&message, &[0]).await, [DELIVERED]);
    drop(verified);
    assert!(heard.await.unwrap().concat().contains("AUTH PLAIN AHVzZXIAcGVuY2ls\r\nMAIL "));

    // Anybody may be at the other end.
    let mut turns = asking_for_plain(&acceptor);
    turns.truncate(8);
    turns.extend([Hear("QUIT\r\n"), Say("221 bye\r\n"), Wait]);
    let (address, heard) = next_hop(vec![turns]).await;
    let outcomes = sending(address, TlsPolicy::Required).deliver(&message, &[0]).await;
    let why = "the server offers no way to log in that may be used with it";
    assert!(
        outcomes[0].starts_with("deferred 4.7.4 ") && outcomes[0].ends_with(why),
        "{outcomes:?}"
    );
    let heard = heard.await.unwrap().concat();
    assert!(heard.ends_with("EHLO us.test\r\nQUIT\r\n"), "{heard}");
}

#[tokio::test]
async fn a_server_with_broken_tls_gets_clear_text_where_that_is_good_enough() {
    let broken = || {
        let mut turns = offering_tls(&certificate().1);
        turns.truncate(5);
        turns.extend([Say("this is no TLS\r\n"), Wait]);
        turns
    };
    let rest = || script([Hear("DATA\r\n"), Say(GO), Hear(END), Say("250 queued\r\n"), Wait]);
    let message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
    let (address, _heard) = next_hop(vec![broken(), rest()]).await;
    assert_eq!(relay_to(address).deliver(&message, &[0]).await, [DELIVERED]);
    let (address, _heard) = next_hop(vec![broken(), rest()]).await;
    let mut sending = relay_to(address);
    sending.tls = TlsPolicy::Required;
    let outcomes = sending.deliver(&message, &[0]).await;
    assert!(outcomes[0].starts_with("deferred 4.7.5 "), "{outcomes:?}");
}

/// A server that answers EHLO so, and then does this.
fn offering(offer: &'static str, turns: Vec<Turn>) -> Vec<Turn> {
    let hello = [Say("220 hop\r\n"), Hear("EHLO us.test\r\n"), Say(offer)];
    hello.into_iter().chain(turns).collect()
}

/// One that offers STARTTLS, and does this when it is asked for it.
pub(super) fn answering(turns: Vec<Turn>) -> Vec<Turn> {
    const OFFER: &str = "250-hop\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 STARTTLS\r\n";
    offering(OFFER, [Hear("STARTTLS\r\n")].into_iter().chain(turns).collect())
}

/// The same, and we take leave then.
fn taking_leave(turns: Vec<Turn>) -> Vec<Turn> {
    turns.into_iter().chain([Hear("QUIT\r\n"), Say("221 bye\r\n"), Wait]).collect()
}

/// What a server may do, or who sits before it, that would rather have clear text; and why we go. `gone`: what is said of a server that
/// ends TLS as soon as it is on.
fn attacks(acceptor: &TlsAcceptor, gone: &'static str) -> Vec<(Vec<Turn>, &'static str)> {
    const REPLIES: &str =
        "220 go\r\n250-evil\r\n250 PIPELINING\r\n250 a\r\n250 b\r\n354 c\r\n250 d\r\n";
    const NO_OFFER: &str = "TLS is required, and the server does not offer it";
    const NO_TLS: &str = "the TLS handshake failed: ";
    let no_ehlo = vec![Hear("HELO us.test\r\n"), Say("250 hop\r\n")];
    let betraying = |last| answering(vec![Say("220 go\r\n"), Betray(acceptor.clone()), last]);
    vec![
        // Never offered, or nearly, or taken out on the way.
        (taking_leave(offering("250-hop\r\n250 PIPELINING\r\n", vec![])), NO_OFFER),
        (taking_leave(offering("250-hop\r\n250 XXXXXXXX\r\n", vec![])), NO_OFFER),
        (taking_leave(offering("250-hop\r\n250 STARTTLSX\r\n", vec![])), NO_OFFER),
        (taking_leave(offering("250-hop\r\n250 X STARTTLS\r\n", vec![])), NO_OFFER),
        (taking_leave(offering("250 STARTTLS\r\n", vec![])), NO_OFFER),
        (taking_leave(offering("502 no EHLO\r\n", no_ehlo)), NO_OFFER),
        // Refused.
        (taking_leave(answering(vec![Say("454 4.7.0 no\r\n")])), "454 4.7.0 no to STARTTLS"),
        (taking_leave(answering(vec![Say("502 what\r\n")])), "502 what to STARTTLS"),
        (taking_leave(answering(vec![Say("354 go on\r\n")])), "354 go on to STARTTLS"),
        // All the replies that a message wants, from whoever can write into the connection.
        (answering(vec![Say(REPLIES), Hear("\x16")]), NO_TLS),
        // No TLS behind the go-ahead, or no more of it.
        (answering(vec![Say("220 go\r\n"), Hear("\x16"), Say("250 ok\r\n"), Wait]), NO_TLS),
        (answering(vec![Say("220 go\r\n"), Hear("\x16\x03"), Flood("\0")]), NO_TLS),
        (betraying(Wait), gone),
        (betraying(Flood("250 a\r\n")), gone),
        // Replies without an end.
        (answering(vec![Flood("220-go on\r\n")]), "no SMTP reply to STARTTLS: "),
        (answering(vec![Flood("220 go on")]), "no SMTP reply to STARTTLS: "),
        (offering("250-hop\r\n", vec![Flood("250-X\r\n")]), "no SMTP reply to EHLO: "),
    ]
}

/// A downgrade is a deferral where the route forbids it: not a word of the message is said in clear text.
#[tokio::test]
async fn no_attack_gets_clear_text_where_that_is_forbidden() {
    let (_, acceptor) = certificate();
    let message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
    let clear = || script([Hear("DATA\r\n"), Say(GO), Hear(END), Say("250 queued\r\n"), Wait]);
    let policies = [
        (TlsPolicy::Required, "connection closed at "),
        // It has no certificate that anybody vouches for.
        (TlsPolicy::Verified, "the TLS handshake failed: "),
    ];
    for (policy, gone) in policies {
        for (number, (attack, why)) in attacks(&acceptor, gone).into_iter().enumerate() {
            // Who comes again without TLS is served.
            let (address, heard) = next_hop(vec![attack, clear()]).await;
            let mut sending = relay_to(address);
            sending.tls = policy;
            let outcomes = sending.deliver(&message, &[0]).await;
            let shown = format!("{policy:?} {number}: {outcomes:?}");
            assert!(outcomes[0].starts_with("deferred 4.") && outcomes[0].contains(why), "{shown}");
            heard.abort();
        }
        for (number, (attack, _)) in attacks(&acceptor, gone).into_iter().enumerate() {
            let (address, heard) = next_hop(vec![attack]).await;
            let mut sending = relay_to(address);
            sending.tls = policy;
            sending.deliver(&message, &[0]).await;
            drop(sending);
            let heard = heard.await.unwrap().concat();
            assert!(!heard.contains("MAIL") && !heard.contains("@b.test"), "{number}: {heard:?}");
        }
    }
}

/// What they take of other mail, and how they stand.
#[tokio::test]
async fn servers_that_cant_be_trusted_are_told_from_those_that_are_down() {
    use crate::delivery::lane::Standing::{Down, Unknown, Untrusted, Well};
    let (_, acceptor) = certificate();
    let plain = || message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
    let required = || {
        let mut message = plain();
        message.envelope.parameters = "REQUIRETLS".into();
        message
    };
    let refused = |line| taking_leave(answering(vec![Say(line)]));
    let cut = || answering(vec![Say("220 go\r\n")]);
    let untold = || taking_leave(script([]));
    let busy = || vec![Say("421 4.3.2 too busy\r\n"), Wait];
    let bad = || offering_tls(&acceptor);
    use TlsPolicy::{Opportunistic, Required, Verified};
    for (number, (turns, policy, message, wanted)) in [
        (untold(), Required, plain(), Untrusted),
        (refused("454 4.7.0 no\r\n"), Required, plain(), Untrusted),
        (cut(), Required, plain(), Untrusted),
        (bad(), Verified, plain(), Untrusted),
        (bad(), Required, plain(), Well),
        (bad(), Opportunistic, plain(), Well),
        // It goes down.
        (refused("421 4.3.2 bye\r\n"), Required, plain(), Down),
        (busy(), Verified, plain(), Down),
        // Nobody but its sender wants that: the next message may go.
        (bad(), Opportunistic, required(), Unknown),
        (cut(), Opportunistic, required(), Unknown),
        (untold(), Opportunistic, required(), Unknown),
    ]
    .into_iter()
    .enumerate()
    {
        let (address, _heard) = next_hop(vec![turns]).await;
        let mut sending = relay_to(address);
        sending.tls = policy;
        let carried = sending.carry(&message, &[0]).await;
        assert_eq!(carried.standing, wanted, "{number}: {:?}", carried.outcomes);
    }
}

#[tokio::test]
async fn of_several_servers_one_that_cant_be_trusted_is_tried_last() {
    let folder = tempfile::tempdir().unwrap();
    let (pem, acceptor) = certificate();
    let path = folder.path().join("roots.pem");
    std::fs::write(&path, pem).unwrap();
    let scripts = vec![offering_tls(&certificate().1), vec![Say("220 untouched\r\n")]];
    let (bad, _heard) = next_hop(scripts).await;
    let mut turns = offering_tls(&acceptor);
    turns.pop();
    turns.extend([Hear("DATA\r\n"), Say(GO), Hear(END), Say("250 queued\r\n"), Wait]);
    let (good, heard) = next_hop(vec![turns]).await;
    let hosts = [("localhost", bad.port()), ("localhost", good.port())];
    let mut sending = Sending::new(&hosts, RelayTimeouts::default());
    sending.relay.tls = outbound(&format!("[delivery]\ntls_roots = \"{}\"\n", path.display()));
    sending.tls = TlsPolicy::Verified;
    let message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
    for _ in 0..2 {
        assert_eq!(sending.deliver(&message, &[0]).await, [DELIVERED]);
    }
    drop(sending);
    assert_eq!(heard.await.unwrap().concat().matches("MAIL").count(), 2);
    // It was talked to once.
    let mut greeting = String::new();
    TcpStream::connect(bad).await.unwrap().read_to_string(&mut greeting).await.unwrap();
    assert_eq!(greeting, "220 untouched\r\n");
}

/// What was offered before counts no more, and what can't be sent without it is not.
#[tokio::test]
async fn a_server_may_offer_less_under_tls() {
    const MUCH: &str = "250-hop\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-SIZE 9\r\n250-DSN\r\n250-8BITMIME\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n";
    let (_, acceptor) = certificate();
    let opening = |hello: Vec<Turn>| {
        let begin = [
            Say("220 hop\r\n"),
            Hear("EHLO us.test\r\n"),
            Say(MUCH),
            Hear("STARTTLS\r\n"),
            Say("220 go\r\n"),
            Secure(acceptor.clone()),
            Hear("EHLO us.test\r\n"),
        ];
        begin.into_iter().chain(hello).collect::<Vec<_>>()
    };
    let one_by_one = [
        Hear("MAIL FROM:<a@b.test>\r\n"),
        Say("250 ok\r\n"),
        Hear("RCPT TO:<u@x.test>\r\n"),
        Say("250 ok\r\n"),
        Hear("DATA\r\n"),
        Say("354 go\r\n"),
        Hear(END),
        Say("250 queued\r\n"),
        Wait,
    ];
    let helo = [Say("502 what\r\n"), Hear("HELO us.test\r\n")];
    let plain = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
    let hello = helo.into_iter().chain([Say("250 hop\r\n")]).chain(one_by_one).collect();
    let (address, heard) = next_hop(vec![opening(hello)]).await;
    let mut sending = relay_to(address);
    sending.tls = TlsPolicy::Required;
    assert_eq!(sending.deliver(&plain, &[0]).await, [DELIVERED]);
    drop(sending);
    let heard = heard.await.unwrap().concat();
    assert!(
        heard.contains("\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<u@x.test>\r\nDATA\r\n"),
        "{heard}"
    );

    let eight_bit = message(&["u@x.test"], "A: b\r\n", &["\r\né\r\n".as_bytes()]);
    let hello = vec![Say("250 hop\r\n"), Wait];
    let (address, _heard) = next_hop(vec![opening(hello)]).await;
    let mut sending = relay_to(address);
    sending.tls = TlsPolicy::Required;
    let outcomes = sending.deliver(&eight_bit, &[0]).await;
    assert!(outcomes[0].starts_with("failed 5.6.3 "), "{outcomes:?}");
}
