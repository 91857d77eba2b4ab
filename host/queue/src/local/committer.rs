//! The committer: one thread that joins whatever waits into one durable batch, at once when idle.
//! Knows no row; it owns the engine's life: a failed one is dropped and opened anew, a sync is never retried.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::bodies::BodyFile;
use super::change::{Change, Changed, read_count};
use super::core::Core;
use super::engine::{Engine, EngineError, TOTAL_KEY};
use super::fault::{Faults, Operation};
use super::journal::{Doubt, Journal};
use super::keeper::Keeper;
use super::key::{DueKey, Place};
use super::record::CountRecord;
use super::request::{Answer, Request, Waiting};
use super::rows::Batch;
use crate::{Health, Lease, Moved, QueueId, StoreError};

/// Between two attempts to reopen a failed engine.
const REOPEN_FIRST: Duration = Duration::from_millis(100);
const REOPEN_MAX: Duration = Duration::from_secs(5);

/// A request that is in the batch, and what is left to do about it.
enum Joined {
    Insert { file: Option<BodyFile>, answer: Answer<()> },
    Settle { lease: Lease, answer: Answer<()> },
    Hold { answer: Answer<()> },
    Move { moved: Moved, answer: Answer<Moved> },
    Nobody,
}

/// The committer's own state.
pub(super) struct Committer {
    core: Arc<Core>,
    waiting: Waiting,
    total: CountRecord,
    opened: Option<Opened>,
    failed: Option<Failure>,
    /// The bodies of messages whose group could not be written: refused, but perhaps in the journal until that is opened anew.
    doubtful: Vec<BodyFile>,
}

/// What an open store writes with.
pub(super) struct Opened {
    pub(super) engine: Arc<Engine>,
    journal: Journal,
    keeper: Keeper,
}

struct Failure {
    doubt: Doubt,
    at: Instant,
    wait: Duration,
    reason: Arc<str>,
}

impl Committer {
    pub(super) fn new(
        core: Arc<Core>,
        requests: mpsc::Receiver<Request>,
        opened: Opened,
        total: CountRecord,
    ) -> Self {
        let (waiting, opened) = (Waiting::new(requests), Some(opened));
        Self { core, waiting, total, opened, failed: None, doubtful: Vec::new() }
    }

    /// Works until the store is closed or nobody can ask any more.
    pub(super) fn run(mut self) {
        while let Some(mut requests) = self.waiting.next_batch() {
            // A request to close is alone in its batch.
            match requests.pop() {
                Some(Request::Close { answer }) => {
                    // Closed before they are told.
                    drop(self);
                    let _ = answer.send(());
                    return;
                }
                Some(last) => requests.push(last),
                None => {}
            }
            self.carry_out(requests);
        }
    }

    fn carry_out(&mut self, requests: Vec<Request>) {
        let engine = match self.open() {
            Ok(engine) => engine,
            Err(error) => return self.refuse_all(requests, &error),
        };
        let inserts = requests.iter().any(|request| matches!(request, Request::Insert { .. }));
        let space = if inserts { self.core.check_space() } else { Ok(()) };
        if let Err(StoreError::Unavailable(reason)) = &space {
            // The spool is no longer where it was.
            drop(engine);
            self.give_up_open(Arc::clone(reason));
            return self.refuse_all(requests, &StoreError::Unavailable(Arc::clone(reason)));
        }
        // Whoever is refused finds the health changed already.
        if inserts {
            self.core.set_health(match &space {
                Err(StoreError::NoSpace { free, wanted }) => {
                    Health::NoSpace { free: *free, wanted: *wanted }
                }
                _ => Health::Accepting,
            });
        }
        let mut change = Change::new(&engine, self.total);
        let mut joined = Vec::with_capacity(requests.len());
        for request in requests {
            if let (Request::Insert { .. }, Err(error)) = (&request, &space) {
                self.refuse(request, error);
            } else if let Some(request) = self.apply(&mut change, request) {
                joined.push(request);
            }
        }
        let Changed { batch, counts, total, queued, files_freed } = change.end();
        drop(engine);
        let committed = if batch.is_empty() { Ok(()) } else { self.commit(batch, &counts) };
        match committed {
            Ok(()) => {
                self.total = total;
                self.succeed(joined, queued, &files_freed);
            }
            Err(error) => self.fail(joined, &error),
        }
    }

