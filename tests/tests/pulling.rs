//! Calls to a server that holds mail for us, with a server of ours at either end: by ETRN and by ATRN, as an operator has them made.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use stagepost_tests::plugin::build_rust;
use stagepost_tests::script::Script;
use stagepost_tests::server::{Server, Site, plugin_section};
use stagepost_tests::sink::Closed;

const MESSAGE: &str = "Subject: fetched\r\n\r\nHello.\r\n..dot\r\n";

const OPEN: &str = "require_tls = false\nauth_allow_plaintext = true\n";

/// A port that is free, and that nobody is given for a while.
fn free_address() -> SocketAddr {
    Closed::reserve().address()
}

/// Who holds mail for branch.test, and sends it to `branch`, or over the line of who has logged in.
fn provider(branch: SocketAddr) -> (Site, Server) {
    provider_with(branch, OPEN)
}

/// The same; `fields` are of the listener for ATRN.
fn provider_with(branch: SocketAddr, fields: &str) -> (Site, Server) {
    let site = Site::new("");
    site.add_user("branch@example.test", "pencil");
    let secrets = site.path().join("secrets");
    fs::write(&secrets, "branch@example.test:tanstaaf\n").unwrap();
    fs::set_permissions(&secrets, Permissions::from_mode(0o600)).unwrap();
    let route =
        format!("[[route]]\ndomain = \"@branch.test\"\nnext_hop = \"{branch}\"\nhold = \"30d\"\n");
    let listener = format!(
        "[[listen]]\nname = \"odmr\"\naddress = \"127.0.0.1:0\"\npurpose = \"odmr\"\n{fields}"
    );
    let users =
        "[auth]\nusers_file = \"users\"\nsecrets_file = \"secrets\"\nfailure_delay = \"0s\"\n";
    let node = "[[plugin.config.node]]\nname = \"branch.test\"\ndomains = [\"@branch.test\"]\n\
        networks = [\"127.0.0.1\"]\nusers = [\"branch@example.test\"]\n";
    let plugin = plugin_section("pull-delivery", &build_rust("pull-delivery"), node);
    let further = [route, listener, users.to_owned(), plugin].concat();
    if fields.contains("certificates") {
        site.certify("mx.example.test");
        site.configure_tls("", &further);
    } else {
        site.configure(&further);
    }
    let server = site.start();
    (site, server)
}

/// The site that fetches its mail there, with one connection, `isp`, and mail of its own for the provider.
fn branch(address: SocketAddr, connection: &str) -> Site {
    let site = Site::new("");
    let secret = site.path().join("secret");
    fs::write(&secret, "pencil\n").unwrap();
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    configure(&site, address, connection);
    site
}

fn configure(site: &Site, address: SocketAddr, connection: &str) {
    let section = format!("[[plugin.config.connection]]\nname = \"isp\"\n{connection}\n");
    let plugin = plugin_section("pull-delivery", &build_rust("pull-delivery"), &section);
    site.write_config(&format!(
        "hostname = \"mx.branch.test\"\nstate_dir = \"state\"\n[log]\nformat = \"json\"\n\
         [[listen]]\nname = \"mx\"\naddress = \"{address}\"\n\
         [[local_domain]]\nname = \"branch.test\"\nmailboxes = \"any\"\nmaildir = \"mail\"\n\
         [[local_domain]]\nname = \"other.test\"\nmailboxes = \"any\"\nmaildir = \"other\"\n\
         [[route]]\ndomain = \"example.test\"\nhold = \"30d\"\nqueue = \"isp\"\n{plugin}"
    ));
}

fn to(address: SocketAddr, further: &str) -> String {
    with_tls("none", address, further)
}

fn with_tls(tls: &str, address: SocketAddr, further: &str) -> String {
    format!(
        "host = \"127.0.0.1\"\nport = {}\ntls = \"{tls}\"\njitter = \"0s\"\n{further}",
        address.port()
    )
}

/// At no time of any day that a test would be made at.
const NEVER: &str =
    "[plugin.config.connection.schedule]\ntimes = [\"00:00-00:01\"]\nzone = \"UTC\"\n";

