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