    /// Adds one request to the change; one that can't be is answered here.
    fn apply(&self, change: &mut Change<'_>, request: Request) -> Option<Joined> {
        let (result, joined) = match request {
            Request::Insert { rows, file, answer } => {
                change.insert(rows);
                (Ok(()), Joined::Insert { file, answer })
            }
            Request::Settle { lease, settlement, due_ms, answer } => {
                (change.settle(&lease, &settlement, due_ms), Joined::Settle { lease, answer })
            }
            Request::Hold { id, reason, answer } => {
                (change.hold(id, &reason), Joined::Hold { answer })
            }
            Request::SetAside { key } => (change.set_aside(&key), Joined::Nobody),
            Request::Move { selection, what, after, answer } => {
                match change.move_some(&selection, &what, after.as_ref()) {
                    Ok(moved) => (Ok(()), Joined::Move { moved, answer }),
                    Err(error) => {
                        let _ = answer.send(Err(error));
                        return None;
                    }
                }
            }
            Request::Reopen | Request::Close { .. } => return None,
        };
        match result {
            Ok(()) => Some(joined),
            Err(error) => {
                self.disappoint(joined, &error);
                None
            }
        }
    }

    /// Puts a batch into the journal, on disk, then into the tables: nothing of it can be read before.
    fn commit(&mut self, batch: Batch, counts: &HashMap<Place, CountRecord>) -> io::Result<()> {
        let Some(Opened { engine, journal, keeper }) = &mut self.opened else {
            return Err(io::Error::other("it is not open"));
        };
        journal.release(keeper.done()?);
        batch.encode(journal.group());
        journal.write(|behind| keeper.wait(behind))?;
        engine.apply(batch).map_err(io::Error::other)?;
        engine.counters.changed(counts);
        if journal.wants_checkpoint() {
            keeper.begin(journal.last());
        }
        Ok(())
    }

    fn succeed(&self, joined: Vec<Joined>, queued: Vec<DueKey>, files_freed: &[QueueId]) {
        let wake = !queued.is_empty();
        {
            let mut ready = self.core.ready();
            // A lease ends before its delivery can be found again.
            for request in &joined {
                if let Joined::Settle { lease, .. } = request {
                    ready.end_finish(lease.id, &lease.destination);
                }
            }
            for key in queued {
                ready.add(key);
            }
        }
        for request in joined {
            match request {
                Joined::Insert { file, answer, .. } => {
                    if let Some(mut file) = file {
                        file.keep();
                    }
                    let _ = answer.send(Ok(()));
                }
                Joined::Settle { answer, .. } | Joined::Hold { answer } => {
                    let _ = answer.send(Ok(()));
                }
                Joined::Move { moved, answer } => {
                    let _ = answer.send(Ok(moved));
                }
                Joined::Nobody => {}
            }
        }
        if wake {
            self.core.work.notify_one();
        }
        for id in files_freed {
            self.core.bodies.remove(*id);
        }
    }

    /// The batch failed: the engine is given up, everybody in the batch is told, and nothing was acknowledged.
    fn fail(&mut self, joined: Vec<Joined>, error: &io::Error) {
        tracing::error!(%error, requests = joined.len(), "a commit failed; the queue is opened anew");
        let answer = self.core.io_error(error);
        self.give_up_open(error.to_string().into());
        for mut request in joined {
            // The row may be in the journal: its file goes when the row is known to count no longer.
            if let Joined::Insert { file, .. } = &mut request {
                self.doubtful.extend(file.take());
            }
            self.disappoint(request, &answer);
        }
    }

    fn give_up_open(&mut self, reason: Arc<str>) {
        if let Some(opened) = &self.opened {
            self.give_up(opened.journal.doubt(), reason, REOPEN_FIRST);
        }
    }

