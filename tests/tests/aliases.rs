//! Names that stand for others on the real server: aliases, sub-addresses and whoever has the rest of a domain, at RCPT, in the
//! queue, in mailboxes and in what senders are told.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::mpsc;
use std::thread;

use stagepost_tests::client::Client;
use stagepost_tests::server::{Server, Site};
use stagepost_tests::sink::{Closed, Sink};

const ALIASES: &str = "\
sales: alice, bob@far.test      # one here, one there
both@corp.test: alice,
    dora
gone: nobody@list.test
half: nobody@list.test, alice@corp.test
list: list, alice@corp.test
@corp.test: dora
";

/// The domains `corp.test`, with sub-addresses and somebody for the rest, and `list.test`, without; the route to `far.test`.
fn sections(hop: &str) -> String {
    format!(
        "[[local_domain]]\nname = \"corp.test\"\nmailboxes = [\"alice\", \"dora\"]\nsub_address = \"+-\"\nmaildir = \"corp\"\n\
         [[local_domain]]\nname = \"list.test\"\nmailboxes = [\"list\", \"carl\"]\nmaildir = \"list\"\n\
         [[route]]\ndomain = \"far.test\"\nnext_hop = \"{hop}\"\n"
    )
}

/// A site with these aliases, that say so at the top of its configuration.
fn site(aliases: &str, further: &str) -> Site {
    let site = Site::new("");
    fs::write(site.path().join("aliases"), aliases).unwrap();
    site.configure(further);
    let path = site.path().join("stagepost.toml");
    let text = fs::read_to_string(&path).unwrap();
    site.write_config(&format!("aliases_file = \"aliases\"\n{text}"));
    site
}

/// What RCPT is answered for each, in one transaction.
fn expect_rcpt(server: &Server, cases: &[(&str, &str)]) {
    let mut client = server.greeted();
    client.say("MAIL FROM:<a@client.test>", 250);
    for (recipient, wanted) in cases {
        let reply = client.ask(&format!("RCPT TO:<{recipient}>")).to_string();
        assert!(reply.starts_with(wanted), "{recipient}: {reply}");
    }
}

/// What a mailbox of one of the domains has.
fn mailbox(site: &Site, name: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(site.path().join(name).join("new")) else { return Vec::new() };
    entries.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
}

fn wait_for_delivery(server: &Server, recipient: &str) {
    server.log().wait_for(recipient, |line| {
        line.message() == "delivered" && line.text("recipient") == recipient
    });
}

