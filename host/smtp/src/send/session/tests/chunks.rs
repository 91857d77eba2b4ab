//! Messages that go by BDAT (RFC 3030), in one go with their envelope or piece by piece, and those in UTF-8 (RFC 6531).

use super::*;
use crate::Protocol;

const CHUNKING: &str = "250-hop\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250 PIPELINING\r\n";
/// Envelope and message `a CRLF . CRLF` in one go.
const ALL: &str = "MAIL FROM:<a@b.test>\r\nRCPT TO:<u1@x.test>\r\nBDAT 6 LAST\r\na\r\n.\r\n";

fn binary() -> Transaction {
    Transaction { body: BodyKind::BinaryMime, ..transaction(1) }
}

/// One too large to go with its envelope.
fn large() -> Transaction {
    Transaction { size_octets: 100_000, ..binary() }
}

#[test]
fn a_small_message_goes_with_its_envelope() {
    let turns = [
        ("220 hop\r\n", "EHLO us.test\r\n"),
        (CHUNKING, ALL),
        ("250 a\r\n250 b\r\n250 queued\r\n", "QUIT\r\n"),
        ("221 bye\r\n", ""),
    ];
    Case::one(1, &turns, &["delivered queued"], true).check();
    // A last line without an end gets one: only a binary message may be without.
    for (transaction, mail, chunk) in [
        (transaction(1), "", "BDAT 3 LAST\r\na\r\n"),
        (binary(), " BODY=BINARYMIME", "BDAT 1 LAST\r\na"),
    ] {
        let all: &str =
            format!("MAIL FROM:<a@b.test>{mail}\r\nRCPT TO:<u1@x.test>\r\n{chunk}").leak();
        let turns = [turns[0], (CHUNKING, all), turns[2], turns[3]];
        let case = Case::one(1, &turns, &["delivered queued"], true);
        Case { transactions: vec![transaction], body: &[b"a"], ..case }.check();
    }
}

#[test]
fn refusals_count_for_what_they_answer() {
    let group = "MAIL FROM:<a@b.test>\r\nRCPT TO:<u1@x.test>\r\nRCPT TO:<u2@x.test>\r\n\
        BDAT 6 LAST\r\na\r\n.\r\n";
    let cases: [(&'static str, [&'static str; 2]); 4] = [
        (
            "250 a\r\n550 b\r\n250 c\r\n250 queued\r\n",
            ["failed 5.0.0: 550 b to RCPT", "delivered queued"],
        ),
        (
            "250 a\r\n250 b\r\n250 c\r\n452 full\r\n",
            ["deferred 4.0.0: 452 full to the end of the message"; 2],
        ),
        (
            "250 a\r\n550 b\r\n450 c\r\n503 d\r\n",
            ["failed 5.0.0: 550 b to RCPT", "deferred 4.0.0: 450 c to RCPT"],
        ),
        // Whatever a server says to a message without an envelope, nobody has it.
        ("550 a\r\n503 b\r\n503 c\r\n250 d\r\n", ["failed 5.0.0: 550 a to MAIL"; 2]),
    ];
    for (replies, results) in cases {
        let turns = [("220 hop\r\n", "EHLO us.test\r\n"), (CHUNKING, group), (replies, "QUIT\r\n")];
        Case::one(2, &turns, &results, false).check();
    }
}

#[test]
fn what_was_refused_is_cleared_before_the_next() {
    let reset: &str = format!("RSET\r\n{ALL}").leak();
    let turns = [
        ("220 hop\r\n", "EHLO us.test\r\n"),
        (CHUNKING, ALL),
        ("250 a\r\n250 b\r\n452 full\r\n", reset),
        ("250 r\r\n250 a\r\n250 b\r\n250 second\r\n", ALL),
        ("250 a\r\n250 b\r\n250 third\r\n", "QUIT\r\n"),
    ];
    let case = Case::one(1, &turns, &[], false);
    Case {
        transactions: vec![transaction(1), transaction(1), transaction(1)],
        results: vec![
            vec!["deferred 4.0.0: 452 full to the end of the message"],
            vec!["delivered second"],
            vec!["delivered third"],
        ],
        ..case
    }
    .check();
}

