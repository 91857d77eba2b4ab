//! Conversations in which we log in, and those that end because we can't (RFC 4954).
//! Knows the words of the mechanisms from their RFCs.

use super::*;
use crate::{Credentials, Secret, SendingLogin, SendingTls};

const MECHANISMS: &str = "250-hop\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN SCRAM-SHA-256\r\n";

fn login(tls: SendingTls, shown: bool) -> SendingSettings {
    let credentials = Credentials::new("user", Secret::new(b"pencil".to_vec())).unwrap();
    let nonce = "rOprNGfwEbeRWgbNEkqO".into();
    let login = Some(SendingLogin { credentials, shown, cram: false, nonce });
    SendingSettings { tls, login, ..settings() }
}

fn check(settings: SendingSettings, turns: &[(&'static str, &'static str)], result: &'static str) {
    let closed = turns.last().is_some_and(|turn| turn.0.starts_with("221") || turn.1.is_empty());
    Case { settings, ..Case::one(1, turns, &[result], closed) }.check();
}

/// Under TLS, with a server that may see the password and offers these mechanisms.
fn secured(
    offer: &'static str,
    turns: &[(&'static str, &'static str)],
) -> Vec<(&'static str, &'static str)> {
    let opening = [
        ("220 hop\r\n", "EHLO us.test\r\n"),
        ("250-hop\r\n250 STARTTLS\r\n", "STARTTLS\r\n"),
        ("220 go\r\n", "<handshake>"),
        (SECURED, "EHLO us.test\r\n"),
    ];
    let mut all = opening.to_vec();
    all.push((offer, turns[0].1));
    all.extend_from_slice(&turns[1..]);
    all
}

const REFUSED: &str = "failed 5.0.0: 554 no to MAIL";

#[test]
fn a_server_that_may_see_the_password_is_told_it_under_tls() {
    let settings = || login(SendingTls::Must, true);
    let plain = [
        ("", "AUTH PLAIN AHVzZXIAcGVuY2ls\r\n"),
        ("235 2.7.0 in\r\n", "MAIL FROM:<a@b.test>\r\n"),
        ("554 no\r\n", "QUIT\r\n"),
    ];
    check(settings(), &secured("250-hop\r\n250 AUTH LOGIN PLAIN\r\n", &plain), REFUSED);
    let steps = [
        ("", "AUTH LOGIN\r\n"),
        ("334 VXNlcm5hbWU6\r\n", "dXNlcg==\r\n"),
        ("334 UGFzc3dvcmQ6\r\n", "cGVuY2ls\r\n"),
        ("235 in\r\n", "MAIL FROM:<a@b.test>\r\n"),
        ("554 no\r\n", "QUIT\r\n"),
    ];
    check(settings(), &secured("250-hop\r\n250 AUTH LOGIN\r\n", &steps), REFUSED);
}

const FIRST: &str = "AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8=\r\n";
/// `r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`
const CHALLENGE: &str = "334 cj1yT3ByTkdmd0ViZVJXZ2JORWtxTyVodllEcFdVYTJSYVRDQWZ1eEZJbGopaE5sRiRrMCxzPVcyMlphSjBTTlk3c29Fc1VFamI2Z1E9PSxpPTQwOTY=\r\n";
const PROOF: &str = "<derive>Yz1iaXdzLHI9ck9wck5HZndFYmVSV2diTkVrcU8laHZZRHBXVWEyUmFUQ0FmdXhGSWxqKWhObEYkazAscD1kSHpiWmFwV0lrNGpVaE4rVXRlOXl0YWc5empmTUhnc3FtbWl6N0FuZFZRPQ==\r\n";
/// `v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=`
const SIGNATURE: &str = "334 dj02cnJpVFJCaTIzV3BSUi93dHVwK21NaFVaVW4vZEI1bkxUSlJzamw5NUc0PQ==\r\n";

