//! Questions in the middle of a message: its header block, then its body chunk by chunk, and what the answers do.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use stagepost_smtp::{
    Action, Ask, Attributed, Claims, Decision, DisconnectReason, Edit, Event, Interest, Question,
    Reply, Stage, Verdict,
};

use crate::rig::{Fine, Rig, settings};

const BEGIN: &str = "MAIL FROM:<>\r\nRCPT TO:<u@here.test>\r\nDATA\r\n";
const KIB: usize = 1024;

/// The chunks of the body that a session showed.
#[derive(Default)]
struct Shown {
    octets: Vec<u8>,
    sizes: Vec<usize>,
    /// How often a chunk said that it is the last.
    lasts: usize,
}

impl Shown {
    fn take(&mut self, ask: &Ask) {
        if let Question::Body { octets, offset, last } = &ask.question {
            assert!(ask.stage == Stage::Before && ask.message.is_none() && ask.reply.is_none());
            assert_eq!(*offset, self.octets.len() as u64);
            assert_eq!(self.lasts, 0, "a chunk behind the last");
            self.octets.extend_from_slice(octets);
            self.sizes.push(octets.len());
            self.lasts += usize::from(*last);
        }
    }
}

fn watched() -> Interest {
    Interest::NONE.with(Event::Headers, Stage::Before).with(Event::Body, Stage::Before)
}

/// A session with a message begun, in which plug-ins see header block and body.
fn receiving<A: crate::rig::Answers>(answers: A) -> Rig<A> {
    let mut rig = Rig::new(settings(), watched(), answers);
    rig.say(format!("EHLO a.test\r\n{BEGIN}"));
    rig.output.clear();
    rig
}

fn decide(decision: Decision) -> Verdict {
    Verdict { decision, ..Verdict::default() }
}

fn reject() -> Verdict {
    decide(Decision::Reject(Reply::new(554, Some((5, 7, 1)), "Not this")))
}

fn edit(edit: Edit) -> Verdict {
    Verdict { edits: vec![Attributed::new("p", edit)], ..Verdict::default() }
}

#[test]
fn chunks_are_gathered_however_small_the_octets_come() {
    let mut shown = Shown::default();
    let mut rig = receiving(|ask: &Ask| {
        shown.take(ask);
        Verdict::default()
    });
    rig.say("A: b\r\n\r\n");
    let line = [&[b'x'; 98][..], b"\r\n"].concat();
    for _ in 0..2000 {
        rig.say(&line);
    }
    rig.say(line.repeat(3000));
    rig.say(".\r\n");
    let body = [b"\r\n", &line.repeat(5000)[..]].concat();
    assert_eq!(rig.mails.len(), 1);
    assert_eq!(rig.mails[0].body, body);
    assert_eq!(rig.asked.iter().filter(|asked| asked.1 == Event::Headers).count(), 1);
    drop(rig);
    assert!(shown.octets == body && shown.lasts == 1);
    let (last, others) = shown.sizes.split_last().unwrap();
    assert!(others.iter().all(|size| (32 * KIB..=64 * KIB + 2).contains(size)), "{others:?}");
    assert!(*last <= 64 * KIB, "{last}");
}

#[test]
fn every_message_has_a_header_block_and_a_last_chunk() {
    let cases: [(&[u8], &[u8]); 5] = [
        (b".\r\n", b""),
        (b"A: b\r\n.\r\n", b""),
        (b"A: b\r\n\r\n.\r\n", b"\r\n"),
        (b"A: b\r\n\r\n..c\r\n.\r\n", b"\r\n.c\r\n"),
        // Text without an empty line before it gets one.
        (b"no field\r\n.\r\n", b"\r\nno field\r\n"),
    ];
    for (sent, body) in cases {
        let mut shown = Shown::default();
        let mut rig = receiving(|ask: &Ask| {
            assert_eq!(ask.message.is_some(), ask.question.event() == Event::Headers);
            shown.take(ask);
            Verdict::default()
        });
        rig.say(sent);
        let wanted = [(Stage::Before, Event::Headers), (Stage::Before, Event::Body)];
        assert_eq!(rig.asked, wanted, "{sent:?}");
        assert_eq!(rig.mails.len(), 1, "{sent:?}");
        drop(rig);
        assert!(shown.octets == body && shown.lasts == 1, "{sent:?}: {:?}", shown.octets);
    }
}

