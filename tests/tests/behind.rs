//! The stages behind the session on the real server: every answer at every stage, and what becomes of the message.
//! Plug-ins in C and in Rust answer as the recipient's name says.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use stagepost_tests::client::Client;
use stagepost_tests::log::Line;
use stagepost_tests::plugin::build_rust;
use stagepost_tests::scram::base64;
use stagepost_tests::server::{Server, Site, plugin_section};
use stagepost_tests::sink::Sink;
use stagepost_tests::wire::Trust;

const MESSAGE: &str = "From: sender@example.test\r\nSubject: behind\r\n\r\nHello.\r\n";

struct Scene {
    /// Where the route leads, and where the plug-in may lead instead.
    sink: Sink,
    other: Sink,
    site: Site,
    server: Server,
}

impl Scene {
    fn new(route: &str) -> Self {
        let (sink, other) = (Sink::open(), Sink::open());
        let site = Site::new("");
        let postman = site.compile("plugins/postman.c");
        let settings = format!("[plugin.config]\nway = \"{}\"\n", other.address());
        site.configure(&format!(
            "[[route]]\ndomain = \"relayed.test\"\nnext_hop = \"{}\"\n{route}{}",
            sink.address(),
            plugin_section("postman", &postman, &settings)
        ));
        let server = site.start();
        Self { sink, other, site, server }
    }

    fn hand_in(&self, name: &str) {
        let to = format!("{name}@relayed.test");
        assert_eq!(self.server.greeted().deliver("sender@example.test", &to, MESSAGE).code, 250);
    }

    /// Waits for what the log says of a recipient.
    fn wait_for(&self, name: &str, message: &str) -> Line {
        let recipient = format!("{name}@relayed.test");
        self.server.log().wait_for(&recipient, |line| {
            line.message() == message && line.text("recipient") == recipient
        })
    }

    /// Waits for what the plug-in says that it was told.
    fn told(&self, text: &str) {
        self.server.log().wait_for(text, |line| line.message().starts_with(text));
    }

    /// Waits for a notification about a recipient.
    fn notified(&self, name: &str) -> String {
        let about = format!("Final-Recipient: rfc822; {name}@relayed.test");
        let found = || {
            let mail = self.site.mail("sender").into_iter();
            let mut texts = mail.map(|text| String::from_utf8(text).unwrap());
            texts.find(|text| text.contains(&about))
        };
        let told = format!("told sender@example.test of {name}@relayed.test");
        self.told(&told);
        let mut seen = 0;
        loop {
            if let Some(text) = found() {
                return text;
            }
            seen += 1;
            let delivered = |line: &Line| line.text("recipient") == "sender@example.test";
            self.server.log().wait_for_count("a notification", seen, |line| {
                line.message() == "delivered" && delivered(line)
            });
        }
    }
}

#[test]
fn every_answer_at_queue_is_the_clients_reply() {
    let scene = Scene::new("");
    let (server, sink) = (&scene.server, &scene.sink);
    let say = |name: &str| {
        let mut client = server.greeted();
        let reply = client.deliver("sender@example.test", &format!("{name}@relayed.test"), MESSAGE);
        (client, format!("{} {}", reply.code, reply.lines.join(" ")))
    };
    let goes_on = |mut client: Client| client.say("NOOP", 250);
    let (client, reply) = say("queue-continue");
    assert!(reply.starts_with("250 2.0.0 Ok: queued as "), "{reply}");
    goes_on(client);
    scene.told(&format!("queued {} octets, message gone", MESSAGE.len()));
    for (name, wanted) in [
        ("queue-handled", "250 2.9.9 as the name says"),
        ("queue-reject", "550 5.9.9 as the name says"),
        ("queue-defer", "450 4.9.9 as the name says"),
        ("queue-leave5", "554 5.9.8 as the name says"),
        ("queue-fault", "451 4.3.0 Temporary failure of a filter, try again later"),
    ] {
        let (client, reply) = say(name);
        assert_eq!(reply, wanted, "{name}");
        goes_on(client);
    }
    let (mut client, reply) = say("queue-leave4");
    assert_eq!(reply, "421 4.9.8 as the name says");
    client.expect_close();
    let (_, reply) = say("queue-header");
    assert!(reply.starts_with("250 "), "{reply}");
    let (_, reply) = say("queue-hold");
    assert!(reply.starts_with("250 "), "{reply}");
    let received = sink.wait_for(2);
    let one = |name: &str| {
        let to = format!("{name}@relayed.test");
        let found = received.iter().find(|message| message.recipients == [to.clone()]);
        String::from_utf8_lossy(&found.unwrap_or_else(|| panic!("{name}")).octets).into_owned()
    };
    assert!(one("queue-header").contains("\r\nX-Postman: queue\r\n"));
    assert!(!one("queue-continue").contains("X-Postman"));
    let held = scene.site.run(&["status", "--config", "stagepost.toml"]);
    let held = String::from_utf8_lossy(&held.stdout).into_owned();
    assert!(held.contains(" 1 held"), "{held}");
    scene.server.stop();
}

