//! The files of large bodies: where they are, how they become durable, how they go.
//! Knows no row: who has a file and no row is told apart by whoever knows the rows.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fault::{Faults, Operation};
use super::folder::{NO_OTHER, make_folder, parent_of, sync_folder};
use crate::QueueId;

/// The folder of body files: `xx/<id>`, where `xx` spreads them over 256 folders.
pub(super) struct Bodies {
    root: PathBuf,
    faults: Arc<dyn Faults>,
}

/// A body file being written. Dropped without [`BodyFile::keep`], it is removed.
pub(super) struct BodyFile {
    file: Arc<File>,
    path: PathBuf,
    kept: bool,
    faults: Arc<dyn Faults>,
}

impl Bodies {
    /// Opens the folder, made when missing.
    pub(super) fn open(root: PathBuf, faults: Arc<dyn Faults>) -> io::Result<Self> {
        make_folder(&root)?;
        Ok(Self { root, faults })
    }

    /// Where the body of this message is, if it has a file.
    pub(super) fn path(&self, id: QueueId) -> PathBuf {
        let last = id.to_bytes()[QueueId::OCTETS - 1];
        self.root.join(format!("{last:02x}")).join(id.to_string())
    }

    /// Makes the file of a message. Blocks.
    pub(super) fn create(&self, id: QueueId) -> io::Result<BodyFile> {
        self.faults.before(Operation::BodyWrite)?;
        let path = self.path(id);
        make_folder(&parent_of(&path))?;
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        let faults = Arc::clone(&self.faults);
        Ok(BodyFile { file: Arc::new(file), path, kept: false, faults })
    }

    /// Makes a file without a name, for octets of no message yet. Blocks.
    pub(super) fn scratch(&self) -> io::Result<File> {
        self.faults.before(Operation::BodyWrite)?;
        tempfile::tempfile_in(&self.root)
    }

    /// Appends octets to a file. Blocks.
    pub(super) fn write(&self, mut file: &File, octets: &[u8]) -> io::Result<()> {
        self.faults.before(Operation::BodyWrite)?;
        file.write_all(octets)
    }

    /// Removes the file of a message, if it has one. Blocks. A file that stays behind is collected at the next start.
    pub(super) fn remove(&self, id: QueueId) {
        let path = self.path(id);
        let _ = self.faults.before(Operation::BodyRemove);
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "a body file could not be removed");
        }
    }

    /// Removes the files that nobody has a row for: left by messages whose commit never happened. Blocks.
    pub(super) fn collect_orphans<E: From<io::Error>>(
        &self,
        has_row: impl Fn(QueueId) -> Result<bool, E>,
    ) -> Result<u64, E> {
        let mut removed = 0;
        for folder in std::fs::read_dir(&self.root)? {
            let folder = folder?;
            if !folder.file_type()?.is_dir() {
                continue;
            }
            for entry in std::fs::read_dir(folder.path())? {
                let entry = entry?;
                // Whatever has another name or place than ours is not ours to remove.
                let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
                if let Some(id) = id
                    && entry.path() == self.path(id)
                    && !entry.file_type()?.is_dir()
                    && !has_row(id)?
                {
                    std::fs::remove_file(entry.path())?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }
}

/// Opens a body file to be read. Blocks, but for nobody who is to write to a pipe in its place.
///
/// # Errors
/// Of the kind `InvalidData` when something else is in its place: a link may lead anywhere.
pub(super) fn open_body(path: &Path) -> io::Result<File> {
    let opened = OpenOptions::new().read(true).custom_flags(NO_OTHER).open(path);
    let is_strange = match &opened {
        Ok(file) => !file.metadata()?.is_file(),
        Err(error) => matches!(error.raw_os_error(), Some(libc::ELOOP | libc::ENXIO)),
    };
    if is_strange {
        let what = "something else is in the place of its body file";
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    opened
}

impl BodyFile {
    /// Appends octets. Blocks.
    pub(super) fn write(&self, octets: &[u8]) -> io::Result<()> {
        self.faults.before(Operation::BodyWrite)?;
        (&*self.file).write_all(octets)
    }

    /// The file, to be read: also when it has been removed.
    pub(super) fn reader(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Makes the file and its name durable. Blocks.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.faults.before(Operation::BodySync)?;
        self.file.sync_data()?;
        self.faults.before(Operation::DirectorySync)?;
        sync_folder(&parent_of(&self.path))
    }

    /// Lets the file stay: a row may name it from now on.
    pub(super) fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for BodyFile {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "a body file could not be removed");
        }
    }
}
