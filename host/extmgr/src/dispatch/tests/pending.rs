//! Pending calls: who answers them, on which thread, in time or not, once or not, and what is owed meanwhile.
//! Uses the rig of the tests above it.

use std::sync::mpsc;

use super::*;

mod ending;

/// The async service as a plug-in has it: asked for by its host, so that calls of it may go pending.
pub(super) fn async_service(host: &'static Host) -> &'static abi::EmAsyncService {
    let id = abi::EM_ASYNC_ID;
    let text = abi::EmText { data: id.as_ptr(), len: id.count_bytes() as u64 };
    // SAFETY: the handle is a live host's, and the id text; the table is a static of this type.
    unsafe { (BASE.0.service)(host.handle(), text).cast::<abi::EmAsyncService>().as_ref() }.unwrap()
}

/// Takes a token for the call of a record, without a poll.
fn take(table: &abi::EmAsyncService, record: &abi::EMRECORD) -> Result<u64, abi::STATUS> {
    take_with(table, record, None, std::ptr::null_mut())
}

pub(super) fn take_with(
    table: &abi::EmAsyncService,
    record: &abi::EMRECORD,
    poll: abi::EmPoll,
    data: *mut c_void,
) -> Result<u64, abi::STATUS> {
    let mut token = 0;
    let release = poll.map(|_| released as unsafe extern "C" fn(*mut c_void));
    // SAFETY: the sheet is this call's, and poll and release take this data.
    match unsafe { (table.pending)(sheet(record), poll, data, release, &raw mut token) } {
        abi::NOERROR => Ok(token),
        status => Err(status),
    }
}

/// A plug-in's way to complete, wake and extend.
#[derive(Clone, Copy)]
pub(super) struct Hand {
    host: &'static Host,
    table: &'static abi::EmAsyncService,
}

impl Hand {
    pub(super) fn of(rig: &Rig) -> Self {
        Self { host: rig.host(), table: async_service(rig.host()) }
    }

    pub(super) fn table(self) -> &'static abi::EmAsyncService {
        self.table
    }

    pub(super) fn complete(self, token: u64, status: abi::STATUS) -> abi::STATUS {
        // SAFETY: the handle is a live host's.
        unsafe { (self.table.complete)(self.host.handle(), token, status) }
    }

    pub(super) fn wake(self, token: u64) -> abi::STATUS {
        // SAFETY: the handle is a live host's.
        unsafe { (self.table.wake)(self.host.handle(), token) }
    }

    pub(super) fn extend(self, token: u64, milliseconds: u32) -> abi::STATUS {
        // SAFETY: the handle is a live host's.
        unsafe { (self.table.extend)(self.host.handle(), token, milliseconds) }
    }
}

pub(super) type Watch = Box<dyn Fn(&abi::EMRECORD, u32) -> abi::STATUS + Send + Sync>;

/// What a poll of the tests does, given the record and the reason, and how often it was released.
pub(super) struct Look {
    act: Watch,
    pub(super) released: AtomicUsize,
}

pub(super) unsafe extern "C" fn look(
    record: *const abi::EMRECORD,
    data: *mut c_void,
    reason: u32,
) -> abi::STATUS {
    // SAFETY: the record is lent for the call; the data is the leaked look of the test.
    let (record, look) = unsafe { (&*record, &*data.cast::<Look>()) };
    assert_eq!(look.released.load(Ordering::SeqCst), 0, "polled after its release");
    (look.act)(record, reason)
}

unsafe extern "C" fn released(data: *mut c_void) {
    // SAFETY: the leaked look of the test.
    unsafe { &*data.cast::<Look>() }.released.fetch_add(1, Ordering::SeqCst);
}

/// A poll's data, for good.
pub(super) fn leak(
    act: impl Fn(&abi::EMRECORD, u32) -> abi::STATUS + Send + Sync + 'static,
) -> &'static Look {
    Box::leak(Box::new(Look { act: Box::new(act), released: AtomicUsize::new(0) }))
}

