//! Random schedules of a pending call: everything that may happen to it in any order, once step by step beside a model that
//! says what must come of it, and once by threads that race.

use std::task::Poll;

use proptest::collection::vec;
use proptest::prelude::*;

use super::pending::{Hand, Look, leak, look, take_with};
use super::*;

/// How long the call may take, and how long at most; in milliseconds.
const DEADLINE_MS: u64 = 1000;
const LATEST_MS: u64 = 2000;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The plug-in answers.
    Complete(abi::STATUS),
    /// It wakes its poll.
    Wake,
    /// It wants more time.
    Extend(u32),
    /// It uses a token of nobody, or another plug-in uses this one.
    Foreign,
    /// Time passes.
    Pass(u64),
    /// The session's task runs.
    Run,
    /// The client hangs up.
    HangUp,
    /// The session's task ends.
    Drop,
}

fn answer() -> impl Strategy<Value = abi::STATUS> {
    // One that goes on, one that ends the chain, and one that is a fault.
    prop_oneof![Just(abi::ERR_EM_CONTINUE), Just(abi::NOERROR), Just(abi::EM_FAULT)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => answer().prop_map(Step::Complete),
        3 => Just(Step::Wake),
        1 => (0..2500u32).prop_map(Step::Extend),
        1 => Just(Step::Foreign),
        2 => (0..1500u64).prop_map(Step::Pass),
        4 => Just(Step::Run),
        1 => Just(Step::HangUp),
        1 => Just(Step::Drop),
    ]
}

/// A call and what its plug-in makes of it.
#[derive(Clone, Debug)]
struct Case {
    accept: bool,
    /// What poll answers one after the other, and then for ever; none: no poll.
    polls: Option<Vec<abi::STATUS>>,
    /// Whether poll ends a call that is over.
    ends: bool,
    steps: Vec<Step>,
}

fn case() -> impl Strategy<Value = Case> {
    let polled = prop_oneof![3 => Just(abi::EM_PENDING), 1 => answer()];
    let polls = proptest::option::of(vec(polled, 0..4));
    (any::<bool>(), polls, any::<bool>(), vec(step(), 1..24))
        .prop_map(|(accept, polls, ends, steps)| Case { accept, polls, ends, steps })
}

/// What must come of a call.
struct Model {
    case: Case,
    polled: usize,
    now: u64,
    deadline: u64,
    woken: bool,
    gone: bool,
    over: bool,
    ended: bool,
    answer: Option<abi::STATUS>,
    /// What the session's task got; none: it waits, or was dropped.
    verdict: Option<Decision>,
    waits: bool,
    faults: u64,
}

impl Model {
    fn new(case: &Case) -> Self {
        Self {
            case: case.clone(),
            polled: 0,
            now: 0,
            deadline: DEADLINE_MS,
            woken: false,
            gone: false,
            over: false,
            ended: false,
            answer: None,
            verdict: None,
            waits: true,
            faults: 0,
        }
    }

    fn complete(&mut self, status: abi::STATUS) -> abi::STATUS {
        if self.answer.is_some() || self.ended {
            return abi::EM_ERR_OVER;
        }
        self.answer = Some(status);
        self.ended |= self.over;
        if self.over { abi::EM_ERR_OVER } else { abi::NOERROR }
    }

    fn wake(&mut self) -> abi::STATUS {
        if self.ended {
            return abi::EM_ERR_OVER;
        }
        if self.case.polls.is_none() {
            return abi::EM_ERR_STAGE;
        }
        if self.answer.is_some() || self.over {
            return abi::EM_ERR_OVER;
        }
        self.woken = true;
        abi::NOERROR
    }

    fn extend(&mut self, milliseconds: u64) -> abi::STATUS {
        if self.ended || self.answer.is_some() || self.over {
            return abi::EM_ERR_OVER;
        }
        if self.now + milliseconds > LATEST_MS {
            return abi::EM_ERR_LIMIT;
        }
        self.deadline = self.deadline.max(self.now + milliseconds);
        abi::NOERROR
    }

    fn run(&mut self) {
        if !self.waits {
            return;
        }
        while self.answer.is_none() {
            if self.gone {
                self.give_up();
                self.verdict = Some(Decision::Continue);
                return;
            }
            if !std::mem::take(&mut self.woken) {
                break;
            }
            let polls = self.case.polls.as_deref().unwrap_or_default();
            let polled = polls.get(self.polled).copied().unwrap_or(abi::EM_PENDING);
            self.polled += 1;
            self.answer = (polled != abi::EM_PENDING).then_some(polled);
        }
        match self.answer {
            Some(status) => {
                self.ended = true;
                self.waits = false;
                self.faults += u64::from(
                    status == abi::EM_FAULT || status == abi::NOERROR && !self.case.accept,
                );
                // The fault contract is to go on.
                let handled = status == abi::NOERROR && self.case.accept;
                self.verdict =
                    Some(if handled { Decision::Handled(None) } else { Decision::Continue });
            }
            None if self.now >= self.deadline => {
                self.give_up();
                self.faults += 1;
                self.verdict = Some(Decision::Continue);
            }
            None => {}
        }
    }

