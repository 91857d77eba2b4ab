//! Mail with addresses in other scripts on the real server: taken, kept, handed on and returned (RFC 6531, RFC 6533).
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use stagepost_tests::client::Client;
use stagepost_tests::log::Line;
use stagepost_tests::script::{Script, Speaker};
use stagepost_tests::server::Site;

const MESSAGE: &str = "Subject: Grüße\r\n\r\nHallo.\r\n";

fn delivered(line: &Line) -> bool {
    line.message() == "delivered"
}

/// Hands in a message that says of itself that it may be of any script.
fn hand_in(client: &mut Client, recipients: &[&str]) {
    client.say("MAIL FROM:<jörg@example.test> SMTPUTF8 BODY=8BITMIME", 250);
    for recipient in recipients {
        client.say(&format!("RCPT TO:<{recipient}>"), 250);
    }
    client.say("DATA", 354);
    client.send(MESSAGE.as_bytes());
    client.say(".", 250);
}

#[test]
fn a_mailbox_and_a_domain_may_be_of_any_script() {
    let further =
        "[[local_domain]]\nname = \"bücher.test\"\nmailboxes = [\"jürgen\"]\nmaildir = \"books\"\n";
    let site = Site::new(further);
    let server = site.start();
    let mut client = server.greeted();
    let offered = client.say("EHLO client.example.test", 250);
    assert!(offered.lines.iter().any(|line| line == "SMTPUTF8"), "{offered}");
    client.say("MAIL FROM:<jörg@example.test>", 553);
    // A domain is the same however it is written.
    hand_in(&mut client, &["用户@example.test", "jürgen@xn--bcher-kva.test", "jürgen@BÜCHER.test"]);
    server.log().wait_for_count("both", 2, delivered);
    let read = |mailbox: &str| {
        let folder = site.path().join(mailbox).join("new");
        let read = |entry: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(entry.unwrap().path()).unwrap()
        };
        std::fs::read_dir(folder).unwrap().map(read).collect::<Vec<_>>()
    };
    let kept = read("mail/%e7%94%a8%e6%88%b7").concat();
    for field in [
        "Return-Path: <jörg@example.test>\n",
        "Delivered-To: 用户@example.test\n",
        " with UTF8SMTP id ",
        "\nSubject: Grüße\n",
    ] {
        assert!(kept.contains(field), "{field}: {kept}");
    }
    assert_eq!(read("books/j%c3%bcrgen").len(), 1);
    client.say("MAIL FROM:<> SMTPUTF8", 250);
    client.say("RCPT TO:<jörg@bücher.test>", 550);
    server.stop();
}

/// What a next hop is told that offers these keywords, up to the dot.
fn taken(speaker: &mut Speaker, keywords: &[&str]) -> [String; 2] {
    speaker.greet(keywords);
    let told = [(); 2].map(|()| {
        let line = speaker.hear();
        speaker.say("250 ok");
        line
    });
    speaker.answer("DATA", "354 go on");
    while speaker.hear() != "." {}
    speaker.say("250 kept");
    told
}

#[test]
fn mail_goes_on_to_who_takes_it_and_comes_back_from_who_does_not() {
    let script = Script::play(2, |number, mut speaker| match number {
        0 => {
            let [mail, rcpt] = taken(&mut speaker, &["SMTPUTF8", "8BITMIME"]);
            assert_eq!(mail, "MAIL FROM:<jörg@example.test> BODY=8BITMIME SMTPUTF8");
            assert_eq!(rcpt, "RCPT TO:<用户@bücher.test>");
        }
        _ => {
            speaker.greet(&["8BITMIME"]);
            speaker.answer("QUIT", "221 bye");
        }
    });
    let site = Site::new(&format!(
        "[[route]]\ndomain = \"bücher.test\"\nnext_hop = \"{0}\"\n[[route]]\ndomain = \"old.test\"\nnext_hop = \"{0}\"\n",
        script.address()
    ));
    let server = site.start();
    hand_in(&mut server.greeted(), &["用户@bücher.test"]);
    server.log().wait_for("it", delivered);
    hand_in(&mut server.greeted(), &["jürgen@old.test"]);
    server.log().wait_for_count("the notification", 2, delivered);
    script.end();
    let folder = site.path().join("mail/j%c3%b6rg/new");
    let told = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let told = std::fs::read_to_string(told).unwrap();
    for field in [
        "\nTo: jörg@example.test\n",
        "\nContent-Type: message/global-delivery-status\n",
        "\nFinal-Recipient: utf-8; jürgen@old.test\n",
        "\nStatus: 5.6.7\n",
        "\nContent-Type: message/global\n",
        "\nSubject: Grüße\n",
    ] {
        assert!(told.contains(field), "{field}: {told}");
    }
    server.stop();
}
