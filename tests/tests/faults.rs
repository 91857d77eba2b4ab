//! Bad plug-ins and the real server: each is refused in one clear line, or its fault hurts one command and no more.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use stagepost_smtp::Event;
use stagepost_tests::client::{Client, Reply};
use stagepost_tests::log::Line;
use stagepost_tests::plugin::build_rust;
use stagepost_tests::server::{Server, Site, plugin_section};

const MESSAGE: &str = "Subject: past a bad plug-in\r\n\r\nHello.\r\n";

/// A plug-in's name from its source: `bad-status` from `bad_status`.
fn name(stem: &str) -> String {
    stem.replace('_', "-")
}

/// A site whose only plug-in is one of `faults`, with further settings.
fn site_with(stem: &str, further: &str) -> (Site, PathBuf) {
    let site = Site::new("");
    let file = site.compile(&format!("faults/{stem}.c"));
    site.configure(&plugin_section(&name(stem), &file, further));
    (site, file)
}

/// Sources, and what the refusal says: field, wanted, found.
const UNLOADABLE: [(&str, &str); 7] = [
    ("no_descriptor", "section .stagepost: wanted exactly one, found 0"),
    ("no_entry", "symbol em_entry: wanted it exported, found none"),
    ("wrong_magic", "magic: wanted \"STAGEPST\", found \"STAGEHAN\""),
    ("wrong_major", "abi_major: wanted 0, found 99"),
    ("newer_minor", "abi_minor: wanted at most 1, found 2"),
    ("wrong_digest", "base_digest: wanted 0x"),
    ("wrong_digest", "found 0x0123456789abcdef"),
];

/// The same for those that only their entry point gives away.
const UNSTARTABLE: [(&str, &str); 6] = [
    ("failing_init", "em_entry: wanted status 0x0000, found 0x0404"),
    (
        "undeclared_stage",
        "em_entry: wanted status 0x0000, found 0x02d4 (a stage that the descriptor",
    ),
    ("after_headers", "em_entry: wanted status 0x0000, found 0x02d2"),
    ("null_handler", "em_entry: wanted status 0x0000, found 0x0495"),
    ("no_layout", "layout: wanted a check by stagepost-sdk, found none"),
    ("wrong_layout", "em_entry: wanted status 0x0000, found 0x3313 (the contract's layout differs"),
];

#[test]
fn a_bad_plug_in_is_refused_at_start_in_one_clear_line() {
    for (stem, wanted) in UNLOADABLE.into_iter().chain(UNSTARTABLE) {
        let (site, _) = site_with(stem, "");
        let line = site.refusal();
        let field = if wanted.starts_with("em_entry") { "plugin[0]" } else { "plugin[0].path" };
        let wanted_start = format!("error: {field}: plug-in {} refused: ", name(stem));
        assert!(line.starts_with(&wanted_start), "{wanted_start:?} in {line}");
        assert!(line.contains(wanted), "{wanted:?} in {line}");
    }
}

#[test]
fn a_layout_that_differs_is_told_before_the_refusal() {
    let (site, _) = site_with("wrong_layout", "on_load_error = \"skip\"");
    let log = site.start().stop();
    let told = log.matching(|line| {
        line.message().starts_with("layout of the contract: ") || line.message().contains("refused")
    });
    let [first, second] = &told[..] else { panic!("{log}") };
    let wanted = "the plug-in's layout offer has 4 octets, the host reads ";
    assert!(first.message().contains(wanted), "{log}");
    assert_eq!(
        (first.text("plugin").as_str(), first.text("level").as_str()),
        ("wrong-layout", "ERROR")
    );
    assert!(second.message().contains("found 0x3313"), "{log}");
}

