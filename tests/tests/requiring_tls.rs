//! A message that requires TLS on all of its way (RFC 8689), from a client by one server of ours to another one.
//! Every handshake is a real one; whoever trusts whom is written in their configurations.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::net::SocketAddr;

use stagepost_tests::client::Client;
use stagepost_tests::server::{Server, Site};
use stagepost_tests::sink::{Closed, Sink};
use stagepost_tests::wire::Trust;

const NAME: &str = "mx.example.test";
const MESSAGE: &str = "Subject: protected\r\n\r\nHello.\r\n";

/// A server that holds what it gets for far.test, under a name that routes can have.
fn far(address: SocketAddr) -> Site {
    let site = Site::new("");
    site.certify("localhost");
    site.write_config(&format!(
        "hostname = \"mx.far.test\"\nstate_dir = \"state\"\n[log]\nformat = \"json\"\n\
         [[listen]]\nname = \"mx\"\naddress = \"{address}\"\ncertificates = [\"mx\"]\n\
         [[certificate]]\nname = \"mx\"\nchain = \"tls/localhost.crt\"\nkey = \"tls/localhost.key\"\n\
         [[route]]\ndomain = \"far.test\"\nhold = \"30d\"\n"
    ));
    site
}

/// A server with a route to each, and its clients' trust.
fn near(far: &Site, at: SocketAddr, without_tls: &Sink) -> (Site, Trust) {
    let site = Site::new("");
    let trust = Trust::in_file(&site.certify(NAME));
    let roots = far.path().join("tls/localhost.crt");
    let route = |domain: &str, address: SocketAddr| {
        format!("[[route]]\ndomain = \"{domain}\"\nnext_hop = \"localhost:{}\"\n", address.port())
    };
    let routes = route("far.test", at) + &route("clear.test", without_tls.address());
    let delivery = format!("[delivery]\nrequiretls = true\ntls_roots = \"{}\"\n", roots.display());
    site.configure_tls("", &(routes + &delivery));
    (site, trust)
}

fn secured(server: &Server, trust: &Trust) -> Client {
    let mut client = server.greeted();
    let announced = client.say("EHLO client.example.test", 250).lines;
    assert!(!announced.contains(&"REQUIRETLS".to_owned()), "{announced:?}");
    client.say("MAIL FROM:<a@example.test> REQUIRETLS", 555);
    client.say("STARTTLS", 220);
    let mut client = client.secure(trust, NAME).unwrap();
    let announced = client.say("EHLO client.example.test", 250).lines;
    assert!(announced.contains(&"REQUIRETLS".to_owned()), "{announced:?}");
    client
}

fn send(client: &mut Client, recipient: &str) {
    client.say("MAIL FROM:<a@example.test> REQUIRETLS", 250);
    client.say(&format!("RCPT TO:<{recipient}>"), 250);
    client.say("DATA", 354);
    client.send(MESSAGE.as_bytes());
    client.say(".", 250);
}

/// The requirement outlives the first server, which is ended before the second one is there; and it arrives with the message.
#[test]
fn what_requires_tls_does_so_on_all_of_its_way() {
    let (closed, sink) = (Closed::reserve(), Sink::open());
    let at = closed.address();
    let far = far(at);
    let (site, trust) = near(&far, at, &sink);
    let server = site.start();
    send(&mut secured(&server, &trust), "b@far.test");
    server.log().wait_for("nobody there", |line| line.message() == "deferred");
    server.kill();
    drop(closed);
    let receiving = far.start();
    let server = site.start();
    let flushed = site.run(&["queue", "flush", "far.test", "--socket", "state/admin.sock"]);
    assert!(flushed.status.success(), "{flushed:?}");
    server.log().wait_for("the relay", |line| line.message() == "delivered");
    let queued = receiving.log().wait_for("the message", |line| line.message() == "message queued");
    let id = queued.text("id").to_owned();
    let shown = far.run(&["queue", "explain", &id, "--json", "--socket", "state/admin.sock"]);
    let shown = String::from_utf8([shown.stdout, shown.stderr].concat()).unwrap();
    assert!(shown.contains(" REQUIRETLS\""), "{shown}");
    server.stop();
    receiving.stop();
}

#[test]
fn what_can_not_go_so_comes_back_without_its_words() {
    let (closed, sink) = (Closed::reserve(), Sink::open());
    let far = far(closed.address());
    let (site, trust) = near(&far, closed.address(), &sink);
    let server = site.start();
    let mut client = secured(&server, &trust);
    send(&mut client, "b@clear.test");
    // It stays here: nothing of its way is left.
    send(&mut client, "b@example.test");
    let delivered = |line: &stagepost_tests::log::Line| line.message() == "delivered";
    server.log().wait_for_count("the notification, and the mail", 2, delivered);
    let mail = site.mail("a").concat();
    let notification = String::from_utf8_lossy(&mail);
    for wanted in [
        "Final-Recipient: rfc822; b@clear.test\nAction: failed\nStatus: 5.7.10\n",
        "Diagnostic-Code: x-stagepost; the message requires TLS: TLS is required, and\n the server",
        "Subject: protected",
    ] {
        assert!(notification.contains(wanted), "{wanted} in {notification}");
    }
    assert!(!notification.contains("Hello."), "{notification}");
    server.stop();
    assert_eq!((sink.messages().len(), site.mail("b").len()), (0, 1));
}
