//! What is under the local store: its tables, opened together with the journal in front of them.
//! Knows no message: rows and keys are octets here. Who writes the journal, and when, others decide.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lsm_tree::config::{
    BloomConstructionPolicy, CompressionPolicy, FilterPolicy, FilterPolicyEntry,
};
use lsm_tree::{Cache, CompressionType, Config, DescriptorTable, KvSeparationOptions};

use super::change::rebuild::{INDEXED_KEY, rebuild};
use super::counters::Counters;
use super::fault::{Faults, Operation};
use super::folder::{NO_OTHER, make_folder, naming};
use super::journal::{Doubt, Journal, JournalError};
use super::row::{Reader, RecordError, Writer};
use super::rows::{Batch, Clock, Rows, RowsError};

/// The tables' folder in the spool.
const INDEX_FOLDER: &str = "index";
/// The journal's folder in the spool.
const JOURNAL_FOLDER: &str = "journal";
/// Is locked by whoever has the spool open.
const LOCK_FILE: &str = "lock";
/// So many files of tables are kept open; descriptors are for sessions.
const FILES_CACHED_MAX: usize = 128;
/// Blocks of tables are kept in memory up to so many octets.
const CACHE_OCTETS: u64 = 16 * 1024 * 1024;

/// Bodies are put on disk in files of so many octets, each synced for itself: a sync of more would hold up the journal's
/// writes, and with them every session that waits for its 250.
const BODIES_FILE_OCTETS: u64 = 4 * 1024 * 1024;

/// The counters in [`Engine::total`].
pub(super) const TOTAL_KEY: &[u8] = b"queue";
/// The last group of the journal that all tables have on disk, in [`Engine::total`].
const CHECKPOINT_KEY: &[u8] = b"checkpoint";
/// The version of that row.
const CHECKPOINT_VERSION: u8 = 1;

/// The open tables. Changes are made by one thread, reading by any.
pub(super) struct Engine {
    /// Message id: envelope, origin, header block.
    pub(super) message: Rows,
    /// Message id: the body, unless it has a file.
    pub(super) body: Rows,
    /// Message id, destination: the recipients that are left.
    pub(super) delivery: Rows,
    /// Due time, message id, destination: the queue. Queued deliveries only.
    pub(super) due: Rows,
    /// Destination or queue, due time, message id: the queue. Queued deliveries only.
    pub(super) destination: Rows,
    /// Destination or queue, message id: the queue. Deliveries with a recipient on hold.
    pub(super) held: Rows,
    /// Destination or queue: its counters.
    pub(super) count: Rows,
    /// The counters of the whole queue, and the checkpoint. The last that is put on disk: what it says all others have.
    pub(super) total: Rows,
    /// Sender, message id: nothing.
    pub(super) sender: Rows,
    /// What [`Engine::count`] has, for whoever can't wait.
    pub(super) counters: Counters,
    clock: Clock,
    /// Unlocked when the last user has let go.
    _lock: File,
}

/// Why the spool can't be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum EngineError {
    #[error("it is in use by another process")]
    InUse,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{}{}", .0, remedy(.0.table))]
    Rows(RowsError),
    #[error(transparent)]
    Journal(JournalError),
    #[error("its checkpoint can't be read: {0}")]
    Checkpoint(#[from] RecordError),
    #[error("one of its counters can't be read: {0}")]
    Counter(RecordError),
    #[error("its table {:?} is missing{}", .0, remedy(.0))]
    TableMissing(&'static str),
    #[error(
        "{0} was written by a development version of this server: let that version deliver what it has, then remove the folder"
    )]
    Format(PathBuf),
}

/// What can be done about a table.
fn remedy(table: &str) -> String {
    if !INDEXES.contains(&table) {
        return String::new();
    }
    format!(
        "; all of {} are made anew from the others when none of them is there",
        INDEXES.join(", ")
    )
}

impl From<RowsError> for EngineError {
    fn from(error: RowsError) -> Self {
        if error.is_damage() { Self::Rows(error) } else { Self::Io(error.into()) }
    }
}

impl From<JournalError> for EngineError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Io(error) => Self::Io(error),
            other => Self::Journal(other),
        }
    }
}

