//! Plug-ins that do not come back, in the real server: from their entry, a handler, or a release. None of them keeps it.

use stagepost_tests::log::{Line, Log};
use stagepost_tests::server::{Site, plugin_section};

const MESSAGE: &str = "Subject: past a stuck plug-in\r\n\r\nHello.\r\n";

/// A site with a plug-in that does not return from one place, and little time for its start.
fn site_with_stuck(at: &str, further: &str) -> Site {
    let site = Site::new("");
    let file = site.compile("faults/stuck.c");
    let section =
        plugin_section("stuck", &file, &format!("{further}[plugin.config]\nat = \"{at}\""));
    site.configure(&format!("[plugins]\nstart_deadline_ms = 500\n{section}"));
    site
}

fn faults(log: &Log) -> Vec<Line> {
    log.matching(|line| line.message().starts_with("plug-in fault"))
}

#[test]
fn while_it_loads_or_starts_it_is_refused() {
    for (at, field) in [("entry", "em_entry"), ("start", "start")] {
        let line = site_with_stuck(at, "").refusal();
        let wanted = format!(
            "error: plugin[0]: plug-in stuck refused: {field}: wanted an answer within 500 ms (start_deadline_ms), found none"
        );
        assert!(line.starts_with(&wanted), "{wanted:?} in {line}");
        let site = site_with_stuck(at, "on_load_error = \"skip\"\n");
        let server = site.start();
        let reply = server.greeted().deliver("a@client.test", "b@example.test", MESSAGE);
        assert_eq!(reply.code, 250, "{reply}");
        let refused = server.log().matching(|line| line.message().contains("refused"));
        let [line] = &refused[..] else { panic!("{}", server.log()) };
        assert!(line.message().contains("going on without it"), "{}", line.as_str());
        // What never returns keeps nobody, and is asked no more.
        server.stop();
    }
}

#[test]
fn in_a_command_that_is_answered_451_and_others_go_on() {
    let site = site_with_stuck("mail", "deadline_ms = 200\nthreads_max = 1\n");
    let server = site.start();
    let mut client = server.greeted();
    let reply = client.say("MAIL FROM:<a@client.test>", 451);
    assert!(reply.lines[0].starts_with("4.3.0 "), "{reply}");
    let late = |line: &Line| line.message().contains("did not return within 200 ms");
    let fault = server.log().wait_for("the fault", late);
    let named = ["plugin", "event", "stage", "level"].map(|field| fault.text(field));
    assert_eq!(named, ["stuck", "mail", "before", "ERROR"], "{}", fault.as_str());
    // The one thread that it may have does not come back.
    server.greeted().say("MAIL FROM:<c@client.test>", 451);
    let exhausted = |line: &Line| line.message().contains("(threads_max 1 are busy)");
    server.log().wait_for("the second fault", exhausted);
    client.say("NOOP", 250);
    server.stop();
}

#[test]
fn at_the_end_it_does_not_keep_the_server() {
    let server = site_with_stuck("stop", "").start();
    server.greeted().say("NOOP", 250);
    let log = server.stop();
    let [line] = &faults(&log)[..] else { panic!("{log}") };
    assert_eq!(line.text("plugin"), "stuck", "{log}");
    assert!(line.message().ends_with("overrun: it did not stop within 10000 ms"), "{log}");
}

/// Who takes a moment to let go is waited for, also where the server does not start.
#[test]
fn a_release_that_comes_back_is_not_cut_off() {
    let (code, said) = site_with_stuck("slow", "").refused();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("\"released\""), "{said}");
    assert!(!said.contains("has not returned"), "{said}");
}

#[test]
fn in_a_release_it_keeps_neither_a_start_nor_the_end() {
    let line = site_with_stuck("refusal", "").refusal();
    assert!(line.contains("em_entry: wanted status 0x0000, found 0x3303"), "{line}");

    let skipped = site_with_stuck("refusal", "on_load_error = \"skip\"\n");
    for site in [skipped, site_with_stuck("release", "")] {
        let server = site.start();
        let reply = server.greeted().deliver("a@client.test", "b@example.test", MESSAGE);
        assert_eq!(reply.code, 250, "{reply}");
        let log = server.stop();
        let without = "a plug-in's call has not returned: the process ends without it";
        assert_eq!(log.matching(|line| line.message() == without).len(), 1, "{log}");
    }
}
