//! ATRN on the real server: mail goes to who has logged in, over the connection on which they have, and is lost by nothing.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use stagepost_tests::client::Client;
use stagepost_tests::log::Line;
use stagepost_tests::plugin::build_rust;
use stagepost_tests::server::{Server, Site, plugin_section};
use stagepost_tests::sink::Sink;
use stagepost_tests::wire::Trust;

const MESSAGE: &str = "Subject: fetched\r\n\r\nHello.\r\n..dot\r\n";

/// \0branch@example.test\0pencil
const LOGIN: &str = "AUTH PLAIN AGJyYW5jaEBleGFtcGxlLnRlc3QAcGVuY2ls";

/// A server with a second listener for ATRN, and mail for two domains of one user and one of nobody.
fn site(fields: &str, section: &str) -> Site {
    let site = Site::new("");
    site.add_user("branch@example.test", "pencil");
    site.add_user("other@example.test", "pencil");
    let nodes = "[[plugin.config.node]]\nname = \"branch.test\"\nusers = [\"branch@example.test\"]\n\
        domains = [\"@branch.test\"]\n\
        [[plugin.config.node]]\nname = \"extra.test\"\nusers = [\"branch@example.test\"]\ndefault = false\n\
        [[plugin.config.node]]\nname = \"foreign.test\"\nusers = [\"other@example.test\"]\n";
    let routes = ["@branch.test", "extra.test", "foreign.test"]
        .map(|domain| format!("[[route]]\ndomain = \"{domain}\"\nhold = \"30d\"\n"));
    let listener = format!(
        "[[listen]]\nname = \"odmr\"\naddress = \"127.0.0.1:0\"\npurpose = \"odmr\"\n{fields}"
    );
    let users = "[auth]\nusers_file = \"users\"\nfailure_delay = \"0s\"\n";
    let plugin =
        plugin_section("pull-delivery", &build_rust("pull-delivery"), &format!("{section}{nodes}"));
    let further = [listener, users.to_owned(), routes.concat(), plugin].concat();
    if fields.contains("certificates") {
        site.certify("mx.example.test");
        site.configure_tls("", &further);
    } else {
        site.configure(&further);
    }
    site
}

const OPEN: &str = "require_tls = false\nauth_allow_plaintext = true\n";

/// Hands in messages, each for one recipient.
fn leave(server: &Server, recipients: &[&str]) {
    let mut client = server.greeted();
    for recipient in recipients {
        let reply = client.deliver("a@client.test", recipient, MESSAGE);
        assert_eq!(reply.code, 250, "{reply}");
    }
}

fn known(server: &Server) -> Client {
    let mut client = Client::connect(server.listener("odmr"));
    client.expect(220);
    client.say("EHLO branch.test", 250);
    client.say(LOGIN, 235);
    client
}

fn fetched(line: &Line) -> bool {
    line.message() == "mail was fetched"
}

fn recipients(sink: &Sink) -> Vec<String> {
    let mut found: Vec<_> = sink.messages().into_iter().flat_map(|one| one.recipients).collect();
    found.sort();
    found
}

#[test]
fn mail_comes_over_the_connection_of_who_asks() {
    let (site, sink) = (site(OPEN, ""), Sink::open());
    let server = site.start();
    leave(&server, &["a@branch.test", "b@x.branch.test", "c@extra.test", "d@foreign.test"]);
    let mut client = Client::connect(server.listener("odmr"));
    client.expect(220);
    let keywords = client.say("EHLO branch.test", 250);
    assert!(keywords.lines.iter().any(|line| line == "ATRN"), "{keywords}");
    client.say("ATRN", 530);
    client.say("MAIL FROM:<a@b.test>", 502);
    client.say(LOGIN, 235);
    client.say("ATRN branch.test,foreign.test", 450);
    client.say("ATRN none.test", 450);
    client.say("ATRN", 250);
    sink.take_over(client).unwrap();
    assert_eq!(recipients(&sink), ["a@branch.test", "b@x.branch.test"]);
    assert!(sink.messages()[0].octets.ends_with(b"\r\n\r\nHello.\r\n.dot\r\n"));
    server.log().wait_for("the end", fetched);
    let mut client = known(&server);
    client.say("ATRN", 453);
    client.say("ATRN extra.test", 250);
    sink.take_over(client).unwrap();
    assert_eq!(recipients(&sink), ["a@branch.test", "b@x.branch.test", "c@extra.test"]);
    // Elsewhere there is none.
    let mut other = server.greeted();
    assert!(!other.say("EHLO branch.test", 250).lines.iter().any(|line| line == "ATRN"));
    other.say("ATRN", 502);
    let log = server.stop();
    let ended = log.matching(fetched);
    assert_eq!(ended.len(), 2, "{log}");
    assert_eq!(ended[0].text("user"), "branch@example.test");
}

