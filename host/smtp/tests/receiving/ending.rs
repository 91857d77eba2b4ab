//! How sessions end: DISCONNECT once before and once after, whatever happened in between.

use std::time::Duration;

use stagepost_smtp::{
    Action, Ask, Decision, DisconnectReason, Event, Interest, Part, Question, Reply, Stage, Stored,
    Verdict,
};

use crate::rig::{Fine, Rig, settings};

const END: [(Stage, Event); 2] =
    [(Stage::Before, Event::Disconnect), (Stage::After, Event::Disconnect)];

#[test]
fn every_end_is_told_once_with_its_reason() {
    use DisconnectReason::{Hangup, Quit, Refused, Shutdown, Timeout};
    type Drive = fn(&mut Rig<Fine>);
    let cases: [(&str, Drive, DisconnectReason, &str); 8] = [
        ("quit", |rig| rig.say("QUIT\r\n"), Quit, "221"),
        ("hang-up", |rig| rig.hang_up(), Hangup, ""),
        ("hang-up twice", |rig| (rig.hang_up(), rig.hang_up()).1, Hangup, ""),
        ("silence", |rig| rig.wait(Duration::from_secs(300)), Timeout, "421"),
        ("half a line", |rig| (rig.say("NOO"), rig.hang_up()).1, Hangup, ""),
        ("other protocol", |rig| rig.say("GET / HTTP/1.0\r\n"), Refused, "421"),
        ("shutdown", |rig| (rig.session.handle_shutdown(rig.now), rig.turn()).1, Shutdown, "421"),
        (
            "hang-up in a message",
            |rig| {
                rig.say("MAIL FROM:<>\r\nRCPT TO:<u@here.test>\r\nDATA\r\n");
                rig.say("x\r\n");
                rig.output.clear();
                rig.hang_up();
            },
            Hangup,
            "",
        ),
    ];
    for (name, drive, reason, code) in cases {
        let mut rig = Rig::greeted(Fine);
        drive(&mut rig);
        assert!(rig.closed && !rig.session.wants_input(), "{name}");
        assert_eq!(rig.session.poll_timeout(), None, "{name}");
        assert_eq!(rig.reasons, [reason], "{name}");
        assert!(rig.asked.ends_with(&END), "{name}: {:?}", rig.asked);
        assert!(rig.replies().starts_with(code), "{name}");
        // Nothing that happens later wakes it.
        rig.say("NOOP\r\n");
        rig.wait(Duration::from_secs(9999));
        rig.hang_up();
        assert!(rig.output.is_empty(), "{name}");
    }
}

#[test]
fn a_session_that_never_began_is_not_told_of() {
    let mut rig = Rig::new(settings(), Interest::ALL, Fine);
    rig.hang_up();
    assert!(rig.closed && rig.asked.is_empty());
}

#[test]
fn a_verdict_on_disconnect_changes_nothing() {
    let mut rig = Rig::greeted(|ask: &Ask| match ask.question {
        Question::Disconnect { .. } => {
            Verdict { decision: Decision::Reject(Reply::new(550, None, "stay")), edits: Vec::new() }
        }
        _ => Verdict::default(),
    });
    rig.say("QUIT\r\n");
    assert!(rig.closed && rig.replies() == "221 2.0.0 mx.here.test closing the connection\r\n");
}

