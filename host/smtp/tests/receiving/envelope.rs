//! Envelope edits: what plug-ins make of sender and recipients, and that nobody is added who may not be mailed to.

use std::sync::Arc;

use stagepost_smtp::{
    Ask, Attribute, Attributed, BodyKind, Change, Claim, Claims, Edit, Envelope, Event, Facts,
    Interest, LedgerEntry, Question, Recipient, Reply, Stage, Verdict, as_it_came,
};

use crate::rig::{Mail, Rig, settings};

fn edits(edits: impl IntoIterator<Item = Edit>) -> Verdict {
    let by = |edit| Attributed::new("p", edit);
    Verdict { edits: edits.into_iter().map(by).collect(), ..Verdict::default() }
}

fn add(path: &str) -> Edit {
    Edit::add_recipient(path, "", Claims::none()).expect("a path")
}

fn remove(path: &str) -> Edit {
    Edit::remove_recipient(path).expect("a path")
}

fn grant() -> Edit {
    Edit::Attribute(Attribute {
        name: Facts::RELAY_GRANTED.into(),
        value: "1".into(),
        plugin: "p".into(),
    })
}

/// Answers one event, before, with edits.
fn at(event: Event, given: Vec<Edit>) -> impl FnMut(&Ask) -> Verdict {
    move |ask: &Ask| {
        let here = (ask.stage, ask.question.event()) == (Stage::Before, event);
        if here { edits(given.clone()) } else { Verdict::default() }
    }
}

fn recipients(mail: &Mail) -> Vec<&str> {
    mail.envelope.recipients.iter().map(|recipient| recipient.address.as_str()).collect()
}

const MAIL: &str = "MAIL FROM:<s@b.test> SIZE=9\r\nRCPT TO:<u@here.test>\r\nRCPT TO:<v@here.test>\r\n\
                    DATA\r\n";

#[test]
fn recipients_are_added_and_removed_where_they_may_be() {
    let cases: [(Event, Vec<Edit>, &[&str]); 8] = [
        (Event::Rcpt, vec![add("x@here.test")], &["u@here.test", "x@here.test", "v@here.test"]),
        (Event::Data, vec![add("x@here.test")], &["u@here.test", "v@here.test", "x@here.test"]),
        (
            Event::MessageAccept,
            vec![add("x@here.test"), remove("u@HERE.test")],
            &["v@here.test", "x@here.test"],
        ),
        // Who is there stays as they are, and who is not can't be removed.
        (
            Event::Data,
            vec![add("u@here.test"), remove("U@here.test")],
            &["u@here.test", "v@here.test"],
        ),
        (
            Event::Data,
            vec![remove("u@here.test"), add("u@here.test")],
            &["v@here.test", "u@here.test"],
        ),
        (
            Event::MessageAccept,
            vec![remove("u@here.test"), remove("v@here.test"), add("x@here.test")],
            &["x@here.test"],
        ),
        // A grant of the same chain counts.
        (
            Event::MessageAccept,
            vec![add("x@there.test"), grant()],
            &["u@here.test", "v@here.test", "x@there.test"],
        ),
        (
            Event::Rcpt,
            vec![add("x@there.test"), grant()],
            &["u@here.test", "x@there.test", "v@here.test"],
        ),
    ];
    for (event, given, wanted) in cases {
        let mut rig = Rig::greeted(at(event, given.clone()));
        rig.say(MAIL);
        rig.say("A: b\r\n.\r\n");
        assert_eq!(rig.mails.len(), 1, "{event:?} {given:?}: {}", rig.replies());
        assert_eq!(recipients(&rig.mails[0]), wanted, "{event:?} {given:?}");
        assert!(rig.blamed.is_empty(), "{:?}", rig.blamed);
    }
}

