//! The default plug-in for inbound access on the real server: its rules at every stage, with a DNS server and through a proxy
//! that says who the client is.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs;

use stagepost_tests::access::{from, greeted, mail, server};
use stagepost_tests::client::Client;
use stagepost_tests::name_server::{A, MX, NameServer, PTR, TXT};
use stagepost_tests::plugin::build_rust;
use stagepost_tests::scram::base64;
use stagepost_tests::server::{Server, Site, plugin_section};
use stagepost_tests::wire::Trust;

#[test]
fn hosts_are_denied_by_address_and_by_name() {
    let site = Site::new("");
    let names = NameServer::start(vec![
        ("1.2.0.192.in-addr.arpa", PTR, b"\x02mx\x03bad\x04test\0"),
        ("2.2.0.192.in-addr.arpa", PTR, b"\x02mx\x04good\x04test\0"),
    ]);
    let section = "[plugin.config.connection]\ndeny = [\"[198.51.100.*]\", \"bad.test\"]\n";
    let server = server(&site, &names, section);
    let mut denied = from(&server, "198.51.100.7");
    denied.expect(554);
    denied.say("EHLO client.test", 503);
    denied.say("QUIT", 221);
    from(&server, "192.0.2.1").expect(554);
    from(&server, "192.0.2.2").expect(220);
    from(&server, "192.0.2.3").expect(220);
    from(&server, "2001:db8::1").expect(220);
    let log = server.stop();
    let said = log.matching(|line| line.message().contains("refused by connection.deny"));
    assert_eq!(said.len(), 2, "{log}");
    let wanted = "198.51.100.7 refused by connection.deny \"[198.51.100.*]\" (stagepost.toml:";
    assert!(said[0].message().starts_with(wanted), "{log}");
}

#[test]
fn what_is_no_section_is_told_with_its_place() {
    let site = Site::new("");
    let file = build_rust("access-control");
    for (section, wanted) in [
        (
            "[plugin.config.conection]",
            "`conection` is wrong: unknown field `conection`, expected one of",
        ),
        (
            "[plugin.config.relay]\nenforce = \"some\"",
            "`relay.enforce` is wrong: unknown variant `some`",
        ),
        (
            "[plugin.config.connection]\nallow = 1",
            "`connection.allow` is wrong: data did not match",
        ),
        ("[plugin.config.connection]\ndeny = [\"[1.2.3]\"]", " is no address"),
    ] {
        let plugin = plugin_section("access-control", &file, section);
        site.configure(&plugin);
        let config = fs::read_to_string(site.path().join("stagepost.toml")).unwrap();
        let line = config.lines().count();
        let (code, said) = site.refused();
        assert_eq!(code, Some(1), "{said}");
        let place = format!("stagepost.toml:{line}:");
        let told =
            said.lines().find(|line| line.contains(wanted)).unwrap_or_else(|| panic!("{said}"));
        assert!(told.contains(&place), "{place} in {told}");
    }
}

#[test]
fn a_host_without_a_name_is_told_at_mail() {
    let site = Site::new("");
    let names =
        NameServer::start(vec![("1.2.0.192.in-addr.arpa", PTR, b"\x02mx\x04good\x04test\0")]);
    let section = "[plugin.config.connection]\nverify_host_name = true\n";
    let server = server(&site, &names, section);
    let recipient = "bob@example.test";
    assert!(mail(&server, "192.0.2.1", "a@b.test", recipient).1.starts_with("250 "));
    let (refused, _) = mail(&server, "192.0.2.2", "a@b.test", recipient);
    assert!(refused.starts_with("550 5.7.25 "), "{refused}");
    server.stop();
}

