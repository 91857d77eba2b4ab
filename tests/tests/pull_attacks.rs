//! Clients that ask for mail, and servers that hold it for us, at their worst: nobody gets what is not theirs, nothing is promised
//! that is not so, and nobody waits for ever.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use stagepost_tests::client::Client;
use stagepost_tests::log::Line;
use stagepost_tests::plugin::build_rust;
use stagepost_tests::script::{Script, Speaker};
use stagepost_tests::server::{Server, Site, plugin_section};
use stagepost_tests::sink::Sink;
use stagepost_tests::wire::Wire;

const MESSAGE: &str = "Subject: fetched\r\n\r\nHello.\r\n..dot\r\n";

/// \0branch@example.test\0pencil, and the same of another.
const LOGIN: &str = "AUTH PLAIN AGJyYW5jaEBleGFtcGxlLnRlc3QAcGVuY2ls";
const OTHER_LOGIN: &str = "AUTH PLAIN AG90aGVyQGV4YW1wbGUudGVzdABwZW5jaWw=";

/// Who holds mail for branch.test and other.test, each for a user of its own; branch.test also for clients by ETRN.
fn holding(sink: &Sink, section: &str) -> (Site, Server) {
    let site = Site::new("");
    site.add_user("branch@example.test", "pencil");
    site.add_user("other@example.test", "pencil");
    let nodes = "[[plugin.config.node]]\nname = \"branch.test\"\nusers = [\"branch@example.test\"]\n\
        networks = [\"127.0.0.1\"]\ndomains = [\"@branch.test\"]\nqueues = [\"q\"]\n\
        [[plugin.config.node]]\nname = \"other.test\"\nusers = [\"other@example.test\"]\n";
    let hop = sink.address();
    let routes = ["@branch.test", "other.test"].map(|domain| {
        format!("[[route]]\ndomain = \"{domain}\"\nnext_hop = \"{hop}\"\nhold = \"30d\"\n")
    });
    let further = [
        "[[listen]]\nname = \"odmr\"\naddress = \"127.0.0.1:0\"\npurpose = \"odmr\"\n\
         require_tls = false\nauth_allow_plaintext = true\n\
         [auth]\nusers_file = \"users\"\nfailure_delay = \"0s\"\n",
        &routes.concat(),
        &plugin_section(
            "pull-delivery",
            &build_rust("pull-delivery"),
            &format!("{section}{nodes}"),
        ),
    ];
    site.configure(&further.concat());
    let server = site.start();
    (site, server)
}

fn leave(server: &Server, recipients: &[&str]) {
    let mut client = server.greeted();
    for (number, recipient) in recipients.iter().enumerate() {
        let message = format!("Subject: {number}\r\n\r\nHello.\r\n..dot\r\n");
        let reply = client.deliver("a@client.test", recipient, &message);
        assert_eq!(reply.code, 250, "{reply}");
    }
}

fn odmr(server: &Server) -> Client {
    let mut client = Client::connect(server.listener("odmr"));
    client.expect(220);
    client.say("EHLO branch.test", 250);
    client
}

fn fetched(line: &Line) -> bool {
    line.message() == "mail was fetched"
}

#[test]
fn odd_requests_are_refused_and_move_nothing() {
    let sink = Sink::open();
    let (_site, server) = holding(&sink, "[plugin.config.etrn]\nper_session_max = 1000\n");
    leave(&server, &["x@branch.test", "y@other.test"]);
    let (long, many) = ("x".repeat(300), vec!["branch.test"; 50].join(","));
    for argument in [
        "",
        "@",
        "#",
        "##q",
        "@@branch.test",
        "#@branch.test",
        "@#q",
        "branch..test",
        ".branch.test",
        "[127.0.0.1]",
        "@[127.0.0.1]",
        "*",
        "*.branch.test",
        "<branch.test>",
        "branch.test q",
        "branch.test BODY=8BITMIME",
        "branch.test,other.test",
        "x@branch.test",
        "branch.test;",
        "%62ranch.test",
        "branch.test\u{e9}",
        "test",
        "other.test",
        "@other.test",
        "#Q2",
        &long,
        &many,
    ] {
        let mut client = server.greeted();
        let reply = client.ask(&format!("ETRN {argument}"));
        assert!(matches!(reply.code, 459 | 500 | 501 | 553), "{argument:?}: {reply}");
        client.say("NOOP", 250);
    }
    // For clients on loopback there is nothing of the other's on any listener.
    let mut client = odmr(&server);
    client.say("ETRN branch.test", 502);
    client.say(LOGIN, 235);
    client.say("ETRN branch.test", 502);
    client.say("QUIT", 221);
    server.stop();
    assert_eq!(sink.messages(), []);
}

