//! Whole conversations with a scripted next hop, and with a raving one.
//! Knows the session only by its public methods.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::*;
use crate::{
    Address, Addressee, BodyKind, Notify, OwnName, RecipientWish, Return, ReversePath, SenderWish,
};

mod chunks;
mod errands;
mod faults;
mod lmtp;
mod login;
mod refusals;
mod starttls;

/// The next hop hangs up.
const HANG_UP: &str = "<hang up>";
/// The TLS handshake is over.
const SECURED: &str = "<secured>";
/// The TLS handshake came to nothing.
const BROKEN: &str = "<broken>";
/// The time named by `poll_timeout` comes.
const SILENCE: &str = "<silence>";

/// The keys of the one challenge there is.
static KEYS: OnceLock<crate::ClientKeys> = OnceLock::new();

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

fn settings() -> SendingSettings {
    SendingSettings::new(OwnName::parse("us.test").unwrap())
}

fn transaction(recipients: usize) -> Transaction {
    let recipient = |number| Addressee {
        address: Address::parse(&format!("u{number}@x.test")).unwrap(),
        wish: RecipientWish::default(),
    };
    Transaction {
        sender: ReversePath::Address(Address::parse("a@b.test").unwrap()),
        wish: SenderWish::default(),
        recipients: (1..=recipients).map(recipient).collect(),
        size_octets: 12,
        body: BodyKind::SevenBit,
        utf8: false,
    }
}

fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Delivered(reply) => format!("delivered {}", reply.text()),
        Outcome::Failed(cause) => format!("failed {}: {cause}", outcome.status()),
        Outcome::Deferred(cause) => format!("deferred {}: {cause}", outcome.status()),
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
    /// Those of the open one that are not sent.
    left: VecDeque<&'static [u8]>,
    turn: Vec<u8>,
    seen: Seen,
}

