//! The whole path on the real server: mail in, plug-ins asked, mail in a Maildir, and what an operator sees of it.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::Value;
use stagepost_tests::client::Client;
use stagepost_tests::log::Line;
use stagepost_tests::server::{Server, Site, example_plugins};

const MESSAGE: &str =
    "From: a@client.test\r\nTo: b@example.test\r\nSubject: first\r\n\r\nHello.\r\n";

fn delivered(line: &Line) -> bool {
    line.message() == "delivered"
}

fn queued(line: &Line) -> bool {
    line.message() == "message queued"
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).expect("the test sent ASCII")
}

#[test]
fn a_first_mail_goes_through_both_plug_ins_into_the_maildir() {
    let site = Site::new(&example_plugins());
    let server = site.start();
    let mut client = server.greeted();
    let reply = client.deliver("a@client.test", "b@example.test", MESSAGE);
    assert_eq!(reply.code, 250, "{reply}");
    assert!(reply.lines[0].starts_with("2.0.0 "), "{reply}");
    client.say("QUIT", 221);
    client.expect_close();

    server.log().wait_for("the delivery", delivered);
    let mail = site.mail("b");
    let [message] = &mail[..] else { panic!("{} messages", mail.len()) };
    let message = text(message);
    let session = server.log().wait_for("the message", queued).text("session");
    let id = server.log().wait_for("the message", queued).text("id");
    // As a Maildir has it: line ends of the system.
    let body = MESSAGE.replace("\r\n", "\n");
    let (fields, rest) = body.split_once("\n\n").expect("an empty line");
    assert!(message.contains(fields), "{message}");
    assert!(message.ends_with(&format!("\n\n{rest}")), "{message}");
    // The id in the log is the one that plug-ins see.
    let stamp = format!("X-Example-C: seen by example-c, session {session}\n");
    assert!(message.contains(&stamp), "{message}\n{}", server.log());
    let stamp = format!("X-Example-Rust: seen by example-rust, session {session}\n");
    assert!(message.contains(&stamp), "{message}\n{}", server.log());
    let received = format!("by mx.example.test with ESMTP id {id}");
    let unfolded = message.replace("\n\t", " ").replace("\n ", " ");
    assert!(unfolded.contains("Received: from client.example.test ([127.0.0.1])"), "{message}");
    assert!(unfolded.contains(&received), "{message}");
    assert!(unfolded.contains("for <b@example.test>"), "{message}");
    assert!(message.starts_with("Return-Path: <a@client.test>\n"), "{message}");

    for plugin in ["example-c", "example-rust"] {
        let said = server.log().matching(|line| line.text("plugin") == plugin);
        let of_session = said.iter().filter(|line| line.text("session") == session).count();
        assert!(of_session >= 1, "{plugin} said nothing in session {session}:\n{}", server.log());
    }
    server.stop();
}

#[test]
fn the_operator_sees_plug_ins_sessions_and_queue() {
    let site = Site::new(&example_plugins());
    let server = site.start();
    let mut client = server.greeted();
    client.deliver("a@client.test", "b@example.test", MESSAGE);
    server.log().wait_for("the delivery", delivered);

    let shown = site.run(&["status", "--config", "stagepost.toml"]);
    assert!(shown.status.success(), "{shown:?}");
    let shown = text(&shown.stdout);
    let (version, address) = (env!("CARGO_PKG_VERSION"), server.address());
    for wanted in [
        format!("server    stagepost {version}\n"),
        format!("process   {}, up ", server.pid()),
        "sessions  1 open, 1 in all\n".to_owned(),
        format!("listener  mx on {address}\n"),
        "PLUG-IN ".to_owned(),
        "example-c ".to_owned(),
        "example-rust ".to_owned(),
    ] {
        assert!(shown.contains(&wanted), "{wanted:?} in\n{shown}");
    }

    let json = site.run(&["status", "--socket", "state/admin.sock", "--json"]);
    let json: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(json["pid"], server.pid());
    assert_eq!(json["sessions"]["open"], 1);
    assert_eq!(json["queue"]["accepting"], true);
    assert_eq!(json["listeners"][0]["address"], address.to_string());
    let plugins: Vec<_> = json["plugins"].as_array().expect("plug-ins").iter().collect();
    assert_eq!(plugins.len(), 2);
    assert_eq!(plugins[0]["name"], "example-c");
    assert_eq!(plugins[0]["faults"], 0);
    assert!(plugins[0]["registrations"].as_u64() >= Some(2), "{json}");

    server.stop();
    let gone = site.run(&["status", "--config", "stagepost.toml"]);
    assert_eq!(gone.status.code(), Some(1), "{gone:?}");
    assert!(text(&gone.stderr).contains("state/admin.sock"), "{gone:?}");
}

