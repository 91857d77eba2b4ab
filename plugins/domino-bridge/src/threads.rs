//! Threads for calls of add-ins, which may sleep for seconds: one for each call that is out, up to a bound, and kept for a while.
//! Knows no add-in: a job is run, and whoever waits for it is told what it came to.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// How long a thread waits for a job before it goes.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// How much of the stack each has: as much as programs' own threads have, for which add-ins were written.
const STACK_OCTETS: usize = 8 << 20;

type Job = Box<dyn FnOnce() + Send>;

/// Why there is no thread for a job.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoThread {
    #[error("all {0} threads for add-ins are in calls (threads_max)")]
    Exhausted(usize),
    #[error("no thread for a call of an add-in: {0}")]
    System(std::io::Error),
}

/// The threads.
#[derive(Clone)]
pub(crate) struct Threads(Arc<Shared>);

struct Shared {
    most: usize,
    crew: Mutex<Crew>,
    job_there: Condvar,
}

#[derive(Default)]
struct Crew {
    /// Jobs for which a thread is idle.
    jobs: Vec<Job>,
    idle: usize,
    all: usize,
}

impl Shared {
    fn crew(&self) -> MutexGuard<'_, Crew> {
        self.crew.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread's life.
    fn work(&self, first: Job) {
        let mut job = first;
        loop {
            // A job catches what panics in it.
            job();
            let mut crew = self.crew();
            crew.idle += 1;
            let waiting =
                self.job_there.wait_timeout_while(crew, IDLE_MAX, |crew| crew.jobs.is_empty());
            crew = waiting.unwrap_or_else(PoisonError::into_inner).0;
            match crew.jobs.pop() {
                // Whoever left it has counted this thread out of the idle ones.
                Some(next) => job = next,
                None => {
                    crew.idle -= 1;
                    crew.all -= 1;
                    return;
                }
            }
        }
    }
}

impl Threads {
    pub(crate) fn new(most: usize) -> Self {
        let (crew, job_there) = (Mutex::default(), Condvar::new());
        Self(Arc::new(Shared { most, crew, job_there }))
    }

    /// Has a job done on a thread that may block.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Returned<T>, NoThread> {
        let returned = Returned(Arc::new(Desk { state: Mutex::default(), done: Condvar::new() }));
        let desk = Arc::clone(&returned.0);
        self.spawn(Box::new(move || desk.put(catch_unwind(AssertUnwindSafe(job)).ok())))?;
        Ok(returned)
    }

    fn spawn(&self, job: Job) -> Result<(), NoThread> {
        let mut crew = self.0.crew();
        if crew.idle > 0 {
            crew.idle -= 1;
            crew.jobs.push(job);
            self.0.job_there.notify_one();
            return Ok(());
        }
        if crew.all >= self.0.most {
            return Err(NoThread::Exhausted(self.0.most));
        }
        let shared = Arc::clone(&self.0);
        let named = Builder::new().name("domino add-in".to_owned());
        named.stack_size(STACK_OCTETS).spawn(move || shared.work(job)).map_err(NoThread::System)?;
        crew.all += 1;
        Ok(())
    }
}

/// What a job comes to, for one who waits: as a future, or on a thread that may block.
pub(crate) struct Returned<T>(Arc<Desk<T>>);

struct Desk<T> {
    state: Mutex<State<T>>,
    done: Condvar,
}

struct State<T> {
    /// None inside: the job panicked.
    came: Option<Option<T>>,
    waker: Option<Waker>,
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self { came: None, waker: None }
    }
}

impl<T> Desk<T> {
    fn put(&self, came: Option<T>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.came = Some(came);
        let waker = state.waker.take();
        drop(state);
        self.done.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Returned<T> {
    /// Waits until it is done. None: it panicked.
    pub(crate) fn wait(&self) -> Option<T> {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.done.wait_while(state, |state| state.came.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).came.take().flatten()
    }

    /// Waits until it is done, but no longer than until then. `None`: it is not; the inner one: it panicked.
    pub(crate) fn wait_until(&self, due: Instant) -> Option<Option<T>> {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let left = due.saturating_duration_since(Instant::now());
        let waited = self.0.done.wait_timeout_while(state, left, |state| state.came.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.came.take()
    }
}

impl<T> Future for Returned<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.came.take() {
            Some(came) => Poll::Ready(came),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn jobs_are_done_and_threads_are_used_again() {
        let threads = Threads::new(1);
        for round in 0..100 {
            // The thread is idle a moment behind its answer.
            let returned = loop {
                match threads.run(move || round * 2) {
                    Ok(returned) => break returned,
                    Err(_) => std::thread::yield_now(),
                }
            };
            assert_eq!(returned.wait_until(soon()), Some(Some(round * 2)));
        }
        assert_eq!(threads.0.crew().all, 1);
    }

    #[test]
    fn there_are_no_more_than_may_be_and_late_ones_come_in_the_end() {
        let threads = Threads::new(2);
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let hold = || {
            let gate = Arc::clone(&gate);
            move || gate.lock().unwrap().recv().is_ok()
        };
        let (one, two) = (threads.run(hold()).unwrap(), threads.run(hold()).unwrap());
        assert!(matches!(threads.run(|| ()), Err(NoThread::Exhausted(2))));
        assert_eq!(one.wait_until(Instant::now()), None);
        open.send(()).unwrap();
        open.send(()).unwrap();
        assert_eq!(
            (one.wait_until(soon()), two.wait_until(soon())),
            (Some(Some(true)), Some(Some(true)))
        );
    }

    #[test]
    fn a_panic_is_told_and_its_thread_stays() {
        let threads = Threads::new(1);
        let returned = threads.run(|| -> u32 { panic!("in a job") }).unwrap();
        assert_eq!(returned.wait_until(soon()), Some(None));
        assert_eq!(threads.0.crew().all, 1);
    }
}
