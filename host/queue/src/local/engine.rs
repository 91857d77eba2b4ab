//! The database under the local store: its keyspaces, and how it is opened, also after a failure.
//! Knows no message: but for the one index that may have to be made up, rows and keys are octets here.

use std::fs::File;
use std::io;
use std::path::Path;

use fjall::config::FilterPolicy;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};

use super::folder::{make_folder, parent_of, sync_folder};
use super::journal::cut_torn_batch;
use super::key::{delivery_destination, held_key};
use super::record::DeliveryRecord;
use crate::QueueId;

const MIB: u64 = 1024 * 1024;
/// So many files of tables are kept open; descriptors are for sessions.
const FILES_CACHED_MAX: usize = 128;

/// The open database.
pub(super) struct Engine {
    database: Database,
    /// Message id: envelope, origin, header block.
    pub(super) message: Keyspace,
    /// Message id: the body, unless it has a file.
    pub(super) body: Keyspace,
    /// Message id, destination: the recipients that are left.
    pub(super) delivery: Keyspace,
    /// Due time, message id, destination: nothing. Queued deliveries only.
    pub(super) due: Keyspace,
    /// Destination, due time, message id: nothing. Queued deliveries only.
    pub(super) destination: Keyspace,
    /// Destination, message id: nothing. Deliveries with a recipient on hold.
    pub(super) held: Keyspace,
    /// Destination: its counters.
    pub(super) count: Keyspace,
    /// The counters of the whole queue, and whether `held` is complete.
    pub(super) total: Keyspace,
}

/// The counters in [`Engine::total`].
pub(super) const TOTAL_KEY: &[u8] = b"queue";
/// Is in [`Engine::total`] once [`Engine::held`] has everything: spools of older servers come without that index.
const HELD_KEY: &[u8] = b"held";
/// So many rows are read for one batch of an index that is made up for.
const INDEXED_MAX: usize = 10_000;

impl Engine {
    /// Opens the database in this folder, or makes it. Leaves out a last batch that a power cut tore.
    pub(super) fn open(path: &Path) -> fjall::Result<Self> {
        if !path.exists() {
            make(path)?;
        }
        match Self::open_whole(path) {
            Err(fjall::Error::JournalRecovery(_)) if cut_torn_batch(path)? => {
                Self::open_whole(path)
            }
            other => other,
        }
    }

    /// Opens the database if all of its journals are whole.
    pub(super) fn open_whole(path: &Path) -> fjall::Result<Self> {
        let database = Database::builder(path)
            .journal_compression(fjall::CompressionType::None)
            .max_journaling_size(256 * MIB)
            .worker_threads(2)
            .max_cached_files(Some(FILES_CACHED_MAX))
            .open()?;
        let rows =
            |memtable_octets| KeyspaceCreateOptions::default().max_memtable_size(memtable_octets);
        // Only ranges are asked of an index: a filter for single keys would be built for nothing.
        let index = || rows(8 * MIB).filter_policy(FilterPolicy::disabled());
        // Bodies apart from their keys: the tree is reordered without copying mail around.
        let apart = || rows(32 * MIB).with_kv_separation(Some(KvSeparationOptions::default()));
        Ok(Self {
            message: database.keyspace("message", || rows(16 * MIB))?,
            body: database.keyspace("body", apart)?,
            delivery: database.keyspace("delivery", || rows(8 * MIB))?,
            due: database.keyspace("due", index)?,
            destination: database.keyspace("destination", index)?,
            held: database.keyspace("held", index)?,
            count: database.keyspace("count", || rows(8 * MIB))?,
            total: database.keyspace("total", || rows(MIB))?,
            database,
        })
    }

    /// Makes up the index of held deliveries in a spool that comes without. Reads every delivery once, and never again.
    pub(super) fn complete_held(&self) -> fjall::Result<()> {
        if self.total.contains_key(HELD_KEY)? {
            return Ok(());
        }
        let mut batch = self.batch();
        for entry in self.delivery.iter() {
            let (key, row) = entry.into_inner()?;
            // What can't be read is not found by its destination either.
            if let Some(key) = held_key_of(&key, &row) {
                batch.insert(&self.held, key, []);
            }
            if batch.len() >= INDEXED_MAX {
                std::mem::replace(&mut batch, self.batch()).commit()?;
            }
        }
        batch.insert(&self.total, HELD_KEY, []);
        batch.commit()
    }

    /// Starts a batch that is synced when it is committed.
    pub(super) fn batch(&self) -> fjall::OwnedWriteBatch {
        self.database.batch().durability(Some(PersistMode::SyncData))
    }
}

fn make(path: &Path) -> fjall::Result<()> {
    make_with(path, |parts| Engine::open_whole(parts).map(drop))
}

/// Makes an empty database under another name first: one that was made in part, before a crash, could not be opened.
pub(super) fn make_with(
    path: &Path,
    open: impl FnOnce(&Path) -> fjall::Result<()>,
) -> fjall::Result<()> {
    let parts = path.with_extension("part");
    if parts.exists() {
        std::fs::remove_dir_all(&parts)?;
    }
    make_folder(&parts)?;
    open(&parts)?;
    std::fs::rename(&parts, path)?;
    sync_folder(&parent_of(path))?;
    Ok(())
}

/// Makes the next opening begin a new journal file.
///
/// After a failed sync nobody knows what of the old journal is on disk behind the last successful sync, though
/// reading it shows everything: octets appended to it could be lost behind a gap. With an empty file of the next number
/// in place, the engine takes the old one for sealed, carries its rows into tables of their own and removes it.
pub(super) fn begin_new_journal(path: &Path) -> io::Result<()> {
    let mut newest = None;
    for entry in std::fs::read_dir(path)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".jnl"));
        newest = newest.max(number.and_then(|number| number.parse::<u64>().ok()));
    }
    let Some(newest) = newest else {
        return Ok(());
    };
    let file = File::create_new(path.join(format!("{}.jnl", newest + 1)))?;
    file.sync_all()?;
    sync_folder(path)
}

/// The key of a delivery in [`Engine::held`], if it belongs there.
fn held_key_of(key: &[u8], row: &[u8]) -> Option<Vec<u8>> {
    let destination = delivery_destination(key)?;
    let id = QueueId::from_bytes(key.get(..QueueId::OCTETS)?.try_into().ok()?);
    let record = DeliveryRecord::decode(row).ok()?;
    record.has_held().then(|| held_key(id, &destination))
}

/// Whether an error says that the disk is full.
pub(super) fn is_full(error: &fjall::Error) -> bool {
    let io = match error {
        fjall::Error::Io(error) => Some(error),
        fjall::Error::Storage(fjall::LsmError::Io(error)) => Some(error),
        _ => None,
    };
    io.is_some_and(|error| {
        matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    })
}