#[test]
fn nobody_is_added_without_a_route_or_a_grant() {
    let there = "p: bad edit: the recipient <x@there.test> that it added can't be: Relaying denied";
    let emptied = "p: bad edit: it removed <v@here.test>, the last recipient; a message for nobody is to be \
                   discarded";
    let nobody = || vec![remove("u@here.test"), remove("v@here.test")];
    let cases = [
        (Event::Rcpt, vec![add("x@there.test")], "250 451 451 554", there),
        (Event::Data, vec![add("y@here.test"), add("x@there.test")], "250 250 250 451", there),
        (Event::MessageAccept, vec![add("x@there.test")], "250 250 250 354 451", there),
        (Event::Data, nobody(), "250 250 250 451", emptied),
        (Event::MessageAccept, nobody(), "250 250 250 354 451", emptied),
    ];
    for (event, given, codes, blamed) in cases {
        let mut rig = Rig::greeted(at(event, given.clone()));
        rig.say(MAIL);
        if codes.contains("354") {
            rig.say("A: b\r\n.\r\n");
        }
        let replies = rig.replies();
        let found: Vec<_> = replies.lines().map(|line| &line[..3]).collect();
        assert_eq!(found.join(" "), codes, "{event:?} {given:?}");
        assert!(rig.blamed.iter().all(|words| words == blamed), "{:?}", rig.blamed);
        assert!(!rig.blamed.is_empty() && rig.mails.is_empty());
        // The session goes on, and what was refused has left nothing behind.
        let facts = rig.session.facts();
        assert!(facts.recipients.iter().all(
            |known| known.as_str().ends_with("v@here.test") || known.as_str() == "u@here.test"
        ));
        rig.say("NOOP\r\n");
        assert!(rig.replies().starts_with("250"));
    }
    // For nobody, but discarded: that is what was meant.
    let given = [nobody(), vec![Edit::Discard]].concat();
    let mut rig = Rig::greeted(at(Event::MessageAccept, given));
    rig.say(MAIL);
    rig.say("A: b\r\n.\r\n");
    assert!(rig.replies().ends_with("250 2.0.0 Ok\r\n"));
    assert!(rig.blamed.is_empty() && rig.mails.is_empty());
}

#[test]
fn a_router_that_can_not_tell_now_is_nobodys_fault() {
    struct Unavailable;
    impl crate::rig::Answers for Unavailable {
        fn verdict(&mut self, ask: &Ask) -> Verdict {
            at(Event::MessageAccept, vec![add("x@later.test")])(ask)
        }
        fn route(&mut self, recipient: &str) -> stagepost_smtp::Route {
            match recipient {
                "x@later.test" => stagepost_smtp::Route::Unavailable,
                _ => stagepost_smtp::Route::Local,
            }
        }
    }
    let mut rig = Rig::greeted(Unavailable);
    rig.say(MAIL);
    rig.say("A: b\r\n.\r\n");
    assert!(rig.replies().ends_with("451 4.4.3 Directory not available, try again later\r\n"));
    assert!(rig.blamed.is_empty() && rig.mails.is_empty() && rig.abandoned == 1);
}

#[test]
fn the_sender_is_replaced_with_or_without_its_parameters() {
    let whole = || Edit::sender("n@b.test", "BODY=8BITMIME", Claims::none()).unwrap();
    let cases = [
        (
            Event::Mail,
            Edit::sender("", "", Claims::none()).unwrap(),
            "<>",
            "SIZE=9",
            BodyKind::SevenBit,
        ),
        (Event::Mail, whole(), "<n@b.test>", "BODY=8BITMIME", BodyKind::EightBitMime),
        (Event::MessageAccept, whole(), "<n@b.test>", "BODY=8BITMIME", BodyKind::EightBitMime),
    ];
    for (event, given, sender, parameters, body) in cases {
        let mut seen = Vec::new();
        let mut answer = at(event, vec![given]);
        let mut rig = Rig::greeted(|ask: &Ask| {
            if ask.stage == Stage::After {
                let of_mail = match &ask.question {
                    Question::Mail { sender, parameters } => Some(format!("{sender} {parameters}")),
                    _ => None,
                };
                let fact = ask.facts.sender.as_ref().map(ToString::to_string);
                seen.push((ask.question.event(), of_mail, fact));
            }
            answer(ask)
        });
        rig.say(MAIL);
        rig.say("A: b\r\n.\r\n");
        let envelope = &rig.mails[0].envelope;
        let found = (envelope.sender.to_string(), &*envelope.parameters, envelope.body);
        assert_eq!(found, (sender.to_owned(), parameters, body));
        drop(rig);
        let told = |event| seen.iter().find(|(known, ..)| *known == event).unwrap();
        let accepted = told(Event::MessageAccept);
        assert_eq!(accepted.2.as_deref(), Some(sender), "{event:?}");
        if event == Event::Mail {
            let (_, of_mail, fact) = told(Event::Mail);
            assert_eq!(of_mail.as_deref(), Some(&*format!("{sender} {parameters}")));
            assert_eq!(fact.as_deref(), Some(sender));
        }
    }
}

