//! Threads that may block: each does one job after another, the one that was busy last first, and goes when it has had none
//! for a while. Knows no plug-in and no bound: whoever hands a job over has made sure that there may be one more.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, Thread};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::oneshot::{Receiver, Sender, channel};

/// How long a thread waits for a job before it goes.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// What a job came to: its result, or what it panicked with.
pub(crate) type Came<T> = Result<T, Box<dyn Any + Send>>;

/// Threads of one name.
pub(crate) struct Threads {
    name: Box<str>,
    idle: Idle,
}

/// The threads that wait for a job, the one that was busy last at the end: its stack is the warmest.
#[derive(Clone, Default)]
struct Idle(Arc<Mutex<Vec<Worker>>>);

impl Idle {
    fn lock(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that waits, and where it finds its next job.
#[derive(Clone)]
struct Worker {
    thread: Thread,
    desk: Arc<Mutex<Option<Box<dyn Job>>>>,
}

/// A job, done in two steps: when the second one tells somebody, the thread is already there for the next job.
trait Job: Send {
    fn run(&mut self);
    fn tell(self: Box<Self>);
}

struct Work<F, T, K> {
    run: Option<F>,
    came: Option<Came<T>>,
    /// Given up when the thread is free again.
    kept: K,
    answer: Sender<Came<T>>,
    runtime: Handle,
}

impl<T: Send, F: FnOnce() -> T + Send, K: Send> Job for Work<F, T, K> {
    fn run(&mut self) {
        let _inside = self.runtime.enter();
        let run = self.run.take();
        // Nothing of the job is used after a panic but what it panicked with.
        self.came = run.map(|run| catch_unwind(AssertUnwindSafe(run)));
        if self.answer.is_closed() {
            // Nobody waits for it. What it holds is let go before there is another job.
            self.came = None;
        }
    }

    fn tell(self: Box<Self>) {
        let Self { came, kept, answer, .. } = *self;
        drop(kept);
        if let Some(came) = came {
            // Whoever waited may have gone just now.
            let _ = answer.send(came);
        }
    }
}

impl Threads {
    /// No thread yet. The system shows the first 15 octets of the name.
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.into(), idle: Idle::default() }
    }

    /// Has a job done, inside the runtime that this is called in. `kept` is dropped when the thread is free again, before
    /// anybody is told what the job came to.
    ///
    /// # Errors
    /// A thread is needed and can't be had; the job is dropped.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        kept: impl Send + 'static,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> std::io::Result<Receiver<Came<T>>> {
        let (answer, receiver) = channel();
        let runtime = Handle::current();
        let job = Box::new(Work { run: Some(run), came: None, kept, answer, runtime });
        let idle = self.idle.lock().pop();
        match idle {
            Some(worker) => {
                *worker.desk.lock().unwrap_or_else(PoisonError::into_inner) = Some(job);
                // Behind the lock, or it would wake to wait for that.
                worker.thread.unpark();
            }
            None => {
                let idle = self.idle.clone();
                Builder::new().name(self.name.to_string()).spawn(move || work(job, &idle))?;
            }
        }
        Ok(receiver)
    }
}

/// A thread's life, from its first job on.
fn work(first: Box<dyn Job>, idle: &Idle) {
    let this = Worker { thread: std::thread::current(), desk: Arc::default() };
    let mut job = first;
    loop {
        job.run();
        idle.lock().push(this.clone());
        job.tell();
        match next(&this, idle) {
            Some(next) => job = next,
            None => return,
        }
    }
}

/// Waits for a thread's next job. None: there was none for a while, and nobody can give it one any more.
fn next(this: &Worker, idle: &Idle) -> Option<Box<dyn Job>> {
    let since = Instant::now();
    loop {
        let job = this.desk.lock().unwrap_or_else(PoisonError::into_inner).take();
        if job.is_some() {
            return job;
        }
        let waited = since.elapsed();
        if waited >= IDLE_MAX {
            let mut idle = idle.lock();
            let place = idle.iter().position(|worker| Arc::ptr_eq(&worker.desk, &this.desk));
            if let Some(place) = place {
                idle.remove(place);
                return None;
            }
            // Somebody has taken it from there to give it a job.
            drop(idle);
            std::thread::park();
        } else {
            std::thread::park_timeout(IDLE_MAX - waited);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_job_after_another_is_done_by_one_thread() {
        let threads = Threads::new("one");
        let mut seen = Vec::new();
        for _ in 0..100 {
            let job = || (std::thread::current().id(), Handle::try_current().is_ok());
            let (thread, inside) = threads.run((), job).unwrap().await.unwrap().unwrap();
            assert!(inside, "a job can use the runtime");
            seen.push(thread);
        }
        seen.dedup();
        assert_eq!(seen.len(), 1);
    }

    #[tokio::test]
    async fn jobs_at_once_have_threads_of_their_own() {
        let threads = Threads::new("many");
        let barrier = Arc::new(std::sync::Barrier::new(8));
        for _ in 0..3 {
            let all: Vec<_> = (0..8)
                .map(|_| {
                    let barrier = barrier.clone();
                    threads.run((), move || barrier.wait().is_leader()).unwrap()
                })
                .collect();
            let mut leaders = 0;
            for one in all {
                leaders += usize::from(one.await.unwrap().unwrap());
            }
            assert_eq!(leaders, 1);
        }
        assert_eq!(threads.idle.lock().len(), 8, "threads are used again");
    }

    #[tokio::test]
    async fn a_panic_is_told_and_costs_no_thread() {
        let threads = Threads::new("panic");
        let failed = threads.run((), || std::panic::resume_unwind(Box::new("why"))).unwrap();
        let failed: Came<()> = failed.await.unwrap();
        assert_eq!(failed.unwrap_err().downcast_ref(), Some(&"why"));
        assert_eq!(threads.run((), || 7).unwrap().await.unwrap().unwrap(), 7);
        assert_eq!(threads.idle.lock().len(), 1);
    }

    #[tokio::test]
    async fn a_job_nobody_waits_for_is_done_and_lets_go() {
        let threads = Threads::new("alone");
        let held = Arc::new(());
        let (kept, result) = (held.clone(), held.clone());
        drop(threads.run(kept, move || result).unwrap());
        while Arc::strong_count(&held) > 1 {
            tokio::task::yield_now().await;
        }
    }
}
