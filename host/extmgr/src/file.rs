//! A plug-in's file: who may have written it, its octets, their hash, and the private copy that is loaded.
//! Knows nothing of what is in it.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The largest file taken for a plug-in, in octets.
const OCTETS_MAX: u64 = 256 << 20;

/// The octets of a file that only trusted users can have written.
pub struct PluginFile {
    octets: Vec<u8>,
    sha256: [u8; 32],
}

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It can't be read.
    #[error("{path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not a regular file, or too large.
    #[error("{path}: wanted a regular file of at most {OCTETS_MAX} octets, found {found}", path = path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: String,
    },
    /// Somebody else owns it.
    #[error("{path}: owner: wanted root or user {wanted}, found user {found}; remedy: chown it", path = path.display())]
    Owner {
        /// The file or its folder.
        path: PathBuf,
        /// The user this process runs as.
        wanted: u32,
        /// The owner.
        found: u32,
    },
    /// Others may write to it.
    #[error("{path}: mode: wanted no writing by others, found {mode:04o}; remedy: chmod go-w", path = path.display())]
    Mode {
        /// The file or its folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Its hash is not the configured one.
    #[error("{path}: sha256: wanted {wanted}, found {found}", path = path.display())]
    Hash {
        /// The file.
        path: PathBuf,
        /// The configured hash.
        wanted: String,
        /// The file's hash.
        found: String,
    },
}

impl PluginFile {
    /// Reads a file once: what is checked and hashed is what will be loaded.
    ///
    /// # Errors
    /// It can't be read, or somebody untrusted could have written it or its folder.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let unreadable = |source| FileError::Read { path: path.to_owned(), source };
        // Not blocking: the name may be that of a pipe that nobody writes to.
        let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(nonblocking)
            .open(path)
            .map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() || metadata.len() > OCTETS_MAX {
            let found = format!("{:?} of {} octets", metadata.file_type(), metadata.len());
            return Err(FileError::Kind { path: path.to_owned(), found });
        }
        check_writers(path, &metadata)?;
        let real = fs::canonicalize(path).map_err(unreadable)?;
        if let Some(folder) = real.parent() {
            check_writers(folder, &fs::metadata(folder).map_err(unreadable)?)?;
        }
        let mut octets = Vec::new();
        file.take(OCTETS_MAX).read_to_end(&mut octets).map_err(unreadable)?;
        let sha256 = Sha256::digest(&octets).into();
        Ok(Self { octets, sha256 })
    }

    /// The file's octets.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// The SHA-256 of the octets.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// Compares the hash with the one that was configured.
    ///
    /// # Errors
    /// They differ.
    pub fn check_hash(&self, path: &Path, wanted: &[u8; 32]) -> Result<(), FileError> {
        if self.sha256 == *wanted {
            return Ok(());
        }
        let (wanted, found) = (hex(wanted), hex(&self.sha256));
        Err(FileError::Hash { path: path.to_owned(), wanted, found })
    }

    /// Writes the octets to a file of their own in `folder`, which nobody else can write to. It is named by the hash:
    /// the dynamic linker would give the old code for a file that was replaced under the same name.
    ///
    /// # Errors
    /// The copy can't be written.
    pub(crate) fn private_copy(&self, folder: &Path) -> Result<PathBuf, FileError> {
        let name = format!("{}.so", hex(&self.sha256));
        let path = folder.join(&name);
        let failed = |source| FileError::Read { path: path.clone(), source };
        create_private_folder(folder).map_err(failed)?;
        if fs::read(&path).is_ok_and(|octets| octets == self.octets) {
            return Ok(path);
        }
        let fresh = folder.join(format!("{name}.{}", std::process::id()));
        let written = write_private(&fresh, &self.octets).and_then(|()| fs::rename(&fresh, &path));
        if written.is_err() {
            // Best effort: the error that matters is the one reported.
            let _ = fs::remove_file(&fresh);
        }
        written.map_err(failed)?;
        Ok(path)
    }
}

/// Removes the copies of files that are no longer plug-ins.
pub(crate) fn remove_stale_copies(folder: &Path, kept: &[PathBuf]) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if !kept.contains(&path) && path.to_string_lossy().contains(".so") {
            // A copy that stays costs room and nothing else.
            let _ = fs::remove_file(path);
        }
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn create_private_folder(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

fn write_private(path: &Path, octets: &[u8]) -> std::io::Result<()> {
    let mut file: File =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o500).open(path)?;
    file.write_all(octets)
}

/// Refuses a file or folder that somebody other than root and this user could change. A folder with the sticky bit
/// protects the files of others; the group of this process counts as this user, since private groups are usual.
fn check_writers(path: &Path, metadata: &fs::Metadata) -> Result<(), FileError> {
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    let path = path.to_owned();
    if metadata.uid() != 0 && metadata.uid() != user {
        return Err(FileError::Owner { path, wanted: user, found: metadata.uid() });
    }
    let mode = metadata.mode() & 0o7777;
    let sticky = metadata.is_dir() && mode & 0o1000 != 0;
    let by_others = mode & 0o002 != 0;
    let by_group = mode & 0o020 != 0 && metadata.gid() != group && metadata.gid() != 0;
    if (by_others || by_group) && !sticky {
        return Err(FileError::Mode { path, mode });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_others_can_write_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libx.so");
        fs::write(&path, b"octets").unwrap();
        for (mode, fits) in [(0o644, true), (0o500, true), (0o646, false), (0o777, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let read = PluginFile::read(&path);
            assert_eq!(read.is_ok(), fits, "{mode:o}: {:?}", read.err());
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(PluginFile::read(&path), Err(FileError::Mode { .. })));
        assert!(matches!(PluginFile::read(folder.path()), Err(FileError::Kind { .. })));
        assert!(matches!(
            PluginFile::read(&folder.path().join("none")),
            Err(FileError::Read { .. })
        ));
    }

    #[test]
    fn copies_are_named_by_their_hash_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libx.so");
        let private = folder.path().join("plugins");
        fs::write(&path, b"one").unwrap();
        let one = PluginFile::read(&path).unwrap();
        assert!(one.check_hash(&path, &one.sha256()).is_ok());
        assert!(matches!(one.check_hash(&path, &[0; 32]), Err(FileError::Hash { .. })));
        let first = one.private_copy(&private).unwrap();
        fs::write(&first, b"spoilt").unwrap();
        assert_eq!(one.private_copy(&private).unwrap(), first, "the same octets, the same name");
        assert_eq!(fs::read(&first).unwrap(), b"one", "a spoilt copy is written again");
        assert_eq!(fs::metadata(&private).unwrap().mode() & 0o777, 0o700);
        fs::write(&path, b"two").unwrap();
        let second = PluginFile::read(&path).unwrap().private_copy(&private).unwrap();
        assert_ne!(first, second);
        remove_stale_copies(&private, std::slice::from_ref(&second));
        assert!(!first.exists() && second.exists());
    }
}