    fn give_up(&mut self) {
        if !self.waits {
            return;
        }
        self.waits = false;
        self.over = true;
        self.ended = self.answer.is_some() || self.case.polls.is_some() && self.case.ends;
    }
}

/// A call's token, and the address of its record.
type Shown = Arc<Mutex<(u64, usize)>>;

/// A plug-in whose call goes pending as a case says, and shows it.
fn plugin(rig: &mut Rig, case: &Case, run: Run) -> (Hand, Shown, Option<&'static Look>) {
    rig.plugin_with("p", run, |config, _| {
        config.contracts = FaultContracts::everywhere(contract(DEADLINE_MS, OnFault::Continue));
        assert_eq!(config.contracts.at(Event::Mail).deadline_max, Duration::from_millis(LATEST_MS));
    });
    let hand = Hand::of(rig);
    let (polls, ends) = (case.polls.clone(), case.ends);
    let polled = AtomicUsize::new(0);
    let look_of_case = polls.map(|polls| {
        leak(move |_, reason| {
            if reason == abi::EM_POLL_OVER {
                return if ends { abi::EM_FAULT } else { abi::EM_PENDING };
            }
            let number = polled.fetch_add(1, Ordering::SeqCst);
            polls.get(number).copied().unwrap_or(abi::EM_PENDING)
        })
    });
    let lent = Arc::new(Mutex::new((0, 0)));
    for event in [abi::EM_SMTPMAIL, abi::EM_SMTPMESSAGEACCEPT] {
        let lent = lent.clone();
        rig.on(event, abi::EM_REG_BEFORE, move |record| {
            let data = look_of_case.map_or(std::ptr::null_mut(), Look::data);
            let poll = look_of_case.map(|_| look as _);
            let token = take_with(hand.table(), record, poll, data).unwrap();
            *lent.lock().unwrap() = (token, std::ptr::from_ref(record).expose_provenance());
            abi::EM_PENDING
        });
    }
    rig.on(abi::EM_SMTPRCPT, abi::EM_REG_BEFORE, |_| abi::ERR_EM_CONTINUE);
    (hand, lent, look_of_case)
}

/// An event that is never pending: whether the plug-in is free for the session.
fn rcpt() -> Ask {
    let recipient = Address::parse("a@b").unwrap();
    ask(Question::Rcpt { recipient, parameters: "".into() }, Stage::Before, None)
}

/// Lets what was handed to the runtime be done.
async fn settle() {
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
}

/// Plays a case step by step and compares everything with the model.
async fn play(case: Case) {
    let mut rig = Rig::default();
    rig.plugin("stranger", Run::Inline);
    let stranger = Hand::of(&rig);
    let (hand, lent, look) = plugin(&mut rig, &case, Run::Inline);
    let host = rig.host();
    let dispatch = rig.dispatch();
    let question = if case.accept { accept() } else { mail() };
    let Asked::Waiting(answer) = dispatch.ask(question) else { panic!("it is pending") };
    let mut answer = Some(answer);
    let mut found = None;
    let mut model = Model::new(&case);
    let token = lent.lock().unwrap().0;
    for (number, step) in case.steps.iter().enumerate() {
        let at = format!("step {number}, {step:?}");
        match *step {
            Step::Complete(status) => {
                assert_eq!(hand.complete(token, status), model.complete(status), "{at}");
                settle().await;
            }
            Step::Wake => assert_eq!(hand.wake(token), model.wake(), "{at}"),
            Step::Extend(time) => {
                assert_eq!(hand.extend(token, time), model.extend(time.into()), "{at}");
            }
            Step::Foreign => {
                let status = stranger.complete(token, abi::NOERROR);
                assert_eq!(status, abi::ERR_NOT_FOUND, "{at}");
                assert_eq!(hand.wake(token + (1 << 40)), abi::ERR_NOT_FOUND, "{at}");
            }
            Step::Pass(time) => {
                tokio::time::advance(Duration::from_millis(time)).await;
                model.now += time;
            }
            Step::Run => {
                model.run();
                for _ in 0..4 {
                    let Some(waiting) = &mut answer else { break };
                    let polled =
                        std::future::poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context)));
                    if let Poll::Ready(verdict) = polled.await {
                        found = Some(verdict.decision);
                        answer = None;
                    }
                }
                assert_eq!(found, model.verdict, "{at}");
                settle().await;
            }
            Step::HangUp => {
                dispatch.hang_up();
                model.gone |= !case.accept;
            }
            Step::Drop => {
                answer = None;
                model.give_up();
                settle().await;
            }
        }
        check(host, look, &model, &at);
    }
    drop(answer);
    model.give_up();
    settle().await;
    check(host, look, &model, "at the end");
    // A call that the plug-in has not ended keeps the plug-in busy, until it does.
    let busy = u64::from(!model.ended);
    assert_eq!(now(dispatch.ask(rcpt())).decision, Decision::Continue);
    assert_eq!(host.state().faults, model.faults + busy);
    if !model.ended {
        assert_eq!(hand.complete(token, abi::NOERROR), abi::EM_ERR_OVER);
        settle().await;
        assert_eq!(host.pending(), 0);
        now(dispatch.ask(rcpt()));
        assert_eq!(host.state().faults, model.faults + 1);
    }
}

