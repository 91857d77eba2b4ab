//! Threads for calls that may block: never more of one plug-in at once than it may have.
//! Knows no verdict; gives back what the handler left, or that it is late.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use stagepost_abi as abi;
use stagepost_smtp::{Ask, Event};

use crate::call::{Outcome, invoke};
use crate::context::Context;
use crate::fault::{Allowance, Fault};
use crate::figures::{AnswerKind, FaultKind};
use crate::registry::Registration;

/// How many calls are out on threads of their own, of all plug-ins.
static CALLS_OUT: AtomicUsize = AtomicUsize::new(0);

/// Whether a plug-in's call has not returned: its thread can't be ended.
pub fn calls_are_out() -> bool {
    CALLS_OUT.load(Ordering::Acquire) > 0
}

/// One plug-in's share of the threads.
pub(crate) struct Pool {
    threads_max: usize,
    free: Arc<Semaphore>,
}

/// What became of a call.
pub(crate) enum Called {
    /// The handler has returned.
    Returned(Outcome),
    /// It is made later, when the plug-in's turn comes: nobody waits for its answer.
    Owed,
    /// The call is at fault.
    Faulty(Fault),
}

/// A plug-in's turn in one session: at most one call of it at a time. When it ends, calls that became due meanwhile are
/// made, and then the plug-in is free again.
struct Turn {
    plugin: usize,
    context: Arc<Context>,
}

impl Turn {
    fn begin(plugin: usize, context: &Arc<Context>) -> Option<Self> {
        context.begin(plugin).then(|| Self { plugin, context: context.clone() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        while let Some((registration, ask)) = self.context.next_owed(self.plugin) {
            let clock = Instant::now();
            let outcome = invoke(&registration, &ask, &self.context);
            count_owed(&registration, &ask, &outcome, clock);
        }
    }
}

/// Counts a call that nobody waited for: the chain has gone on without its answer.
fn count_owed(registration: &Registration, ask: &Ask, outcome: &Outcome, clock: Instant) {
    let Some(counters) = registration.plugin.counters.at(registration.event, ask.stage) else {
        return;
    };
    counters.took(Some(clock.elapsed()));
    if outcome.status == abi::EM_FAULT {
        counters.failed(FaultKind::Panic);
    } else {
        counters.answered(AnswerKind::Continue);
    }
}

/// Counts a call as long as it is out.
struct Out;

impl Out {
    fn begin() -> Self {
        CALLS_OUT.fetch_add(1, Ordering::AcqRel);
        Self
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        CALLS_OUT.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Pool {
    pub(crate) fn new(threads_max: usize) -> Self {
        let threads_max = threads_max.clamp(1, Semaphore::MAX_PERMITS);
        Self { threads_max, free: Arc::new(Semaphore::new(threads_max)) }
    }

    /// Calls a handler on a thread that may block, and waits until its deadline. A late call goes on by itself: it has its
    /// own hold on the question, and its answer is dropped.
    pub(crate) async fn call(
        &self,
        registration: Arc<Registration>,
        ask: Arc<Ask>,
        context: Arc<Context>,
        allowed: Allowance,
    ) -> Called {
        let plugin = registration.plugin;
        let deadline = Instant::now() + allowed.time;
        // A disconnect is owed rather than dropped: a plug-in must be able to let go of what it keeps for the session.
        let owes = ask.question.event() == Event::Disconnect;
        let turn = match Turn::begin(plugin.index, &context) {
            Some(turn) => turn,
            None if owes && context.owe(&registration, &ask) => return Called::Owed,
            // The turn before may have ended just now.
            None => match Turn::begin(plugin.index, &context) {
                Some(turn) => turn,
                None => return Called::Faulty(Fault::Busy),
            },
        };
        let permit = match timeout_at(deadline, self.free.clone().acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(closed)) => return Called::Faulty(Fault::Host(closed.to_string())),
            Err(_) if owes && context.owe(&registration, &ask) => {
                tokio::spawn(end_later(turn, self.free.clone()));
                return Called::Owed;
            }
            Err(_) => return Called::Faulty(self.exhausted(allowed.time)),
        };
        let task = spawn(turn, permit, move |context| invoke(&registration, &ask, context));
        Self::returned(task, deadline, allowed).await
    }

    async fn returned(
        mut task: JoinHandle<Outcome>,
        deadline: Instant,
        allowed: Allowance,
    ) -> Called {
        match timeout_at(deadline, &mut task).await {
            Ok(Ok(outcome)) => Called::Returned(outcome),
            Ok(Err(failed)) => Called::Faulty(Fault::Host(failed.to_string())),
            Err(_) => {
                // One that has not begun yet never will; one that has goes on.
                task.abort();
                Called::Faulty(Fault::Late(allowed))
            }
        }
    }

    fn exhausted(&self, waited: Duration) -> Fault {
        Fault::Exhausted { waited, threads_max: self.threads_max }
    }
}

/// Runs a turn on a thread that may block.
fn spawn<T: Send + 'static>(
    turn: Turn,
    permit: OwnedSemaphorePermit,
    run: impl FnOnce(&Context) -> T + Send + 'static,
) -> JoinHandle<T> {
    tokio::task::spawn_blocking(move || {
        let out = Out::begin();
        let result = run(&turn.context);
        drop(turn);
        drop(out);
        drop(permit);
        result
    })
}

/// Ends a turn, and so makes the calls owed in it, once a thread is free.
async fn end_later(turn: Turn, free: Arc<Semaphore>) {
    if let Ok(permit) = free.acquire_owned().await {
        // Nobody waits for it.
        drop(spawn(turn, permit, |_| ()));
    }
}
