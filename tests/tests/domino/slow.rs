//! Add-ins that take their time, and what they may not do.

use stagepost_tests::add_in::Making;
use stagepost_tests::client::Client;

use crate::rig::{Rig, count, greeted, probe, said, wait_for};

#[test]
fn one_that_sleeps_holds_its_own_session_alone() {
    let (rig, server) = probe();
    rig.set("probe_sleep=1\n");
    let mut held: Vec<Client> = (0..40).map(|_| Client::connect(server.address())).collect();
    // All are in the add-in at once, more than the plug-in has threads of the host's.
    server
        .log()
        .wait_for_count("the calls", 40, |line| line.message().contains(": connect before"));
    rig.set("");
    greeted(&server).say("QUIT", 221);
    for client in &mut held {
        client.expect(220);
    }
    server.stop();
}

#[test]
fn one_that_is_late_defers_its_command_and_is_told_of_the_end_when_it_is_back() {
    let rig = Rig::new();
    rig.make("probe.c", "probe", Making::default());
    rig.configure("", "", "addins = [\"probe\"]\n[plugin.config.addin.probe]\ndeadline_ms = 100\n");
    let server = rig.site.start();
    rig.set("probe_sleep=2\n");
    Client::connect(server.address()).expect(421);
    wait_for(&server, "add-in probe has not returned within 100 ms");
    rig.set("");
    server.log().wait_for_count("the end", 1, |line| line.message().contains("disconnect after"));
    let lines = said(&server);
    let at = |part: &str| lines.iter().position(|line| line.contains(part)).unwrap();
    assert!(at("has not returned") < at("disconnect before"), "{lines:?}");
    assert_eq!(count(&server, "disconnect before"), 1);
    greeted(&server).say("QUIT", 221);
    server.stop();
}

#[test]
fn one_that_may_take_longer_than_the_plug_in_does() {
    let rig = Rig::new();
    rig.make("probe.c", "probe", Making::default());
    // As long as the plug-in's other calls may take is not enough.
    rig.configure("", "deadline_ms = 300", "addins = [\"probe\"]\ndeadline_ms = 20000\n");
    let server = rig.site.start();
    rig.set("probe_sleep=1\n");
    Client::connect(server.address()).expect(220);
    server.stop();
}

#[test]
fn threads_are_bounded_and_who_gets_none_is_deferred() {
    let rig = Rig::new();
    rig.make("probe.c", "probe", Making::default());
    rig.configure("", "", "addins = [\"probe\"]\nthreads_max = 1\n");
    let server = rig.site.start();
    rig.set("probe_sleep=2\n");
    let mut first = Client::connect(server.address());
    wait_for(&server, "connect before");
    Client::connect(server.address()).expect(421);
    wait_for(&server, "all 1 threads for add-ins are in calls (threads_max)");
    // Its end is told all the same.
    wait_for(&server, "disconnect after");
    first.expect(220);
    server.stop();
}

#[test]
fn one_that_writes_behind_a_buffer_is_told_and_not_heard() {
    let (rig, server) = probe();
    rig.set("probe_overrun=1\n");
    let mut client = Client::connect(server.address());
    let greeting = client.expect(220).to_string();
    assert!(greeting.starts_with("220 mx.example.test"), "{greeting}");
    wait_for(&server, "add-in probe has written behind a buffer that it was lent");
    client.say("QUIT", 221);
    server.stop();
}

#[test]
fn one_that_is_late_at_the_end_of_a_session_is_told_all_of_it() {
    let rig = Rig::new();
    rig.make("busy.c", "busy", Making { flags: &["-O2", "-pthread"], ..Making::default() });
    rig.configure("", "", "addins = [\"busy\"]\n[plugin.config.addin.busy]\ndeadline_ms = 100\n");
    let server = rig.site.start();
    wait_for(&server, "EMRegister was called on a thread of its own, and is refused");
    wait_for(&server, "registered on a thread: 2d4");
    rig.set("busy_sleep=1\n");
    greeted(&server).say("QUIT", 221);
    wait_for(&server, "the second end, after");
    let lines = said(&server);
    let at = |part: &str| lines.iter().position(|line| line.contains(part)).unwrap();
    assert!(at("has not returned within 100 ms") < at("the first end"), "{lines:?}");
    assert!(at("the first end") < at("the second end, before"), "{lines:?}");
    assert_eq!(count(&server, "the second end"), 2);
    let log = server.stop();
    let ended = log.matching(|line| line.message() == "busy: its thread has ended: 1");
    assert_eq!(ended.len(), 1, "{log}");
}

#[test]
fn sessions_that_are_open_when_the_server_stops_end_before_add_ins_do() {
    let (_rig, server) = probe();
    let mut open: Vec<Client> = (0..5).map(|_| greeted(&server)).collect();
    server.ask_to_stop();
    for client in &mut open {
        assert_eq!(client.reply().code, 421);
        client.expect_close();
    }
    let (_, log) = server.wait();
    let lines = log.matching(|line| line.text("plugin") == "domino-bridge");
    let last = lines.iter().rposition(|line| line.message().contains("disconnect after")).unwrap();
    let end = lines.iter().position(|line| line.message().ends_with("terminating")).unwrap();
    assert!(last < end, "{log}");
    let ends = lines.iter().filter(|line| line.message().contains("disconnect after")).count();
    assert_eq!(ends, 5, "{log}");
}