fn said(site: &Site, args: &[&str]) -> String {
    let output = site.run(&[args, &["--config", "stagepost.toml"]].concat());
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn whoever_is_behind_an_address_is_known_at_rcpt() {
    let sink = Sink::open();
    let site = site(ALIASES, &sections(&sink.address().to_string()));
    let server = site.start();
    let cases = [
        ("SALES@corp.test", "250 "),
        ("sales@list.test", "250 "),
        ("both@corp.test", "250 "),
        ("alice+news@corp.test", "250 "),
        ("sales-2@corp.test", "250 "),
        ("whoever@corp.test", "250 "),
        ("list@list.test", "250 "),
        ("half@list.test", "250 "),
        // Nobody is behind it, no separator there, no such name, and none who has the rest.
        ("gone@list.test", "550 5.1.1"),
        ("carl+news@list.test", "550 5.1.1"),
        ("both@list.test", "550 5.1.1"),
        ("whoever@list.test", "550 5.1.1"),
    ];
    expect_rcpt(&server, &cases);
    for (address, wanted) in [
        (
            "sales-x@corp.test",
            "sales-x@corp.test  sub-address      -> sales@corp.test\n\
             sales@corp.test    alias of line 1  -> alice@corp.test\n\
             \u{20}                                   -> bob@far.test\n\
             alice@corp.test    gets it          local:corp.test\n",
        ),
        ("half@list.test", "nobody@list.test  left out         nobody is behind it\n"),
        ("who@corp.test", "who@corp.test   catch-all of line 7  -> dora@corp.test\n"),
        ("gone@list.test", "refused at RCPT (unknown)\n"),
        ("bob@far.test", "accepted at RCPT (relay)\n"),
        ("no address", "is not an address"),
    ] {
        let explained = said(&site, &["address", "explain", address]);
        assert!(explained.contains(wanted), "{address}: {wanted}\n{explained}");
    }
    let json = said(&site, &["address", "explain", "--json", "both@corp.test"]);
    assert!(json.contains("\"by\":\"alias\",\"line\":2,\"to\":[\"alice@corp.test\","), "{json}");
    server.stop();
}

#[test]
fn mail_goes_to_those_whom_a_name_stands_for() {
    let sink = Sink::open();
    let site = site(ALIASES, &sections(&sink.address().to_string()));
    let server = site.start();
    let mut client = server.greeted();
    client.say("MAIL FROM:<a@client.test>", 250);
    for recipient in ["sales@corp.test", "both@corp.test", "dora-x@corp.test", "list@list.test"] {
        client.say(&format!("RCPT TO:<{recipient}>"), 250);
    }
    client.say("DATA", 354);
    client.send(b"Subject: to many\r\n\r\nHello.\r\n");
    let reply = client.say(".", 250).to_string();
    assert_eq!(sink.wait_for(1)[0].recipients, ["bob@far.test"]);
    for (recipient, name) in [
        ("alice@corp.test", "corp/alice"),
        ("dora@corp.test", "corp/dora"),
        ("list@list.test", "list/list"),
    ] {
        wait_for_delivery(&server, recipient);
        let mail = mailbox(&site, name);
        // Once each, however often a name led there.
        assert_eq!(mail.len(), 1, "{name}: {mail:?}");
        assert!(mail[0].contains(&format!("Delivered-To: {recipient}\n")), "{}", mail[0]);
    }
    assert!(!site.path().join("corp/sales").exists() && !site.path().join("corp/dora-x").exists());
    assert!(reply.starts_with("250 "), "{reply}");
    server.stop();
}

#[test]
fn what_became_of_an_alias_is_in_the_queue_and_in_what_senders_are_told() {
    // Nobody listens there: the mail for it stays in the queue.
    let closed = Closed::reserve();
    let site = site(ALIASES, &sections(&closed.address().to_string()));
    let server = site.start();
    let mut client = server.greeted();
    client.say("MAIL FROM:<list@list.test> ENVID=E1", 250);
    client.say("RCPT TO:<sales@corp.test> NOTIFY=SUCCESS,FAILURE", 250);
    client.say("DATA", 354);
    client.send(b"Subject: to be told of\r\n\r\nHello.\r\n");
    client.say(".", 250);
    let queued = server.log().wait_for("queued", |line| line.message() == "message queued");
    wait_for_delivery(&server, "alice@corp.test");
    let explained = said(&site, &["queue", "explain", &queued.text("id")]);
    for wanted in [
        "came for  <sales@corp.test> NOTIFY=SUCCESS,FAILURE\n",
        "(aliases)  before queue  recipient_replace  <sales@corp.test> NOTIFY=SUCCESS,FAILURE  <alice@corp.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;sales@corp.test",
        "recipient_add",
        "<bob@far.test>",
    ] {
        assert!(explained.contains(wanted), "{wanted}\n{explained}");
    }
    // The sender is an alias too, of itself and of another: both are told, and of the name that the sender knows.
    for (recipient, name) in [("list@list.test", "list/list"), ("alice@corp.test", "corp/alice")] {
        server.log().wait_for(recipient, |line| {
            line.message() == "delivered"
                && line.text("recipient") == recipient
                && line.text("id") != queued.text("id")
        });
        let told = mailbox(&site, name).into_iter().find(|text| text.contains("delivery-status"));
        let told = told.unwrap_or_else(|| panic!("{name}"));
        let wanted = "Original-Recipient: rfc822; sales@corp.test\nFinal-Recipient: rfc822; alice@corp.test\nAction: delivered\n";
        assert!(told.contains(wanted), "{told}");
    }
    server.stop();
}

#[test]
fn aliases_are_read_again_when_they_change_and_not_when_they_are_wrong() {
    let site = site("sales: carl\n", &sections("127.0.0.1:1"));
    let server = site.start();
    expect_rcpt(&server, &[("sales@list.test", "250 "), ("new@list.test", "550 5.1.1")]);
    let aliases = site.path().join("aliases");
    fs::write(&aliases, "new: carl\n").unwrap();
    server.log().wait_for("the change", |line| {
        line.message() == "configuration read again" && line.text("aliases") == "true"
    });
    expect_rcpt(&server, &[("sales@list.test", "550 5.1.1"), ("new@list.test", "250 ")]);
    // Seen by itself too, and told with its place.
    fs::write(&aliases, "new: carl\nround: about\nabout: carl, | round\n").unwrap();
    let line =
        server.log().wait_for("the fault", |line| line.message().contains("stays as it was"));
    assert!(
        line.message().contains("aliases:3:14: \"| round\" is no address"),
        "{}",
        line.message()
    );
    expect_rcpt(&server, &[("new@list.test", "250 ")]);
    fs::write(&aliases, "sales: carl\n").unwrap();
    let reloaded = said(&site, &["reload"]);
    assert!(reloaded.contains("in force: the aliases of aliases_file\n"), "{reloaded}");
    expect_rcpt(&server, &[("sales@list.test", "250 "), ("new@list.test", "550 5.1.1")]);
    server.stop();
}

#[test]
fn a_circle_of_aliases_is_found_before_anybody_is_served() {
    let site = site("a: b\nb: c\nc: a\n", &sections("127.0.0.1:1"));
    let (code, said) = site.refused();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("aliases:1:1: aliases go round in a circle: a@corp.test -> b@corp.test -> c@corp.test -> a@corp.test"), "{said}");
    let checked = site.run(&["check", "--config", "stagepost.toml"]);
    assert_eq!(checked.status.code(), Some(2));
    fs::write(site.path().join("aliases"), "a: b@list.test\n").unwrap();
    let checked = site.run(&["check", "--config", "stagepost.toml"]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(said.contains("with 1 aliases\n"), "{said}");
}

/// Circles that the names alone do not show.
#[test]
fn a_circle_through_a_sub_address_or_a_catch_all_is_found_too() {
    let site = site("", &sections("127.0.0.1:1"));
    for (aliases, wanted) in [
        (
            "# lists\nnews: news+all@corp.test\n",
            "aliases:2:1: aliases go round in a circle: news@corp.test -> news+all@corp.test -> news@corp.test",
        ),
        (
            "@corp.test: gone, lost\n",
            "aliases:1:1: aliases go round in a circle: gone@corp.test -> lost@corp.test -> gone@corp.test",
        ),
    ] {
        fs::write(site.path().join("aliases"), aliases).unwrap();
        let (code, said) = site.refused();
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(wanted), "{said}");
    }
    fs::write(site.path().join("aliases"), "news: news, dora+all@corp.test\n@corp.test: gone\n")
        .unwrap();
    let server = site.start();
    expect_rcpt(&server, &[("news@list.test", "250 "), ("x@corp.test", "550 5.1.1")]);
    fs::write(site.path().join("aliases"), "news: news+all@corp.test\n").unwrap();
    let reloaded = said(&site, &["reload"]);
    assert!(reloaded.contains("aliases:1:1: aliases go round in a circle"), "{reloaded}");
    expect_rcpt(&server, &[("news@list.test", "250 ")]);
    server.stop();
}

