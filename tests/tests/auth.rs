//! AUTH on the real server: users by their file, every mechanism, what a login opens, and what becomes of guessing.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::os::unix::fs::PermissionsExt;
use std::process::{Output, Stdio};
use std::{fs, io::Write};

use sha2::{Digest, Sha256};
use stagepost_tests::client::Client;
use stagepost_tests::scram::{ScramClient, base64};
use stagepost_tests::server::{Server, Site, plugin_section};
use stagepost_tests::sink::Sink;
use stagepost_tests::wire::Trust;

const NAME: &str = "mx.example.test";
const MESSAGE: &str = "From: a@client.test\r\nSubject: submitted\r\n\r\nHello.\r\n";
const USERS: &str = "[auth]\nusers_file = \"users\"\nfailure_delay = \"0s\"\n";
const SUBMISSION: &str = "purpose = \"submission\"\n";

/// A site with a certificate and the user alice, and whoever trusts it.
fn site() -> (Site, Trust) {
    let site = Site::new("");
    let trust = Trust::in_file(&site.certify(NAME));
    site.add_user("alice@example.test", "pencil");
    (site, trust)
}

fn protected(server: &Server, trust: &Trust) -> Client {
    let mut client = server.greeted();
    client.say("STARTTLS", 220);
    let mut client = client.secure(trust, NAME).unwrap();
    client.say("EHLO client.example.test", 250);
    client
}

fn plain(name: &str, password: &str) -> String {
    format!("AUTH PLAIN {}", base64(format!("\0{name}\0{password}")))
}

fn alice(password: &str, binding: Option<(&str, &[u8])>) -> ScramClient {
    ScramClient::new("alice@example.test", password, binding)
}

/// Logs in by SCRAM; the code of the last reply.
fn scram(client: &mut Client, mechanism: &str, mut scram: ScramClient) -> u16 {
    let first = client.say(&format!("AUTH {mechanism} {}", scram.first()), 334);
    let last = scram.last(&first.lines[0]);
    let proof = client.ask(&last);
    if proof.code != 334 {
        return proof.code;
    }
    assert!(scram.believes(&proof.lines[0]), "{proof}");
    client.ask("").code
}

/// What somebody who is logged in sends for elsewhere goes there; and nobody else sends anything.
#[test]
fn a_login_opens_submission() {
    let (site, trust) = site();
    let route = "[[route]]\ndomain = \"*\"\nnext_hop = \"127.0.0.1:1\"\n";
    site.configure_tls(SUBMISSION, &format!("{USERS}{route}"));
    let server = site.start();
    let mut client = server.greeted();
    client.say("MAIL FROM:<a@client.test>", 530);
    let mut client = protected(&server, &trust);
    let keywords = client.say("EHLO client.example.test", 250).lines;
    let wanted = "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN".to_owned();
    assert!(keywords.contains(&wanted), "{keywords:?}");
    assert!(client.say("MAIL FROM:<a@client.test>", 530).lines[0].contains("Authentication"));
    client.say(&plain("Alice@Example.test", "pencil"), 235);
    assert_eq!(client.deliver("a@client.test", "b@example.test", MESSAGE).code, 250);
    assert_eq!(client.deliver("a@client.test", "c@elsewhere.test", MESSAGE).code, 250);
    client.say("QUIT", 221);
    server.log().wait_for("the delivery", |line| line.message() == "delivered");
    let mail = String::from_utf8(site.mail("b").concat()).unwrap();
    assert!(mail.contains(" with ESMTPSA id "), "{mail}");
    let log = server.stop();
    let said = log.matching(|line| line.message() == "logged in");
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].text("identity"), "alice@example.test");
    assert!(!log.to_string().contains("pencil"));
}

#[test]
fn the_grant_is_the_listeners_to_give() {
    let (site, trust) = site();
    site.configure_tls(&format!("{SUBMISSION}auth_relay = false\n"), USERS);
    let server = site.start();
    let mut client = protected(&server, &trust);
    client.say(&plain("alice@example.test", "pencil"), 235);
    client.say("MAIL FROM:<a@client.test>", 250);
    client.say("RCPT TO:<c@elsewhere.test>", 550);
    client.say("RCPT TO:<b@example.test>", 250);
    server.stop();
}