#[test]
fn a_replaced_recipient_needs_a_route_of_its_own() {
    let mut rig = Rig::greeted(|ask: &Ask| match (ask.stage, &ask.question) {
        (Stage::Before, Question::Rcpt { recipient, .. }) => {
            let to = match recipient.local() {
                "out" => "x@there.test",
                "in" => "x@here.test",
                _ => return Verdict::default(),
            };
            edits([Edit::replace_recipient(None, to, "", Claims::none()).unwrap()])
        }
        (Stage::After, Question::Rcpt { recipient, .. }) => {
            edits([Edit::ReplyText(recipient.to_string().into())])
        }
        _ => Verdict::default(),
    });
    rig.say("MAIL FROM:<>\r\nRCPT TO:<out@here.test>\r\nRCPT TO:<in@there.test>\r\n");
    rig.say("RCPT TO:<y@there.test>\r\nRCPT TO:<z@here.test>\r\nDATA\r\n.\r\n");
    let replies = rig.replies();
    let lines: Vec<_> = replies.lines().skip(1).take(4).collect();
    assert_eq!(
        lines,
        [
            "550 5.7.1 x@there.test",
            "250 2.1.5 x@here.test",
            "550 5.7.1 y@there.test",
            "250 2.1.5 z@here.test",
        ]
    );
    assert_eq!(recipients(&rig.mails[0]), ["x@here.test", "z@here.test"]);
    assert!(rig.blamed.is_empty());
}

fn replace(replaced: &str, by: &str) -> Edit {
    Edit::replace_recipient(Some(replaced), by, "", Claims::none()).expect("paths")
}

#[test]
fn a_recipient_is_replaced_wherever_there_are_recipients() {
    for event in [Event::Data, Event::Headers, Event::MessageAccept] {
        let edits = vec![
            replace("nobody@here.test", "x@here.test"),
            replace("u@HERE.test", "n@here.test"),
            // One who is there already is kept once.
            replace("w@here.test", "v@here.test"),
        ];
        let mut rig = Rig::greeted(at(event, edits));
        rig.say("MAIL FROM:<>\r\n");
        for user in ["u", "v", "w"] {
            rig.say(format!("RCPT TO:<{user}@here.test>\r\n"));
        }
        rig.say("DATA\r\n");
        rig.say("A: b\r\n.\r\n");
        assert_eq!(recipients(&rig.mails[0]), ["n@here.test", "v@here.test"], "{event:?}");
        assert!(rig.blamed.is_empty());
    }
}

#[test]
fn who_comes_in_the_place_of_a_recipient_needs_a_route() {
    for event in [Event::Data, Event::Headers, Event::MessageAccept] {
        let mut rig = Rig::greeted(at(event, vec![replace("u@here.test", "x@there.test")]));
        rig.say("MAIL FROM:<>\r\nRCPT TO:<u@here.test>\r\nDATA\r\n");
        rig.say("A: b\r\n.\r\n");
        assert!(rig.replies().contains("\r\n451 4.3.0 "), "{event:?}");
        assert!(rig.mails.is_empty() && rig.blamed.len() == 1, "{:?}", rig.blamed);
    }
}

#[test]
fn parameters_of_a_replaced_recipient_are_kept_or_replaced() {
    let claims = || Claims::new([Claim::rcpt_parameter("X").unwrap()]);
    let given = |replaced: Option<&str>, path: &str, given: &str| {
        Edit::replace_recipient(replaced, path, given, &claims()).unwrap()
    };
    let mut seen = Vec::new();
    let mut rig =
        Rig::new(settings(), Interest::ALL, |ask: &Ask| match (ask.stage, &ask.question) {
            (Stage::Before, Question::Rcpt { recipient, .. }) => match recipient.local() {
                "kept" => edits([given(None, "k@here.test", "")]),
                "new" => edits([given(None, "n@here.test", "X=2")]),
                _ => Verdict::default(),
            },
            (Stage::After, Question::Rcpt { recipient, parameters }) => {
                seen.push(format!("{recipient} {parameters}"));
                Verdict::default()
            }
            (Stage::Before, Question::Data { .. }) => edits([
                given(Some("u@here.test"), "u@here.test", "X=3"),
                given(Some("k@here.test"), "l@here.test", ""),
            ]),
            _ => Verdict::default(),
        });
    rig.session = rig.session.with_claims(Arc::new(claims()));
    rig.say("EHLO a.test\r\nMAIL FROM:<>\r\n");
    for user in ["kept", "new", "u"] {
        rig.say(format!("RCPT TO:<{user}@here.test> X=1\r\n"));
    }
    rig.say("DATA\r\nA: b\r\n.\r\n");
    let envelope = rig.mails[0].envelope.clone();
    let ledger: Vec<_> = rig.mails[0].edits.clone();
    drop(rig);
    assert_eq!(seen, ["k@here.test X=1", "n@here.test X=2", "u@here.test X=1"]);
    let recipients = |envelope: &Envelope| -> Vec<String> {
        let shown = |known: &Recipient| format!("{} {}", known.address, known.parameters);
        envelope.recipients.iter().map(shown).collect()
    };
    assert_eq!(recipients(&envelope), ["l@here.test X=1", "n@here.test X=2", "u@here.test X=3"]);
    let ledger: Vec<LedgerEntry> = ledger.into_iter().flat_map(Attributed::into_ledger).collect();
    assert_eq!(
        recipients(&as_it_came(&envelope, &ledger)),
        ["kept@here.test X=1", "new@here.test X=1", "u@here.test X=1"]
    );
}