#[test]
fn an_alias_that_does_not_do_what_it_says_is_named_by_check() {
    let aliases = "\
all: alice, carl, nobody
sales: alice
far: a@far.test, b@farther.test
only@list.test: carl, alice
@corp.test: dora
";
    let many = |name: &str, count: usize| {
        let targets: Vec<String> = (0..count).map(|n| format!("u{n}@far.test")).collect();
        format!("{name}: {}\n", targets.join(", "))
    };
    let crowd = "crowd: most, alice\n";
    let aliases = format!("{aliases}{}{crowd}", many("most", 1000));
    let site = site(&aliases, &sections("127.0.0.1:1"));
    let lines = said(&site, &["check"]);
    let forsaken: Vec<_> = lines.lines().filter_map(|line| line.split_once("aliases:")).collect();
    let told: Vec<_> = forsaken.iter().map(|(_, told)| *told).collect();
    assert_eq!(
        told,
        [
            "3: of far, b@farther.test gets nothing: there is no such mailbox, or no route",
            "4: of only@list.test, alice@list.test gets nothing: there is no such mailbox, or no route",
            "7: of crowd, its mail is put off: crowd@list.test comes to more than 1000 addresses, or by more than 50 steps",
        ],
        "{lines}"
    );
    let server = site.start();
    expect_rcpt(&server, &[("most@corp.test", "250 "), ("crowd@corp.test", "451 4.4.3")]);
    server.stop();
}

/// However many wait for a directory that says nothing: who is not in it is served meanwhile.
#[test]
fn a_silent_directory_holds_nobody_else_up() {
    let directory = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = directory.local_addr().unwrap().port();
    let (asked, is_asked) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let silent = thread::spawn(move || {
        let mut held = Vec::new();
        for _ in 0..2 {
            held.push(directory.accept().unwrap());
            asked.send(()).unwrap();
        }
        // Nothing is ever said; then nobody is there.
        let _ = ended.recv();
    });
    let section = format!(
        "[ldap]\nservers = [\"ldap://127.0.0.1:{port}\"]\nstarttls = false\nbase = \"dc=test\"\ntimeout = \"30s\"\nconnections_max = 2\n"
    );
    let ldap = "[[local_domain]]\nname = \"ldap.test\"\nmailboxes = \"ldap\"\n";
    let site = site("sales: alice\n", &format!("{section}{ldap}{}", sections("127.0.0.1:1")));
    let server = site.start();
    let mut waiting: Vec<Client> = (0..20).map(|_| server.greeted()).collect();
    for (number, client) in waiting.iter_mut().enumerate() {
        client.say("MAIL FROM:<a@client.test>", 250);
        client.send(format!("RCPT TO:<u{number}@ldap.test>\r\n").as_bytes());
    }
    for _ in 0..2 {
        is_asked.recv().unwrap();
    }
    expect_rcpt(&server, &[("sales@corp.test", "250 "), ("nobody@list.test", "550 5.1.1")]);
    assert!(waiting.iter().all(|client| !client.has_octets()), "somebody was answered");
    drop(end);
    silent.join().unwrap();
    for client in &mut waiting {
        let reply = client.expect(451);
        assert!(reply.lines[0].starts_with("4.4.3 "), "{reply}");
    }
    server.stop();
}