#[test]
fn relaying_is_for_those_who_may() {
    let site = Site::new("");
    let names = NameServer::start(vec![
        ("1.2.0.192.in-addr.arpa", PTR, b"\x02pc\x04corp\x04test\0"),
        ("pc.corp.test", A, &[192, 0, 2, 1]),
        // Claims a name that is another's.
        ("2.2.0.192.in-addr.arpa", PTR, b"\x02pc\x04corp\x04test\0"),
    ]);
    let section = "[plugin.config.relay]\ninternal_domains = [\"corp.test\"]\n\
        exclude = \"[203.0.113.0/24]\"\nallow_sources = [\"[198.51.100.1]\"]\n";
    let server = server(&site, &names, section);
    let foreign = "x@foreign.test";
    for (address, wanted) in [
        ("192.0.2.1", "250 "),
        ("192.0.2.2", "554 5.7.1 Relay rejected"),
        ("192.0.2.3", "554 5.7.1 Relay rejected"),
        ("203.0.113.9", "250 "),
        ("198.51.100.1", "250 "),
        ("198.51.100.2", "554 5.7.1 Relay rejected"),
        ("2001:db8::1", "554 5.7.1 Relay rejected"),
    ] {
        let (begun, relayed) = mail(&server, address, "a@b.test", foreign);
        assert!(begun.starts_with("250 ") && relayed.starts_with(wanted), "{address}: {relayed}");
        let (_, local) = mail(&server, address, "a@b.test", "bob@example.test");
        assert!(local.starts_with("250 "), "{address}: {local}");
    }
    server.stop();
}

#[test]
fn one_grant_is_not_for_the_next_recipient() {
    let site = Site::new("");
    let names = NameServer::start(Vec::new());
    let section = "[plugin.config.relay]\nallow_destinations = [\"@partner.test\"]\n";
    let server = server(&site, &names, section);
    let mut client = greeted(&server, "192.0.2.1");
    client.say("MAIL FROM:<a@b.test>", 250);
    client.say("RCPT TO:<x@partner.test>", 250);
    client.say("RCPT TO:<x@other.test>", 554);
    client.say("RCPT TO:<x@sub.partner.test>", 554);
    client.say("RCPT TO:<bob@example.test>", 250);
    client.say("RCPT TO:<y@partner.test>", 250);
    server.stop();
}

/// What a list may say about an address: long, with what ends a reply, and what steers a terminal.
fn long_text() -> &'static [u8] {
    let begin = b"250 OK\r\n\x1b[31m ";
    let strings = [&[255][..], begin, &vec![b'x'; 255 - begin.len()]].concat();
    strings.repeat(4).leak()
}

#[test]
fn lists_end_at_the_first_hit() {
    let site = Site::new("");
    let names = NameServer::start(vec![
        ("1.2.0.192.black.test", A, &[127, 0, 0, 2]),
        ("1.2.0.192.black.test", TXT, b"\x0asee a page"),
        ("2.2.0.192.black.test", A, &[127, 0, 0, 2]),
        ("3.2.0.192.black.test", A, &[127, 0, 0, 2]),
        ("3.2.0.192.white.test", A, &[127, 0, 0, 1]),
        ("4.2.0.192.black.test", A, &[127, 255, 255, 254]),
        ("5.2.0.192.black.test", A, &[192, 0, 2, 99]),
        ("8.2.0.192.black.test", A, &[127, 0, 0, 2]),
        ("8.2.0.192.black.test", TXT, long_text()),
        ("2.0.0.127.black.test", A, &[127, 0, 0, 2]),
    ]);
    let section = "[plugin.config.dns_black]\nzones = [\"black.test\"]\naction = \"reject\"\n\
        text = \"{ip} is in {site}: {txt}\"\n\
        [plugin.config.dns_white]\nzones = [{ name = \"white.test\", test = false }]\n\
        [plugin.config.private_white]\nentries = [\"[192.0.2.2]\"]\n\
        [plugin.config.private_black]\nentries = [\"[192.0.2.6]\"]\naction = \"reject\"\n";
    let server = server(&site, &names, section);
    for (address, wanted) in [
        ("192.0.2.1", "554 5.7.1 192.0.2.1 is in black.test: see a page"),
        ("192.0.2.2", "250 "),
        ("192.0.2.3", "250 "),
        ("192.0.2.5", "250 "),
        ("192.0.2.6", "554 5.7.1 Connection denied for policy reasons"),
        ("192.0.2.7", "250 "),
        ("192.0.2.8", "554 5.7.1 192.0.2.8 is in black.test: 250 OK???[31m xxxxxxxx"),
        ("192.0.2.4", "250 "),
        // Who refuses us is left alone.
        ("192.0.2.1", "250 "),
        ("192.0.2.4", "250 "),
    ] {
        let (reply, _) = mail(&server, address, "a@b.test", "bob@example.test");
        assert!(reply.starts_with(wanted), "{address}: {reply}");
    }
    let counted = site.run(&["stats", "smtp", "--config", "stagepost.toml"]);
    let counted = String::from_utf8(counted.stdout).unwrap();
    let wanted = "SMTP.DNSBL.TotalHits = 2\nSMTP.DNSBL.black.test.TotalHits = 2\nSMTP.DNSWL.TotalHits = 1\n\
        SMTP.DNSWL.white.test.TotalHits = 1\nSMTP.PrivateBL.TotalHits = 1\nSMTP.PrivateWL.TotalHits = 1\n\
        SMTP.Refused.dns_black = 2\nSMTP.Refused.private_black.entries = 1\n";
    assert_eq!(counted, wanted);
    let log = server.stop();
    assert_eq!(
        log.matching(|line| line.message().contains("does not answer us")).len(),
        1,
        "{log}"
    );
}