#[test]
fn every_answer_at_route_decides_about_the_attempt() {
    let scene = Scene::new("");
    for name in ["route-continue", "route-way"] {
        scene.hand_in(name);
        scene.wait_for(name, "delivered");
    }
    scene.hand_in("route-discard");
    let way = scene.other.wait_for(1);
    assert_eq!(way[0].recipients, ["route-way@relayed.test"]);
    scene.told(&format!("routed relayed.test by {}", scene.other.address()));
    scene.told(&format!("routed relayed.test by {}", scene.sink.address()));
    let discarded = scene.wait_for("route-discard", "dropped").text("reason");
    assert_eq!(discarded, "2.0.0 discarded by postman");
    for (name, message, said) in [
        ("route-defer", "deferred", "4.9.9 a plug-in: 450 4.9.9 as the name says"),
        ("route-leave4", "deferred", "4.9.8 a plug-in: 421 4.9.8 as the name says"),
        ("route-nowhere", "deferred", "4.3.5 a plug-in chose a next hop that can't be"),
        (
            "route-handled",
            "deferred",
            "4.3.0 a plug-in: 451 4.3.0 Temporary failure of a filter, try again later",
        ),
        (
            "route-fault",
            "deferred",
            "4.3.0 a plug-in: 451 4.3.0 Temporary failure of a filter, try again later",
        ),
        ("route-reject", "undeliverable", "5.9.9 a plug-in: 550 5.9.9 as the name says"),
        ("route-leave5", "undeliverable", "5.9.8 a plug-in: 554 5.9.8 as the name says"),
    ] {
        scene.hand_in(name);
        assert_eq!(scene.wait_for(name, message).text("reply"), said, "{name}");
    }
    scene.hand_in("route-hold");
    let held = scene.wait_for("route-hold", "held").text("reason");
    assert_eq!(held, "4.2.0 postman: kept");
    assert!(scene.notified("route-reject").contains("\nStatus: 5.9.9\n"));
    let faults = scene.server.log().matching(|line| line.message().starts_with("plug-in fault"));
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert_eq!(scene.sink.messages().len(), 1);
    scene.server.stop();
}

#[test]
fn every_answer_at_deliver_decides_about_the_attempt() {
    let scene = Scene::new("");
    scene.hand_in("deliver-continue");
    scene.wait_for("deliver-continue", "delivered");
    scene.told("result deliver-continue@relayed.test: 0 2.0.0 127.0.0.1:");
    for (name, message, field, said, result) in [
        ("deliver-handled", "delivered", "said", "2.9.9 a plug-in: 250 2.9.9 as the name says", 0),
        ("deliver-defer", "deferred", "reply", "4.9.9 a plug-in: 450 4.9.9 as the name says", 2),
        ("deliver-leave4", "deferred", "reply", "4.9.8 a plug-in: 421 4.9.8 as the name says", 2),
        (
            "deliver-reject",
            "undeliverable",
            "reply",
            "5.9.9 a plug-in: 550 5.9.9 as the name says",
            1,
        ),
        (
            "deliver-leave5",
            "undeliverable",
            "reply",
            "5.9.8 a plug-in: 554 5.9.8 as the name says",
            1,
        ),
        ("deliver-hold", "held", "reason", "4.2.0 postman: kept", 4),
        (
            "deliver-fault",
            "deferred",
            "reply",
            "4.3.0 a plug-in: 451 4.3.0 Temporary failure of a filter, try again later",
            2,
        ),
    ] {
        scene.hand_in(name);
        assert_eq!(scene.wait_for(name, message).text(field), said, "{name}");
        scene.told(&format!("result {name}@relayed.test: {result} {said}"));
    }
    assert_eq!(scene.sink.messages().len(), 1);
    scene.server.stop();
}

#[test]
fn every_answer_at_bounce_decides_who_is_told() {
    let scene = Scene::new("");
    let told = |name: &str, notification: &str| {
        scene.hand_in(name);
        scene.wait_for(name, "undeliverable");
        scene.told(&format!(
            "told sender@example.test of {name}@relayed.test: 1, notification {notification}"
        ));
    };
    for name in ["bounce-handled", "bounce-reject", "bounce-leave5"] {
        told(name, "none");
    }
    told("bounce-continue", "queued");
    assert!(!scene.notified("bounce-continue").contains("X-Postman"));
    told("bounce-header", "queued");
    assert!(scene.notified("bounce-header").contains("X-Postman: bounce\n"));
    told("bounce-hold", "queued");
    for name in ["bounce-defer", "bounce-leave4", "bounce-fault"] {
        scene.hand_in(name);
        scene.wait_for(name, "undeliverable");
    }
    scene.server.log().wait_for_count("nobody told yet", 3, |line| {
        line.message() == "the sender can't be told yet"
    });
    let status = scene.site.run(&["status", "--config", "stagepost.toml"]);
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    // The notification on hold, and those that are to be told of again.
    assert!(status.contains("queue     4 messages ") && status.contains(" 1 held"), "{status}");
    assert!(scene.sink.messages().is_empty());
    scene.server.stop();
}