#[test]
fn a_refusal_is_said_behind_the_dot_and_nothing_more_is_asked() {
    for (event, chunk) in [(Event::Headers, 0), (Event::Body, 0), (Event::Body, 2)] {
        let mut left = chunk;
        let mut rig = Rig::greeted(|ask: &Ask| {
            if ask.question.event() != event {
                return Verdict::default();
            }
            left -= 1;
            if left < 0 { reject() } else { Verdict::default() }
        });
        rig.say(BEGIN);
        rig.asked.clear();
        rig.output.clear();
        rig.say([b"A: b\r\n\r\n", &b"text\r\n".repeat(40_000)[..]].concat());
        assert!(rig.output.is_empty(), "nothing is said in the middle of a message");
        assert_eq!(rig.abandoned, 1, "what was lent is called back at once");
        rig.say("more\r\n.\r\nNOOP\r\n");
        assert_eq!(rig.replies(), "554 5.7.1 Not this\r\n250 2.0.0 Ok\r\n", "{event:?} {chunk}");
        assert!(rig.mails.is_empty());
        let (before, after) = (Stage::Before, Stage::After);
        let chunks = if event == Event::Body { chunk as usize + 1 } else { 0 };
        let mut wanted = vec![(before, Event::Headers)];
        wanted.extend(vec![(before, Event::Body); chunks]);
        wanted.extend([(after, Event::MessageAccept)]);
        wanted.extend([(before, Event::Command), (after, Event::Command)]);
        assert_eq!(rig.asked, wanted);
        // The transaction is over, the session is not.
        assert!(rig.session.facts().sender.is_none());
    }
}

#[test]
fn every_verdict_in_the_middle_of_a_message_does_what_it_says() {
    let reply = |code| Reply::new(code, None, "words");
    let cases = [
        (Decision::Continue, "250", false),
        (Decision::Reject(reply(550)), "550", false),
        (Decision::Defer(reply(450)), "450", false),
        // Handled can't stand, and is no acceptance.
        (Decision::Handled(None), "451", false),
        (Decision::Handled(Some(reply(250))), "451", false),
        (Decision::Disconnect(reply(421)), "421", true),
        (Decision::Disconnect(reply(554)), "554", true),
        (Decision::Defer(reply(421)), "421", true),
    ];
    for event in [Event::Headers, Event::Body] {
        for (decision, code, closes) in &cases {
            let mut rig = receiving(|ask: &Ask| {
                let here = ask.question.event() == event;
                if here { decide(decision.clone()) } else { Verdict::default() }
            });
            rig.say([b"A: b\r\n\r\n", &b"text\r\n".repeat(10_000)[..]].concat());
            let at_once = rig.replies();
            assert_eq!((rig.closed, !at_once.is_empty()), (*closes, *closes), "{event:?} {code}");
            rig.say(".\r\n");
            let replies = at_once + &rig.replies();
            let case = format!("{event:?} {decision:?}: {replies}");
            assert!(replies.starts_with(code) && replies.lines().count() == 1, "{case}");
            assert_eq!(rig.mails.len(), usize::from(*code == "250"), "{case}");
            assert_eq!(rig.abandoned, usize::from(*code != "250"), "{case}");
        }
    }
}

