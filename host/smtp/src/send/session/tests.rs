//! Whole conversations with a scripted next hop, and with a raving one.
//! Knows the session only by its public methods.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::{Address, ReversePath};

/// The next hop hangs up.
const HANG_UP: &str = "<hang up>";
/// The time named by `poll_timeout` comes.
const SILENCE: &str = "<silence>";

const EHLO: &str = "250-hop\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n";
const EHLO_PIPELINING: &str = "250-hop\r\n250 PIPELINING\r\n";
const ONE: &str = "MAIL FROM:<a@b.test>\r\nRCPT TO:<u1@x.test>\r\nDATA\r\n";
const MAIL: &str = "MAIL FROM:<a@b.test> SIZE=12\r\n";
const RCPT: &str = "RCPT TO:<u1@x.test>\r\n";

fn start() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "some first moment is needed; none passes by itself"
    )]
    Instant::now()
}

fn transaction(recipients: usize) -> Transaction {
    let recipient = |number| Address::parse(&format!("u{number}@x.test")).unwrap();
    Transaction {
        sender: ReversePath::Address(Address::parse("a@b.test").unwrap()),
        recipients: (1..=recipients).map(recipient).collect(),
        size_octets: 12,
        eight_bit: false,
    }
}

fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Delivered(reply) => format!("delivered {}", reply.text()),
        Outcome::Failed(cause) => format!("failed {}: {cause}", cause.status()),
        Outcome::Deferred(cause) => format!("deferred {}: {cause}", cause.status()),
    }
}

/// What was seen of one connection.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    /// What we wrote between two of the next hop's turns, one entry each.
    written: Vec<String>,
    /// One entry per transaction.
    results: Vec<Vec<String>>,
    closed: bool,
}

/// One connection and what is to be sent over it.
struct Conversation {
    session: SendingSession,
    now: Instant,
    /// Started one after the other; then comes QUIT.
    transactions: Vec<Transaction>,
    /// The pieces of each message.
    body: Vec<&'static [u8]>,
    turn: Vec<u8>,
    seen: Seen,
}

impl Conversation {
    fn new(transactions: &[Transaction], body: &[&'static [u8]]) -> Self {
        let now = start();
        let name = OwnName::parse("us.test").unwrap();
        let mut conversation = Self {
            session: SendingSession::new(now, name, SendingTimeouts::default()),
            now,
            transactions: transactions.to_vec(),
            body: body.to_vec(),
            turn: Vec::new(),
            seen: Seen::default(),
        };
        conversation.start_next();
        conversation
    }

    fn start_next(&mut self) {
        if self.transactions.is_empty() || !self.session.is_ready() {
            self.session.quit(self.now);
        } else {
            let next = self.transactions.remove(0);
            assert_eq!(self.session.start(self.now, next), Ok(()));
        }
    }

    fn drain(&mut self) {
        let mut pieces = self.body.clone().into_iter();
        while let Some(action) = self.session.poll_action() {
            assert!(!self.seen.closed, "{action:?} after Close");
            match action {
                SendingAction::Send(octets) => self.turn.extend(octets),
                SendingAction::Body => match pieces.next() {
                    Some(piece) => {
                        let last = pieces.len() == 0;
                        self.session.handle_body(self.now, piece, last);
                    }
                    None => self.session.handle_body_unavailable(),
                },
                SendingAction::Result(outcomes) => {
                    self.seen.results.push(outcomes.iter().map(words).collect());
                    self.start_next();
                }
                SendingAction::Close => self.seen.closed = true,
            }
        }
        assert_eq!(self.seen.closed, self.session.is_over());
        assert!(!self.seen.closed || self.session.poll_timeout().is_none());
    }

    fn end_turn(&mut self) {
        let turn = String::from_utf8(std::mem::take(&mut self.turn)).unwrap();
        self.seen.written.push(turn);
    }

    /// Plays the next hop's turns, each in pieces as `cut` makes them.
    fn play(mut self, turns: &[&str], cut: impl Fn(usize, &str) -> Vec<String>) -> Seen {
        self.drain();
        for (number, turn) in turns.iter().enumerate() {
            match *turn {
                HANG_UP => self.session.handle_closed(),
                SILENCE => {
                    self.now = self
                        .session
                        .poll_timeout()
                        .expect("something is waited for");
                    self.session
                        .handle_timeout(self.now - Duration::from_nanos(1));
                    assert!(!self.session.is_over(), "ended before the time");
                    self.session.handle_timeout(self.now);
                }
                _ => {
                    for piece in cut(number, turn) {
                        self.session.handle_input(self.now, piece.as_bytes());
                        self.drain();
                    }
                }
            }
            self.drain();
            self.end_turn();
        }
        self.seen
    }
}

struct Case {
    transactions: Vec<Transaction>,
    body: &'static [&'static [u8]],
    turns: Vec<&'static str>,
    written: Vec<&'static str>,
    results: Vec<Vec<&'static str>>,
    closed: bool,
}

