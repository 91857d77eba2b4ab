//! How add-ins come in: names, lists, files that won't do, configuration that is ready before they are entered.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use stagepost_tests::add_in::{Making, bridge};
use stagepost_tests::plugin::exports;

use crate::rig::{Rig, count, greeted, said, wait_for};

#[test]
fn libnotes_exports_the_names_of_notes_and_how_it_is_bound() {
    let notes = bridge().with_file_name("libnotes.so");
    let exported = exports(&notes);
    let of_notes = |name: &&String| {
        ["AddIn", "EM", "LogEvent", "MIMEStream", "NIF", "NSF", "Notes", "OS", "SECKFM"]
            .iter()
            .any(|start| name.starts_with(start))
    };
    let others: Vec<&String> = exported.iter().filter(|name| !of_notes(name)).collect();
    assert_eq!(others, ["stagepost_notes_bind"]);
    assert!(exported.len() > 70, "{exported:?}");
    assert_eq!(exports(&bridge()), ["em_entry"]);
    // The page for those who bring add-ins names each.
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/from-domino.md");
    let page = fs::read_to_string(page).unwrap();
    let unnamed = |name: &&String| of_notes(name) && !page.contains(&format!("`{name}`"));
    assert_eq!(exported.iter().filter(unnamed).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn add_ins_are_named_as_on_linux_and_bind_with_or_without_libnotes() {
    let rig = Rig::new();
    let flags = |name: &str| format!("-DNAME=\"{name}\"");
    for (name, linked) in [("one", true), ("two", false)] {
        rig.make(
            "probe.c",
            name,
            Making { flags: &["-O2", &flags(name)], linked, ..Making::default() },
        );
    }
    let three = rig.make(
        "probe.c",
        "three",
        Making { flags: &["-O2", &flags("three")], ..Making::default() },
    );
    fs::rename(&three, rig.folder().join("three.so")).unwrap();
    rig.set("probe_number=41\n");
    let server =
        rig.start(&["ONE", &rig.folder().join("libtwo.so").display().to_string(), "three"]);
    for name in ["one", "two", "three"] {
        assert_eq!(
            count(&server, &format!("{name}: configured with 41")),
            1,
            "{:?}",
            said(&server)
        );
    }
    // In the order of the list.
    greeted(&server).say("QUIT", 221);
    let lines = said(&server);
    let before: Vec<&str> = lines
        .iter()
        .filter(|line| line.contains(": connect before"))
        .filter_map(|line| line.split(':').next())
        .collect();
    assert_eq!(before, ["ONE", &rig.folder().join("libtwo.so").display().to_string(), "three"]);
    let log = server.stop();
    let leaving = log.matching(|line| line.message().ends_with("terminating"));
    assert_eq!(leaving.len(), 3, "{log}");
}

#[test]
fn the_list_of_an_imported_notes_ini_counts_and_a_second_line_is_told() {
    let rig = Rig::new();
    rig.make("probe.c", "probe", Making::default());
    rig.set("[Notes]\nEXTMGR_ADDINS=other\nextmgr_addins= probe\nprobe_number=5\n");
    rig.configure("", "", "[plugin.config.ini]\nprobe_number = 6\n");
    let server = rig.site.start();
    wait_for(&server, "EXTMGR_ADDINS is there 2 times: the last one counts");
    // The section is before the file.
    wait_for(&server, "probe: configured with 6");
    server.stop();
}

#[test]
fn a_table_of_all_events_is_registered_and_the_end_is_told() {
    let rig = Rig::new();
    rig.make("table.c", "table", Making::default());
    let server = rig.start(&["table"]);
    wait_for(&server, "table: 125 events in the table, 100%");
    let line = wait_for(&server, "these events never happen here: 1, 2, 3");
    assert!(!line.contains("224") && line.ends_with("256, 257"), "{line}");
    greeted(&server).say("QUIT", 221);
    let log = server.stop();
    assert_eq!(log.matching(|line| line.message() == "table: the end is near").len(), 1, "{log}");
}

#[test]
fn what_can_not_be_loaded_is_named_before_its_code_runs() {
    let rig = Rig::new();
    rig.make("missing.c", "missing", Making { linked: false, ..Making::default() });
    rig.make(
        "mangled.cpp",
        "mangled",
        Making { compiler: "c++", language: "c++", ..Making::default() },
    );
    fs::write(rig.folder().join("libtext.so"), "no object\n").unwrap();
    let open = rig.make("probe.c", "open", Making::default());
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    for (name, wanted) in [
        ("missing", "add-in missing needs BillingWrite, NSFDbCopy, which the bridge does not have"),
        ("mangled", "only the name of a C++ function (remedy: extern \\\"C\\\" before it)"),
        ("nowhere", "add-in nowhere: no such file: looked for "),
        ("text", "wanted a shared object for "),
        ("open", "others may write to it (mode 0777); remedy: chmod go-w"),
    ] {
        rig.configure("", "", &format!("addins = [\"{name}\"]\n"));
        let (code, log) = rig.site.refused();
        assert_ne!(code, Some(0));
        assert!(log.contains(wanted), "{name}: {log}");
    }
}

#[test]
fn an_add_in_that_refuses_to_start_is_out_and_the_server_goes_on() {
    let rig = Rig::new();
    rig.make("probe.c", "probe", Making::default());
    rig.set("probe_entry=1\n");
    let server = rig.start(&["probe"]);
    wait_for(&server, "add-in probe: MainEntryPoint: status 0x0001: the server goes on without it");
    greeted(&server).say("QUIT", 221);
    assert_eq!(count(&server, "connect before"), 0);
    // It is not there, and so has nothing to end.
    let log = server.stop();
    assert!(log.matching(|line| line.message().ends_with("terminating")).is_empty(), "{log}");
}

#[test]
fn an_add_in_that_is_named_twice_is_entered_once() {
    let rig = Rig::new();
    let file = rig.make("probe.c", "probe", Making::default());
    fs::hard_link(&file, rig.folder().join("libsame.so")).unwrap();
    let server = rig.start(&["probe", "libprobe.so", "PROBE", "same"]);
    for name in ["libprobe.so", "PROBE", "same"] {
        wait_for(&server, &format!("add-in {name}: its file is that of add-in probe: loaded once"));
    }
    assert_eq!(count(&server, "configured with"), 1);
    greeted(&server).say("QUIT", 221);
    wait_for(&server, "disconnect after");
    assert_eq!(count(&server, ": connect before"), 1);
    server.stop();
}

/// A library beside them, with what they share; only one of all names libnotes.so as needed.
#[test]
fn add_ins_share_a_library_of_theirs() {
    let rig = Rig::new();
    let common = rig.make("common.c", "common", Making { linked: false, ..Making::default() });
    let common = format!("-Wl,--no-as-needed,{}", common.display());
    for (name, linked) in [("one", true), ("two", false)] {
        let own = format!("-DNAME=\"{name}\"");
        let flags: [&str; 5] = ["-O2", "-DUSES_COMMON", &own, &common, "-Wl,-rpath,$ORIGIN"];
        rig.make("sharing.c", name, Making { flags: &flags, linked, ..Making::default() });
    }
    let server = rig.start(&["one", "two"]);
    wait_for(&server, "one: user 1 of what is shared");
    wait_for(&server, "two: user 2 of what is shared");
    greeted(&server).say("QUIT", 221);
    wait_for(&server, "two: the end is near 4");
    server.stop();
    // What a library of theirs would have is not known before it is loaded; it is named all the same.
    let flags: [&str; 4] = ["-O2", "-DNEEDS_MORE", &common, "-Wl,-rpath,$ORIGIN"];
    rig.make("sharing.c", "more", Making { flags: &flags, linked: false, ..Making::default() });
    rig.configure("", "", "addins = [\"more\"]\n");
    let (code, log) = rig.site.refused();
    assert_ne!(code, Some(0));
    assert!(log.contains("add-in more needs NSFDbCopy, which the bridge does not have"), "{log}");
}

#[test]
fn settings_of_add_ins_that_are_not_there_and_a_notes_ini_that_is_not_are_told() {
    let rig = Rig::new();
    rig.make("probe.c", "probe", Making::default());
    let refused = |section: &str, wanted: &str| {
        rig.configure("", "", section);
        let (code, log) = rig.site.refused();
        assert_ne!(code, Some(0));
        assert!(log.contains(wanted), "{section}: {log}");
    };
    let own = "addins = [\"probe\"]\n[plugin.config.addin.prob]\ndeadline_ms = 5\n";
    refused(own, "`addin.prob`: no such add-in, found probe");
    let own = "addins = [\"probe\"]\n[plugin.config.ini]\nDelay = true\n";
    refused(own, "`ini.Delay`: wanted a text or a whole number");
    fs::rename(rig.folder().join("notes.ini"), rig.folder().join("gone.ini")).unwrap();
    refused("addins = [\"probe\"]\n", "`notes_ini`: ");
    rig.set("");
    // In capitals or not, as names are.
    rig.configure("", "", "addins = [\"PROBE\"]\n[plugin.config.addin.probe]\ndeadline_ms = 100\n");
    let server = rig.site.start();
    rig.set("probe_sleep=2\n");
    stagepost_tests::client::Client::connect(server.address()).expect(421);
    wait_for(&server, "add-in PROBE has not returned within 100 ms");
    fs::rename(rig.folder().join("notes.ini"), rig.folder().join("gone.ini")).unwrap();
    let reload = rig.site.run(&["reload", "--socket", "state/admin.sock"]);
    assert!(!reload.status.success());
    server.stop();
}

#[test]
fn variables_change_with_a_reload_and_a_bad_section_changes_nothing() {
    let rig = Rig::new();
    rig.make("probe.c", "probe", Making::default());
    let section = |variables: &str| format!("addins = [\"probe\"]\n{variables}");
    rig.configure("", "", &section(""));
    let server = rig.site.start();
    let reload = || rig.site.run(&["reload", "--socket", "state/admin.sock"]);
    rig.configure(
        "",
        "",
        &section("[plugin.config.ini]\nPROBE_COMMAND = 582\nprobe_only = \"NOOP\"\n"),
    );
    assert!(reload().status.success());
    server.greeted().say("NOOP", 554);
    rig.configure("", "", &section("deadline_ms = 0\n"));
    let output = reload();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{text}");
    wait_for(&server, "`deadline_ms`: must be 1 to 3600000");
    server.greeted().say("NOOP", 554);
    server.stop();
}

#[test]
fn the_server_asks_only_about_what_add_ins_have_registered_for() {
    let rig = Rig::new();
    rig.make("probe.c", "probe", Making::default());
    rig.make("notes.c", "notes", Making::default());
    // Each has connect, disconnect, config and stop; beside them both stages of three events, and of one.
    for (name, registrations) in [("probe", "9"), ("notes", "6")] {
        let server = rig.start(&[name]);
        let loaded = server.log().wait_for("the bridge", |line| line.message() == "plug-in loaded");
        assert_eq!(loaded.text("registrations"), registrations, "{name}");
        greeted(&server).say("QUIT", 221);
        server.stop();
    }
}
