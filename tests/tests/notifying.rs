//! What senders are told by the real server: failures, delays, success, and whom it tells when there is no sender.

use stagepost_tests::server::{Server, Site};
use stagepost_tests::sink::{Closed, Sink};

const MESSAGE: &str = "Subject: to be told of\r\n\r\nHello.\r\n";

fn route(domain: &str, next_hop: impl std::fmt::Display) -> String {
    format!("[[route]]\ndomain = \"{domain}\"\nnext_hop = \"{next_hop}\"\n")
}

/// Hands a message in with these two commands.
fn hand_in(server: &Server, mail: &str, rcpt: &str) {
    let mut client = server.greeted();
    client.say(mail, 250);
    client.say(rcpt, 250);
    client.say("DATA", 354);
    client.send(MESSAGE.as_bytes());
    client.say(".", 250);
}

/// Waits until a mailbox of `example.test` has this many messages; their texts.
fn mail(site: &Site, server: &Server, user: &str, count: usize) -> Vec<String> {
    let recipient = format!("{user}@example.test");
    server.log().wait_for_count(&recipient, count, |line| {
        line.message() == "delivered" && line.text("recipient") == recipient
    });
    site.mail(user).iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect()
}

fn expect(text: &str, wanted: &[&str]) {
    for wanted in wanted {
        assert!(text.contains(wanted), "{wanted:?} in\n{text}");
    }
}

fn in_queue(site: &Site) -> String {
    let shown = site.run(&["status", "--config", "stagepost.toml"]);
    String::from_utf8_lossy(&shown.stdout).into_owned()
}

/// A message is gone a moment after the log says what became of it: its settlement has to be durable first.
fn wait_until_empty(site: &Site) {
    let is_empty = || in_queue(site).contains("queue     0 messages");
    assert!((0..1000).any(|_| is_empty()), "{}", in_queue(site));
}

#[test]
fn senders_are_told_what_they_ask_to_be_told() {
    let sink = Sink::open();
    let site = Site::new(&route("relayed.test", sink.address()));
    let server = site.start();
    let keywords = server.greeted().say("EHLO client.example.test", 250).lines;
    assert!(keywords.contains(&"DSN".to_owned()), "{keywords:?}");
    let mail_from = "MAIL FROM:<sender@example.test> RET=HDRS ENVID=QQ+2B1";
    let asked = "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Old+2Bname@first.test";
    hand_in(&server, mail_from, &format!("RCPT TO:<b@example.test> {asked}"));
    let [text] = &mail(&site, &server, "sender", 1)[..] else { panic!("one notification") };
    expect(
        text,
        &[
            "Original-Envelope-Id: QQ+1\n",
            "Original-Recipient: rfc822; Old+name@first.test\nFinal-Recipient: rfc822; b@example.test\nAction: delivered\nStatus: 2.0.0\n",
            "Content-Type: text/rfc822-headers\n",
        ],
    );
    assert!(!text.contains("Hello."), "{text}");
    // The next hop does not know DSN.
    hand_in(&server, mail_from, &format!("RCPT TO:<c@relayed.test> {asked}"));
    let relayed = mail(&site, &server, "sender", 2);
    assert_eq!(relayed.iter().filter(|text| text.contains("\nAction: relayed\n")).count(), 1);
    // Nobody wants to know of these.
    sink.answer("554 5.6.0 never");
    hand_in(&server, mail_from, "RCPT TO:<d@relayed.test> NOTIFY=NEVER");
    server.log().wait_for("the failure", |line| line.message() == "undeliverable");
    hand_in(&server, mail_from, "RCPT TO:<b@example.test>");
    mail(&site, &server, "b", 2);
    wait_until_empty(&site);
    assert_eq!(site.mail("sender").len(), 2);
    server.stop();
}

#[test]
fn the_sender_of_a_refused_message_gets_it_back() {
    let sink = Sink::open();
    sink.answer("554 5.6.0 never");
    let site = Site::new(&route("relayed.test", sink.address()));
    let server = site.start();
    hand_in(&server, "MAIL FROM:<sender@example.test>", "RCPT TO:<b@relayed.test>");
    let [text] = &mail(&site, &server, "sender", 1)[..] else { panic!("one notification") };
    expect(
        text,
        &[
            "Return-Path: <>\n",
            "Subject: Undelivered mail returned to sender\n",
            "Final-Recipient: rfc822; b@relayed.test\nAction: failed\nStatus: 5.6.0\nRemote-MTA: dns; [127.0.0.1]\n",
            "Diagnostic-Code: smtp; 554 5.6.0 never\n",
            "Content-Type: message/rfc822\n\nReceived: from client.example.test",
            "Subject: to be told of\n\nHello.\n\n--",
        ],
    );
    wait_until_empty(&site);
    server.stop();
}

