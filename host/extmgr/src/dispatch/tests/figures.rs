//! What calls leave in the figures: each answer and each fault once, whichever way the call was made.

use super::*;
use crate::figures::{AnswerKind, FaultKind, StageFigures};

/// The counts that are not zero, by their names.
fn counts(figures: &StageFigures) -> Vec<(&'static str, u64)> {
    let answers = AnswerKind::ALL.into_iter().map(AnswerKind::name).zip(figures.answers);
    let faults = FaultKind::ALL.into_iter().map(FaultKind::name).zip(figures.faults);
    answers.chain(faults).filter(|(_, count)| *count > 0).collect()
}

#[tokio::test]
async fn every_call_is_counted_once_as_what_it_came_to() {
    for run in [Run::Inline, Run::Pool] {
        let mut rig = Rig::default();
        let turn = Arc::new(AtomicUsize::new(0));
        rig.plugin("p", run).on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
            let edits: &abi::EmEditsService = service(abi::EM_EDITS_ID);
            let (done, status) = match turn.fetch_add(1, Ordering::SeqCst) {
                0 => (give(record, abi::EM_VERDICT_REJECT, 550), abi::EM_VERDICT),
                1 => (give(record, abi::EM_VERDICT_DEFER, 450), abi::EM_VERDICT),
                2 => (give(record, abi::EM_VERDICT_DISCONNECT, 421), abi::EM_VERDICT),
                // SAFETY: the sheet is this call's.
                3 => (unsafe { (edits.hold)(sheet(record), lend("why")) }, abi::ERR_EM_CONTINUE),
                // SAFETY: as above.
                4 => (unsafe { (edits.discard)(sheet(record)) }, abi::ERR_EM_CONTINUE),
                5 => (abi::NOERROR, abi::EM_FAULT),
                6 => (abi::NOERROR, 0x7777),
                _ => (abi::NOERROR, abi::ERR_EM_CONTINUE),
            };
            assert_eq!(done, abi::NOERROR);
            status
        });
        let dispatch = rig.dispatch();
        for _ in 0..9 {
            answered(dispatch.ask(mail())).await;
        }
        let figures = rig.host().figures();
        let [stage] = &figures.stages[..] else { panic!("{figures:?}") };
        assert_eq!((stage.event, stage.stage), (Event::Mail, Stage::Before));
        let wanted = [
            ("continue", 2),
            ("reject", 1),
            ("defer", 1),
            ("disconnect", 1),
            ("hold", 1),
            ("discard", 1),
            ("bad-verdict", 1),
            ("failure", 1),
        ];
        assert_eq!(counts(stage), wanted, "{run:?}");
        assert_eq!((stage.calls(), stage.faults()), (9, 2));
        if run == Run::Pool {
            assert_eq!(stage.latency.count(), 9, "calls on the pool are all timed");
        }
    }
}

#[tokio::test]
async fn a_late_call_is_counted_as_an_overrun_with_its_deadline() {
    let mut rig = Rig::default();
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let held = gate.clone();
    rig.plugin_with("p", Run::Pool, |config, _| {
        config.contracts = FaultContracts::everywhere(contract(5, OnFault::Defer));
    });
    rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |_| {
        let (open, changed) = &*held;
        let open = open.lock().unwrap();
        drop(changed.wait_while(open, |open| !*open).unwrap());
        abi::ERR_EM_CONTINUE
    });
    answered(rig.dispatch().ask(mail())).await;
    let (open, changed) = &*gate;
    *open.lock().unwrap() = true;
    changed.notify_all();
    let figures = rig.host().figures();
    assert_eq!(counts(&figures.stages[0]), [("overrun", 1)]);
    assert!(figures.stages[0].latency.quantile(1.0).unwrap() >= Duration::from_millis(5));
}