#[test]
fn scram_is_spoken_and_bound_to_the_connection() {
    let (site, trust) = site();
    site.configure_tls(SUBMISSION, USERS);
    let server = site.start();
    let mut client = protected(&server, &trust);
    assert_eq!(scram(&mut client, "SCRAM-SHA-256", alice("pencil", None)), 235);
    let mut client = protected(&server, &trust);
    assert_eq!(scram(&mut client, "SCRAM-SHA-256", alice("pen", None)), 535);
    // A name that no user has is told by nothing but its refusal.
    let nobody = ScramClient::new("nobody@example.test", "pencil", None);
    assert_eq!(scram(&mut client, "SCRAM-SHA-256", nobody), 535);

    let plus = "SCRAM-SHA-256-PLUS";
    let mut client = protected(&server, &trust);
    let exported = client.exported();
    let bound = Some(("tls-exporter", &exported[..]));
    assert_eq!(scram(&mut client, plus, alice("pencil", bound)), 235);
    let old = Trust::new(
        &[&site.path().join("tls/mx.example.test.crt")],
        None,
        &[&rustls::version::TLS12],
    );
    for trust in [&trust, &old] {
        let mut client = protected(&server, trust);
        let digest = Sha256::digest(client.certificate().unwrap());
        let bound = Some(("tls-server-end-point", &digest[..]));
        assert_eq!(scram(&mut client, plus, alice("pencil", bound)), 235);
    }
    // What was exported from another connection.
    let mut client = protected(&server, &trust);
    let bound = Some(("tls-exporter", &exported[..]));
    assert_eq!(scram(&mut client, plus, alice("pencil", bound)), 535);
    server.stop();
}

#[test]
fn guessing_is_barred_and_counted() {
    let (site, trust) = site();
    let limits = "[auth]\nusers_file = \"users\"\nfailure_delay = \"0s\"\nfailures_per_address_max = 4\nfailure_memory = \"24h\"\n";
    site.configure_tls(SUBMISSION, limits);
    let server = site.start();
    let mut client = protected(&server, &trust);
    for password in ["a", "b", "c"] {
        client.say(&plain("alice@example.test", password), 535);
    }
    client.say("NOOP", 421);
    client.expect_close();
    let mut client = protected(&server, &trust);
    client.say(&plain("nobody@example.test", "d"), 535);
    let reply = client.say(&plain("alice@example.test", "pencil"), 454);
    assert!(reply.lines[0].contains("Too many failed logins"), "{reply}");
    let metrics = site.run(&["metrics", "--socket", "state/admin.sock"]);
    let metrics = String::from_utf8(metrics.stdout).unwrap();
    for (result, count) in [("accepted", 0), ("refused", 4), ("barred", 1), ("unavailable", 0)] {
        let line = format!("stagepost_logins_total{{result=\"{result}\"}} {count}\n");
        assert!(metrics.contains(&line), "{line} in\n{metrics}");
    }
    let log = server.stop();
    assert_eq!(log.matching(|line| line.message() == "login refused").len(), 1);
}

#[test]
fn plug_ins_know_users_too() {
    let (site, _) = site();
    let open = "auth = \"offered\"\nauth_allow_plaintext = true\n";
    let secrets = ["sesame", &base64("\0bob\0sesame")];
    for (defines, trusted) in [(&["TRUSTED"][..], true), (&[], false)] {
        let section = plugin_section("login", &site.compile_with("plugins/login.c", defines), "");
        // Nobody but the plug-in, and with the users of the server.
        for (users, mechanisms) in
            [("", "AUTH PLAIN LOGIN"), (USERS, "AUTH SCRAM-SHA-256 PLAIN LOGIN")]
        {
            let users = if users.is_empty() { "[auth]\nfailure_delay = \"0s\"\n" } else { users };
            site.configure_listener(open, &format!("{users}{section}"));
            let server = site.start();
            let mut client = server.connect();
            let keywords = client.say("EHLO client.example.test", 250).lines;
            assert!(keywords.contains(&mechanisms.to_owned()), "{keywords:?}");
            assert_eq!(client.say("VRFY x", 250).lines, ["2.1.5 0 - -"]);
            client.say(&plain("bob", "sesame"), if trusted { 235 } else { 535 });
            let known = if trusted { "2.1.5 1 branch@example.test PLAIN" } else { "2.1.5 0 - -" };
            assert_eq!(client.say("VRFY x", 250).lines, [known]);
            if mechanisms.contains("SCRAM") {
                let mut client = server.greeted();
                client.say(&plain("alice@example.test", "pencil"), 235);
                let known = "2.1.5 1 alice@example.test PLAIN";
                assert_eq!(client.say("VRFY x", 250).lines, [known]);
            }
            let log = server.stop();
            let seen = log.to_string();
            for secret in secrets {
                assert_eq!(seen.contains(secret), trusted, "{secret} in\n{seen}");
            }
            assert!(seen.contains("line AUTH PLAIN") && seen.contains("asked bob"), "{seen}");
            let ends = if trusted { "accepted bob" } else { "not accepted bob" };
            assert!(!log.matching(|line| line.message().trim_end() == ends).is_empty(), "{seen}");
        }
    }
}

