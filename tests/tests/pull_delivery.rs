//! The default plug-in for mail that is fetched, on the real server: who gets what, and what the others are told.
//! Mail goes to a server that the route names, never back over the connection of who asks for it.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustls::pki_types::PrivateKeyDer;
use sha2::{Digest, Sha256};
use stagepost_tests::client::Client;
use stagepost_tests::name_server::{A, NameServer, PTR};
use stagepost_tests::plugin::build_rust;
use stagepost_tests::server::{Server, Site, plugin_section};
use stagepost_tests::sink::{Closed, Sink};
use stagepost_tests::wire::Trust;

const MESSAGE: &str = "Subject: fetched\r\n\r\nHello.\r\n";

/// What the plug-in does with ETRN from a client on loopback that is entitled.
const BRANCH: &str = "[[plugin.config.node]]\nname = \"branch.test\"\nnetworks = [\"127.0.0.1\"]\n";

fn plugin(section: &str) -> String {
    let file: PathBuf = build_rust("pull-delivery");
    plugin_section("pull-delivery", &file, section)
}

/// A route whose mail waits until it is fetched.
fn held(domain: &str, next_hop: &Sink) -> String {
    let next_hop = next_hop.address();
    format!("[[route]]\ndomain = \"{domain}\"\nnext_hop = \"{next_hop}\"\nhold = \"30d\"\n")
}

/// Hands in messages, each for one recipient.
fn leave(server: &Server, recipients: &[&str]) {
    let mut client = server.greeted();
    for recipient in recipients {
        let reply = client.deliver("a@client.test", recipient, MESSAGE);
        assert_eq!(reply.code, 250, "{reply}");
    }
}

/// Waits until nothing waits for a destination: what was delivered counts until that is written down.
fn wait_for_none(site: &Site, destination: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let counting = ["queue", "count", destination, "--json", "--config", "stagepost.toml"];
        let said = String::from_utf8(site.run(&counting).stdout).unwrap();
        let count: serde_json::Value = serde_json::from_str(&said).unwrap();
        if count["queued"] == 0 {
            return;
        }
        assert!(Instant::now() < deadline, "{said}");
    }
}

/// The recipients of what has come, sorted.
fn came(sink: &Sink, count: usize) -> Vec<String> {
    let messages = sink.wait_for(count);
    let mut recipients: Vec<_> = messages.into_iter().flat_map(|one| one.recipients).collect();
    recipients.sort();
    recipients
}

#[test]
fn mail_waits_until_it_is_asked_for_and_counts_are_true() {
    let sink = Sink::open();
    let site = Site::new(&(held("branch.test", &sink) + &plugin(BRANCH)));
    let server = site.start();
    leave(&server, &["x@branch.test", "y@branch.test", "z@example.test"]);
    server.log().wait_for("the local one", |line| line.message() == "delivered");
    let mut client = server.connect();
    client.say("ETRN branch.test", 503);
    let keywords = client.say("EHLO branch.test", 250);
    assert!(keywords.lines.iter().any(|line| line == "ETRN"), "{keywords}");
    client.say("ETRN", 501);
    client.say("ETRN a b", 501);
    client.say("MAIL FROM:<a@client.test>", 250);
    client.say("ETRN branch.test", 503);
    client.say("RSET", 250);
    assert_eq!(sink.messages(), []);
    let reply = client.say("ETRN Branch.test", 253);
    assert_eq!(reply.lines, ["2.0.0 2 pending messages for node Branch.test started"]);
    assert_eq!(came(&sink, 2), ["x@branch.test", "y@branch.test"]);
    wait_for_none(&site, "branch.test");
    // Nothing more comes, and nothing comes this way.
    client.say("ETRN branch.test", 251);
    client.say("NOOP", 250);
    client.say("QUIT", 221);
    client.expect_close();
    server.stop();
}

