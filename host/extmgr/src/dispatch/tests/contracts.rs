//! Fault contracts: what a fault means at each stage, and how long calls and whole chains may take.
//! Uses the rig of the tests above it.

use stagepost_smtp::Attributed;

use super::*;

/// What a fault does at every event under every contract, before and after.
#[test]
fn a_fault_keeps_to_the_contract_of_its_stage() {
    let questions = questions::all();
    let last = [Event::Connect, Event::Quit, Event::Timeout];
    let open =
        [Event::Mail, Event::Rcpt, Event::Data, Event::Headers, Event::Body, Event::MessageAccept];
    for (question, on_fault, stage) in questions.iter().flat_map(|question| {
        [OnFault::Defer, OnFault::Continue, OnFault::Hold]
            .into_iter()
            .flat_map(move |on| [(question, on, Stage::Before), (question, on, Stage::After)])
    }) {
        let event = question.event();
        if stage == Stage::After && !event.has_after() {
            continue;
        }
        // The other stages have a contract that would show.
        let other = if on_fault == OnFault::Defer { OnFault::Continue } else { OnFault::Defer };
        let mut rig = Rig::default();
        let number = crate::event::number(event);
        let both = questions::both(event);
        rig.plugin_with("faulty", Run::Inline, |config, _| {
            config.contracts = FaultContracts::everywhere(contract(20_000, other));
            config.contracts.at_mut(event).on_fault = on_fault;
        });
        rig.on(number, both, |_| abi::EM_FAULT);
        let called = Arc::new(AtomicUsize::new(0));
        let counter = called.clone();
        rig.plugin("next", Run::Inline).on(number, both, move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
            abi::ERR_EM_CONTINUE
        });
        let reply = (stage == Stage::After).then(|| Reply::new(250, None, "Ok"));
        let verdict = now(rig.dispatch().ask(ask(question.clone(), stage, reply)));
        let case = format!("{} {} {}", event.name(), stage.name(), on_fault.name());

        let counts = stage == Stage::Before && event != Event::Disconnect;
        let open = open.contains(&event) || event.is_behind_session();
        let holds = counts && on_fault == OnFault::Hold && open;
        let defers = counts && on_fault != OnFault::Continue && !holds;
        let code = match event {
            Event::StartTls | Event::Auth => 454,
            event if last.contains(&event) => 421,
            _ => 451,
        };
        match &verdict.decision {
            Decision::Defer(reply) if defers => assert_eq!(reply.code(), code, "{case}"),
            decision => assert_eq!((decision, defers), (&Decision::Continue, false), "{case}"),
        }
        assert_eq!(called.load(Ordering::SeqCst), usize::from(!defers), "{case}");
        let reason: Box<str> = format!("fault of faulty at {}", event.name()).into();
        let held = |known: &Attributed| {
            *known.plugin == *"faulty" && known.edit == Edit::Hold { reason: reason.clone() }
        };
        assert_eq!(verdict.edits.len(), usize::from(holds), "{case}");
        assert!(verdict.edits.iter().all(held), "{case}");
        assert_eq!(rig.hosts[0].state().faults, 1, "{case}");
    }
}

#[tokio::test]
async fn each_stage_has_its_own_deadline() {
    let mut rig = Rig::default();
    let gate = Arc::new(Gate::default());
    rig.plugin_with("slow", Run::Pool, |config, _| {
        config.contracts.at_mut(Event::Mail).deadline = Duration::from_millis(20);
    });
    for event in [abi::EM_SMTPMAIL, abi::EM_SMTPMESSAGEACCEPT] {
        let waiting = gate.clone();
        rig.on(event, abi::EM_REG_BEFORE, move |_| {
            waiting.pass();
            abi::ERR_EM_CONTINUE
        });
    }
    let directory = rig.directory();
    let (one, two) = (Dispatch::new(directory.current()), Dispatch::new(directory.current()));
    let Asked::Waiting(mut patient) = one.ask(accept()) else { panic!("the pool answers at once") };
    // The patient call begins first; the other one is late while it is still waited for.
    assert!(is_open(&mut patient).await);
    assert!(matches!(answered(two.ask(mail())).await.decision, Decision::Defer(_)));
    assert!(is_open(&mut patient).await);
    gate.open();
    assert_eq!(patient.await.decision, Decision::Continue);
}

