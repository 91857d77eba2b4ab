//! What an add-in returns, and what becomes of it; what it is told, and what it changes.

use stagepost_tests::add_in::Making;
use stagepost_tests::client::Client;
use stagepost_tests::scram::base64;
use stagepost_tests::wire::Trust;

use crate::rig::{Rig, count, greeted, probe, said, wait_for};

const CONTINUE: &str = "725";
const TRANSIENT: &str = "4422";
const PERMANENT: &str = "4421";
const NO_ACCESS: &str = "582";

#[test]
fn connect_is_refused_deferred_or_let_pass() {
    let (rig, server) = probe();
    for (value, code) in [(CONTINUE, 220), (NO_ACCESS, 554), (PERMANENT, 554), ("1", 554)] {
        rig.set(&format!("probe_connect={value}\n"));
        let mut client = Client::connect(server.address());
        client.expect(code);
        if code != 220 {
            // Denied, but not dropped; nothing but QUIT is left, and so no VRFY either.
            client.say("EHLO client.test", 503);
            client.say("VRFY somebody", 503);
        }
        client.say("QUIT", 221);
    }
    rig.set(&format!("probe_connect={TRANSIENT}\n"));
    let mut client = Client::connect(server.address());
    client.expect(421);
    client.expect_close();
    // A value after an event changes nothing.
    rig.set(&format!(
        "probe_after_connect={NO_ACCESS}\nprobe_after_command=1\nprobe_disconnect=1\n"
    ));
    greeted(&server).say("QUIT", 221);
    server.stop();
}

