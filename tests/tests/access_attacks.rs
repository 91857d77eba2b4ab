//! What access-control makes of clients, files and proxies that are out to get around it.
//! Whoever may not relay does not, however an address is spelled; what is wrong in a file leaves the old rules in force.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread;

use stagepost_tests::access::{from, greeted, server};
use stagepost_tests::name_server::{A, NameServer, PTR};
use stagepost_tests::plugin::build_rust;
use stagepost_tests::server::{Site, plugin_section};

/// Whoever tries much is shown the door before long; here it stays open.
const PATIENT: &str = "[limits]\nerrors_max = 1000\nrefusals_max = 1000\n";

fn reload(site: &Site) -> Result<String, String> {
    let output = site.run(&["reload", "--config", "stagepost.toml"]);
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.success() { Ok(said) } else { Err(said) }
}

/// Of a recipient, what it is answered, and whom mail for it is for when it is accepted.
const SPELLINGS: [(&str, &str); 40] = [
    ("<x@foreign.test>", "554 5.7.1 Relay rejected"),
    ("<X@FOREIGN.Test>", "554 5.7.1 Relay rejected"),
    ("<x@foreign.test> NOTIFY=NEVER", "554 5.7.1 Relay rejected"),
    ("<x@foreign.test.>", "501 "),
    ("<x@example.test.>", "501 "),
    ("<x@.example.test>", "501 "),
    ("x@foreign.test", "501 "),
    ("< x@foreign.test>", "501 "),
    ("<x@foreign.test >", "501 "),
    ("<x@foreign.test\t>", "500 "),
    ("<x@foreign.test\0@example.test>", "500 "),
    ("<x@foreign.test,y@example.test>", "501 "),
    ("<x@foreign.test@example.test>", "501 "),
    ("<x@foreign.test%example.test>", "501 "),
    ("<x@foreign.test>@example.test>", "501 "),
    ("<x@[203.0.113.1]>", "554 5.7.1 Relay rejected"),
    ("<x@[127.0.0.1]>", "554 5.7.1 Relay rejected"),
    ("<x@[IPv6:::1]>", "554 5.7.1 Relay rejected"),
    ("<x@[IPv6:::ffff:127.0.0.1]>", "554 5.7.1 Relay rejected"),
    ("<x@203.0.113.1>", "554 5.7.1 Relay rejected"),
    ("<x@sub.example.test>", "554 5.7.1 Relay rejected"),
    ("<x@xexample.test>", "554 5.7.1 Relay rejected"),
    ("<x@example.test.foreign.test>", "554 5.7.1 Relay rejected"),
    ("<postmaster@foreign.test>", "554 5.7.1 Relay rejected"),
    ("<\"x\"@foreign.test>", "554 5.7.1 Relay rejected"),
    ("<\"x@example.test\"@foreign.test>", "554 5.7.1 Relay rejected"),
    ("<\"x\\\"@example.test,y\"@foreign.test>", "554 5.7.1 Relay rejected"),
    ("<x%example.test@foreign.test>", "554 5.7.1 Relay rejected"),
    ("<example.test!x@foreign.test>", "554 5.7.1 Relay rejected"),
    ("<@example.test:x@foreign.test>", "554 5.7.1 Relay rejected"),
    ("<@example.test,@foreign.test:x@foreign.test>", "554 5.7.1 Relay rejected"),
    ("<foreign.test!x>", "501 "),
    ("<x%foreign.test>", "501 "),
    ("<\"x@foreign.test\">", "501 "),
    // What is here is of somebody here, whatever its name looks like.
    ("<x%foreign.test@example.test>", "250 "),
    ("<foreign.test!x@example.test>", "250 "),
    ("<\"x@foreign.test\"@example.test>", "250 "),
    ("<=?utf-8?q?x=40foreign.test?=@example.test>", "250 "),
    ("<@foreign.test:bob@EXAMPLE.test>", "250 "),
    ("<Postmaster>", "250 "),
];

#[test]
fn nobody_relays_by_another_spelling() {
    let site = Site::new("");
    let names = NameServer::start(Vec::new());
    let server = server(&site, &names, PATIENT);
    for (number, sender) in ["a@b.test", "", "bob@example.test"].into_iter().enumerate() {
        let mut client = greeted(&server, "192.0.2.1");
        client.say(&format!("MAIL FROM:<{sender}>"), 250);
        let mut accepted = 0;
        for (spelled, wanted) in SPELLINGS {
            let reply = client.ask(&format!("RCPT TO:{spelled}")).to_string();
            assert!(reply.starts_with(wanted), "{spelled}: {reply}");
            accepted += usize::from(reply.starts_with("250 "));
        }
        client.say("DATA", 354);
        client.send(b"Subject: x\r\n\r\nHello.\r\n");
        client.say(".", 250);
        let ended = (number + 1) * accepted;
        server.log().wait_for_count("the deliveries", ended, |line| {
            line.message() == "delivered" && line.text("destination") == "example.test"
        });
    }
    let log = server.stop();
    let elsewhere = |to: &str| !matches!(to, "" | "example.test");
    assert_eq!(log.matching(|line| elsewhere(&line.text("destination"))).len(), 0, "{log}");
}