#[test]
fn edits_in_the_middle_of_a_message_keep_their_order() {
    let header = |name: &str| Edit::AddHeader { name: name.into(), value: b"v"[..].into() };
    let add = |path: &str| Edit::add_recipient(path, "", Claims::none()).expect("a path");
    let mut rig = Rig::greeted(|ask: &Ask| match (ask.stage, ask.question.event()) {
        (Stage::Before, Event::Mail) => edit(header("At-Mail")),
        (Stage::Before, Event::Headers) => {
            let draft = ask.message.as_ref().expect("a message");
            assert_eq!(draft.header(), b"At-Mail: v\r\n");
            let mut verdict = edit(header("At-Headers"));
            verdict.edits.extend(edit(add("x@here.test")).edits);
            verdict
        }
        (Stage::Before, Event::Body) => edit(header("At-Body")),
        (Stage::Before, Event::MessageAccept) => {
            let draft = ask.message.as_ref().expect("a message");
            assert_eq!(draft.header(), b"At-Mail: v\r\nAt-Headers: v\r\nAt-Body: v\r\n");
            assert_eq!(ask.facts.recipients.len(), 2);
            Verdict::default()
        }
        _ => Verdict::default(),
    });
    rig.say(BEGIN);
    rig.say("\r\n.\r\n");
    assert_eq!(rig.mails.len(), 1, "{}", rig.replies());
    let names: Vec<_> = rig.mails[0].edits.iter().map(|edit| format!("{:?}", edit.edit)).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    assert_eq!(rig.mails[0].envelope.recipients.len(), 2);
}

#[test]
fn nobody_is_added_in_the_middle_of_a_message_without_a_route() {
    let mut rig = receiving(|ask: &Ask| match ask.question.event() {
        Event::Headers => {
            edit(Edit::add_recipient("x@there.test", "", Claims::none()).expect("a path"))
        }
        _ => Verdict::default(),
    });
    rig.say("A: b\r\n\r\nc\r\n");
    assert!(rig.output.is_empty());
    rig.say(".\r\n");
    assert!(rig.replies().starts_with("451 4.3.0 "));
    assert!(rig.blamed.len() == 1 && rig.mails.is_empty() && rig.abandoned == 1);
}

#[test]
fn a_message_held_at_every_chunk_is_held_once() {
    for sticky in [Edit::Hold { reason: "look".into() }, Edit::Discard] {
        let discarded = sticky == Edit::Discard;
        let mut rig = receiving(|ask: &Ask| match ask.question.event() {
            Event::Body => edit(sticky.clone()),
            _ => Verdict::default(),
        });
        for _ in 0..1500 {
            rig.say(
                b"text, a lot of it, some 64 octets in each line of the message.\r\n".repeat(520),
            );
        }
        assert!(rig.asked.len() > 1200, "{}", rig.asked.len());
        rig.say(".\r\n");
        assert!(rig.replies().starts_with("250 "));
        assert_eq!(rig.mails.len(), usize::from(!discarded));
        assert!(rig.mails.iter().all(|mail| mail.edits.len() == 1));
    }
}

