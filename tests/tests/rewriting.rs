//! Plug-ins that have a body in their hands, on the real server: what is stored is what they left, octet by octet, the
//! ledger says so, and the server never has all of it in memory.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};
use stagepost_tests::chance::Chance;
use stagepost_tests::client::{Client, Reply};
use stagepost_tests::plugin::{build_rust, compile_c};
use stagepost_tests::server::{Server, Site, plugin_section};

const KIB: usize = 1024;

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn hold(site: &Site) -> String {
    plugin_section("hold", &site.compile("plugins/hold.c"), "priority = 100")
}

/// Sends a message of any octets whose lines end with CRLF; the reply to its end.
fn send(client: &mut Client, message: &[u8]) -> Reply {
    client.begin("a@client.test", "b@example.test");
    let mut stuffed = Vec::with_capacity(message.len());
    for line in message.split_inclusive(|&octet| octet == b'\n') {
        stuffed.extend(line.starts_with(b".").then_some(b'.'));
        stuffed.extend_from_slice(line);
    }
    client.send(&stuffed);
    client.ask(".")
}

/// The id of a message that was queued.
fn id(reply: &Reply) -> String {
    assert_eq!(reply.code, 250, "{reply}");
    reply.lines[0].rsplit(' ').next().unwrap().to_owned()
}

/// The message as it is stored, without the trace field that the server puts on top.
fn stored(site: &Site, id: &str) -> Vec<u8> {
    let shown = site.run(&["queue", "show", id, "--socket", "state/admin.sock"]).stdout;
    assert!(shown.starts_with(b"Received: "), "{id}");
    let lines = shown.split_inclusive(|&octet| octet == b'\n');
    let trace = lines.take_while(|line| line.starts_with(b"Received: ") || line[0] == b'\t');
    shown[trace.map(<[u8]>::len).sum::<usize>()..].to_vec()
}

fn sha256(octets: &[u8]) -> String {
    Sha256::digest(octets).iter().map(|octet| format!("{octet:02x}")).collect()
}

fn replaced(octets: &[u8], from: u8, to: u8) -> Vec<u8> {
    octets.iter().map(|&octet| if octet == from { to } else { octet }).collect()
}

/// The most memory that a process has had, in octets.
fn peak_memory(server: &Server) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * KIB
}

/// Ten plug-ins that are asked everything and change nothing, some on threads that may block.
fn ten_noops(site: &Site) -> String {
    let noop = |number: usize| {
        let name = format!("noop-{number}");
        let file = compile_c(&source("faults/noop.c"), site.path(), &[&format!("NAME=\"{name}\"")]);
        let run = if number.is_multiple_of(3) { "run = \"pool\"" } else { "" };
        plugin_section(&name, &file, run)
    };
    (0..10).map(noop).collect()
}

/// Octets of chance, all of them.
fn any_octets(seed: u64, octets: usize) -> Vec<u8> {
    let mut chance = Chance::new(seed);
    std::iter::repeat_with(|| {
        let number = chance.next_u64();
        // Line ends and what looks like one, more often than chance would have it.
        if number >> 60 == 0 { b"\0\r\n."[number as usize % 4] } else { number as u8 }
    })
    .take(octets)
    .collect()
}

/// Sends a binary message in chunks of so many octets; the reply to the last.
fn send_binary(client: &mut Client, message: &[u8], chunk: usize) -> Reply {
    client.say("MAIL FROM:<a@client.test> BODY=BINARYMIME", 250);
    client.say("RCPT TO:<b@example.test>", 250);
    for octets in message.chunks(chunk) {
        client.send(format!("BDAT {}\r\n", octets.len()).as_bytes());
        client.send(octets);
        client.expect(250);
    }
    client.ask("BDAT 0 LAST")
}

