//! Sessions of plug-ins with other servers, on the real server: from C and from Rust, with a server that says what it is told.
//! Knows the plug-ins caller and caller-rust.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use stagepost_tests::client::Client;
use stagepost_tests::plugin::build_rust;
use stagepost_tests::script::{Script, Speaker};
use stagepost_tests::server::{Server, Site, plugin_section};
use stagepost_tests::sink::{Closed, Sink};

const MESSAGE: &str = "Subject: waits\r\n\r\nHello.\r\n..dot\r\n";

/// A server with the plug-in in C, and mail that waits for waiting.test.
fn calling() -> (Site, Server) {
    let site = Site::new("");
    let file = site.compile("plugins/caller.c");
    site.configure(&further(&file));
    let server = site.start();
    (site, server)
}

fn further(file: &Path) -> String {
    let route = "[[route]]\ndomain = \"@waiting.test\"\nhold = \"30d\"\nqueue = \"isp\"\n";
    format!("{route}{}", plugin_section("caller", file, ""))
}

fn leave(server: &Server, recipients: &[&str]) {
    let mut client = server.greeted();
    for recipient in recipients {
        assert_eq!(client.deliver("a@client.test", recipient, MESSAGE).code, 250);
    }
}

/// Has the plug-in do these steps; what came of each.
fn talk(site: &Site, steps: &str) -> Vec<String> {
    let json = format!("\"{steps}\"");
    let said = verb(site, "talk", &json);
    said.trim_matches('"').split(';').map(str::to_owned).collect()
}