/// Drives to the question about `event`, and leaves it unanswered.
fn drive_to(rig: &mut Rig<Fine>, input: &[u8], event: Event) {
    rig.session.handle_input(rig.now, input);
    loop {
        match rig.session.poll_action().expect("a question to stop at") {
            Action::Ask(ask) if ask.question.event() == event => return,
            Action::Ask(_) => rig.session.handle_verdict(rig.now, Verdict::default()),
            Action::Body { .. } => rig.session.handle_body_taken(rig.now, Ok(())),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_hang_up_during_a_question_forgets_a_message_without_its_dot() {
    for event in [Event::Headers, Event::Body] {
        let (whole, part) = (&b"A: b\r\n\r\nc\r\n.\r\n"[..], &b"A: b\r\n\r\nc\r\n".repeat(9000));
        for (input, verdict, stored) in [
            (whole, Verdict::default(), true),
            (part, Verdict::default(), false),
            // Who hangs up behind the dot does not get past a refusal.
            (whole, reject(), false),
        ] {
            let mut rig = receiving(Fine);
            drive_to(&mut rig, input, event);
            assert!(!rig.session.wants_input() && rig.session.poll_timeout().is_none());
            rig.session.handle_hangup(rig.now);
            let mut abandoned = false;
            rig.session.handle_verdict(rig.now, verdict);
            let mut was_stored = false;
            while let Some(action) = rig.session.poll_action() {
                match action {
                    Action::Ask(_) => rig.session.handle_verdict(rig.now, Verdict::default()),
                    Action::Body { .. } => rig.session.handle_body_taken(rig.now, Ok(())),
                    Action::Store { .. } => {
                        was_stored = true;
                        let stored = stagepost_smtp::Stored::Committed("1".into());
                        rig.session.handle_stored(rig.now, stored);
                    }
                    Action::Abandon => abandoned = true,
                    Action::Close => rig.closed = true,
                    other => panic!("{other:?}"),
                }
            }
            assert!(rig.closed);
            assert_eq!((was_stored, abandoned), (stored, !stored), "{event:?}");
        }
    }
}

#[test]
fn a_client_does_not_pay_for_the_time_of_plug_ins() {
    let mut rig = receiving(Fine);
    let begun = rig.now;
    drive_to(&mut rig, b"A: b\r\n\r\nc\r\n", Event::Headers);
    rig.now += Duration::from_secs(3000);
    rig.session.handle_verdict(rig.now, Verdict::default());
    assert!(rig.session.poll_action().is_none() && rig.session.wants_input());
    assert_eq!(rig.session.poll_timeout(), Some(rig.now + Duration::from_secs(180)));
    for _ in 0..20 {
        rig.now += Duration::from_secs(175);
        rig.say("x\r\n");
        assert!(!rig.closed);
    }
    let deadline = begun + Duration::from_secs(3000 + 3600);
    assert_eq!(rig.session.poll_timeout(), Some(deadline));
    rig.session.handle_timeout(deadline);
    assert!(matches!(rig.session.poll_action(), Some(Action::Abandon)));
    let Some(Action::Send(octets)) = rig.session.poll_action() else { panic!("a reply") };
    assert!(octets.starts_with(b"421 4.4.2 "));
}

#[test]
fn what_the_core_refuses_is_not_shown() {
    let mut rig = receiving(Fine);
    rig.say("A: b\r\n\r\nbare\nline feed\r\n.\r\n");
    assert!(rig.replies().starts_with("550 5.5.2 ") && rig.asked.is_empty(), "{:?}", rig.asked);
    rig.say("QUIT\r\n");
    assert_eq!(rig.reasons, [DisconnectReason::Quit; 0], "nobody asks");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// However the octets come, plug-ins are shown the body that is stored, in chunks of the sizes that were promised.
    #[test]
    fn what_is_shown_is_what_is_stored(
        fields in 0..3usize,
        lines in vec(vec(any::<u8>(), 0..3000), 0..80),
        pieces in vec(1..70_000usize, 1..20),
    ) {
        let mut message = b"A: b\r\n".repeat(fields);
        message.extend_from_slice(b"\r\n");
        for line in &lines {
            let sound = |octet: &&u8| !matches!(octet, 0 | b'\r' | b'\n');
            message.extend(line.iter().filter(sound));
            message.extend_from_slice(b"\r\n");
        }
        let mut sent = Vec::new();
        for line in message.split_inclusive(|&octet| octet == b'\n') {
            sent.extend(line.starts_with(b".").then_some(b'.'));
            sent.extend_from_slice(line);
        }
        sent.extend_from_slice(b".\r\n");
        let mut shown = Shown::default();
        let mut rig = receiving(|ask: &Ask| {
            shown.take(ask);
            Verdict::default()
        });
        let mut rest = &sent[..];
        for size in pieces.iter().cycle() {
            let (piece, behind) = rest.split_at(rest.len().min(*size));
            rig.say(piece);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(rig.mails.len(), 1);
        let mail = rig.mails.remove(0);
        drop(rig);
        prop_assert!([&mail.header[..], &mail.body].concat() == message);
        prop_assert!(shown.octets == mail.body && shown.lasts == 1);
        let others = &shown.sizes[..shown.sizes.len() - 1];
        prop_assert!(others.iter().all(|size| (32 * KIB..=64 * KIB).contains(size)), "{:?}", others);
    }
}
