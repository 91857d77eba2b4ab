//! Files that nobody but the server's user, and perhaps its group, may read.
//! Knows no secret: what is in such a file is for others to say.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use stagepost_extmgr::{FileError, PluginFile};

/// Why such a file can't be used. The operator is to blame.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretFileError {
    /// It can't be read, or somebody else could have written it.
    #[error(transparent)]
    File(#[from] FileError),
    /// It can't be looked at.
    #[error("{}: {source}", path.display())]
    Look {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Everybody can read it.
    #[error("{}: everybody can read it (mode {mode:04o}); remedy: chmod o-rwx", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
}

/// Reads a file.
///
/// # Errors
/// It can't be read, or others can read or write it.
pub(crate) fn read(path: &Path) -> Result<PluginFile, SecretFileError> {
    let file = PluginFile::read(path)?;
    let looked = |source| SecretFileError::Look { path: path.to_owned(), source };
    let mode = fs::metadata(path).map_err(looked)?.permissions().mode() & 0o7777;
    if mode & 0o007 != 0 {
        return Err(SecretFileError::Open { path: path.to_owned(), mode });
    }
    Ok(file)
}
