//! Timers: they wake pending calls in their time, and threads that may block wait for them.
//! Uses the rig of the tests above it.

use super::pending::{Hand, leak, look, take_with};
use super::*;

fn timers() -> &'static abi::EmTimersService {
    service(abi::EM_TIMERS_ID)
}

fn wake_after(host: &'static Host, token: u64, milliseconds: u32) -> abi::STATUS {
    // SAFETY: the handle is a live host's.
    unsafe { (timers().wake_after)(host.handle(), token, milliseconds) }
}

#[tokio::test(start_paused = true)]
async fn timers_wake_a_call_each_in_its_time() {
    let mut rig = Rig::default();
    rig.plugin_with("p", Run::Inline, |config, _| {
        config.contracts = FaultContracts::everywhere(contract(5_000, OnFault::Continue));
    });
    let hand = Hand::of(&rig);
    let host = rig.host();
    let begun = tokio::time::Instant::now();
    let rung = Arc::new(Mutex::new(Vec::new()));
    let noted = rung.clone();
    let data = leak(move |_, reason| {
        noted.lock().unwrap().push((begun.elapsed().as_millis(), reason));
        abi::EM_PENDING
    });
    rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
        let token = take_with(hand.table(), record, Some(look), data.data()).unwrap();
        // One would ring after any end that the call may have, so it is none.
        for milliseconds in [3000, 1000, 1000, 10_000] {
            assert_eq!(wake_after(host, token, milliseconds), abi::NOERROR);
        }
        assert_eq!(wake_after(host, token + (1 << 40), 1), abi::ERR_NOT_FOUND);
        abi::EM_PENDING
    });
    answered(rig.dispatch().ask(mail())).await;
    let (woken, over) = (abi::EM_POLL_WOKEN, abi::EM_POLL_OVER);
    let wanted = [(1000, woken), (3000, woken), (5000, over)];
    // The clock of the runtime goes by milliseconds, and a timer never rings sooner.
    let found: Vec<_> = rung.lock().unwrap().iter().map(|(at, why)| (at / 10 * 10, *why)).collect();
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn timers_of_a_call_are_bounded_and_need_a_poll() {
    let mut rig = Rig::default();
    rig.plugin("p", Run::Inline);
    let hand = Hand::of(&rig);
    let host = rig.host();
    let data = leak(|_, _| abi::EM_FAULT);
    rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
        let token = take_with(hand.table(), record, Some(look), data.data()).unwrap();
        let refused = (0..65).map(|_| wake_after(host, token, 1000));
        assert_eq!(refused.filter(|status| *status == abi::EM_ERR_LIMIT).count(), 1);
        hand.complete(token, abi::ERR_EM_CONTINUE);
        assert_eq!(wake_after(host, token, 1), abi::EM_ERR_OVER);
        abi::EM_PENDING
    });
    rig.on(abi::EM_SMTPMESSAGEACCEPT, abi::EM_REG_BEFORE, move |record| {
        let token = take_with(hand.table(), record, None, std::ptr::null_mut()).unwrap();
        assert_eq!(wake_after(host, token, 1), abi::EM_ERR_STAGE);
        hand.complete(token, abi::ERR_EM_CONTINUE);
        abi::EM_PENDING
    });
    let dispatch = rig.dispatch();
    assert_eq!(now(dispatch.ask(mail())).decision, Decision::Continue);
    assert_eq!(now(dispatch.ask(accept())).decision, Decision::Continue);
    assert_eq!(host.state().faults, 0);
}

#[tokio::test]
async fn only_threads_that_may_block_wait_and_not_past_the_deadline() {
    for (run, wanted) in
        [(Run::Inline, [abi::EM_ERR_STAGE; 2]), (Run::Pool, [abi::NOERROR, abi::EM_ERR_OVER])]
    {
        let mut rig = Rig::default();
        rig.plugin_with("p", run, |config, _| {
            config.contracts.at_mut(Event::MessageAccept).deadline = Duration::from_millis(20);
        });
        let (said, heard) = std::sync::mpsc::channel();
        for event in [abi::EM_SMTPMAIL, abi::EM_SMTPMESSAGEACCEPT] {
            let said = said.clone();
            rig.on(event, abi::EM_REG_BEFORE, move |record| {
                let milliseconds = if event == abi::EM_SMTPMAIL { 10 } else { 60_000 };
                let clock = std::time::Instant::now();
                // SAFETY: the sheet is this call's.
                let status = unsafe { (timers().wait)(sheet(record), milliseconds) };
                said.send((status, clock.elapsed())).unwrap();
                abi::ERR_EM_CONTINUE
            });
        }
        // SAFETY: NULL for a sheet is what is tried.
        let status = unsafe { (timers().wait)(std::ptr::null_mut(), 1) };
        assert_eq!(status, abi::ERR_MISC_INVALID_ARGS);
        let directory = rig.directory();
        for (question, wanted) in [mail(), accept()].into_iter().zip(wanted) {
            answered(Dispatch::new(directory.current()).ask(question)).await;
            let waited = heard.recv_timeout(Duration::from_secs(20));
            let (status, time) = waited.unwrap();
            assert_eq!(status, wanted);
            assert!(wanted != abi::NOERROR || time >= Duration::from_millis(10), "{time:?}");
        }
    }
}
