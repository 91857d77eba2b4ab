//! The worked examples of docs/plugin-authors.md, each on the real server.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::{Path, PathBuf};

use stagepost_tests::client::Client;
use stagepost_tests::plugin::{build_rust, compile_c};
use stagepost_tests::server::{Site, plugin_section};

const KIB: usize = 1024;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/examples").join(name)
}

/// Lines of text in which `word` begins at `at`, counted from the empty line before them.
fn body_with(word: &str, at: usize, octets: usize) -> Vec<u8> {
    let mut body = vec![b'a'; octets];
    body[..2].copy_from_slice(b"\r\n");
    for end in (500..octets).step_by(500) {
        if !(at..at + word.len() + 2).contains(&end) {
            body[end - 2..end].copy_from_slice(b"\r\n");
        }
    }
    body[at..at + word.len()].copy_from_slice(word.as_bytes());
    body.extend_from_slice(b"\r\n");
    body
}

/// Sends a message in pieces of so many octets; the code of the reply to its end.
fn deliver(client: &mut Client, body: &[u8], piece: usize) -> u16 {
    client.begin("a@client.test", "b@example.test");
    for piece in [b"Subject: x\r\n", body].concat().chunks(piece) {
        client.send(piece);
    }
    client.ask(".").code
}

#[test]
fn a_text_in_the_body_is_refused_while_it_comes_however_it_is_cut() {
    let site = Site::new("");
    let in_c = compile_c(&example("body-text.c"), site.path(), &[]);
    let in_rust = build_rust("body-text-rust");
    // A text that begins again inside itself.
    let text = "aab aab aac";
    for (name, file, run) in [
        ("body-text", &in_c, "inline"),
        ("body-text", &in_c, "pool"),
        ("body-text-rust", &in_rust, "pool"),
    ] {
        let further = format!("run = \"{run}\"\n[plugin.config]\ntext = \"{text}\"\n");
        site.configure(&plugin_section(name, file, &further));
        let server = site.start();
        let mut client = server.greeted();
        let mut cases = vec![
            (body_with("", 2, 100), 250),
            (body_with(text, 2, 100), 554),
            (body_with("aab aab aab", 40, 100), 250),
            (body_with("aab aab aab aac", 40, 100), 554),
        ];
        // Wherever the chunks of 32 to 64 KiB end.
        for at in (32 * KIB - 18..32 * KIB).chain(64 * KIB - 18..64 * KIB).step_by(5) {
            cases.push((body_with(text, at, 100 * KIB), 554));
        }
        cases.push((body_with("aab aab aad", 64 * KIB - 5, 100 * KIB), 250));
        for (number, (body, wanted)) in cases.iter().enumerate() {
            for piece in [1000, 1 << 20] {
                let code = deliver(&mut client, body, piece);
                assert_eq!(code, *wanted, "{name} {run}: case {number} in pieces of {piece}");
            }
        }
        // The end of one message and the beginning of the next are no text.
        for part in ["aab aab", " aac"] {
            client.begin("a@client.test", "b@example.test");
            client.send(part.as_bytes());
            client.send(b"\r\n");
            assert_eq!(client.ask(".").code, 250);
        }
        let faults = server.log().matching(|line| line.message().contains("fault"));
        assert!(faults.is_empty(), "{}", server.log());
        server.stop();
    }
}

#[test]
fn a_text_that_is_not_configured_is_told() {
    let site = Site::new("");
    let in_c = compile_c(&example("body-text.c"), site.path(), &[]);
    for (name, file) in [("body-text", in_c), ("body-text-rust", build_rust("body-text-rust"))] {
        site.configure(&plugin_section(name, &file, ""));
        let output = site.run(&["run", "--config", "stagepost.toml"]);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(!output.status.success() && said.contains("`text` must be a"), "{said}");
    }
}