const MAIL_BINARY: &str = "MAIL FROM:<a@b.test> BODY=BINARYMIME\r\n";

#[test]
fn a_large_binary_message_goes_in_chunks() {
    let mail: &str = format!("{MAIL_BINARY}{RCPT}").leak();
    let turns = [
        ("220 hop\r\n", "EHLO us.test\r\n"),
        (CHUNKING, mail),
        ("250 a\r\n250 b\r\n", "BDAT 3\r\na\n\rBDAT 1\r\n.BDAT 0 LAST\r\n"),
        ("250 c\r\n250 d\r\n250 queued\r\n", "QUIT\r\n"),
    ];
    let body: &[&[u8]] = &[b"a\n\r", b"", b".", b""];
    let case = Case::one(1, &turns, &["delivered queued"], false);
    Case { transactions: vec![large()], body, ..case }.check();

    // Step by step where nothing else is offered; a refusal in the middle ends it.
    let plain = "250-hop\r\n250-CHUNKING\r\n250 BINARYMIME\r\n";
    for (refusal, result) in [
        ("452 full\r\n", "deferred 4.0.0: 452 full to BDAT"),
        ("552 5.3.4 large\r\n", "failed 5.3.4: 552 5.3.4 large to BDAT"),
    ] {
        let turns = [
            ("220 hop\r\n", "EHLO us.test\r\n"),
            (plain, MAIL_BINARY),
            ("250 a\r\n", RCPT),
            ("250 b\r\n", "BDAT 3\r\na\n\r"),
            ("250 c\r\n", "BDAT 1\r\n."),
            (refusal, "RSET\r\n"),
            ("250 r\r\n", MAIL_BINARY),
        ];
        let case = Case::one(1, &turns, &[result], false);
        Case { transactions: vec![large(), large()], body, ..case }.check();
    }
}

#[test]
fn only_so_many_chunks_are_on_their_way() {
    let body: &[&[u8]] = &[&b"x"[..]; 20];
    let mut conversation = Conversation::with(settings(), &[large()], body);
    conversation.drain();
    for turn in ["220 hop\r\n", CHUNKING, "250 a\r\n250 b\r\n"] {
        conversation.turn.clear();
        conversation.session.handle_input(conversation.now, turn.as_bytes());
        conversation.drain();
    }
    assert_eq!(conversation.turn, b"BDAT 1\r\nx".repeat(16));
    for _ in 0..3 {
        conversation.turn.clear();
        conversation.session.handle_input(conversation.now, b"250 c\r\n");
        conversation.drain();
        assert_eq!(conversation.turn, b"BDAT 1\r\nx");
    }
    // All of it is settled by the first refusal, and what is on its way is still answered.
    conversation.turn.clear();
    conversation.session.handle_input(conversation.now, b"452 full\r\n");
    conversation.drain();
    assert!(conversation.turn.is_empty() && conversation.seen.results.is_empty());
    let rest = b"503 c\r\n".repeat(15);
    conversation.session.handle_input(conversation.now, &rest);
    conversation.drain();
    assert_eq!(conversation.seen.results, [["deferred 4.0.0: 452 full to BDAT"]]);
    assert_eq!(conversation.turn, b"QUIT\r\n");
}

/// A connection that waited may be closed: then nobody should have to wonder where the message is.
#[test]
fn after_a_pause_the_envelope_goes_first() {
    let mut session = SendingSession::new(start(), settings());
    let mut now = start();
    let sent = |session: &mut SendingSession, now| {
        let mut sent = Vec::new();
        while let Some(action) = session.poll_action() {
            match action {
                SendingAction::Send(octets) => sent.extend(octets),
                SendingAction::Body => session.handle_body(now, &[b"a\r\n.\r\n"], true),
                SendingAction::Result(_) => {}
                other => panic!("{other:?}"),
            }
        }
        String::from_utf8(sent).unwrap()
    };
    assert_eq!(session.start(now, transaction(1)), Ok(()));
    for (turn, wanted) in [("220 hop\r\n", "EHLO us.test\r\n"), (CHUNKING, ALL)] {
        session.handle_input(now, turn.as_bytes());
        assert_eq!(sent(&mut session, now), wanted);
    }
    for (pause_ms, wanted) in [(999, ALL), (1000, ONE)] {
        session.handle_input(now, b"250 a\r\n250 b\r\n250 queued\r\n");
        assert_eq!(sent(&mut session, now), "");
        now += Duration::from_millis(pause_ms);
        assert_eq!(session.start(now, transaction(1)), Ok(()));
        assert_eq!(sent(&mut session, now), wanted);
    }
}