#[test]
fn recipients_and_commands_are_refused_with_their_replies() {
    let site = Site::new(
        "[[local_domain]]\nname = \"listed.test\"\nmailboxes = [\"alice\"]\nmaildir = \"listed\"\n",
    );
    let server = site.start();
    let mut client = server.greeted();
    client.say("MAIL FROM:<a@client.test>", 250);
    let cases = [
        ("RCPT TO:<alice@listed.test>", 250, "2.1.5 "),
        ("RCPT TO:<postmaster@listed.test>", 250, "2.1.5 "),
        ("RCPT TO:<nobody@listed.test>", 550, "5.1.1 "),
        ("RCPT TO:<b@foreign.test>", 550, "5.7.1 "),
        ("RSET", 250, "2.0.0 "),
        ("ETRN example.test", 459, ""),
        ("ETRN @example.test", 459, ""),
        ("TURN", 502, "5.5.1 "),
        ("NONSENSE", 500, "5.5.2 "),
    ];
    for (command, code, enhanced) in cases {
        let reply = client.ask(command);
        assert_eq!(reply.code, code, "to {command}: {reply}");
        assert!(reply.lines[0].starts_with(enhanced), "to {command}: {reply}");
    }
    server.stop();
}

/// Whoever looks for why somebody's mail does not come finds it, in one line for a session.
#[test]
fn what_a_client_was_refused_is_in_the_log() {
    let site = Site::new("");
    let server = site.start();
    let mut client = server.greeted();
    client.deliver("a@client.test", "b@example.test", MESSAGE);
    client.say("QUIT", 221);
    let mut client = server.greeted();
    client.say("PASS secret", 500);
    client.say("MAIL FROM:<a@client.test>", 250);
    client.say("RCPT TO:<b@foreign.test>", 550);
    client.say("RSET", 250);
    client.say("QUIT", 221);
    let told = |line: &Line| line.message() == "the client was refused";
    let line = server.log().wait_for("the refusal", told);
    for (field, wanted) in [
        ("client", "127.0.0.1"),
        ("helo", "client.example.test"),
        ("listener", "mx"),
        ("sender", "a@client.test"),
        ("command", "RCPT TO:<b@foreign.test>"),
        ("reply", "550 5.7.1 Relaying denied"),
    ] {
        assert_eq!(line.text(field), wanted, "{}", line.as_str());
    }
    assert!(line.as_str().contains("\"count\":2"), "{}", line.as_str());
    let log = server.stop();
    assert_eq!(log.matching(told).len(), 1, "{log}");
    assert!(!log.to_string().contains("secret"), "{log}");
}

#[test]
fn sessions_are_limited_in_all_and_for_each_address() {
    let refusal = |server: &Server, words: &str| {
        let mut late = Client::connect(server.address());
        let reply = late.expect(421);
        assert!(reply.lines[0].contains(words), "{reply}");
        late.expect_close();
    };
    for (limits, words, metric) in [
        ("sessions_per_address_max = 2", "from your address", "address"),
        ("sessions_max = 2\nsessions_per_address_max = 2", "too many sessions", "all"),
    ] {
        let site = Site::new(&format!("[limits]\n{limits}\n"));
        let server = site.start();
        let mut clients = [server.greeted(), server.greeted()];
        refusal(&server, words);
        let counted = site.run(&["metrics", "--config", "stagepost.toml"]);
        let line = format!("stagepost_sessions_refused_total{{limit=\"{metric}\"}} 1\n");
        assert!(text(&counted.stdout).contains(&line), "{counted:?}");
        clients[0].say("QUIT", 221);
        clients[0].expect_close();
        // The place is given back a moment after the client sees the end.
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let mut next = Client::connect(server.address());
            if next.reply().code == 220 {
                break;
            }
            assert!(Instant::now() < deadline, "the place does not come back");
        }
        server.stop();
    }
}

