//! The life of plug-ins on the real server: start, another configuration, stop.
//! Knows the plug-in keeper, which says what it is told.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use stagepost_tests::log::Log;
use stagepost_tests::server::{Server, Site, plugin_section};

/// The section of keeper with a limit, and further settings of the plug-in.
fn section(file: &Path, limit: &str, further: &str) -> String {
    let own = format!("{further}\n[plugin.config]\nlimit = {limit}\n");
    plugin_section("keeper", file, &own)
}

/// What the plug-in has said, in order.
fn said(log: &Log) -> Vec<String> {
    let of_keeper = |line: &stagepost_tests::log::Line| line.text("plugin") == "keeper";
    let lines = log.matching(of_keeper);
    let words = lines.iter().map(|line| line.message().to_owned());
    let known = ["before", "after", "offered", "in force", "taken", "stop "];
    words.filter(|text| known.iter().any(|start| text.starts_with(start))).collect()
}

fn reload(site: &Site) -> (Option<i32>, String) {
    let output = site.run(&["reload", "--socket", "state/admin.sock"]);
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

fn hang_up(server: &Server) {
    let pid = Pid::from_raw(server.pid().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
}

#[test]
fn a_plug_in_starts_takes_another_section_and_stops() {
    let site = Site::new("");
    let file = site.compile("plugins/keeper.c");
    site.configure(&section(&file, "1", ""));
    let server = site.start();
    assert_eq!(said(server.log()), ["before start 1", "after start 1"]);

    site.configure(&section(&file, "2", ""));
    assert_eq!(reload(&site), (Some(0), "in force: [plugin.config] of keeper\n".to_owned()));
    assert_eq!(reload(&site), (Some(0), "nothing has changed\n".to_owned()));
    site.configure(&section(&file, "-1", ""));
    let (code, text) = reload(&site);
    assert_eq!(code, Some(1));
    assert!(
        text.starts_with("error: plug-in keeper refuses its new section: status 0x0495\n"),
        "{text}"
    );
    site.write_config("hostname = 7\n");
    let (code, text) = reload(&site);
    assert_eq!(code, Some(1));
    assert!(text.contains("stagepost.toml:1:12"), "{text}");

    let others = section(&file, "3", "priority = 5")
        + "[limits]\nsessions_max = 99\nsessions_per_address_max = 9\n";
    site.configure(&others);
    hang_up(&server);
    let line = server.log().wait_for("the reload", |line| line.text("restart").contains("keeper"));
    assert_eq!(line.text("changed"), "[\"keeper\"]");
    assert_eq!(line.text("restart"), "[\"[limits] or [timeouts]\", \"[[plugin]] keeper\"]");
    // What it had goes on.
    server.greeted().say("NOOP", 250);

    let log = server.stop();
    let wanted = [
        "before start 1",
        "after start 1",
        "offered 2",
        "in force 1",
        "taken 2",
        // Nothing has changed for it, but it may have files of its own.
        "offered 2",
        "in force 2",
        "taken 2",
        "offered -1",
        "in force 2",
        "offered 3",
        "in force 2",
        "taken 3",
        "stop 10000",
    ];
    assert_eq!(said(&log), wanted);
}

#[test]
fn a_plug_in_may_refuse_to_start() {
    let site = Site::new("");
    let file = site.compile("plugins/keeper.c");
    site.configure(&section(&file, "13", ""));
    let (code, said_all) = site.refused();
    assert_eq!(code, Some(1), "{said_all}");
    let wanted = "plug-in keeper refused: start: wanted status 0x02d5, found 0x0404";
    assert!(said_all.contains(wanted), "{said_all}");
    assert!(!said_all.contains("\"stop "), "{said_all}");

    site.configure(&section(&file, "13", "on_load_error = \"skip\""));
    let server = site.start();
    server.greeted().say("MAIL FROM:<a@client.test>", 250);
    let log = server.stop();
    assert_eq!(said(&log), ["before start 13"], "it is asked for nothing more");
}

#[test]
fn a_plug_in_that_takes_no_section_is_named() {
    let site = Site::new("");
    let file = site.compile("plugins/keeper.c");
    site.configure(&section(&file, "99", ""));
    let server = site.start();
    site.configure(&section(&file, "98", ""));
    let wanted = "at the next start: [plugin.config] of keeper, which takes none while it runs\n";
    assert_eq!(reload(&site), (Some(0), wanted.to_owned()));
    server.stop();
}
