//! How the real server ends: what is under way is finished or told 421, and nothing acknowledged is lost.

use std::collections::BTreeSet;
use std::thread;

use stagepost_tests::log::{Line, Log};
use stagepost_tests::server::{Server, Site};

fn stopping(line: &Line) -> bool {
    line.message().starts_with("stopping")
}

fn ids(log: &Log, message: &str) -> BTreeSet<String> {
    let lines = log.matching(|line| line.message() == message);
    lines.iter().map(|line| line.text("id")).collect()
}

/// Asks to stop, and waits until the server has heard it.
fn ask_to_stop(server: &Server) {
    server.ask_to_stop();
    server.log().wait_for("the stop", stopping);
}

#[test]
fn an_idle_client_is_told_421_and_the_port_is_given_up() {
    let site = Site::new("");
    let server = site.start();
    let mut client = server.greeted();
    let address = server.address();
    ask_to_stop(&server);
    let reply = client.expect(421);
    assert!(reply.lines[0].starts_with("4.3.2 "), "{reply}");
    client.expect_close();
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    log.wait_for("the end", |line| line.message() == "stopped");
    assert!(std::net::TcpStream::connect(address).is_err());
    assert!(!site.path().join("state/admin.sock").exists());
}

#[test]
fn a_message_under_way_is_completed_or_told_421() {
    let site = Site::new("");
    let server = site.start();
    let mut client = server.greeted();
    client.begin("a@client.test", "b@example.test");
    client.send(b"Subject: under way\r\n\r\nfirst half\r\n");
    ask_to_stop(&server);
    client.send(b"second half\r\n");
    let reply = client.ask(".");
    assert!(matches!(reply.code, 250 | 421), "{reply}");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");

    let delivered_before = ids(&log, "delivered").len();
    let server = site.start();
    let left = ids(&log, "message queued").len() - delivered_before;
    server.log().wait_for_count("the rest", left, |line| line.message() == "delivered");
    server.stop();
    let mail = site.mail("b");
    assert_eq!(mail.len(), usize::from(reply.code == 250));
    for message in mail {
        let text = String::from_utf8_lossy(&message).into_owned();
        assert!(text.ends_with("\n\nfirst half\nsecond half\n"), "{text}");
    }
}

#[test]
fn a_second_signal_ends_the_wait_for_a_client_that_says_nothing() {
    let site = Site::new("");
    let server = site.start();
    let mut client = server.greeted();
    client.begin("a@client.test", "b@example.test");
    ask_to_stop(&server);
    server.ask_to_stop();
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    log.wait_for("the end", |line| line.message() == "stopped at once");
    assert!(site.mail("b").is_empty());
}

/// Several clients send until they hear 421: whatever got a 250 arrives, exactly once.
#[test]
fn nothing_acknowledged_is_lost_when_it_stops_in_the_middle() {
    const CLIENTS: usize = 4;
    let site = Site::new("");
    let server = site.start();
    let sending: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let mut client = server.greeted();
            thread::spawn(move || {
                let mut acknowledged = Vec::new();
                for count in 0.. {
                    let word = format!("unique-{number}-{count}");
                    for line in ["MAIL FROM:<a@client.test>", "RCPT TO:<b@example.test>", "DATA"] {
                        let line = format!("{line}\r\n");
                        let code =
                            client.try_send(line.as_bytes()).and_then(|()| client.try_reply());
                        if !code.is_ok_and(|reply| matches!(reply.code, 250 | 354)) {
                            return acknowledged;
                        }
                    }
                    let message = format!("Subject: {word}\r\n\r\n{word}\r\n.\r\n");
                    let reply =
                        client.try_send(message.as_bytes()).and_then(|()| client.try_reply());
                    if !reply.is_ok_and(|reply| reply.code == 250) {
                        return acknowledged;
                    }
                    acknowledged.push(word);
                }
                acknowledged
            })
        })
        .collect();
    server.log().wait_for_count("some messages", 40, |line| line.message() == "message queued");
    ask_to_stop(&server);
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    let mut acknowledged = Vec::new();
    for client in sending {
        acknowledged.extend(client.join().expect("a client of the test"));
    }

    let left = ids(&log, "message queued").len() - ids(&log, "delivered").len();
    let server = site.start();
    server.log().wait_for_count("the rest", left, |line| line.message() == "delivered");
    server.stop();
    let arrived: Vec<String> = site
        .mail("b")
        .iter()
        .filter_map(|mail| String::from_utf8_lossy(mail).lines().last().map(str::to_owned))
        .collect();
    let distinct: BTreeSet<&String> = arrived.iter().collect();
    assert_eq!(arrived.len(), distinct.len(), "an orderly stop makes no duplicates");
    for word in &acknowledged {
        assert!(distinct.contains(word), "{word} was acknowledged and did not arrive");
    }
    assert!(acknowledged.len() >= 36, "only {} were acknowledged", acknowledged.len());
}