impl Look {
    pub(super) fn data(&self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    /// Waits until it was released, once.
    async fn ended(&self) {
        let ended = async {
            while self.released.load(Ordering::SeqCst) == 0 {
                tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap();
        assert_eq!(self.released.load(Ordering::SeqCst), 1);
    }
}

pub(super) fn disconnect() -> Ask {
    ask(Question::Disconnect { reason: DisconnectReason::Quit }, Stage::Before, None)
}

fn rejects(verdict: &Verdict, wanted: u16) -> bool {
    matches!(&verdict.decision, Decision::Reject(reply) if reply.code() == wanted)
}

fn faults(rig: &Rig) -> u64 {
    rig.hosts[0].state().faults
}

/// Waits for what another thread says, and no longer than a test may take.
fn hear<T>(said: &mpsc::Receiver<T>) -> T {
    said.recv_timeout(Duration::from_secs(20)).unwrap()
}

#[tokio::test]
async fn a_call_is_completed_from_another_thread_with_the_edits_made_there() {
    for run in [Run::Inline, Run::Pool] {
        let mut rig = Rig::default();
        rig.plugin("p", run);
        let hand = Hand::of(&rig);
        let edits: &abi::EmEditsService = service(abi::EM_EDITS_ID);
        rig.on(abi::EM_SMTPMESSAGEACCEPT, abi::EM_REG_BEFORE, move |record| {
            let token = take(hand.table, record).unwrap();
            assert_eq!(take(hand.table, record), Err(abi::EM_ERR_STAGE), "one token a call");
            let record = std::ptr::from_ref(record) as usize;
            std::thread::spawn(move || {
                // SAFETY: the record stays valid until the call is completed.
                let record = unsafe { &*(record as *const abi::EMRECORD) };
                // SAFETY: the sheet is that of the pending call.
                let added = unsafe { (edits.header_add)(sheet(record), lend("X-Late"), lend("1")) };
                assert_eq!(added, 0);
                assert_eq!(give(record, abi::EM_VERDICT_REJECT, 550), 0);
                assert_eq!(hand.complete(token, abi::EM_VERDICT), abi::NOERROR);
                assert_eq!(hand.complete(token, abi::EM_VERDICT), abi::EM_ERR_OVER, "double");
            });
            abi::EM_PENDING
        });
        let verdict = answered(rig.dispatch().ask(accept())).await;
        assert!(rejects(&verdict, 550), "{verdict:?}");
        assert_eq!(verdict.edits.len(), 1, "{verdict:?}");
        assert_eq!(faults(&rig), 0);
    }
}

#[tokio::test]
async fn a_call_may_be_completed_before_its_handler_returns() {
    let mut rig = Rig::default();
    rig.plugin("p", Run::Inline);
    let hand = Hand::of(&rig);
    rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
        let token = take(hand.table, record).unwrap();
        assert_eq!(hand.complete(token, abi::EM_VERDICT), abi::NOERROR);
        assert_eq!(give(record, abi::EM_VERDICT_REJECT, 550), 0, "the sheet is still there");
        abi::EM_PENDING
    });
    let verdict = now(rig.dispatch().ask(mail()));
    assert!(rejects(&verdict, 550), "{verdict:?}");
}

#[tokio::test]
async fn poll_is_called_when_the_token_is_woken_and_its_answer_counts() {
    for run in [Run::Inline, Run::Pool] {
        let mut rig = Rig::default();
        rig.plugin("p", run);
        let hand = Hand::of(&rig);
        let token = Arc::new(Mutex::new(0));
        let polls = Arc::new(AtomicUsize::new(0));
        let (woken, counted) = (token.clone(), polls.clone());
        let data = leak(move |record, reason| {
            assert_eq!(reason, abi::EM_POLL_WOKEN);
            if counted.fetch_add(1, Ordering::SeqCst) < 2 {
                // Woken while it runs, it is called again.
                assert_eq!(hand.wake(*woken.lock().unwrap()), abi::NOERROR);
                return abi::EM_PENDING;
            }
            give(record, abi::EM_VERDICT_REJECT, 552);
            abi::EM_VERDICT
        });
        rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
            let taken = take_with(hand.table, record, Some(look), data.data()).unwrap();
            *token.lock().unwrap() = taken;
            std::thread::spawn(move || assert_eq!(hand.wake(taken), abi::NOERROR));
            abi::EM_PENDING
        });
        let verdict = answered(rig.dispatch().ask(mail())).await;
        assert!(rejects(&verdict, 552), "{verdict:?}");
        data.ended().await;
        assert_eq!(polls.load(Ordering::SeqCst), 3);
    }
}