/// Whether an answer is still open when asked once.
pub(super) async fn is_open(answer: &mut (impl Future<Output = Verdict> + Unpin)) -> bool {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(std::pin::Pin::new(&mut *answer).poll(context).is_pending())
    })
    .await
}

/// Handlers that never return in time: the first is late by its own deadline, the second by what the first one left, and
/// the third is not called at all.
#[tokio::test(start_paused = true)]
async fn the_calls_of_a_chain_share_one_budget() {
    let budget = Limits::default().chain_budget;
    let mut rig = Rig::default();
    let gate = Arc::new(Gate::default());
    let (entered, mut entries) = tokio::sync::mpsc::unbounded_channel();
    for name in ["first", "second", "third"] {
        rig.plugin_with(name, Run::Pool, |config, _| {
            config.contracts = FaultContracts::everywhere(contract(200_000, OnFault::Continue));
        });
        let (waiting, entered) = (gate.clone(), entered.clone());
        rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |_| {
            entered.send(name).unwrap();
            waiting.pass();
            abi::ERR_EM_CONTINUE
        });
    }
    let begun = tokio::time::Instant::now();
    let dispatch = rig.dispatch();
    let clock = async {
        for (wanted, seconds) in [("first", 200), ("second", 40)] {
            assert_eq!(entries.recv().await, Some(wanted));
            tokio::time::advance(Duration::from_secs(seconds)).await;
        }
    };
    let (verdict, ()) = tokio::join!(answered(dispatch.ask(mail())), clock);
    assert_eq!(verdict.decision, Decision::Continue);
    assert_eq!(begun.elapsed(), budget);
    assert!(entries.try_recv().is_err(), "the third was called");
    assert_eq!(rig.hosts.iter().map(|host| host.state().faults).collect::<Vec<_>>(), [1, 1, 1]);
    gate.open();
}

/// What a plug-in took before a command is gone for those that are asked after it, and whole again at the next command.
#[tokio::test(start_paused = true)]
async fn the_chains_of_one_command_share_the_budget() {
    let mut rig = Rig::default();
    let gate = Arc::new(Gate::default());
    let (entered, mut entries) = tokio::sync::mpsc::unbounded_channel();
    for (name, event, deadline_ms) in [
        ("command", abi::EM_SMTPCOMMAND, 230_000),
        ("mail", abi::EM_SMTPMAIL, 20_000),
        ("rcpt", abi::EM_SMTPRCPT, 20_000),
    ] {
        rig.plugin_with(name, Run::Pool, |config, _| {
            config.contracts = FaultContracts::everywhere(contract(deadline_ms, OnFault::Continue));
        });
        let (waiting, entered) = (gate.clone(), entered.clone());
        rig.on(event, abi::EM_REG_BEFORE, move |_| {
            entered.send(name).unwrap();
            waiting.pass();
            abi::ERR_EM_CONTINUE
        });
    }
    let dispatch = rig.dispatch();
    let line = || ask(Question::Command { line: (*b"MAIL").into() }, Stage::Before, None);
    let begun = tokio::time::Instant::now();
    let questions = async {
        answered(dispatch.ask(line())).await;
        answered(dispatch.ask(mail())).await;
        let both = begun.elapsed();
        let recipient = Address::parse("a@b.test").unwrap();
        let rcpt = Question::Rcpt { recipient, parameters: "".into() };
        answered(dispatch.ask(Ask { exchange: 2, ..ask(rcpt, Stage::Before, None) })).await;
        (both, begun.elapsed() - both)
    };
    let clock = async {
        for (wanted, seconds) in [("command", 230), ("mail", 10), ("rcpt", 20)] {
            assert_eq!(entries.recv().await, Some(wanted));
            tokio::time::advance(Duration::from_secs(seconds)).await;
        }
    };
    let ((both, next), ()) = tokio::join!(questions, clock);
    assert_eq!(both, Limits::default().chain_budget, "the second had 10 of its 20 s");
    assert_eq!(next, Duration::from_secs(20), "the next command has a budget of its own");
    assert_eq!(rig.hosts.iter().map(|host| host.state().faults).collect::<Vec<_>>(), [1, 1, 1]);
    gate.open();
}

