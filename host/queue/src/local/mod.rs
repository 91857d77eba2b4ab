//! The embedded store: one process, one folder, nothing to install.
//! Holds how the parts are put together; what a lease or a row is, they know.

mod bodies;
mod change;
mod committer;
mod content;
mod core;
mod counters;
mod counting;
mod engine;
mod fault;
mod fetching;
mod finding;
mod folder;
mod held;
mod inspecting;
mod journal;
mod keeper;
mod key;
mod leasing;
mod ledger;
mod moving;
mod origin;
mod reading;
mod ready;
mod receiving;
mod record;
mod request;
mod row;
mod rows;
mod scratch;
mod table;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::{Notify, mpsc, oneshot};

use self::bodies::Bodies;
use self::change::read_count;
use self::committer::{Committer, Opened};
use self::core::Core;
use self::engine::{EngineError, TOTAL_KEY};
use self::fault::NoFaults;
pub use self::fault::{Faults, Operation};
use self::receiving::LocalIncoming;
use self::record::to_ms;
use self::request::{Answer, Request, WAITING_MAX};
pub use self::table::{LocalTable, TableError};
use crate::{
    BadMessage, BoxFuture, Count, Counts, Destinations, FetchRequest, Fetched, Health, Incoming,
    Inspection, Lease, LeaseRequest, Leases, Listed, Mark, MeantPage, Move, Moved, Page, QueueId,
    Selection, Settlement, Store, StoreError, StoredMessage, Summary,
};

/// The folder of large bodies in the spool.
const BODY_FOLDER: &str = "body";

/// What a local store needs to know.
pub struct LocalOptions {
    /// The spool: a folder of its own, made when missing. One process at a time.
    pub path: PathBuf,
    /// New messages are refused while the file system of the spool has fewer free octets.
    pub free_space_min: u64,
    /// Makes the disk fail, in tests.
    pub faults: Option<Arc<dyn Faults>>,
}

/// Why a local store can't be opened: for the operator.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("the queue in {0} is in use by another process")]
    InUse(PathBuf),
    /// A file or folder can't be read or made.
    #[error("the queue in {path} can't be opened: {error}")]
    Io {
        /// The spool.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// What is there can't be read as a queue.
    #[error("the queue in {path} can't be opened: {reason}")]
    Unreadable {
        /// The spool.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// The embedded store. All of its writing is done by one thread of its own.
pub struct LocalStore {
    core: Arc<Core>,
    requests: mpsc::Sender<Request>,
}

impl LocalStore {
    /// Opens the spool and starts the committer. Blocks: recovers what was committed, removes body files without a row.
    ///
    /// # Errors
    /// What keeps the spool from being opened.
    pub fn open(options: LocalOptions) -> Result<Self, OpenError> {
        let LocalOptions { path, free_space_min, faults } = options;
        let faults = faults.unwrap_or_else(|| Arc::new(NoFaults));
        let io_error = |error| OpenError::Io { path: path.clone(), error };
        let unreadable = |reason: String| OpenError::Unreadable { path: path.clone(), reason };
        let bodies = Bodies::open(path.join(BODY_FOLDER), Arc::clone(&faults)).map_err(io_error)?;
        let opened = Opened::open(&path, &faults, None).map_err(|error| match error {
            EngineError::InUse => OpenError::InUse(path.clone()),
            EngineError::Io(error) => io_error(error),
            other => unreadable(other.to_string()),
        })?;
        let engine = &opened.engine;
        let has_row = |id: QueueId| engine.message.contains_key(id.to_bytes());
        let orphans =
            bodies.collect_orphans(|id| has_row(id).map_err(io::Error::other)).map_err(io_error)?;
        let total =
            read_count(&engine.total, TOTAL_KEY).map_err(|error| unreadable(error.to_string()))?;
        tracing::info!(path = %path.display(), messages = total.messages, orphans, "the queue is open");
        let engine = Arc::clone(engine);
        let core = Arc::new(Core::new(path.clone(), free_space_min, faults, bodies, engine));
        let (requests, waiting) = mpsc::channel(WAITING_MAX);
        let committer = Committer::new(Arc::clone(&core), waiting, opened, total);
        std::thread::Builder::new()
            .name("queue-commit".to_owned())
            .spawn(move || committer.run())
            .map_err(io_error)?;
        Ok(Self { core, requests })
    }

    /// Puts a request to the committer and waits for the answer.
    async fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(request(answer)).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    /// Reads on a thread that may block; a failed store is asked to reopen.
    async fn read_with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Core) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let core = Arc::clone(&self.core);
        let result = blocking(move || work(&core)).await;
        if result.is_err() {
            self.nudge();
        }
        result
    }

    /// Has a failed store reopened, if it is time for that.
    fn nudge(&self) {
        if matches!(self.core.health(), Health::Failed { .. }) {
            // A full channel has requests enough that do the same.
            let _ = self.requests.try_send(Request::Reopen);
        }
    }

    async fn lease_due(&self, request: LeaseRequest) -> Result<Leases, StoreError> {
        let found = self.read_with(move |core| leasing::lease(core, &request)).await?;
        for key in found.damaged {
            let _ = self.requests.send(Request::SetAside { key }).await;
        }
        Ok(found.leases)
    }

    async fn fetch_waiting(&self, request: FetchRequest) -> Result<Fetched, StoreError> {
        let found = self.read_with(move |core| fetching::fetch(core, &request)).await?;
        for key in found.damaged {
            let _ = self.requests.send(Request::SetAside { key }).await;
        }
        Ok(found.fetched)
    }

    async fn settle(&self, lease: &Lease, settlement: Settlement) -> Result<(), StoreError> {
        let (given, leased) = (settlement.recipients.len(), lease.recipients.len());
        if given != leased {
            return Err(BadMessage::Settlement { given, leased }.into());
        }
        // Room first: between the two steps below nobody may drop this future.
        let room = self.requests.reserve().await.map_err(|_| closed())?;
        if !self.core.ready().begin_finish(lease.id, &lease.destination, lease.token) {
            return Err(StoreError::LeaseLost(lease.id));
        }
        let (answer, answered) = oneshot::channel();
        let due_ms = to_ms(settlement.next_due);
        room.send(Request::Settle { lease: lease.clone(), settlement, due_ms, answer });
        answered.await.map_err(|_| closed())?
    }

    async fn read_checked(&self, id: QueueId) -> Result<StoredMessage, StoreError> {
        let result = self.read_with(move |core| reading::read(core, id)).await;
        if let Err(StoreError::Corrupt { what, .. }) = &result {
            tracing::error!(%id, %what, "a queued message is corrupt; it is held");
            let reason = Arc::clone(what);
            self.ask(|answer| Request::Hold { id, reason, answer }).await?;
        }
        result
    }
}

