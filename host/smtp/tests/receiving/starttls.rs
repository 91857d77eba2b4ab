//! STARTTLS: what survives it, what may not stand behind it, and how it fails.

use std::time::Duration;

use stagepost_smtp::{
    Ask, Attribute, Attributed, DisconnectReason, Edit, Event, Interest, Settings, Stage, StartTls,
    Tls, TlsFault, Verdict,
};

use crate::rig::{Answers, Fine, Rig, settings, tls};

fn offered() -> Settings {
    Settings { starttls: StartTls::Offered, ..settings() }
}

/// A handshake that goes wrong in one way.
struct Faulty(TlsFault);

impl Answers for Faulty {
    fn tls(&mut self) -> Result<Tls, TlsFault> {
        Err(self.0)
    }
}

#[test]
fn what_was_said_in_clear_text_is_forgotten() {
    let attribute = |event: Event, name: &str, value: &str| {
        let attribute =
            Attribute { name: name.into(), value: value.into(), plugin: event.name().into() };
        Attributed::new(event.name(), Edit::Attribute(attribute))
    };
    let mut rig = Rig::new(offered(), Interest::ALL, |ask: &Ask| {
        let event = ask.question.event();
        let edits = match (event, ask.stage) {
            (Event::Connect, Stage::Before) => {
                vec![attribute(event, "kept", "1"), attribute(event, "changed", "1")]
            }
            // The last one counts, once.
            (Event::Connect, Stage::After) => vec![attribute(event, "changed", "2")],
            (Event::Ehlo, Stage::Before) => {
                vec![attribute(event, "changed", "9"), attribute(event, "said", "1")]
            }
            _ => Vec::new(),
        };
        Verdict { edits, ..Verdict::default() }
    });
    rig.say("EHLO a.test\r\n");
    assert!(rig.replies().contains("STARTTLS\r\n"));
    assert!(rig.session.facts().attribute("said").is_some());
    rig.say("STARTTLS\r\n");
    assert_eq!(rig.replies(), "220 2.0.0 Ready to start TLS\r\n");
    let facts = rig.session.facts();
    assert_eq!((facts.helo.as_ref(), facts.tls.as_deref()), (None, Some(&tls())));
    let attributes: Vec<_> =
        facts.attributes.iter().map(|known| (&*known.name, &*known.value)).collect();
    assert_eq!(attributes, [("kept", "1"), ("changed", "2")]);
    rig.say("MAIL FROM:<>\r\nSTARTTLS\r\n");
    let replies = rig.replies();
    assert!(replies.starts_with("503 5.5.1 Send EHLO") && replies.contains("503 5.5.1 TLS is on"));
    rig.say("EHLO a.test\r\n");
    assert!(!rig.replies().contains("STARTTLS"));
    assert_eq!(rig.handshakes, 1);
}

#[test]
fn questions_come_before_and_behind_the_handshake() {
    let mut replies = Vec::new();
    let mut rig = Rig::new(offered(), Interest::ALL, |ask: &Ask| {
        if ask.question.event() == Event::StartTls {
            replies.push((ask.stage, ask.reply.is_some(), ask.facts.tls.is_some()));
        }
        Verdict::default()
    });
    rig.say("EHLO a.test\r\n");
    rig.asked.clear();
    rig.say("STARTTLS\r\n");
    let wanted = [
        (Stage::Before, Event::Command),
        (Stage::Before, Event::StartTls),
        (Stage::After, Event::Command),
        (Stage::After, Event::StartTls),
    ];
    assert_eq!(rig.asked, wanted);
    drop(rig);
    assert_eq!(replies, [(Stage::Before, false, false), (Stage::After, false, true)]);
}

#[test]
fn nothing_may_stand_behind_it_in_its_group() {
    for behind in
        ["NOOP\r\n", "E", "\r\n", "EHLO a.test\r\nMAIL FROM:<a@b.test>\r\n", "\x16\x03\x01"]
    {
        let mut rig = Rig::new(offered(), Interest::ALL, Fine);
        rig.say("EHLO a.test\r\n");
        rig.replies();
        rig.asked.clear();
        rig.say(format!("STARTTLS\r\n{behind}"));
        assert_eq!(rig.replies(), "421 4.5.0 Nothing may follow STARTTLS before its reply\r\n");
        assert_eq!((rig.handshakes, rig.closed), (0, true), "{behind:?}");
        assert_eq!(rig.reasons, [DisconnectReason::Refused]);
        assert!(!rig.asked.contains(&(Stage::Before, Event::StartTls)), "{behind:?}");
    }
}