impl Conversation {
    fn new(transactions: &[Transaction], body: &[&'static [u8]]) -> Self {
        Self::with(settings(), transactions, body)
    }

    fn with(
        settings: SendingSettings,
        transactions: &[Transaction],
        body: &[&'static [u8]],
    ) -> Self {
        let now = start();
        let mut conversation = Self {
            session: SendingSession::new(now, settings),
            now,
            transactions: transactions.to_vec(),
            body: body.to_vec(),
            left: body.iter().copied().collect(),
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
        while let Some(action) = self.session.poll_action() {
            assert!(!self.seen.closed, "{action:?} after Close");
            match action {
                SendingAction::Send(octets) => self.turn.extend(octets),
                SendingAction::SendSecret(line) => self.turn.extend(line.expose()),
                SendingAction::Derive(derivation) => {
                    self.turn.extend(b"<derive>");
                    // One derivation is as good as the next, and takes its time.
                    let keys = KEYS.get_or_init(|| derivation.keys());
                    self.session.handle_keys(self.now, keys);
                }
                SendingAction::StartTls => self.turn.extend(b"<handshake>"),
                SendingAction::Body => match self.left.pop_front() {
                    Some(piece) => {
                        let last = self.left.is_empty();
                        self.session.handle_body(self.now, &[piece], last);
                    }
                    None => self.session.handle_body_unavailable(),
                },
                SendingAction::Result(outcomes) => {
                    self.left = self.body.iter().copied().collect();
                    self.seen.results.push(outcomes.iter().map(words).collect());
                    self.start_next();
                }
                SendingAction::Settled(ended) => panic!("nobody asked: {ended:?}"),
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
                SECURED => self.session.handle_tls(self.now, Ok(())),
                BROKEN => self.session.handle_tls(self.now, Err("why".into())),
                SILENCE => {
                    self.now = self.session.poll_timeout().expect("something is waited for");
                    self.session.handle_timeout(self.now - Duration::from_nanos(1));
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
    settings: SendingSettings,
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
            settings: settings(),
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
            Conversation::with(self.settings.clone(), &self.transactions, self.body)
                .play(&self.turns, cut)
        };
        let wanted = Seen {
            written: self.written.iter().map(ToString::to_string).collect(),
            results: (self.results.iter())
                .map(|result| result.iter().map(ToString::to_string).collect())
                .collect(),
            closed: self.closed,
        };
        assert_eq!(play(&|_, turn| vec![turn.into()]), wanted);
        assert_eq!(play(&|_, turn| turn.chars().map(String::from).collect()), wanted);
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
fn each_answer_has_the_time_of_rfc_5321() {
    let mut conversation = Conversation::new(&[transaction(1)], &[b"a\r\n"]);
    let mut waits = Vec::new();
    let step_by_step =
        ["220 hop\r\n", EHLO, "250 ok\r\n", "250 ok\r\n", "354 go\r\n", "250 queued\r\n"];
    for turn in [""].into_iter().chain(step_by_step) {
        // Half of an answer is none, and gets no time of its own.
        let (head, tail) = turn.split_at(turn.len() / 2);
        for part in [head, tail] {
            conversation.now += Duration::from_secs(7);
            let before = conversation.session.poll_timeout();
            conversation.session.handle_input(conversation.now, part.as_bytes());
            conversation.drain();
            assert!(part == tail || conversation.session.poll_timeout() == before);
        }
        let deadline = conversation.session.poll_timeout().unwrap();
        waits.push((deadline - conversation.now).as_secs());
    }
    // Greeting, EHLO, MAIL, RCPT, DATA, the dot (section 4.5.3.2), QUIT; the first seconds were over when this was asked.
    assert_eq!(waits, [300 - 14, 300, 300, 300, 120, 600, 10]);
}

/// A reply of ours has 64 lines at most, and 4096 octets; a server may have more to say.
#[test]
fn a_server_with_many_keywords_is_heard_to_the_end() {
    let many: String = (0..124).map(|number| format!("250-X-{number:030}\r\n")).collect();
    let offer = format!("250-hop\r\n{many}250-SIZE 1000\r\n250 PIPELINING\r\n");
    let group = "MAIL FROM:<a@b.test> SIZE=12\r\nRCPT TO:<u1@x.test>\r\nDATA\r\n";
    let turns = [
        ("220 hop\r\n", "EHLO us.test\r\n"),
        (offer.leak(), group),
        ("250 a\r\n250 b\r\n354 go\r\n", "a\r\n..\r\n.\r\n"),
        ("250 queued\r\n", "QUIT\r\n"),
    ];
    let case = Case::one(1, &turns, &["delivered queued"], false);
    let seen = Conversation::new(&case.transactions, case.body)
        .play(&case.turns, |_, turn| vec![turn.into()]);
    assert_eq!(
        (seen.written.concat(), seen.results.concat()),
        (case.written.concat(), vec!["delivered queued".to_owned()])
    );
    // Where the text of a reply ends no limit is cut short.
    let filler = format!("250-hop\r\n250-{}\r\n250-{}\r\n", "X".repeat(2043), "X".repeat(2041));
    let offer = format!("{filler}250-SIZE 1000\r\n250 8BITMIME\r\n");
    let turns = [("220 hop\r\n", "EHLO us.test\r\n"), (offer.leak(), MAIL)];
    let seen = Conversation::new(&[transaction(1)], &[b"a"])
        .play(&turns.map(|turn| turn.0), |_, turn| vec![turn.into()]);
    assert_eq!(seen.written, turns.map(|turn| turn.1));
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
        settings: settings(),
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
fn groups_are_bounded() {
    let mut conversation = Conversation::new(&[transaction(1000)], &[b"a\r\n"]);
    conversation.drain();
    conversation.session.handle_input(conversation.now, b"220 hop\r\n");
    conversation.drain();
    conversation.session.handle_input(conversation.now, EHLO_PIPELINING.as_bytes());
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
        conversation.session.handle_input(conversation.now, replies.as_bytes());
    }
    assert_eq!(groups, 1000 * "RCPT TO:<u1000@x.test>\r\n".len() / 4096 + 1);
}

#[test]
fn a_time_and_a_level_are_passed_on_to_who_knows_of_them() {
    let mut urgent = transaction(1);
    urgent.wish = SenderWish {
        priority: crate::Priority::parse("3"),
        deliver_by: crate::DeliverBy::parse("90;NT"),
        ..SenderWish::default()
    };
    let mut returned = urgent.clone();
    returned.wish.deliver_by = crate::DeliverBy::parse("90;R");
    let refused = "failed 5.3.3: the message must come in time, and the next hop does not offer DELIVERBY for that";
    for (transaction, offer, wanted) in [
        (&urgent, "250-hop\r\n250-MT-PRIORITY\r\n250 DELIVERBY\r\n", Ok(" MT-PRIORITY=3 BY=90;NT")),
        (&urgent, "250-hop\r\n250 DELIVERBY 240\r\n", Ok(" BY=90;NT")),
        (&urgent, "250-hop\r\n250 MT-PRIORITY\r\n", Ok(" MT-PRIORITY=3")),
        (&urgent, "250 hop\r\n", Ok("")),
        (&returned, "250-hop\r\n250 DELIVERBY 90\r\n", Ok(" BY=90;R")),
        (&returned, "250-hop\r\n250 DELIVERBY 91\r\n", Err(refused)),
        (&returned, "250 hop\r\n", Err(refused)),
    ] {
        let mail: &str;
        let mut turns = vec![("220 hop\r\n", "EHLO us.test\r\n")];
        let outcome = match wanted {
            Ok(words) => {
                mail = format!("MAIL FROM:<a@b.test>{words}\r\n").leak();
                turns.extend([(offer, mail), ("554 no\r\n", "QUIT\r\n")]);
                "failed 5.0.0: 554 no to MAIL"
            }
            Err(refused) => {
                turns.push((offer, "QUIT\r\n"));
                refused
            }
        };
        let case = Case::one(1, &turns, &[outcome], false);
        Case { transactions: vec![transaction.clone()], ..case }.check();
    }
}

#[test]
fn what_is_left_of_a_time_is_told_when_it_is_said() {
    let mut timed = transaction(1);
    let mut said = |by: &str, seconds| {
        timed.wish.deliver_by = crate::DeliverBy::parse(by);
        let mut conversation = Conversation::new(std::slice::from_ref(&timed), &[b"a"]);
        conversation.session.handle_input(conversation.now, b"220 hop\r\n");
        conversation.now += Duration::from_secs(seconds);
        conversation.drain();
        conversation.turn.clear();
        conversation.session.handle_input(conversation.now, b"250-hop\r\n250 DELIVERBY\r\n");
        conversation.drain();
        String::from_utf8(conversation.turn.clone()).unwrap()
            + &conversation.seen.results.concat().concat()
    };
    assert_eq!(said("90;R", 80), "MAIL FROM:<a@b.test> BY=10;R\r\n");
    assert_eq!(said("90;N", 95), "MAIL FROM:<a@b.test> BY=-5;N\r\n");
    let late = "deferred 4.4.7: the time is over that the sender of the message has set";
    assert_eq!(said("90;R", 90), format!("QUIT\r\n{late}"));
}

#[test]
fn who_is_to_know_of_a_late_message_is_told_of_delays_where_the_promise_ends() {
    let notify = |text| Notify::parse(text);
    let dsn = "250-hop\r\n250 DSN\r\n";
    let both = "250-hop\r\n250-DSN\r\n250 DELIVERBY\r\n";
    for (by, offer, asked, wanted) in [
        ("90;N", dsn, None, " NOTIFY=FAILURE,DELAY"),
        ("90;N", dsn, notify("SUCCESS"), " NOTIFY=SUCCESS,DELAY"),
        ("90;N", dsn, notify("DELAY"), " NOTIFY=DELAY"),
        ("90;N", dsn, notify("NEVER"), " NOTIFY=NEVER"),
        // They were told already.
        ("0;N", dsn, None, ""),
        ("90;N", both, None, ""),
        ("90;N", both, notify("SUCCESS"), " NOTIFY=SUCCESS"),
        ("90;N", "250 hop\r\n", notify("SUCCESS"), ""),
    ] {
        let mut transaction = transaction(1);
        transaction.wish.deliver_by = crate::DeliverBy::parse(by);
        transaction.recipients[0].wish.notify = asked;
        let passed = if offer == both { format!(" BY={by}") } else { String::new() };
        let mail: &str = format!("MAIL FROM:<a@b.test>{passed}\r\n").leak();
        let rcpt: &str = format!("RCPT TO:<u1@x.test>{wanted}\r\n").leak();
        let turns = [
            ("220 hop\r\n", "EHLO us.test\r\n"),
            (offer, mail),
            ("250 a\r\n", rcpt),
            ("554 no\r\n", "QUIT\r\n"),
        ];
        let case = Case::one(1, &turns, &["failed 5.0.0: 554 no to RCPT"], false);
        Case { transactions: vec![transaction], ..case }.check();
    }
}

#[test]
fn what_senders_want_to_be_told_is_passed_on_to_who_knows_of_it() {
    let mut transaction = transaction(2);
    transaction.wish = SenderWish {
        ret: Some(Return::Headers),
        envid: Some("a+2Bb".into()),
        ..SenderWish::default()
    };
    let notify = Notify { success: true, delay: true, failure: false };
    let orcpt = Some("rfc822;w@y.test".into());
    transaction.recipients[1].wish = RecipientWish { notify: Some(notify), orcpt };
    for (offer, mail, rcpt) in [
        (
            "250-hop\r\n250 DSN\r\n",
            " RET=HDRS ENVID=a+2Bb",
            " NOTIFY=SUCCESS,DELAY ORCPT=rfc822;w@y.test",
        ),
        ("250 hop\r\n", "", ""),
    ] {
        let mail: &str = format!("MAIL FROM:<a@b.test>{mail}\r\n").leak();
        let rcpt: &str = format!("RCPT TO:<u2@x.test>{rcpt}\r\n").leak();
        let case = Case::one(
            2,
            &[
                ("220 hop\r\n", "EHLO us.test\r\n"),
                (offer, mail),
                ("250 a\r\n", RCPT),
                ("250 b\r\n", rcpt),
                ("250 c\r\n", "DATA\r\n"),
                ("554 no\r\n", "QUIT\r\n"),
            ],
            &["failed 5.0.0: 554 no to DATA", "failed 5.0.0: 554 no to DATA"],
            false,
        );
        Case { transactions: vec![transaction.clone()], ..case }.check();
    }
}