#[test]
fn binary_octets_pass_ten_plug_ins_and_are_rewritten_to_the_letter() {
    let site = Site::new("");
    let bodies = [
        (Vec::new(), 7),
        ((0..=255).collect(), 256),
        (b"\r\n\r\n.\r\n\0\r\r\n\n\r\n.\r\nQUIT\r\n\r".to_vec(), 1),
        (b"ends\r\n.".to_vec(), 3),
        (any_octets(1, 70 * KIB), 1000),
        (any_octets(2, 500 * KIB), 64 * KIB),
    ];
    for rewritten in [false, true] {
        let rewriter = plugin_section("rewriter", &site.compile("plugins/rewriter.c"), "");
        let plugins = ten_noops(&site) + if rewritten { &rewriter } else { "" } + &hold(&site);
        site.configure_listener("binarymime = true\n", &plugins);
        let server = site.start();
        let mut client = server.greeted();
        for (number, (body, chunk)) in bodies.iter().enumerate() {
            let message = |body: &[u8]| [b"Subject: \xE4\xFF\r\n\r\n", body].concat();
            let id = id(&send_binary(&mut client, &message(body), *chunk));
            let wanted = match rewritten {
                true => [b"first line\r\n", &replaced(body, b'a', b'b')[..], b"last line"].concat(),
                false => body.clone(),
            };
            let found = sha256(&stored(&site, &id));
            assert_eq!(found, sha256(&message(&wanted)), "body {number}, rewritten: {rewritten}");
        }
        let faults = server.log().matching(|line| line.message().contains("fault"));
        assert!(faults.is_empty(), "{}", server.log());
        server.stop();
    }
}

#[test]
fn octets_pass_ten_plug_ins_that_are_asked_everything() {
    let site = Site::new("");
    site.configure(&(ten_noops(&site) + &hold(&site)));
    let server = site.start();
    let mut client = server.greeted();
    let long = [&[b'x'; 60_000][..], b"\r\n"].concat();
    let bodies = [
        Vec::new(),
        b"\r\n".to_vec(),
        b"\r\n.\r\n..\r\n.x\r\n".to_vec(),
        [b"\r\n", &long.repeat(5)[..]].concat(),
        (1..=255u8).filter(|octet| !b"\r\n".contains(octet)).fold(
            b"\r\n".to_vec(),
            |mut all, octet| {
                all.extend([octet, octet, b'\r', b'\n']);
                all
            },
        ),
        [b"\r\n", &Chance::new(7).lines(32 * KIB - 2)[..]].concat(),
        [b"\r\n", &Chance::new(8).lines(64 * KIB)[..]].concat(),
        [b"\r\n", &Chance::new(9).lines(500 * KIB)[..]].concat(),
    ];
    for (number, body) in bodies.iter().enumerate() {
        let message = [b"Subject: \xE4\xFF\r\n", &body[..]].concat();
        let id = id(&send(&mut client, &message));
        assert_eq!(sha256(&stored(&site, &id)), sha256(&message), "body {number}");
    }
    let faults = server.log().matching(|line| line.message().contains("fault"));
    assert!(faults.is_empty(), "{}", server.log());
    server.stop();
}