fn check(host: &Host, look: Option<&Look>, model: &Model, at: &str) {
    assert_eq!(host.pending(), usize::from(!model.ended), "{at}");
    assert_eq!(host.state().faults, model.faults, "{at}");
    if let Some(look) = look {
        assert_eq!(look.released.load(Ordering::SeqCst), usize::from(model.ended), "{at}");
    }
}

fn block_on(paused: bool, future: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().start_paused(paused).build().unwrap().block_on(future);
}

/// What a thread of the plug-in does; each uses what was lent as long as nobody has ended the call.
fn race(hand: Hand, token: u64, record: usize, ended: &Mutex<bool>, steps: &[Step]) -> usize {
    let edits: &abi::EmEditsService = service(abi::EM_EDITS_ID);
    let mut accepted = 0;
    for step in steps {
        match *step {
            Step::Complete(status) => {
                let mut ended = ended.lock().unwrap();
                if !*ended {
                    // SAFETY: the record is valid, since nobody has ended the call.
                    let record =
                        unsafe { &*std::ptr::with_exposed_provenance::<abi::EMRECORD>(record) };
                    // SAFETY: so is its sheet.
                    let set = unsafe { (edits.attribute)(sheet(record), lend("x"), lend("y")) };
                    assert_eq!(set, abi::NOERROR);
                }
                *ended = true;
                drop(ended);
                accepted += usize::from(hand.complete(token, status) == abi::NOERROR);
            }
            Step::Wake => {
                hand.wake(token);
            }
            Step::Extend(time) => {
                hand.extend(token, time % 3);
            }
            Step::Foreign => {
                assert_eq!(hand.wake(token + (1 << 40)), abi::ERR_NOT_FOUND);
            }
            Step::Pass(_) | Step::Run | Step::HangUp | Step::Drop => std::thread::yield_now(),
        }
    }
    accepted
}

/// Lets three threads race with the session and with each other.
async fn play_threads(run: Run, case: Case, others: [Vec<Step>; 2], late_ms: u64) {
    let mut rig = Rig::default();
    // The answer of a poll would end the call under the threads' hands.
    let case = Case { polls: case.polls.map(|_| Vec::new()), ends: false, ..case };
    let (hand, lent, look) = plugin(&mut rig, &case, run);
    let host = rig.host();
    let dispatch = rig.dispatch();
    let asked = dispatch.ask(mail());
    let waiting = tokio::spawn(answered(asked));
    while lent.lock().unwrap().0 == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (token, record) = *lent.lock().unwrap();
    let ended = Arc::new(Mutex::new(false));
    let started = Arc::new(std::sync::Barrier::new(4));
    let threads: Vec<_> = [case.steps.clone(), others[0].clone(), others[1].clone()]
        .into_iter()
        .map(|steps| {
            let (ended, started) = (ended.clone(), started.clone());
            tokio::task::spawn_blocking(move || {
                started.wait();
                race(hand, token, record, &ended, &steps)
            })
        })
        .collect();
    let hangs_up = case.steps.iter().any(|step| matches!(step, Step::HangUp));
    let drops = case.steps.iter().any(|step| matches!(step, Step::Drop));
    tokio::task::spawn_blocking(move || started.wait()).await.unwrap();
    tokio::time::sleep(Duration::from_micros(late_ms)).await;
    if hangs_up {
        dispatch.hang_up();
    }
    if drops {
        waiting.abort();
    }
    let mut accepted = 0;
    for thread in threads {
        accepted += thread.await.unwrap();
    }
    assert!(accepted <= 1, "two answers were accepted");
    if accepted == 0 && !hangs_up && !drops {
        accepted += usize::from(hand.complete(token, abi::ERR_EM_CONTINUE) == abi::NOERROR);
        assert_eq!(accepted, 1, "nobody else has ended it");
    } else {
        hand.complete(token, abi::ERR_EM_CONTINUE);
    }
    match waiting.await {
        // The fault contract is to go on, and handled is a fault at MAIL.
        Ok(verdict) => assert_eq!(verdict.decision, Decision::Continue),
        Err(aborted) => assert!(drops && aborted.is_cancelled()),
    }
    let ends = async {
        let released = || look.is_none_or(|look| look.released.load(Ordering::SeqCst) == 1);
        while host.pending() > 0 || !released() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ends).await.expect("the call ends");
    assert_eq!(hand.complete(token, abi::NOERROR), abi::EM_ERR_OVER);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_to_a_call_comes_out_as_the_model_says(case in case()) {
        block_on(true, play(case));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_call_that_threads_race_for_is_answered_once_and_ends(
        pool in any::<bool>(),
        case in case(),
        others in [vec(step(), 1..8), vec(step(), 1..8)],
        late in 0..400u64,
    ) {
        let run = if pool { Run::Pool } else { Run::Inline };
        block_on(false, play_threads(run, case, others, late));
    }
}
