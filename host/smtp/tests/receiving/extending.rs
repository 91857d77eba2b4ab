//! What plug-ins add to the protocol: parameters as they are shown, keywords beyond what a reply has room for.

use std::sync::Arc;

use stagepost_smtp::{
    Ask, Attributed, Claim, Claims, Decision, Edit, Event, Question, Reply, Stage, Verdict,
};

use crate::rig::{Answers, Rig};

fn claiming<A: Answers>(answers: A) -> Rig<A> {
    let mut rig = Rig::greeted(answers);
    let claims = [
        Claim::mail_parameter("XTAG"),
        Claim::mail_parameter("X-FLAG"),
        Claim::rcpt_parameter("XNOTE"),
        Claim::verb("XVERB"),
    ];
    let claims = Claims::new(claims.map(|claim| claim.expect("a claim")));
    rig.session = rig.session.with_claims(Arc::new(claims));
    rig
}

#[test]
fn parameters_are_shown_and_kept_as_received() {
    let mut shown = Vec::new();
    let mut rig = claiming(|ask: &Ask| {
        match (&ask.question, ask.stage) {
            (
                Question::Mail { parameters, .. } | Question::Rcpt { parameters, .. },
                Stage::Before,
            ) => shown.push(parameters.to_string()),
            (Question::Verb { verb, argument }, Stage::Before) => {
                shown.push(format!("{verb} [{argument}]"));
            }
            _ => {}
        }
        Verdict::default()
    });
    // Odd case, xtext (RFC 3461 section 4), marks that are no letters, more than one space.
    let (mail, rcpt) = ("xTaG=a+3Db;+2B!\"%  siZe=3 X-fLAG", "xnote=<>,");
    rig.say(format!("MAIL FROM:<a@b.test>  {mail} \r\nRCPT TO:<u@here.test> {rcpt}\r\n"));
    rig.say("xVerb  a  =b \r\nXVERB\r\nDATA\r\n");
    rig.say("x\r\n.\r\n");
    let envelope = rig.mails.pop().expect("a message").envelope;
    assert_eq!((&*envelope.parameters, &*envelope.recipients[0].parameters), (mail, rcpt));
    drop(rig);
    assert_eq!(shown, [mail, rcpt, "XVERB [ a  =b]", "XVERB []"]);
}

#[test]
fn parameters_that_are_none_reach_no_stage_of_their_own() {
    let cases: [(&[u8], &str); 5] = [
        (b"MAIL FROM:<> XTAG=1 xtag=2\r\n", "501 5.5.4"),
        (b"MAIL FROM:<> XTAG=\r\n", "501 5.5.4"),
        (b"MAIL FROM:<> XTAG=a=b\r\n", "501 5.5.4"),
        (b"MAIL FROM:<> XNOTE=1\r\n", "555 5.5.4"),
        // No line at all: nobody is shown it.
        (b"MAIL FROM:<> XTAG=\xC3\xA4\r\n", "500 5.5.2"),
    ];
    for (line, code) in cases {
        let mut rig = claiming(|_: &Ask| Verdict::default());
        rig.say(line);
        let replies = rig.replies();
        assert!(replies.starts_with(code), "{replies}");
        assert!(!rig.asked.iter().any(|(_, event)| *event == Event::Mail), "{replies}");
        let seen = rig.asked.iter().any(|(_, event)| *event == Event::Command);
        assert_eq!(seen, !code.starts_with("500"), "{replies}");
    }
}

#[test]
fn more_keywords_than_one_reply_takes_are_the_fault_of_whoever_added_the_first() {
    let mut many = 0;
    let mut rig = Rig::greeted(|ask: &Ask| {
        let mut verdict = Verdict::default();
        if let (Question::Ehlo { .. }, Stage::Before) = (&ask.question, ask.stage) {
            let add = |number| Edit::AddKeyword {
                keyword: format!("X{number}").into(),
                parameters: "".into(),
            };
            let by = |number| if number < 56 { "p" } else { "q" };
            verdict.edits = (0..many).map(|n| Attributed::new(by(n), add(n))).collect();
            verdict.edits.push(Attributed::new("p", Edit::RemoveKeyword("HELP".into())));
            many += 56;
        }
        verdict
    });
    // Seven are the core's own, so there is room for 56; then there are more.
    rig.say("EHLO one.test\r\n");
    assert_eq!(rig.replies().lines().filter(|line| line[4..].starts_with('X')).count(), 56);
    assert!(rig.blamed.is_empty(), "{:?}", rig.blamed);
    rig.say("EHLO two.test\r\n");
    assert_eq!(rig.replies(), "451 Temporary trouble, try again later\r\n");
    assert_eq!(rig.blamed, ["q: bad edit: there is no room for the EHLO keyword X56"]);
    // The session is as before: its name, and what it was offered.
    assert_eq!(&*rig.session.facts().helo.as_ref().expect("a name").name, "one.test");
    rig.say("HELP\r\n");
    assert!(rig.replies().starts_with("502 5.5.1 "));
}

#[test]
fn a_refused_ehlo_edits_nothing() {
    let mut rig = Rig::greeted(|ask: &Ask| match (&ask.question, ask.stage) {
        (Question::Ehlo { .. }, Stage::Before) => Verdict {
            decision: Decision::Reject(Reply::new(550, None, "no")),
            edits: vec![Attributed::new("p", Edit::RemoveKeyword("HELP".into()))],
        },
        _ => Verdict::default(),
    });
    rig.say("EHLO a.test\r\nHELP\r\n");
    assert!(rig.replies().contains("214 2.0.0"));
}
