//! Calls on the pool: their threads, and what is owed though none is free.

use super::*;

#[tokio::test]
async fn calls_on_the_pool_answer_like_others() {
    let mut rig = Rig::default();
    let caller = std::thread::current().id();
    rig.plugin("first", Run::Inline).on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |_| {
        assert_eq!(std::thread::current().id(), caller);
        abi::ERR_EM_CONTINUE
    });
    rig.plugin("pooled", Run::Pool).on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |_| {
        assert_ne!(std::thread::current().id(), caller, "a blocking call on the async thread");
        abi::ERR_EM_CONTINUE
    });
    rig.plugin("last", Run::Inline).on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, |record| {
        give(record, abi::EM_VERDICT_DEFER, 450);
        abi::EM_VERDICT
    });
    let verdict = answered(rig.dispatch().ask(mail())).await;
    assert!(matches!(verdict.decision, Decision::Defer(reply) if reply.code() == 450));
}

#[tokio::test]
async fn threads_of_a_plugin_are_bounded_and_free_again() {
    let mut rig = Rig::default();
    let gate = Arc::new(Gate::default());
    rig.plugin_with("narrow", Run::Pool, |config, _| {
        config.contracts = FaultContracts::everywhere(contract(20, OnFault::Defer));
        config.threads_max = 1;
    });
    let waiting = gate.clone();
    rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |_| {
        waiting.pass();
        abi::ERR_EM_CONTINUE
    });
    let directory = rig.directory();
    let (one, two) = (Dispatch::new(directory.current()), Dispatch::new(directory.current()));
    assert!(matches!(answered(one.ask(mail())).await.decision, Decision::Defer(_)));
    assert!(matches!(answered(two.ask(mail())).await.decision, Decision::Defer(_)), "exhausted");
    assert_eq!(rig.hosts[0].state().faults, 2);
    gate.open();
    // The second session was never called, so it is free as soon as the thread is.
    let free = async {
        while answered(two.ask(mail())).await.decision != Decision::Continue {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), free).await.unwrap();
}

#[tokio::test]
async fn a_disconnect_is_made_even_if_no_thread_is_free_in_time() {
    let mut rig = Rig::default();
    let (gate, ended) = (Arc::new(Gate::default()), Arc::new(Gate::default()));
    rig.plugin_with("narrow", Run::Pool, |config, _| {
        config.contracts = FaultContracts::everywhere(contract(20, OnFault::Defer));
        config.threads_max = 1;
    });
    let (waiting, over) = (gate.clone(), ended.clone());
    rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |_| {
        waiting.pass();
        abi::ERR_EM_CONTINUE
    });
    rig.on(abi::EM_SMTPDISCONNECT, abi::EM_REG_BEFORE, move |_| {
        over.open();
        abi::ERR_EM_CONTINUE
    });
    let directory = rig.directory();
    let (one, two) = (Dispatch::new(directory.current()), Dispatch::new(directory.current()));
    assert!(matches!(answered(one.ask(mail())).await.decision, Decision::Defer(_)));
    let question = Question::Disconnect { reason: DisconnectReason::Quit };
    let owed = answered(two.ask(ask(question, Stage::Before, None))).await;
    assert_eq!(owed.decision, Decision::Continue);
    assert_eq!(rig.hosts[0].state().faults, 1, "what is owed is no fault");
    drop(two);
    gate.open();
    let waited = tokio::task::spawn_blocking(move || ended.pass());
    tokio::time::timeout(Duration::from_secs(20), waited).await.unwrap().unwrap();
}