#[test]
fn edits_of_a_refused_command_change_nothing() {
    let refuse = |mut verdict: Verdict| {
        verdict.decision = stagepost_smtp::Decision::Reject(Reply::new(550, None, "no"));
        verdict
    };
    let mut rig = Rig::greeted(|ask: &Ask| match (ask.stage, &ask.question) {
        (Stage::Before, Question::Mail { sender, .. }) if sender.as_str() == "no@b.test" => {
            refuse(edits([Edit::sender("n@b.test", "", Claims::none()).unwrap()]))
        }
        (Stage::Before, Question::Rcpt { recipient, .. }) if recipient.local() == "no" => {
            refuse(edits([add("x@here.test"), add("x@there.test")]))
        }
        _ => Verdict::default(),
    });
    rig.say("MAIL FROM:<no@b.test>\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<no@here.test>\r\n");
    rig.say("RCPT TO:<u@here.test>\r\nDATA\r\n.\r\n");
    assert_eq!(rig.mails[0].envelope.sender.as_str(), "a@b.test");
    assert_eq!(recipients(&rig.mails[0]), ["u@here.test"]);
    assert!(rig.blamed.is_empty());
}

#[test]
fn a_message_whose_dot_was_seen_is_stored_though_its_client_left() {
    let interest = Interest::NONE.with(Event::MessageAccept, Stage::Before);
    let answer = at(Event::MessageAccept, vec![add("x@here.test"), add("y@here.test")]);
    let mut rig = Rig::new(settings(), interest, answer);
    rig.say(format!("EHLO a.test\r\n{MAIL}"));
    rig.session.handle_input(rig.now, b"A: b\r\n.\r\n");
    // Up to the first route.
    let mut routed = false;
    while !routed {
        match rig.session.poll_action().expect("a route is asked for") {
            stagepost_smtp::Action::Route(_) => routed = true,
            stagepost_smtp::Action::Body { .. } => rig.session.handle_body_taken(rig.now, Ok(())),
            stagepost_smtp::Action::Ask(ask) => {
                let verdict = crate::rig::Answers::verdict(&mut rig.answers, &ask);
                rig.session.handle_verdict(rig.now, verdict);
            }
            other => panic!("{other:?}"),
        }
    }
    rig.session.handle_hangup(rig.now);
    rig.session.handle_route(rig.now, stagepost_smtp::Route::Local);
    rig.turn();
    assert_eq!(recipients(&rig.mails[0]).len(), 4);
    assert!(rig.closed);
}

#[test]
fn tags_belong_to_the_transaction_and_go_with_it() {
    let tag = |name: &str| Edit::Tag { name: name.into() };
    let answers = move |ask: &Ask| match (ask.stage, &ask.question) {
        (Stage::Before, Question::Mail { .. }) => edits([tag("mail"), tag("mail")]),
        (Stage::Before, Question::Rcpt { recipient, .. }) => edits([tag(recipient.local())]),
        _ => Verdict::default(),
    };
    let mut rig = Rig::greeted(answers);
    // A recipient that is refused leaves no mark.
    rig.say("MAIL FROM:<s@b.test>\r\nRCPT TO:<u@here.test>\r\nRCPT TO:<nobody@there.test>\r\n");
    let tags = |rig: &Rig<_>| rig.session.facts().tags.join(" ");
    assert_eq!(tags(&rig), "mail u");
    rig.say("RSET\r\n");
    assert_eq!(tags(&rig), "");
    rig.say("MAIL FROM:<s@b.test>\r\nRCPT TO:<v@here.test>\r\nDATA\r\n");
    assert_eq!(tags(&rig), "mail v");
    rig.say("x\r\n.\r\n");
    assert_eq!(tags(&rig), "");
    let changes = rig.mails[0].edits.iter().flat_map(|edit| &edit.changes);
    let wanted = ["mail", "v"].map(|name| Change::Tag { name: name.into() });
    assert!(changes.eq(&wanted), "{:?}", rig.mails[0].edits);
}
