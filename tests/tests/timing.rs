//! Messages whose senders have set a time or a level, from clients that have logged in, on the real server.

use stagepost_tests::client::Client;
use stagepost_tests::server::{Server, Site};
use stagepost_tests::sink::Sink;

/// A listener where clients must log in, which they may in clear text here; and another that is as it always is.
const OPEN: &str = "auth = \"required\"\nauth_allow_plaintext = true\n";
const FURTHER: &str =
    "[auth]\nusers_file = \"users\"\n[[listen]]\nname = \"plain\"\naddress = \"127.0.0.1:0\"\n";

/// `alice` and `pencil`, in the form of PLAIN.
const LOGIN: &str = "AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABwZW5jaWw=";

fn site(further: &str) -> Site {
    let site = Site::new("");
    site.add_user("alice@example.test", "pencil");
    site.configure_listener(OPEN, &format!("{FURTHER}{further}"));
    site
}

fn logged_in(server: &Server) -> Client {
    let mut client = server.connect();
    client.say("EHLO client.example.test", 250);
    client.say(LOGIN, 235);
    client
}

fn send(client: &mut Client, parameters: &str, recipient: &str) {
    client.say(&format!("MAIL FROM:<alice@example.test> {parameters}"), 250);
    client.say(&format!("RCPT TO:<{recipient}>"), 250);
    client.say("DATA", 354);
    client.send(b"Subject: timed\r\n\r\nHello.\r\n");
    client.say(".", 250);
}

#[test]
fn who_is_known_may_set_a_time() {
    let site = site("");
    let server = site.start();
    let mut client = server.connect();
    let announced = client.say("EHLO client.example.test", 250).lines;
    for keyword in ["MT-PRIORITY", "DELIVERBY", "FUTURERELEASE 2592000 2"] {
        assert!(announced.iter().any(|line| line.starts_with(keyword)), "{announced:?}");
    }
    let mut stranger = Client::connect(server.listener("plain"));
    stranger.expect(220);
    let announced = stranger.say("EHLO client.example.test", 250).lines;
    assert!(!announced.iter().any(|line| line.starts_with("DELIVERBY")), "{announced:?}");
    for parameters in ["HOLDFOR=60", "BY=60;R", "MT-PRIORITY=9"] {
        stranger.say(&format!("MAIL FROM:<a@client.test> {parameters}"), 555);
    }
    server.stop();
}

#[test]
fn a_message_is_not_delivered_before_its_time() {
    let site = site("");
    let server = site.start();
    let mut client = logged_in(&server);
    send(&mut client, "HOLDFOR=86400", "later@example.test");
    send(&mut client, "HOLDUNTIL=2001-01-01T00:00:00Z", "now@example.test");
    let delivered = |line: &stagepost_tests::log::Line| line.message() == "delivered";
    assert_eq!(server.log().wait_for("one", delivered).text("recipient"), "now@example.test");
    // Not even when somebody flushes it, and not after a restart.
    let flush = ["queue", "flush", "example.test", "--config", "stagepost.toml"];
    let waits = |line: &stagepost_tests::log::Line| line.message() == "waits for its time";
    site.run(&flush);
    server.log().wait_for("what is not tried", waits);
    server.stop();
    let server = site.start();
    site.run(&flush);
    server.log().wait_for("what is not tried", waits);
    let log = server.stop();
    assert!(log.matching(delivered).is_empty(), "{log}");
    assert!(site.mail("later").is_empty());
}

/// The sink knows nothing of DELIVERBY: what must be there in time comes back at once, what may be late goes, and its sender is told
/// that nobody promises any more.
#[test]
fn a_promise_ends_at_a_server_that_does_not_give_it() {
    let sink = Sink::open();
    let route = format!("[[route]]\ndomain = \"far.test\"\nnext_hop = \"{}\"\n", sink.address());
    let site = site(&route);
    let server = site.start();
    let mut client = logged_in(&server);
    send(&mut client, "BY=3600;R", "returned@far.test");
    send(&mut client, "BY=3600;N", "told@far.test");
    send(&mut client, "BY=3600;R", "here@example.test");
    let told = |line: &stagepost_tests::log::Line| {
        line.message() == "delivered" && line.text("recipient") == "alice@example.test"
    };
    server.log().wait_for_count("the notifications", 2, told);
    let mail: Vec<String> =
        site.mail("alice").iter().map(|it| String::from_utf8_lossy(it).into_owned()).collect();
    let of = |recipient: &str| {
        let found = mail
            .iter()
            .find(|text| text.contains(&format!("Final-Recipient: rfc822; {recipient}\n")));
        found.unwrap_or_else(|| panic!("none of {recipient}: {mail:?}"))
    };
    let returned = of("returned@far.test");
    assert!(returned.contains("Action: failed\nStatus: 5.3.3\n"), "{returned}");
    assert!(returned.contains("\nDeliver-By-Date: "), "{returned}");
    assert!(of("told@far.test").contains("Action: relayed\n"), "{mail:?}");
    let received = sink.wait_for(1);
    assert_eq!(received[0].recipients, ["told@far.test"]);
    server.stop();
    assert_eq!((sink.messages().len(), site.mail("here").len()), (1, 1));
}

/// What came last goes first.
#[test]
fn mail_that_is_not_urgent_lets_others_go_first() {
    let site = site("");
    let server = site.start();
    let mut client = logged_in(&server);
    for number in 0..3 {
        send(&mut client, "MT-PRIORITY=-9", &format!("slow{number}@example.test"));
    }
    send(&mut client, "MT-PRIORITY=4", "urgent@example.test");
    let delivered = |line: &stagepost_tests::log::Line| line.message() == "delivered";
    let first = server.log().wait_for("the first", delivered);
    assert_eq!(first.text("recipient"), "urgent@example.test");
    site.run(&["queue", "flush", "example.test", "--config", "stagepost.toml"]);
    server.log().wait_for_count("all", 4, delivered);
    server.stop();
}