/// The end of a session is owed to every plug-in, whatever those before it took.
#[tokio::test(start_paused = true)]
async fn a_disconnect_has_no_budget() {
    let mut rig = Rig::default();
    let gate = Arc::new(Gate::default());
    let (entered, mut entries) = tokio::sync::mpsc::unbounded_channel();
    for name in ["first", "second"] {
        rig.plugin_with(name, Run::Pool, |config, _| {
            config.contracts = FaultContracts::everywhere(contract(300_000, OnFault::Defer));
        });
        let (waiting, entered) = (gate.clone(), entered.clone());
        rig.on(abi::EM_SMTPDISCONNECT, abi::EM_REG_BEFORE, move |_| {
            entered.send(name).unwrap();
            waiting.pass();
            abi::ERR_EM_CONTINUE
        });
    }
    let question = Question::Disconnect { reason: DisconnectReason::Quit };
    let dispatch = rig.dispatch();
    let clock = async {
        assert_eq!(entries.recv().await, Some("first"));
        tokio::time::advance(Duration::from_secs(300)).await;
        assert_eq!(entries.recv().await, Some("second"));
        gate.open();
    };
    let asked = answered(dispatch.ask(ask(question, Stage::Before, None)));
    let (verdict, ()) = tokio::join!(asked, clock);
    assert_eq!(verdict.decision, Decision::Continue);
}

#[tokio::test]
async fn a_late_call_gets_no_company_and_what_is_owed_runs_when_it_returns() {
    let mut rig = Rig::default();
    let (gate, ended) = (Arc::new(Gate::default()), Arc::new(Gate::default()));
    let calls = Arc::new(Mutex::new(Vec::new()));
    rig.plugin_with("slow", Run::Pool, |config, _| {
        config.contracts = FaultContracts::everywhere(contract(20, OnFault::Defer));
    });
    let (waiting, log) = (gate.clone(), calls.clone());
    rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |_| {
        log.lock().unwrap().push("mail");
        waiting.pass();
        abi::NOERROR
    });
    let (over, log) = (ended.clone(), calls.clone());
    rig.on(abi::EM_SMTPDISCONNECT, abi::EM_REG_BEFORE, move |_| {
        log.lock().unwrap().push("disconnect");
        over.open();
        abi::ERR_EM_CONTINUE
    });
    let dispatch = rig.dispatch();
    let first = answered(dispatch.ask(mail())).await;
    assert!(matches!(first.decision, Decision::Defer(_)), "overrun: {first:?}");
    let second = answered(dispatch.ask(mail())).await;
    assert!(matches!(second.decision, Decision::Defer(_)), "busy: {second:?}");
    let question = Question::Disconnect { reason: DisconnectReason::Quit };
    let last = answered(dispatch.ask(ask(question, Stage::Before, None))).await;
    assert_eq!(last.decision, Decision::Continue);
    assert_eq!(*calls.lock().unwrap(), ["mail"], "one call at a time for one session");
    drop(dispatch);
    gate.open();
    let waited = tokio::task::spawn_blocking(move || ended.pass());
    tokio::time::timeout(Duration::from_secs(20), waited).await.unwrap().unwrap();
    assert_eq!(*calls.lock().unwrap(), ["mail", "disconnect"]);
}