/// A poll that always has more to do ends at the deadline, as any call does.
#[tokio::test]
async fn a_poll_that_always_wakes_itself_is_at_fault_in_the_end() {
    for run in [Run::Inline, Run::Pool] {
        let mut rig = Rig::default();
        rig.plugin_with("p", run, |config, _| {
            config.contracts = FaultContracts::everywhere(contract(50, OnFault::Defer));
        });
        let hand = Hand::of(&rig);
        let token = Arc::new(Mutex::new(0));
        let woken = token.clone();
        let data = leak(move |_, reason| {
            if reason == abi::EM_POLL_WOKEN {
                hand.wake(*woken.lock().unwrap());
            }
            abi::EM_PENDING
        });
        rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
            let taken = take_with(hand.table, record, Some(look), data.data()).unwrap();
            *token.lock().unwrap() = taken;
            hand.wake(taken);
            abi::EM_PENDING
        });
        let verdict = answered(rig.dispatch().ask(mail())).await;
        assert!(matches!(verdict.decision, Decision::Defer(_)), "{verdict:?}");
        assert_eq!(faults(&rig), 1);
    }
}

#[tokio::test]
async fn a_token_is_taken_only_where_an_answer_is_waited_for() {
    let mut rig = Rig::default();
    rig.plugin("p", Run::Inline);
    let hand = Hand::of(&rig);
    let both = abi::EM_REG_BEFORE | abi::EM_REG_AFTER;
    for event in [abi::EM_SMTPMAIL, abi::EM_SMTPDISCONNECT] {
        rig.on(event, both, move |record| {
            if event == abi::EM_SMTPMAIL && record.NotificationType == abi::EM_BEFORE {
                // SAFETY: the sheet is this call's; a NULL is what is tried.
                let status = unsafe {
                    let null = std::ptr::null_mut();
                    (hand.table.pending)(sheet(record), None, null, None, null.cast())
                };
                assert_eq!(status, abi::ERR_MISC_INVALID_ARGS);
                // SAFETY: NULL for a sheet is what is tried.
                let status = unsafe {
                    let (null, mut token) = (std::ptr::null_mut(), 0);
                    (hand.table.pending)(std::ptr::null_mut(), None, null, None, &raw mut token)
                };
                assert_eq!(status, abi::ERR_MISC_INVALID_ARGS);
            } else {
                assert_eq!(take(hand.table, record), Err(abi::EM_ERR_STAGE));
            }
            abi::ERR_EM_CONTINUE
        });
    }
    // It has not asked for the service.
    rig.plugin("q", Run::Inline).on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
        assert_eq!(take(hand.table, record), Err(abi::EM_ERR_STAGE));
        abi::ERR_EM_CONTINUE
    });
    let dispatch = rig.dispatch();
    assert_eq!(now(dispatch.ask(mail())).decision, Decision::Continue);
    let after = Ask { stage: Stage::After, reply: Some(Reply::new(250, None, "Ok")), ..mail() };
    now(dispatch.ask(after));
    now(dispatch.ask(disconnect()));
    now(dispatch.ask(Ask { stage: Stage::After, ..disconnect() }));
    assert_eq!(faults(&rig), 0);
}

/// Two threads that have the sheet of one call: one gets the token, and what the other gave stays its own.
#[tokio::test]
async fn a_call_has_one_token_also_for_two_threads_at_once() {
    let mut rig = Rig::default();
    rig.plugin("p", Run::Inline);
    let hand = Hand::of(&rig);
    let runtime = tokio::runtime::Handle::current();
    let (kept, taken) = mpsc::channel();
    rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
        let record = std::ptr::from_ref(record) as usize;
        let (start, looks) = (std::sync::Barrier::new(2), [(); 2].map(|()| leak(|_, _| 0)));
        let tokens = std::thread::scope(|scope| {
            let take = |data: &'static Look| {
                let _inside = runtime.enter();
                // SAFETY: the record of the handler, which waits for both.
                let record = unsafe { &*(record as *const abi::EMRECORD) };
                start.wait();
                take_with(hand.table, record, Some(look), data.data())
            };
            let threads = looks.map(|data| scope.spawn(move || take(data)));
            threads.map(|thread| thread.join().unwrap())
        });
        for token in tokens.iter().flatten() {
            hand.complete(*token, abi::ERR_EM_CONTINUE);
        }
        kept.send((tokens, looks)).unwrap();
        abi::EM_PENDING
    });
    let dispatch = rig.dispatch();
    for _ in 0..200 {
        assert_eq!(answered(dispatch.ask(mail())).await.decision, Decision::Continue);
        let (tokens, looks) = hear(&taken);
        let won = tokens.iter().position(Result::is_ok).unwrap();
        assert_eq!(tokens[1 - won], Err(abi::EM_ERR_STAGE));
        let released = [won, 1 - won].map(|of| looks[of].released.load(Ordering::SeqCst));
        assert_eq!((released, rig.host().pending()), ([1, 0], 0));
    }
    assert_eq!(faults(&rig), 0);
}

