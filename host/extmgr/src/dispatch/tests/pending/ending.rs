//! Pending calls that nobody waits for any more: late ones, hung-up ones, given-up ones, and what is told of it.
//! Uses the hands and looks of the tests above it.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_late_call_keeps_what_it_was_lent_and_its_turn_until_it_is_completed() {
    for run in [Run::Inline, Run::Pool] {
        let mut rig = Rig::default();
        rig.plugin_with("p", run, |config, _| {
            config.contracts = FaultContracts::everywhere(contract(5_000, OnFault::Continue));
        });
        let hand = Hand::of(&rig);
        let (kept, call) = mpsc::channel();
        rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
            let token = take(hand.table, record).unwrap();
            kept.send((token, std::ptr::from_ref(record) as usize)).unwrap();
            abi::EM_PENDING
        });
        let (over, ended) = mpsc::channel();
        rig.on(abi::EM_SMTPDISCONNECT, abi::EM_REG_BEFORE, move |_| {
            over.send(()).unwrap();
            abi::ERR_EM_CONTINUE
        });
        let dispatch = rig.dispatch();
        let begun = tokio::time::Instant::now();
        assert_eq!(answered(dispatch.ask(mail())).await.decision, Decision::Continue);
        assert_eq!((begun.elapsed().as_secs(), faults(&rig)), (5, 1));
        answered(dispatch.ask(mail())).await;
        assert_eq!(faults(&rig), 2, "busy");
        assert_eq!(answered(dispatch.ask(disconnect())).await.decision, Decision::Continue);
        drop(dispatch);
        assert!(ended.try_recv().is_err(), "it is owed");
        let (token, record) = hear(&call);
        // SAFETY: valid until the call is completed, past its session.
        let record = unsafe { &*(record as *const abi::EMRECORD) };
        assert_eq!(give(record, abi::EM_VERDICT_REJECT, 550), 0);
        let sessions: &abi::EmSessionService = service(abi::EM_SESSION_ID);
        let mut id = 0;
        // SAFETY: the session is that of the pending call.
        let known = unsafe { (sessions.number)(session(record), abi::EM_FACT_ID, &raw mut id) };
        assert_eq!((known, id), (0, 7));
        assert_eq!(hand.extend(token, 1), abi::EM_ERR_OVER);
        assert_eq!(hand.complete(token, abi::EM_VERDICT), abi::EM_ERR_OVER);
        let waited = tokio::task::spawn_blocking(move || hear(&ended));
        waited.await.unwrap();
        assert_eq!(faults(&rig), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn poll_is_told_when_the_call_is_over_and_may_end_it_or_not() {
    for (run, ends) in
        [(Run::Inline, true), (Run::Inline, false), (Run::Pool, true), (Run::Pool, false)]
    {
        let mut rig = Rig::default();
        rig.plugin("p", run);
        let hand = Hand::of(&rig);
        let (said, reasons) = mpsc::channel();
        let data = leak(move |_, reason| {
            said.send(reason).unwrap();
            if ends { abi::EM_FAULT } else { abi::EM_PENDING }
        });
        let (kept, token) = mpsc::channel();
        rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
            let taken = take_with(hand.table, record, Some(look), data.data()).unwrap();
            kept.send(taken).unwrap();
            abi::EM_PENDING
        });
        let dispatch = rig.dispatch();
        assert!(matches!(answered(dispatch.ask(mail())).await.decision, Decision::Defer(_)));
        let reasons = tokio::task::spawn_blocking(move || {
            let reason = hear(&reasons);
            (reason, reasons)
        });
        let (reason, reasons) = reasons.await.unwrap();
        assert_eq!((reason, faults(&rig)), (abi::EM_POLL_OVER, 1));
        let token = hear(&token);
        assert_eq!(hand.wake(token), abi::EM_ERR_OVER);
        assert_eq!(hand.complete(token, abi::NOERROR), abi::EM_ERR_OVER);
        assert!(reasons.try_recv().is_err(), "once");
        data.ended().await;
        // Then the plug-in is free for the session again, though perhaps not at once.
        let free = async {
            while answered(dispatch.ask(disconnect())).await.decision != Decision::Continue {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), free).await.unwrap();
    }
}