#[test]
fn a_flood_of_requests_sends_each_message_once_and_ends_the_session() {
    let sink = Sink::open();
    let (_site, server) = holding(&sink, "");
    leave(&server, &["x@branch.test", "y@a.branch.test"]);
    let mut client = server.greeted();
    client.send("ETRN @branch.test\r\n".repeat(150).as_bytes());
    let mut codes = Vec::new();
    while let Ok(reply) = client.try_reply() {
        codes.push(reply.code);
    }
    let count = |wanted: &[u16]| codes.iter().filter(|code| wanted.contains(code)).count();
    assert_eq!((codes[0], count(&[251, 253])), (253, 20), "{codes:?}");
    assert_eq!((count(&[458]), count(&[421]), codes.last()), (codes.len() - 21, 1, Some(&421)));
    sink.wait_for(2);
    let mut client = server.greeted();
    assert!((0..1000).any(|_| client.ask("NOOP").code == 250));
    server.stop();
    assert_eq!(sink.messages().len(), 2);
}

#[test]
fn who_asks_for_much_or_for_what_is_not_theirs_is_sent_nothing() {
    let sink = Sink::open();
    let (_site, server) = holding(&sink, "");
    leave(&server, &["x@branch.test", "y@other.test"]);
    let mut client = odmr(&server);
    client.say("ATRN branch.test", 530);
    client.say("AUTH PLAIN AGJyYW5jaEBleGFtcGxlLnRlc3QAd3Jvbmc=", 535);
    client.say("ATRN branch.test", 530);
    client.say(LOGIN, 235);
    // Who they are now they stay.
    client.say(OTHER_LOGIN, 503);
    client.say("ATRN other.test", 450);
    client.say("ATRN branch.test,other.test", 450);
    for argument in
        ["branch.test,", ",", "branch.test other.test", "@branch.test", "#q", "[127.0.0.1]", "*"]
    {
        client.say(&format!("ATRN {argument}"), 501);
    }
    let many = |count: usize| vec!["branch.test"; count].join(",");
    client.say(&format!("ATRN {}", many(101)), 501);
    let mut client = odmr(&server);
    client.say(LOGIN, 235);
    client.say(&format!("ATRN {}", many(10_000)), 500);
    // However often it is named, it is sent once.
    client.say(&format!("ATRN {}", many(100)), 250);
    sink.take_over(client).unwrap();
    server.log().wait_for("the end", fetched);
    let recipients: Vec<_> = sink.messages().into_iter().flat_map(|one| one.recipients).collect();
    assert_eq!(recipients, ["x@branch.test"]);
    server.stop();
}

/// One who has the mail sent over their line cuts it behind each octet that they say as a server: nothing is lost, and nothing
/// comes twice but what was being acknowledged.
#[test]
fn what_was_not_acknowledged_waits_on_wherever_who_fetches_it_cuts_the_line() {
    const CUTS: usize = 170;
    const MESSAGES: usize = 9;
    let sink = Sink::open();
    let (site, server) =
        holding(&sink, "[plugin.config.atrn]\nper_user_max = 100\nlines_max = 1000\n");
    leave(&server, &["x@branch.test"; MESSAGES]);
    let (mut taken, mut ended) = (Vec::new(), vec![0; MESSAGES]);
    let mut reversed = 0;
    for cut in 0.. {
        let mut client = odmr(&server);
        client.say(LOGIN, 235);
        if client.ask("ATRN").code == 453 {
            break;
        }
        reversed += 1;
        let Wire::Plain(stream) = client.into_stream().into_inner() else { unreachable!() };
        let mut speaker = Speaker::over(stream);
        // When all cuts were made the rest is taken.
        speaker.cut_behind(if cut < CUTS { cut } else { usize::MAX });
        let _ = take(&mut speaker, &mut taken, &mut ended);
        drop(speaker);
        server.log().wait_for_count("the end", reversed, fetched);
    }
    assert!(reversed > 20, "{reversed}");
    for (number, ended) in ended.into_iter().enumerate() {
        let times = taken.iter().filter(|subject| **subject == number).count();
        assert!((1..=ended).contains(&times), "{number}: {times} of {ended}");
    }
    let count = ["queue", "count", "branch.test", "--json", "--config", "stagepost.toml"];
    let count: Value = serde_json::from_slice(&site.run(&count).stdout).unwrap();
    assert_eq!((&count["queued"], &count["held"]), (&0.into(), &0.into()));
    server.stop();
}