#[test]
fn check_and_inspect_refuse_what_can_be_known_beforehand() {
    for (stem, wanted) in UNLOADABLE {
        let (site, file) = site_with(stem, "");
        let checked = site.run(&["check", "--config", "stagepost.toml"]);
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert_eq!(checked.status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("plug-in {} refused: ", name(stem))), "{said}");
        assert!(said.contains(wanted), "{wanted:?} in {said}");
        let inspected = site.run(&["plugin", "inspect", &file.to_string_lossy()]);
        let said = String::from_utf8_lossy(&inspected.stderr).into_owned();
        assert_eq!(inspected.status.code(), Some(2), "{said}");
        assert!(said.starts_with("error: ") && said.contains(wanted), "{wanted:?} in {said}");
        assert!(inspected.stdout.is_empty());
    }
}

#[test]
fn inspect_shows_what_a_good_plug_in_says_of_itself() {
    let (site, file) = site_with("noop", "");
    let inspected = site.run(&["plugin", "inspect", &file.to_string_lossy()]);
    assert!(inspected.status.success(), "{inspected:?}");
    let said = String::from_utf8_lossy(&inspected.stdout).into_owned();
    for wanted in ["name ", "noop\n", "version ", "class ", "inline\n", "language ", "C\n"] {
        assert!(said.contains(wanted), "{wanted:?} in {said}");
    }
    assert!(said.contains(&format!("{}\n", sha256(&file))), "{said}");
    let checked = site.run(&["check", "--config", "stagepost.toml"]);
    assert!(checked.status.success(), "{checked:?}");
    assert!(String::from_utf8_lossy(&checked.stdout).contains("OK  plug-in noop 1.0 (inline)"));
}

#[test]
fn the_plug_in_for_every_event_of_a_session_is_one() {
    let (site, _) = site_with("noop", "");
    let log = site.start().stop();
    let loaded = log.matching(|line| line.message() == "plug-in loaded");
    let [line] = &loaded[..] else { panic!("{log}") };
    let events = Event::ALL.into_iter().filter(|event| !event.is_behind_session()).count();
    assert_eq!(line.text("registrations"), events.to_string(), "{log}");
}

#[test]
fn a_bad_plug_in_can_be_skipped() {
    for stem in ["wrong_major", "failing_init"] {
        let (site, _) = site_with(stem, "on_load_error = \"skip\"");
        let server = site.start();
        let refused = server.log().matching(|line| line.message().contains("refused"));
        let [line] = &refused[..] else { panic!("{}", server.log()) };
        assert_eq!(line.text("level"), "ERROR");
        assert!(line.message().contains("going on without it"), "{}", line.as_str());
        // Nothing of it is called, not even what it had registered.
        let reply = server.greeted().deliver("a@client.test", "b@example.test", MESSAGE);
        assert_eq!(reply.code, 250, "{reply}");
        let shown = site.run(&["status", "--config", "stagepost.toml"]);
        assert!(String::from_utf8_lossy(&shown.stdout).contains("plug-ins  none"), "{shown:?}");
        server.stop();
    }
}

fn sha256(file: &Path) -> String {
    let output = std::process::Command::new("sha256sum").arg(file).output().expect("coreutils");
    String::from_utf8_lossy(&output.stdout)[..64].to_owned()
}

#[test]
fn a_file_must_be_the_configured_one() {
    let (site, file) = site_with("noop", "");
    let found = sha256(&file);
    let zeros = "0".repeat(64);
    site.configure(&plugin_section("noop", &file, &format!("sha256 = \"{zeros}\"")));
    let line = site.refusal();
    assert!(line.contains(&format!("sha256: wanted {zeros}, found {found}")), "{line}");

    site.configure(&plugin_section("noop", &file, &format!("sha256 = \"{found}\"")));
    site.start().stop();

    site.configure(&plugin_section("other", &file, ""));
    let line = site.refusal();
    let wanted = "name: wanted \"other\" (configuration), found \"noop\" (descriptor)";
    assert!(line.contains(wanted), "{line}");
}

#[test]
fn a_file_that_others_can_write_is_refused() {
    let (site, file) = site_with("noop", "");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).expect("a file of our own");
    let line = site.refusal();
    assert!(line.contains("mode: wanted no writing by others, found 0666"), "{line}");
    assert!(line.contains(&*file.to_string_lossy()), "{line}");
}

