//! What others keep for a message: from when to when there is a place for it, and that each message has its own.

use std::sync::atomic::{AtomicUsize, Ordering};

use stagepost_smtp::{Ask, Decision, Event, Interest, Question, Reply, Stage, Verdict};

use crate::rig::{Fine, Rig, settings, settings_with_all};

/// Writes down at which events there is a place, and which one; refuses a sender.
fn noted(seen: &mut Vec<String>, places: &AtomicUsize, ask: &Ask) -> Verdict {
    let number = || places.fetch_add(1, Ordering::Relaxed) + 1;
    let place = ask.facts.slots.as_ref().and_then(|slots| slots.get_or_make(number).copied());
    if let Some(place) = place {
        let stage = if ask.stage == Stage::Before { '<' } else { '>' };
        seen.push(format!("{place}{stage}{}", ask.question.event().name()));
    }
    match &ask.question {
        Question::Mail { sender, .. } if sender.as_str() == "no@a.test" => {
            let decision = Decision::Reject(Reply::new(550, None, "no"));
            Verdict { decision, ..Verdict::default() }
        }
        _ => Verdict::default(),
    }
}

#[test]
fn every_message_has_a_place_of_its_own_until_its_last_reply() {
    const MAIL: &str = "MAIL FROM:<>\r\nRCPT TO:<u@here.test>\r\n";
    const ENVELOPE: &str = "1<mail 1>mail 1>command 1<command 1<rcpt 1>rcpt 1>command 1<command";
    let message = format!(
        "{ENVELOPE} 1<data 1>data 1>command 1<headers 1<body 1<message-accept 1>message-accept"
    );
    let chunk = format!(
        "{ENVELOPE} 1<data 1<headers 1<body 1<message-accept 1>message-accept 1>data 1>command"
    );
    let cases = [
        (format!("NOOP\r\n{MAIL}DATA\r\nx\r\n.\r\nNOOP\r\n"), message),
        (
            format!("{MAIL}BDAT 4 LAST\r\nA:b\nNOOP\r\n"),
            format!("{ENVELOPE} 1<data 1>message-accept 1>data 1>command"),
        ),
        (format!("{MAIL}BDAT 5 LAST\r\nA:b\r\nNOOP\r\n"), chunk),
        (format!("{MAIL}RSET\r\nNOOP\r\n"), format!("{ENVELOPE} 1<rset")),
        (format!("{MAIL}EHLO b\r\nNOOP\r\n"), format!("{ENVELOPE} 1<ehlo")),
        (
            "MAIL FROM:<no@a.test>\r\nNOOP\r\nMAIL FROM:<>\r\nRSET\r\n".to_owned(),
            "1<mail 1>mail 1>command 2<mail 2>mail 2>command 2<command 2<rset".to_owned(),
        ),
        ("MAIL FROM:<a@b>X\r\nMAIL FROM:\r\nNOOP\r\n".to_owned(), String::new()),
    ];
    for (said, wanted) in cases {
        let (mut seen, places) = (Vec::new(), AtomicUsize::new(0));
        let mut rig = Rig::new(settings_with_all(), Interest::ALL, |ask: &Ask| {
            noted(&mut seen, &places, ask)
        });
        rig.say("EHLO a.test\r\n");
        rig.say(&said);
        assert!(rig.session.facts().slots.is_none(), "{said:?}");
        drop(rig);
        assert_eq!(seen.join(" "), wanted, "{said:?}");
    }
}

#[test]
fn where_nobody_listens_nothing_is_kept() {
    for (interest, kept) in
        [(Interest::NONE, false), (Interest::NONE.with(Event::Rcpt, Stage::Before), true)]
    {
        let mut rig = Rig::new(settings(), interest, Fine);
        rig.say("EHLO a.test\r\nMAIL FROM:<>\r\n");
        assert_eq!(rig.session.facts().slots.is_some(), kept);
    }
}