/// Takes messages as a server, until the line is cut: which were taken, and how often the end of each was heard.
fn take(speaker: &mut Speaker, taken: &mut Vec<usize>, ended: &mut [usize]) -> std::io::Result<()> {
    speaker.try_say("220 branch.test")?;
    let mut number = 0;
    loop {
        let line = speaker.try_hear()?;
        match line.get(..4).unwrap_or_default() {
            "EHLO" => speaker.try_say("250 branch.test")?,
            "DATA" => {
                speaker.try_say("354 go on")?;
                loop {
                    let line = speaker.try_hear()?;
                    if let Some(subject) = line.strip_prefix("Subject: ") {
                        number = subject.parse().unwrap();
                    }
                    if line == "." {
                        break;
                    }
                }
                ended[number] += 1;
                speaker.try_say("250 kept")?;
                taken.push(number);
            }
            "QUIT" => return speaker.try_say("221 bye"),
            _ => speaker.try_say("250 ok")?,
        }
    }
}

/// Who calls, with a connection for each script.
fn calling(connections: &[(&str, &str, &Script)]) -> (Site, Server) {
    let site = Site::new("");
    let secret = site.path().join("secret");
    fs::write(&secret, "pencil\n").unwrap();
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    let section = |(name, fields, script): &(&str, &str, &Script)| {
        let port = script.address().port();
        format!(
            "[[plugin.config.connection]]\nname = \"{name}\"\nhost = \"127.0.0.1\"\nport = {port}\n\
             enabled = false\nquiet = \"1s\"\npull_timeout = \"1s\"\nconnect_timeout = \"2s\"\n{fields}\n"
        )
    };
    let sections: String = connections.iter().map(section).collect();
    site.configure(&plugin_section("pull-delivery", &build_rust("pull-delivery"), &sections));
    let server = site.start();
    (site, server)
}

