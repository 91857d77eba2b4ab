//! What add-ins look at that is the process's, and nobody's to tell: its name, its program, its descriptors.

use std::fs;

use stagepost_tests::add_in::Making;
use stagepost_tests::client::Client;

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
