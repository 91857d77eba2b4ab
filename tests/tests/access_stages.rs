//! access-control at each stage of a session: when a refusal is told, what a hit in a list comes to, what users who have logged in may, and
//! how much goes in a time.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use stagepost_tests::access::{from, greeted, mail, server};
use stagepost_tests::name_server::{A, NameServer, PTR};
use stagepost_tests::plugin::build_rust;
use stagepost_tests::scram::base64;
use stagepost_tests::server::{Site, plugin_section};
use stagepost_tests::wire::Trust;

const BOB: &str = "bob@example.test";

#[test]
fn a_refused_client_is_told_at_the_stage_that_is_wanted() {
    let names = NameServer::start(Vec::new());
    for (stage, wanted) in
        [("connect", [554, 503, 503]), ("mail", [220, 554, 503]), ("rcpt", [220, 250, 554])]
    {
        let site = Site::new("");
        let section =
            format!("[plugin.config.connection]\ndeny = \"[192.0.2.1]\"\nrefuse_at = {stage:?}\n");
        let server = server(&site, &names, &section);
        let mut client = from(&server, "192.0.2.1");
        client.expect(wanted[0]);
        let refused = stage == "connect";
        for command in ["EHLO client.test", "VRFY bob", "EXPN staff", "NOOP"] {
            let code = client.ask(command).code;
            assert_eq!(code == 503, refused, "{stage}: {command}: {code}");
        }
        client.say("MAIL FROM:<a@b.test>", wanted[1]);
        client.say("RCPT TO:<bob@example.test>", wanted[2]);
        client.say("QUIT", 221);
        server.stop();
    }
}

/// What was granted in clear text is forgotten with STARTTLS (RFC 3207 section 4.2), and granted again.
#[test]
fn who_may_relay_may_behind_starttls_too() {
    let names = NameServer::start(Vec::new());
    let site = Site::new("");
    let trust = Trust::in_file(&site.certify("mx.example.test"));
    for rule in ["exclude = \"[192.0.2.1]\"", "allow_destinations = \"far.test\""] {
        let section = format!("[plugin.config.relay]\n{rule}\n");
        let plugin = plugin_section("access-control", &build_rust("access-control"), &section);
        let route = "[[route]]\ndomain = \"*\"\nnext_hop = \"127.0.0.1:1\"\n";
        let further = format!("{}{route}{plugin}", names.section());
        site.configure_tls("proxy_from = [\"127.0.0.0/8\"]\n", &further);
        let server = site.start();
        let mut client = greeted(&server, "192.0.2.1");
        client.say("MAIL FROM:<a@b.test>", 250);
        client.say("RCPT TO:<x@far.test>", 250);
        client.say("RSET", 250);
        client.say("STARTTLS", 220);
        let mut client = client.secure(&trust, "mx.example.test").unwrap();
        client.say("EHLO client.test", 250);
        client.say("MAIL FROM:<a@b.test>", 250);
        client.say("RCPT TO:<x@far.test>", 250);
        server.stop();
    }
}

/// Trouble with the DNS refuses nobody for good.
#[test]
fn a_host_whose_name_nobody_knows_now_is_to_come_again() {
    let names = NameServer::start(Vec::new());
    for (section, greeting, begun) in [
        ("verify_host_name = true\n", 220, "450 4.7.25 "),
        ("allow = [\"friend.test\"]\nrefuse_at = \"mail\"\n", 220, "450 4.4.3 "),
        ("deny = [\"bad.test\"]\n", 220, "250 "),
        ("allow = [\"friend.test\"]\n", 421, ""),
    ] {
        let site = Site::new("");
        let server = server(&site, &names, &format!("[plugin.config.connection]\n{section}"));
        let mut client = from(&server, "203.0.113.1");
        client.expect(greeting);
        if greeting == 220 {
            client.say("EHLO client.test", 250);
            let reply = client.ask("MAIL FROM:<a@b.test>").to_string();
            assert!(reply.starts_with(begun), "{section}: {reply}");
        }
        server.stop();
    }
}

