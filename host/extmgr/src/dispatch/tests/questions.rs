//! One question of each event, for the tests that look at all of them.
//! Knows nothing of what handlers answer.

use stagepost_smtp::{
    Attempt, Enhanced, EtrnNode, Mechanism, RecipientFate, RecipientResult, Telling,
};

use super::*;

/// The questions, in the order of the events.
pub(super) fn all() -> [Question; Event::ALL.len()] {
    let recipient = || Address::parse("a@b").unwrap();
    let questions = [
        Question::Connect,
        Question::Command { line: b"NOOP"[..].into() },
        Question::Ehlo { name: "x".into(), extended: true, keywords: "".into() },
        Question::StartTls,
        auth::question(Mechanism::Plain, None),
        Question::Mail { sender: ReversePath::Null, parameters: "".into() },
        Question::Rcpt { recipient: recipient(), parameters: "".into() },
        Question::Data { chunk: None },
        Question::Headers,
        Question::Body { octets: b"x"[..].into(), offset: 0, last: true },
        Question::MessageAccept { octets: 5 },
        Question::Etrn { node: EtrnNode::Host("x".into()) },
        Question::Atrn { domains: "x".into() },
        Question::Vrfy { verb: VrfyVerb::Vrfy, argument: "x".into() },
        Question::Rset,
        Question::Verb { verb: "XFOO".into(), argument: "".into() },
        Question::Quit,
        Question::Timeout { awaited: Awaited::Message },
        Question::Disconnect { reason: DisconnectReason::Quit },
        Question::Queue { id: "i".into(), octets: 5 },
        Question::Route { attempt: attempt(), next_hop: "mx".into() },
        Question::Deliver { attempt: attempt(), next_hop: "mx".into(), results: results() },
        Question::Bounce(Box::new(Telling {
            id: "i".into(),
            notification: "".into(),
            to: recipient(),
            results: results(),
        })),
        Question::Expire { attempt: attempt() },
    ];
    assert_eq!(questions.each_ref().map(Question::event), Event::ALL);
    questions
}

/// An attempt to deliver.
pub(super) fn attempt() -> Arc<Attempt> {
    let (id, destination) = ("i".into(), "x.test".into());
    Arc::new(Attempt { id, destination, attempts: 2, age_s: 90 })
}

/// What became of two recipients.
pub(super) fn results() -> Arc<[RecipientResult]> {
    let result = |name: &str, fate, status, reason: &str| RecipientResult {
        recipient: Address::parse(name).unwrap(),
        fate,
        status,
        reason: reason.into(),
    };
    [
        result("a@x.test", RecipientFate::Delivered, Enhanced::new(2, 1, 5), "kept"),
        result("b@x.test", RecipientFate::Failed, Enhanced::new(5, 1, 1), "hop: 550 no"),
    ]
    .into()
}

/// The stages of an event.
pub(super) fn stages(event: Event) -> &'static [Stage] {
    if event.has_after() { &[Stage::Before, Stage::After] } else { &[Stage::Before] }
}

/// What a handler registers with for all stages of an event.
pub(super) fn both(event: Event) -> u32 {
    abi::EM_REG_BEFORE | if event.has_after() { abi::EM_REG_AFTER } else { 0 }
}
