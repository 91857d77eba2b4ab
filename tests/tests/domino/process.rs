//! What add-ins look at that is the process's, and nobody's to tell: its name, its program, its descriptors.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use stagepost_tests::add_in::Making;
use stagepost_tests::client::Client;
use stagepost_tests::server::{Server, program};

use crate::rig::{Rig, greeted, wait_for};

#[test]
fn the_process_and_its_program_have_the_configured_name() {
    let rig = Rig::new();
    rig.make("probe.c", "probe", Making::default());
    rig.configure("", "", "addins = [\"probe\"]\n");
    let config = rig.folder().join("stagepost.toml");
    let text = fs::read_to_string(&config).unwrap();
    rig.site.write_config(&format!("process_name = \"stagepost-smtp\"\n{text}"));
    // The second time the file is there already.
    for _ in 0..2 {
        let server = rig.site.start();
        let proc = format!("/proc/{}", server.pid());
        assert_eq!(fs::read_to_string(format!("{proc}/comm")).unwrap(), "stagepost-smtp\n");
        let program = fs::read_link(format!("{proc}/exe")).unwrap();
        assert_eq!(program.file_name().unwrap(), "stagepost-smtp");
        greeted(&server).say("QUIT", 221);
        server.stop();
    }
}

#[test]
fn clients_have_low_descriptors_where_they_are_asked_for_and_high_ones_elsewhere() {
    let rig = Rig::new();
    rig.make("probe.c", "probe", Making::default());
    rig.set("probe_scan=1\n");
    let other = "[[listen]]\nname = \"other\"\naddress = \"127.0.0.1:0\"\n";
    rig.configure_listener("low_descriptors = true\n", other, "", "addins = [\"probe\"]\n");
    let server = rig.site.start();
    let mut elsewhere = Client::connect(server.listener("other"));
    elsewhere.expect(220);
    wait_for(&server, "found its socket 0 times");
    let mut here = Client::connect(server.listener("mx"));
    here.expect(220);
    wait_for(&server, "found its socket 1 times");
    here.say("QUIT", 221);
    elsewhere.say("QUIT", 221);
    server.stop();
}

/// A server that is given, by a shell that stays the same process, descriptors that leave few free below 4096.
fn crowded(rig: &Rig, free: usize) -> Server {
    let script = format!(
        "ulimit -S -n hard; for ((i = 3; i < {}; i++)); do eval \"exec $i</dev/null\"; done; exec \"$@\"",
        4096 - free
    );
    let mut command = Command::new("bash");
    command.args(["-c", &script, "bash"]).arg(program());
    command.args(["run", "--config", "stagepost.toml"]).current_dir(rig.folder());
    command.env_remove("STAGEPOST_LOG");
    Server::start(command)
}

#[test]
fn clients_for_whom_there_is_no_low_descriptor_are_refused_and_others_are_not() {
    let rig = Rig::new();
    rig.make("probe.c", "probe", Making::default());
    rig.set("probe_scan=1\n");
    let other = "[[listen]]\nname = \"other\"\naddress = \"127.0.0.1:0\"\n";
    rig.configure_listener("low_descriptors = true\n", other, "", "addins = [\"probe\"]\n");
    let free = 60;
    let server = crowded(&rig, free);
    let mut held = Vec::new();
    let refused = loop {
        let mut client = Client::connect(server.listener("mx"));
        match client.reply() {
            reply if reply.code == 220 => held.push(client),
            reply => {
                client.expect_close();
                break reply;
            }
        }
        assert!(held.len() < free, "the server itself has some of them");
    };
    assert!(!held.is_empty());
    assert_eq!(refused.code, 421, "{refused}");
    assert!(refused.lines[0].contains("too many sessions here"), "{refused}");
    wait_for(&server, "connection refused: too many sessions here");
    // Elsewhere there is place, above them.
    let mut elsewhere = Client::connect(server.listener("other"));
    elsewhere.expect(220);
    elsewhere.say("QUIT", 221);
    // Each of those who were let in was to be found.
    let found = format!("found its socket {} times", held.len());
    wait_for(&server, &found);
    for client in &mut held {
        client.say("NOOP", 250);
    }
    server.stop();
}

/// A socket for both would have IPv4 clients under addresses that are not those they are told of by.
#[test]
fn a_socket_for_both_families_that_was_passed_is_refused_where_clients_are_looked_for() {
    let rig = Rig::new();
    rig.make("probe.c", "probe", Making::default());
    rig.configure_listener("", "", "", "addins = [\"probe\"]\n");
    let config = rig.folder().join("stagepost.toml");
    let text = fs::read_to_string(&config).unwrap();
    let passed = "socket = \"mx\"\nlow_descriptors = true\n";
    rig.site.write_config(&text.replacen("address = \"127.0.0.1:0\"\n", passed, 1));
    let both = TcpListener::bind("[::]:0").unwrap();
    let (_, said) = rig.site.refused_passing(both, "mx");
    assert!(said.contains("BindIPv6Only=ipv6-only"), "{said}");
}