#[test]
fn nodes_have_domains_below_them_and_names_of_queues() {
    let sink = Sink::open();
    let routes = held("@isp.test", &sink) + &held("other.test", &sink);
    let nodes = "[[plugin.config.node]]\nname = \"gw.test\"\nnetworks = [\"127.0.0.1\"]\n\
        domains = [\"@isp.test\", \"other.test\"]\nqueues = [\"Nightly\"]\n\
        [[plugin.config.node]]\nname = \"quiet.isp.test\"\nnetworks = [\"127.0.0.1\"]\ntell = \"pending\"\n\
        [[plugin.config.node]]\nname = \"third.test\"\nusers = [\"third\"]\n";
    let site = Site::new(&(routes + &plugin(nodes)));
    let server = site.start();
    leave(&server, &["a@a.isp.test", "b@b.isp.test", "c@c.isp.test", "d@other.test"]);
    let mut client = server.greeted();
    client.say("ETRN isp.test", 251);
    client.say("ETRN a.isp.test", 253);
    assert_eq!(came(&sink, 1), ["a@a.isp.test"]);
    assert!(client.say("ETRN @b.isp.test", 253).lines[0].contains(" 1 pending "));
    assert_eq!(came(&sink, 2).len(), 2);
    client.say("ETRN @third.test", 459);
    client.say("ETRN #thirdly", 459);
    client.say("ETRN quiet.isp.test", 251);
    wait_for_none(&site, "@b.isp.test");
    assert!(client.say("ETRN #nightly", 253).lines[0].contains(" 2 pending "));
    assert_eq!(came(&sink, 4)[2..], ["c@c.isp.test", "d@other.test"]);
    leave(&server, &["e@quiet.isp.test"]);
    client.say("ETRN quiet.isp.test", 252);
    assert_eq!(came(&sink, 5).len(), 5);
    server.stop();
}

/// Whoever is not entitled hears the same of what is here and what is not, and moves nothing.
#[test]
fn others_learn_nothing() {
    let sink = Sink::open();
    let nodes = "[[plugin.config.node]]\nname = \"branch.test\"\nnetworks = [\"192.0.2.1\"]\nqueues = [\"q\"]\n\
        [[plugin.config.node]]\nname = \"open.test\"\nnetworks = [\"192.0.2.1\"]\nanybody = true\n";
    let routes = held("branch.test", &sink) + &held("open.test", &sink);
    let site = Site::new(&(routes + &plugin(nodes)));
    let server = site.start();
    leave(&server, &["x@branch.test", "y@open.test"]);
    let mut client = server.greeted();
    let mut said = |argument: &str, name: &str| {
        let reply = client.ask(&format!("ETRN {argument}"));
        (reply.code, reply.lines.concat().replace(name, "NODE"))
    };
    let unknown = said("none.test", "none.test");
    assert_eq!(unknown.0, 459);
    for (argument, name) in [
        ("branch.test", "branch.test"),
        ("@branch.test", "branch.test"),
        ("@none.test", "none.test"),
        ("#q", "q"),
        ("#none", "none"),
    ] {
        assert_eq!(said(argument, name), unknown, "{argument}");
    }
    // Started, and no word of how much there is.
    let open = said("open.test", "open.test");
    assert_eq!(open, (250, "2.0.0 Queuing for node NODE started".to_owned()));
    assert_eq!(came(&sink, 1), ["y@open.test"]);
    wait_for_none(&site, "open.test");
    assert_eq!(said("open.test", "open.test"), open);
    server.stop();
    assert_eq!(sink.messages().len(), 1);
}

#[test]
fn clients_are_known_by_network_name_and_login() {
    let sink = Sink::open();
    let names = NameServer::start(vec![
        ("1.2.0.192.in-addr.arpa", PTR, b"\x02gw\x06branch\x04test\0"),
        ("gw.branch.test", A, &[192, 0, 2, 1]),
        // Claims a name that is another's.
        ("2.2.0.192.in-addr.arpa", PTR, b"\x02gw\x06branch\x04test\0"),
    ]);
    let node = "[[plugin.config.node]]\nname = \"branch.test\"\nnetworks = [\"198.51.100.0/24\", \"2001:db8::/32\"]\n\
        host_names = [\".branch.test\"]\nusers = [\"branch@example.test\"]\n";
    let users = "[auth]\nusers_file = \"users\"\nfailure_delay = \"0s\"\n";
    let site = Site::new("");
    site.add_user("branch@example.test", "pencil");
    let fields =
        "proxy_from = [\"127.0.0.0/8\"]\nauth = \"offered\"\nauth_allow_plaintext = true\n";
    let further = [names.section(), users.to_owned(), held("branch.test", &sink), plugin(node)];
    site.configure_listener(fields, &further.concat());
    let server = site.start();
    let from = |address: &str| {
        let mut client = Client::connect(server.address());
        let (version, local) =
            if address.contains(':') { ("TCP6", "2001:db8::25") } else { ("TCP4", "192.0.2.25") };
        client.send(format!("PROXY {version} {address} {local} 4000 25\r\n").as_bytes());
        client.expect(220);
        client.say("EHLO client.test", 250);
        client
    };
    for (address, wanted) in [
        ("192.0.2.1", 251),
        ("192.0.2.2", 459),
        ("192.0.2.3", 459),
        ("198.51.100.7", 251),
        ("2001:db8:1::1", 251),
        ("203.0.113.1", 459),
    ] {
        let reply = from(address).ask("ETRN branch.test");
        assert_eq!(reply.code, wanted, "{address}: {reply}");
    }
    let mut client = from("203.0.113.1");
    // \0branch@example.test\0pencil
    client.say("AUTH PLAIN AGJyYW5jaEBleGFtcGxlLnRlc3QAcGVuY2ls", 235);
    client.say("ETRN branch.test", 251);
    server.stop();
}