#[test]
fn the_sender_of_an_expired_message_is_told() {
    let closed = Closed::reserve();
    let times =
        "retry_first = \"1s\"\nretry_max = \"1s\"\nexpire = \"3s\"\ndelay_notice = \"1s\"\n";
    let site = Site::new(&(route("relayed.test", closed.address()) + times));
    let server = site.start();
    hand_in(&server, "MAIL FROM:<sender@example.test>", "RCPT TO:<b@relayed.test>");
    let texts = mail(&site, &server, "sender", 2);
    let with = |subject: &str| texts.iter().find(|text| text.contains(subject)).expect("a text");
    expect(
        with("Subject: Delayed mail"),
        &["Action: delayed\nStatus: 4.4.1\n", "Will-Retry-Until: ", "text/rfc822-headers"],
    );
    expect(
        with("Subject: Undelivered mail"),
        &["Action: failed\nStatus: 5.4.7\n", "Diagnostic-Code: x-stagepost; expired: 4.4.1 "],
    );
    server.stop();
}

#[test]
fn without_a_sender_the_postmaster_is_told_or_it_is_held() {
    let sink = Sink::open();
    let route = route("relayed.test", sink.address());
    let site = Site::new(&route);
    sink.answer("554 5.6.0 never");
    let server = site.start();
    hand_in(&server, "MAIL FROM:<>", "RCPT TO:<b@relayed.test>");
    let held = |line: &stagepost_tests::log::Line| line.message().ends_with("it is held");
    let line = server.log().wait_for("the hold", held);
    assert!(line.text("reply").contains("554 5.6.0 never"), "{}", line.as_str());
    server.stop();
    assert!(sink.messages().is_empty());

    site.configure(&(route + "[delivery]\npostmaster = \"pm@example.test\"\n"));
    sink.answer("554 5.6.0 never");
    let server = site.start();
    assert!(in_queue(&site).contains(" 0 deliveries to do, 1 held"), "{}", in_queue(&site));
    hand_in(&server, "MAIL FROM:<>", "RCPT TO:<b@relayed.test>");
    let [text] = &mail(&site, &server, "pm", 1)[..] else { panic!("one notification") };
    expect(text, &["To: pm@example.test\n", "Action: failed\n", "Hello.\n"]);
    server.stop();
}

#[test]
fn what_waits_to_be_fetched_goes_out_when_it_is_flushed() {
    let sink = Sink::open();
    let held =
        |further: &str| format!("[[route]]\ndomain = \"branch.test\"\nhold = \"30d\"\n{further}");
    let site = Site::new(&held(&format!("next_hop = \"{}\"\n", sink.address())));
    let server = site.start();
    hand_in(&server, "MAIL FROM:<sender@example.test>", "RCPT TO:<b@branch.test>");
    assert!(sink.messages().is_empty());
    let flushed = site.run(&["queue", "flush", "branch.test", "--config", "stagepost.toml"]);
    assert!(flushed.status.success(), "{}", String::from_utf8_lossy(&flushed.stderr));
    assert_eq!(sink.wait_for(1)[0].recipients, ["b@branch.test"]);
    server.stop();
}

#[test]
fn what_a_route_discards_counts_as_delivered() {
    let site = Site::new(&route("discarded.test", "discard"));
    let server = site.start();
    let asked = |notify: &str| format!("RCPT TO:<b@discarded.test> NOTIFY={notify}");
    hand_in(&server, "MAIL FROM:<nobody@example.test>", &asked("NEVER"));
    hand_in(&server, "MAIL FROM:<sender@example.test>", &asked("SUCCESS"));
    let [text] = &mail(&site, &server, "sender", 1)[..] else { panic!("one notification") };
    let wanted = "Final-Recipient: rfc822; b@discarded.test\nAction: delivered\nStatus: 2.0.0\n";
    expect(text, &[wanted]);
    server.stop();
    assert!(site.mail("nobody").is_empty());
}
