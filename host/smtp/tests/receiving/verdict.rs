//! Verdicts and edits: what reaches the facts, the store and the reply.

use std::sync::Arc;

use stagepost_smtp::{
    Ask, Attribute, Attributed, BodyKind, Class, Decision, Detail, Edit, Enhanced, EtrnNode, Event,
    Facts, Interest, Question, Reply, ReversePath, Stage, Verdict,
};

use crate::rig::{Rig, settings};

fn edit(edit: Edit) -> Verdict {
    let edits = vec![Attributed::new("p", edit)];
    Verdict { edits, ..Verdict::default() }
}

fn attribute(name: &str, value: &str) -> Edit {
    Edit::Attribute(Attribute { name: name.into(), value: value.into(), plugin: "p".into() })
}

fn header(name: &str) -> Edit {
    Edit::AddHeader { name: name.into(), value: b"v"[..].into() }
}

#[test]
fn edits_of_a_transaction_reach_the_store_in_order_and_only_its_own() {
    let mut rig = Rig::greeted(|ask: &Ask| {
        let before = ask.stage == Stage::Before;
        match &ask.question {
            Question::Ehlo { .. } => edit(header("At-Ehlo")),
            Question::Command { .. } => edit(header("At-Command")),
            Question::Mail { .. } if before => edit(header("At-Mail")),
            Question::Rcpt { recipient, .. } if before => {
                let mut verdict = edit(header(recipient.local()));
                if recipient.local() == "no" {
                    verdict.edits.push(Attributed::new("p", attribute("seen", "no")));
                    verdict.decision = Decision::Reject(Reply::new(550, None, "no"));
                }
                verdict
            }
            Question::Data { .. } if before => edit(Edit::Hold { reason: "look".into() }),
            Question::MessageAccept { .. } if before => edit(header("At-Accept")),
            Question::Headers | Question::Body { .. } => Verdict::default(),
            // After the fact nothing can be added.
            _ => edit(header("Late")),
        }
    });
    for _ in 0..2 {
        rig.say(
            "MAIL FROM:<a@b.test> BODY=8BITMIME SIZE=10\r\nRCPT TO:<no@here.test>\r\n\
             RCPT TO:<foreign@there.test>\r\nRCPT TO:<yes@here.test>\r\nDATA\r\n",
        );
        rig.say("A: b\r\n\r\nc\r\n.\r\n");
    }
    assert_eq!(rig.mails.len(), 2, "{}", rig.replies());
    for mail in &rig.mails {
        let names: Vec<_> = mail
            .edits
            .iter()
            .map(|edit| match &edit.edit {
                Edit::AddHeader { name, .. } => name.to_string(),
                other => format!("{other:?}"),
            })
            .collect();
        let hold = "Hold { reason: \"look\" }";
        assert_eq!(names, ["At-Mail", "yes", hold, "At-Accept"]);
        assert_eq!(mail.envelope.body, BodyKind::EightBitMime);
        assert_eq!(&*mail.envelope.parameters, "BODY=8BITMIME SIZE=10");
        assert_eq!((&mail.header[..], &mail.body[..]), (&b"A: b\r\n"[..], &b"\r\nc\r\n"[..]));
    }
    // What a plug-in said of the session stays, though the recipient was refused.
    assert_eq!(&*rig.session.facts().attribute("seen").unwrap().value, "no");
}

#[test]
fn a_recipient_named_again_adds_no_edits_but_its_attributes() {
    let mut named = 0;
    let mut rig = Rig::greeted(|ask: &Ask| match (ask.stage, &ask.question) {
        (Stage::Before, Question::Rcpt { .. }) => {
            named += 1;
            let mut verdict = edit(header(&format!("At-{named}")));
            let seen = attribute("seen", &named.to_string());
            verdict.edits.push(Attributed::new("p", seen));
            verdict
        }
        _ => Verdict::default(),
    });
    rig.say("MAIL FROM:<>\r\n");
    rig.say("RCPT TO:<u@here.test>\r\n".repeat(50));
    rig.say("DATA\r\n.\r\n");
    assert_eq!(rig.mails[0].edits, edit(header("At-1")).edits);
    assert_eq!(&*rig.session.facts().attribute("seen").unwrap().value, "50");
}

