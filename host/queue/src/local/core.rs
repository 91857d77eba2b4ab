//! What the parts of the local store share: the open engine, the state in memory, health and the wake-up.
//! Knows no request.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::Notify;

use super::bodies::Bodies;
use super::engine::Engine;
use super::fault::Faults;
use super::ready::Ready;
use crate::{Health, QueueIds, StoreError};

/// The shared parts of one open store.
pub(super) struct Core {
    pub(super) path: PathBuf,
    pub(super) free_space_min: u64,
    pub(super) faults: Arc<dyn Faults>,
    pub(super) ids: QueueIds,
    pub(super) bodies: Bodies,
    /// Is notified when a lease may succeed.
    pub(super) work: Notify,
    /// Held by whoever reads the indexes for leases: one at a time.
    pub(super) leasing: Mutex<()>,
    ready: Mutex<Ready>,
    /// Missing while the store has failed or is closed.
    engine: RwLock<Option<Arc<Engine>>>,
    health: Mutex<Health>,
}

impl Core {
    pub(super) fn new(
        path: PathBuf,
        free_space_min: u64,
        faults: Arc<dyn Faults>,
        bodies: Bodies,
        engine: Arc<Engine>,
    ) -> Self {
        Self {
            path,
            free_space_min,
            faults,
            ids: QueueIds::new(),
            bodies,
            work: Notify::new(),
            leasing: Mutex::new(()),
            ready: Mutex::default(),
            engine: RwLock::new(Some(engine)),
            health: Mutex::new(Health::Accepting),
        }
    }

    /// The engine, for one short use: a failed one is reopened only after all users have let go.
    pub(super) fn engine(&self) -> Result<Arc<Engine>, StoreError> {
        let engine = self.engine.read().unwrap_or_else(PoisonError::into_inner);
        engine.clone().ok_or_else(|| match self.health() {
            Health::Failed { reason } => StoreError::Unavailable(reason),
            _ => StoreError::unavailable("it is closed"),
        })
    }

    pub(super) fn set_engine(&self, engine: Option<Arc<Engine>>) {
        *self.engine.write().unwrap_or_else(PoisonError::into_inner) = engine;
    }

    /// The state in memory; nobody may hold it over I/O.
    pub(super) fn ready(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn health(&self) -> Health {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_health(&self, health: Health) {
        let mut current = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        if *current != health {
            tracing::info!(from = ?*current, to = ?health, "the queue's health changed");
            *current = health;
        }
    }

    /// Whether there is room for another message.
    ///
    /// # Errors
    /// `NoSpace` when there is not; `Unavailable` when nobody can tell.
    pub(super) fn check_space(&self) -> Result<(), StoreError> {
        let disk = rustix::fs::statvfs(&self.path).map_err(StoreError::unavailable)?;
        let free = self.faults.free_octets(disk.f_bavail.saturating_mul(disk.f_frsize));
        if free < self.free_space_min {
            let wanted = self.free_space_min;
            return Err(StoreError::NoSpace { free, wanted });
        }
        Ok(())
    }

    /// An I/O error as the answer to a request.
    pub(super) fn io_error(&self, error: &std::io::Error) -> StoreError {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        if matches!(error.kind(), StorageFull | QuotaExceeded) {
            StoreError::NoSpace { free: 0, wanted: self.free_space_min }
        } else {
            StoreError::unavailable(error)
        }
    }
}