fn pull(site: &Site, name: &str) -> (bool, String) {
    let output = site.run(&["pull", name, "--now", "--socket", "state/admin.sock"]);
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

const ETRN: &str = "method = \"etrn\"\nrouter_type = \"pull only\"\nrequest = [\"a.test\", \"b.test\"]\n\
    kind = \"lan\"\ntls = \"none\"";
const LOGGED_IN: &str = "method = \"atrn\"\nrouter_type = \"pull only\"\nuser = \"branch@example.test\"\n\
    secret_file = \"secret\"\nrequest = [\"example.test\"]\n";

#[test]
fn a_server_that_holds_mail_is_believed_nothing_that_can_not_be() {
    let greeted = |play: fn(&mut Speaker)| {
        Script::play(1, move |_, mut speaker| {
            speaker.greet(&["ETRN"]);
            play(&mut speaker);
        })
    };
    let absurd = greeted(|speaker| {
        speaker.answer("ETRN a.test", "253 18446744073709551615 pending messages");
        speaker.answer("ETRN b.test", "253 18446744073709551615 pending messages");
        // And it never closes: that is not waited for.
        speaker.answer("QUIT", "221 bye");
        assert_eq!(speaker.hear(), "");
    });
    let beyond = greeted(|speaker| {
        speaker.answer("ETRN a.test", "253 99999999999999999999999999 pending messages");
        speaker.answer("ETRN b.test", "253 -5 \u{1b}[31mmessages");
        speaker.answer("QUIT", "221 bye");
    });
    let endless = greeted(|speaker| {
        assert_eq!(speaker.hear(), "ETRN a.test");
        while speaker.try_say("250-more").is_ok() {}
    });
    let one_line = greeted(|speaker| {
        assert_eq!(speaker.hear(), "ETRN a.test");
        let _ = speaker.try_say(&"250 x".repeat(100_000));
    });
    let silent = Script::play(1, |_, mut speaker| assert_eq!(speaker.hear(), ""));
    let refusing = greeted(|speaker| {
        speaker.answer("ETRN a.test", "459 4.7.1 not yours");
        speaker.answer("ETRN b.test", "458 4.3.0 not now");
    });
    let cases: [(&str, &Script, bool, &str); 6] = [
        ("absurd", &absurd, true, "over: 0 of 0 handed over, 0 of 18446744073709551615 came"),
        ("beyond", &beyond, true, "over: 0 of 0 handed over, 0 came"),
        ("endless", &endless, false, "a reply of more than 128 lines"),
        ("one-line", &one_line, false, "a line of more than 2048 octets"),
        ("silent", &silent, false, "came to nothing"),
        ("refusing", &refusing, false, "nothing of what was asked for is to be had"),
    ];
    let connections: Vec<_> =
        cases.iter().map(|(name, script, ..)| (*name, ETRN, *script)).collect();
    let (site, server) = calling(&connections);
    for (name, _, good, wanted) in cases {
        let (was_good, said) = pull(&site, name);
        assert!(was_good == good && said.contains(wanted), "{name}: {said}");
        assert!(!said.contains('\u{1b}'), "{name}: {said:?}");
    }
    let status = site.run(&["pull", "status", "--socket", "state/admin.sock"]);
    assert!(!status.stdout.contains(&0x1b), "{}", String::from_utf8_lossy(&status.stdout));
    server.stop();
    for script in [absurd, beyond, endless, one_line, silent, refusing] {
        script.end();
    }
}

#[test]
fn a_server_that_holds_mail_gets_no_password_and_hands_over_no_mail_of_others() {
    // Whoever is between has taken STARTTLS out.
    let stripped = Script::play(1, |_, mut speaker| {
        speaker.greet(&["ATRN", "AUTH PLAIN LOGIN"]);
        assert_eq!(speaker.hear(), "QUIT");
        let _ = speaker.try_say("221 bye");
    });
    // The same where TLS is nice to have: there is no mechanism that does not show the password.
    let open = Script::play(1, |_, mut speaker| {
        speaker.greet(&["ATRN", "AUTH PLAIN LOGIN CRAM-MD5"]);
        assert_eq!(speaker.hear(), "QUIT");
        let _ = speaker.try_say("221 bye");
    });
    let foreign = Script::play(1, |_, mut speaker| {
        speaker.greet(&["ATRN"]);
        speaker.answer("ATRN example.test", "250 now reversing");
        let mut client = speaker.into_client();
        client.expect(220);
        // It is no client of ours, whoever it says it is.
        let keywords = client.say("EHLO provider.test", 250);
        assert!(!keywords.lines.iter().any(|line| line.starts_with("AUTH") || line == "ATRN"));
        client.say("ATRN example.test", 502);
        client.say("MAIL FROM:<a@client.test>", 250);
        for foreign in ["x@elsewhere.test", "x@sub.example.test", "x%elsewhere.test@b.test"] {
            client.say(&format!("RCPT TO:<{foreign}>"), 550);
        }
        client.say("RCPT TO:<x@example.test>", 250);
        client.say("DATA", 354);
        client.send(MESSAGE.as_bytes());
        client.say(".", 250);
        client.say("QUIT", 221);
        client.expect_close();
    });
    let anonymous = "router_type = \"pull only\"\nrequest = [\"example.test\"]\ntls = \"none\"\n";
    let verified = format!("{LOGGED_IN}tls = \"verified\"");
    let opportunistic = format!("{LOGGED_IN}tls = \"opportunistic\"");
    let (site, server) = calling(&[
        ("stripped", &verified, &stripped),
        ("open", &opportunistic, &open),
        ("foreign", anonymous, &foreign),
    ]);
    for (name, wanted) in [("stripped", "came to nothing"), ("open", "came to nothing")] {
        let (good, said) = pull(&site, name);
        assert!(!good && said.contains(wanted), "{name}: {said}");
    }
    let (good, said) = pull(&site, "foreign");
    assert!(good && said.ends_with("1 came\n"), "{said}");
    server.stop();
    for script in [stripped, open, foreign] {
        script.end();
    }
}
