//! Threads for calls that may block: never more of one plug-in at once than it may have.
//! Knows no verdict; gives back what the handler left, or that it is late.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use stagepost_smtp::{Ask, Event};

use crate::call::{Called, invoke_in};
use crate::context::Context;
use crate::fault::{Allowance, Fault};
use crate::pending::Begun;
use crate::registry::Registration;
use crate::turn::Turn;

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

/// Counts a call as long as it is out.
pub(crate) struct Out;

impl Out {
    pub(crate) fn begin() -> Self {
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
        chain_begun: Instant,
        allowed: Allowance,
    ) -> Called {
        let call = Instant::now();
        let deadline = call + allowed.time;
        let begun =
            Begun { chain: Some(chain_begun), call: Some(call), blocks_until: Some(deadline) };
        let owes = ask.question.event() == Event::Disconnect;
        let turn = match Turn::begin(&registration, &ask, &context) {
            Ok(turn) => turn,
            Err(called) => return called,
        };
        let permit = match timeout_at(deadline, self.free.clone().acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(closed)) => return Called::Faulty(Fault::Host(closed.to_string())),
            Err(_) if owes && context.owe(&registration, &ask) => {
                // Nobody waits for it.
                drop(tokio::spawn(self.when_free(move || drop(turn))));
                return Called::Unheard;
            }
            Err(_) => return Called::Faulty(self.exhausted(allowed.time)),
        };
        let task = spawn(permit, move || invoke_in(turn, &registration, &ask, begun));
        Self::returned(task, deadline, allowed).await
    }

    async fn returned(
        mut task: JoinHandle<Called>,
        deadline: Instant,
        allowed: Allowance,
    ) -> Called {
        match timeout_at(deadline, &mut task).await {
            Ok(Ok(called)) => called,
            Ok(Err(failed)) => Called::Faulty(Fault::Host(failed.to_string())),
            Err(_) => {
                // One that has not begun yet never will; one that has goes on.
                task.abort();
                Called::Faulty(Fault::Late(allowed))
            }
        }
    }

    /// Runs something on a thread that may block, as soon as one is free.
    pub(crate) fn when_free(
        &self,
        run: impl FnOnce() + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let free = self.free.clone();
        async move {
            if let Ok(permit) = free.acquire_owned().await {
                // A panic of it was reported when it happened.
                let _ = spawn(permit, run).await;
            }
        }
    }

    fn exhausted(&self, waited: Duration) -> Fault {
        Fault::Exhausted { waited, threads_max: self.threads_max }
    }
}

/// Runs something on a thread that may block.
fn spawn<T: Send + 'static>(
    permit: OwnedSemaphorePermit,
    run: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    tokio::task::spawn_blocking(move || {
        let out = Out::begin();
        let result = run();
        drop(out);
        drop(permit);
        result
    })
}