#[test]
fn the_text_that_plug_ins_add_to_a_transaction_is_bounded() {
    const KIB: usize = 1024;
    let large = |octets: usize| {
        edit(Edit::AddHeader { name: "X".into(), value: vec![b'x'; octets].into() })
    };
    // Octets added at MAIL, at the first and at the second recipient: what they are answered.
    let cases = [
        ([0, 0, 0], "250 250 250"),
        ([1024 * KIB - 3, 0, 0], "250 250 250"),
        ([1024 * KIB - 2, 0, 0], "250 250 452"),
        ([1024 * KIB - 1, 0, 0], "250 452 452"),
        ([1024 * KIB, 0, 0], "452 503 503"),
        ([0, 1024 * KIB, 0], "250 452 250"),
        ([500 * KIB, 500 * KIB, 500 * KIB], "250 250 452"),
        ([500 * KIB, 600 * KIB, 500 * KIB], "250 452 250"),
    ];
    for (octets, wanted) in cases {
        let mut rig = Rig::greeted(|ask: &Ask| match (ask.stage, &ask.question) {
            (Stage::Before, Question::Mail { .. }) => large(octets[0]),
            (Stage::Before, Question::Rcpt { recipient, .. }) if recipient.local() == "u" => {
                large(octets[1])
            }
            (Stage::Before, Question::Rcpt { .. }) => large(octets[2]),
            _ => Verdict::default(),
        });
        rig.say("MAIL FROM:<>\r\nRCPT TO:<u@here.test>\r\nRCPT TO:<v@here.test>\r\n");
        let replies = rig.replies();
        let codes: Vec<_> = replies.lines().map(|line| &line[..3]).collect();
        assert_eq!(codes.join(" "), wanted, "{octets:?}");
    }
}

#[test]
fn a_question_sees_the_session_as_it_is_then() {
    let mut seen: Vec<(Stage, Event, Facts)> = Vec::new();
    let mut rig = Rig::new(settings(), Interest::ALL, |ask: &Ask| {
        seen.push((ask.stage, ask.question.event(), (*ask.facts).clone()));
        match (ask.stage, ask.question.event()) {
            (Stage::Before, Event::Connect) => edit(attribute("from", "door")),
            (Stage::After, Event::Mail) => edit(attribute("from", "mail")),
            _ => Verdict::default(),
        }
    });
    rig.say("EHLO a.test\r\nMAIL FROM:<s@b.test>\r\nRCPT TO:<u@here.test>\r\nDATA\r\n");
    rig.say(".\r\nNOOP\r\n");
    rig.hang_up();
    drop(rig);
    let of = |stage, event| {
        let found = seen.iter().find(|(s, e, _)| (*s, *e) == (stage, event));
        &found.unwrap_or_else(|| panic!("{event:?} was not asked")).2
    };
    let from = |facts: &Facts| facts.attribute("from").map(|known| known.value.to_string());
    assert_eq!(from(of(Stage::Before, Event::Connect)), None);
    assert_eq!(from(of(Stage::After, Event::Connect)).as_deref(), Some("door"));
    assert_eq!(of(Stage::Before, Event::Ehlo).helo, None);
    assert_eq!(&*of(Stage::After, Event::Ehlo).helo.as_ref().unwrap().name, "a.test");
    assert_eq!(of(Stage::Before, Event::Mail).sender, None);
    let sender = of(Stage::After, Event::Mail).sender.as_ref().map(ReversePath::as_str);
    assert_eq!(sender, Some("s@b.test"));
    assert_eq!(of(Stage::Before, Event::Rcpt).recipients.len(), 0);
    assert_eq!(from(of(Stage::Before, Event::Rcpt)).as_deref(), Some("mail"));
    assert_eq!(of(Stage::After, Event::Rcpt).recipients.len(), 1);
    let accepted = of(Stage::After, Event::MessageAccept);
    assert_eq!((accepted.recipients.len(), accepted.sender.is_some()), (1, true));
    // The transaction is over: the next question knows nothing of it.
    let last = &seen.iter().rfind(|(_, event, _)| *event == Event::Command).unwrap().2;
    assert_eq!((last.recipients.len(), last.sender.is_some()), (0, false));
    assert_eq!(from(last).as_deref(), Some("mail"));
    assert!(seen.iter().all(|(_, _, facts)| facts.id == 7));
}