impl Store for LocalStore {
    fn receive(&self) -> Result<Box<dyn Incoming>, StoreError> {
        match self.core.health() {
            Health::Accepting => {}
            Health::NoSpace { .. } => self.core.check_space()?,
            Health::Failed { reason } => {
                self.nudge();
                return Err(StoreError::Unavailable(reason));
            }
            Health::Closed => return Err(closed()),
        }
        let id = self.core.ids.next(SystemTime::now());
        Ok(Box::new(LocalIncoming::new(Arc::clone(&self.core), self.requests.clone(), id)))
    }

    fn lease(&self, request: LeaseRequest) -> BoxFuture<'_, Result<Leases, StoreError>> {
        Box::pin(self.lease_due(request))
    }

    fn fetch(&self, request: FetchRequest) -> BoxFuture<'_, Result<Fetched, StoreError>> {
        Box::pin(self.fetch_waiting(request))
    }

    fn finish<'a>(
        &'a self,
        lease: &'a Lease,
        settlement: Settlement,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.settle(lease, settlement))
    }

    fn read(&self, id: QueueId) -> BoxFuture<'_, Result<StoredMessage, StoreError>> {
        Box::pin(self.read_checked(id))
    }

    fn inspect(&self, id: QueueId) -> BoxFuture<'_, Result<Inspection, StoreError>> {
        Box::pin(self.read_with(move |core| inspecting::inspect(core, id)))
    }

    fn list(
        &self,
        which: Listed,
        after: Option<QueueId>,
        max: usize,
    ) -> BoxFuture<'_, Result<Page, StoreError>> {
        Box::pin(self.read_with(move |core| inspecting::list(core, which, after, max)))
    }

    fn list_meant(
        &self,
        selection: Selection,
        held: bool,
        after: Option<Mark>,
        max: usize,
    ) -> BoxFuture<'_, Result<MeantPage, StoreError>> {
        let found =
            move |core: &Core| finding::list_meant(core, &selection, held, after.as_ref(), max);
        Box::pin(self.read_with(found))
    }

    fn count(&self, destinations: Destinations) -> BoxFuture<'_, Result<Count, StoreError>> {
        let count = self.core.engine().map(|engine| engine.counters.of(&destinations));
        if count.is_err() {
            self.nudge();
        }
        Box::pin(std::future::ready(count))
    }

    fn counts(
        &self,
        after: Option<Destinations>,
        max: usize,
    ) -> BoxFuture<'_, Result<Counts, StoreError>> {
        Box::pin(self.read_with(move |core| counting::counts(core, after.as_ref(), max)))
    }

    fn move_some(
        &self,
        selection: Selection,
        what: Move,
        after: Option<Mark>,
    ) -> BoxFuture<'_, Result<Moved, StoreError>> {
        Box::pin(self.ask(|answer| Request::Move { selection, what, after, answer }))
    }

    fn summary(&self) -> BoxFuture<'_, Result<Summary, StoreError>> {
        Box::pin(self.read_with(|core| {
            let total = read_count(&core.engine()?.total, TOTAL_KEY)?;
            let record::CountRecord { messages, queued, held, octets } = total;
            Ok(Summary { messages, queued, held, octets })
        }))
    }

    fn wake(&self) -> &Notify {
        &self.core.work
    }

    fn health(&self) -> Health {
        self.core.health()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let (answer, answered) = oneshot::channel();
            if self.requests.send(Request::Close { answer }).await.is_ok() {
                let _ = answered.await;
            }
        })
    }
}

fn closed() -> StoreError {
    StoreError::unavailable("it is closed")
}

/// Runs blocking work where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(StoreError::unavailable)?
}

#[cfg(test)]
mod tests;
