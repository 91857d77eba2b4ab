//! One ordered table of rows under the local store, and the batches that change several of them at once.
//! Knows no row: keys and values are octets. What is applied here is in memory; the journal has it on disk.

mod young;

use std::io;
use std::ops::RangeBounds;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use lsm_tree::compaction::Leveled;
use lsm_tree::{
    AbstractTree, AnyTree, Config, Guard, InternalValue, IterGuardImpl, Memtable, SeqNo,
    SequenceNumberCounter, Slice, ValueType,
};

use self::young::Young;
use super::row::{Reader, RecordError};

/// What an operation on rows ends with when it fails.
#[derive(Debug, thiserror::Error)]
#[error("its table {table:?} {}: {error}", if self.is_damage() { "is damaged" } else { "can't be used" })]
pub(super) struct RowsError {
    pub(super) table: &'static str,
    error: lsm_tree::Error,
}

pub(super) type RowsResult<T> = Result<T, RowsError>;

impl RowsError {
    /// Whether what is on disk is damaged, rather than out of reach now.
    pub(super) fn is_damage(&self) -> bool {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        match &self.error {
            lsm_tree::Error::Io(error) => {
                matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof)
            }
            _ => true,
        }
    }
}

impl From<RowsError> for io::Error {
    fn from(error: RowsError) -> Self {
        let kind = match &error.error {
            lsm_tree::Error::Io(error) => error.kind(),
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

/// One row of a range.
pub(super) struct Entry {
    table: &'static str,
    guard: IterGuardImpl,
}

impl Entry {
    pub(super) fn key(self) -> RowsResult<Slice> {
        self.guard.key().map_err(named(self.table))
    }

    /// Key and value.
    pub(super) fn into_inner(self) -> RowsResult<(Slice, Slice)> {
        self.guard.into_inner().map_err(named(self.table))
    }
}

/// What lies in a range, in order. Holds on to what it needs: it is not for keeping.
pub(super) type Entries = Box<dyn Iterator<Item = Entry> + Send>;

fn named(table: &'static str) -> impl FnOnce(lsm_tree::Error) -> RowsError {
    move |error| RowsError { table, error }
}

/// A compaction is run again while it changes something, so many times at most.
const COMPACTIONS_MAX: usize = 16;

/// What gives changes their order.
#[derive(Clone, Default)]
pub(super) struct Clock {
    pub(super) next: SequenceNumberCounter,
    pub(super) visible: SequenceNumberCounter,
}

/// One table.
pub(super) struct Rows {
    number: u8,
    name: &'static str,
    tree: AnyTree,
    /// Where changes go, as long as it is not sealed. By way of the tree each would wait for whoever puts a list of the
    /// table's files on disk: that takes four syncs, with all of the table locked.
    active: RwLock<Arc<Memtable>>,
    /// Rows added since the last checkpoint; none: the tree has them.
    young: Option<Young>,
    clock: Clock,
}

impl Rows {
    /// Opens a table, made when missing. Its number is what it is called in the journal.
    pub(super) fn open(
        number: u8,
        name: &'static str,
        config: Config,
        clock: Clock,
    ) -> RowsResult<Self> {
        // A list of the table's files that is damaged can make this panic.
        let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
        let opened = opened.unwrap_or(Err(lsm_tree::Error::Unrecoverable));
        let tree = opened.map_err(|error| match error {
            lsm_tree::Error::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                let error =
                    io::Error::new(io::ErrorKind::InvalidData, "one of its files is missing");
                named(name)(error.into())
            }
            other => named(name)(other),
        })?;
        if let Some(newest) = tree.get_highest_seqno() {
            clock.next.fetch_max(newest + 1);
            clock.visible.fetch_max(newest + 1);
        }
        let active = RwLock::new(tree.active_memtable());
        Ok(Self { number, name, tree, active, young: None, clock })
    }

    /// From now on, keeps what is added apart until the next checkpoint: of large rows that go soon, the tree would keep the octets
    /// until then. For a table whose rows are asked for by their keys and never replaced, and that is not behind the journal: what
    /// is read from that, the tree may have on disk already.
    pub(super) fn keep_young(&mut self) {
        self.young = Some(Young::default());
    }

    /// Whether there is a table in this folder.
    pub(super) fn exists(folder: &Path) -> io::Result<bool> {
        folder.join(lsm_tree::file::CURRENT_VERSION_FILE).try_exists()
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn get(&self, key: impl AsRef<[u8]>) -> RowsResult<Option<Slice>> {
        let young = self.young.as_ref().and_then(|young| young.get(key.as_ref()));
        let kept = || self.tree.get(key, SeqNo::MAX).map_err(named(self.name));
        young.map_or_else(kept, |value| Ok(Some(value)))
    }

    pub(super) fn contains_key(&self, key: impl AsRef<[u8]>) -> RowsResult<bool> {
        self.tree.contains_key(key, SeqNo::MAX).map_err(named(self.name))
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> Entries {
        self.entries(self.tree.iter(SeqNo::MAX, None))
    }

    /// The keys of all rows, in order.
    #[cfg(test)]
    pub(super) fn keys(&self) -> Vec<Slice> {
        let mut keys: Vec<Slice> = self.iter().map(|entry| entry.key().unwrap()).collect();
        keys.extend(self.young.iter().flat_map(Young::keys));
        keys.sort();
        keys
    }

    pub(super) fn range<K: AsRef<[u8]>>(&self, range: impl RangeBounds<K>) -> Entries {
        self.entries(self.tree.range(range, SeqNo::MAX, None))
    }

    pub(super) fn prefix(&self, prefix: impl AsRef<[u8]>) -> Entries {
        self.entries(self.tree.prefix(prefix, SeqNo::MAX, None))
    }

    fn entries(&self, found: impl Iterator<Item = IterGuardImpl> + Send + 'static) -> Entries {
        let table = self.name;
        Box::new(found.map(move |guard| Entry { table, guard }))
    }

    /// Makes one change in memory; none: the row goes.
    fn change(&self, key: Slice, value: Option<Slice>, time: SeqNo) {
        let change = match (value, &self.young) {
            (Some(value), Some(young)) => return young.insert(key, value),
            (None, Some(young)) if young.remove(&key) => return,
            (Some(value), None) => {
                InternalValue::from_components(key, value, time, ValueType::Value)
            }
            (None, _) => InternalValue::new_tombstone(key, time),
        };
        self.active.read().unwrap_or_else(PoisonError::into_inner).insert(change);
    }

    /// Puts aside what was changed up to now, to be put on disk by [`Rows::flush`].
    pub(super) fn seal(&self) {
        let mut active = self.active.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(young) = &self.young {
            let time = self.clock.next.next();
            young.move_on(|key, value| {
                active.insert(InternalValue::from_components(key, value, time, ValueType::Value));
            });
            self.clock.visible.fetch_max(time + 1);
        }
        self.tree.rotate_memtable();
        *active = self.tree.active_memtable();
    }

    /// Puts on disk what was sealed. Blocks.
    pub(super) fn flush(&self) -> RowsResult<()> {
        let lock = self.tree.get_flush_lock();
        self.tree.flush(&lock, self.clock.visible.get()).map_err(named(self.name))?;
        Ok(())
    }

    /// Joins files, and gives back the space of what is gone. Blocks.
    pub(super) fn compact(&self) -> RowsResult<()> {
        let shape =
            || (self.tree.l0_run_count(), self.tree.table_count(), self.tree.blob_file_count());
        for _ in 0..COMPACTIONS_MAX {
            let before = shape();
            let now = self.clock.visible.get();
            let joined = self.tree.compact(Arc::new(Leveled::default()), now);
            joined.map_err(named(self.name))?;
            if shape() == before {
                break;
            }
        }
        Ok(())
    }
}

/// Changes that are made together.
#[derive(Default)]
pub(super) struct Batch {
    changes: Vec<Change>,
}

struct Change {
    rows: u8,
    key: Slice,
    /// None: the row goes.
    value: Option<Slice>,
}

impl Batch {
    pub(super) fn insert(&mut self, rows: &Rows, key: impl Into<Slice>, value: impl Into<Slice>) {
        self.changes.push(Change { rows: rows.number, key: key.into(), value: Some(value.into()) });
    }

    pub(super) fn remove(&mut self, rows: &Rows, key: impl Into<Slice>) {
        self.changes.push(Change { rows: rows.number, key: key.into(), value: None });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Appends the batch as the journal has it: each change is the number of a table, whether there is a value, and key
    /// and value preceded by their lengths.
    pub(super) fn encode(&self, group: &mut Vec<u8>) {
        for Change { rows, key, value } in &self.changes {
            group.extend_from_slice(&[*rows, value.is_some().into()]);
            for part in [Some(key), value.as_ref()].into_iter().flatten() {
                group.extend_from_slice(&(part.len() as u32).to_be_bytes());
                group.extend_from_slice(part);
            }
        }
    }

    /// Reads a batch from the journal.
    pub(super) fn decode(group: &[u8]) -> Result<Self, RecordError> {
        let mut group = Reader::unchecked(group);
        let mut changes = Vec::new();
        while !group.is_empty() {
            let (rows, has_value) = (group.u8()?, group.flag()?);
            let key = group.block()?.into();
            let value = if has_value { Some(group.block()?.into()) } else { None };
            changes.push(Change { rows, key, value });
        }
        Ok(Self { changes })
    }

    /// Makes the changes in memory. None is made when one is of a table that is not among these, whose places are their numbers.
    pub(super) fn apply(self, tables: &[&Rows], clock: &Clock) -> Result<(), RecordError> {
        if self.changes.iter().any(|change| usize::from(change.rows) >= tables.len()) {
            return Err(RecordError::Value);
        }
        let time = clock.next.next();
        for Change { rows, key, value } in self.changes {
            tables[usize::from(rows)].change(key, value, time);
        }
        clock.visible.fetch_max(time + 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(rows: &Rows, key: &[u8], value: Option<&[u8]>) {
        let mut batch = Batch::default();
        match value {
            Some(value) => batch.insert(rows, key, value),
            None => batch.remove(rows, key),
        }
        batch.apply(&[rows], &rows.clock).unwrap();
    }

    fn got(rows: &Rows) -> [Option<Vec<u8>>; 2] {
        [b"a", b"b"].map(|key| rows.get(key).unwrap().map(|value| value.to_vec()))
    }

    #[test]
    fn what_goes_before_a_checkpoint_leaves_nothing_in_the_tree() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::default();
        let config = Config::new(folder.path(), clock.next.clone(), clock.visible.clone());
        let mut rows = Rows::open(0, "rows", config, clock).unwrap();
        rows.keep_young();
        let here = |text: &[u8]| Some(text.to_vec());
        change(&rows, b"a", Some(b"1"));
        change(&rows, b"b", Some(b"2"));
        assert_eq!(got(&rows), [here(b"1"), here(b"2")]);
        change(&rows, b"a", None);
        assert_eq!(got(&rows), [None, here(b"2")]);
        assert!(rows.tree.active_memtable().is_empty());
        // What is left is the tree's.
        rows.seal();
        assert_eq!((got(&rows), rows.keys().len()), ([None, here(b"2")], 1));
        change(&rows, b"a", Some(b"3"));
        rows.flush().unwrap();
        assert_eq!(got(&rows), [here(b"3"), here(b"2")]);
        assert_eq!((rows.keys().len(), rows.iter().count()), (2, 1));
        change(&rows, b"b", None);
        change(&rows, b"a", None);
        assert_eq!((got(&rows), rows.keys().len()), ([None, None], 0));
        assert_eq!(rows.tree.active_memtable().len(), 1, "what the tree has is hidden by it");
    }
}