#[test]
fn a_folder_of_copies_that_cannot_be_had_is_a_fault_of_state_dir() {
    let (site, _) = site_with("noop", "");
    let state = site.path().join("state");
    fs::create_dir(&state).expect("a folder of our own");
    fs::write(state.join("plugin-copies"), "").expect("a folder of our own");
    let line = site.refusal();
    assert!(line.starts_with("error: state_dir: plug-in noop refused: "), "{line}");
    assert!(line.contains("state/plugin-copies: "), "{line}");
}

#[test]
fn a_file_that_is_not_there_or_no_shared_object_is_refused() {
    let site = Site::new("");
    let file = site.path().join("nothing.so");
    site.configure(&plugin_section("nothing", &file, ""));
    let line = site.refusal();
    assert!(line.contains("nothing.so"), "{line}");
    fs::write(&file, "text, no code").expect("a file of our own");
    let line = site.refusal();
    assert!(line.contains("file: wanted a shared object"), "{line}");
}

#[test]
fn a_file_that_is_cut_short_is_refused() {
    let (site, file) = site_with("noop", "");
    let whole = fs::read(&file).expect("a file of our own");
    // Within the first header, behind it, in the midst of what would be mapped, and of the table that ends the file.
    for octets in [0, 16, 64, whole.len() / 2, whole.len() - 1] {
        fs::write(&file, &whole[..octets]).expect("a file of our own");
        let line = site.refusal();
        let wanted = "error: plugin[0].path: plug-in noop refused: ";
        assert!(line.starts_with(wanted), "{octets}: {line}");
        let wanted = ["file: wanted a shared object", "segment: wanted within the file's "];
        assert!(wanted.iter().any(|words| line.contains(words)), "{octets}: {line}");
        let checked = site.run(&["check", "--config", "stagepost.toml"]);
        assert_eq!(checked.status.code(), Some(2), "{octets}: {checked:?}");
    }
    fs::write(&file, &whole).expect("a file of our own");
    site.start().stop();
}

#[test]
fn a_plug_in_that_may_block_is_not_called_in_line() {
    let (site, _) = site_with("slow", "run = \"inline\"");
    let line = site.refusal();
    let wanted = "run: wanted \"pool\" for a plug-in of class blocking, found \"inline\"";
    assert!(line.contains(wanted), "{line}");
}

/// Says commands up to the first that is refused; what refused it.
fn first_refusal(client: &mut Client) -> Option<(&'static str, Reply)> {
    for command in [
        "EHLO client.example.test",
        "MAIL FROM:<a@client.test>",
        "RCPT TO:<b@example.test>",
        "DATA",
    ] {
        let reply = client.ask(command);
        if reply.code >= 400 {
            return Some((command, reply));
        }
    }
    client.send(MESSAGE.as_bytes());
    let reply = client.ask(".");
    (reply.code >= 400).then_some((".", reply))
}

/// Checks that the fault was logged with what an operator needs.
fn expect_fault(server: &Server, plugin: &str, event: &str, words: &str) -> Line {
    let line =
        server.log().wait_for("the fault", |line| line.message().starts_with("plug-in fault"));
    assert_eq!(line.text("plugin"), plugin, "{}", line.as_str());
    assert_eq!(line.text("event").to_uppercase(), event, "{}", line.as_str());
    assert_eq!(line.text("stage"), "before", "{}", line.as_str());
    assert_eq!(line.text("level"), "ERROR", "{}", line.as_str());
    assert!(!line.text("session").is_empty(), "{}", line.as_str());
    assert!(line.message().contains(words), "{words:?} in {}", line.as_str());
    line
}