/// Drives to the first action that `stop` picks, and leaves it unanswered.
fn drive_to(rig: &mut Rig<Fine>, input: &str, stop: fn(&Action<'_>) -> bool) {
    rig.session.handle_input(rig.now, input.as_bytes());
    let now = rig.now;
    for _ in 0..1000 {
        let action = rig.session.poll_action().expect("an action to stop at");
        if stop(&action) {
            return;
        }
        match action {
            Action::Ask(_) => rig.session.handle_verdict(now, Verdict::default()),
            Action::Route(to) => {
                let route = crate::rig::Answers::route(&mut Fine, to.as_str());
                rig.session.handle_route(now, route);
            }
            Action::Body { .. } => rig.session.handle_body_taken(now, Ok(())),
            Action::Send(octets) => rig.output.extend(octets),
            other => panic!("{other:?}"),
        }
    }
    panic!("never stopped");
}

fn asks(action: &Action<'_>, event: Event) -> bool {
    matches!(action, Action::Ask(ask)
        if ask.question.event() == event && ask.stage == Stage::Before)
}

const MESSAGE: &str = "MAIL FROM:<>\r\nRCPT TO:<u@here.test>\r\nDATA\r\nA: b\r\n\r\nc\r\n.\r\n";

#[test]
fn while_a_question_is_open_nothing_moves() {
    let mut rig = Rig::greeted(Fine);
    drive_to(&mut rig, "MAIL FROM:<>\r\nRSET\r\n", |action| asks(action, Event::Mail));
    assert!(!rig.session.wants_input());
    assert_eq!(rig.session.poll_timeout(), None);
    rig.session.handle_input(rig.now, b"NOOP\r\n");
    rig.session.handle_timeout(rig.now + Duration::from_secs(9999));
    rig.session.handle_shutdown(rig.now);
    for _ in 0..3 {
        assert!(rig.session.poll_action().is_none());
    }
    rig.session.handle_verdict(rig.now, Verdict::default());
    rig.turn();
    // The command in hand is finished; the shutdown comes before the next.
    assert_eq!(rig.replies(), "250 2.1.0 Ok\r\n421 4.3.2 mx.here.test shutting down\r\n");
}

#[test]
fn a_hang_up_during_a_question_ends_the_session_behind_its_answer() {
    for event in [Event::Command, Event::Mail, Event::Rcpt, Event::Data] {
        let mut rig = Rig::greeted(Fine);
        let input = "MAIL FROM:<>\r\nRCPT TO:<u@here.test>\r\nDATA\r\n";
        let stop: fn(&Action<'_>) -> bool = match event {
            Event::Command => |action| asks(action, Event::Command),
            Event::Mail => |action| asks(action, Event::Mail),
            Event::Rcpt => |action| asks(action, Event::Rcpt),
            _ => |action| asks(action, Event::Data),
        };
        drive_to(&mut rig, input, stop);
        rig.session.handle_hangup(rig.now);
        assert!(rig.session.poll_action().is_none(), "one question at a time");
        rig.session.handle_verdict(rig.now, Verdict::default());
        rig.turn();
        assert!(rig.closed, "{event:?}");
        assert_eq!(rig.asked, END, "{event:?}");
        assert_eq!(rig.reasons, [DisconnectReason::Hangup]);
    }
}

#[test]
fn a_hang_up_while_routing_ends_the_session_behind_the_route() {
    let mut rig = Rig::greeted(Fine);
    let route = |action: &Action<'_>| matches!(action, Action::Route(_));
    drive_to(&mut rig, "MAIL FROM:<>\r\nRCPT TO:<u@here.test>\r\n", route);
    rig.session.handle_hangup(rig.now);
    assert!(rig.session.poll_action().is_none());
    rig.session.handle_route(rig.now, stagepost_smtp::Route::Local);
    rig.turn();
    assert!(rig.closed && rig.asked == END && rig.output.is_empty());
}

#[test]
fn a_message_whose_dot_was_seen_is_stored_though_its_client_is_gone() {
    // While plug-ins are asked.
    let mut rig = Rig::greeted(Fine);
    drive_to(&mut rig, MESSAGE, |action| asks(action, Event::MessageAccept));
    rig.session.handle_hangup(rig.now);
    rig.session.handle_verdict(rig.now, Verdict::default());
    let action = rig.session.poll_action();
    assert!(matches!(action, Some(Action::Store { .. })), "{action:?}");
    // And while it is being stored.
    rig.session.handle_hangup(rig.now);
    assert!(rig.session.poll_action().is_none());
    rig.session.handle_stored(rig.now, Stored::Committed("1".to_owned()));
    rig.output.clear();
    rig.turn();
    assert!(rig.closed && rig.output.is_empty());
    let told = [(Stage::After, Event::MessageAccept), END[0], END[1]];
    assert_eq!(rig.asked, told);
    // While the last octets are lent.
    let mut rig = Rig::greeted(Fine);
    let body = |action: &Action<'_>| matches!(action, Action::Body { part: Part::Body, .. });
    drive_to(&mut rig, MESSAGE, body);
    rig.session.handle_hangup(rig.now);
    rig.session.handle_body_taken(rig.now, Ok(()));
    rig.turn();
    assert!(rig.closed && rig.mails.len() == 1 && rig.abandoned == 0);
}

#[test]
fn nothing_is_said_to_a_client_that_is_gone() {
    let mut rig = Rig::new(settings(), Interest::NONE, Fine);
    rig.say("EHLO a.test\r\n");
    rig.output.clear();
    drive_to(&mut rig, MESSAGE, |action| matches!(action, Action::Store { .. }));
    rig.session.handle_hangup(rig.now);
    rig.session.handle_stored(rig.now, Stored::Committed("1".to_owned()));
    rig.turn();
    assert!(rig.closed && rig.output.is_empty());
}

#[test]
fn a_message_without_its_dot_is_given_up_behind_the_lent_octets() {
    let mut rig = Rig::greeted(Fine);
    let input = MESSAGE.strip_suffix(".\r\n").unwrap();
    drive_to(&mut rig, input, |action| matches!(action, Action::Body { .. }));
    rig.session.handle_hangup(rig.now);
    assert!(rig.session.poll_action().is_none());
    rig.session.handle_body_taken(rig.now, Ok(()));
    assert!(matches!(rig.session.poll_action(), Some(Action::Abandon)));
    rig.turn();
    assert!(rig.closed && rig.mails.is_empty());
}

#[test]
fn a_shutdown_lets_the_message_in_hand_be_acknowledged() {
    let mut rig = Rig::greeted(Fine);
    drive_to(&mut rig, MESSAGE, |action| matches!(action, Action::Store { .. }));
    rig.session.handle_shutdown(rig.now);
    assert!(rig.session.poll_action().is_none());
    rig.session.handle_stored(rig.now, Stored::Committed("1".to_owned()));
    rig.turn();
    let wanted = "250 2.0.0 Ok: queued as 1\r\n421 4.3.2 mx.here.test shutting down\r\n";
    assert!(rig.replies().ends_with(wanted));
    assert!(rig.closed && rig.reasons == [DisconnectReason::Shutdown]);
}

#[test]
fn a_shutdown_before_the_greeting_is_the_greeting() {
    let mut rig = Rig::new(settings(), Interest::NONE, Fine);
    rig.session.handle_shutdown(rig.now);
    rig.turn();
    assert_eq!(rig.replies(), "421 mx.here.test shutting down\r\n");
    assert!(rig.closed);
}

#[test]
fn replies_are_not_held_back_for_slow_questions() {
    let mut rig = Rig::greeted(Fine);
    drive_to(&mut rig, "NOOP\r\nMAIL FROM:<>\r\nNOOP\r\n", |action| asks(action, Event::Mail));
    assert!(rig.output.is_empty());
    rig.now += Duration::from_secs(11);
    rig.session.handle_verdict(rig.now, Verdict::default());
    let action = rig.session.poll_action();
    assert!(matches!(action, Some(Action::Ask(_))), "{action:?}");
    rig.session.handle_verdict(rig.now, Verdict::default());
    let Some(Action::Ask(_)) = rig.session.poll_action() else { panic!("after(COMMAND)") };
    rig.session.handle_verdict(rig.now, Verdict::default());
    let Some(Action::Send(octets)) = rig.session.poll_action() else { panic!("replies") };
    assert_eq!(octets, b"250 2.0.0 Ok\r\n250 2.1.0 Ok\r\n");
    rig.turn();
    assert_eq!(rig.replies(), "250 2.0.0 Ok\r\n");
}

#[test]
fn time_runs_only_while_the_client_is_waited_for() {
    let mut rig = Rig::greeted(Fine);
    let deadline = rig.session.poll_timeout().unwrap();
    rig.now += Duration::from_secs(100);
    rig.say("NOO");
    assert_eq!(rig.session.poll_timeout(), Some(deadline), "half a line buys no time");
    rig.say("P\r\n");
    assert_eq!(rig.session.poll_timeout(), Some(rig.now + Duration::from_secs(300)));
    rig.say("MAIL FROM:<>\r\nRCPT TO:<u@here.test>\r\nDATA\r\n");
    assert_eq!(rig.session.poll_timeout(), Some(rig.now + Duration::from_secs(180)));
    let started = rig.now;
    for _ in 0..35 {
        rig.now += Duration::from_secs(100);
        rig.say("x\r\n");
    }
    assert_eq!(rig.session.poll_timeout(), Some(started + Duration::from_secs(3600)));
    // Early calls are nothing.
    rig.session.handle_timeout(rig.now);
    rig.turn();
    assert!(!rig.closed);
}