/// Who is denied is denied, with quotes and backslashes and in whatever letters.
#[test]
fn nobody_is_let_in_by_another_spelling() {
    let site = Site::new("");
    let names = NameServer::start(vec![("xn--bcher-kva.test", A, &[192, 0, 2, 80])]);
    let section = "[plugin.config.sender]\ndeny = [\"x@spam.test\", \"b\u{fc}cher2.test\"]\nverify_domain = true\n\
        [plugin.config.recipient]\ndeny = [\"Top Floor\"]\n\
        [plugin.config.groups]\n\"Top Floor\" = [\"boss@example.test\"]\n\
        [plugin.config.connection]\ndeny = [\"[192.0.2.66]\"]\n";
    let server = server(&site, &names, &format!("{section}{PATIENT}"));
    from(&server, "::ffff:192.0.2.66").expect(554);
    let mut client = greeted(&server, "192.0.2.1");
    for (sender, wanted) in [
        ("<x@spam.test>", "554 "),
        ("<X@SPAM.Test>", "554 "),
        ("<\"x\"@spam.test>", "554 "),
        ("<\"\\x\"@spam.test>", "554 "),
        ("<@relay.test:x@spam.test>", "554 "),
        ("<x@spam.test.>", "501 "),
        ("<a@XN--BCHER2-3YA.test>", "554 "),
        ("<a@xn--bcher-kva.test>", "250 "),
    ] {
        let reply = client.ask(&format!("MAIL FROM:{sender}")).to_string();
        assert!(reply.starts_with(wanted), "{sender}: {reply}");
        client.say("RSET", 250);
    }
    client.say("MAIL FROM:<>", 250);
    for (recipient, wanted) in [
        ("<boss@example.test>", "550 5.7.1 "),
        ("<BOSS@Example.TEST>", "550 5.7.1 "),
        ("<\"boss\"@example.test>", "550 5.7.1 "),
        ("<\"b\\oss\"@example.test>", "550 5.7.1 "),
        ("<@foreign.test:boss@example.test>", "550 5.7.1 "),
        ("<bosses@example.test>", "250 "),
    ] {
        let reply = client.ask(&format!("RCPT TO:{recipient}")).to_string();
        assert!(reply.starts_with(wanted), "{recipient}: {reply}");
    }
    let log = server.stop();
    // Who was refused what, and by which line.
    let about = ", from <> to <\"b\\oss\"@example.test>";
    let said = log.matching(|line| line.message().ends_with(about));
    let by = "192.0.2.1 refused by recipient.deny \"boss@example.test\" of \"Top Floor\" (stagepost.toml:";
    assert!(said.len() == 1 && said[0].message().starts_with(by), "{log}");
    let config = fs::read_to_string(site.path().join("stagepost.toml")).unwrap();
    let line = config.lines().position(|line| line.starts_with("\"Top Floor\"")).unwrap() + 1;
    assert!(said[0].message().contains(&format!(":{line}:")), "{log}");
}

/// What a client calls itself is said back to nobody and ends no line of the log.
#[test]
fn names_that_steer_a_terminal_stay_text() {
    let site = Site::new("");
    let names = NameServer::start(Vec::new());
    let section = "[plugin.config.helo]\nfull_name = true\ndeny = [\"[192.0.2.25]\"]\n";
    let server = server(&site, &names, section);
    for helo in
        ["\u{1b}[31mred.test", "a\tb.test", "192.0.2.25", "[ipv6:::ffff:192.0.2.25]", "a..test"]
    {
        let mut client = from(&server, "192.0.2.1");
        client.expect(220);
        let begun = client.ask(&format!("EHLO {helo}"));
        let reply = client.ask("MAIL FROM:<a@b.test>").to_string();
        assert!(
            matches!(begun.code, 500 | 501) || reply.starts_with("550 5."),
            "{helo:?}: {begun} {reply}"
        );
    }
    let log = server.stop();
    assert!(!log.to_string().contains('\u{1b}'), "{log}");
}

