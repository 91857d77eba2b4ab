//! Deliveries over TLS, and without where that is good enough.
//! Knows the relay by its public methods and by what a next hop hears.

use super::*;

/// A certificate for `localhost`: in PEM, and as a server shows it.
fn certificate() -> (String, TlsAcceptor) {
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
        let refusal =
            deferred(address, "4.7.4", "TLS is required, and the server does not offer it");
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
