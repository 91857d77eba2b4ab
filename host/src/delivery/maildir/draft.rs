//! A message file on its way from tmp to new, and the folders of a mailbox. Everything here may block.
//! Knows no message: names, octets and when they are on disk.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Counts the drafts of this process; makes names unique within one microsecond.
static DRAFTS: AtomicU64 = AtomicU64::new(0);

/// A file in tmp. Dropped before it is finished, it is removed.
#[derive(Debug)]
pub(super) struct Draft {
    file: File,
    path: PathBuf,
    /// The folder `new`, opened before anything was written.
    new: File,
    new_path: PathBuf,
    finished: bool,
}

impl Draft {
    /// Makes an empty file in the mailbox's tmp.
    ///
    /// # Errors
    /// `NotFound` when the mailbox is not there or not whole; other faults of the file system.
    pub(super) fn create(mailbox: &Path, host_name: &str) -> io::Result<Self> {
        let name = unique_name(host_name);
        let new_path = mailbox.join("new");
        let new = File::open(&new_path)?;
        let path = mailbox.join("tmp").join(&name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { file, path, new, new_path: new_path.join(name), finished: false })
    }

    /// Appends octets.
    ///
    /// # Errors
    /// What the file system says; the draft is of no use then.
    pub(super) fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.file.write_all(octets)
    }

    /// Appends the last octets, syncs the file, moves it to new and syncs that folder.
    ///
    /// # Errors
    /// What the file system says; nothing is left in tmp or new then, as far as it can be removed.
    pub(super) fn finish(mut self, octets: &[u8]) -> io::Result<()> {
        self.write(octets)?;
        self.file.sync_all()?;
        // The name is unique, so nothing is overwritten.
        fs::rename(&self.path, &self.new_path)?;
        // From here on it is new that has the file: should the sync fail, the message is delivered again, and one
        // copy is enough.
        self.path = std::mem::take(&mut self.new_path);
        self.new.sync_all()?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.finished
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "an unfinished message could not be removed");
        }
    }
}

/// Makes a mailbox with tmp, new and cur where they are missing, and syncs every folder that got an entry.
///
/// # Errors
/// What the file system says.
pub(super) fn create_mailbox(mailbox: &Path) -> io::Result<()> {
    for part in ["tmp", "new", "cur"] {
        create_folder(&mailbox.join(part))?;
    }
    // Synced also when all was there: whoever made it may not have come that far.
    sync_folder(mailbox)?;
    sync_parent(mailbox)
}

/// Makes a folder and what is missing above it.
fn create_folder(path: &Path) -> io::Result<()> {
    let create = || DirBuilder::new().mode(0o700).create(path);
    let created = create().or_else(|error| match (error.kind(), path.parent()) {
        (io::ErrorKind::NotFound, Some(parent)) => create_folder(parent).and_then(|()| create()),
        _ => Err(error),
    });
    match created {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if parent != Path::new("") => sync_folder(parent),
        _ => sync_folder(Path::new(".")),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// A file name that no other delivery of this host has: time, process, number of the draft, host.
fn unique_name(host_name: &str) -> String {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
    let (seconds, microseconds) = (time.as_secs(), time.subsec_micros());
    format!("{seconds}.M{microseconds}P{}Q{number}.{host_name}", std::process::id())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_of_one_microsecond_differ() {
        let names: HashSet<String> = (0..10_000).map(|_| unique_name("host.test")).collect();
        assert_eq!(names.len(), 10_000);
    }
}