/// Source, its own setting, event and command of its fault, and what the log says of it.
const FAULTY: [(&str, &str, &str, &str, &str); 5] = [
    ("bad_status", "", "MAIL", "MAIL FROM:<a@client.test>", "status 0x7777"),
    ("bad_verdict", "", "MAIL", "MAIL FROM:<a@client.test>", "EM_VERDICT and gave none"),
    (
        "bad_verdict",
        "wrong_class = true",
        "RCPT",
        "RCPT TO:<b@example.test>",
        "EM_VERDICT and gave none",
    ),
    ("handled_at_mail", "", "MAIL", "MAIL FROM:<a@client.test>", "handled is not possible"),
    ("handled_at_body", "", "BODY", ".", "handled is not possible"),
];

#[test]
fn a_fault_is_answered_451_and_the_session_goes_on() {
    for (stem, setting, event, command, words) in FAULTY {
        let (site, _) = site_with(stem, &format!("[plugin.config]\n{setting}"));
        let server = site.start();
        let mut client = server.connect();
        let (refused, reply) = first_refusal(&mut client).expect("a fault");
        assert_eq!((refused, reply.code), (command, 451), "{stem}: {reply}");
        assert!(reply.lines[0].starts_with("4.3.0 "), "{stem}: {reply}");
        client.say("NOOP", 250);
        expect_fault(&server, &name(stem), event, words);
        let shown = site.run(&["status", "--config", "stagepost.toml", "--json"]);
        let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).expect("JSON");
        assert_eq!(shown["plugins"][0]["faults"], 1, "{shown}");
        server.stop();
        assert!(site.mail("b").is_empty());
    }
}

#[test]
fn with_on_fault_continue_the_mail_goes_through() {
    for (stem, setting, event, _, words) in FAULTY {
        let further = format!("on_fault = \"continue\"\n[plugin.config]\n{setting}");
        let (site, _) = site_with(stem, &further);
        let server = site.start();
        assert_eq!(first_refusal(&mut server.connect()), None, "{stem}");
        let fault = expect_fault(&server, &name(stem), event, words);
        server.log().wait_for("the delivery", |line| line.message() == "delivered");
        // One id for a session, whoever logs.
        let queued =
            server.log().wait_for("the message", |line| line.message() == "message queued");
        assert_eq!(queued.text("session"), fault.text("session"), "{}", server.log());
        assert_eq!(site.mail("b").len(), 1);
        server.stop();
    }
}

#[test]
fn with_on_fault_hold_the_mail_is_accepted_and_kept() {
    for (stem, setting, event, _, words) in FAULTY {
        // One of them is at fault at two stages.
        let stages = ["mail", "rcpt", "body"]
            .map(|at| format!("[plugin.stage.{at}]\non_fault = \"hold\"\n"));
        let further = format!("{}[plugin.config]\n{setting}", stages.concat());
        let (site, _) = site_with(stem, &further);
        let server = site.start();
        assert_eq!(first_refusal(&mut server.connect()), None, "{stem}");
        let fault = expect_fault(&server, &name(stem), event, words);
        assert_eq!(fault.text("contract"), "hold");
        let shown = site.run(&["status", "--config", "stagepost.toml"]);
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains(" 0 deliveries to do, 1 held"), "{stem}: {shown}");
        server.stop();
        assert!(site.mail("b").is_empty());
    }
}

#[test]
fn edits_with_bad_pointers_and_lengths_are_refused_and_change_nothing() {
    let site = Site::new("");
    let section = plugin_section("bad-edits", &site.compile("faults/bad_edits.c"), "");
    // It is asked about logins in clear, and knows nobody.
    let open = "auth = \"offered\"\nauth_allow_plaintext = true\n";
    site.configure_listener(open, &format!("[auth]\nfailure_delay = \"0s\"\n{section}"));
    let server = site.start();
    let mut client = server.greeted();
    client.say("AUTH PLAIN AGJvYgBzZXNhbWU=", 535);
    for _ in 0..2 {
        let reply = client.deliver("a@client.test", "b@example.test", MESSAGE);
        assert_eq!(reply.code, 250, "{reply}");
    }
    let refused = |line: &Line| line.message() == "all refused";
    server.log().wait_for_count("the refusals", 2, refused);
    server.log().wait_for_count("the deliveries", 2, |line| line.message() == "delivered");
    assert!(server.log().matching(|line| line.message().contains("fault")).is_empty());
    for mail in site.mail("b") {
        let mail = String::from_utf8_lossy(&mail).into_owned();
        assert!(mail.ends_with(&MESSAGE.replace('\r', "")), "{mail}");
        assert!(!mail.contains("X-"), "{mail}");
    }
    server.stop();
}