    fn give_up(&mut self, doubt: Doubt, reason: Arc<str>, wait: Duration) {
        self.core.set_engine(None);
        self.core.set_health(Health::Failed { reason: Arc::clone(&reason) });
        self.opened = None;
        self.failed = Some(Failure { doubt, at: Instant::now(), wait, reason });
    }

    /// The open engine; a failed one is reopened when it is time to try again.
    fn open(&mut self) -> Result<Arc<Engine>, StoreError> {
        let Some(failure) = &self.failed else {
            return self.core.engine();
        };
        if failure.at.elapsed() < failure.wait {
            return Err(StoreError::Unavailable(Arc::clone(&failure.reason)));
        }
        let (doubt, wait) = (failure.doubt, (failure.wait * 2).min(REOPEN_MAX));
        match self.reopen(doubt) {
            Ok(opened) => {
                let engine = Arc::clone(&opened.engine);
                self.opened = Some(opened);
                self.failed = None;
                // Nothing that was refused can come back: the files go.
                self.doubtful.clear();
                self.core.ready().rewind();
                self.core.set_engine(Some(Arc::clone(&engine)));
                self.core.set_health(Health::Accepting);
                self.core.work.notify_one();
                Ok(engine)
            }
            Err(error) => {
                tracing::error!(%error, "the queue could not be reopened");
                self.give_up(doubt, error.to_string().into(), wait);
                Err(error)
            }
        }
    }

    fn reopen(&mut self, doubt: Doubt) -> Result<Opened, StoreError> {
        let io_error = |error: io::Error| self.core.io_error(&error);
        self.core.faults.before(Operation::Reopen).map_err(io_error)?;
        let opened = Opened::open(&self.core.path, &self.core.faults, Some(doubt));
        let opened = opened.map_err(|error| match error {
            EngineError::Io(error) => self.core.io_error(&error),
            other => StoreError::unavailable(other),
        })?;
        self.total = read_count(&opened.engine.total, TOTAL_KEY)?;
        Ok(opened)
    }

    fn refuse_all(&self, requests: Vec<Request>, error: &StoreError) {
        for request in requests {
            self.refuse(request, error);
        }
    }

    /// Answers a request that was not tried.
    fn refuse(&self, request: Request, error: &StoreError) {
        let joined = match request {
            Request::Insert { file, answer, .. } => Joined::Insert { file, answer },
            Request::Settle { lease, answer, .. } => Joined::Settle { lease, answer },
            Request::Hold { answer, .. } => Joined::Hold { answer },
            Request::Move { answer, .. } => {
                Joined::Move { moved: Moved { count: 0, after: None }, answer }
            }
            Request::SetAside { .. } | Request::Reopen | Request::Close { .. } => Joined::Nobody,
        };
        self.disappoint(joined, error);
    }

    fn disappoint(&self, joined: Joined, error: &StoreError) {
        let _ = match joined {
            Joined::Settle { lease, answer } => {
                self.core.ready().undo_finish(lease.id, &lease.destination);
                answer.send(Err(error.clone())).is_ok()
            }
            Joined::Insert { answer, .. } | Joined::Hold { answer } => {
                answer.send(Err(error.clone())).is_ok()
            }
            Joined::Move { answer, .. } => answer.send(Err(error.clone())).is_ok(),
            Joined::Nobody => true,
        };
    }
}

impl Opened {
    /// Opens the spool, after a failed write with what is in doubt. Blocks.
    pub(super) fn open(
        spool: &Path,
        faults: &Arc<dyn Faults>,
        doubt: Option<Doubt>,
    ) -> Result<Self, EngineError> {
        let (engine, journal) = Engine::open(spool, faults, doubt)?;
        let engine = Arc::new(engine);
        let keeper = Keeper::start(Arc::clone(&engine), Arc::clone(faults), journal.last())?;
        Ok(Self { engine, journal, keeper })
    }
}

/// Closes the store, also when the committer ends by a panic.
impl Drop for Committer {
    fn drop(&mut self) {
        // The next start finds out which of them have a row.
        for file in &mut self.doubtful {
            file.keep();
        }
        self.core.set_health(Health::Closed);
        self.core.set_engine(None);
    }
}
