//! Next hops that answer as no server should, wherever a conversation can be: the message is neither given up nor taken for
//! delivered, and the connection is not used again.

use super::*;

/// A conversation without groups of commands, up to where the last of these is said.
const CONVERSATION: [(&str, &str); 6] = [
    ("", "220 hop\r\n"),
    ("EHLO us.test\r\n", "250 hop\r\n"),
    ("MAIL FROM:<a@b.test>\r\n", "250 ok\r\n"),
    ("RCPT TO:<u@x.test>\r\n", "250 ok\r\n"),
    ("DATA\r\n", "354 go\r\n"),
    (END, "250 queued\r\n"),
];

/// What a next hop does in the place of an answer.
type Misdeed = fn() -> Vec<Turn>;

const MISDEEDS: [(&str, Misdeed); 12] = [
    ("hangs up", Vec::new),
    ("hangs up in the middle of a line", || vec![Say("25")]),
    ("hangs up in the middle of a reply", || vec![Say("250-ok\r\n")]),
    ("has enough", || vec![Say("421 4.3.2 going down\r\n"), Wait]),
    ("has enough in many lines", || vec![Say("421-4.3.2 going\r\n421 4.3.2 down\r\n"), Wait]),
    ("never ends a line", || vec![Flood("2501234567890")]),
    ("never ends a reply", || vec![Flood("250-more\r\n")]),
    ("says a line of a megabyte", || vec![Say(megabyte()), Wait]),
    ("changes its mind within a reply", || vec![Say("250-ok\r\n550 5.1.1 no\r\n"), Wait]),
    ("speaks another protocol", || vec![Say("HTTP/1.1 400 Bad Request\r\n\r\n"), Wait]),
    ("says what is no text", || vec![Say("\0\u{1b}[2J\u{ff}\r\n"), Wait]),
    ("says a code that there is not", || vec![Say("999 5.0.0 no\r\n"), Wait]),
];

fn megabyte() -> &'static str {
    let line = format!("250 {}\r\n", "x".repeat(1 << 20));
    Box::leak(line.into_boxed_str())
}

/// Hears and says the conversation, but for the answer to its last part.
fn up_to(part: usize) -> Vec<Turn> {
    let mut turns = Vec::new();
    for (number, (heard, said)) in CONVERSATION.iter().enumerate().take(part + 1) {
        if !heard.is_empty() {
            turns.push(Hear(heard));
        }
        if number < part {
            turns.push(Say(said));
        }
    }
    turns
}

/// What comes of a message for which a next hop does this, and what it has heard.
async fn deliver_to(turns: Vec<Turn>) -> (String, String) {
    let (address, heard) = next_hop(vec![turns]).await;
    let relay = relay_to(address);
    let message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
    let outcome = relay.deliver(&message, &[0]).await.remove(0);
    let waiting = relay.relay.idle.close().len();
    assert_eq!(waiting, 0, "the connection waits for a further message: {outcome}");
    (outcome, heard.await.unwrap().concat())
}

#[tokio::test]
async fn no_answer_that_is_none_decides_anything() {
    for (part, (asked, _)) in CONVERSATION.iter().enumerate() {
        for (misdeed, turns) in MISDEEDS {
            let (outcome, heard) =
                deliver_to(up_to(part).into_iter().chain(turns()).collect()).await;
            let case = format!("behind {asked:?} it {misdeed}: {outcome}");
            assert!(outcome.starts_with("deferred 4."), "{case}");
            // Nothing of the server's control octets is shown to anybody, and no more of a line than a person reads.
            assert!(outcome.len() < 2500 && !outcome.contains(char::is_control), "{case}");
            let further = CONVERSATION.get(part + 1).map_or("", |(next, _)| next);
            assert!(further.is_empty() || !heard.contains(further), "{case}: {heard}");
        }
    }
}