/// A tag is a field of the header, in each message of the client.
#[test]
fn what_lists_have_is_tagged() {
    let site = Site::new("");
    let here: &[u8] = &[127, 0, 0, 2];
    let nibbles = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2";
    let listed = |zone: &str| -> &'static str { format!("{nibbles}.{zone}").leak() };
    let names = NameServer::start(vec![
        (listed("black.test"), A, here),
        (listed("white.test"), A, here),
        ("5.2.0.192.black.test", A, here),
    ]);
    let section = "[plugin.config.private_black]\nentries = [\"[192.0.2.1]\"]\naction = \"tag\"\n\
        [plugin.config.private_white]\nentries = [\"[192.0.2.2]\"]\naction = \"tag\"\n\
        [plugin.config.dns_black]\nzones = [{ name = \"black.test\", test = false }]\naction = \"tag\"\n\
        [plugin.config.dns_white]\nzones = [{ name = \"white.test\", test = false }]\naction = \"tag\"\n";
    let server = server(&site, &names, section);
    for (address, wanted) in [
        ("192.0.2.1", Some("X-PrivateBL: [192.0.2.1]")),
        ("192.0.2.2", Some("X-PrivateWL: [192.0.2.2]")),
        // The white list speaks first.
        ("2001:db8::1", Some("X-DNSWLSite: white.test")),
        ("192.0.2.5", Some("X-DNSBLSite: black.test")),
        ("192.0.2.6", None),
    ] {
        let user = address.replace([':', '.'], "-");
        let mut client = greeted(&server, address);
        for _ in 0..2 {
            let reply = client.deliver(
                "a@b.test",
                &format!("{user}@example.test"),
                "Subject: x\r\n\r\nHello.\r\n",
            );
            assert_eq!(reply.code, 250, "{reply}");
        }
        let recipient = format!("{user}@example.test");
        server.log().wait_for_count(&recipient, 2, |line| {
            line.message() == "delivered" && line.text("recipient") == recipient
        });
        for message in site.mail(&user) {
            let message = String::from_utf8(message).unwrap();
            let tags: Vec<_> = message.lines().filter(|line| line.starts_with("X-")).collect();
            assert_eq!(tags, Vec::from_iter(wanted), "{address}: {message}");
        }
    }
    server.stop();
}

/// Who is not subject to the relay check is spared the lists too.
#[test]
fn lists_are_about_those_who_might_relay() {
    let names = NameServer::start(Vec::new());
    let listed = "[plugin.config.private_black]\nentries = \"*\"\naction = \"reject\"\n";
    for (relay, wanted) in [
        ("", ["554 ", "503 "]),
        ("enforce = \"none\"\n", ["250 ", "250 "]),
        ("exclude = [\"[192.0.2.1]\"]\n", ["250 ", "250 "]),
        ("enforce = \"all\"\nallow_sources = [\"[192.0.2.1]\"]\n", ["554 ", "503 "]),
    ] {
        let site = Site::new("");
        let server = server(&site, &names, &format!("[plugin.config.relay]\n{relay}{listed}"));
        let (begun, relayed) = mail(&server, "192.0.2.1", "a@b.test", "x@foreign.test");
        assert!(
            begun.starts_with(wanted[0]) && relayed.starts_with(wanted[1]),
            "{relay}: {begun} {relayed}"
        );
        server.stop();
    }
}

#[test]
fn users_who_have_logged_in_relay_unless_they_are_checked() {
    let site = Site::new("");
    let trust = Trust::in_file(&site.certify("mx.example.test"));
    site.add_user("bob", "pencil");
    for (authenticated, wanted) in [("allow", 250), ("check", 554)] {
        let further = format!(
            "[auth]\nusers_file = \"users\"\n[[route]]\ndomain = \"*\"\nnext_hop = \"127.0.0.1:1\"\n{}",
            plugin_section(
                "access-control",
                &build_rust("access-control"),
                &format!("[plugin.config.relay]\nauthenticated = {authenticated:?}\n")
            )
        );
        site.configure_tls("purpose = \"submission\"\nauth_relay = false\n", &further);
        let server = site.start();
        let mut client = server.greeted();
        client.say("STARTTLS", 220);
        let mut client = client.secure(&trust, "mx.example.test").unwrap();
        client.say("EHLO client.test", 250);
        client.say(&format!("AUTH PLAIN {}", base64("\0bob\0pencil")), 235);
        client.say("MAIL FROM:<bob@example.test>", 250);
        client.say("RCPT TO:<x@foreign.test>", wanted);
        client.say("RCPT TO:<ann@example.test>", 250);
        server.stop();
    }
}

