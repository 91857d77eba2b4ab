//! Lent octets: in which pieces they come, and that the client waits while they are out.

use stagepost_smtp::{Action, Interest, Part};

use crate::rig::{Fine, Rig, settings};

fn receiving() -> Rig<Fine> {
    let mut rig = Rig::new(settings(), Interest::NONE, Fine);
    rig.say("EHLO a.test\r\nMAIL FROM:<>\r\nRCPT TO:<u@here.test>\r\nDATA\r\n");
    rig.output.clear();
    rig
}

/// The pieces lent for one input, each answered at once.
fn lent(rig: &mut Rig<Fine>, input: &[u8]) -> Vec<(Part, Vec<u8>)> {
    rig.session.handle_input(rig.now, input);
    let mut pieces = Vec::new();
    while let Some(action) = rig.session.poll_action() {
        match action {
            Action::Body { part, octets } => {
                pieces.push((part, octets.to_vec()));
                assert!(!rig.session.wants_input(), "the client waits");
                assert!(
                    rig.session.poll_timeout().is_none() && rig.session.poll_action().is_none()
                );
                rig.session.handle_body_taken(rig.now, Ok(()));
            }
            Action::Store { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    pieces
}

#[test]
fn pieces_are_as_large_as_they_came() {
    let mut rig = receiving();
    let line = [&[b'x'; 70][..], b"\r\n"].concat();
    let pieces = lent(&mut rig, &[b"A: b\r\nC: d\r\n\r\n", line.repeat(800).as_slice()].concat());
    assert_eq!(pieces[0], (Part::Header, b"A: b\r\nC: d\r\n".to_vec()));
    assert_eq!(pieces[1], (Part::Body, [b"\r\n", line.repeat(800).as_slice()].concat()));
    assert_eq!(pieces.len(), 2);
    let pieces = lent(&mut rig, &[line.repeat(9).as_slice(), b"..x\r\n", &line].concat());
    let wanted = [line.repeat(9).as_slice(), b".x\r\n", &line].concat();
    assert_eq!(pieces, [(Part::Body, wanted)], "dots go without breaking the piece");
    let pieces = lent(&mut rig, b"end\r\n.\r\nNOOP\r\n");
    assert_eq!(pieces, [(Part::Body, b"end\r\n".to_vec())]);
}

#[test]
fn only_the_undecided_start_of_a_header_line_is_kept_back() {
    let mut rig = receiving();
    assert_eq!(lent(&mut rig, b"Subject: a lo"), [(Part::Header, b"Subject: a lo".to_vec())]);
    assert_eq!(lent(&mut rig, b"ng one\r\nFr"), [(Part::Header, b"ng one\r\n".to_vec())]);
    assert!(lent(&mut rig, b"om").is_empty() && rig.session.wants_input());
    assert_eq!(lent(&mut rig, b":"), [(Part::Header, b"From:".to_vec())]);
    assert_eq!(lent(&mut rig, b" x\r\n\r"), [(Part::Header, b" x\r\n".to_vec())]);
    assert_eq!(lent(&mut rig, b"\n"), [(Part::Body, b"\r\n".to_vec())]);
    assert_eq!(lent(&mut rig, b"a\r\n."), [(Part::Body, b"a\r\n".to_vec())]);
    assert!(lent(&mut rig, b"\r\n").is_empty(), "the dot is nothing");
}

#[test]
fn commands_behind_the_dot_wait_for_the_store() {
    let mut rig = receiving();
    rig.session.handle_input(rig.now, b".\r\nQUIT\r\n");
    assert!(matches!(rig.session.poll_action(), Some(Action::Store { .. })));
    assert!(rig.session.poll_action().is_none() && !rig.session.wants_input());
    let stored = stagepost_smtp::Stored::Committed("1".to_owned());
    rig.session.handle_stored(rig.now, stored);
    rig.turn();
    assert!(rig.replies().starts_with("250 2.0.0 Ok: queued as 1\r\n221 "));
}

#[test]
fn an_endless_message_is_not_kept() {
    let mut settings = settings();
    settings.limits.message_octets_max = 1000;
    let mut rig = Rig::new(settings, Interest::NONE, Fine);
    rig.say("EHLO a.test\r\nMAIL FROM:<>\r\nRCPT TO:<u@here.test>\r\nDATA\r\n");
    rig.output.clear();
    for _ in 0..100 {
        rig.say(b"x: y\r\n".repeat(100));
    }
    assert_eq!((rig.abandoned, rig.output.len()), (1, 0), "called back as soon as it is known");
    rig.say("\r\n.\r\n");
    assert!(rig.replies().starts_with("552 5.3.4 ") && rig.mails.is_empty());
}
