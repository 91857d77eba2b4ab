//! Command lines that plug-ins rewrite: what is kept of them, what is seen of them, and whose fault they are.

use stagepost_smtp::{Ask, Attributed, Change, Decision, Edit, Event, Question, Stage, Verdict};

use crate::rig::Rig;

/// Puts another line in the place of one, as plug-in `p`.
fn rewrite<'a>(from: &'a str, to: &'a str) -> impl Fn(&Ask) -> Verdict + 'a {
    move |ask: &Ask| match (&ask.question, ask.stage) {
        (Question::Command { line }, Stage::Before) if **line == *from.as_bytes() => {
            let edit = Edit::ReplaceCommand(to.into());
            let edits = vec![Attributed::new("p", edit)];
            Verdict { decision: Decision::Continue, edits }
        }
        _ => Verdict::default(),
    }
}

#[test]
fn what_was_rewritten_is_kept_with_the_message() {
    let (from, to) = ("RCPT TO:<u+tag@here.test>", "RCPT TO:<u@here.test>");
    let answer = rewrite(from, to);
    let mut shown = Vec::new();
    let mut rig = Rig::greeted(|ask: &Ask| {
        if let (Question::Command { line }, Stage::After) = (&ask.question, ask.stage) {
            shown.push(String::from_utf8_lossy(line).into_owned());
        }
        if let (Question::Rcpt { .. }, Stage::Before) = (&ask.question, ask.stage) {
            let edit = Edit::Hold { reason: "later".into() };
            let edits = vec![Attributed::new("q", edit)];
            return Verdict { edits, ..Verdict::default() };
        }
        answer(ask)
    });
    rig.say("MAIL FROM:<>\r\nRCPT TO:<u+tag@here.test>\r\nDATA\r\n");
    rig.say("x\r\n.\r\n");
    let mail = rig.mails.pop().expect("a message");
    assert_eq!(mail.envelope.recipients[0].address.as_str(), "u@here.test");
    let ledger = mail.edits.into_iter().flat_map(Attributed::into_ledger);
    let ledger: Vec<_> = ledger.map(|entry| (entry.plugin.to_string(), entry.change)).collect();
    let replaced = Change::Command { from: from.into(), to: to.into() };
    let held = Change::Hold { reason: "later".into() };
    assert_eq!(ledger, [("p".to_owned(), replaced), ("q".to_owned(), held)]);
    drop(rig);
    assert_eq!(shown[1..4], ["MAIL FROM:<>", to, "DATA"]);
}

#[test]
fn a_line_that_can_not_be_is_the_fault_of_whoever_wrote_it() {
    let long = format!("NOOP {}", "x".repeat(3000));
    let cases = [
        ("DATA", "NOOP", "p: bad edit: DATA frames what follows it"),
        ("NOOP", "STARTTLS", "p: bad edit: STARTTLS frames what follows it"),
        ("RSET", "NOOP", "p: bad edit: RSET must stay RSET, it can't become \"NOOP\""),
        (
            "NOOP",
            &long,
            "p: bad edit: a command line has at most 2048 octets with its CRLF, not 3007",
        ),
    ];
    for (from, to, fault) in cases {
        let mut rig = Rig::greeted(rewrite(from, to));
        rig.say(format!("{from}\r\n"));
        assert!(rig.replies().starts_with("451 4.3.0 "));
        assert!(rig.blamed[0].starts_with(fault), "{:?}", rig.blamed);
        let asked = [(Stage::Before, Event::Command), (Stage::After, Event::Command)];
        assert_eq!(rig.asked, asked, "{from}");
    }
}
