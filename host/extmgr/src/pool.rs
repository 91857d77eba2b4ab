//! Threads for calls that may block: never more of one plug-in at once than it may have.
//! Knows no verdict; gives back what the handler left, or that it is late.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use stagepost_smtp::{Ask, Event};

use crate::call::{Called, invoke_in};
use crate::context::Context;
use crate::fault::{Allowance, Fault};
use crate::pending::Begun;
use crate::registry::Registration;
use crate::threads::Threads;
use crate::turn::Turn;

/// How many calls are out on threads of their own, of all plug-ins.
static CALLS_OUT: Mutex<usize> = Mutex::new(0);
/// Told when none is out any more.
static ALL_BACK: Condvar = Condvar::new();

/// Waits until every plug-in's call has returned, but no longer than this. False: one has not, and its thread can't be
/// ended.
pub fn calls_return_within(time: Duration) -> bool {
    let out = CALLS_OUT.lock().unwrap_or_else(PoisonError::into_inner);
    let waited = ALL_BACK.wait_timeout_while(out, time, |out| *out > 0);
    *waited.unwrap_or_else(PoisonError::into_inner).0 == 0
}

/// One plug-in's share of the threads.
pub(crate) struct Pool {
    threads_max: usize,
    free: Arc<Semaphore>,
    threads: Arc<Threads>,
}

/// Counts a call as long as it is out.
pub(crate) struct Out;

impl Out {
    pub(crate) fn begin() -> Self {
        *CALLS_OUT.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Self
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        let mut out = CALLS_OUT.lock().unwrap_or_else(PoisonError::into_inner);
        *out -= 1;
        if *out == 0 {
            ALL_BACK.notify_all();
        }
    }
}

impl Pool {
    /// Room for so many calls of the plug-in of this name.
    pub(crate) fn new(threads_max: usize, name: &str) -> Self {
        let threads_max = threads_max.clamp(1, Semaphore::MAX_PERMITS);
        let free = Arc::new(Semaphore::new(threads_max));
        Self { threads_max, free, threads: Arc::new(Threads::new(name)) }
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
        let call = move || invoke_in(turn, &registration, &ask, begun);
        match timeout_at(deadline, run(&self.threads, permit, call)).await {
            Ok(Ok(called)) => called,
            Ok(Err(failed)) => Called::Faulty(Fault::Host(failed)),
            Err(_) => Called::Faulty(Fault::Late(allowed)),
        }
    }

    /// Runs something on a thread that may block, as soon as one is free.
    pub(crate) fn when_free(
        &self,
        run: impl FnOnce() + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (free, threads) = (self.free.clone(), self.threads.clone());
        async move {
            if let Ok(permit) = free.acquire_owned().await {
                // Nobody is there to be told.
                let _ = self::run(&threads, permit, run).await;
            }
        }
    }

    fn exhausted(&self, waited: Duration) -> Fault {
        Fault::Exhausted { waited, threads_max: self.threads_max }
    }
}

/// Runs something on a thread that may block, from the first poll on; it goes on also when nobody waits for it any more.
///
/// # Errors
/// In words: there is no thread, or it panicked.
async fn run<T: Send + 'static>(
    threads: &Threads,
    permit: OwnedSemaphorePermit,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    #[cfg(test)]
    let _still = tests::StillClock::default();
    let out = Out::begin();
    let job = move || {
        let result = run();
        drop(out);
        result
    };
    let answer = threads.run(permit, job).map_err(|error| format!("starting a thread: {error}"))?;
    match answer.await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_)) | Err(_) => Err("its thread panicked".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    /// Keeps a paused clock where it is: nothing becomes due of itself while a call is waited for.
    pub(super) struct StillClock(
        #[expect(dead_code, reason = "dropped")] std::sync::mpsc::Sender<()>,
    );

    impl Default for StillClock {
        fn default() -> Self {
            let (still, over) = std::sync::mpsc::channel();
            drop(tokio::task::spawn_blocking(move || over.recv()));
            Self(still)
        }
    }
}
