//! Relaying on the real server: whom it relays for, next hops that are down or refuse, and restarts between.

use stagepost_tests::client::Client;
use stagepost_tests::server::{Site, plugin_section};
use stagepost_tests::sink::{Closed, Sink};

const MESSAGE: &str = "Subject: relayed\r\n\r\nHello.\r\n..two dots, one is for transparency\r\n";
/// What arrives of it.
const ARRIVED: &str = "Subject: relayed\r\n\r\nHello.\r\n.two dots, one is for transparency\r\n";

/// The judge's settings.
const GRANT: &str = "[plugin.config]\ndoes = \"grant\"\n";

fn route(domain: &str, next_hop: impl std::fmt::Display) -> String {
    format!("[[route]]\ndomain = \"{domain}\"\nnext_hop = \"{next_hop}\"\n")
}

fn fast_retry() -> &'static str {
    "[queue]\nretry_first = \"1s\"\nretry_max = \"1s\"\n"
}

/// Whether octets are a trace field and then exactly this message.
fn is_relayed(octets: &[u8], message: &str) -> bool {
    let text = String::from_utf8_lossy(octets);
    text.starts_with("Received: from client.example.test")
        && text.ends_with(&format!("\r\n{message}"))
}

#[test]
fn a_relay_domain_is_accepted_from_strangers_and_arrives_unchanged() {
    let sink = Sink::open();
    let site = Site::new(&route("@relayed.test", sink.address()));
    let server = site.start();
    let mut client = server.greeted();
    client.say("MAIL FROM:<a@client.test>", 250);
    client.say("RCPT TO:<b@relayed.test>", 250);
    client.say("RCPT TO:<c@relayed.test>", 250);
    client.say("RCPT TO:<d@below.relayed.test>", 250);
    let refused = client.say("RCPT TO:<e@foreign.test>", 550);
    assert!(refused.lines[0].starts_with("5.7.1 "), "{refused}");
    client.say("DATA", 354);
    client.send(MESSAGE.as_bytes());
    client.say(".", 250);

    let mut received = sink.wait_for(2);
    received.sort_by_key(|message| message.recipients.len());
    assert_eq!(received[0].recipients, ["d@below.relayed.test"]);
    assert_eq!(received[1].recipients, ["b@relayed.test", "c@relayed.test"]);
    for message in &received {
        assert_eq!(message.sender, "a@client.test");
        assert!(is_relayed(&message.octets, ARRIVED), "{message:?}");
    }
    server.stop();
    assert_eq!(sink.messages().len(), 2);
}

#[test]
fn a_foreign_domain_needs_a_grant() {
    let sink = Sink::open();
    let site = Site::new("");
    let judge = site.compile("plugins/judge.c");
    let default_route = route("*", sink.address());
    site.configure(&default_route);
    let server = site.start();
    let mut client = server.greeted();
    client.say("MAIL FROM:<a@client.test>", 250);
    let refused = client.say("RCPT TO:<b@foreign.test>", 550);
    assert!(refused.lines[0].starts_with("5.7.1 "), "{refused}");
    client.say("DATA", 554);
    server.stop();

    site.configure(&(default_route + &plugin_section("judge", &judge, GRANT)));
    let server = site.start();
    let reply = server.greeted().deliver("a@client.test", "b@foreign.test", MESSAGE);
    assert_eq!(reply.code, 250, "{reply}");
    let received = sink.wait_for(1);
    assert!(is_relayed(&received[0].octets, ARRIVED), "{received:?}");
    server.stop();
}

