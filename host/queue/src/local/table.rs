//! A small durable table of keys and values beside the queue, in a folder of its own.
//! Knows octets, no meaning of them. Blocks: it is for threads that may.

mod database;
mod torn;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use self::database::{begin_new_journal, make_with};
use self::torn::cut_torn_batch;

const MIB: u64 = 1 << 20;

/// Why the table could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the table in {}: {source}", path.display())]
pub struct TableError {
    /// Its folder.
    pub path: PathBuf,
    /// What the storage said.
    source: fjall::Error,
}

/// A table. Its files are opened with the first use, and again after a failure. Any thread.
pub struct LocalTable {
    path: PathBuf,
    opened: Mutex<Opened>,
}

enum Opened {
    No,
    /// A sync has failed: nobody knows what of the newest journal is on disk.
    Failed,
    Yes(Parts),
}

#[derive(Clone)]
struct Parts {
    database: Database,
    rows: Keyspace,
}

impl LocalTable {
    /// A table in a folder, which is made with the first use.
    pub fn new(path: PathBuf) -> Self {
        Self { path, opened: Mutex::new(Opened::No) }
    }

    /// The value of a key.
    ///
    /// # Errors
    /// The storage's.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        self.with(|parts| Ok(parts.rows.get(key)?.map(|value| value.to_vec())))
    }

    /// Puts values in the place of any others, and removes the keys that have none; all of it or nothing is on disk when
    /// this returns.
    ///
    /// # Errors
    /// The storage's: whether the change was made is then not known.
    pub fn change(&self, rows: &[(&[u8], Option<&[u8]>)]) -> Result<(), TableError> {
        let parts = self.parts()?;
        let mut batch = parts.database.batch().durability(Some(PersistMode::SyncData));
        for (key, value) in rows {
            match value {
                Some(value) => batch.insert(&parts.rows, *key, *value),
                None => batch.remove(&parts.rows, *key),
            }
        }
        batch.commit().map_err(|error| {
            *self.lock() = Opened::Failed;
            self.error(error)
        })
    }

    /// The first key behind `after` that begins with `prefix`; with an empty `after` the first of all.
    ///
    /// # Errors
    /// The storage's.
    pub fn next(&self, prefix: &[u8], after: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        use std::ops::Bound;
        let from = if after < prefix {
            Bound::Included(prefix.to_vec())
        } else {
            Bound::Excluded(after.to_vec())
        };
        self.with(|parts| {
            let first = parts.rows.range((from, Bound::Unbounded)).next();
            let key = first.map(fjall::Guard::key).transpose()?;
            Ok(key.filter(|key| key.starts_with(prefix)).map(|key| key.to_vec()))
        })
    }

    fn with<T>(&self, read: impl FnOnce(&Parts) -> fjall::Result<T>) -> Result<T, TableError> {
        read(&self.parts()?).map_err(|error| self.error(error))
    }

    fn parts(&self) -> Result<Parts, TableError> {
        let mut opened = self.lock();
        if let Opened::Yes(parts) = &*opened {
            return Ok(parts.clone());
        }
        let failed = matches!(*opened, Opened::Failed);
        let parts = open(&self.path, failed).map_err(|error| self.error(error))?;
        *opened = Opened::Yes(parts.clone());
        Ok(parts)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Opened> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, source: fjall::Error) -> TableError {
        TableError { path: self.path.clone(), source }
    }
}

fn open(path: &Path, failed: bool) -> fjall::Result<Parts> {
    if !path.exists() {
        make_with(path, |parts| open_whole(parts).map(drop))?;
    } else if failed {
        begin_new_journal(path)?;
    }
    match open_whole(path) {
        Err(fjall::Error::JournalRecovery(_)) if cut_torn_batch(path)? => open_whole(path),
        other => other,
    }
}

fn open_whole(path: &Path) -> fjall::Result<Parts> {
    let database = Database::builder(path)
        .journal_compression(fjall::CompressionType::None)
        .max_journaling_size(64 * MIB)
        .worker_threads(1)
        .open()?;
    let rows =
        database.keyspace("row", || KeyspaceCreateOptions::default().max_memtable_size(8 * MIB))?;
    Ok(Parts { database, rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_there_after_another_opening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table");
        let table = LocalTable::new(path.clone());
        assert!(!path.exists(), "nobody has used it");
        assert_eq!(table.get(b"a").unwrap(), None);
        table.change(&[(b"a", Some(b"1"))]).unwrap();
        table.change(&[(b"a", Some(b"2")), (b"b", Some(&[0xff; 65_536]))]).unwrap();
        table.change(&[(b"c", Some(b""))]).unwrap();
        table.change(&[(b"c", None), (b"never there", None)]).unwrap();
        drop(table);
        let table = LocalTable::new(path);
        assert_eq!(table.get(b"a").unwrap().as_deref(), Some(&b"2"[..]));
        assert_eq!(table.get(b"b").unwrap().unwrap().len(), 65_536);
        assert_eq!(table.get(b"c").unwrap(), None);
    }

    #[test]
    fn keys_come_in_their_order_and_stay_within_their_prefix() {
        let folder = tempfile::tempdir().unwrap();
        let table = LocalTable::new(folder.path().join("table"));
        for key in ["a", "b/2", "b/1", "b/3", "b", "c", "b/"] {
            table.change(&[(key.as_bytes(), Some(b"v"))]).unwrap();
        }
        let mut found = Vec::new();
        let mut after = Vec::new();
        while let Some(key) = table.next(b"b/", &after).unwrap() {
            found.push(String::from_utf8(key.clone()).unwrap());
            after = key;
        }
        assert_eq!(found, ["b/", "b/1", "b/2", "b/3"]);
        assert_eq!(table.next(b"d", b"").unwrap(), None);
        assert_eq!(table.next(b"", b"").unwrap().as_deref(), Some(&b"a"[..]));
    }
}