impl Engine {
    /// Opens the spool, made when missing, and brings the tables up to the end of the journal; after a failed write up to what is known
    /// to be on disk. Blocks.
    ///
    /// # Errors
    /// Whatever does not fit together is left as it was.
    pub(super) fn open(
        spool: &Path,
        faults: &Arc<dyn Faults>,
        doubt: Option<Doubt>,
    ) -> Result<(Self, Journal), EngineError> {
        // After a failure it is there, or its place is not ours to fill.
        if doubt.is_none() {
            make_folder(spool)?;
        }
        let mut engine = Self::open_tables(spool)?;
        let checkpoint = engine.checkpoint()?;
        let folder = spool.join(JOURNAL_FOLDER);
        let replay = |group: &[u8]| {
            let batch = Batch::decode(group).map_err(|error| error.to_string())?;
            engine.apply(batch).map_err(|error| error.to_string())
        };
        let mut journal = Journal::open(&folder, Arc::clone(faults), checkpoint, doubt, replay)?;
        if journal.last() > checkpoint {
            tracing::info!(from = checkpoint, to = journal.last(), "the journal was read");
            engine.seal(journal.last());
            engine.flush(&**faults)?;
        }
        rebuild(&engine, &**faults, journal.last())?;
        journal.begin(doubt)?;
        engine.counters.read(&engine.count)?;
        engine.body.keep_young();
        Ok((engine, journal))
    }

    fn open_tables(spool: &Path) -> Result<Self, EngineError> {
        let lock = lock(&spool.join(LOCK_FILE))?;
        let index = spool.join(INDEX_FOLDER);
        make_folder(&index)?;
        if index.join("keyspaces").try_exists()? {
            return Err(EngineError::Format(index));
        }
        let opening = Opening::new(index)?;
        if opening.complete {
            opening.check_indexes()?;
        }
        // Their numbers are in the journal: they never change.
        Ok(Self {
            message: opening.rows(0, "message", Opening::found_by_key)?,
            body: opening
                .rows(1, "body", |config| Opening::apart(Opening::found_by_key(config)))?,
            delivery: opening.rows(2, "delivery", Opening::found_by_key)?,
            due: opening.index(3, "due", Opening::read_in_order)?,
            destination: opening.index(4, "destination", Opening::read_in_order)?,
            held: opening.index(5, "held", Opening::read_in_order)?,
            count: opening.index(6, "count", Opening::found_by_key)?,
            sender: opening.index(8, "sender", Opening::read_in_order)?,
            // Made last: where it is, the others are.
            total: opening.total()?,
            counters: Counters::default(),
            clock: opening.clock,
            _lock: lock,
        })
    }

    /// All tables, each in the place of its number.
    fn tables(&self) -> [&Rows; 9] {
        let Self { message, body, delivery, due, destination, held, count, total, sender, .. } =
            self;
        [message, body, delivery, due, destination, held, count, total, sender]
    }

    /// Makes the changes of a batch that is in the journal.
    pub(super) fn apply(&self, batch: Batch) -> Result<(), RecordError> {
        batch.apply(&self.tables(), &self.clock)
    }

    /// Changes a row behind the journal's back, as a fault of the disk does.
    #[cfg(test)]
    pub(super) fn damage(
        &self,
        rows: &Rows,
        key: impl Into<lsm_tree::Slice>,
        value: impl Into<lsm_tree::Slice>,
    ) {
        let mut batch = Batch::default();
        batch.insert(rows, key, value);
        self.apply(batch).unwrap();
    }

    /// The last group of the journal that all tables have on disk.
    pub(super) fn checkpoint(&self) -> Result<u64, EngineError> {
        let Some(row) = self.total.get(CHECKPOINT_KEY)? else {
            return Ok(0);
        };
        let (_, mut row) = Reader::new(&row, CHECKPOINT_VERSION)?;
        let sequence = row.u64()?;
        Ok(row.end(sequence)?)
    }

    /// Begins a checkpoint: what the tables have now is all groups up to this one. By whoever makes the changes.
    pub(super) fn seal(&self, sequence: u64) {
        let mut row = Writer::new(CHECKPOINT_VERSION, 16);
        row.u64(sequence);
        let mut batch = Batch::default();
        batch.insert(&self.total, CHECKPOINT_KEY, row.end());
        // The only error is a table that there is not.
        let _ = self.apply(batch);
        for rows in self.tables() {
            rows.seal();
        }
    }

    /// Puts on disk what was sealed. Blocks.
    pub(super) fn flush(&self, faults: &dyn Faults) -> io::Result<()> {
        let others = self.tables().into_iter().filter(|rows| !std::ptr::eq(*rows, &self.total));
        for rows in others.chain([&self.total]) {
            faults.before(Operation::Checkpoint)?;
            rows.flush()?;
        }
        Ok(())
    }