/// A list that was given up has everybody, or nobody: neither may refuse anybody, or let anybody pass.
#[test]
fn lists_that_fail_their_test_are_not_asked() {
    let site = Site::new("");
    let here: &[u8] = &[127, 0, 0, 2];
    let names = NameServer::start(vec![
        ("1.2.0.192.all.test", A, here),
        ("2.0.0.127.all.test", A, here),
        ("1.0.0.127.all.test", A, here),
        ("1.2.0.192.none.test", A, here),
        ("2.2.0.192.sound.test", A, &[127, 0, 0, 10]),
        ("2.0.0.127.sound.test", A, here),
    ]);
    let section = "[plugin.config.dns_black]\naction = \"reject\"\nzones = [\"all.test\", \"none.test\", \
        { name = \"sound.test\", answers = [\"127.0.0.10\"] }]\n";
    let server = server(&site, &names, section);
    for (address, wanted) in [
        ("192.0.2.1", "250 "),
        ("192.0.2.2", "554 5.7.1 "),
        ("192.0.2.1", "250 "),
        ("192.0.2.2", "554 "),
    ] {
        let (reply, _) = mail(&server, address, "a@b.test", "bob@example.test");
        assert!(reply.starts_with(wanted), "{address}: {reply}");
    }
    let log = server.stop();
    for (said, times) in [
        ("all.test is not asked: it lists 127.0.0.1, and so everybody", 1),
        ("none.test is not asked: it does not list 127.0.0.2", 1),
        ("sound.test is tested, and asked from now on", 1),
    ] {
        assert_eq!(
            log.matching(|line| line.message().starts_with(said)).len(),
            times,
            "{said}\n{log}"
        );
    }
}

/// Who has logged in sends as itself, and as what it was given, in the envelope and in the message.
#[test]
fn users_send_as_themselves() {
    let site = Site::new("");
    let trust = Trust::in_file(&site.certify("mx.example.test"));
    site.add_user("bob", "pencil");
    let users = "[auth]\nusers_file = \"users\"\n";
    let section = "[plugin.config.sender]\nauthenticated = \"message\"\nown = { bob = [\"sales@example.test\"] }\n";
    let plugin = plugin_section("access-control", &build_rust("access-control"), section);
    site.configure_tls("purpose = \"submission\"\n", &format!("{users}{plugin}"));
    let server = site.start();
    let mut client = server.greeted();
    client.say("STARTTLS", 220);
    let mut client = client.secure(&trust, "mx.example.test").unwrap();
    client.say("EHLO client.test", 250);
    client.say(&format!("AUTH PLAIN {}", base64("\0bob\0pencil")), 235);
    let refused = client.say("MAIL FROM:<ann@example.test>", 550);
    assert_eq!(refused.to_string().trim_end(), "550 5.7.1 You may not send as <ann@example.test>");
    client.say("MAIL FROM:<bob@elsewhere.test>", 550);
    let message = |from: &str| format!("From: {from}\r\nSubject: x\r\n\r\nHello.\r\n");
    for (sender, from, wanted) in [
        ("bob@example.test", "Bob <BOB@example.test>", 250),
        ("sales@example.test", "sales@example.test", 250),
        ("", "bob@example.test", 250),
        ("bob@example.test", "ann@example.test", 550),
        ("bob@example.test", "bob@example.test, ann@example.test", 550),
        ("bob@example.test", "bob@example.test\r\nSender: ann@example.test", 550),
        ("bob@example.test", "bob@example.test\r\nFrom: ann@example.test", 550),
    ] {
        let reply = client.deliver(sender, "bob@example.test", &message(from));
        assert_eq!(reply.code, wanted, "{sender} {from}: {reply}");
    }
    server.stop();
}

