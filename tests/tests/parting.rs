//! What clients say beside their mail, as loaded plug-ins see it, before and after, in C and in Rust: VRFY, RSET, QUIT and
//! silence. And what a plug-in in Rust keeps and looks up meanwhile.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs;
use std::path::PathBuf;

use stagepost_tests::plugin::build_rust;
use stagepost_tests::server::{Site, plugin_section};

/// The plug-in in both languages.
fn ushers(site: &Site) -> [(&'static str, PathBuf); 2] {
    [("usher", site.compile("plugins/usher.c")), ("usher-rust", build_rust("usher-rust"))]
}

#[test]
fn what_is_said_beside_the_mail_goes_through_plug_ins() {
    let site = Site::new("");
    for (name, file) in ushers(&site) {
        site.configure(&plugin_section(name, &file, ""));
        let server = site.start();
        let mut client = server.greeted();
        for (command, wanted) in [
            ("VRFY b@example.test", "250 2.1.5 As you asked"),
            ("VRFY c@example.test", "253 2.5.2 Who knows"),
            ("EXPN b@example.test", "502 5.5.1 No list"),
            ("RSET", "250 2.0.0 Forgotten"),
            ("MAIL FROM:<a@client.test>", "250 2.1.0 Ok"),
            ("RCPT TO:<b@example.test>", "250 2.1.5 Ok"),
            ("RSET", "250 2.0.0 Forgotten"),
            ("RCPT TO:<b@example.test>", "503 5.5.1 *"),
            ("MAIL FROM:<a@client.test>", "250 2.1.0 Ok"),
            ("RCPT TO:<b@example.test>", "250 2.1.5 Ok"),
            ("RCPT TO:<c@example.test>", "250 2.1.5 Ok"),
            ("RSET", "450 4.7.1 Kept"),
            // The transaction is still there.
            ("DATA", "354 *"),
            ("Subject: kept\r\n\r\nHello.\r\n.", "250 2.0.0 *"),
            ("QUIT", "221 2.0.0 So long"),
        ] {
            let reply = client.ask(command).to_string();
            let (start, any) = wanted.strip_suffix('*').map_or((wanted, false), |it| (it, true));
            assert!(reply == start || any && reply.starts_with(start), "{name} {command}: {reply}");
        }
        client.expect_close();
        let mut nosy = server.greeted();
        assert_eq!(nosy.ask("VRFY secret").to_string(), "550 5.7.1 As you asked", "{name}");
        assert_eq!(nosy.ask("QUIT").to_string(), "554 5.7.1 At last", "{name}");
        nosy.expect_close();
        let log = server.stop();
        assert!(log.matching(|line| line.message().contains("fault")).is_empty(), "{log}");
    }
}

#[test]
fn silence_goes_through_plug_ins() {
    let site = Site::new("");
    for (name, file) in ushers(&site) {
        let timeouts = "[timeouts]\ncommand = \"1s\"\ndata_block = \"1s\"\n\n";
        site.configure(&(timeouts.to_owned() + &plugin_section(name, &file, "")));
        let server = site.start();
        let mut clients = [server.greeted(), server.greeted(), server.greeted()];
        let [_, nosy, sender] = &mut clients;
        nosy.say("VRFY secret", 550);
        sender.begin("a@client.test", "b@example.test");
        sender.send(b"Subject: begun\r\n");
        let wanted = ["421 4.4.2 Speak sooner", "554 5.7.1 Speak sooner", "421 4.4.2 Send faster"];
        for (client, wanted) in clients.iter_mut().zip(wanted) {
            assert_eq!(client.reply().to_string(), wanted, "{name}");
            client.expect_close();
        }
        let log = server.stop();
        assert!(log.matching(|line| line.message().contains("fault")).is_empty(), "{log}");
    }
}

#[test]
fn a_plug_in_in_rust_keeps_state_counts_and_answers_its_operator() {
    let site = Site::new("");
    site.configure(&plugin_section("usher-rust", &build_rust("usher-rust"), ""));
    let written = fs::read_to_string(site.path().join("stagepost.toml")).unwrap();
    site.write_config(&format!("groups_file = \"groups\"\n{written}"));
    fs::write(site.path().join("groups"), "staff: b@example.test\nall: b@example.test\n").unwrap();
    let call = |verb: &str, address: &str| {
        let base = ["plugin", "call", "--socket", "state/admin.sock", "usher-rust", verb, address];
        let output = site.run(&base);
        (output.status.success(), String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    };
    let server = site.start();
    let mut client = server.greeted();
    for sender in ["a@client.test", "a@client.test", "c@client.test", ""] {
        client.say(&format!("MAIL FROM:<{sender}>"), 250);
        client.say("RSET", 250);
    }
    assert_eq!(call("seen", "\"a@client.test\""), (true, "2".to_owned()));
    assert_eq!(call("seen", "\"x@client.test\""), (true, "0".to_owned()));
    assert!(!call("seen", "7").0, "what a verb fails with is told");
    assert_eq!(call("who", "\"b@example.test\""), (true, "\"user true staff all\"".to_owned()));
    assert_eq!(call("who", "\"b@other.test\""), (true, "\"nobody false \"".to_owned()));
    let metrics = site.run(&["metrics", "--socket", "state/admin.sock"]);
    let metrics = String::from_utf8(metrics.stdout).unwrap();
    assert!(metrics.contains("plugin_usher_rust_seen_total 3\n"), "{metrics}");
    let seen = server.log().matching(|line| line.message().starts_with("seen "));
    assert_eq!(seen.len(), 3);
    server.kill();
    let server = site.start();
    assert_eq!(call("seen", "\"a@client.test\""), (true, "2".to_owned()), "it outlives a kill");
    server.stop();
}