#[test]
fn clients_are_known_by_their_certificates() {
    let key = rcgen::KeyPair::generate().unwrap();
    let made = |name: &str| {
        let parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        parameters.self_signed(&key).unwrap().der().clone()
    };
    let (branch, stranger) = (made("gw.branch.test"), made("gw.branch.test"));
    // As openssl prints it.
    let digits: Vec<_> = Sha256::digest(&branch).iter().map(|one| format!("{one:02X}")).collect();
    let node = format!(
        "[[plugin.config.node]]\nname = \"branch.test\"\ncertificates = [\"{}\"]\n",
        digits.join(":")
    );
    let sink = Sink::open();
    let site = Site::new("");
    let file = site.certify("mx.example.test");
    let further = held("branch.test", &sink) + &plugin(&node);
    site.configure_tls("client_certificates = true\n", &further);
    let server = site.start();
    server.greeted().say("ETRN branch.test", 459);
    for (shown, wanted) in [(Some(branch), 251), (Some(stranger), 459), (None, 459)] {
        let own = shown.map(|one| (one, PrivateKeyDer::Pkcs8(key.serialize_der().into())));
        let trust = Trust::new(&[&file], own, rustls::ALL_VERSIONS);
        let mut client = server.greeted();
        client.say("STARTTLS", 220);
        let mut client = client.secure(&trust, "mx.example.test").unwrap();
        client.say("EHLO gw.branch.test", 250);
        client.say("ETRN branch.test", wanted);
    }
    server.stop();
}

#[test]
fn requests_are_bounded_in_each_session() {
    let nowhere = Closed::reserve();
    let hop = nowhere.address();
    let route = format!("[[route]]\ndomain = \"@test\"\nnext_hop = \"{hop}\"\nhold = \"30d\"\n");
    let site = Site::new(
        &(route + &plugin(&format!("[plugin.config.etrn]\nper_session_max = 2\n{BRANCH}"))),
    );
    let server = site.start();
    leave(&server, &["x@branch.test"]);
    let mut client = server.greeted();
    client.say("ETRN branch.test", 253);
    client.say("ETRN branch.test", 253);
    let reply = client.say("ETRN branch.test", 458);
    assert_eq!(reply.lines, ["4.3.2 Unable to queue messages for node branch.test now"]);
    client.say("ETRN none.test", 458);
    server.greeted().say("ETRN branch.test", 253);
    server.log().wait_for("the attempt", |line| line.message() == "deferred");
    let log = server.stop();
    let why = "too many requests in one session";
    assert_eq!(log.matching(|line| line.message().ends_with(why)).len(), 2, "{log}");
}

#[test]
fn a_reload_takes_other_nodes_over() {
    let sink = Sink::open();
    let route = held("branch.test", &sink);
    let site = Site::new(&(route.clone() + &plugin("")));
    let server = site.start();
    leave(&server, &["x@branch.test"]);
    let mut client = server.connect();
    let keywords = client.say("EHLO branch.test", 250);
    assert!(!keywords.lines.iter().any(|line| line == "ETRN"), "{keywords}");
    client.say("ETRN branch.test", 502);
    let reload = || site.run(&["reload", "--config", "stagepost.toml"]).status.success();
    site.configure(&(route.clone() + &plugin(&BRANCH.replace("127.0.0.1", "127.0.0.300"))));
    assert!(!reload());
    site.configure(&(route + &plugin(BRANCH)));
    assert!(reload());
    client.say("EHLO branch.test", 250);
    client.say("ETRN branch.test", 253);
    assert_eq!(came(&sink, 1), ["x@branch.test"]);
    let log = server.stop();
    let place = "`node[0].networks[0]` \"127.0.0.300\" is neither an address nor a network";
    let told = log.matching(|line| line.message().contains(place));
    assert!(told.len() == 1 && told[0].message().contains("stagepost.toml:"), "{log}");
}