#[test]
fn senders_are_judged_by_lists_and_by_the_dns() {
    let site = Site::new("");
    let names = NameServer::start(vec![
        ("mx.test", MX, b"\0\x0a\x01a\x04test\0"),
        ("host.test", A, &[192, 0, 2, 80]),
        ("null.test", MX, b"\0\0\0"),
        ("text.test", TXT, b"\x01x"),
    ]);
    let section = "[plugin.config.sender]\nverify_domain = true\ndeny = [\"x@mx.test\"]\n";
    let server = server(&site, &names, section);
    for (sender, wanted) in [
        ("a@mx.test", "250 "),
        ("a@host.test", "250 "),
        ("", "250 "),
        ("a@[192.0.2.1]", "250 "),
        ("x@mx.test", "554 5.7.1 Mail from <x@mx.test> rejected"),
        ("a@null.test", "550 5.7.27 "),
        ("a@text.test", "550 5.1.8 "),
        ("a@missing.test", "550 5.1.8 "),
        ("a@trouble.test", "451 4.4.3 "),
    ] {
        let (reply, _) = mail(&server, "192.0.2.1", sender, "bob@example.test");
        assert!(reply.starts_with(wanted), "{sender}: {reply}");
    }
    server.stop();
}

#[test]
fn lists_in_files_are_read_again_by_a_reload() {
    let site = Site::new("");
    let names = NameServer::start(Vec::new());
    let list = site.path().join("deny.txt");
    fs::write(&list, "[192.0.2.1] # the first\n").unwrap();
    let section = format!(
        "[plugin.config]\nwatch_files = false\n[plugin.config.connection]\ndeny_file = {list:?}\n"
    );
    let server = server(&site, &names, &section);
    from(&server, "192.0.2.1").expect(554);
    from(&server, "192.0.2.2").expect(220);
    fs::write(&list, "\n[192.0.2.2]\n").unwrap();
    assert!(site.run(&["reload", "--config", "stagepost.toml"]).status.success());
    from(&server, "192.0.2.1").expect(220);
    from(&server, "192.0.2.2").expect(554);
    fs::write(&list, "[192.0.2.3]\n[192.0.2.300]\n").unwrap();
    assert!(!site.run(&["reload", "--config", "stagepost.toml"]).status.success());
    from(&server, "192.0.2.3").expect(220);
    from(&server, "192.0.2.2").expect(554);
    let log = server.stop();
    let place = format!("{}:2:1: \"300\" is no octet", list.display());
    assert_eq!(log.matching(|line| line.message().contains(&place)).len(), 1, "{log}");
}