#[test]
fn a_tag_in_an_address_is_taken_out_and_kept() {
    let site = Site::new("");
    let in_c = compile_c(&example("sub-address.c"), site.path(), &[]);
    let in_rust = build_rust("sub-address-rust");
    for (name, file) in [("sub-address", in_c), ("sub-address-rust", in_rust)] {
        site.configure(&plugin_section(
            name,
            &file,
            "[plugin.config]\ndomains = \"example.test\"\n",
        ));
        let server = site.start();
        let mut client = server.greeted();
        client.say("MAIL FROM:<a@client.test>", 250);
        // Who comes in the end, and with which tag; not here for a domain that is not configured.
        let cases = [
            ("one+tag", "one", Some("tag")),
            ("two+a+b", "two", Some("a+b")),
            ("+three", "+three", None),
            ("four+", "four+", None),
            ("five", "five", None),
            ("\"six+tag\"", "six+tag", None),
        ];
        for (local, ..) in cases {
            client.say(&format!("RCPT TO:<{local}@EXAMPLE.test>"), 250);
        }
        client.say("RCPT TO:<user+tag@elsewhere.test>", 550);
        client.say("RCPT TO:<one+other@example.test>", 250);
        client.say("DATA", 354);
        client.send(b"Subject: tagged\r\n\r\nHello.\r\n");
        client.say(".", 250);
        for (_, user, _) in cases {
            // A mailbox of that name has the message.
            server.log().wait_for(user, |line| {
                line.message() == "delivered" && line.text("recipient").contains(user)
            });
        }
        let message = String::from_utf8(site.mail("one").remove(0)).unwrap();
        let tags: Vec<_> =
            message.lines().filter_map(|line| line.strip_prefix("X-Sub-Address: ")).collect();
        let wanted: Vec<_> = cases.iter().filter_map(|(_, _, tag)| *tag).collect();
        assert_eq!(tags, wanted, "{message}");
        let faults = server.log().matching(|line| line.message().contains("fault"));
        assert!(faults.is_empty(), "{}", server.log());
        server.stop();
        std::fs::remove_dir_all(site.path().join("mail")).unwrap();
    }
}

#[test]
fn single_recipients_are_refused_by_a_list() {
    let site = Site::new("");
    let in_c = compile_c(&example("recipient-list.c"), site.path(), &[]);
    let in_rust = build_rust("recipient-list-rust");
    for (name, file) in [("recipient-list", in_c), ("recipient-list-rust", in_rust)] {
        let list = "refused = \" gone@example.test  Old.Name@Example.test\"";
        site.configure(&plugin_section(name, &file, &format!("[plugin.config]\n{list}\n")));
        let server = site.start();
        let mut client = server.greeted();
        client.say("MAIL FROM:<a@client.test>", 250);
        let cases = [
            ("gone", 550),
            ("GONE", 550),
            ("old.name", 550),
            ("here", 250),
            ("gon", 250),
            ("gone2", 250),
        ];
        for (local, code) in cases {
            let reply = client.say(&format!("RCPT TO:<{local}@example.test>"), code);
            let refused = ["5.7.1 This recipient takes no mail"];
            assert_eq!(code == 550, reply.lines == refused, "{name} {local}: {reply}");
        }
        client.say("DATA", 354);
        client.send(b"Subject: for some\r\n\r\nHello.\r\n");
        client.say(".", 250);
        server.stop();
    }
}

#[test]
fn lists_that_are_not_configured_are_told() {
    let site = Site::new("");
    let built = [
        ("sub-address", compile_c(&example("sub-address.c"), site.path(), &[])),
        ("sub-address-rust", build_rust("sub-address-rust")),
        ("recipient-list", compile_c(&example("recipient-list.c"), site.path(), &[])),
        ("recipient-list-rust", build_rust("recipient-list-rust")),
    ];
    for (name, file) in built {
        site.configure(&plugin_section(name, &file, ""));
        let (code, said) = site.refused();
        assert!(code == Some(1) && said.contains("must be a string of"), "{name}: {said}");
    }
}