#[tokio::test]
async fn a_status_that_does_not_fit_the_token_is_a_fault() {
    let mut rig = Rig::default();
    rig.plugin("p", Run::Inline);
    let hand = Hand::of(&rig);
    let (kept, leaked) = mpsc::channel();
    rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
        kept.send(take(hand.table, record).unwrap()).unwrap();
        abi::ERR_EM_CONTINUE
    });
    let dispatch = rig.dispatch();
    let fails = |question| matches!(now(dispatch.ask(question)).decision, Decision::Defer(_));
    assert!(fails(mail()), "leaked");
    assert!(fails(mail()), "busy: it is leaked still");
    assert!(leaked.try_recv().is_ok_and(|token| {
        assert!(leaked.try_recv().is_err(), "the second call was not made");
        hand.complete(token, abi::ERR_EM_CONTINUE) == abi::EM_ERR_OVER
    }));
    // Its end is made elsewhere; then the plug-in is free again.
    while leaked.try_recv().is_err() {
        assert!(fails(mail()));
        tokio::task::yield_now().await;
    }
}

#[test]
fn no_token_no_answer() {
    let mut rig = Rig::default();
    rig.plugin("p", Run::Inline).on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, |_| abi::EM_PENDING);
    assert!(matches!(now(rig.dispatch().ask(mail())).decision, Decision::Defer(_)));
}

#[tokio::test]
async fn foreign_and_made_up_tokens_do_nothing() {
    let mut rig = Rig::default();
    rig.plugin("other", Run::Inline);
    let stranger = Hand::of(&rig);
    rig.plugin("p", Run::Inline);
    let hand = Hand::of(&rig);
    let (kept, token) = mpsc::channel();
    rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
        kept.send(take(hand.table, record).unwrap()).unwrap();
        abi::EM_PENDING
    });
    let dispatch = rig.dispatch();
    let Asked::Waiting(mut answer) = dispatch.ask(mail()) else { panic!("nobody has answered") };
    assert!(contracts::is_open(&mut answer).await);
    let token = hear(&token);
    assert_eq!(stranger.complete(token, abi::ERR_EM_CONTINUE), abi::ERR_NOT_FOUND);
    assert_eq!(stranger.wake(token), abi::ERR_NOT_FOUND);
    for made_up in [0, 1, token + (1 << 32), token ^ 0xffff_ffff, u64::MAX] {
        assert_eq!(hand.complete(made_up, abi::ERR_EM_CONTINUE), abi::ERR_NOT_FOUND, "{made_up:x}");
        assert_eq!(hand.extend(made_up, 1), abi::ERR_NOT_FOUND);
    }
    assert_eq!(hand.complete(token, abi::EM_PENDING), abi::ERR_MISC_INVALID_ARGS);
    assert_eq!(hand.wake(token), abi::EM_ERR_STAGE, "it has no poll");
    // SAFETY: a NULL host is what is tried.
    let status = unsafe { (hand.table.complete)(std::ptr::null_mut(), token, 0) };
    assert_eq!(status, abi::ERR_MISC_INVALID_ARGS);
    assert!(contracts::is_open(&mut answer).await);
    assert_eq!(hand.complete(token, abi::ERR_EM_CONTINUE), abi::NOERROR);
    assert_eq!(answer.await.decision, Decision::Continue);
    assert_eq!(hand.complete(token, abi::ERR_EM_CONTINUE), abi::EM_ERR_OVER);
    assert_eq!(hand.extend(token, 1), abi::EM_ERR_OVER);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_can_be_put_off_up_to_its_most() {
    let mut rig = Rig::default();
    rig.plugin_with("p", Run::Inline, |config, _| {
        config.contracts = FaultContracts::everywhere(contract(5_000, OnFault::Defer));
    });
    let hand = Hand::of(&rig);
    rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
        let token = take(hand.table, record).unwrap();
        assert_eq!(hand.extend(token, 10_001), abi::EM_ERR_LIMIT);
        assert_eq!(hand.extend(token, 1), abi::NOERROR, "never sooner");
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(4)).await;
            assert_eq!(hand.extend(token, 6_001), abi::EM_ERR_LIMIT);
            assert_eq!(hand.extend(token, 5_000), abi::NOERROR);
        });
        abi::EM_PENDING
    });
    let begun = tokio::time::Instant::now();
    let verdict = answered(rig.dispatch().ask(mail())).await;
    assert!(matches!(verdict.decision, Decision::Defer(_)));
    assert_eq!(begun.elapsed().as_secs(), 9);
}

