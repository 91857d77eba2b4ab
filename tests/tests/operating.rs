//! What an operator is told by a real server: in words that are true, with a remedy, and fit for a terminal.
//! Knows the plug-in crier, whose words are not.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Output, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use stagepost_tests::log::Log;
use stagepost_tests::process::Ended;
use stagepost_tests::server::{Site, plugin_section};

/// A site with crier, and further settings of it.
fn crier(further: &str) -> Site {
    let site = Site::new("");
    let file = site.compile("plugins/crier.c");
    site.configure(&plugin_section("crier", &file, further));
    site
}

/// Calls a verb of crier, with something to read on standard input.
fn call(site: &Site, arguments: &[&str], input: &[u8]) -> Output {
    let base = ["plugin", "call", "--socket", "state/admin.sock", "crier"];
    let mut command = site.command(&[&base, arguments].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Who refuses early does not read to the end.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn text(octets: &[u8]) -> &str {
    std::str::from_utf8(octets).unwrap()
}

#[test]
fn what_a_plug_in_says_is_no_command_to_a_terminal() {
    let site = crier("");
    let server = site.start();
    let failed = call(&site, &["cry"], b"");
    assert_eq!(failed.status.code(), Some(1));
    let wanted = "error: crier: \\u{1b}[31mred\\u{9b}31m\\u{7f}\\nsecond\n  = help: ";
    assert!(text(&failed.stderr).starts_with(wanted), "{:?}", text(&failed.stderr));
    let said = call(&site, &["say"], b"");
    assert_eq!(text(&said.stdout), "[ \"\\u009b31m\\u007f\"]\n");
    assert_eq!(serde_json::from_slice::<Value>(&said.stdout).unwrap()[0], "\u{9b}31m\u{7f}");
    server.stop();
}

#[test]
fn arguments_come_from_standard_input_up_to_their_limit() {
    let site = crier("");
    let server = site.start();
    let large = format!("\"{}\"", "x".repeat((1 << 20) - 2));
    let measured = call(&site, &["measure", "-"], large.as_bytes());
    assert_eq!(text(&measured.stdout), "1048576\n", "{measured:?}");
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let mut bad = vec![b'"'; 3];
    bad[1] = 0xff;
    for (input, wanted) in [
        (format!("{large} ").into_bytes(), "error: the arguments have more than 1048576 octets\n"),
        (vec![b' '; 3 << 20], "error: the arguments have more than 1048576 octets\n"),
        (bad, "error: the arguments are not UTF-8\n"),
        (deep.into_bytes(), "error: the arguments are nested more than 127 deep\n"),
        (b"nil".to_vec(), "error: the arguments are not JSON\n"),
    ] {
        let refused = call(&site, &["measure", "-"], &input);
        assert_eq!(refused.status.code(), Some(1));
        let said = text(&refused.stderr);
        assert!(said.starts_with(wanted) && said.contains("\n  = help: "), "{said}");
    }
    server.stop();
}

/// Asks the admin socket, in HTTP of our own; status and body.
fn ask(site: &Site, line: &str, body: &[u8]) -> (u16, String) {
    let path = site.path().join("state/admin.sock");
    let mut stream = UnixStream::connect(path).unwrap();
    let length = body.len();
    let head = format!(
        "{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn every_refusal_of_the_admin_api_has_error_and_remedy() {
    let site = crier("");
    let server = site.start();
    let hold = "POST /v1/queue/hold";
    let cases: [(&str, &[u8], u16, &str); 18] = [
        ("POST /v1/plugins/crier/verbs/measure", &[b' '; 3 << 20], 413, "octets"),
        ("POST /v1/plugins/crier/verbs/measure", b"\"\xff\"", 400, "not UTF-8"),
        ("POST /v1/plugins/%ff/verbs/x", b"", 400, "UTF-8"),
        ("GET /v1/nothing", b"", 404, "/v1/nothing"),
        ("GET /v1/tls-policy/a%20b", b"", 400, "is not a domain"),
        ("GET /", b"", 404, "/"),
        ("DELETE /v1/status", b"", 405, "DELETE"),
        (hold, &[b' '; 100_000], 413, "octets"),
        (hold, b"{\"id\":\"01KMQ2Z6V0C0QW8M0C0WJ5V2QK\",\"reason\":\"x\\u001b\"}", 400, "one line"),
        (hold, b"{\"id\":\"01KMQ2Z6V0C0QW8M0C0WJ5V2QK\"}", 404, "no message"),
        (hold, b"{}", 400, "one of destination, sender and id"),
        (
            hold,
            b"{\"sender\":\"a@b\",\"destination\":\"b\"}",
            400,
            "one of destination, sender and id",
        ),
        (hold, b"{\"sender\":\"a b\"}", 400, "local part is malformed"),
        (hold, b"{\"sender\":\"a@b\",\"bounce\":true}", 400, "bounce is for remove"),
        (hold, b"{\"sender\":\"a@b\",\"what\":1}", 400, "what"),
        ("POST /v1/queue/hold?progress=yes", b"{\"sender\":\"a@b\"}", 400, "progress=true"),
        ("POST /v1/queue/burn", b"{\"sender\":\"a@b\"}", 400, "burn"),
        ("POST /v1/queue/requeue", b"{\"sender\":\"a@b\",\"route\":\"x\"}", 400, "no route"),
    ];
    for (line, body, status, wanted) in cases {
        let (found, said) = ask(&site, line, body);
        assert_eq!(found, status, "{line}: {said}");
        let said: Value = serde_json::from_str(&said).expect(line);
        assert!(said["error"].as_str().unwrap().contains(wanted), "{line}: {said}");
        let remedy = said["remedy"].as_str().unwrap();
        assert!(!remedy.is_empty() && !remedy.contains("one version"), "{line}: {said}");
    }
    server.stop();
}

#[test]
fn what_one_plug_in_keeps_is_bounded_over_restarts() {
    let site = crier("state_octets_max = \"200KB\"\n");
    for _ in 0..2 {
        let server = site.start();
        // Three values and their keys; the fourth is too much, also when the first three are there.
        assert_eq!(text(&call(&site, &["hoard"], b"").stdout), "\"d\"\n", "{}", server.log());
        server.stop();
    }
}

#[test]
fn a_plug_in_that_is_slow_to_start_is_named_while_it_is() {
    let site = crier("");
    fs::write(site.path().join("wait"), "").unwrap();
    let mut command = site.command(&["run", "--config", "stagepost.toml"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (log, following) = Log::follow(child.stderr.take().unwrap());
    let mut child = Ended(child);
    let waits = |line: &stagepost_tests::log::Line| line.message().contains("from before start");
    assert_eq!(log.wait_for("the plug-in's name", waits).text("plugin"), "crier");
    assert!(log.matching(|line| line.message() == "listening").is_empty());
    fs::remove_file(site.path().join("wait")).unwrap();
    log.wait_for("listening", |line| line.message() == "listening");
    child.signal(Signal::TERM);
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
    following.join().unwrap();
}

#[test]
fn why_a_reload_failed_is_one_line_with_place_and_remedy() {
    let site = crier("");
    let server = site.start();
    site.configure("[limits]\nmessage_octets_max = \"35XB\"\n");
    let (status, _) = ask(&site, "POST /v1/reload", b"");
    assert_eq!(status, 409);
    let stays = |line: &stagepost_tests::log::Line| line.message().contains("stays as it was");
    let line = server.log().wait_for("the reload", stays);
    let wanted = "the configuration stays as it was: stagepost.toml:18:22: limits.message_octets_max: \"35XB\" is not a size; remedy: write a size";
    assert!(line.message().starts_with(wanted), "{}", line.as_str());
    assert!(!line.message().contains('\n'));
    server.stop();
}