fn user(site: &Site, args: &[&str], password: &str) -> Output {
    let mut child = site
        .command(&[&["user"], args].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may not want one.
    let _ = child.stdin.take().unwrap().write_all(password.as_bytes());
    child.wait_with_output().unwrap()
}

/// Users come, change and go while the server runs.
#[test]
fn users_are_managed_by_their_file() {
    let (site, trust) = site();
    site.configure_tls(SUBMISSION, USERS);
    let server = site.start();
    let code =
        |name: &str, password: &str| protected(&server, &trust).ask(&plain(name, password)).code;
    let done = |args: &[&str], password: &str| {
        let output = user(&site, args, password);
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let config = ["--config", "stagepost.toml"];
    let with = |command: &[&'static str]| [command, &config[..]].concat();
    assert_eq!(code("bob", "pen"), 535);
    assert_eq!(done(&with(&["add", "bob"]), "pen\n"), (Some(0), "added bob\n".to_owned()));
    assert_eq!(code("bob", "pen"), 235);
    let (failed, said) = done(&with(&["add", "BOB"]), "x\n");
    assert_eq!(failed, Some(2));
    assert!(said.contains("there is a user bob already"), "{said}");
    assert_eq!(done(&with(&["passwd", "Bob"]), "ink").0, Some(0));
    assert_eq!((code("bob", "pen"), code("bob", "ink")), (535, 235));
    let listed = done(&with(&["list"]), "").1;
    assert_eq!(listed, "alice@example.test\nbob\n");
    assert_eq!(done(&with(&["remove", "bob"]), "").0, Some(0));
    assert_eq!(code("bob", "ink"), 535);
    for (args, password, wanted) in [
        (with(&["remove", "bob"]), "", "there is no user bob"),
        (with(&["passwd", "bob"]), "x\n", "there is no user bob"),
        (with(&["add", "a b"]), "x\n", "is not a name"),
        (with(&["add", "carol"]), "\n", "an empty password"),
        (vec!["list", "--file", "nowhere"], "", "nowhere"),
    ] {
        let (code, said) = done(&args, password);
        assert_eq!(code, Some(2), "{args:?}: {said}");
        assert!(said.contains(wanted), "{args:?}: {said}");
    }
    // Nothing of a password is anywhere but in its hash, and the file is its owner's alone.
    let file = fs::read_to_string(site.path().join("users")).unwrap();
    assert!(
        file.contains("$argon2id$") && file.contains(" SCRAM-SHA-256$") && !file.contains("pen")
    );
    // A file that can't be used leaves the users as they are, and stops a start.
    fs::write(site.path().join("users"), "alice@example.test\n").unwrap();
    assert_eq!(code("alice@example.test", "pencil"), 235);
    let log = server.stop();
    assert!(!log.matching(|line| line.message().starts_with("the users stay")).is_empty());
    let (code, said) = site.refused();
    assert_eq!(code, Some(1));
    assert!(said.contains("auth.users_file") && said.contains("users:1: wanted a name"), "{said}");
}

/// A smart host that lets nobody in without a login, and a server that sends by it: SCRAM-SHA-256 from both of its sides.
#[test]
fn a_route_logs_in_to_its_server() {
    let sink = Sink::open();
    let (hub, _) = site();
    let beyond = format!("[[route]]\ndomain = \"*\"\nnext_hop = \"{}\"\n", sink.address());
    hub.configure_tls(SUBMISSION, &format!("{USERS}{beyond}"));
    let smart_host = hub.start();

    let site = Site::new("");
    let login = |password: &str| {
        let path = site.path().join("login");
        let text = format!("alice@example.test\n{password}\n");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    };
    login("eraser");
    let queue = "[queue]\nretry_first = \"1s\"\nretry_max = \"1s\"\n";
    site.configure(&format!(
        "{queue}[[route]]\ndomain = \"elsewhere.test\"\nnext_hop = \"{}\"\ntls = \"required\"\nlogin_file = \"login\"\n",
        smart_host.address()
    ));
    let checked = site.run(&["check", "--config", "stagepost.toml"]);
    let checked = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.contains("OK  login_file "), "{checked}");
    let server = site.start();
    let message = "From: a@client.test\r\n\r\nHello.\r\n";
    assert_eq!(server.greeted().deliver("a@client.test", "b@elsewhere.test", message).code, 250);
    let refused = server.log().wait_for("the refusal", |line| line.message() == "deferred");
    assert!(refused.text("reply").contains("535 5.7.8 "), "{}", refused.text("reply"));
    assert!(refused.text("reply").ends_with(" to AUTH"), "{}", refused.text("reply"));
    assert!(sink.messages().is_empty());

    login("pencil");
    let reloaded = site.run(&["reload", "--config", "stagepost.toml"]);
    let said = String::from_utf8(reloaded.stdout).unwrap();
    assert!(said.starts_with("in force: the login_file ") && said.lines().count() == 1, "{said}");
    let received = sink.wait_for(1);
    assert_eq!(received[0].recipients, ["b@elsewhere.test"]);
    for log in [server.stop(), smart_host.stop()] {
        assert!(!log.to_string().contains("pencil") && !log.to_string().contains("eraser"));
    }
}