#[test]
fn so_much_goes_in_a_time_and_no_more() {
    let names = NameServer::start(Vec::new());
    let site = Site::new("");
    let section = "[plugin.config.limits]\nmessages_per_client = 3\nrecipients_per_client = 4\nmessages_per_sender = 2\n\
        recipients_per_sender = 3\n";
    let server = server(&site, &names, section);
    for (address, sender, wanted) in [
        ("192.0.2.1", "a@b.test", ["250 ", "250 "]),
        ("192.0.2.2", "A@b.test", ["250 ", "250 "]),
        ("192.0.2.3", "a@B.test", ["450 4.7.1 Too much mail", "503 "]),
        ("192.0.2.1", "", ["250 ", "250 "]),
        ("192.0.2.1", "", ["250 ", "250 "]),
        ("192.0.2.1", "", ["450 4.7.1 ", "503 "]),
        ("2001:db8::1", "", ["250 ", "250 "]),
        ("2001:db8::2", "", ["250 ", "250 "]),
        ("2001:db8::3", "", ["250 ", "250 "]),
        ("2001:db8::4", "", ["450 4.7.1 ", "503 "]),
        ("2001:db8:0:1::1", "", ["250 ", "250 "]),
    ] {
        let (begun, added) = mail(&server, address, sender, BOB);
        assert!(
            begun.starts_with(wanted[0]) && added.starts_with(wanted[1]),
            "{address} {sender}: {begun} {added}"
        );
    }
    let mut client = greeted(&server, "192.0.2.9");
    client.say("MAIL FROM:<c@b.test>", 250);
    for (recipient, code) in [("p", 250), ("q", 250), ("r", 250), ("s", 450)] {
        client.say(&format!("RCPT TO:<{recipient}@example.test>"), code);
    }
    let log = server.stop();
    for rule in ["messages_per_sender", "messages_per_client", "recipients_per_sender"] {
        let said = format!(" refused by limits.{rule}, from ");
        assert!(!log.matching(|line| line.message().contains(&said)).is_empty(), "{rule}\n{log}");
    }
}

/// `access test` foretells what becomes of mail, whatever comes together.
#[test]
fn what_is_explained_is_what_happens() {
    let site = Site::new("");
    let names = NameServer::start(vec![
        ("1.2.0.192.in-addr.arpa", PTR, b"\x02pc\x04corp\x04test\0"),
        ("pc.corp.test", A, &[192, 0, 2, 1]),
        // A name that is another's.
        ("2.2.0.192.in-addr.arpa", PTR, b"\x02pc\x04corp\x04test\0"),
        ("3.2.0.192.in-addr.arpa", PTR, b"\x02mx\x03bad\x04test\0"),
    ]);
    let section = "[plugin.config.connection]\ndeny = [\"bad.test\", \"[198.51.100.0/24]\"]\n\
        [plugin.config.relay]\ninternal_domains = [\"corp.test\"]\nexclude = \"[192.0.2.9]\"\n\
        allow_sources = [\"[192.0.2.5]\"]\nallow_destinations = [\"@partner.test\"]\n\
        [plugin.config.private_white]\nentries = [\"[192.0.2.2]\"]\n\
        [plugin.config.private_black]\nentries = [\"[192.0.2.2-4]\", \"[192.0.2.9]\"]\naction = \"reject\"\n\
        [plugin.config.helo]\nfull_name = true\n\
        [plugin.config.sender]\ndeny = [\"spam.test\"]\n[plugin.config.recipient]\ndeny = [\"boss@example.test\"]\n";
    let server = server(&site, &names, section);
    let hosts: [(&str, &[&str]); 8] = [
        ("192.0.2.1", &["--ptr", "pc.corp.test"]),
        ("192.0.2.2", &["--ptr", "pc.corp.test", "--unconfirmed"]),
        ("192.0.2.3", &["--ptr", "mx.bad.test"]),
        ("192.0.2.4", &[]),
        ("192.0.2.5", &[]),
        ("192.0.2.6", &[]),
        ("192.0.2.9", &[]),
        ("198.51.100.1", &[]),
    ];
    let recipients =
        ["x@foreign.test", "x@partner.test", "bob@example.test", "\"boss\"@example.test"];
    for (number, (address, named)) in hosts.into_iter().enumerate() {
        for (place, to) in recipients.into_iter().enumerate() {
            let helo = ["client.test", "localhost"][usize::from((number + place) % 5 == 0)];
            let sender = ["a@b.test", "", "x@spam.test"][(2 * number + place) % 3];
            let ask = ["access", "test", "--config", "stagepost.toml", "--json", "--ip", address];
            let about = ["--helo", helo, "--from", sender, "--to", to];
            let explained = site.run(&[&ask[..], &about, named].concat());
            let explained = String::from_utf8(explained.stdout).unwrap();
            let foretold: serde_json::Value = serde_json::from_str(&explained).unwrap();
            let mut client = from(&server, address);
            let mut said = vec![client.reply()];
            let commands = [
                format!("EHLO {helo}"),
                format!("MAIL FROM:<{sender}>"),
                format!("RCPT TO:<{to}>"),
            ];
            said.extend(commands.iter().map(|command| client.ask(command)));
            let accepted = said.iter().all(|reply| reply.code < 400);
            assert_eq!(
                foretold["accepted"], accepted,
                "{address} {about:?}: {said:?}\n{explained}"
            );
        }
    }
    server.stop();
}