fn leave(server: &Server, recipients: &[&str]) {
    let mut client = server.greeted();
    for recipient in recipients {
        let reply = client.deliver("a@client.test", recipient, MESSAGE);
        assert_eq!(reply.code, 250, "{reply}");
    }
}

/// Runs a command of the program against its server; what it prints, and whether it is content.
fn run(site: &Site, arguments: &[&str]) -> (bool, String) {
    let output = site.run(&[arguments, &["--socket", "state/admin.sock"]].concat());
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

/// The one connection, as the admin API shows it.
fn shown(site: &Site) -> Value {
    let (good, json) = run(site, &["pull", "status", "--json"]);
    assert!(good, "{json}");
    let all: Value = serde_json::from_str(&json).unwrap();
    all[0].clone()
}

fn subjects(site: &Site, user: &str) -> usize {
    site.mail(user).len()
}

#[test]
fn mail_is_asked_for_by_etrn_and_handed_over_in_one_call() {
    let own = free_address();
    let (theirs, provider) = provider(own);
    leave(&provider, &["a@branch.test", "a@branch.test", "b@branch.test"]);
    let fields = "method = \"etrn\"\nrouter_type = \"pull push\"\nrequest = [\"branch.test\"]\n\
        push = [\"#isp\"]\nkind = \"lan\"\nroute_at_once = 0\n";
    let site = branch(own, &(to(provider.address(), fields) + NEVER));
    let server = site.start();
    leave(&server, &["u@example.test", "u@example.test"]);
    let (good, said) = run(&site, &["pull", "isp"]);
    assert!(!good && said.contains("the schedule has no call now: the next one is at"), "{said}");
    let (good, said) = run(&site, &["pull", "isp", "--now"]);
    assert!(good, "{said}\n{}", server.log());
    assert!(said.ends_with("over: 2 of 2 handed over, 3 of 3 came\n"), "{said}");
    server.log().wait_for_count("all", 3, |line| line.message() == "delivered");
    assert_eq!((subjects(&site, "a"), subjects(&site, "b")), (2, 1));
    provider.log().wait_for_count("theirs", 5, |line| line.message() == "delivered");
    assert_eq!(subjects(&theirs, "u"), 2);
    let status = shown(&site);
    assert_eq!((&status["state"], &status["failures"]), (&"idle".into(), &0.into()));
    assert_eq!(status["last"]["reason"], "operator");
    let reply = "ETRN branch.test: 253 2.0.0 3 pending messages for node branch.test started";
    assert_eq!(status["last"]["done"]["replies"], Value::from(vec![reply]));
    // Nothing waits any more.
    let (good, said) = run(&site, &["pull", "isp", "--now"]);
    assert!(good && said.ends_with("over: 0 of 0 handed over, 0 of 0 came\n"), "{said}");
    let (_, said) = run(&site, &["pull", "status"]);
    assert!(said.contains("ETRN branch.test: 251 2.0.0 No messages waiting"), "{said}");
    server.stop();
    provider.stop();
}

#[test]
fn mail_is_fetched_by_atrn_over_the_connection_of_the_call() {
    let own = free_address();
    let (_theirs, provider) = provider(own);
    leave(&provider, &["a@branch.test", "b@branch.test"]);
    let fields = "user = \"branch@example.test\"\nsecret_file = \"secret\"\nlistener = \"mx\"\n\
        router_type = \"pull push\"\nrequest = [\"@branch.test\"]\npush = [\"#isp\"]\nroute_at_once = 0\n";
    let site = branch(own, &(to(provider.listener("odmr"), fields) + NEVER));
    let server = site.start();
    leave(&server, &["u@example.test"]);
    let (good, said) = run(&site, &["pull", "isp", "--now"]);
    assert!(good, "{said}\n{}", server.log());
    // On that port mail is taken from nobody: ours waits on, and is not lost.
    assert!(said.ends_with("over: 0 of 1 handed over, 2 came\n"), "{said}");
    server.log().wait_for_count("both", 2, |line| line.message() == "delivered");
    assert_eq!((subjects(&site, "a"), subjects(&site, "b")), (1, 1));
    let replies = shown(&site)["last"]["done"]["replies"].to_string();
    assert!(replies.contains("mail is not taken: 502 "), "{replies}");
    assert!(replies.contains("ATRN branch.test: 250 2.0.0 Ok, now reversing"), "{replies}");
    let (good, said) = run(&site, &["pull", "isp", "--now"]);
    assert!(good && said.ends_with("0 of 0 came\n"), "{said}");
    let (_, listed) = run(&site, &["queue", "list"]);
    assert!(listed.contains("502 5.5.1 Command not implemented"), "{listed}");
    // The password is read anew for each call.
    fs::write(site.path().join("secret"), "wrong\n").unwrap();
    let (good, said) = run(&site, &["pull", "isp", "--now"]);
    assert!(!good && said.contains("came to nothing: 535 "), "{said}");
    server.stop();
    provider.stop();
}

/// The line stays under TLS when it is reversed, and whoever asks about the session is told so: its trace header, for one.
#[test]
fn mail_is_fetched_by_atrn_under_tls() {
    let own = free_address();
    let (_theirs, provider) = provider_with(own, "certificates = [\"mx\"]\n");
    leave(&provider, &["a@branch.test"]);
    let fields = "user = \"branch@example.test\"\nsecret_file = \"secret\"\nlistener = \"mx\"\n\
        router_type = \"pull only\"\nrequest = [\"@branch.test\"]\n";
    let there = with_tls("required", provider.listener("odmr"), fields);
    let site = branch(own, &(there + NEVER));
    let server = site.start();
    let (good, said) = run(&site, &["pull", "isp", "--now"]);
    assert!(good && said.ends_with(", 1 came\n"), "{said}\n{}", server.log());
    server.log().wait_for("it", |line| line.message() == "delivered");
    let mail = String::from_utf8(site.mail("a").concat()).unwrap();
    let received = mail.split("Received: ").nth(1).unwrap();
    assert!(received.contains("by mx.branch.test with ESMTPS id "), "{mail}");
    assert!(received.contains(" tls TLS_"), "{mail}");
    server.stop();
    provider.stop();
}

#[test]
fn mail_goes_at_once_when_much_of_it_waits_or_some_is_urgent() {
    let own = free_address();
    let (theirs, provider) = provider(own);
    let fields = "push = [\"#isp\"]\nroute_at_once = 3\n";
    let site = branch(own, &(to(provider.address(), fields) + NEVER));
    let server = site.start();
    leave(&server, &["u@example.test", "u@example.test"]);
    let over = |line: &stagepost_tests::log::Line| line.message().contains("the call is over");
    assert_eq!(server.log().matching(over).len(), 0);
    leave(&server, &["u@example.test"]);
    server.log().wait_for("the call", over);
    provider.log().wait_for_count("three", 3, |line| line.message() == "delivered");
    assert_eq!(subjects(&theirs, "u"), 3);
    let mut client = server.greeted();
    let urgent = format!("Importance: high\r\n{MESSAGE}");
    assert_eq!(client.deliver("a@client.test", "u@example.test", &urgent).code, 250);
    server.log().wait_for_count("another call", 2, over);
    let status = shown(&site);
    assert_eq!(status["last"]["reason"], "urgent");
    server.stop();
    provider.stop();
}

/// It is kept back from a call outside of its times, and goes when an operator wants all of it handed over.
#[test]
fn mail_that_is_not_urgent_waits_for_its_times() {
    let own = free_address();
    let (theirs, provider) = provider(own);
    let fields = "push = [\"#isp\"]\nroute_at_once = 0\nlow_priority_times = [\"00:00-00:01\"]\n";
    let site = branch(own, &(to(provider.address(), fields) + NEVER));
    let server = site.start();
    leave(&server, &["u@example.test"]);
    let low = format!("Importance: low\r\n{MESSAGE}");
    let reply = server.greeted().deliver("a@client.test", "u@example.test", &low);
    assert_eq!(reply.code, 250, "{reply}");
    let (good, said) = run(&site, &["pull", "isp", "--now"]);
    assert!(good && said.ends_with("over: 1 of 2 handed over, 0 came\n"), "{said}");
    let (_, listed) = run(&site, &["queue", "list"]);
    assert!(listed.contains("450 4.2.1 waits for the times of mail"), "{listed}");
    let (good, said) = run(&site, &["route", "#isp"]);
    assert!(good && said.starts_with("connection isp is called"), "{said}");
    provider.log().wait_for_count("both", 2, |line| line.message() == "delivered");
    assert_eq!(subjects(&theirs, "u"), 2);
    server.stop();
    provider.stop();
}

#[test]
fn an_operator_has_mail_handed_over_and_looks_at_servers() {
    let own = free_address();
    let (theirs, provider) = provider(own);
    let fields = "push = [\"#isp\"]\nroute_at_once = 0\nurgent_at_once = false\n";
    let site = branch(own, &(to(provider.address(), fields) + NEVER));
    let server = site.start();
    leave(&server, &["u@example.test"]);
    let (good, said) = run(&site, &["route", "#isp"]);
    assert!(good && said.starts_with("connection isp is called"), "{said}");
    provider.log().wait_for("it", |line| line.message() == "delivered");
    assert_eq!(subjects(&theirs, "u"), 1);
    let (good, said) = run(&site, &["route", "elsewhere.test"]);
    assert_eq!((good, &*said), (true, "0 deliveries are tried now\n"));
    let (good, said) = run(&site, &["etrn", "check", "isp", "--node", "branch.test"]);
    let port = provider.address().port();
    let wanted = format!(
        "server  127.0.0.1:{port}\nTLS     no\nETRN    yes\nATRN    no\n\
         reply   251 2.0.0 No messages waiting for node branch.test\n"
    );
    assert_eq!((good, said), (true, wanted));
    let odmr = provider.listener("odmr").port().to_string();
    let check = ["etrn", "check", "127.0.0.1", "--tls", "none", "--port", &odmr];
    let (good, said) = run(&site, &check);
    assert!(good && said.contains("ATRN    yes\nAUTH    SCRAM-SHA-256"), "{said}");
    let (good, said) = run(&site, &["etrn", "check", "isp", "--node", "foreign.test"]);
    assert!(!good && said.contains("reply   459 4.7.1 "), "{said}");
    let nobody = free_address().port().to_string();
    let (good, said) = run(&site, &["etrn", "check", "127.0.0.1", "--port", &nobody]);
    assert!(!good && said.contains("onnection refused"), "{said}");
    let (good, said) = run(&site, &["pull", "none"]);
    assert!(
        !good && said.contains("there is no connection \\\"none\\\"")
            || said.contains("no connection \"none\""),
        "{said}"
    );
    server.stop();
    provider.stop();
}

/// A call under way ends under the document that it began with; the next one goes by the new one.
#[test]
fn documents_change_while_calls_are_made() {
    let own = free_address();
    let (tell, told) = std::sync::mpsc::channel();
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let first = Script::play(1, move |_, mut speaker| {
        speaker.greet(&["ETRN"]);
        assert_eq!(speaker.hear(), "ETRN @branch.test");
        tell.send(()).unwrap();
        wait.recv().unwrap();
        speaker.say("251 OK, no messages waiting");
        speaker.answer("QUIT", "221 bye");
    });
    let second = Script::play(1, |_, mut speaker| {
        speaker.greet(&["ETRN"]);
        speaker.answer("ETRN #nightly", "250 OK");
        speaker.answer("QUIT", "221 bye");
    });
    let fields = |request: &str| {
        format!(
            "method = \"etrn\"\nrouter_type = \"pull only\"\nrequest = [\"{request}\"]\n{NEVER}"
        )
    };
    let site = branch(own, &to(first.address(), &fields("@branch.test")));
    let server = site.start();
    let call = |json: &str| run(&site, &["plugin", "call", "pull-delivery", "pull", json]);
    let (good, said) = call("{\"name\": \"isp\", \"now\": true}");
    assert!(good, "{said}");
    told.recv().unwrap();
    configure(&site, own, &to(second.address(), &fields("#nightly")));
    let (good, said) = run(&site, &["reload"]);
    assert!(good, "{said}");
    let status = shown(&site);
    assert_eq!(status["state"], "calling");
    assert_eq!(status["call"]["phase"], "requesting");
    let (good, said) = call("{\"name\": \"isp\", \"now\": true}");
    assert!(!good && said.contains("a call is under way"), "{said}");
    go_on.send(()).unwrap();
    first.end();
    let over = |line: &stagepost_tests::log::Line| line.message().contains("the call is over");
    server.log().wait_for("the first", over);
    let (good, said) = run(&site, &["pull", "isp", "--now"]);
    assert!(good, "{said}");
    second.end();
    // What is wrong is told with its place, and the old documents stay.
    configure(&site, own, &to(own, &fields("@branch..test")));
    let (good, said) = run(&site, &["reload"]);
    assert!(!good, "{said}");
    let line =
        server.log().wait_for("why", |line| line.message().contains("connection[0].request[0]"));
    assert!(line.message().contains("stagepost.toml:"), "{}", line.as_str());
    server.stop();
}

#[test]
fn a_server_that_is_not_there_is_called_again_later() {
    let own = free_address();
    let nobody = free_address();
    let fields =
        "push = [\"#isp\"]\n[plugin.config.connection.schedule]\ntimes = []\nzone = \"UTC\"\n";
    let site = branch(own, &to(nobody, fields));
    let server = site.start();
    let (good, said) = run(&site, &["pull", "isp"]);
    assert!(!good && said.contains("onnection refused"), "{said}");
    let status = shown(&site);
    assert_eq!(
        (&status["state"], &status["next_reason"]),
        (&"backing-off".into(), &"retry".into())
    );
    assert_eq!(status["failures"], 1);
    server.stop();
}

/// The other side's ETRN has mail handed over by a connection of ours, with its port, TLS and login.
#[test]
fn mail_that_waits_is_handed_over_when_the_other_side_asks() {
    let own = free_address();
    let (theirs, provider) = provider(own);
    let fields = "push = [\"#isp\"]\nrouter_type = \"push wait\"\nnode = \"example.test\"\n\
        [[plugin.config.node]]\nname = \"example.test\"\nnetworks = [\"127.0.0.1\"]\n";
    let site = branch(own, &to(provider.address(), fields));
    let server = site.start();
    leave(&server, &["u@example.test"]);
    assert_eq!(shown(&site)["state"], "on-demand");
    let reply = server.greeted().ask("ETRN example.test");
    assert_eq!(reply.code, 253, "{reply}");
    provider.log().wait_for("it", |line| line.message() == "delivered");
    assert_eq!(subjects(&theirs, "u"), 1);
    server.log().wait_for("the end", |line| line.message().contains("the call is over"));
    assert_eq!(shown(&site)["last"]["reason"], "etrn");
    server.stop();
    provider.stop();
}

/// What the line is made with runs before the call, and what it is ended with behind it, also when the call comes to nothing.
#[test]
fn commands_make_and_end_the_line() {
    let own = free_address();
    let nobody = free_address();
    let fields = "kind = \"dialup\"\npush = [\"#isp\"]\n\
        pre_connect = { command = [\"/bin/sh\", \"-c\", \"echo up >> line\"] }\n\
        post_connect = { command = [\"/bin/sh\", \"-c\", \"echo down >> line; exit 3\"], timeout = \"20s\" }\n";
    let site = branch(own, &(to(nobody, fields) + NEVER));
    let server = site.start();
    let (good, said) = run(&site, &["pull", "isp", "--now"]);
    assert!(!good && said.contains("onnection refused"), "{said}");
    assert_eq!(fs::read_to_string(site.path().join("line")).unwrap(), "up\ndown\n");
    server.stop();
}
