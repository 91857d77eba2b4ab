//! Next hops that break off, speak out of turn or rave.
//! Knows the session only by its public methods.

use proptest::prelude::*;

use super::*;

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
        for (event, text) in [(HANG_UP, "connection closed at"), (SILENCE, "timed out waiting for")]
        {
            let mut turns = turns.clone();
            turns.push((event, ""));
            let doubt = if turns.len() == 6 { "; it may have arrived all the same" } else { "" };
            let result = format!("deferred 4.4.2: {text} {step}{doubt}");
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
            vec![hello, (EHLO_PIPELINING, ONE), ("250 a\r\n250 b\r\n354 go\r\n250 queued\r\n", "")],
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

/// A promise is believed when all of it comes behind the dot; a refusal always.
#[test]
fn a_reply_that_begins_before_the_dot_is_no_acceptance() {
    let cases = [
        ("250 que", "ued\r\n", "deferred 4.5.0: a reply that nothing asked for: 250 queued", true),
        ("552 too", " big\r\n", "failed 5.0.0: 552 too big to the end of the message", false),
    ];
    for (head, tail, result, closed) in cases {
        let mut conversation = in_content();
        let (now, session) = (conversation.now, &mut conversation.session);
        session.handle_input(now, head.as_bytes());
        assert_eq!(session.poll_action(), Some(SendingAction::Body));
        session.handle_body(now, &[b"a\r\n"], true);
        session.handle_input(now, tail.as_bytes());
        conversation.drain();
        assert_eq!(conversation.seen.results, [[result]]);
        assert_eq!(conversation.seen.closed, closed);
    }
}

/// A session that waits for more of a message of which it has the first octets.
fn in_content() -> Conversation {
    let mut conversation =
        Conversation::new(&[transaction(1)], &[b"first\r\n", b"never asked for"]);
    for turn in ["220 hop\r\n", EHLO_PIPELINING] {
        conversation.drain();
        conversation.session.handle_input(conversation.now, turn.as_bytes());
    }
    conversation.drain();
    conversation.session.handle_input(conversation.now, b"250 a\r\n250 b\r\n354 go\r\n");
    conversation.turn.clear();
    conversation
}

#[test]
fn a_server_that_waits_for_more_of_a_message_gets_no_further_one() {
    let lines = [("220 hop\r\n", "EHLO us.test\r\n"), (EHLO_PIPELINING, ONE)];
    let content = ("250 a\r\n250 b\r\n354 go\r\n", "a\r\n..\r\n.\r\n");
    let result = "deferred 4.0.0: 354 more to the end of the message";
    let case = Case::one(1, &[lines[0], lines[1], content, ("354 more\r\n", "")], &[result], true);
    case.check();
}

/// Replies to a group come in one go, and get lost in one go.
#[test]
fn a_message_that_went_with_its_envelope_is_in_doubt_until_its_end_is_answered() {
    let chunking = "250-hop\r\n250-CHUNKING\r\n250 PIPELINING\r\n";
    let all = "MAIL FROM:<a@b.test>\r\nRCPT TO:<u1@x.test>\r\nRCPT TO:<u2@x.test>\r\n\
        BDAT 6 LAST\r\na\r\n.\r\n";
    let opening = [("220 hop\r\n", "EHLO us.test\r\n"), (chunking, all)];
    for (event, text) in [(HANG_UP, "connection closed at"), (SILENCE, "timed out waiting for")] {
        let doubt: &str = format!(
            "deferred 4.4.2: {text} the end of the message; it may have arrived all the same"
        )
        .leak();
        for (said, results) in [
            ("", [doubt; 2]),
            ("250 a\r\n550 b\r\n", ["failed 5.0.0: 550 b to RCPT", doubt]),
            ("250 a\r\n250 b\r\n250 c\r\n", [doubt; 2]),
        ] {
            let turns = [opening[0], opening[1], (said, ""), (event, "")];
            Case::one(2, &turns, &results, true).check();
        }
    }
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
        (|session, _| session.handle_closed(), "deferred 4.4.2: connection closed at the message"),
        (
            |session, now| session.handle_timeout(now + Duration::from_secs(180)),
            "deferred 4.4.2: timed out waiting for the message",
        ),
        (
            |session, _| session.handle_body_unavailable(),
            "deferred 4.3.0: the stored message could not be read",
        ),
        (
            |session, now| session.handle_body(now, &[b"a\nb"], true),
            "failed 5.6.0: the stored message has a bare LF",
        ),
    ];
    for (event, result) in cases {
        let mut conversation = in_content();
        assert_eq!(conversation.session.poll_action(), Some(SendingAction::Body));
        conversation.session.handle_body(conversation.now, &[b"first\r\n"], false);
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
fn a_farewell_behind_the_last_reply_is_heard() {
    // Whole or only begun, it ends the session, and a further transaction is not begun.
    for last in ["250 queued\r\n421 bye\r\n", "250 queued\r\n42"] {
        let turns = ["220 hop\r\n", EHLO_PIPELINING, "250 a\r\n250 b\r\n354 go\r\n", last];
        let conversation = Conversation::new(&[transaction(1), transaction(1)], &[b"a\r\n"]);
        let seen = conversation.play(&turns, |_, turn| vec![turn.into()]);
        assert_eq!(seen.results, [["delivered queued"]]);
        assert!(seen.closed);
    }
}

/// Something that a next hop may send: mostly replies, now and then rubbish.
fn raving() -> impl Strategy<Value = Vec<u8>> {
    let code = prop_oneof![
        6 => Just(250_u16), 3 => Just(354), 1 => Just(220), 1 => Just(421), 1 => Just(450), 1 => Just(550), 1 => 0..1000_u16,
    ];
    let line = (code, prop_oneof![5 => Just(' '), 1 => Just('-')], "[ -~]{0,12}");
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