/// A server that is relayed to believes who relays: through it nobody may reach others.
#[test]
fn a_way_behind_a_relay_domain_needs_a_grant() {
    let sink = Sink::open();
    let site = Site::new("");
    let judge = site.compile("plugins/judge.c");
    let relayed = route("@relayed.test", sink.address());
    let recipients = [
        "b%far.test@relayed.test",
        "far.test!b@relayed.test",
        "\"b@far.test\"@relayed.test",
        "\"b\\@far.test\"@x.relayed.test",
        "b%far.test%here.test@relayed.test",
        "@relayed.test:b%far.test@relayed.test",
    ];
    site.configure(&relayed);
    let server = site.start();
    let mut client = server.greeted();
    client.say("MAIL FROM:<a@client.test>", 250);
    for recipient in recipients {
        let refused = client.say(&format!("RCPT TO:<{recipient}>"), 550);
        assert!(refused.lines[0].starts_with("5.7.1 "), "{recipient}: {refused}");
    }
    client.say("RCPT TO:<bounces+b=far.test@relayed.test>", 250);
    server.stop();

    site.configure(&(relayed + &plugin_section("judge", &judge, GRANT)));
    let server = site.start();
    let reply = server.greeted().deliver("a@client.test", recipients[0], MESSAGE);
    assert_eq!(reply.code, 250, "{reply}");
    assert_eq!(sink.wait_for(1)[0].recipients, [recipients[0]]);
    server.stop();
}

#[test]
fn what_is_queued_for_a_next_hop_that_is_down_arrives_after_a_restart() {
    const MESSAGES: usize = 20;
    let closed = Closed::reserve();
    let site = Site::new(&(route("relayed.test", closed.address()) + fast_retry()));
    let server = site.start();
    let mut client = server.greeted();
    for number in 0..MESSAGES {
        let message = format!("Subject: {number}\r\n\r\nHello.\r\n");
        let reply = client.deliver("a@client.test", "b@relayed.test", &message);
        assert_eq!(reply.code, 250, "{reply}");
    }
    server.log().wait_for("an attempt that failed", |line| line.message() == "deferred");
    let shown = site.run(&["status", "--config", "stagepost.toml"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains(&format!("queue     {MESSAGES} messages ")), "{shown}");
    server.stop();

    let sink = closed.open();
    let server = site.start();
    let received = sink.wait_for(MESSAGES);
    for number in 0..MESSAGES {
        let message = format!("Subject: {number}\r\n\r\nHello.\r\n");
        let times = received.iter().filter(|one| is_relayed(&one.octets, &message)).count();
        assert_eq!(times, 1, "message {number}");
    }
    server.stop();
    let server = site.start();
    server.stop();
    assert_eq!(sink.messages().len(), MESSAGES, "nothing is sent twice");
}

#[test]
fn a_message_whose_acceptance_was_not_heard_comes_twice_and_that_is_told() {
    let sink = Sink::open();
    sink.keep_without_answer();
    let wait = "[queue]\nretry_first = \"1h\"\nretry_max = \"1h\"\n";
    let site = Site::new(&(route("relayed.test", sink.address()) + wait));
    let server = site.start();
    server.greeted().deliver("a@client.test", "b@relayed.test", MESSAGE);
    let doubt = "connection closed at the end of the message; it may have arrived all the same";
    let line = server.log().wait_for("the doubt", |line| line.message() == "deferred");
    assert!(line.text("reply").ends_with(doubt), "{}", line.as_str());
    let ask = |arguments: &[&str]| {
        let shown = site.run(&[arguments, &["--config", "stagepost.toml"]].concat());
        String::from_utf8_lossy(&shown.stdout).into_owned()
    };
    let explained = || ask(&["queue", "explain", &line.text("id")]).replace("\n", " ");
    assert!(
        (0..1000).any(|_| explained().contains("it may have arrived all the same")),
        "{}",
        explained()
    );
    let counted = ask(&["metrics"]);
    assert!(counted.contains("\nstagepost_deliveries_in_doubt_total 1\n"), "{counted}");
    ask(&["queue", "flush", "relayed.test"]);
    let received = sink.wait_for(2);
    assert!(received.iter().all(|one| is_relayed(&one.octets, ARRIVED)), "{received:?}");
    let counted = ask(&["metrics"]);
    assert!(counted.contains("\nstagepost_deliveries_in_doubt_total 1\n"), "{counted}");
    server.stop();
    assert_eq!(sink.messages().len(), 2);
}

#[test]
fn a_message_that_the_next_hop_defers_is_tried_again() {
    let sink = Sink::open();
    sink.answer("451 4.3.0 not now");
    sink.answer("452 4.2.2 not now either");
    let site = Site::new(&(route("relayed.test", sink.address()) + fast_retry()));
    let server = site.start();
    let reply = server.greeted().deliver("a@client.test", "b@relayed.test", MESSAGE);
    assert_eq!(reply.code, 250, "{reply}");
    let received = sink.wait_for(1);
    assert!(is_relayed(&received[0].octets, ARRIVED), "{received:?}");
    let deferred = server.log().matching(|line| line.message() == "deferred");
    let said: Vec<_> =
        deferred.iter().map(|line| (line.text("attempt"), line.text("reply"))).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].0 == "1" && said[0].1.contains("451 4.3.0 not now"), "{said:?}");
    assert!(said[1].0 == "2" && said[1].1.contains("452 4.2.2 not now either"), "{said:?}");
    server.stop();
}