/// A name that the proxy has is none of its clients'.
#[test]
fn who_comes_by_xclient_is_not_who_the_proxy_is() {
    let site = Site::new("");
    let names = NameServer::start(vec![
        ("1.0.0.10.in-addr.arpa", PTR, b"\x05proxy\x04corp\x04test\0"),
        ("proxy.corp.test", A, &[10, 0, 0, 1]),
    ]);
    // Asked for at connect, of the proxy.
    let section = "[plugin.config.connection]\ndeny = [\"bad.test\"]\n\
        [plugin.config.relay]\ninternal_domains = [\"corp.test\"]\n";
    let plugin = plugin_section("access-control", &build_rust("access-control"), section);
    let route = "[[route]]\ndomain = \"*\"\nnext_hop = \"127.0.0.1:1\"\n";
    let fields = "proxy_from = [\"127.0.0.0/8\"]\nxclient_from = [\"10.0.0.1\"]\n";
    site.configure_listener(fields, &format!("{}{route}{plugin}", names.section()));
    let server = site.start();
    for client in [None, Some("192.0.2.1")] {
        let mut session = greeted(&server, "10.0.0.1");
        if let Some(address) = client {
            session.say(&format!("XCLIENT ADDR={address}"), 220);
            session.say("EHLO client.test", 250);
        }
        session.say("MAIL FROM:<a@b.test>", 250);
        session.say("RCPT TO:<x@foreign.test>", if client.is_some() { 554 } else { 250 });
    }
    server.stop();
}

/// Rules that come in force are for sessions under way too: what one was granted by the old ones is not granted any more.
#[test]
fn a_reload_is_for_sessions_under_way() {
    let site = Site::new("");
    let names = NameServer::start(Vec::new());
    let rules = "[plugin.config.relay]\nexclude = \"[192.0.2.1]\"\n\
        [plugin.config.private_black]\nentries = [\"[203.0.113.9]\"]\naction = \"reject\"\n";
    let server = server(&site, &names, rules);
    let path = site.path().join("stagepost.toml");
    let text = fs::read_to_string(&path).unwrap();
    let mut clients = ["192.0.2.1", "203.0.113.9"].map(|address| greeted(&server, address));
    let [mail, rcpt] = ["MAIL FROM:<a@b.test>", "RCPT TO:<x@foreign.test>"];
    for (excluded, listed, wanted) in [
        ("192.0.2.1", "203.0.113.9", [(250, 250), (554, 503)]),
        ("203.0.113.9", "192.0.2.1", [(554, 503), (250, 250)]),
        ("203.0.113.1", "203.0.113.2", [(250, 554), (250, 554)]),
        ("192.0.2.1", "203.0.113.9", [(250, 250), (554, 503)]),
    ] {
        let changed =
            text.replace("exclude = \"[192.0.2.1]\"", &format!("exclude = \"[{excluded}]\""));
        let changed = changed
            .replace("entries = [\"[203.0.113.9]\"]", &format!("entries = [\"[{listed}]\"]"));
        fs::write(&path, changed).unwrap();
        reload(&site).unwrap();
        for (client, (begun, relayed)) in clients.iter_mut().zip(wanted) {
            client.say(mail, begun);
            client.say(rcpt, relayed);
            client.say("RSET", 250);
        }
        // In the middle of a transaction too.
        clients[0].say(mail, wanted[0].0);
        if wanted[0].0 == 250 {
            clients[0].say("RSET", 250);
        }
    }
    server.stop();
}

/// Makes something of a file that is no list. Whether it could be made.
type Spoil = fn(&Path);