#[tokio::test(start_paused = true)]
async fn pending_calls_share_the_budget_of_the_chain() {
    let budget = Limits::default().chain_budget;
    let mut rig = Rig::default();
    for (name, run) in [("first", Run::Inline), ("second", Run::Pool), ("third", Run::Inline)] {
        rig.plugin_with(name, run, |config, _| {
            config.contracts = FaultContracts::everywhere(contract(150_000, OnFault::Continue));
        });
        let hand = Hand::of(&rig);
        rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
            let token = take(hand.table, record).unwrap();
            assert_eq!(hand.extend(token, 250_000), abi::EM_ERR_LIMIT);
            abi::EM_PENDING
        });
    }
    let begun = tokio::time::Instant::now();
    let verdict = answered(rig.dispatch().ask(mail())).await;
    assert_eq!((verdict.decision, begun.elapsed()), (Decision::Continue, budget));
    assert_eq!(rig.hosts.iter().map(|host| host.state().faults).collect::<Vec<_>>(), [1, 1, 1]);
}

#[tokio::test]
async fn a_token_of_another_plug_in_is_unknown_also_when_it_has_ended() {
    let mut rig = Rig::default();
    rig.plugin("stranger", Run::Inline);
    let stranger = Hand::of(&rig);
    rig.plugin("p", Run::Inline);
    let hand = Hand::of(&rig);
    let (kept, tokens) = mpsc::channel();
    rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
        kept.send(take(hand.table, record).unwrap()).unwrap();
        abi::EM_PENDING
    });
    let directory = rig.directory();
    let dispatch = Dispatch::new(directory.current());
    let Asked::Waiting(answer) = dispatch.ask(mail()) else { panic!("nobody has answered") };
    let token = hear(&tokens);
    assert_eq!(stranger.complete(token, abi::ERR_EM_CONTINUE), abi::ERR_NOT_FOUND);
    assert_eq!(hand.complete(token, abi::ERR_EM_CONTINUE), abi::NOERROR);
    answer.await;
    assert_eq!(hand.wake(token), abi::EM_ERR_OVER);
    assert_eq!(stranger.wake(token), abi::ERR_NOT_FOUND);
}

#[tokio::test]
async fn pending_calls_of_a_plugin_are_bounded() {
    let mut rig = Rig::default();
    rig.plugin_with("p", Run::Inline, |config, _| config.pending_max = 1);
    let hand = Hand::of(&rig);
    let (kept, tokens) = mpsc::channel();
    rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
        let token = take(hand.table, record);
        let status = if token.is_ok() { abi::EM_PENDING } else { abi::ERR_EM_CONTINUE };
        kept.send(token).unwrap();
        status
    });
    let directory = rig.directory();
    let (one, two) = (Dispatch::new(directory.current()), Dispatch::new(directory.current()));
    let Asked::Waiting(answer) = one.ask(mail()) else { panic!("nobody has answered") };
    now(two.ask(mail()));
    let first = hear(&tokens).unwrap();
    assert_eq!(hear(&tokens), Err(abi::EM_ERR_LIMIT));
    assert_eq!(hand.complete(first, abi::ERR_EM_CONTINUE), abi::NOERROR);
    assert_eq!(answer.await.decision, Decision::Continue);
    assert!(matches!(two.ask(mail()), Asked::Waiting(_)));
}