/// Whatever it is, and wherever the line before it was cut.
#[test]
fn no_octets_that_stand_behind_it_are_ever_looked_at() {
    const ALPHABET: [u8; 5] = *b"\r\n.N\x16";
    const LINE: &[u8] = b"STARTTLS\r\n";
    for length in 1..=4u32 {
        for number in 0..ALPHABET.len().pow(length) {
            let digit = |place| ALPHABET[number / ALPHABET.len().pow(place) % ALPHABET.len()];
            let behind: Vec<u8> = (0..length).map(digit).collect();
            let sent = [b"NOOP\r\n", LINE, &behind].concat();
            for cut in [0, 6, 7, 14, 15] {
                let mut rig =
                    Rig::new(offered(), Interest::NONE.with(Event::Command, Stage::Before), Fine);
                rig.say("EHLO a.test\r\n");
                rig.output.clear();
                rig.asked.clear();
                rig.say(&sent[..cut]);
                rig.say(&sent[cut..]);
                let replies = rig.replies();
                let codes: Vec<_> = replies.lines().map(|line| &line[..3]).collect();
                let shown = behind.escape_ascii();
                assert_eq!(codes, ["250", "421"], "{shown} cut at {cut}: {replies}");
                assert_eq!((rig.handshakes, rig.closed), (0, true), "{shown} cut at {cut}");
                assert_eq!(rig.asked.len(), 2, "{shown} cut at {cut}: {:?}", rig.asked);
            }
        }
    }
}

#[test]
fn octets_that_come_before_the_handshake_is_over_are_dropped() {
    let mut rig = Rig::new(offered(), Interest::NONE, Fine);
    rig.say("EHLO a.test\r\nMAIL FROM:<>\r\n");
    rig.replies();
    // Legal outside a transaction only.
    rig.say("STARTTLS\r\n");
    assert!(rig.replies().starts_with("503 5.5.1 "));
    rig.say("RSET\r\n");
    rig.replies();
    rig.session.handle_input(rig.now, b"STARTTLS\r\n");
    while rig.handshakes == 0 {
        // A caller that reads too much.
        assert!(rig.act());
        if rig.handshakes == 0 {
            rig.session.handle_input(rig.now, b"EHLO evil.test\r\n");
        }
    }
    rig.turn();
    assert_eq!(rig.replies(), "220 2.0.0 Ready to start TLS\r\n");
    assert!(rig.session.facts().helo.is_none());
}

#[test]
fn a_handshake_that_fails_ends_the_session_without_a_word() {
    for (fault, reason) in [
        (TlsFault::Failed, DisconnectReason::Handshake),
        (TlsFault::Timeout, DisconnectReason::Timeout),
    ] {
        let mut rig = Rig::new(offered(), Interest::ALL, Faulty(fault));
        rig.say("EHLO a.test\r\nSTARTTLS\r\n");
        assert!(rig.replies().ends_with("220 2.0.0 Ready to start TLS\r\n"));
        assert_eq!((rig.closed, &rig.reasons[..]), (true, &[reason][..]));
        assert!(!rig.asked.contains(&(Stage::After, Event::StartTls)));
    }
}

#[test]
fn a_handshake_has_its_own_deadline_and_a_client_may_leave_in_it() {
    let mut rig = Rig::new(offered(), Interest::NONE, Fine);
    rig.say("EHLO a.test\r\n");
    rig.session.handle_input(rig.now, b"STARTTLS\r\n");
    while let Some(action) = rig.session.poll_action() {
        if matches!(action, stagepost_smtp::Action::StartTls) {
            break;
        }
    }
    let deadline = rig.session.poll_timeout().expect("a deadline");
    assert_eq!(deadline - rig.now, Duration::from_secs(60));
    rig.session.handle_hangup(rig.now);
    assert!(rig.session.poll_action().is_none(), "the handshake is still under way");
    rig.session.handle_tls(rig.now, Ok(tls()));
    rig.turn();
    assert!(rig.closed);
}

#[test]
fn a_protected_session_begins_so() {
    let mut rig = Rig::new(offered(), Interest::NONE, Fine);
    rig.session = rig.session.secured(tls());
    rig.say("EHLO a.test\r\nSTARTTLS\r\n");
    let replies = rig.replies();
    assert!(replies.starts_with("220 mx.here.test ESMTP") && !replies.contains("250 STARTTLS"));
    assert!(replies.ends_with("503 5.5.1 TLS is on already\r\n"), "{replies}");
}

#[test]
fn where_it_is_required_little_else_is_carried_out() {
    let mut rig =
        Rig::new(Settings { starttls: StartTls::Required, ..settings() }, Interest::NONE, Fine);
    rig.say("EHLO a.test\r\nMAIL FROM:<>\r\nNOOP\r\nVRFY a\r\nFOO\r\n");
    let replies = rig.replies();
    let codes: Vec<_> =
        replies.lines().filter(|line| &line[3..4] == " ").map(|line| &line[..3]).collect();
    assert_eq!(codes, ["220", "250", "530", "250", "530", "500"], "{replies}");
    rig.say("STARTTLS\r\n");
    rig.say("EHLO a.test\r\nMAIL FROM:<>\r\n");
    assert!(rig.replies().ends_with("250 2.1.0 Ok\r\n"));
}