#[test]
fn no_error_at_connect_skips_lists_and_relaying_is_what_possible_relay_says() {
    let rig = Rig::new();
    rig.make("probe.c", "probe", Making::default());
    let access = stagepost_tests::plugin::build_rust("access-control");
    let route = "[[route]]\ndomain = \"*\"\nnext_hop = \"127.0.0.1:1\"\n";
    rig.configure(route, "priority = -1", "addins = [\"probe\"]\n");
    let config = rig.folder().join("stagepost.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let denied =
        "[plugin.config.private_black]\nentries = [\"[127.0.0.1]\"]\naction = \"reject\"\n";
    let section = stagepost_tests::server::plugin_section("access-control", &access, denied);
    rig.site.write_config(&format!("{text}\n{section}"));
    let server = rig.site.start();
    // What MAIL is answered, RCPT to a mailbox of ours, and RCPT to another.
    for (variables, wanted) in [
        ("", [554, 503, 503]),
        ("probe_connect=0\n", [250, 250, 554]),
        ("probe_connect=0\nprobe_relay=0\n", [250, 250, 250]),
        ("probe_connect=0\nprobe_relay=1\n", [250, 250, 554]),
        // The controls run, for a client that is no relay.
        ("probe_relay=0\n", [250, 250, 250]),
    ] {
        rig.set(variables);
        let mut client = greeted(&server);
        let commands =
            ["MAIL FROM:<a@client.test>", "RCPT TO:<b@example.test>", "RCPT TO:<b@elsewhere.test>"];
        let codes = commands.map(|command| client.ask(command).code);
        assert_eq!(codes, wanted, "{variables}");
    }
    server.stop();
}

#[test]
fn the_arguments_of_connect_are_those_of_the_client() {
    let rig = Rig::new();
    rig.make("probe.c", "probe", Making::default());
    let proxies = "proxy_from = [\"127.0.0.0/8\"]\n";
    rig.configure_listener(proxies, "", "", "addins = [\"probe\"]\n");
    let server = rig.site.start();
    for (address, wanted) in [
        ("TCP4 192.0.2.1 192.0.2.25", "ip=192.0.2.1 host=[mx.client.test] relay=1"),
        ("TCP4 192.0.2.9 192.0.2.25", "ip=192.0.2.9 host=[] relay=1"),
        // Longer than a name can be, and than the buffers in which add-ins keep names.
        ("TCP4 192.0.2.3 192.0.2.25", "ip=192.0.2.3 host=[] relay=1"),
        ("TCP6 ::c000:201 ::c000:219", "ip=::192.0.2.1 host=[] relay=1"),
        ("TCP6 2001:db8::1 2001:db8::25", "ip=2001:db8::1 host=[] relay=1"),
    ] {
        let mut client = Client::connect(server.address());
        client.send(format!("PROXY {address} 4000 25\r\n").as_bytes());
        client.expect(220);
        client.say("QUIT", 221);
        wait_for(&server, wanted);
    }
    assert_eq!(count(&server, "too early"), 0);
    server.stop();
}

#[test]
fn the_greeting_is_changed_in_place_behind_the_name() {
    let (rig, server) = probe();
    for (greeting, wanted) in [
        ("220 mx.example.test at your service", "220 mx.example.test at your service"),
        ("220 another service", "220 mx.example.test another service"),
        ("no code at all", "220 mx.example.test no code at all"),
        // The class of a reply stays what it is.
        ("554 go away", "220 mx.example.test ESMTP Stagepost"),
    ] {
        rig.set(&format!("probe_greeting={greeting}\n"));
        let reply = Client::connect(server.address()).reply();
        assert!(reply.to_string().starts_with(wanted), "{greeting}: {reply}");
    }
    wait_for(
        &server,
        "add-in probe changes a reply in vain: it makes a reply of class 2 one of class 5",
    );
    wait_for(&server, "greeting room=2048 status=0 is [220 mx.example.test");
    rig.set(&format!("probe_connect={NO_ACCESS}\n"));
    Client::connect(server.address()).expect(554);
    wait_for(&server, "greeting room=2048 status=582 is [554 Access denied]");
    server.stop();
}

#[test]
fn commands_are_carried_out_skipped_or_refused() {
    let (rig, server) = probe();
    let mut client = greeted(&server);
    for (value, verb, code) in [
        (CONTINUE, "NOOP", 250),
        ("0", "VRFY x", 250),
        ("0", "UNHEARD OF", 250),
        (NO_ACCESS, "NOOP", 554),
        (PERMANENT, "VRFY x", 554),
        (TRANSIENT, "NOOP", 451),
        (NO_ACCESS, "MAIL FROM:<a@client.test>", 554),
        (TRANSIENT, "MAIL FROM:<a@client.test>", 451),
        // To skip what changes the state would leave the two sides out of step.
        ("0", "MAIL FROM:<a@client.test>", 451),
        (CONTINUE, "MAIL FROM:<a@client.test>", 250),
    ] {
        rig.set(&format!("probe_command={value}\n"));
        let reply = client.ask(verb);
        assert_eq!(reply.code, code, "{value} {verb}: {reply}");
    }
    rig.set("");
    let status = |verb: &str, status: &str| {
        let verb = format!("[{verb}]");
        let fits = |line: &str| {
            line.contains("command after session=") && line.contains(&verb) && line.contains(status)
        };
        server.log().wait_for(status, |line| fits(line.message()));
    };
    // After is told of all of them, with what was said before.
    status("NOOP", "status=582 reply=[554 5.7.1 Command rejected]");
    status("NOOP", "status=4422 reply=[451 4.7.1 Not now, try again later]");
    status("VRFY x", "status=0 reply=[250 ");
    client.say("RCPT TO:<x@elsewhere.test>", 550);
    status("RCPT TO:<x@elsewhere.test>", "status=4421 reply=[550 ");
    server.stop();
}

#[test]
fn commands_are_rewritten_and_replies_reworded() {
    let (rig, server) = probe();
    let mut client = greeted(&server);
    rig.set("probe_only=MAIL\nprobe_rewrite=MAIL FROM:<other@client.test>\n");
    client.say("MAIL FROM:<a@client.test>", 250);
    wait_for(&server, "[MAIL FROM:<other@client.test>] status=0 reply=[250 ");
    rig.set("probe_only=RCPT\nprobe_reply=250 2.1.5 Very well\n");
    assert_eq!(client.say("RCPT TO:<b@example.test>", 250).to_string(), "250 2.1.5 Very well");
    rig.set("probe_only=RCPT\nprobe_reply=251 2.1.5 Forwarded\n");
    assert_eq!(client.say("RCPT TO:<c@example.test>", 251).to_string(), "251 2.1.5 Forwarded");
    rig.set("probe_only=RCPT\nprobe_reply=550 No\n");
    client.say("RCPT TO:<d@example.test>", 250);
    rig.set("probe_only=EHLO\nprobe_reply=250 hello there\n");
    // Keywords are the server's: only a text with all of them can be told apart from one that drops them.
    let reply = client.say("EHLO client.test", 250).to_string();
    assert!(reply.contains("PIPELINING"), "{reply}");
    wait_for(&server, "changes the keywords of EHLO");
    server.stop();
}

/// What is said in AUTH is nobody's but the server's.
#[test]
fn of_auth_add_ins_see_the_mechanism() {
    let rig = Rig::new();
    rig.make("probe.c", "probe", Making::default());
    rig.site.add_user("ann@example.test", "opensesame");
    let trust = Trust::in_file(&rig.site.certify("mx.example.test"));
    let tls = "purpose = \"submission\"\ncertificates = [\"mx\"]\n";
    let certificate = "[[certificate]]\nname = \"mx\"\nchain = \"tls/mx.example.test.crt\"\nkey = \"tls/mx.example.test.key\"\n\n[auth]\nusers_file = \"users\"\n\n";
    rig.configure_listener(tls, certificate, "", "addins = [\"probe\"]\n");
    let server = rig.site.start();
    let mut client = greeted(&server);
    client.say("STARTTLS", 220);
    let mut client = client.secure(&trust, "mx.example.test").unwrap();
    client.say("EHLO client.test", 250);
    let secret = base64("\0ann@example.test\0opensesame");
    client.say(&format!("AUTH PLAIN {secret}"), 235);
    wait_for(&server, "[AUTH PLAIN *] status=0 reply=[235 ");
    client.say("QUIT", 221);
    let log = server.stop();
    assert!(log.matching(|line| line.as_str().contains(&secret)).is_empty(), "{log}");
}

#[test]
fn messages_are_stored_dropped_or_refused() {
    let (rig, server) = probe();
    for (value, code, reply) in [
        (CONTINUE, 250, "status=0 reply=[250 "),
        ("0", 250, "status=0 reply=[250 "),
        (NO_ACCESS, 554, "status=582 reply=[554 5.7.1 Message rejected]"),
        (PERMANENT, 554, "status=4421 reply=[554 5.7.1 Message rejected]"),
        (TRANSIENT, 451, "status=4422 reply=[451 4.7.1 Not now, try again later]"),
    ] {
        rig.set(&format!("probe_message={value}\n"));
        let mut client = server.greeted();
        let given = client.deliver(
            "a@client.test",
            &format!("u{value}@example.test"),
            "Subject: x\r\n\r\ny\r\n",
        );
        assert_eq!(given.code, code, "{value}: {given}");
        client.say("QUIT", 221);
        wait_for(&server, &format!("note=1 {reply}"));
    }
    rig.set("probe_message_reply=250 Taken with thanks\n");
    let reply =
        server.greeted().deliver("a@client.test", "last@example.test", "Subject: x\r\n\r\ny\r\n");
    assert_eq!(reply.to_string(), "250 2.0.0 Taken with thanks");
    server.log().wait_for_count("the deliveries", 2, |line| line.message() == "delivered");
    assert_eq!(rig.site.mail("u725").len(), 1);
    assert_eq!(rig.site.mail("u0").len(), 0);
    server.stop();
}

#[test]
fn a_session_ends_exactly_once_however_it_ends() {
    let (rig, server) = probe();
    let ended = |before: usize| {
        server.log().wait_for_count("the end", before + 1, |line| {
            line.message().contains("disconnect after")
        });
        assert_eq!(count(&server, "disconnect before"), before + 1);
    };
    greeted(&server).say("QUIT", 221);
    ended(0);
    greeted(&server).abort();
    ended(1);
    rig.set(&format!("probe_connect={NO_ACCESS}\n"));
    let mut client = Client::connect(server.address());
    client.expect(554);
    client.say("QUIT", 221);
    ended(2);
    rig.set(&format!("probe_connect={TRANSIENT}\n"));
    Client::connect(server.address()).expect(421);
    ended(3);
    let connects: Vec<String> =
        said(&server).into_iter().filter(|line| line.contains("connect before")).collect();
    let number = |line: &String| {
        line.split("session=").nth(1).and_then(|rest| rest.split(' ').next().map(str::to_owned))
    };
    let mut of_connect: Vec<_> =
        connects.iter().filter(|line| line.contains(" connect ")).filter_map(number).collect();
    let mut of_end: Vec<_> =
        connects.iter().filter(|line| line.contains("disconnect")).filter_map(number).collect();
    of_connect.sort();
    of_end.sort();
    assert_eq!((of_connect.len(), &of_connect), (4, &of_end));
    server.stop();
}

/// For add-ins a proxy's client is another one: the session before is over, and this one begins.
#[test]
fn a_client_that_a_proxy_tells_of_is_a_connect_of_its_own() {
    let rig = Rig::new();
    rig.make("probe.c", "probe", Making::default());
    let proxies = "proxy_from = [\"127.0.0.1\"]\nxclient_from = [\"192.0.2.1\"]\n";
    rig.configure_listener(proxies, "", "", "addins = [\"probe\"]\n");
    let server = rig.site.start();
    let greeted = || {
        let mut client = Client::connect(server.address());
        client.send(b"PROXY TCP4 192.0.2.1 192.0.2.25 4000 25\r\n");
        client.expect(220);
        client.say("EHLO client.test", 250);
        client
    };
    let mut client = greeted();
    client.say("XCLIENT ADDR=192.0.2.77 NAME=told.client.test", 220);
    client.say("QUIT", 221);
    server.log().wait_for_count("both ends", 2, |line| line.message().contains("disconnect after"));
    // What it was told, in order: event, stage and of connect the client.
    let told: Vec<String> = said(&server)
        .iter()
        .filter_map(|line| line.strip_prefix("probe: "))
        .filter(|line| line.contains(" session="))
        .map(|line| {
            let (stage, rest) = line.split_once(" session=").unwrap();
            let behind = rest.split_once(' ').map_or("", |(_, behind)| behind);
            let shown = behind.split(" status=").next().unwrap_or_default();
            format!("{stage} {shown}").trim_end().to_owned()
        })
        .collect();
    let wanted = [
        "connect before ip=192.0.2.1 host=[mx.client.test] relay=1",
        "connect after ip=192.0.2.1 host=[mx.client.test] relay=1",
        "command before [EHLO client.test]",
        "command after [EHLO client.test]",
        "command before [XCLIENT ADDR=192.0.2.77 NAME=told.client.test]",
        "disconnect before",
        "disconnect after",
        "connect before ip=192.0.2.77 host=[told.client.test] relay=1",
        "connect after ip=192.0.2.77 host=[told.client.test] relay=1",
        "command after [XCLIENT ADDR=192.0.2.77 NAME=told.client.test]",
        "command before [QUIT]",
        "command after [QUIT]",
        "disconnect before",
        "disconnect after",
    ];
    assert_eq!(told, wanted);

    // What was said of the proxy is not said of its client.
    rig.set("probe_connect=0\nprobe_relay=0\n");
    let mut client = greeted();
    rig.set(&format!("probe_connect={NO_ACCESS}\n"));
    client.say("XCLIENT ADDR=192.0.2.78", 554);
    client.say("EHLO client.test", 503);
    client.say("QUIT", 221);
    server.log().wait_for_count("all ends", 4, |line| line.message().contains("disconnect after"));
    rig.set("probe_connect=0\nprobe_relay=0\n");
    let mut client = greeted();
    rig.set("");
    client.say("XCLIENT ADDR=192.0.2.79", 220);
    client.say("EHLO client.test", 250);
    client.say("MAIL FROM:<a@client.test>", 250);
    client.say("RCPT TO:<b@elsewhere.test>", 550);
    server.stop();
}

#[test]
fn every_way_to_read_a_record_works_with_every_compiler() {
    for (compiler, language, standard) in [
        ("cc", "c", "-std=gnu11"),
        ("cc", "c", "-std=c99"),
        ("c++", "c++", "-std=c++98"),
        ("c++", "c++", "-std=c++17"),
    ] {
        reads(compiler, language, standard);
    }
}

/// An add-in for each way to read a record, at two levels of optimisation, all in one server.
fn reads(compiler: &str, language: &str, standard: &str) {
    let rig = Rig::new();
    let mut names = Vec::new();
    for read in 1..=3 {
        for level in ["-O0", "-O2"] {
            let name = format!("probe{read}{}", &level[1..]);
            let (read, own) = (format!("-DREAD={read}"), format!("-DNAME=\"{name}\""));
            let flags: [&str; 5] = [standard, level, &read, &own, "-D_DEFAULT_SOURCE"];
            rig.make("probe.c", &name, Making { compiler, language, flags: &flags, linked: true });
            names.push(name);
        }
    }
    let server = rig.start(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let mut client = greeted(&server);
    let reply = client.deliver("a@client.test", "b@example.test", "Subject: x\r\n\r\ny\r\n");
    assert_eq!(reply.code, 250, "{reply}");
    client.say("QUIT", 221);
    server.log().wait_for_count("all ends", names.len(), |line| {
        line.message().contains("disconnect after")
    });
    for name in &names {
        let of = |part: &str| {
            said(&server)
                .iter()
                .filter(|line| line.starts_with(name) && line.contains(part))
                .count()
        };
        assert_eq!(of("connect before session="), 2, "{name}: with that of disconnect");
        assert_eq!(of("ip=127.0.0.1 host=["), 2, "{name}");
        assert_eq!(of("[MAIL FROM:<a@client.test>] status=0 reply=[]"), 1, "{name}");
        assert_eq!(of("[MAIL FROM:<a@client.test>] status=0 reply=[250 "), 1, "{name}");
        assert_eq!(of("note=1 status=0 reply=[]"), 1, "{name}");
        assert_eq!(of("note=1 status=0 reply=[250 "), 1, "{name}");
    }
    server.stop();
}

mod clang {
    #[test]
    fn makes_add_ins_that_read_as_well() {
        super::reads("clang", "c", "-std=gnu11");
        super::reads("clang++", "c++", "-std=c++11");
    }
}