#[test]
fn any_server_is_shown_that_we_know_the_password_and_has_to_show_the_same() {
    // In clear text, too.
    let whole = [
        ("220 hop\r\n", "EHLO us.test\r\n"),
        (MECHANISMS, FIRST),
        (CHALLENGE, PROOF),
        (SIGNATURE, "\r\n"),
        ("235 in\r\n", "MAIL FROM:<a@b.test>\r\n"),
        ("554 no\r\n", "QUIT\r\n"),
    ];
    check(login(SendingTls::Never, true), &whole, REFUSED);
    let unproved =
        "deferred 4.7.0: logging in failed: the server has not proved that it knows the password";
    // Let in too early, or by another.
    let early = [whole[0], whole[1], ("235 in\r\n", "")];
    check(login(SendingTls::Never, true), &early, unproved);
    let early = [whole[0], whole[1], whole[2], ("235 in\r\n", "")];
    check(login(SendingTls::Never, true), &early, unproved);
    let other = [whole[0], whole[1], whole[2], ("334 dj1BQUFB\r\n", "")];
    check(login(SendingTls::Never, true), &other, unproved);
    let form =
        "deferred 4.7.0: logging in failed: the server's words are not those of the mechanism";
    let odd = [whole[0], whole[1], ("334 \r\n", "")];
    check(login(SendingTls::Never, true), &odd, form);
}

#[test]
fn where_logging_in_may_not_be_tried_nothing_is_said_of_the_message() {
    let none = "deferred 4.7.4: the server offers no way to log in that may be used with it";
    let offers = [
        "250-hop\r\n250 AUTH PLAIN LOGIN\r\n",
        "250-hop\r\n250 PIPELINING\r\n",
        "250-hop\r\n250 AUTH SCRAM-SHA-256-PLUS CRAM-MD5\r\n",
    ];
    for offer in offers {
        let turns = [("220 hop\r\n", "EHLO us.test\r\n"), (offer, "QUIT\r\n"), ("221 bye\r\n", "")];
        check(login(SendingTls::Never, true), &turns, none);
    }
    // TLS with anybody is not enough for a password in clear text.
    let quit = [("", "QUIT\r\n"), ("221 bye\r\n", "")];
    check(login(SendingTls::Must, false), &secured(offers[0], &quit), none);
    let helo = [
        ("220 hop\r\n", "EHLO us.test\r\n"),
        ("500 what\r\n", "HELO us.test\r\n"),
        ("250 hop\r\n", "QUIT\r\n"),
        ("221 bye\r\n", ""),
    ];
    check(login(SendingTls::Never, true), &helo, none);
}

#[test]
fn a_refused_login_says_nothing_of_the_message() {
    for (refusal, result) in [
        ("535 5.7.8 who\r\n", "deferred 4.7.8: 535 5.7.8 who to AUTH"),
        ("454 4.7.0 not now\r\n", "deferred 4.7.0: 454 4.7.0 not now to AUTH"),
    ] {
        let turns = [
            ("220 hop\r\n", "EHLO us.test\r\n"),
            (MECHANISMS, FIRST),
            (refusal, "QUIT\r\n"),
            ("221 bye\r\n", ""),
        ];
        check(login(SendingTls::Never, true), &turns, result);
    }
    for (end, result) in [
        (HANG_UP, "deferred 4.4.2: connection closed at AUTH"),
        (SILENCE, "deferred 4.4.2: timed out waiting for AUTH"),
    ] {
        let turns = [
            ("220 hop\r\n", "EHLO us.test\r\n"),
            (MECHANISMS, FIRST),
            (CHALLENGE, PROOF),
            (end, ""),
        ];
        check(login(SendingTls::Never, true), &turns, result);
    }
}

/// A reply before the command is no answer to it.
#[test]
fn what_comes_before_its_question_is_not_believed() {
    let mut conversation =
        Conversation::with(login(SendingTls::Never, true), &[transaction(1)], &[b"a\r\n"]);
    conversation.drain();
    conversation.session.handle_input(conversation.now, b"220 hop\r\n");
    conversation.drain();
    let both = format!("{MECHANISMS}235 in\r\n");
    conversation.session.handle_input(conversation.now, both.as_bytes());
    conversation.drain();
    let unasked = "deferred 4.5.0: a reply that nothing asked for: 235 in";
    assert_eq!(conversation.seen.results, [[unasked]]);
    assert!(conversation.seen.closed);
}

#[test]
fn no_password_is_shown_by_a_session() {
    let mut session = SendingSession::new(start(), login(SendingTls::Never, true));
    session.handle_input(start(), b"220 hop\r\n");
    session.handle_input(start(), MECHANISMS.as_bytes());
    session.handle_input(start(), CHALLENGE.as_bytes());
    let shown = format!("{session:?}");
    assert!(!shown.contains("pencil") && !shown.contains("[112, 101, 110"), "{shown}");
}