#[test]
fn every_answer_at_expire_decides_whether_it_is_given_up() {
    let scene = Scene::new("expire = \"1s\"\nretry_first = \"1s\"\nretry_max = \"1s\"\n");
    for (name, status) in
        [("expire-continue", "5.4.7"), ("expire-reject", "5.9.9"), ("expire-leave5", "5.9.8")]
    {
        scene.hand_in(name);
        let text = scene.notified(name);
        assert!(text.contains(&format!("\nStatus: {status}\n")), "{name}: {text}");
    }
    scene.hand_in("expire-handled");
    let dropped = scene.wait_for("expire-handled", "dropped").text("reason");
    assert_eq!(dropped, "2.0.0 given up, as a plug-in says");
    scene.hand_in("expire-hold");
    scene.wait_for("expire-hold", "held");
    // Prolonged: tried again, and asked about again.
    for name in ["expire-defer", "expire-leave4", "expire-fault"] {
        scene.hand_in(name);
        let recipient = format!("{name}@relayed.test");
        scene.server.log().wait_for_count("three attempts", 3, |line| {
            line.message() == "deferred" && line.text("recipient") == recipient
        });
    }
    scene.told("expired for relayed.test");
    let notified = scene.server.log().matching(|line| line.message() == "the sender is told");
    assert_eq!(notified.len(), 3);
    scene.server.stop();
}

/// In Rust, of a message that somebody has sent who is logged in; and again when the server that took it is gone.
#[test]
fn what_is_known_of_the_session_is_saved_with_the_message() {
    const NAME: &str = "mx.example.test";
    let plugin = build_rust("postman-rust");
    let (sink, other, site) = (Sink::open(), Sink::open(), Site::new(""));
    let trust = Trust::in_file(&site.certify(NAME));
    site.add_user("alice@example.test", "pencil");
    let route = |domain: &str, expire: &str| {
        let hop = sink.address();
        format!(
            "[[route]]\ndomain = \"{domain}\"\nnext_hop = \"{hop}\"\nretry_first = \"1s\"\nretry_max = \"1s\"\nexpire = \"{expire}\"\n"
        )
    };
    let way = format!("[plugin.config]\nway = \"{}\"\n", other.address());
    let further = [
        "[auth]\nusers_file = \"users\"\n".to_owned(),
        route("relayed.test", "1h"),
        route("short.test", "1s"),
        plugin_section("postman-rust", &plugin, &way),
    ];
    site.configure_tls("purpose = \"submission\"\n", &further.concat());
    let server = site.start();
    let mut client = server.greeted();
    client.say("STARTTLS", 220);
    let mut client = client.secure(&trust, NAME).unwrap();
    client.say("EHLO client.example.test", 250);
    client.say(&format!("AUTH PLAIN {}", base64("\0alice@example.test\0pencil")), 235);
    let mut hand_in = |to: &str, code: u16| {
        assert_eq!(client.deliver("sender@example.test", to, MESSAGE).code, code, "{to}");
    };
    hand_in("refused@relayed.test", 550);
    for to in
        ["elsewhere@relayed.test", "dead@relayed.test", "late@short.test", "late@relayed.test"]
    {
        hand_in(to, 250);
    }
    let known = |to: &str| {
        format!(
            "127.0.0.1 mx client.example.test Some(true) alice@example.test PLAIN TLSv1.3 sender@example.test {to}"
        )
    };
    let told = |server: &Server, text: &str| {
        server.log().wait_for(text, |line| line.message() == text);
    };
    told(&server, "queued with Some([\"queue\"])");
    told(&server, &format!("routing {}", known("elsewhere@relayed.test")));
    // A slot lasts for one attempt, and begins empty with the next one.
    let slot = "with Some([\"route\", \"deliver\"])";
    told(&server, &format!("elsewhere@relayed.test true by {} {slot}", other.address()));
    told(&server, &format!("dead@relayed.test false by {} {slot}", sink.address()));
    told(&server, &format!("telling sender@example.test {}", known("dead@relayed.test")));
    told(&server, "attempt 1 begins with 1");
    told(&server, &format!("expiring short.test {}", known("late@short.test")));
    told(&server, &format!("telling sender@example.test {}", known("late@short.test")));
    let octets = String::from_utf8_lossy(&other.wait_for(1)[0].octets).into_owned();
    assert!(octets.contains(&format!("\r\nX-Postman: {}\r\n", MESSAGE.len())), "{octets}");
    server.kill();

    let server = site.start();
    told(&server, &format!("routing {}", known("late@relayed.test")));
    assert!(sink.messages().is_empty());
    let log = server.stop();
    assert!(log.matching(|line| line.message().contains("fault")).is_empty(), "{log}");
}
