//! Calls as those who watch see them. Each test has a session of its own, since all watch in one process.

use super::*;
use crate::trace::{Trace, TraceFilter, Traced, TracedCall};

fn of_session(id: u64, ask: Ask) -> Ask {
    let mut facts = (*ask.facts).clone();
    facts.id = id;
    Ask { facts: Arc::new(facts), ..ask }
}

fn watch(session: u64, plugin: Option<&str>) -> Trace {
    let filter = TraceFilter { session: Some(session), plugin: plugin.map(str::to_owned) };
    Trace::begin(filter).unwrap()
}

async fn call(trace: &mut Trace) -> Arc<TracedCall> {
    match trace.next().await {
        Traced::Call(call) => call,
        Traced::Lost(lost) => panic!("{lost} were lost"),
    }
}

#[tokio::test]
async fn a_watcher_sees_arguments_answer_edits_and_time_of_its_own_calls() {
    for (session, run) in [(301, Run::Inline), (302, Run::Pool)] {
        let mut rig = Rig::default();
        let edits: &abi::EmEditsService = service(abi::EM_EDITS_ID);
        rig.plugin("one", run).on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
            // SAFETY: the sheet is this call's.
            unsafe {
                (edits.attribute)(sheet(record), lend("a"), lend("b"));
                (edits.hold)(sheet(record), lend("why"));
            }
            abi::ERR_EM_CONTINUE
        });
        rig.plugin("two", run).on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, |record| {
            give(record, abi::EM_VERDICT_REJECT, 550);
            abi::EM_VERDICT
        });
        let both = abi::EM_REG_BEFORE | abi::EM_REG_AFTER;
        rig.plugin("three", run).on(abi::EM_SMTPMAIL, both, |_| abi::EM_FAULT);
        let dispatch = rig.dispatch();
        let (mut all, mut second) = (watch(session, None), watch(session, Some("two")));
        answered(dispatch.ask(of_session(session, mail()))).await;
        answered(dispatch.ask(of_session(9_999, mail()))).await;
        let after = Ask { stage: Stage::After, reply: Some(Reply::new(250, None, "Ok")), ..mail() };
        answered(dispatch.ask(of_session(session, after))).await;

        let one = call(&mut all).await;
        assert_eq!((one.session, &*one.plugin, one.answer), (Some(session), "one", "hold"));
        assert_eq!((one.event, one.stage), ("mail", Stage::Before));
        assert_eq!(one.edits, ["attribute a = \"b\"", "hold \"why\""]);
        assert!(one.took.is_some());
        let two = call(&mut all).await;
        assert_eq!((&*two.plugin, two.answer), ("two", "reject"));
        assert_eq!(two.words.as_deref(), Some("550 words"));
        assert_eq!(call(&mut second).await, two);
        let three = call(&mut all).await;
        assert_eq!((three.answer, three.stage), ("fault", Stage::After));
        assert_eq!(three.arguments, [("reply", "250 Ok".to_owned())]);
        assert_eq!(three.words.as_deref(), Some("failed: the handler returned EM_FAULT"));
    }
}

#[tokio::test]
async fn a_slow_reader_is_told_how_many_it_lost() {
    let session = 303;
    let mut rig = Rig::default();
    rig.plugin("p", Run::Inline).on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, |_| abi::ERR_EM_CONTINUE);
    let dispatch = rig.dispatch();
    let mut trace = watch(session, None);
    let make = |calls: usize| {
        for _ in 0..calls {
            now(dispatch.ask(of_session(session, mail())));
        }
    };
    make(1034);
    for _ in 0..1024 {
        call(&mut trace).await;
    }
    assert_eq!(trace.next().await, Traced::Lost(10), "nothing comes behind them");
    make(1024 + 5);
    call(&mut trace).await;
    make(3);
    for _ in 0..1023 {
        call(&mut trace).await;
    }
    assert_eq!(trace.next().await, Traced::Lost(5), "they are told where they were lost");
    call(&mut trace).await;
    assert_eq!(trace.next().await, Traced::Lost(2));
}

#[tokio::test]
async fn no_password_is_shown() {
    let session = 304;
    let mut rig = Rig::default();
    rig.plugin("p", Run::Inline);
    for event in [abi::EM_SMTPAUTH, abi::EM_SMTPCOMMAND] {
        rig.on(event, abi::EM_REG_BEFORE, |_| abi::ERR_EM_CONTINUE);
    }
    let dispatch = rig.dispatch();
    let mut trace = watch(session, None);
    let secret = auth::plain().secret;
    let line = ask(Question::Command { line: b"AUTH PLAIN *"[..].into() }, Stage::Before, None);
    now(dispatch.ask(of_session(session, Ask { secret, ..line })));
    now(dispatch.ask(of_session(session, auth::plain())));
    let (command, login) = (call(&mut trace).await, call(&mut trace).await);
    assert_eq!(command.arguments, [("line", "AUTH PLAIN *".to_owned())]);
    let wanted = [("mechanism", "PLAIN"), ("identity", "alice"), ("authorization", "boss")];
    assert_eq!(login.arguments, wanted.map(|(name, text)| (name, text.to_owned())));
}
