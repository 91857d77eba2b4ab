//! Plug-ins that misuse the contract, in the real server: names and numbers that are none, words that would steer a terminal, and
//! threads that call whatever they like whenever they like.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::thread;

use stagepost_smtp::is_obeyed;
use stagepost_tests::client::Client;
use stagepost_tests::server::{Server, Site, plugin_section};

const MESSAGE: &str = "Subject: past a misuse\r\n\r\nHello.\r\n";

/// What a command says; none of it may steer a terminal.
fn said(site: &Site, args: &[&str], code: i32) -> String {
    let output = site.run(&[args, &["--socket", "state/admin.sock"]].concat());
    assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
    let said = [output.stdout, output.stderr].map(|octets| String::from_utf8(octets).unwrap());
    let said = said.concat();
    assert!(!said.contains(|c| is_obeyed(c) && c != '\n'), "{args:?}: {said:?}");
    said
}

#[test]
fn names_lists_and_numbers_that_are_none_are_told_by_their_status() {
    let site = Site::new("");
    let file = site.compile("faults/odd_names.c");
    site.configure(&plugin_section("odd-names", &file, ""));
    let server = site.start();
    let mut client = server.greeted();
    for _ in 0..2 {
        // In its refusal would be what was not told.
        client.say("MAIL FROM:<a@client.test>", 250);
        client.say("RCPT TO:<b@example.test>", 250);
        client.say("RSET", 250);
    }
    let reply = client.deliver("a@client.test", "b@example.test", MESSAGE);
    assert_eq!(reply.code, 250, "{reply}");
    let log = server.stop();
    assert!(log.matching(|line| line.message().contains("fault")).is_empty(), "{log}");
}

#[test]
fn what_plug_ins_say_steers_no_terminal() {
    let site = Site::new("");
    let file = site.compile("faults/odd_names.c");
    site.configure(&plugin_section("odd-names", &file, ""));
    let server = site.start();
    let shown = "a\\n\\u{1b}[2J\\u{9b}m\\u{202e}b\\u{2028}c\\u{feff}d";
    server.log().wait_for("the words", |line| line.message() == shown);
    let answer = said(&site, &["plugin", "call", "odd-names", "say"], 0);
    assert_eq!(answer, "\"\\u009bm\\u202eb\\u2028c\"\n");
    let failure = said(&site, &["plugin", "call", "odd-names", "say", "[]"], 1);
    assert!(failure.starts_with(&format!("error: odd-names: {shown}\n")), "{failure}");
    assert!(said(&site, &["plugin", "list"], 0).contains("say  turns ?words"));
    assert!(said(&site, &["plugin", "list", "--json"], 0).contains("turns \\u202ewords"));
    assert!(
        said(&site, &["metrics"], 0)
            .contains("plugin_odd_names_counter_total 9223372036854775807\n")
    );
    server.stop();
}

/// A whole transaction, with replies that a fault makes temporary ones.
fn transact(server: &Server) {
    let mut client = server.greeted();
    let mut took = |command: &str, wanted: u16| {
        let reply = client.ask(command);
        assert!([wanted, 451, 452].contains(&reply.code), "{command}: {reply}");
        reply.code == wanted
    };
    let goes_on = took("MAIL FROM:<a@client.test>", 250)
        && took("RCPT TO:<b@example.test>", 250)
        && took("DATA", 354);
    if goes_on {
        client.send(MESSAGE.as_bytes());
        let reply = client.ask(".");
        assert!([250, 451, 452].contains(&reply.code), "{reply}");
    }
    client.say("NOOP", 250);
    client.say("QUIT", 221);
}

/// Sessions beside a plug-in whose threads call at random: each command gets one reply, nothing of the calls that have ended is
/// left, a reload goes through, and the server ends while they go on.
fn hammer(class: &str) {
    const CLIENTS: usize = 6;
    let site = Site::new("");
    let file = site.compile_with("faults/hammer.c", &[&format!("CLASS={class}")]);
    let dns = "[dns]\nservers = [\"127.0.0.1:1\"]\ntimeout = \"1s\"\n";
    let limits = "[limits]\nsessions_per_address_max = 300\n";
    let further = "deadline_ms = 200\ndeadline_max_ms = 1000\npending_max = 24\n";
    let section = plugin_section("hammer", &file, further);
    site.configure(&format!("{dns}{limits}{section}"));
    let server = site.start();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| (0..8).for_each(|_| transact(&server)));
        }
        for limit in 1..4 {
            site.configure(&format!("{dns}{limits}{section}[plugin.config]\nlimit = {limit}\n"));
            said(&site, &["reload"], 0);
        }
    });
    said(&site, &["plugin", "call", "hammer", "rest"], 0);
    // As many as may be pending, and more: none of those before counts any more.
    for _ in 0..20 {
        let mut client = server.greeted();
        let reply = client.deliver("a@client.test", "c@example.test", MESSAGE);
        assert_eq!(reply.code, 250, "{reply}");
    }
    said(&site, &["plugin", "call", "hammer", "rouse"], 0);
    let mut under_way: Vec<Client> = (0..CLIENTS).map(|_| server.greeted()).collect();
    under_way.iter_mut().for_each(|client| client.send(b"MAIL FROM:<a@client.test>\r\n"));
    let log = server.stop();
    assert!(log.matching(|line| line.as_str().contains("panicked")).is_empty(), "{log}");
}

#[test]
fn threads_that_call_at_random_hurt_nobody_beside_a_plug_in_on_the_pool() {
    hammer("EM_CLASS_BLOCKING");
}

#[test]
fn threads_that_call_at_random_hurt_nobody_beside_a_plug_in_in_line() {
    hammer("EM_CLASS_INLINE");
}