#[test]
fn a_plug_in_holds_or_discards_what_was_accepted() {
    for (does, status) in
        [("hold", " 0 deliveries to do, 1 held"), ("discard", "queue     0 messages")]
    {
        let site = Site::new("");
        let judge = site.compile("plugins/judge.c");
        let settings = format!("[plugin.config]\ndoes = \"{does}\"\n");
        site.configure(&plugin_section("judge", &judge, &settings));
        let server = site.start();
        let reply = server.greeted().deliver("a@client.test", "b@example.test", MESSAGE);
        assert_eq!(reply.code, 250, "{reply}");
        let shown = site.run(&["status", "--config", "stagepost.toml"]);
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains(status), "{does}: {shown}");
        // The next message goes its way once the judge is gone; this one does not.
        server.stop();
        site.configure("");
        let server = site.start();
        server.greeted().deliver("a@client.test", "c@example.test", MESSAGE);
        server.log().wait_for("the delivery", |line| line.message() == "delivered");
        assert_eq!((site.mail("b").len(), site.mail("c").len()), (0, 1), "{does}");
        server.stop();
    }
}

#[test]
fn one_message_for_here_and_there_goes_both_ways() {
    let sink = Sink::open();
    let site = Site::new(&route("relayed.test", sink.address()));
    let server = site.start();
    let mut client: Client = server.greeted();
    client.say("MAIL FROM:<>", 250);
    client.say("RCPT TO:<b@example.test>", 250);
    client.say("RCPT TO:<b@relayed.test>", 250);
    client.say("DATA", 354);
    client.send(MESSAGE.as_bytes());
    client.say(".", 250);
    assert_eq!(sink.wait_for(1)[0].sender, "");
    server.log().wait_for_count("both deliveries", 2, |line| line.message() == "delivered");
    assert_eq!(site.mail("b").len(), 1);
    server.stop();
}

/// The first retry comes after `retry_first`, and not before.
#[test]
fn the_next_attempt_waits_as_configured() {
    let sink = Sink::open();
    sink.answer("451 4.3.0 not now");
    let long = "[queue]\nretry_first = \"1h\"\n";
    let site = Site::new(&(route("relayed.test", sink.address()) + long));
    let server = site.start();
    server.greeted().deliver("a@client.test", "b@relayed.test", MESSAGE);
    server.log().wait_for("the first attempt", |line| line.message() == "deferred");
    // Another message for the same place is not held up, and does not bring the first one along.
    server.greeted().deliver("a@client.test", "c@relayed.test", MESSAGE);
    let received = sink.wait_for(1);
    assert_eq!(received[0].recipients, ["c@relayed.test"]);
    server.stop();
    assert_eq!(sink.messages().len(), 1);
}
