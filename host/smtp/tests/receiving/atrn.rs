//! ATRN: who may say it, what is said to it, and what is left of the client's words once it is the server.

use stagepost_smtp::{
    Ask, Attributed, Auth, Decision, DisconnectReason, Edit, Event, Interest, Mechanism, Question,
    Reply, Settings, Stage, StartTls, Verdict,
};

use crate::rig::{Answers, Fine, Rig, settings};

const LOGIN: &str = "AUTH PLAIN AHVzZXIAcGVuY2ls\r\n";

fn odmr(starttls: StartTls) -> Settings {
    let mechanisms = Mechanism::ALL.into();
    let auth =
        Auth { mechanisms, checks_passwords: true, allow_plaintext: true, ..Auth::default() };
    Settings { odmr: true, starttls, auth: Auth { required: true, ..auth }, ..settings() }
}

fn asked() -> Interest {
    Interest::NONE.with(Event::Atrn, Stage::Before)
}

/// A plug-in that has two domains' mail for whoever asks.
fn provider(ask: &Ask) -> Verdict {
    if !matches!(ask.question, Question::Atrn { .. }) || ask.stage == Stage::After {
        return Verdict::default();
    }
    let edit = Edit::reverse(&["a.test", "@b.test"]).expect("destinations");
    Verdict { decision: Decision::Handled(None), edits: vec![Attributed::new("p", edit)] }
}

/// A client that has logged in.
fn known<A: Answers>(interest: Interest, answers: A) -> Rig<A> {
    let mut rig = Rig::new(odmr(StartTls::Offered), interest, answers);
    rig.say("EHLO a.test\r\n");
    rig.say(LOGIN);
    assert!(rig.replies().ends_with("235 2.7.0 Authentication successful\r\n"));
    rig
}

#[test]
fn a_listener_for_it_announces_and_does_nothing_else() {
    let mut rig = Rig::new(odmr(StartTls::Offered), asked(), provider);
    rig.say("EHLO a.test\r\n");
    let keywords = "250-mx.here.test\r\n250-ENHANCEDSTATUSCODES\r\n250-HELP\r\n250-STARTTLS\r\n250-ATRN\r\n250 AUTH ";
    assert!(rig.replies().contains(keywords));
    for (line, wanted) in [
        ("ATRN", "530 5.7.0"),
        ("ATRN a.test", "530 5.7.0"),
        ("NOOP", "502 5.5.1"),
        ("RSET", "502 5.5.1"),
        ("HELP", "502 5.5.1"),
        ("MAIL FROM:<>", "502 5.5.1"),
        ("VRFY a", "502 5.5.1"),
        ("ETRN a.test", "502 5.5.1"),
        ("DATA", "502 5.5.1"),
        ("TURN", "502 5.5.1"),
    ] {
        rig.say(format!("{line}\r\n"));
        let reply = rig.replies();
        assert!(reply.starts_with(wanted), "{line}: {reply}");
    }
    rig.say(LOGIN);
    rig.replies();
    for (line, wanted) in [
        ("NOOP", "250 2.0.0"),
        ("RSET", "250 2.0.0"),
        ("HELP", "214-2.0.0 Commands: EHLO STARTTLS AUTH ATRN"),
        ("MAIL FROM:<>", "502 5.5.1"),
        ("VRFY a", "502 5.5.1"),
        ("ATRN a.test,", "501 5.5.4"),
        ("ATRN a b", "501 5.5.4"),
        ("QUIT", "221 2.0.0"),
    ] {
        rig.say(format!("{line}\r\n"));
        let reply = rig.replies();
        assert!(reply.starts_with(wanted), "{line}: {reply}");
    }
}

#[test]
fn it_is_nowhere_else() {
    for settings in [Settings { odmr: false, ..odmr(StartTls::None) }, odmr(StartTls::None)] {
        let interest = if settings.odmr { Interest::NONE } else { Interest::ALL };
        let mut rig = Rig::new(settings, interest, Fine);
        rig.say("EHLO a.test\r\n");
        rig.say(LOGIN);
        assert!(!rig.replies().contains("ATRN"));
        for line in ["ATRN\r\n", "ATRN a.test\r\n", "ATRN ,\r\n"] {
            rig.say(line);
            assert!(rig.replies().starts_with("502 5.5.1"), "{line}");
        }
    }
    let mut rig = Rig::new(odmr(StartTls::Required), asked(), provider);
    rig.say("EHLO a.test\r\nATRN\r\n");
    assert!(rig.replies().ends_with("530 5.7.0 Must issue a STARTTLS command first\r\n"));
    let mut rig = Rig::new(odmr(StartTls::None), asked(), provider);
    rig.say("ATRN\r\n");
    assert!(rig.replies().ends_with("503 5.5.1 Send EHLO or HELO first\r\n"));
}

#[test]
fn the_connection_is_reversed_behind_the_reply() {
    let mut rig = known(Interest::ALL, provider);
    rig.asked.clear();
    // What comes in the same group is no greeting, whatever it looks like.
    rig.say("ATRN a.test,b.test\r\n220 injected\r\nQUIT\r\n");
    assert_eq!(rig.replies(), "250 2.0.0 Ok, now reversing the connection\r\n");
    assert_eq!(rig.reversed, [["a.test", "@b.test"].map(Box::from).into()]);
    let (before, after) = (Stage::Before, Stage::After);
    let wanted = [
        (before, Event::Command),
        (before, Event::Atrn),
        (after, Event::Atrn),
        (after, Event::Command),
        (before, Event::Disconnect),
        (after, Event::Disconnect),
    ];
    assert_eq!(rig.asked, wanted);
    assert_eq!(rig.reasons, [DisconnectReason::Reversed]);
    assert!(rig.closed);
}

#[test]
fn plug_ins_are_asked_what_the_client_asks() {
    let mut seen = Vec::new();
    let mut rig = known(asked(), |ask: &Ask| {
        if let Question::Atrn { domains } = &ask.question {
            seen.push(domains.replace('\n', " "));
        }
        let reply = Reply::new(453, Some((4, 2, 1)), "You have no mail");
        Verdict { decision: Decision::Defer(reply), ..Verdict::default() }
    });
    rig.say("ATRN\r\natrn A.test,b.test\r\n");
    let refused = "453 4.2.1 You have no mail\r\n";
    assert_eq!(rig.replies(), refused.repeat(2));
    assert!(rig.reversed.is_empty() && !rig.closed);
    drop(rig);
    assert_eq!(seen, ["", "A.test b.test"]);
}

/// A client that is gone before it could be told is sent nothing.
#[test]
fn nobody_is_left_to_be_sent_mail() {
    let mut rig = known(asked(), provider);
    rig.session.handle_input(rig.now, b"ATRN\r\n");
    rig.session.handle_hangup(rig.now);
    rig.turn();
    assert!(rig.reversed.is_empty() && rig.closed);
    assert_eq!(rig.replies(), "");
}