fn verb(site: &Site, verb: &str, json: &str) -> String {
    let base = ["plugin", "call", "--socket", "state/admin.sock", "caller", verb, json];
    let output = site.run(&base);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn no_faults(server: &Server) {
    let faults = server.log().matching(|line| line.message().contains("fault"));
    assert!(faults.is_empty(), "{}", server.log());
}

fn bye(speaker: &mut Speaker) {
    speaker.answer("QUIT", "221 bye");
    assert_eq!(speaker.hear(), "");
}

#[test]
fn a_server_is_dialled_asked_and_left() {
    let (site, server) = calling();
    let script = Script::play(1, |_, mut speaker| {
        speaker.greet(&["ETRN", "SIZE 1000"]);
        speaker.answer("ETRN @a.test", "253 2.0.0 7 pending messages");
        speaker.answer("VRFY x", "550-5.1.1 no\n550 5.1.1 such name");
        bye(&mut speaker);
    });
    let to = format!("to 127.0.0.1 {}", script.address().port());
    let steps = format!(
        "{to};open;keywords;remote;command ETRN @a.test;told;progress;command VRFY x;told;quit;progress;close"
    );
    assert_eq!(
        talk(&site, &steps),
        [
            "[0000]",
            "[0000]",
            "ETRN|SIZE 1000",
            "127.0.0.1",
            "[0000]",
            "253 2.0.0 7 pending messages",
            "state 2 code 253 tls 0 pushed 0 done 0 received 0",
            "[0000]",
            "550 5.1.1 no|such name",
            "[0000]",
            "state 6 code 550 tls 0 pushed 0 done 0 received 0",
            "[0000]",
        ]
    );
    script.end();
    no_faults(&server);
    server.stop();
}

#[test]
fn mail_that_waits_is_pushed_and_each_message_settled_by_itself() {
    let (site, server) = calling();
    leave(&server, &["a@waiting.test", "b@x.waiting.test", "c@waiting.test"]);
    let sink = Sink::open();
    sink.answer("451 4.2.1 not this one");
    let to = format!("to 127.0.0.1 {}", sink.address().port());
    let steps =
        format!("{to};open;push none.test;push @waiting.test;progress;push #isp;progress;quit");
    let said = talk(&site, &steps);
    assert_eq!(said[2..4], ["[0000]", "[0000]"]);
    assert_eq!(said[4], "state 2 code 0 tls 0 pushed 3 done 2 received 0");
    assert_eq!(said[6], "state 2 code 0 tls 0 pushed 4 done 3 received 0");
    let mut recipients: Vec<_> =
        sink.messages().into_iter().flat_map(|message| message.recipients).collect();
    recipients.sort();
    assert_eq!(recipients, ["a@waiting.test", "b@x.waiting.test", "c@waiting.test"]);
    assert!(sink.messages()[0].octets.ends_with(b"\r\n\r\nHello.\r\n.dot\r\n"));
    assert!(server.log().matching(|line| line.message() == "delivered").len() >= 3);
    server.stop();
}

/// What was not acknowledged before the connection broke waits on, and goes with the next one.
#[test]
fn a_push_that_breaks_loses_nothing() {
    let (site, server) = calling();
    leave(&server, &["a@waiting.test", "b@waiting.test"]);
    let script = Script::play(1, |_, mut speaker| {
        speaker.greet(&[]);
        assert!(speaker.hear().starts_with("MAIL FROM:<a@client.test>"));
        speaker.say("250 ok");
    });
    let to = format!("to 127.0.0.1 {}", script.address().port());
    let said =
        talk(&site, &format!("{to};open;push waiting.test;told;progress;push waiting.test;quit"));
    assert_eq!(said[2], "[3314]");
    assert_eq!(said[3], "the connection broke while mail was pushed");
    assert!(said[4].starts_with("state 6 code 0 "), "{}", said[4]);
    assert_eq!(said[5..], ["[3314]", "[0000]"]);
    script.end();
    let sink = Sink::open();
    let to = format!("to 127.0.0.1 {}", sink.address().port());
    assert_eq!(talk(&site, &format!("{to};open;push waiting.test;quit"))[2], "[0000]");
    assert_eq!(sink.messages().len(), 2);
    server.stop();
}

#[test]
fn a_login_is_as_strong_as_the_server_and_the_plug_in_have_it() {
    let (site, server) = calling();
    let script = Script::play(4, |number, mut speaker| {
        speaker.greet(&[["AUTH CRAM-MD5 PLAIN", "AUTH PLAIN LOGIN"][usize::from(number == 3)]]);
        match number {
            0 | 1 => {
                let challenge = "PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+";
                speaker.answer("AUTH CRAM-MD5", &format!("334 {challenge}"));
                let answer = "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw";
                let reply = ["235 2.7.0 in", "535 5.7.8 no"][number];
                speaker.answer(answer, reply);
            }
            // In clear text and to anybody no password is shown.
            _ => {}
        }
        bye(&mut speaker);
    });
    let to = format!("to 127.0.0.1 {}", script.address().port());
    let login = |flags: &str| {
        talk(&site, &format!("{to};open;auth tim tanstaaftanstaaf {flags};told;quit"))[2..4]
            .join(" ")
    };
    assert_eq!(login("1"), "[0000] ");
    assert_eq!(login("1"), "[3317] 535 5.7.8 no");
    let none = "[3317] the server offers no way to log in that may be used with it";
    assert_eq!(login("0"), none);
    assert_eq!(login("1"), none);
    script.end();
    let log = server.stop();
    assert!(!log.to_string().contains("tanstaaf"));
}

#[test]
fn tls_is_as_the_plug_in_wants_it() {
    let (site, server) = calling();
    let provider = Site::new("");
    provider.certify("mx.example.test");
    let listener = "[[listen]]\nname = \"tls\"\naddress = \"127.0.0.1:0\"\npurpose = \"submissions\"\ncertificates = [\"mx\"]\n";
    provider.configure_tls("", &format!("[auth]\nusers_file = \"users\"\n{listener}"));
    provider.add_user("u@example.test", "pencil");
    let other = provider.start();
    let (clear, implicit) = (other.address().port(), other.listener("tls").port());
    let secured = |port: u16, tls: u32, flags: u32| {
        let steps = format!("to 127.0.0.1 {port} {tls} {flags} 20000;open;told;progress;quit");
        let said = talk(&site, &steps);
        let on = said[3].split(" tls ").nth(1).unwrap().starts_with('1');
        (said[1].clone(), on, said[2].clone())
    };
    assert_eq!(secured(clear, 0, 0), ("[0000]".to_owned(), false, String::new()));
    assert_eq!(secured(clear, 1, 0), ("[0000]".to_owned(), true, String::new()));
    assert_eq!(secured(clear, 2, 0), ("[0000]".to_owned(), true, String::new()));
    let (status, on, told) = secured(clear, 3, 0);
    assert_eq!((&*status, on), ("[3317]", false));
    assert!(told.starts_with("the TLS handshake failed: "), "{told}");
    assert_eq!(secured(implicit, 2, 1), ("[0000]".to_owned(), true, String::new()));
    let (status, _, told) = secured(implicit, 3, 1);
    assert_eq!(status, "[3314]");
    assert!(told.contains("the TLS handshake failed: "), "{told}");
    // A server without TLS is not talked to in clear text where that is not wanted.
    let sink = Sink::open();
    let none = "TLS is required, and the server does not offer it";
    assert_eq!(secured(sink.address().port(), 2, 0), ("[3317]".to_owned(), false, none.to_owned()));
    other.stop();
    server.stop();
}

#[test]
fn a_server_that_is_not_there_or_says_no_is_told() {
    let (site, server) = calling();
    let script = Script::play(3, |number, mut speaker| match number {
        0 => {
            speaker.say("554 5.3.2 not for you");
            bye(&mut speaker);
        }
        1 => {
            speaker.greet(&[]);
            speaker.answer("NOOP", "421 4.3.2 going away");
        }
        // Silent until the plug-in's time is over.
        _ => assert_eq!(speaker.hear(), ""),
    });
    let port = script.address().port();
    let said = talk(&site, &format!("to 127.0.0.1 {port};open;told;progress;quit"));
    assert_eq!(said[1..3], ["[3317]", "554 5.3.2 not for you"]);
    assert!(said[3].starts_with("state 6 code 554 "), "{}", said[3]);
    let said =
        talk(&site, &format!("to 127.0.0.1 {port};open;command NOOP;told;command NOOP;quit"));
    assert_eq!(said[2..], ["[3317]", "421 4.3.2 going away", "[3314]", "[0000]"]);
    let said = talk(&site, &format!("to 127.0.0.1 {port} 0 0 100;open;told"));
    assert_eq!(said[1], "[3314]");
    assert_eq!(said[2], format!("127.0.0.1:{port}: not ready in time"));
    script.end();
    let closed = Closed::reserve().address().port();
    let said = talk(&site, &format!("to 127.0.0.1 {closed};open;told"));
    assert_eq!(said[1], "[3314]");
    assert!(said[2].contains("onnection refused"), "{}", said[2]);
    no_faults(&server);
    server.stop();
}

/// Says this until the client has had enough.
fn flood(speaker: &mut Speaker, lines: &str) {
    while speaker.try_say(lines).is_ok() {}
}

/// What a server does in the place of an answer.
type Misdeed = fn(&mut Speaker);

const MISDEEDS: [(&str, Misdeed); 7] = [
    ("hangs up", |_| {}),
    ("never ends a line", |speaker| flood(speaker, &"250 x".repeat(10_000))),
    ("never ends a reply", |speaker| flood(speaker, "250-more\n250-and more")),
    ("changes its mind within a reply", |speaker| speaker.say("250-ok\n550 5.1.1 no")),
    ("speaks another protocol", |speaker| speaker.say("HTTP/1.1 400 Bad Request\n")),
    ("says what is no text", |speaker| speaker.say("\0\u{1b}[2J\u{9b}")),
    ("says a code that there is not", |speaker| speaker.say("999 5.0.0 no")),
];

/// Wherever the conversation is: the plug-in is told, in a few words, and its session is over.
#[test]
fn a_server_that_answers_as_none_should_is_left() {
    let (site, server) = calling();
    for (misdeed, play) in MISDEEDS {
        for (place, steps) in
            ["open;told", "open;told", "open;command NOOP;told"].iter().enumerate()
        {
            let script = Script::play(1, move |_, mut speaker| {
                if place == 0 {
                    return play(&mut speaker);
                }
                speaker.say("220 script.test");
                assert!(speaker.hear().starts_with("EHLO "));
                if place == 2 {
                    speaker.say("250 script.test");
                    assert_eq!(speaker.hear(), "NOOP");
                }
                play(&mut speaker);
            });
            let port = script.address().port();
            let said =
                talk(&site, &format!("to 127.0.0.1 {port} 0 0 20000;{steps};progress;quit;close"));
            let count = steps.split(';').count();
            let told = &said[count];
            assert!((1..1100).contains(&told.len()), "{misdeed} at {place}: {said:?}");
            assert!(told.chars().all(|c| !c.is_control()), "{misdeed} at {place}: {said:?}");
            assert!(said[count + 1].starts_with("state 6 "), "{misdeed} at {place}: {said:?}");
            script.end();
        }
    }
    no_faults(&server);
    server.stop();
}

/// A provider that agrees to ATRN, and is the client of the site then.
fn reversing(play: impl Fn(Client) + Send + 'static) -> Script {
    Script::play(1, move |_, mut speaker| {
        speaker.greet(&["ATRN"]);
        // What it says behind its agreement is no command of a client.
        let reply = "250 2.0.0 now reversing\nMAIL FROM:<too@early.test>";
        speaker.answer("ATRN example.test,b.test", reply);
        play(speaker.into_client());
    })
}

#[test]
fn the_roles_are_changed_and_mail_comes_in() {
    let (site, server) = calling();
    let script = reversing(|mut client| {
        client.expect(220);
        client.say("EHLO provider.test", 250);
        client.begin("a@client.test", "x@example.test");
        client.send(MESSAGE.as_bytes());
        client.say(".", 250);
        // For nobody else, though mail for that domain would be taken of clients, and nothing is relayed.
        client.say("MAIL FROM:<a@client.test>", 250);
        client.say("RCPT TO:<x@waiting.test>", 550);
        client.say("RCPT TO:<x@elsewhere.test>", 550);
        client.say("RSET", 250);
        client.say("QUIT", 221);
    });
    let to = format!("to 127.0.0.1 {}", script.address().port());
    let steps = format!(
        "{to};open;reverse example.test,b.test/@example.test,b.test/mx;told;progress;command NOOP;quit"
    );
    let said = talk(&site, &steps);
    assert_eq!(said[2..4], ["[0000]", "250 2.0.0 now reversing"]);
    assert_eq!(said[4], "state 6 code 250 tls 0 pushed 0 done 0 received 1");
    assert_eq!(said[5..], ["[3314]", "[0000]"]);
    script.end();
    server.log().wait_for("the delivery", |line| line.message() == "delivered");
    let mail = site.mail("x");
    assert_eq!(mail.len(), 1);
    no_faults(&server);
    server.stop();
}

#[test]
fn a_reversal_that_breaks_or_is_refused_is_told() {
    let (site, server) = calling();
    let script = reversing(|mut client| {
        client.expect(220);
        client.say("EHLO provider.test", 250);
        client.begin("a@client.test", "x@example.test");
        client.send(b"Subject: half");
        client.abort();
    });
    let to = format!("to 127.0.0.1 {}", script.address().port());
    let said = talk(&site, &format!("{to};open;reverse example.test,b.test//;told;progress;quit"));
    assert_eq!(said[2..4], ["[3314]", "it ended without QUIT: hangup"]);
    assert!(said[4].ends_with(" received 0"), "{}", said[4]);
    script.end();
    let script = Script::play(1, |_, mut speaker| {
        speaker.greet(&["ATRN"]);
        speaker.answer("ATRN", "453 4.2.1 You have no mail");
        speaker.answer("NOOP", "250 ok");
        bye(&mut speaker);
    });
    let to = format!("to 127.0.0.1 {}", script.address().port());
    let said = talk(&site, &format!("{to};open;reverse //;told;command NOOP;quit"));
    assert_eq!(said[2..], ["[3317]", "453 4.2.1 You have no mail", "[0000]", "[0000]"]);
    script.end();
    server.stop();
}

/// What a plug-in leaves open ends with it, whatever is under way.
#[test]
fn sessions_end_with_the_server() {
    let (site, server) = calling();
    let (tell, told) = std::sync::mpsc::channel();
    let script = Script::play(1, move |_, mut speaker| {
        speaker.greet(&[]);
        assert_eq!(speaker.hear(), "NOOP");
        tell.send(()).unwrap();
        // No answer: the session is closed from the other side.
        assert_eq!(speaker.hear(), "");
    });
    let port = script.address().port();
    let mut child = site
        .command(&["plugin", "call", "--socket", "state/admin.sock", "caller", "leave"])
        .arg(format!("\"127.0.0.1 {port}\""))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    told.recv().unwrap();
    let log = server.stop();
    script.end();
    child.wait().unwrap();
    assert_eq!(log.matching(|line| line.message() == "left with 3315").len(), 1, "{log}");
}

#[test]
fn what_can_not_be_is_told_by_status() {
    let (site, server) = calling();
    assert_eq!(verb(&site, "wrong", "null"), "\"\"");
    no_faults(&server);
    server.stop();
    // Who has not declared it may nothing of it, and only who may move queued mail may push.
    for (edits, wanted) in [("0", ["[02d4]", "[02d4]"]), ("EM_EDIT_OUTBOUND", ["[0000]", "[02d4]"])]
    {
        let site = Site::new("");
        let file = site.compile_with("plugins/caller.c", &[&format!("EDITS={edits}")]);
        site.configure(&further(&file));
        // It looks at its start whether it may, and would be refused.
        let config = std::fs::read_to_string(site.path().join("stagepost.toml")).unwrap();
        if edits == "0" {
            let (_, said) = site.refused();
            assert!(said.contains("start: wanted status"), "{said}");
            continue;
        }
        site.write_config(&config);
        let server = site.start();
        let said = talk(&site, "to 127.0.0.1 1;push a.test");
        assert_eq!(said, wanted);
        server.stop();
    }
}

/// In a handler, where a token is what is waited with; the server that is dialled, if the session is not closed before, never
/// greets.
#[test]
fn what_can_not_be_is_told_in_a_handler_too() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let site = Site::new("");
    let file = site.compile("faults/strange_session.c");
    let port = format!("config = {{ port = {} }}\n", silent.local_addr().unwrap().port());
    site.configure(&plugin_section("strange-session", &file, &port));
    let server = site.start();
    let mut client = server.greeted();
    for _ in 0..2 {
        client.say("MAIL FROM:<a@client.test>", 250);
        client.say("RSET", 250);
    }
    no_faults(&server);
    server.stop();
}