#[test]
fn bodies_are_rewritten_in_c_and_in_rust_and_the_ledger_says_so() {
    let site = Site::new("");
    let in_c = site.compile("plugins/rewriter.c");
    let in_rust = build_rust("rewriter-rust");
    let plugins = plugin_section("rewriter", &in_c, "")
        + &plugin_section("rewriter-rust", &in_rust, "")
        + &hold(&site);
    site.configure(&plugins);
    let server = site.start();
    let mut client = server.greeted();
    let texts = [
        None,
        Some(Vec::new()),
        Some(b"aaa bbb \xFF\r\n.\r\n".to_vec()),
        Some(Chance::new(3).lines(64 * KIB)),
        Some(Chance::new(4).lines(300 * KIB)),
    ];
    for text in texts {
        let body = text.as_ref().map_or_else(Vec::new, |text| [b"\r\n", &text[..]].concat());
        let id = id(&send(&mut client, &[b"A: 1\r\n", &body[..]].concat()));
        let text = text.unwrap_or_default();
        let by_c = [b"first line\r\n", &replaced(&text, b'a', b'b')[..], b"last line\r\n"].concat();
        let by_rust =
            [b"Rust comes\r\n", &replaced(&by_c, b'b', b'c')[..], b"Rust was here\r\n"].concat();
        let wanted = [b"A: 1\r\n\r\n", &by_rust[..]].concat();
        let found = stored(&site, &id);
        assert_eq!(sha256(&found), sha256(&wanted), "{}", String::from_utf8_lossy(&found));

        let args = ["queue", "explain", &id, "--json", "--socket", "state/admin.sock"];
        let explained: Value = serde_json::from_slice(&site.run(&args).stdout).unwrap();
        let mut lines =
            explained["ledger"].as_array().unwrap().iter().filter(|line| line["what"] == "body");
        let mut expect = |plugin: &str, at: usize, from: &[u8], to: &[u8]| {
            let line = lines.next().expect("a line of the ledger");
            assert_eq!((&line["plugin"], &line["position"]), (&plugin.into(), &at.into()));
            for (key, octets) in [("from", from), ("to", to)] {
                let digest = format!("sha256:{}", sha256(octets));
                assert_eq!(line[key], digest, "{line}");
                assert_eq!(line[format!("{key}_octets")], octets.len(), "{line}");
            }
        };
        let replaced_c = replaced(&text, b'a', b'b');
        if body.is_empty() {
            expect("rewriter", 0, b"", b"\r\n");
        } else if replaced_c != text {
            expect("rewriter", 2, &text, &replaced_c);
        }
        expect("rewriter", 2, b"", b"first line\r\n");
        expect("rewriter", 2 + 12 + text.len(), b"", b"last line\r\n");
        let replaced_rust = replaced(&by_c, b'b', b'c');
        if replaced_rust != by_c {
            expect("rewriter-rust", 2, &by_c, &replaced_rust);
        }
        expect("rewriter-rust", 2, b"", b"Rust comes\r\n");
        expect("rewriter-rust", 2 + 12 + by_c.len(), b"", b"Rust was here\r\n");
        assert!(lines.next().is_none(), "{explained:#}");
    }
    server.stop();
}

#[test]
fn a_fault_leaves_the_body_as_it_was() {
    let site = Site::new("");
    let in_c = site.compile("plugins/rewriter.c");
    let further =
        "[plugin.stage.message-accept]\non_fault = \"hold\"\n[plugin.config]\nfail = true\n";
    site.configure(&plugin_section("rewriter", &in_c, further));
    let server = site.start();
    let message = [b"A: 1\r\n\r\n", &Chance::new(5).lines(200 * KIB)[..]].concat();
    let id = id(&send(&mut server.greeted(), &message));
    assert_eq!(sha256(&stored(&site, &id)), sha256(&message));
    server.stop();
}

#[test]
fn a_large_body_is_rewritten_without_being_in_memory() {
    const OCTETS: usize = 50 << 20;
    let site = Site::new("");
    let plugins =
        plugin_section("rewriter", &site.compile("plugins/rewriter.c"), "") + &hold(&site);
    site.configure(&plugins);
    let server = site.start();
    let mut client = server.greeted();
    // A small message first: what every message takes.
    id(&send(&mut client, b"A: 1\r\n\r\naaa\r\n"));
    let before = peak_memory(&server);
    let line = [&[b'a'; 998][..], b"\r\n"].concat();
    let text = line.repeat((OCTETS - KIB) / line.len());
    let id = id(&send(&mut client, &[b"A: 1\r\n\r\n", &text[..]].concat()));
    let grown = peak_memory(&server) - before;
    assert!(grown < 8 << 20, "{grown} octets for a body of {OCTETS}");
    let wanted =
        [b"A: 1\r\n\r\nfirst line\r\n", &replaced(&text, b'a', b'b')[..], b"last line\r\n"]
            .concat();
    assert_eq!(sha256(&stored(&site, &id)), sha256(&wanted));
    server.stop();
}