    /// Joins files of the tables, until told to stop. Blocks.
    pub(super) fn compact(&self, stop: impl Fn() -> bool) {
        for rows in self.tables() {
            if stop() {
                return;
            }
            if let Err(error) = rows.compact() {
                tracing::error!(table = rows.name(), %error, "the files of a table could not be joined");
            }
        }
    }
}

const LAST_TABLE: &str = "total";
/// The tables that can be made anew from the others.
const INDEXES: [&str; 5] = ["due", "destination", "held", "count", "sender"];

/// What the tables share while they are opened.
struct Opening {
    folder: PathBuf,
    clock: Clock,
    cache: Arc<Cache>,
    files: Arc<DescriptorTable>,
    /// The index is there: so are all tables.
    complete: bool,
}

impl Opening {
    fn new(folder: PathBuf) -> io::Result<Self> {
        Ok(Self {
            complete: Rows::exists(&folder.join(LAST_TABLE))?,
            folder,
            clock: Clock::default(),
            cache: Arc::new(Cache::with_capacity_bytes(CACHE_OCTETS)),
            files: Arc::new(DescriptorTable::new(FILES_CACHED_MAX)),
        })
    }

    fn rows(
        &self,
        number: u8,
        name: &'static str,
        shape: impl FnOnce(Config) -> Config,
    ) -> Result<Rows, EngineError> {
        if self.complete && !Rows::exists(&self.folder.join(name))? {
            return Err(EngineError::TableMissing(name));
        }
        self.index(number, name, shape)
    }

    fn total(&self) -> Result<Rows, EngineError> {
        self.rows(7, LAST_TABLE, Self::found_by_key)
    }

    /// Looks whether indexes are missing, which is so in a spool of an older server, and where somebody has removed all of them: then it is
    /// noted that they are to be made anew.
    fn check_indexes(&self) -> Result<(), EngineError> {
        let mut missing = Vec::new();
        for name in INDEXES {
            if !Rows::exists(&self.folder.join(name))? {
                missing.push(name);
            }
        }
        let total = self.total()?;
        match missing[..] {
            [] => Ok(()),
            _ if !total.contains_key(INDEXED_KEY)? => Ok(()),
            [one, ..] if missing.len() < INDEXES.len() => Err(EngineError::TableMissing(one)),
            _ => {
                let mut batch = Batch::default();
                batch.remove(&total, INDEXED_KEY);
                // It is the only table that is open.
                batch.apply(&[&total; 9], &self.clock)?;
                total.seal();
                Ok(total.flush()?)
            }
        }
    }

    /// A table that is made when it is missing, also in a complete index.
    fn index(
        &self,
        number: u8,
        name: &'static str,
        shape: impl FnOnce(Config) -> Config,
    ) -> Result<Rows, EngineError> {
        let folder = self.folder.join(name);
        make_folder(&folder)?;
        let (next, visible) = (self.clock.next.clone(), self.clock.visible.clone());
        let config = Config::new(&folder, next, visible)
            .use_cache(Arc::clone(&self.cache))
            .use_descriptor_table(Some(Arc::clone(&self.files)))
            .data_block_compression_policy(CompressionPolicy::all(CompressionType::None));
        Ok(Rows::open(number, name, shape(config), self.clock.clone())?)
    }

    /// Single keys are asked for, also many that are not there.
    fn found_by_key(config: Config) -> Config {
        let bloom = |policy| FilterPolicyEntry::Bloom(policy);
        config.filter_policy(FilterPolicy::new([
            bloom(BloomConstructionPolicy::FalsePositiveRate(0.0001)),
            bloom(BloomConstructionPolicy::BitsPerKey(10.0)),
        ]))
    }

    /// Only ranges are asked for: a filter for single keys would be built for nothing.
    fn read_in_order(config: Config) -> Config {
        config.filter_policy(FilterPolicy::disabled())
    }

    /// Values apart from their keys: the table is reordered without copying mail around.
    fn apart(config: Config) -> Config {
        let apart = KvSeparationOptions::default()
            .compression(CompressionType::None)
            .file_target_size(BODIES_FILE_OCTETS);
        config.with_kv_separation(Some(apart))
    }
}

fn lock(path: &Path) -> Result<File, EngineError> {
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.custom_flags(NO_OTHER).open(path).map_err(|error| naming(path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(EngineError::InUse),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}