#[tokio::test]
async fn an_answer_octet_by_octet_gets_no_more_time_than_another() {
    let soon = Duration::from_millis(50);
    let session = SendingTimeouts {
        greeting: soon,
        command: soon,
        recipient: soon,
        data: soon,
        dot: soon,
        ..SendingTimeouts::default()
    };
    let message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
    for part in 0..CONVERSATION.len() {
        let turns = up_to(part).into_iter().chain([Drip(b'2')]).collect();
        let (address, heard) = next_hop(vec![turns]).await;
        let relay = relay_in_time(address, RelayTimeouts { session, ..RelayTimeouts::default() });
        let outcome = relay.deliver(&message, &[0]).await.remove(0);
        let wanted = format!("deferred 4.4.2 {address}: timed out waiting for ");
        assert!(outcome.starts_with(&wanted), "{part}: {outcome}");
        heard.abort();
    }
}

#[tokio::test]
async fn answers_before_their_commands_are_none() {
    // All of the conversation's answers at once, as a server would that wants a message to be taken for delivered.
    let all: String = CONVERSATION.iter().map(|(_, said)| *said).collect();
    let all: &'static str = Box::leak(all.into_boxed_str());
    let (outcome, heard) = deliver_to(vec![Say(all), Wait]).await;
    assert!(outcome.starts_with("deferred 4."), "{outcome}");
    assert!(!heard.contains(END), "{heard}");
    // One more than was asked for, at each place.
    for (part, (_, said)) in CONVERSATION.iter().enumerate().take(CONVERSATION.len() - 1) {
        let twice: &'static str = Box::leak(format!("{said}250 2.0.0 queued\r\n").into_boxed_str());
        let turns = up_to(part).into_iter().chain([Say(twice), Wait]).collect();
        let (outcome, heard) = deliver_to(turns).await;
        assert!(outcome.starts_with("deferred 4."), "behind {said:?}: {outcome}");
        assert!(!heard.contains(END), "behind {said:?}: {heard}");
    }
}

#[tokio::test]
async fn offers_without_measure_are_no_reason_to_give_up() {
    let keywords: String =
        (0..10_000).map(|number| format!("250-X-KEYWORD-{number}\r\n")).collect();
    let keywords: &'static str = Box::leak((keywords + "250 PIPELINING\r\n").into_boxed_str());
    let (outcome, _) =
        deliver_to(vec![Say("220 hop\r\n"), Hear("EHLO us.test\r\n"), Say(keywords), Wait]).await;
    assert!(outcome.ends_with("a reply of more than 128 lines"), "{outcome}");
}

#[tokio::test]
async fn no_challenge_makes_a_login_endless() {
    const OFFER: &str = "250-hop\r\n250 AUTH SCRAM-SHA-256\r\n";
    let megabyte: &'static str =
        Box::leak(format!("334 {}\r\n", "QUFB".repeat(1 << 18)).into_boxed_str());
    let cases: [(Misdeed, &str); 6] = [
        (|| vec![Say("334 \r\n"), Wait], "words are not those of the mechanism"),
        (|| vec![Say("334 no Base64\r\n"), Wait], "words are not those of the mechanism"),
        // Another nonce than ours, which asks for rounds without end.
        (|| vec![Say("334 cj14LHM9QUFBQSxpPTk5OTk5OTk5OTk=\r\n"), Wait], "another nonce"),
        (|| vec![Say("235 2.7.0 welcome\r\n"), Wait], "not proved that it knows the password"),
        (|| vec![Flood("334-more\r\n")], "a reply of more than 128 lines"),
        (Vec::new, "connection closed at AUTH"),
    ];
    let cases = cases.map(|(turns, wanted)| (turns(), wanted));
    let huge = (vec![Say(megabyte), Wait], "a line of more than 2048 octets");
    for (turns, wanted) in cases.into_iter().chain([huge]) {
        let opening = vec![Say("220 hop\r\n"), Hear("EHLO us.test\r\n"), Say(OFFER), Hear("\r\n")];
        let (address, heard) = next_hop(vec![opening.into_iter().chain(turns).collect()]).await;
        let mut relay = relay_to(address);
        relay.login = Credentials::new("user", Secret::new(b"pencil".to_vec()));
        let message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
        let outcome = relay.deliver(&message, &[0]).await.remove(0);
        assert!(outcome.starts_with("deferred 4.") && outcome.contains(wanted), "{outcome}");
        let heard = heard.await.unwrap().concat();
        assert!(!heard.contains("MAIL") && !heard.contains("pencil"), "{heard}");
    }
}