#[test]
fn a_plug_in_that_is_late_in_connect_is_answered_421() {
    let (site, _) = site_with("slow", "deadline_ms = 300\n[plugin.config]\nsleep_ms = 3000");
    let server = site.start();
    let mut late = Client::connect(server.address());
    let reply = late.expect(421);
    // The greeting has no enhanced code (RFC 2034 section 4).
    assert!(reply.lines[0].starts_with("Temporary failure"), "{reply}");
    late.expect_close();
    expect_fault(&server, "slow", "CONNECT", "did not return within 300 ms");
    server.stop();
}

#[test]
fn while_one_session_waits_for_a_plug_in_another_is_served() {
    let site = Site::new("");
    let sleeper = site.compile("plugins/sleeper.c");
    site.configure(&plugin_section("sleeper", &sleeper, "deadline_ms = 10000"));
    let server = site.start();
    let mut asleep = server.greeted();
    asleep.send(b"MAIL FROM:<sleep@client.test>\r\n");
    server.log().wait_for("the sleep", |line| line.message() == "falling asleep");
    // The sleeper is woken by another session, so that session was served meanwhile.
    let mut other = server.greeted();
    let reply = other.deliver("a@client.test", "b@example.test", MESSAGE);
    assert_eq!(reply.code, 250, "{reply}");
    other.say("MAIL FROM:<wake@client.test>", 250);
    asleep.expect(250);
    server.stop();
}

#[test]
fn a_late_call_is_not_called_again_for_its_session() {
    let site = Site::new("");
    let sleeper = site.compile("plugins/sleeper.c");
    site.configure(&plugin_section("sleeper", &sleeper, "deadline_ms = 200"));
    let server = site.start();
    let mut late = server.greeted();
    let reply = late.say("MAIL FROM:<sleep@client.test>", 451);
    assert!(reply.lines[0].starts_with("4.3.0 "), "{reply}");
    // While the call is out the plug-in can't be asked: the same answer, at once.
    late.say("MAIL FROM:<a@client.test>", 451);
    late.say("NOOP", 250);
    let mut other = server.greeted();
    other.say("MAIL FROM:<wake@client.test>", 250);
    server.log().wait_for("the waking", |line| line.message() == "woken up");
    expect_fault(&server, "sleeper", "MAIL", "did not return within 200 ms");
    server.stop();
}

#[test]
fn a_call_that_sleeps_delays_its_own_session_alone() {
    const OTHERS: usize = 200;
    let site = Site::new("");
    let sleeper = site.compile("plugins/sleeper.c");
    let limits = "[limits]\nsessions_per_address_max = 300\n";
    let section = plugin_section("sleeper", &sleeper, "deadline_ms = 1000\nthreads_max = 2");
    site.configure(&format!("{limits}{section}"));
    let server = site.start();
    let mut others: Vec<Client> = (0..OTHERS).map(|_| server.greeted()).collect();
    let mut asleep = server.greeted();
    asleep.send(b"MAIL FROM:<sleep@client.test>\r\n");
    server.log().wait_for("the sleep", |line| line.message() == "falling asleep");
    // The same plug-in is asked about all of them, on the thread that it has left.
    for other in &mut others {
        other.say("MAIL FROM:<a@client.test>", 250);
    }
    let reply = asleep.expect(451);
    assert!(reply.lines[0].starts_with("4.3.0 "), "{reply}");
    for other in &mut others {
        other.say("RSET", 250);
        other.say("MAIL FROM:<a@client.test>", 250);
    }
    let said = |words: &str| server.log().matching(|line| line.message().starts_with(words)).len();
    assert_eq!((said("plug-in fault"), said("woken up")), (1, 0), "{}", server.log());
    others[0].say("RSET", 250);
    others[0].say("MAIL FROM:<wake@client.test>", 250);
    server.log().wait_for("the waking", |line| line.message() == "woken up");
    server.stop();
}