impl Case {
    /// One transaction with the message `a CRLF . CRLF`; the next hop's and our turns alternate.
    fn one(
        recipients: usize,
        turns: &[(&'static str, &'static str)],
        results: &[&'static str],
        closed: bool,
    ) -> Self {
        Self {
            transactions: vec![transaction(recipients)],
            body: &[b"a\r\n.\r\n"],
            turns: turns.iter().map(|turn| turn.0).collect(),
            written: turns.iter().map(|turn| turn.1).collect(),
            results: vec![results.to_vec()],
            closed,
        }
    }

    /// Plays it whole, octet by octet, and cut at each place of each turn.
    fn check(&self) {
        let play = |cut: &dyn Fn(usize, &str) -> Vec<String>| {
            Conversation::new(&self.transactions, self.body).play(&self.turns, cut)
        };
        let wanted = Seen {
            written: self.written.iter().map(ToString::to_string).collect(),
            results: (self.results.iter())
                .map(|result| result.iter().map(ToString::to_string).collect())
                .collect(),
            closed: self.closed,
        };
        assert_eq!(play(&|_, turn| vec![turn.into()]), wanted);
        assert_eq!(
            play(&|_, turn| turn.chars().map(String::from).collect()),
            wanted
        );
        for (number, turn) in self.turns.iter().enumerate() {
            for place in 0..turn.len() {
                let cut = |at: usize, turn: &str| {
                    if at != number || turn.starts_with('<') {
                        return vec![turn.into()];
                    }
                    vec![turn[..place].into(), turn[place..].into()]
                };
                assert_eq!(play(&cut), wanted, "turn {number} cut at {place}");
            }
        }
    }
}

#[test]
fn a_message_is_sent_step_by_step() {
    Case::one(
        2,
        &[
            ("220 hop\r\n", "EHLO us.test\r\n"),
            (EHLO, MAIL),
            ("250 2.1.0 Ok\r\n", RCPT),
            ("250 2.1.5 Ok\r\n", "RCPT TO:<u2@x.test>\r\n"),
            ("251 Ok\r\n", "DATA\r\n"),
            ("354 go\r\n", "a\r\n..\r\n.\r\n"),
            ("250 2.0.0 queued\r\n", "QUIT\r\n"),
            ("221 bye\r\n", ""),
        ],
        &["delivered queued", "delivered queued"],
        true,
    )
    .check();
}

#[test]
fn a_message_is_sent_in_a_group() {
    Case::one(
        1,
        &[
            ("220 hop\r\n", "EHLO us.test\r\n"),
            (EHLO_PIPELINING, ONE),
            ("250 a\r\n250 b\r\n354 go\r\n", "a\r\n..\r\n.\r\n"),
            ("250 queued\r\n", "QUIT\r\n"),
            ("221 bye\r\n", ""),
        ],
        &["delivered queued"],
        true,
    )
    .check();
}

#[test]
fn recipients_have_outcomes_of_their_own() {
    let group = "MAIL FROM:<a@b.test>\r\nRCPT TO:<u1@x.test>\r\nRCPT TO:<u2@x.test>\r\n\
        RCPT TO:<u3@x.test>\r\nDATA\r\n";
    let replies = "250 a\r\n250 b\r\n550-5.1.1 no\r\n550 5.1.1 user\r\n450 c\r\n354 go\r\n";
    Case::one(
        3,
        &[
            ("220 hop\r\n", "EHLO us.test\r\n"),
            (EHLO_PIPELINING, group),
            (replies, "a\r\n..\r\n.\r\n"),
            ("250 queued\r\n", "QUIT\r\n"),
        ],
        &[
            "delivered queued",
            "failed 5.1.1: 550 5.1.1 no user to RCPT",
            "deferred 4.0.0: 450 c to RCPT",
        ],
        false,
    )
    .check();
}

#[test]
fn refusals_count_for_the_right_recipients() {
    let hello = ("220 hop\r\n", "EHLO us.test\r\n");
    let lock_step = (EHLO, MAIL);
    let group = (EHLO_PIPELINING, ONE);
    let go = ("250 a\r\n250 b\r\n354 go\r\n", "a\r\n..\r\n.\r\n");
    let cases = [
        // Step by step.
        (
            vec![hello, lock_step, ("550 5.7.1 no\r\n", "QUIT\r\n")],
            "failed 5.7.1: 550 5.7.1 no to MAIL",
            false,
        ),
        (
            vec![hello, lock_step, ("451 later\r\n", "QUIT\r\n")],
            "deferred 4.0.0: 451 later to MAIL",
            false,
        ),
        (
            vec![
                hello,
                lock_step,
                ("250 ok\r\n", RCPT),
                ("550 no\r\n", "QUIT\r\n"),
            ],
            "failed 5.0.0: 550 no to RCPT",
            false,
        ),
        (
            vec![
                hello,
                lock_step,
                ("250 ok\r\n", RCPT),
                ("250 ok\r\n", "DATA\r\n"),
                ("451 no\r\n", "QUIT\r\n"),
            ],
            "deferred 4.0.0: 451 no to DATA",
            false,
        ),
        // In a group MAIL's answer counts, not what follows from it; a DATA taken for nobody is ended by a lone dot.
        (
            vec![
                hello,
                group,
                ("450 later\r\n503 no MAIL\r\n503 no RCPT\r\n", "QUIT\r\n"),
            ],
            "deferred 4.0.0: 450 later to MAIL",
            false,
        ),
        (
            vec![
                hello,
                group,
                ("250 ok\r\n550 no\r\n354 go\r\n", ".\r\n"),
                ("250 queued\r\n", "QUIT\r\n"),
            ],
            "failed 5.0.0: 550 no to RCPT",
            false,
        ),
        (
            vec![
                hello,
                group,
                ("550 no\r\n250 ok\r\n354 go\r\n", ".\r\n"),
                ("554 nobody\r\n", "QUIT\r\n"),
                ("221 x\r\n", ""),
            ],
            "failed 5.0.0: 550 no to MAIL",
            true,
        ),
        (
            vec![hello, group, ("250 ok\r\n250 ok\r\n554 no\r\n", "QUIT\r\n")],
            "failed 5.0.0: 554 no to DATA",
            false,
        ),
        // The final dot.
        (
            vec![hello, group, go, ("554 5.7.1 spam\r\n", "QUIT\r\n")],
            "failed 5.7.1: 554 5.7.1 spam to the end of the message",
            false,
        ),
        (
            vec![hello, group, go, ("452 full\r\n", "QUIT\r\n")],
            "deferred 4.0.0: 452 full to the end of the message",
            false,
        ),
        // Answers of another kind than the question.
        (
            vec![hello, lock_step, ("354 go\r\n", "")],
            "deferred 4.0.0: 354 go to MAIL",
            true,
        ),
        (
            vec![hello, group, ("250 ok\r\n250 ok\r\n250 ok\r\n", "")],
            "deferred 4.0.0: 250 ok to DATA",
            true,
        ),
    ];
    for (turns, result, closed) in cases {
        Case::one(1, &turns, &[result], closed).check();
    }
}

#[test]
fn a_server_that_wont_talk_defers() {
    let hello = ("220 hop\r\n", "EHLO us.test\r\n");
    let cases = [
        (
            vec![("554 no\r\n", "QUIT\r\n")],
            "deferred 5.0.0: 554 no to the connection",
            false,
        ),
        (
            vec![("421 busy\r\n", "")],
            "deferred 4.0.0: 421 busy to the connection",
            true,
        ),
        (
            vec![("HTTP/1.1 400 Bad\r\n", "")],
            "deferred 4.5.0: no SMTP reply to the connection: a line is not a reply: \"HTTP/1.1 400 Bad\"",
            true,
        ),
        (
            vec![hello, ("450 no\r\n", "QUIT\r\n")],
            "deferred 4.0.0: 450 no to EHLO",
            false,
        ),
        (
            vec![
                hello,
                ("502 what\r\n", "HELO us.test\r\n"),
                ("550 no\r\n", "QUIT\r\n"),
            ],
            "deferred 5.0.0: 550 no to HELO",
            false,
        ),
        (
            vec![
                hello,
                ("502 what\r\n", "HELO us.test\r\n"),
                ("250-hop\r\n250 PIPELINING\r\n", "MAIL FROM:<a@b.test>\r\n"),
                (HANG_UP, ""),
            ],
            "deferred 4.4.2: connection closed at MAIL",
            true,
        ),
        (
            vec![(HANG_UP, "")],
            "deferred 4.4.2: connection closed at the connection",
            true,
        ),
        (
            vec![(SILENCE, "")],
            "deferred 4.4.2: timed out waiting for the connection",
            true,
        ),
        (
            vec![hello, (EHLO, MAIL), ("421 bye\r\n", "")],
            "deferred 4.0.0: 421 bye to MAIL",
            true,
        ),
    ];
    for (turns, result, closed) in cases {
        Case::one(1, &turns, &[result], closed).check();
    }
}

#[test]
fn a_lost_connection_defers() {
    let mut turns = vec![
        ("220 hop\r\n", "EHLO us.test\r\n"),
        (EHLO, MAIL),
        ("250 ok\r\n", RCPT),
        ("250 ok\r\n", "DATA\r\n"),
        ("354 go\r\n", "a\r\n..\r\n.\r\n"),
    ];
    let steps = ["EHLO", "MAIL", "RCPT", "DATA", "the end of the message"];
    while let Some(step) = turns.len().checked_sub(1).map(|last| steps[last]) {
        for (event, text) in [
            (HANG_UP, "connection closed at"),
            (SILENCE, "timed out waiting for"),
        ] {
            let mut turns = turns.clone();
            turns.push((event, ""));
            let result = format!("deferred 4.4.2: {text} {step}");
            Case::one(1, &turns, &[result.leak()], true).check();
        }
        turns.pop();
    }
}

#[test]
fn replies_that_nothing_asked_for_are_not_believed() {
    let hello = ("220 hop\r\n", "EHLO us.test\r\n");
    let cases = [
        // A reply more than was asked for would be taken for the one to the final dot.
        (
            vec![("220 hop\r\n250 x\r\n", "")],
            "deferred 4.5.0: a reply that nothing asked for: 250 x",
        ),
        (
            vec![hello, (EHLO, MAIL), ("250 ok\r\n250 ok\r\n", "")],
            "deferred 4.5.0: a reply that nothing asked for: 250 ok",
        ),
        (
            vec![
                hello,
                (EHLO_PIPELINING, ONE),
                ("250 a\r\n250 b\r\n354 go\r\n250 queued\r\n", ""),
            ],
            "deferred 4.5.0: a reply that nothing asked for: 250 queued",
        ),
    ];
    for (turns, result) in cases {
        let case = Case::one(1, &turns, &[result], true);
        // Not cut: behind the last line end the second reply may be an honest answer to what is sent then.
        let seen = Conversation::new(&case.transactions, case.body)
            .play(&case.turns, |_, turn| vec![turn.into()]);
        assert_eq!(seen.results, [[result]]);
        assert_eq!(seen.written.concat(), case.written.concat());
        assert!(seen.closed);
    }
}

/// A session that waits for more of a message of which it has the first octets.
fn in_content() -> Conversation {
    let mut conversation =
        Conversation::new(&[transaction(1)], &[b"first\r\n", b"never asked for"]);
    for turn in ["220 hop\r\n", EHLO_PIPELINING] {
        conversation.drain();
        conversation
            .session
            .handle_input(conversation.now, turn.as_bytes());
    }
    conversation.drain();
    conversation
        .session
        .handle_input(conversation.now, b"250 a\r\n250 b\r\n354 go\r\n");
    conversation.turn.clear();
    conversation
}

#[test]
fn the_middle_of_the_message_can_end_the_session() {
    type Event = fn(&mut SendingSession, Instant);
    let cases: [(Event, &str); 8] = [
        (
            |session, now| session.handle_input(now, b"552 5.3.4 too big\r\n"),
            "failed 5.3.4: 552 5.3.4 too big to the message",
        ),
        (
            |session, now| session.handle_input(now, b"451 no\r\n"),
            "deferred 4.0.0: 451 no to the message",
        ),
        (
            |session, now| session.handle_input(now, b"421 no\r\n"),
            "deferred 4.0.0: 421 no to the message",
        ),
        (
            |session, now| session.handle_input(now, b"250 no\r\n"),
            "deferred 4.5.0: a reply that nothing asked for: 250 no",
        ),
        (
            |session, _| session.handle_closed(),
            "deferred 4.4.2: connection closed at the message",
        ),
        (
            |session, now| session.handle_timeout(now + Duration::from_secs(180)),
            "deferred 4.4.2: timed out waiting for the message",
        ),
        (
            |session, _| session.handle_body_unavailable(),
            "deferred 4.3.0: the stored message could not be read",
        ),
        (
            |session, now| session.handle_body(now, b"a\nb", true),
            "failed 5.6.0: the stored message has a bare LF",
        ),
    ];
    for (event, result) in cases {
        let mut conversation = in_content();
        assert_eq!(
            conversation.session.poll_action(),
            Some(SendingAction::Body)
        );
        conversation
            .session
            .handle_body(conversation.now, b"first\r\n", false);
        event(&mut conversation.session, conversation.now);
        conversation.body.clear();
        conversation.drain();
        assert_eq!(conversation.seen.results, [[result]]);
        assert!(conversation.seen.closed);
        // Above all no dot: the next hop must drop what it has.
        assert_eq!(conversation.turn, b"");
    }
}

#[test]
fn a_connection_is_used_again() {
    let turns = [
        ("220 hop\r\n", "EHLO us.test\r\n"),
        (EHLO_PIPELINING, ONE),
        ("250 a\r\n250 b\r\n354 go\r\n", "a\r\n.\r\n"),
        // What was taken needs no RSET; what was not, does.
        ("250 first\r\n", ONE),
        (
            "250 a\r\n550 b\r\n554 no\r\n",
            "RSET\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<u1@x.test>\r\nDATA\r\n",
        ),
        ("250 r\r\n250 a\r\n250 b\r\n354 go\r\n", "a\r\n.\r\n"),
        ("250 third\r\n", "QUIT\r\n"),
        ("221 bye\r\n", ""),
    ];
    Case {
        transactions: vec![transaction(1), transaction(1), transaction(1)],
        body: &[b"a", b"\r", b"", b"\n"],
        turns: turns.iter().map(|turn| turn.0).collect(),
        written: turns.iter().map(|turn| turn.1).collect(),
        results: vec![
            vec!["delivered first"],
            vec!["failed 5.0.0: 550 b to RCPT"],
            vec!["delivered third"],
        ],
        closed: true,
    }
    .check();
}

#[test]
fn a_farewell_behind_the_last_reply_is_heard() {
    let conversation = Conversation::new(&[transaction(1)], &[b"a\r\n"]);
    let turns = [
        "220 hop\r\n",
        EHLO_PIPELINING,
        "250 a\r\n250 b\r\n354 go\r\n",
        "250 queued\r\n421 bye\r\n",
    ];
    let seen = conversation.play(&turns, |_, turn| vec![turn.into()]);
    assert_eq!(seen.results, [["delivered queued"]]);
    assert!(seen.closed);
    let turns = [
        "220 hop\r\n",
        EHLO_PIPELINING,
        "250 a\r\n250 b\r\n354 go\r\n",
        "250 queued\r\n42",
    ];
    let conversation = Conversation::new(&[transaction(1)], &[b"a\r\n"]);
    let seen = conversation.play(&turns, |_, turn| vec![turn.into()]);
    assert_eq!(seen.results, [["delivered queued"]]);
    assert!(seen.closed);
}

#[test]
fn what_a_server_cant_take_is_not_sent() {
    let eight_bit = Transaction {
        eight_bit: true,
        ..transaction(2)
    };
    let large = Transaction {
        size_octets: 1001,
        ..transaction(1)
    };
    let turns = [
        ("220 hop\r\n", "EHLO us.test\r\n"),
        (EHLO, "MAIL FROM:<a@b.test> SIZE=12 BODY=8BITMIME\r\n"),
        ("451 no\r\n", "QUIT\r\n"),
    ];
    Case {
        transactions: vec![
            large,
            Transaction {
                recipients: vec![],
                ..transaction(1)
            },
            eight_bit.clone(),
        ],
        body: &[],
        turns: turns.iter().map(|turn| turn.0).collect(),
        written: turns.iter().map(|turn| turn.1).collect(),
        results: vec![
            vec!["failed 5.3.4: the message has 1001 octets, the next hop takes at most 1000"],
            vec![],
            vec!["deferred 4.0.0: 451 no to MAIL"; 2],
        ],
        closed: false,
    }
    .check();
    let turns = [
        ("220 hop\r\n", "EHLO us.test\r\n"),
        (EHLO_PIPELINING, "QUIT\r\n"),
    ];
    let refusal =
        "failed 5.6.3: the message has 8-bit octets and the next hop does not offer 8BITMIME";
    Case {
        transactions: vec![eight_bit],
        body: &[],
        turns: turns.iter().map(|turn| turn.0).collect(),
        written: turns.iter().map(|turn| turn.1).collect(),
        results: vec![vec![refusal; 2]],
        closed: false,
    }
    .check();
}

#[test]
fn groups_are_bounded() {
    let mut conversation = Conversation::new(&[transaction(1000)], &[b"a\r\n"]);
    conversation.drain();
    conversation
        .session
        .handle_input(conversation.now, b"220 hop\r\n");
    conversation.drain();
    conversation
        .session
        .handle_input(conversation.now, EHLO_PIPELINING.as_bytes());
    let mut groups = 0;
    loop {
        conversation.turn.clear();
        conversation.drain();
        let text = String::from_utf8(conversation.turn.clone()).unwrap();
        assert!(text.len() < 4096 + 512, "{}", text.len());
        groups += 1;
        let replies = "250 ok\r\n".repeat(text.lines().count());
        if text.ends_with("DATA\r\n") {
            break;
        }
        conversation
            .session
            .handle_input(conversation.now, replies.as_bytes());
    }
    assert_eq!(groups, 1000 * "RCPT TO:<u1000@x.test>\r\n".len() / 4096 + 1);
}

/// Something that a next hop may send: mostly replies, now and then rubbish.
fn raving() -> impl Strategy<Value = Vec<u8>> {
    let code = prop_oneof![
        6 => Just(250_u16), 3 => Just(354), 1 => Just(220), 1 => Just(421), 1 => Just(450), 1 => Just(550), 1 => 0..1000_u16,
    ];
    let line = (
        code,
        prop_oneof![5 => Just(' '), 1 => Just('-')],
        "[ -~]{0,12}",
    );
    prop_oneof![
        8 => line.prop_map(|(code, joint, text)| format!("{code:03}{joint}{text}\r\n").into_bytes()),
        1 => Just(EHLO_PIPELINING.as_bytes().to_vec()),
        1 => Just(EHLO.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
    ]
}

proptest! {
    /// Whatever a next hop sends: no panic, one result per transaction, one end, and only CRLF lines go out.
    #[test]
    fn a_raving_next_hop_does_no_harm(
        inputs in proptest::collection::vec(raving(), 0..24),
        recipients in 0_usize..4,
        silent in any::<bool>(),
    ) {
        let body: [&[u8]; 3] = [b".a\r", b"\n.\r\n", b".b"];
        let transactions = [transaction(recipients), transaction(1)];
        let mut conversation = Conversation::new(&transactions, &body);
        for input in inputs {
            conversation.drain();
            conversation.session.handle_input(conversation.now, &input);
        }
        conversation.drain();
        let unended = match (silent, conversation.session.poll_timeout()) {
            (true, Some(deadline)) => { conversation.session.handle_timeout(deadline); false }
            (true, None) => !conversation.seen.closed,
            (false, _) => { conversation.session.handle_closed(); false }
        };
        prop_assert!(!unended, "waits for ever");
        conversation.drain();
        prop_assert!(conversation.seen.closed);
        let started = transactions.len() - conversation.transactions.len();
        prop_assert_eq!(conversation.seen.results.len(), started);
        prop_assert_eq!(conversation.seen.results[0].len(), recipients);
        let text = String::from_utf8(conversation.turn).unwrap();
        prop_assert!(!text.replace("\r\n", "").contains(['\r', '\n']));
        prop_assert!(text.is_empty() || text.ends_with("\r\n"));
        for line in text.lines().filter(|line| line.starts_with('.')) {
            prop_assert!([".", "..", "..a", "..b"].contains(&line), "{}", line);
        }
    }
}
