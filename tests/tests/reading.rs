//! Plug-ins that read and edit messages, on the real server: what they see, what they refuse, and what is delivered.

use std::path::{Path, PathBuf};

use stagepost_tests::chance::Chance;
use stagepost_tests::client::{Client, Reply};
use stagepost_tests::plugin::{build_rust, compile_c};
use stagepost_tests::server::{Server, Site, plugin_section};

/// The most of a body that is kept in memory, and the longest piece.
const PIECE: usize = 64 * 1024;

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins").join(name)
}

/// Sends a message of any octets whose lines end with CRLF; the reply to its end.
fn deliver(client: &mut Client, recipient: &str, message: &[u8]) -> Reply {
    client.begin("a@client.test", recipient);
    let mut stuffed = Vec::new();
    for line in message.split_inclusive(|&octet| octet == b'\n') {
        if line.starts_with(b".") {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
    }
    client.send(&stuffed);
    client.ask(".")
}

/// The one message of a user, once it is delivered.
fn delivered(server: &Server, site: &Site, user: &str) -> Vec<u8> {
    let recipient = format!("{user}@example.test");
    server.log().wait_for(&recipient, |line| {
        line.message() == "delivered" && line.text("recipient").contains(&recipient)
    });
    let mut mail = site.mail(user);
    assert_eq!(mail.len(), 1, "{user}");
    mail.swap_remove(0)
}

/// A body of lines, in which `word` begins at `at`.
fn body_with(word: &str, at: usize, octets: usize) -> Vec<u8> {
    let mut body = vec![b'x'; octets];
    body[..2].copy_from_slice(b"\r\n");
    for end in (500..octets).step_by(500) {
        // No line ends inside the word.
        if !(at..at + word.len() + 2).contains(&end) {
            body[end - 2..end].copy_from_slice(b"\r\n");
        }
    }
    body.extend_from_slice(b"\r\n");
    body[at..at + word.len()].copy_from_slice(word.as_bytes());
    body
}

#[test]
fn a_word_in_the_body_is_found_wherever_it_is() {
    let site = Site::new("");
    let in_c = site.compile("plugins/word.c");
    let in_rust = build_rust("word-rust");
    for (name, file, words) in
        [("word", in_c, "5.7.1 A word in C"), ("word-rust", in_rust, "5.7.1 A word in Rust")]
    {
        site.configure(&plugin_section(name, &file, ""));
        let server = site.start();
        let mut client = server.greeted();
        let header = b"Subject: forbidden\r\n".to_vec();
        let cases = [
            (body_with("allowed", 40, 100), 250),
            (body_with("forbidden", 40, 100), 554),
            (body_with("forbidden", 2, 100), 554),
            (body_with("forbidden", PIECE - 4, 3 * PIECE), 554),
            (body_with("forbidden", 2 * PIECE - 8, 3 * PIECE), 554),
            (body_with("forbidden", 3 * PIECE - 9, 3 * PIECE), 554),
            (body_with("foforbidden", PIECE - 4, 3 * PIECE), 554),
            (body_with("forbiddem", PIECE - 4, 3 * PIECE), 250),
        ];
        for (at, (body, wanted)) in cases.into_iter().enumerate() {
            let message = [header.clone(), body].concat();
            let reply = deliver(&mut client, "b@example.test", &message);
            assert_eq!(reply.code, wanted, "{name}, case {at}: {reply}");
            assert_eq!(wanted == 554, reply.lines == [words], "{name}, case {at}: {reply}");
        }
        server.stop();
    }
}

/// FNV-1a, as the readers reckon it.
fn digest(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |digest, &octet| {
        (digest ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[test]
fn ten_readers_see_every_octet_and_change_none() {
    let site = Site::new("");
    let reader = |number: usize| {
        let name = format!("reader-{number}");
        let file = compile_c(&source("reader.c"), site.path(), &[&format!("NAME=\"{name}\"")]);
        // Half of them on threads that may block.
        let run = if number.is_multiple_of(2) { "run = \"pool\"" } else { "" };
        plugin_section(&name, &file, run)
    };
    site.configure(&(0..10).map(reader).collect::<String>());
    let server = site.start();
    let mut client = server.greeted();
    for (number, octets) in [0, 1, 5000, PIECE - 100, PIECE, 3 * PIECE + 77].into_iter().enumerate()
    {
        let body = Chance::new(number as u64 + 1).lines(octets);
        let message = [b"Subject: \xE4\xFF\r\n\r\n", &body[..]].concat();
        let user = format!("u{number}");
        let reply = deliver(&mut client, &format!("{user}@example.test"), &message);
        assert_eq!(reply.code, 250, "{reply}");
        let wanted = format!("read {} octets, digest {:016x}", message.len(), digest(&message));
        server.log().wait_for_count(&wanted, 10, |line| line.message() == wanted);
        let delivered = delivered(&server, &site, &user);
        let local: Vec<u8> = message.iter().copied().filter(|&octet| octet != b'\r').collect();
        assert!(delivered.ends_with(&local), "{octets} octets came otherwise");
    }
    let faults = server.log().matching(|line| line.message().contains("fault"));
    assert!(faults.is_empty(), "{}", server.log());
    server.stop();
}

#[test]
fn what_is_edited_is_read_stored_and_delivered() {
    let site = Site::new("");
    let editor = site.compile("plugins/editor.c");
    let reader = compile_c(&source("reader.c"), site.path(), &[]);
    let configure = |add: &str| {
        let config = format!("[plugin.config]\nadd = \"{add}\"\n");
        let editor = plugin_section("editor", &editor, &config);
        site.configure(&(editor + &plugin_section("reader", &reader, "")));
    };
    let message =
        b"From: a\r\nX-Secret: 1\r\n 2\r\nSUBJECT : plain\r\nx-secret: 3\r\n\r\nHello.\r\n";
    let edited =
        b"X-Top: folded\r\n here\r\nFrom: a\r\nSUBJECT : changed\r\nx-secret: 3\r\n\r\nHello.\r\n";

    configure("archive@example.test");
    let server = site.start();
    let mut client = server.greeted();
    client.say("MAIL FROM:<a@client.test>", 250);
    client.say("RCPT TO:<b@example.test>", 250);
    client.say("RCPT TO:<gone@example.test>", 250);
    client.say("DATA", 354);
    client.send(message);
    client.say(".", 250);
    let wanted = format!("read {} octets, digest {:016x}", edited.len(), digest(edited));
    server.log().wait_for(&wanted, |line| line.message() == wanted);
    for user in ["b", "archive"] {
        let delivered = String::from_utf8(delivered(&server, &site, user)).expect("ASCII");
        let local = String::from_utf8_lossy(edited).replace('\r', "");
        assert!(delivered.ends_with(&local), "{delivered}");
        assert!(delivered.contains("new@client.test") && !delivered.contains("a@client.test"));
    }
    server.stop();
    assert!(site.mail("gone").is_empty());

    // Nobody gets mail for a domain that is not ours, and the log names who wanted it.
    configure("x@foreign.test");
    let server = site.start();
    let reply = deliver(&mut server.greeted(), "c@example.test", message);
    assert_eq!((reply.code, &reply.lines[0][..5]), (451, "4.3.0"), "{reply}");
    let blamed =
        server.log().wait_for("the blame", |line| line.message().contains("plug-in fault"));
    assert_eq!(blamed.text("plugin"), "editor");
    assert!(blamed.message().contains("<x@foreign.test>"), "{}", blamed.as_str());
    server.stop();
    assert!(site.mail("c").is_empty());
}
