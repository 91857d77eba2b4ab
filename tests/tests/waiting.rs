//! Plug-ins that wait for time and for the DNS on the real server, in C and in Rust.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use stagepost_tests::client::Client;
use stagepost_tests::name_server::{A, NameServer, TXT};
use stagepost_tests::plugin::{build_rust, compile_c};
use stagepost_tests::server::{Site, plugin_section};

/// The greeting delay, in both languages.
fn delays(site: &Site) -> [(&'static str, PathBuf); 2] {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/examples/greeting-delay.c");
    let in_c = compile_c(&source, site.path(), &[]);
    [("greeting-delay", in_c), ("greeting-delay-rust", build_rust("greeting-delay-rust"))]
}

#[test]
fn a_greeting_is_delayed_for_many_clients_without_a_thread() {
    const CLIENTS: usize = 80;
    let site = Site::new("");
    for (name, file) in delays(&site) {
        site.configure(&plugin_section(name, &file, "[plugin.config]\ndelay_ms = 1500"));
        let server = site.start();
        let begun = Instant::now();
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| Client::connect(server.address())).collect();
        let threads = fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap().count();
        assert!(threads < CLIENTS, "{name}: {threads} threads");
        for client in &mut clients {
            client.expect(220);
        }
        assert!(begun.elapsed() >= Duration::from_millis(1500), "{name}");
        drop(clients);
        let log = server.stop();
        assert!(log.matching(|line| line.message().contains("fault")).is_empty(), "{log}");
    }
}

#[test]
fn a_greeting_may_be_delayed_past_the_deadline_but_not_past_its_most() {
    let site = Site::new("");
    for (name, file) in delays(&site) {
        let section = |more: &str| {
            let further = format!("deadline_ms = 100\n{more}\n[plugin.config]\ndelay_ms = 300");
            plugin_section(name, &file, &further)
        };
        site.configure(&section("deadline_max_ms = 5000"));
        let server = site.start();
        server.connect().say("QUIT", 221);
        server.stop();
        site.configure(&section("deadline_max_ms = 1000"));
        let server = site.start();
        let reply = Client::connect(server.address()).expect(421);
        assert!(reply.lines[0].starts_with("Temporary failure"), "{name}: {reply}");
        server.stop();
    }
}

#[test]
fn clients_are_refused_by_a_list_in_the_dns() {
    let site = Site::new("");
    let files =
        [("lister", site.compile("plugins/lister.c")), ("lister-rust", build_rust("lister-rust"))];
    for (name, file) in files {
        let listed =
            NameServer::start(vec![("1.0.0.127.list.test", TXT, b"\x0bYou are on \x08the list")]);
        site.configure(&format!("{}{}", listed.section(), plugin_section(name, &file, "")));
        let server = site.start();
        let reply = Client::connect(server.address()).expect(554);
        assert_eq!(reply.lines, ["You are on the list"], "{name}");
        server.stop();
        let empty = NameServer::start(Vec::new());
        site.configure(&format!("{}{}", empty.section(), plugin_section(name, &file, "")));
        let server = site.start();
        server.connect().say("QUIT", 221);
        let log = server.stop();
        assert!(log.matching(|line| line.message().contains("fault")).is_empty(), "{log}");
    }
}

#[test]
fn a_handler_on_the_pool_waits_for_the_dns() {
    let site = Site::new("");
    let records = vec![("here.test", A, &[192, 0, 2, 1][..]), ("text.test", TXT, b"\x01x")];
    let names = NameServer::start(records);
    let plugin = plugin_section("lister-rust", &build_rust("lister-rust"), "");
    site.configure(&format!("{}{plugin}", names.section()));
    let server = site.start();
    let mut client = server.connect();
    client.say("EHLO nobody.test", 550);
    client.say("EHLO x.trouble.test", 451);
    client.say("EHLO text.test", 250);
    client.say("EHLO here.test", 250);
    server.stop();
}