/// In Rust, and on no thread of the plug-in's: a handler asks another server before it answers.
#[test]
fn a_handler_asks_another_server_and_no_thread_waits() {
    let script = Script::play(2, |number, mut speaker| {
        speaker.greet(&["AUTH CRAM-MD5"]);
        let challenge = "PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+";
        speaker.answer("AUTH CRAM-MD5", &format!("334 {challenge}"));
        speaker.answer("dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw", "235 in");
        if number == 1 {
            // It hangs up.
            return;
        }
        speaker.answer("VRFY b", "252 2.5.0 maybe");
        assert!(speaker.hear().starts_with("MAIL FROM:<a@client.test>"));
        speaker.say("250 ok");
        assert!(speaker.hear().starts_with("RCPT TO:<direct@waiting.test>"));
        speaker.say("250 ok");
        speaker.answer("DATA", "354 go on");
        while speaker.hear() != "." {}
        speaker.say("250 kept");
        speaker.answer("ATRN", "502 5.5.1 no");
        bye(&mut speaker);
    });
    let config = format!("[plugin.config]\nport = {}", script.address().port());
    let route = "[[route]]\ndomain = \"waiting.test\"\nhold = \"30d\"\n";
    let section = plugin_section("caller-rust", &build_rust("caller-rust"), &config);
    let site = Site::new(&format!("{route}{section}"));
    let server = site.start();
    leave(&server, &["direct@waiting.test"]);
    let mut client = server.greeted();
    client.say("MAIL FROM:<a@client.test>", 250);
    client.say("RCPT TO:<b@example.test>", 250);
    let asked = server.log().wait_for("the answer", |line| line.message().starts_with("asked: "));
    let wanted = "asked: 252 2.5.0 maybe / 1 of 1 / 502 5.5.1 no / 127.0.0.1";
    assert_eq!(asked.message(), wanted);
    client.say("RCPT TO:<c@example.test>", 450);
    let told = server.log().wait_for("why", |line| line.message().starts_with("not asked: "));
    assert_eq!(told.message(), "not asked: connection closed at the command");
    script.end();
    no_faults(&server);
    server.stop();
}