#[test]
fn the_facts_know_each_recipient_once_and_no_transaction_that_ended() {
    let mut rig = Rig::new(settings(), Interest::NONE, |_: &Ask| Verdict::default());
    rig.say("EHLO a.test\r\nMAIL FROM:<>\r\nRCPT TO:<u@here.test>\r\nRCPT TO:<u@here.test>\r\n");
    assert_eq!(rig.session.facts().recipients.len(), 1);
    for end in ["RSET\r\n", "EHLO b.test\r\n", "HELO b.test\r\n"] {
        rig.say("MAIL FROM:<>\r\nRCPT TO:<u@here.test>\r\n");
        assert!(rig.session.facts().sender.is_some());
        rig.say(end);
        let facts = rig.session.facts();
        assert!(facts.sender.is_none() && facts.recipients.is_empty(), "{end}");
    }
}

#[test]
fn questions_carry_what_was_received() {
    let mut questions: Vec<Question> = Vec::new();
    let mut rig = Rig::new(settings(), Interest::ALL, |ask: &Ask| {
        if ask.stage == Stage::Before {
            questions.push(ask.question.clone());
        }
        Verdict::default()
    });
    rig.say("ehlo A.test\r\nMAIL  FROM:<>\r\nMAIL FROM: <@r.test:\"x y\"@b.test>  SIZE=3 \r\n");
    rig.say("RCPT TO:<Postmaster>\r\nRSET\r\nETRN @n.test\r\nAUTH PLAIN c2VjcmV0\r\n");
    drop(rig);
    let lines: Vec<_> = questions
        .iter()
        .filter_map(|question| match question {
            Question::Command { line } => Some(String::from_utf8_lossy(line).into_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(lines[0], "ehlo A.test");
    assert_eq!(lines[2], "MAIL FROM: <@r.test:\"x y\"@b.test>  SIZE=3 ");
    assert_eq!(lines.last().unwrap(), "AUTH PLAIN *", "secrets are not shown");
    let keywords =
        "PIPELINING\n8BITMIME\nENHANCEDSTATUSCODES\nHELP\nSIZE 52428800\nLIMITS RCPTMAX=100\nETRN"
            .into();
    let name = "A.test".into();
    assert!(questions.contains(&Question::Ehlo { name, extended: true, keywords }));
    assert!(questions.contains(&Question::Etrn { node: EtrnNode::Domain("n.test".into()) }));
    let mail = questions.iter().find_map(|question| match question {
        Question::Mail { sender, parameters } => Some((sender.to_string(), parameters.clone())),
        _ => None,
    });
    assert_eq!(mail, Some(("<\"x y\"@b.test>".to_owned(), "SIZE=3".into())));
}

#[test]
fn after_questions_carry_the_reply_and_only_its_words_can_change() {
    let mut codes = Vec::new();
    let mut rig = Rig::greeted(|ask: &Ask| {
        if ask.stage == Stage::After {
            codes.push((ask.question.event(), ask.reply.as_ref().map(Reply::code)));
        }
        let mut verdict = edit(Edit::ReplyText("changed".into()));
        if ask.question.event() == Event::Rcpt {
            verdict = edit(Edit::ReplyText("not\rlawful".into()));
        }
        verdict
    });
    rig.say("MAIL FROM:<>\r\nRCPT TO:<u@there.test>\r\nNOOP\r\n");
    let wanted = "250 2.1.0 changed\r\n550 5.7.1 changed\r\n250 2.0.0 changed\r\n";
    assert_eq!(rig.replies(), wanted, "an unlawful text is dropped, the next one counts");
    drop(rig);
    assert!(codes.contains(&(Event::Rcpt, Some(550))), "{codes:?}");
}

#[test]
fn after_a_stage_a_code_changes_within_its_class() {
    let change = |class, code, mark: &str, text: Option<&str>| {
        let detail = Detail::of(class, code, Enhanced::parse(mark)).unwrap();
        edit(Edit::ReplyDetail { detail, text: text.map(Into::into) })
    };
    let mut rig = Rig::greeted(|ask: &Ask| match (ask.stage, &ask.question) {
        (Stage::After, Question::Mail { .. }) => change(Class::Positive, 251, "", None),
        (Stage::After, Question::Rcpt { .. }) => {
            change(Class::Permanent, 551, "5.1.6", Some("Moved"))
        }
        // What is of another class here keeps that of the reply: the type has nothing else.
        (Stage::After, Question::Data { .. }) => change(Class::Positive, 250, "", Some("Now go")),
        (Stage::After, Question::Quit) => change(Class::Positive, 250, "2.0.0", None),
        _ => Verdict::default(),
    });
    rig.say("MAIL FROM:<>\r\nRCPT TO:<u@there.test>\r\n");
    assert_eq!(rig.replies(), "251 2.1.0 Ok\r\n551 5.1.6 Moved\r\n");
    rig.say("RCPT TO:<u@here.test>\r\nDATA\r\n");
    assert_eq!(rig.replies(), "251 2.1.6 Moved\r\n354 Now go\r\n");
    rig.say("x\r\n.\r\nQUIT\r\n");
    assert!(rig.replies().contains("\r\n221 2.0.0 "), "221 is not another");
}

#[test]
fn what_the_last_handler_is_shown_is_what_is_sent() {
    let long = "x".repeat(600);
    for words in ["Hello", "Hello\nthere", "", "\nHello", "mx.here.test", "8BITMIME\nXFOO", &long] {
        // As a chain of handlers has it: each is shown the reply as the one before left it.
        let mut shown: Vec<Reply> = Vec::new();
        let mut rig = Rig::new(settings(), Interest::ALL, |ask: &Ask| {
            let Some(reply) = ask.reply.clone() else { return Verdict::default() };
            let mut reply = reply;
            let mut verdict = Verdict::default();
            for words in ["not\rlawful", "one", words, "not\u{e9} either"] {
                _ = reply.reword(words);
                let edit = Edit::ReplyText(words.into());
                verdict.edits.push(Attributed::new("p", edit));
            }
            if matches!(ask.question.event(), Event::Command | Event::Connect) {
                shown.push(reply);
            }
            verdict
        });
        rig.say("HELO a.test\r\nEHLO a.test\r\nMAIL FROM:<>\r\nRCPT TO:<u@there.test>\r\nNOOP\r\n");
        let sent = rig.replies();
        drop(rig);
        let mut wanted = Vec::new();
        for reply in &shown {
            reply.write(true, &mut wanted);
        }
        assert_eq!(sent, String::from_utf8(wanted).unwrap(), "{words:?}");
        assert_eq!(shown.len(), 6);
        let name = |reply: &Reply| reply.text().split([' ', '\n']).next() == Some("mx.here.test");
        assert!(shown[..3].iter().all(name), "{sent}");
        let keywords = "\nPIPELINING\n8BITMIME\nENHANCEDSTATUSCODES\nHELP\nSIZE 52428800\nLIMITS RCPTMAX=100\nETRN";
        assert!(shown[2].text().ends_with(keywords), "{sent}");
        // No words become a keyword, however long they are.
        assert_eq!(sent.lines().skip(2).take_while(|line| line.starts_with("250-")).count(), 7);
    }
}

#[test]
fn nobody_interested_nobody_asked() {
    let asked = |ask: &Ask| -> Verdict { panic!("{ask:?}") };
    let mut rig = Rig::new(settings(), Interest::NONE, asked);
    rig.say("EHLO a.test\r\nMAIL FROM:<>\r\nRCPT TO:<u@here.test>\r\nDATA\r\n");
    rig.say("x\r\n.\r\nQUIT\r\n");
    assert!(rig.closed && rig.mails.len() == 1);
    let only = Interest::NONE.with(Event::Rcpt, Stage::Before);
    let mut rig = Rig::new(settings(), only, |_: &Ask| Verdict::default());
    rig.say("EHLO a.test\r\nMAIL FROM:<>\r\nRCPT TO:<u@here.test>\r\nQUIT\r\n");
    assert_eq!(rig.asked, [(Stage::Before, Event::Rcpt)]);
}

#[test]
fn a_grant_given_at_the_door_opens_every_destination() {
    let mut rig = Rig::greeted(|_: &Ask| Verdict::default());
    rig.say("MAIL FROM:<>\r\nRCPT TO:<u@there.test>\r\n");
    assert!(rig.replies().contains("550 5.7.1"));
    let mut rig = Rig::new(settings(), Interest::ALL, |ask: &Ask| match ask.question {
        Question::Connect => edit(attribute(Facts::RELAY_GRANTED, "1")),
        _ => Verdict::default(),
    });
    rig.say("EHLO a.test\r\nMAIL FROM:<>\r\nRCPT TO:<u@there.test>\r\n");
    assert!(rig.replies().ends_with("250 2.1.5 Ok\r\n"));
    let facts = Arc::clone(rig.session.facts());
    assert!(facts.relay_granted());
}