#[tokio::test]
async fn a_hang_up_ends_the_wait_but_for_a_message() {
    let mut rig = Rig::default();
    rig.plugin("p", Run::Inline);
    let hand = Hand::of(&rig);
    let (kept, tokens) = mpsc::channel();
    let of_message = [abi::EM_SMTPHEADERS, abi::EM_SMTPBODY, abi::EM_SMTPMESSAGEACCEPT];
    for event in [abi::EM_SMTPMAIL].into_iter().chain(of_message) {
        let kept = kept.clone();
        rig.on(event, abi::EM_REG_BEFORE, move |record| {
            kept.send(take(hand.table, record).unwrap()).unwrap();
            abi::EM_PENDING
        });
    }
    let directory = rig.directory();
    let dispatch = Dispatch::new(directory.current());
    let Asked::Waiting(answer) = dispatch.ask(mail()) else { panic!("nobody has answered") };
    dispatch.hang_up();
    assert_eq!(answer.await.decision, Decision::Continue);
    assert_eq!(faults(&rig), 0, "it is no fault");
    assert_eq!(hand.complete(hear(&tokens), abi::NOERROR), abi::EM_ERR_OVER);

    // A client that hangs up behind the dot must not get past a filter: its message is stored all the same.
    let headers = ask(Question::Headers, Stage::Before, None);
    for question in [headers, chunk(b"x", 0, true), accept()] {
        let dispatch = Dispatch::new(directory.current());
        dispatch.hang_up();
        let event = question.question.event();
        let Asked::Waiting(mut answer) = dispatch.ask(question) else { panic!("{event:?}") };
        assert!(contracts::is_open(&mut answer).await, "{event:?}");
        assert_eq!(hand.complete(hear(&tokens), abi::EM_FAULT), abi::NOERROR);
        assert!(matches!(answer.await.decision, Decision::Defer(_)), "{event:?}");
    }
}

#[tokio::test]
async fn a_wait_that_is_dropped_gives_the_call_up() {
    let mut rig = Rig::default();
    rig.plugin("p", Run::Inline);
    let hand = Hand::of(&rig);
    let (said, reasons) = mpsc::channel();
    let data = leak(move |_, reason| {
        said.send(reason).unwrap();
        abi::EM_FAULT
    });
    rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
        take_with(hand.table, record, Some(look), data.data()).unwrap();
        abi::EM_PENDING
    });
    rig.on(abi::EM_SMTPMESSAGEACCEPT, abi::EM_REG_BEFORE, |_| abi::ERR_EM_CONTINUE);
    let dispatch = rig.dispatch();
    drop(dispatch.ask(mail()));
    assert_eq!(reasons.try_recv(), Ok(abi::EM_POLL_OVER));
    data.ended().await;
    assert_eq!(now(dispatch.ask(accept())).decision, Decision::Continue, "its turn is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_goes_pending_when_nobody_waits_any_more_is_given_up() {
    for hangs_up in [false, true] {
        let mut rig = Rig::default();
        rig.plugin_with("p", Run::Pool, |config, _| {
            let deadline_ms = if hangs_up { 20_000 } else { 50 };
            config.contracts = FaultContracts::everywhere(contract(deadline_ms, OnFault::Continue));
        });
        let hand = Hand::of(&rig);
        let data = leak(|_, _| abi::EM_PENDING);
        let (kept, tokens) = mpsc::channel();
        let (enters, entered) = mpsc::channel();
        let gate = Arc::new(Gate::default());
        let waits_at = gate.clone();
        rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
            enters.send(()).unwrap();
            waits_at.pass();
            kept.send(take_with(hand.table, record, Some(look), data.data()).unwrap()).unwrap();
            abi::EM_PENDING
        });
        let ended = Arc::new(Gate::default());
        let opens = ended.clone();
        rig.on(abi::EM_SMTPDISCONNECT, abi::EM_REG_BEFORE, move |_| {
            opens.open();
            abi::ERR_EM_CONTINUE
        });
        let dispatch = rig.dispatch();
        let Asked::Waiting(mut answer) = dispatch.ask(mail()) else { panic!("it is on a pool") };
        if hangs_up {
            assert!(contracts::is_open(&mut answer).await);
            tokio::task::block_in_place(|| hear(&entered));
            drop(answer);
        } else {
            assert_eq!(answer.await.decision, Decision::Continue);
        }
        assert_eq!(faults(&rig), u64::from(!hangs_up));
        answered(dispatch.ask(disconnect())).await;
        gate.open();
        let token = tokio::task::block_in_place(|| hear(&tokens));
        let given_up = async {
            while hand.wake(token) != abi::EM_ERR_OVER {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), given_up).await.unwrap();
        assert_eq!(hand.complete(token, abi::ERR_EM_CONTINUE), abi::EM_ERR_OVER, "the first");
        data.ended().await;
        tokio::task::block_in_place(|| ended.pass());
    }
}

#[tokio::test]
async fn poll_is_told_once_that_the_call_is_over() {
    let mut rig = Rig::default();
    rig.plugin("p", Run::Inline);
    let hand = Hand::of(&rig);
    let (said, reasons) = mpsc::channel();
    let data = leak(move |_, reason| {
        said.send(reason).unwrap();
        abi::EM_PENDING
    });
    let (kept, tokens) = mpsc::channel();
    rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
        kept.send(take_with(hand.table, record, Some(look), data.data()).unwrap()).unwrap();
        abi::EM_PENDING
    });
    let dispatch = rig.dispatch();
    drop(dispatch.ask(mail()));
    let token = hear(&tokens);
    // A poll that returns at that moment comes here too.
    crate::token::find(rig.host(), token).ok().unwrap().give_up();
    assert_eq!(reasons.try_iter().collect::<Vec<_>>(), [abi::EM_POLL_OVER]);
    assert_eq!(hand.complete(token, abi::ERR_EM_CONTINUE), abi::EM_ERR_OVER);
    data.ended().await;
}