/// Whatever becomes of a file, the rules that are in force stay; and the file is named, with what is wrong.
#[test]
fn files_that_are_no_lists_change_nothing() {
    let site = Site::new("");
    let names = NameServer::start(Vec::new());
    let list = site.path().join("allow.txt");
    fs::write(&list, "[192.0.2.1]\n").unwrap();
    let section = format!(
        "[plugin.config]\nwatch_files = false\n[plugin.config.connection]\nallow_file = {list:?}\n"
    );
    let server = server(&site, &names, &section);
    let spoiled: [(Spoil, &str); 9] = [
        (|path| fs::remove_file(path).unwrap(), "No such file"),
        (|path| fs::create_dir(path).unwrap(), "it is no regular file"),
        (
            |path| rustix::fs::mkfifoat(rustix::fs::CWD, path, 0o600.into()).unwrap(),
            "it is no regular file",
        ),
        (|path| symlink(path, path).unwrap(), "symbolic links"),
        (|path| fs::write(path, "").unwrap(), "has no entry: everybody would be allowed"),
        (
            |path| fs::write(path, "# all gone\n ,;\n").unwrap(),
            "has no entry: everybody would be allowed",
        ),
        (|path| fs::write(path, "[192.0.2.2]\n\0\0\0\n").unwrap(), ":2:1: "),
        (|path| fs::write(path, b"\xff\xfe[\x001\x00]\x00").unwrap(), "no UTF-8 text"),
        (|path| fs::write(path, "x".repeat(1 << 20)).unwrap(), "is longer than 512 octets"),
    ];
    for (spoil, wanted) in spoiled {
        if list.is_dir() {
            fs::remove_dir(&list).unwrap();
        } else if list.symlink_metadata().is_ok() {
            fs::remove_file(&list).unwrap();
        }
        if wanted == "No such file" {
            fs::write(&list, "").unwrap();
        }
        spoil(&list);
        assert!(reload(&site).is_err(), "{wanted}");
        server.log().wait_for(wanted, |line| {
            let said = line.message();
            said.contains(wanted) && said.contains("allow.txt") && said.len() < 1024
        });
        from(&server, "192.0.2.1").expect(220);
        from(&server, "192.0.2.2").expect(554);
    }
    // Windows begins files with a mark.
    fs::remove_file(&list).unwrap();
    fs::write(&list, b"\xef\xbb\xbf[192.0.2.2] # B\xfcro\r\n").unwrap();
    reload(&site).unwrap();
    from(&server, "192.0.2.1").expect(554);
    from(&server, "192.0.2.2").expect(220);
    server.stop();
}

/// However many want it at once, the last file is in force in the end.
#[test]
fn reloads_do_not_overtake_one_another() {
    let site = Site::new("");
    let names = NameServer::start(Vec::new());
    let list = site.path().join("deny.txt");
    fs::write(&list, "[192.0.2.1]\n").unwrap();
    let section =
        format!("[plugin.config.connection]\ndeny_file = {list:?}\ndeny = [\"[203.0.113.1]\"]\n");
    let server = server(&site, &names, &section);
    let path = site.path().join("stagepost.toml");
    let text = fs::read_to_string(&path).unwrap();
    for round in 2..5 {
        fs::write(&list, format!("[192.0.2.{round}]\n")).unwrap();
        let changed = text.replace("[203.0.113.1]", &format!("[203.0.113.{round}]"));
        fs::write(&path, changed).unwrap();
        thread::scope(|scope| {
            let reloads: Vec<_> = (0..6).map(|_| scope.spawn(|| reload(&site))).collect();
            for reload in reloads {
                reload.join().unwrap().unwrap();
            }
        });
        for denied in [format!("192.0.2.{round}"), format!("203.0.113.{round}")] {
            from(&server, &denied).expect(554);
        }
        for allowed in [format!("192.0.2.{}", round - 1), format!("203.0.113.{}", round - 1)] {
            from(&server, &allowed).expect(220);
        }
    }
    server.stop();
}

/// As many lists as there may be are all asked, though each has to be tested, and names and domains are looked up beside them.
#[test]
fn as_many_lists_as_may_be_are_asked() {
    let site = Site::new("");
    let names = NameServer::start(vec![
        ("1.2.0.192.in-addr.arpa", PTR, b"\x02mx\x04good\x04test\0"),
        ("mx.good.test", A, &[192, 0, 2, 1]),
        ("1.2.0.192.z31.test", A, &[127, 0, 0, 2]),
        ("2.0.0.127.z31.test", A, &[127, 0, 0, 2]),
    ]);
    let zones: Vec<_> = (0..32).map(|number| format!("\"z{number}.test\"")).collect();
    let section = format!(
        "[plugin.config.dns_black]\naction = \"reject\"\nzones = [{}]\n\
         [plugin.config.connection]\nverify_host_name = true\n\
         [plugin.config.helo]\nverify = true\n[plugin.config.sender]\nverify_domain = true\n",
        zones.join(", ")
    );
    let server = server(&site, &names, &section);
    for _ in 0..6 {
        let mut client = from(&server, "192.0.2.1");
        client.expect(220);
        client.say("EHLO mx.good.test", 250);
        let reply = client.ask("MAIL FROM:<a@mx.good.test>").to_string();
        assert!(reply.starts_with("554 5.7.1 Connection denied"), "{reply}");
    }
    let log = server.stop();
    for number in 0..31 {
        let zone = format!("z{number}.test is not asked: ");
        assert_eq!(
            log.matching(|line| line.message().starts_with(&zone)).len(),
            1,
            "{zone}\n{log}"
        );
    }
}
