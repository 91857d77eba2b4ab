//! Conversations that go on under TLS, and those that must not go on without (RFC 3207).
//! Knows the handshake by its end alone.

use super::*;
use crate::SendingTls;

const OFFER: &str = "250-hop\r\n250-STARTTLS\r\n250 PIPELINING\r\n";

fn with(tls: SendingTls, case: Case) {
    Case { settings: SendingSettings { tls, ..settings() }, ..case }.check();
}

#[test]
fn tls_is_begun_where_it_is_offered_and_hello_is_said_again() {
    for tls in [SendingTls::IfOffered, SendingTls::Must] {
        let turns = [
            ("220 hop\r\n", "EHLO us.test\r\n"),
            (OFFER, "STARTTLS\r\n"),
            ("220 go\r\n", "<handshake>"),
            (SECURED, "EHLO us.test\r\n"),
            // An offer of TLS under TLS is no reason to begin again, and what was offered before counts no more.
            ("250-hop\r\n250 STARTTLS\r\n", "MAIL FROM:<a@b.test>\r\n"),
            ("554 no\r\n", "QUIT\r\n"),
        ];
        with(tls, Case::one(1, &turns, &["failed 5.0.0: 554 no to MAIL"], false));
    }
    let turns = [("220 hop\r\n", "EHLO us.test\r\n"), (OFFER, ONE)];
    let case = Case { results: vec![], ..Case::one(1, &turns, &[], false) };
    with(SendingTls::Never, case);
}

#[test]
fn without_tls_nothing_is_said_where_it_is_required() {
    let none = [
        ("220 hop\r\n", "EHLO us.test\r\n"),
        ("250-hop\r\n250 PIPELINING\r\n", "QUIT\r\n"),
        ("221 bye\r\n", ""),
    ];
    let why = "deferred 4.7.4: TLS is required, and the server does not offer it";
    with(SendingTls::Must, Case::one(1, &none, &[why], true));
    let helo = [
        ("220 hop\r\n", "EHLO us.test\r\n"),
        ("500 what\r\n", "HELO us.test\r\n"),
        ("250 hop\r\n", "QUIT\r\n"),
    ];
    with(SendingTls::Must, Case::one(1, &helo, &[why], false));
    let refused = [
        ("220 hop\r\n", "EHLO us.test\r\n"),
        (OFFER, "STARTTLS\r\n"),
        ("454 4.7.0 not now\r\n", "QUIT\r\n"),
    ];
    let why = "deferred 4.7.0: 454 4.7.0 not now to STARTTLS";
    with(SendingTls::Must, Case::one(1, &refused, &[why], false));
}

#[test]
fn where_tls_is_not_required_all_goes_on_without() {
    for (offer, refusal) in [(EHLO_PIPELINING, None), (OFFER, Some("454 not now\r\n"))] {
        let mut turns = vec![("220 hop\r\n", "EHLO us.test\r\n")];
        match refusal {
            Some(refusal) => turns.extend([(offer, "STARTTLS\r\n"), (refusal, ONE)]),
            None => turns.push((offer, ONE)),
        }
        let case = Case { results: vec![], ..Case::one(1, &turns, &[], false) };
        with(SendingTls::IfOffered, case);
    }
}

#[test]
fn a_handshake_that_fails_ends_the_session() {
    for (end, why) in [
        (BROKEN, "deferred 4.7.5: the TLS handshake failed: why"),
        (HANG_UP, "deferred 4.4.2: connection closed at STARTTLS"),
        (SILENCE, "deferred 4.4.2: timed out waiting for STARTTLS"),
    ] {
        let turns = [
            ("220 hop\r\n", "EHLO us.test\r\n"),
            (OFFER, "STARTTLS\r\n"),
            ("220 go\r\n", "<handshake>"),
            (end, ""),
        ];
        with(SendingTls::IfOffered, Case::one(1, &turns, &[why], true));
    }
}

/// Replies for a session under TLS that came before it, from whoever could write into the connection.
#[test]
fn nothing_that_was_said_before_tls_counts_under_it() {
    let mut conversation = Conversation::with(
        SendingSettings { tls: SendingTls::Must, ..settings() },
        &[transaction(1)],
        &[b"a\r\n"],
    );
    conversation.drain();
    let injected = "220 go\r\n250-evil\r\n250 PIPELINING\r\n250 a\r\n250 b\r\n354 c\r\n250 d";
    for turn in ["220 hop\r\n", OFFER, injected] {
        conversation.session.handle_input(conversation.now, turn.as_bytes());
        conversation.drain();
    }
    conversation.turn.clear();
    conversation.session.handle_tls(conversation.now, Ok(()));
    conversation.drain();
    assert_eq!(conversation.turn, b"EHLO us.test\r\n");
    conversation.turn.clear();
    conversation.session.handle_input(conversation.now, b"250 hop\r\n");
    conversation.drain();
    assert_eq!(conversation.turn, b"MAIL FROM:<a@b.test>\r\n");
    assert!(conversation.seen.results.is_empty());
}

#[test]
fn what_requires_tls_goes_under_tls_to_who_promises_the_same() {
    let mut required = transaction(1);
    required.wish.require_tls = true;
    let clear_text = settings();
    let must = SendingSettings { tls: SendingTls::Must, ..settings() };
    let before = SendingSettings { tls: SendingTls::Before, ..settings() };
    let offered = "250-hop\r\n250 REQUIRETLS\r\n";
    let mail = "MAIL FROM:<a@b.test> REQUIRETLS\r\n";
    let starttls = [
        ("220 hop\r\n", "EHLO us.test\r\n"),
        ("250-hop\r\n250-REQUIRETLS\r\n250 STARTTLS\r\n", "STARTTLS\r\n"),
        ("220 go\r\n", "<handshake>"),
        (SECURED, "EHLO us.test\r\n"),
    ];
    let refused = "failed 5.7.30: the message requires TLS on all of its way, and the server does not offer REQUIRETLS";
    let clear = "deferred 4.7.4: TLS is required, and the server does not offer it";
    let no = "failed 5.0.0: 554 no to MAIL";
    for (settings, opening, offer, mail, result) in [
        (&must, &starttls[..], offered, Some(mail), no),
        // What was offered in clear text counts no more.
        (&must, &starttls[..], "250 hop\r\n", None, refused),
        (&before, &starttls[..1], offered, Some(mail), no),
        (&before, &starttls[..1], "250 hop\r\n", None, refused),
        (&clear_text, &starttls[..1], offered, None, clear),
    ] {
        let mut turns = opening.to_vec();
        match mail {
            Some(mail) => turns.extend([(offer, mail), ("554 no\r\n", "QUIT\r\n")]),
            None => turns.push((offer, "QUIT\r\n")),
        }
        let case = Case::one(1, &turns, &[result], false);
        Case { settings: settings.clone(), transactions: vec![required.clone()], ..case }.check();
    }
    // What requires nothing does not ask for it.
    let turns = [starttls[0], (offered, "MAIL FROM:<a@b.test>\r\n"), ("554 no\r\n", "QUIT\r\n")];
    Case { settings: before, ..Case::one(1, &turns, &[no], false) }.check();
}