/// A site with a sleeper that breaks its promise not to block, and a command that is asleep in it.
fn asleep_in_line(limits: &str) -> (Site, Server, Client) {
    let site = Site::new("");
    let sleeper = site.compile_with("plugins/sleeper.c", &["CLASS=EM_CLASS_INLINE"]);
    site.configure(&format!("[plugins]\n{limits}\n{}", plugin_section("sleeper", &sleeper, "")));
    let server = site.start();
    let mut client = server.greeted();
    client.send(b"MAIL FROM:<sleep@client.test>\r\n");
    (site, server, client)
}

#[test]
fn a_call_in_line_that_blocks_is_named() {
    let (_site, server, _asleep) = asleep_in_line("inline_warn_ms = 200");
    expect_fault(&server, "sleeper", "MAIL", "did not return within 200 ms (inline_warn_ms)");
    // It could not stop: nothing but the plug-in can end its call.
    server.kill();
}

#[test]
fn a_call_in_line_that_is_stuck_ends_the_process() {
    let (_site, server, _asleep) = asleep_in_line("inline_warn_ms = 200\ninline_abort_ms = 400");
    let (status, log) = server.wait();
    assert_eq!(status.signal(), Some(6), "SIGABRT; it said:\n{log}");
    let [last] = &log.matching(|line| line.message().starts_with("ending the process"))[..] else {
        panic!("{log}");
    };
    assert_eq!((last.text("plugin").as_str(), last.text("event").as_str()), ("sleeper", "mail"));
    assert!(last.message().contains("within 400 ms (inline_abort_ms)"), "{}", last.as_str());
}

/// The Rust plug-in that panics where its configuration says.
fn panicking(at: &str) -> String {
    let settings = format!("[plugin.config]\npanic_at = \"{at}\"");
    plugin_section("panicking", &build_rust("fault-panicking"), &settings)
}

#[test]
fn a_panic_before_a_command_is_a_fault_of_that_command() {
    let site = Site::new(&panicking("before_mail"));
    let server = site.start();
    let mut client = server.connect();
    let (refused, reply) = first_refusal(&mut client).expect("a fault");
    assert_eq!((refused, reply.code), ("MAIL FROM:<a@client.test>", 451), "{reply}");
    assert!(reply.lines[0].starts_with("4.3.0 "), "{reply}");
    expect_fault(&server, "panicking", "MAIL", "failed");
    // The process and the session live on.
    client.say("NOOP", 250);
    server.greeted().say("NOOP", 250);
    server.stop();
}

#[test]
fn a_panic_after_a_command_is_logged_and_its_reply_is_sent() {
    let site = Site::new(&panicking("after_mail"));
    let server = site.start();
    let reply = server.greeted().deliver("a@client.test", "b@example.test", MESSAGE);
    assert_eq!(reply.code, 250, "{reply}");
    let fault = |line: &Line| line.message().starts_with("plug-in fault");
    let line = server.log().wait_for("the fault", fault);
    assert_eq!((line.text("plugin").as_str(), line.text("stage").as_str()), ("panicking", "after"));
    server.stop();
}

#[test]
fn a_panic_while_it_starts_refuses_the_plug_in() {
    let site = Site::new(&panicking("start"));
    let line = site.refusal();
    assert!(line.starts_with("error: plugin[0]: plug-in panicking refused: em_entry: "), "{line}");
}

#[test]
fn a_panic_while_it_is_dropped_does_not_spoil_the_end() {
    let site = Site::new(&panicking("drop"));
    let server = site.start();
    assert_eq!(first_refusal(&mut server.connect()), None);
    server.stop();
}