#[test]
fn rules_are_read_again_when_the_configuration_changes() {
    let site = Site::new("");
    let names = NameServer::start(Vec::new());
    let rules = |entry: &str| format!("[plugin.config.connection]\ndeny = [\"{entry}\"]\n");
    let server = server(&site, &names, &rules("[192.0.2.1]"));
    from(&server, "192.0.2.1").expect(554);
    from(&server, "192.0.2.2").expect(220);
    let path = site.path().join("stagepost.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("[192.0.2.1]", "[192.0.2.2]")).unwrap();
    server.log().wait_for("the change", |line| {
        line.message() == "configuration read again"
            && line.text("changed").contains("access-control")
    });
    from(&server, "192.0.2.1").expect(220);
    from(&server, "192.0.2.2").expect(554);
    // What is wrong is told with line and column, and changes nothing.
    fs::write(&path, text.replace("[192.0.2.1]", "[192.0.2.1-*]")).unwrap();
    let line = text.lines().position(|line| line.starts_with("deny = ")).unwrap() + 1;
    let place = format!("stagepost.toml:{line}:");
    server.log().wait_for("the fault", |said| said.message().contains(&place));
    server.log().wait_for("the end of it", |line| line.message().contains("stays as it was"));
    from(&server, "192.0.2.2").expect(554);
    fs::write(&path, text.replace("deny = ", "deny == ")).unwrap();
    server.log().wait_for("the slip", |said| {
        said.message().contains("stays as it was") && said.message().contains(&place)
    });
    from(&server, "192.0.2.2").expect(554);
    server.stop();
}

#[test]
fn lists_in_files_are_read_again_when_they_change() {
    let site = Site::new("");
    let names = NameServer::start(Vec::new());
    let list = site.path().join("deny.txt");
    fs::write(&list, "[192.0.2.1]\n").unwrap();
    let section = format!("[plugin.config.connection]\ndeny_file = {list:?}\n");
    let server = server(&site, &names, &section);
    from(&server, "192.0.2.1").expect(554);
    fs::write(&list, "[192.0.2.2]\n[192.0.2.3]\n").unwrap();
    let said = |text: &str| {
        server.log().wait_for(text, |line| line.message().contains(text));
    };
    said("lists in files have changed, and are read again");
    from(&server, "192.0.2.1").expect(220);
    from(&server, "192.0.2.3").expect(554);
    fs::write(&list, "[192.0.2.1]\n[192.0.2.300]\n").unwrap();
    said("lists in files stay as they were: ");
    said("deny.txt:2:1: \"300\" is no octet");
    from(&server, "192.0.2.3").expect(554);
    fs::write(&list, "[192.0.2.1]\n[192.0.2.30]\n").unwrap();
    server.log().wait_for_count("both", 2, |line| line.message().contains("are read again"));
    from(&server, "192.0.2.1").expect(554);
    server.stop();
}

#[test]
fn clients_call_themselves_by_names_of_their_own() {
    let site = Site::new("");
    let names = NameServer::start(vec![("mail.there.test", A, &[192, 0, 2, 80])]);
    let section = "[plugin.config.helo]\ndeny = [\"mx.example.test\"]\nfull_name = true\nverify = true\n\
        [plugin.config.relay]\nexclude = \"[192.0.2.9]\"\n";
    let server = server(&site, &names, section);
    for (address, helo, wanted) in [
        ("192.0.2.1", "mail.there.test", "250 "),
        ("192.0.2.1", "[192.0.2.1]", "250 "),
        ("192.0.2.1", "mx.example.test", "550 5.7.1 Your EHLO name is rejected"),
        ("192.0.2.1", "localhost", "550 5.5.2 EHLO needs a full domain name"),
        ("192.0.2.1", "missing.test", "550 5.7.1 Your EHLO name does not exist"),
        ("192.0.2.1", "trouble.test", "450 4.4.3 "),
        ("192.0.2.9", "localhost", "250 "),
    ] {
        let mut client = from(&server, address);
        client.expect(220);
        client.say(&format!("EHLO {helo}"), 250);
        let reply = client.ask("MAIL FROM:<a@b.test>").to_string();
        assert!(reply.starts_with(wanted), "{helo}: {reply}");
    }
    server.stop();
}

/// Who tries again is known, with its whole network, and after a restart too.
#[test]
fn clients_that_nobody_knows_are_put_off_once() {
    let site = Site::new("");
    let names = NameServer::start(Vec::new());
    let section = "[plugin.config.greylist]\nenabled = true\ndelay_s = 0\n\
        [plugin.config.private_white]\nentries = [\"[203.0.113.1]\"]\n";
    let running = server(&site, &names, section);
    let rcpt = |server: &Server, address: &str, sender: &str, recipient: &str| {
        mail(server, address, sender, recipient).1
    };
    let bob = "bob@example.test";
    for (address, sender, wanted) in [
        ("192.0.2.1", "a@b.test", "450 4.7.1 You are not known here yet"),
        ("192.0.2.1", "other@b.test", "450 4.7.1 "),
        ("192.0.2.1", "a@b.test", "250 "),
        ("192.0.2.200", "new@b.test", "250 "),
        ("203.0.113.1", "a@b.test", "250 "),
        ("198.51.100.1", "", "450 4.7.1 "),
    ] {
        let reply = rcpt(&running, address, sender, bob);
        assert!(reply.starts_with(wanted), "{address} {sender}: {reply}");
    }
    running.stop();
    let running = site.start();
    assert!(rcpt(&running, "192.0.2.7", "more@b.test", bob).starts_with("250 "));
    assert!(
        rcpt(&running, "198.51.100.1", "", bob).starts_with("450 "),
        "the first attempt is forgotten"
    );
    running.stop();
}

#[test]
fn an_operator_asks_before_a_client_does() {
    let site = Site::new("");
    let names = NameServer::start(Vec::new());
    let section = "[plugin.config.connection]\ndeny = [\"bad.test\"]\n[plugin.config.helo]\nfull_name = true\n";
    let server = server(&site, &names, section);
    let asked = |arguments: &[&str]| {
        let mut words = vec!["access", "test", "--config", "stagepost.toml"];
        words.extend(arguments);
        let output = site.run(&words);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) =
        asked(&["--ip", "192.0.2.1", "--ptr", "mx.bad.test", "--to", "x@foreign.test"]);
    let first = said.lines().next().unwrap();
    let entry = "connection         refused   connection.deny \"bad.test\" (stagepost.toml:";
    assert!(first.starts_with(entry), "{said}");
    assert_eq!((code, said.lines().last()), (Some(0), Some("refused")), "{said}");
    let (_, said) = asked(&[
        "--ip",
        "192.0.2.1",
        "--helo",
        "localhost",
        "--from",
        "",
        "--to",
        "bob@example.test",
    ]);
    let line = "EHLO name          refused     helo.full_name\n";
    assert!(said.contains(line), "{said}");
    let (_, said) =
        asked(&["--ip", "192.0.2.1", "--auth", "joe", "--to", "x@foreign.test", "--json"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["accepted"], true);
    let (code, _) = asked(&["--ip", "192.0.2.1", "--plugin", "none"]);
    assert_eq!(code, Some(1));
    server.stop();
}

/// Whatever name servers do, nobody is refused for good because of it, and nobody is let pass who must be known.
#[test]
fn name_servers_that_misbehave_decide_nothing() {
    let site = Site::new("");
    let names = NameServer::start(vec![("2.2.0.192.sound.test", A, &[127, 0, 0, 2])]);
    let section = "[plugin.config.dns_black]\naction = \"reject\"\nzones = [\
        { name = \"l.trouble.test\", test = false }, { name = \"l.lame.test\", test = false }, \
        { name = \"l.silent.test\", test = false, timeout_ms = 200 }, { name = \"l.cut.test\", test = false }, \
        { name = \"l.loop.test\", test = false }, { name = \"l.forged.test\", test = false }, \
        { name = \"l.other.test\", test = false }, { name = \"l.gone.test\", test = false }, \
        { name = \"sound.test\", test = false }]\n[plugin.config.sender]\nverify_domain = true\n";
    let server = server(&site, &names, section);
    for (address, sender, wanted) in [
        ("192.0.2.1", "", "250 "),
        ("192.0.2.2", "", "554 5.7.1 "),
        ("192.0.2.1", "a@b.trouble.test", "451 4.4.3 "),
        ("192.0.2.1", "a@b.lame.test", "451 4.4.3 "),
        ("192.0.2.1", "a@b.silent.test", "451 4.4.3 "),
        ("192.0.2.1", "a@b.cut.test", "451 4.4.3 "),
        ("192.0.2.1", "a@b.forged.test", "550 5.1.8 "),
    ] {
        let (reply, _) = mail(&server, address, sender, "bob@example.test");
        assert!(reply.starts_with(wanted), "{address} {sender}: {reply}");
    }
    let (reply, _) = mail(&server, "192.0.2.1", "a@b.loop.test", "bob@example.test");
    assert!(!reply.starts_with("250 "), "{reply}");
    server.stop();
}

/// Who waits for a list that is dead holds up nobody who needs no list.
#[test]
fn a_dead_list_holds_up_those_alone_who_need_it() {
    const WAITING: u8 = 200;
    let site = Site::new("");
    let names = NameServer::start(Vec::new());
    let section = "[plugin.config.relay]\nexclude = \"[203.0.113.1]\"\n\
        [plugin.config.dns_black]\nzones = [{ name = \"dead.silent.test\", test = false, timeout_ms = 30000 }]\n";
    let section = format!("deadline_ms = 60000\ndeadline_max_ms = 60000\n{section}");
    let plugin = plugin_section("access-control", &build_rust("access-control"), &section);
    let patient = names.section().replace("\"2s\"", "\"30s\"");
    site.configure_listener("proxy_from = [\"127.0.0.0/8\"]\n", &format!("{patient}{plugin}"));
    let server = site.start();
    let waiting: Vec<Client> = (1..=WAITING)
        .map(|number| {
            let mut client = greeted(&server, &format!("192.0.2.{number}"));
            client.send(b"MAIL FROM:<a@b.test>\r\n");
            client
        })
        .collect();
    let (_, reply) = mail(&server, "203.0.113.1", "a@b.test", "bob@example.test");
    assert!(reply.starts_with("250 "), "{reply}");
    for client in &waiting {
        assert!(!client.has_octets(), "somebody was answered without the list");
    }
    drop(waiting);
    server.kill();
}