#[test]
fn a_server_of_mailboxes_answers_a_chunk_for_each() {
    let settings = SendingSettings { protocol: Protocol::Lmtp, ..settings() };
    let group = "MAIL FROM:<a@b.test> BODY=BINARYMIME\r\nRCPT TO:<u1@x.test>\r\n\
        RCPT TO:<u2@x.test>\r\n";
    let turns = [
        ("220 hop\r\n", "LHLO us.test\r\n"),
        (CHUNKING, group),
        ("250 a\r\n250 b\r\n250 c\r\n", "BDAT 6 LAST\r\na\r\n.\r\n"),
        ("250 kept\r\n452 full\r\n", "QUIT\r\n"),
    ];
    let results = ["delivered kept", "deferred 4.0.0: 452 full to the end of the message"];
    let transaction = Transaction { body: BodyKind::BinaryMime, ..transaction(2) };
    Case { settings, transactions: vec![transaction], ..Case::one(2, &turns, &results, false) }
        .check();
}

#[test]
fn lines_are_lines_in_chunks_too() {
    let turns = [("220 hop\r\n", "EHLO us.test\r\n"), (CHUNKING, "")];
    let why = "failed 5.6.0: the stored message has a bare LF";
    Case { body: &[b"a\n"], ..Case::one(1, &turns, &[why], true) }.check();
}

#[test]
fn what_comes_before_a_chunk_does_not_answer_it() {
    let mut conversation = Conversation::with(settings(), &[transaction(1)], &[b"a\r\n"]);
    conversation.drain();
    conversation.session.handle_input(conversation.now, b"220 hop\r\n");
    conversation.drain();
    conversation.session.handle_input(conversation.now, CHUNKING.as_bytes());
    // Before the message is at hand.
    for octets in [&b"250 a"[..], b"\r\n250 b\r\n250 queued\r\n"] {
        conversation.session.handle_input(conversation.now, octets);
        if octets == b"250 a" {
            conversation.drain();
        }
    }
    conversation.drain();
    assert_eq!(
        conversation.seen.results,
        [["deferred 4.5.0: a reply that nothing asked for: 250 a"]]
    );
}

#[test]
fn what_a_server_has_no_room_for_in_words_is_not_sent() {
    let utf8 = Transaction { utf8: true, ..transaction(1) };
    let opening = ("220 hop\r\n", "EHLO us.test\r\n");
    for (transaction, offer, result) in [
        (
            utf8.clone(),
            "250 hop\r\n",
            "failed 5.6.7: the message has addresses or header fields in UTF-8 and the next hop does not offer SMTPUTF8",
        ),
        (
            binary(),
            "250-hop\r\n250-8BITMIME\r\n250 CHUNKING\r\n",
            "failed 5.6.3: the message is binary and the next hop does not offer BINARYMIME",
        ),
        (
            binary(),
            "250-hop\r\n250-8BITMIME\r\n250 BINARYMIME\r\n",
            "failed 5.6.3: the message is binary and the next hop does not offer BINARYMIME",
        ),
    ] {
        let case = Case::one(1, &[opening, (offer, "QUIT\r\n")], &[result], false);
        Case { transactions: vec![transaction], ..case }.check();
    }
    let turns = [
        opening,
        ("250-hop\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n", "MAIL FROM:<a@b.test> SMTPUTF8\r\n"),
        ("554 no\r\n", "QUIT\r\n"),
    ];
    let case = Case::one(1, &turns, &["failed 5.0.0: 554 no to MAIL"], false);
    Case { transactions: vec![utf8], ..case }.check();
}