#[test]
fn tls_stays_on() {
    let (site, sink) = (site("certificates = [\"mx\"]\n", ""), Sink::open());
    let trust = Trust::in_file(&site.path().join("tls/mx.example.test.crt"));
    let server = site.start();
    leave(&server, &["b@x.branch.test"]);
    let mut client = Client::connect(server.listener("odmr"));
    client.expect(220);
    client.say("EHLO branch.test", 250);
    client.say("ATRN", 530);
    client.say("STARTTLS", 220);
    let mut client = client.secure(&trust, "mx.example.test").unwrap();
    client.say("EHLO branch.test", 250);
    client.say(LOGIN, 235);
    client.say("ATRN branch.test", 453);
    client.say("ATRN", 250);
    sink.take_over(client).unwrap();
    assert_eq!(recipients(&sink), ["b@x.branch.test"]);
    server.stop();
}

/// Whatever was sent behind the command as a client is no greeting of a server.
#[test]
fn what_is_pipelined_is_dropped() {
    let (site, sink) = (site(OPEN, ""), Sink::open());
    let server = site.start();
    leave(&server, &["a@branch.test"]);
    let mut client = known(&server);
    client.send(b"ATRN\r\n554 go away\r\n");
    client.expect(250);
    sink.take_over(client).unwrap();
    assert_eq!(recipients(&sink), ["a@branch.test"]);
    server.stop();
}

/// One user has one line, and what they refuse waits on.
#[test]
fn a_user_has_one_line_at_a_time() {
    let (site, sink) = (site(OPEN, ""), Sink::open());
    let server = site.start();
    leave(&server, &["a@branch.test", "b@branch.test", "d@foreign.test"]);
    let mut first = known(&server);
    first.say("ATRN", 250);
    let mut second = known(&server);
    second.say("ATRN", 451);
    sink.answer("451 4.2.1 Not now");
    sink.take_over(first).unwrap();
    assert_eq!(sink.messages().len(), 1);
    server.log().wait_for("the end", fetched);
    // The line is given back when the session of who had it is over, which comes behind that.
    let open = || {
        let status = site.run(&["status", "--json", "--socket", "state/admin.sock"]);
        let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
        status["sessions"]["open"].as_u64()
    };
    assert!((0..1000).any(|_| open() == Some(1)));
    second.say("ATRN", 250);
    sink.take_over(second).unwrap();
    assert_eq!(recipients(&sink), ["a@branch.test", "b@branch.test"]);
    let log = server.stop();
    let why = "the user fetches mail already";
    assert_eq!(log.matching(|line| line.message().ends_with(why)).len(), 1, "{log}");
}

/// The same by a plug-in in C, which is nobody's but the test's.
#[test]
fn a_plug_in_in_c_reverses_too() {
    let (site, sink) = (site(OPEN, ""), Sink::open());
    let file = site.compile("plugins/provider.c");
    let config = std::fs::read_to_string(site.path().join("stagepost.toml")).unwrap();
    site.write_config(&(config + &plugin_section("provider", &file, "priority = -1")));
    let server = site.start();
    leave(&server, &["a@branch.test", "b@x.branch.test", "c@below.branch.test"]);
    let mut client = known(&server);
    let reply = client.say("ATRN whatever.test", 250);
    assert_eq!(reply.lines, ["2.0.0 Ok, now reversing the connection"]);
    sink.take_over(client).unwrap();
    assert_eq!(recipients(&sink), ["a@branch.test", "c@below.branch.test"]);
    server.log().wait_for("the end", |line| line.message() == "it was reversed");
    server.stop();
}
