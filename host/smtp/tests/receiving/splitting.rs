//! Verdicts for single recipients: whose counts, and what is left of the message.

use stagepost_smtp::{Ask, Attributed, Change, Claims, Edit, Event, Reply, Stage, Verdict};

use crate::rig::{Mail, Rig, settings_with_all};
use stagepost_smtp::Interest;

fn refuse(path: &str, code: u16) -> Edit {
    Edit::refuse_recipient(path, Reply::new(code, None, format!("{code} for {path}")))
        .expect("a path")
}

fn remove(path: &str) -> Edit {
    Edit::remove_recipient(path).expect("a path")
}

fn replace(old: &str, new: &str) -> Edit {
    Edit::replace_recipient(Some(old), new, "", Claims::none()).expect("paths")
}

/// What a client with three recipients is told behind the dot, and what was stored.
fn told(parameters: &str, edits: Vec<(&'static str, Edit)>) -> (Vec<String>, Vec<Mail>) {
    let mut rig = Rig::new(settings_with_all(), Interest::ALL, move |ask: &Ask| {
        let here = (ask.stage, ask.question.event()) == (Stage::Before, Event::MessageAccept);
        let edits = if here { edits.clone() } else { Vec::new() };
        let by = |(plugin, edit)| Attributed::new(plugin, edit);
        Verdict { edits: edits.into_iter().map(by).collect(), ..Verdict::default() }
    });
    rig.say(format!("EHLO a.test\r\nMAIL FROM:<>{parameters}\r\n"));
    for name in ["u", "v", "w"] {
        rig.say(format!("RCPT TO:<{name}@here.test>\r\n"));
    }
    rig.say("DATA\r\n");
    rig.output.clear();
    rig.say("A: b\r\n.\r\n");
    let codes = rig.replies().lines().map(|line| line[..3].to_owned()).collect();
    (codes, std::mem::take(&mut rig.mails))
}

#[test]
fn the_strictest_verdict_for_a_recipient_counts() {
    let cases = [
        (vec![("p", refuse("v@here.test", 450)), ("q", refuse("v@HERE.test", 550))], "550"),
        (vec![("p", refuse("v@here.test", 551)), ("q", refuse("v@here.test", 550))], "551"),
        (vec![("p", refuse("v@here.test", 550)), ("q", refuse("v@here.test", 450))], "550"),
        (vec![("p", refuse("v@here.test", 450)), ("q", refuse("v@here.test", 451))], "450"),
    ];
    for (edits, code) in cases {
        let (codes, mails) = told(" PRDR", edits.clone());
        assert_eq!(codes, ["353", "250", code, "250", "250"], "{edits:?}");
        assert_eq!(mails[0].envelope.recipients.len(), 2);
        assert_eq!(told("", edits).0, [code]);
    }
    // For all of them for good, if for one.
    let edits = vec![("p", refuse("u@here.test", 450)), ("q", refuse("w@here.test", 550))];
    assert_eq!(told("", edits.clone()).0, ["550"]);
    assert_eq!(told(" PRDR", edits).0, ["353", "450", "250", "550", "250"]);
    // Everybody, each in another way.
    let edits = ["u", "v", "w"].into_iter().zip([450, 550, 550]);
    let edits = edits.map(|(name, code)| ("p", refuse(&format!("{name}@here.test"), code)));
    let (codes, mails) = told(" PRDR", edits.collect());
    assert_eq!(codes, ["353", "450", "550", "550", "550"]);
    assert!(mails.is_empty());
}

#[test]
fn replies_follow_the_recipients_that_were_named() {
    // The verdict is for who is there now; the client knows who was there first.
    let edits = vec![
        ("p", replace("v@here.test", "x@here.test")),
        ("p", remove("w@here.test")),
        ("q", refuse("x@here.test", 550)),
    ];
    let (codes, mails) = told(" PRDR", edits);
    assert_eq!(codes, ["353", "250", "550", "250", "250"]);
    let left: Vec<_> = mails[0].envelope.recipients.iter().map(|r| r.address.as_str()).collect();
    assert_eq!(left, ["u@here.test"]);
    // The ledger names who refused.
    let refused = mails[0].edits.last().expect("the removal");
    assert_eq!(&*refused.plugin, "q");
    assert!(matches!(&refused.changes[..], [Change::RecipientRemoved { .. }]), "{refused:?}");
}

#[test]
fn who_was_discarded_and_refused_was_refused() {
    let edits = vec![("p", Edit::Discard), ("q", refuse("v@here.test", 550))];
    assert_eq!(told("", edits.clone()).0, ["550"]);
    let (codes, mails) = told(" PRDR", edits);
    assert_eq!(codes, ["353", "250", "550", "250", "250"]);
    assert!(mails.is_empty());
}