#[test]
fn a_client_that_drips_is_told_and_counted() {
    let site = Site::new("[limits]\ndata_rate_min = \"1MB\"\n[timeouts]\ndata_window = \"1s\"\n");
    let server = site.start();
    let mut client = server.greeted();
    client.begin("a@client.test", "b@example.test");
    client.send(b"Subject: drip\r\n");
    let reply = client.expect(421);
    assert_eq!(reply.lines, ["4.4.2 Too slow"]);
    client.expect_close();
    let deadline = Instant::now() + Duration::from_secs(30);
    // Counted once the session is gone, a moment after its client sees that.
    loop {
        let counted = site.run(&["metrics", "--config", "stagepost.toml"]);
        if text(&counted.stdout).contains("stagepost_sessions_expired_total{why=\"slow\"} 1\n") {
            break;
        }
        assert!(Instant::now() < deadline, "{counted:?}");
    }
    server.stop();
}

#[test]
fn a_second_server_with_the_same_state_is_refused_in_one_clear_line() {
    let site = Site::new("");
    let server = site.start();
    let (code, said) = site.refused();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.lines().next().is_some_and(|line| line.starts_with("error: ")), "{said}");
    assert!(said.contains("admin.sock"), "{said}");
    assert!(said.contains("another server"), "{said}");
    // The first one is not disturbed.
    server.greeted().say("NOOP", 250);
    let shown = site.run(&["status", "--config", "stagepost.toml"]);
    assert!(shown.status.success(), "{shown:?}");
    server.stop();
}

#[test]
fn not_even_without_its_admin_socket_is_the_queue_opened_twice() {
    let site = Site::new("");
    let server = site.start();
    std::fs::remove_file(site.path().join("state/admin.sock")).expect("the socket");
    let (code, said) = site.refused();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("state/spool"), "{said}");
    assert!(said.lines().any(|line| line.starts_with("error: ")), "{said}");
    let reply = server.greeted().deliver("a@client.test", "b@example.test", MESSAGE);
    assert_eq!(reply.code, 250, "{reply}");
    server.stop();
}

#[test]
fn an_address_in_use_is_refused_in_one_clear_line() {
    let holder = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = holder.local_addr().expect("an address");
    let site = Site::new("");
    site.write_config(&format!(
        "hostname = \"mx.example.test\"\nstate_dir = \"state\"\n\
         [[listen]]\nname = \"mx\"\naddress = \"{taken}\"\n"
    ));
    let (code, said) = site.refused();
    assert_eq!(code, Some(1), "{said}");
    let wanted = format!("error: listener mx: {taken}: Address already in use");
    assert!(said.lines().any(|line| line.starts_with(&wanted)), "{said}");
}

#[test]
fn a_server_that_was_killed_starts_again() {
    let site = Site::new("");
    site.start().kill();
    site.start().stop();
}

#[test]
fn a_large_message_streams_through_in_bounded_memory() {
    const OCTETS: usize = 100 << 20;
    const GROWTH_KB_MAX: u64 = 16 << 10;
    let site = Site::new("[limits]\nmessage_octets_max = \"200MB\"\n");
    let server = site.start();
    let mut client = server.greeted();
    // What any message costs once is not what a large one costs.
    client.deliver("a@client.test", "small@example.test", MESSAGE);
    server.log().wait_for("the small message", delivered);
    let before = peak_kb(&server);

    client.begin("a@client.test", "b@example.test");
    let line = format!("{}\r\n", "x".repeat(998));
    let chunk = line.repeat(64);
    client.send(b"Subject: large\r\n\r\n");
    let mut sent = 0;
    while sent < OCTETS {
        client.send(chunk.as_bytes());
        sent += chunk.len();
    }
    client.say(".", 250);
    server.log().wait_for_count("both deliveries", 2, delivered);
    let grown = peak_kb(&server) - before;
    let mail = site.mail("b");
    let [message] = &mail[..] else { panic!("{} messages", mail.len()) };
    let lines = message.split(|&octet| octet == b'\n').filter(|line| line.len() == 998).count();
    assert_eq!(lines, sent / line.len());
    assert!(grown < GROWTH_KB_MAX, "grown by {grown} kB for a message of {} kB", OCTETS >> 10);
    server.stop();
}

/// The most memory that a server has had so far, in kB.
fn peak_kb(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid()));
    let status = status.expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = line.and_then(|line| line.trim().strip_suffix(" kB"));
    peak.and_then(|peak| peak.parse().ok()).expect("a figure in kB")
}
