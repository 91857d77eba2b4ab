//! What a next hop refuses, and for whom that counts.
//! Knows the session only by its public methods.

use super::*;

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
            vec![hello, lock_step, ("250 ok\r\n", RCPT), ("550 no\r\n", "QUIT\r\n")],
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
            vec![hello, group, ("450 later\r\n503 no MAIL\r\n503 no RCPT\r\n", "QUIT\r\n")],
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
        (vec![hello, lock_step, ("354 go\r\n", "")], "deferred 4.0.0: 354 go to MAIL", true),
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
        (vec![("554 no\r\n", "QUIT\r\n")], "deferred 4.0.0: 554 no to the connection", false),
        (vec![("421 busy\r\n", "")], "deferred 4.0.0: 421 busy to the connection", true),
        (
            vec![("HTTP/1.1 400 Bad\r\n", "")],
            "deferred 4.5.0: no SMTP reply to the connection: a line is not a reply: \"HTTP/1.1 400 Bad\"",
            true,
        ),
        (vec![hello, ("450 no\r\n", "QUIT\r\n")], "deferred 4.0.0: 450 no to EHLO", false),
        (
            vec![hello, ("502 what\r\n", "HELO us.test\r\n"), ("550 no\r\n", "QUIT\r\n")],
            "deferred 4.0.0: 550 no to HELO",
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
        (vec![(HANG_UP, "")], "deferred 4.4.2: connection closed at the connection", true),
        (vec![(SILENCE, "")], "deferred 4.4.2: timed out waiting for the connection", true),
        (vec![hello, (EHLO, MAIL), ("421 bye\r\n", "")], "deferred 4.0.0: 421 bye to MAIL", true),
    ];
    for (turns, result, closed) in cases {
        Case::one(1, &turns, &[result], closed).check();
    }
}

#[test]
fn what_a_server_cant_take_is_not_sent() {
    let eight_bit = Transaction { body: BodyKind::EightBitMime, ..transaction(2) };
    let large = Transaction { size_octets: 1001, ..transaction(1) };
    let turns = [
        ("220 hop\r\n", "EHLO us.test\r\n"),
        (EHLO, "MAIL FROM:<a@b.test> SIZE=12 BODY=8BITMIME\r\n"),
        ("451 no\r\n", "QUIT\r\n"),
    ];
    Case {
        settings: settings(),
        transactions: vec![
            large,
            Transaction { recipients: vec![], ..transaction(1) },
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
    let turns = [("220 hop\r\n", "EHLO us.test\r\n"), (EHLO_PIPELINING, "QUIT\r\n")];
    let refusal =
        "failed 5.6.3: the message has 8-bit octets and the next hop does not offer 8BITMIME";
    Case {
        settings: settings(),
        transactions: vec![eight_bit],
        body: &[],
        turns: turns.iter().map(|turn| turn.0).collect(),
        written: turns.iter().map(|turn| turn.1).collect(),
        results: vec![vec![refusal; 2]],
        closed: false,
    }
    .check();
}
