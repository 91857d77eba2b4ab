//! Puts the tables on disk behind the committer's back, so that the journal can be written over.
//! Knows no row and no request. What fails here is told to the committer, who opens everything anew.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{Builder, JoinHandle};

use super::engine::Engine;
use super::fault::Faults;

/// The keeper's threads. Dropped, it waits for what they are at.
pub(super) struct Keeper {
    engine: Arc<Engine>,
    shared: Arc<Shared>,
    checkpoints: Option<mpsc::Sender<u64>>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    progress: Mutex<Progress>,
    changed: Condvar,
    stopping: AtomicBool,
}

struct Progress {
    /// The tables have the groups up to this one on disk.
    done: u64,
    /// A checkpoint is under way.
    running: bool,
    failed: Option<(io::ErrorKind, Arc<str>)>,
}

impl Keeper {
    /// Starts the threads, for tables that have the groups up to this one on disk.
    pub(super) fn start(
        engine: Arc<Engine>,
        faults: Arc<dyn Faults>,
        done: u64,
    ) -> io::Result<Self> {
        let progress = Mutex::new(Progress { done, running: false, failed: None });
        let stopping = AtomicBool::new(false);
        let shared = Arc::new(Shared { progress, changed: Condvar::new(), stopping });
        let (checkpoints, begun) = mpsc::channel();
        let (joining, to_join) = mpsc::channel();
        // Whatever an earlier start has left.
        let _ = joining.send(());
        let mut keeper =
            Self { engine, shared, checkpoints: Some(checkpoints), threads: Vec::new() };
        let (engine, shared) = (Arc::clone(&keeper.engine), Arc::clone(&keeper.shared));
        keeper.spawn("queue-flush", move || {
            for sequence in begun {
                shared.flush(&engine, &*faults, sequence);
                let _ = joining.send(());
            }
        })?;
        let (engine, shared) = (Arc::clone(&keeper.engine), Arc::clone(&keeper.shared));
        keeper.spawn("queue-join", move || {
            for () in to_join {
                engine.compact(|| shared.stopping.load(Ordering::Relaxed));
            }
        })?;
        Ok(keeper)
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.threads.push(Builder::new().name(name.to_owned()).spawn(work)?);
        Ok(())
    }

    /// The last group that the tables have on disk.
    ///
    /// # Errors
    /// What a checkpoint failed with.
    pub(super) fn done(&self) -> io::Result<u64> {
        self.shared.progress().result()
    }

    /// Begins a checkpoint at this group, the last that was applied, unless one is under way.
    pub(super) fn begin(&self, sequence: u64) {
        {
            let mut progress = self.shared.progress();
            if progress.running || progress.failed.is_some() {
                return;
            }
            progress.running = true;
        }
        self.engine.seal(sequence);
        if let Some(checkpoints) = &self.checkpoints {
            // The thread ends after its sender.
            let _ = checkpoints.send(sequence);
        }
    }

    /// Waits for a checkpoint behind this group; which one. Blocks.
    ///
    /// # Errors
    /// What the checkpoint failed with, or that none is under way.
    pub(super) fn wait(&self, behind: u64) -> io::Result<u64> {
        let mut progress = self.shared.progress();
        loop {
            let done = progress.result()?;
            if done > behind {
                return Ok(done);
            }
            if !progress.running {
                return Err(io::Error::other(
                    "the journal is full, and nothing is under way to empty it",
                ));
            }
            progress = self.shared.changed.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.checkpoints = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread that keeps the queue's tables has panicked");
            }
        }
    }
}

impl Shared {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flush(&self, engine: &Engine, faults: &dyn Faults, sequence: u64) {
        let running = Running(self);
        let result = engine.flush(faults);
        let mut progress = self.progress();
        match result {
            Ok(()) => progress.done = sequence,
            Err(error) => {
                progress.failed = Some((error.kind(), error.to_string().into()));
            }
        }
        drop(progress);
        drop(running);
    }
}

/// A checkpoint that is under way, and ends when this is dropped: also by a panic.
struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut progress = self.0.progress();
        progress.running = false;
        if std::thread::panicking() {
            progress.failed = Some((io::ErrorKind::Other, "a checkpoint has panicked".into()));
        }
        drop(progress);
        self.0.changed.notify_all();
    }
}

impl Progress {
    fn result(&self) -> io::Result<u64> {
        match &self.failed {
            Some((kind, reason)) => Err(io::Error::new(*kind, &**reason)),
            None => Ok(self.done),
        }
    }
}
