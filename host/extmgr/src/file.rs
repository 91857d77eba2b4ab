//! A plug-in's file: who may have written it, its octets, their hash, and the private copy that is loaded.
//! Knows nothing of what is in it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
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
    /// The folder of the private copies is something else.
    #[error("{path}: wanted a folder of the server's own, found {found}; remedy: move it away", path = path.display())]
    Folder {
        /// The path.
        path: PathBuf,
        /// What is there.
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

impl FileError {
    /// The file or folder that it is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::Read { path, .. }
            | Self::Kind { path, .. }
            | Self::Folder { path, .. }
            | Self::Owner { path, .. }
            | Self::Mode { path, .. }
            | Self::Hash { path, .. } => path,
        }
    }
}

impl PluginFile {
    /// Reads a file once: what is checked and hashed is what will be loaded.
    ///
    /// # Errors
    /// It can't be read, or somebody untrusted could have written it or its folder.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let unreadable = |source| FileError::Read { path: path.to_owned(), source };
        // The true path is checked and opened, so that no link on the way decides which file it is.
        let real = fs::canonicalize(path).map_err(unreadable)?;
        // Not blocking: the name may be that of a pipe that nobody writes to.
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
        let flags = flags.bits().cast_signed();
        let file =
            OpenOptions::new().read(true).custom_flags(flags).open(&real).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() || metadata.len() > OCTETS_MAX {
            let found = format!("{} of {} octets", kind(metadata.file_type()), metadata.len());
            return Err(FileError::Kind { path: path.to_owned(), found });
        }
        check_owner(&real, &metadata)?;
        check_mode(&real, &metadata)?;
        for (height, folder) in real.ancestors().skip(1).enumerate() {
            let metadata = fs::metadata(folder).map_err(unreadable)?;
            check_mode(folder, &metadata)?;
            // Folders further up are often those of the person whose checkout or home it is.
            if height == 0 {
                check_owner(folder, &metadata)?;
            }
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
        private_folder(folder)?;
        if fs::read(&path).is_ok_and(|octets| octets == self.octets) {
            return Ok(path);
        }
        let fresh = folder.join(format!("{name}.{}", std::process::id()));
        // What a start that was killed has left under this name.
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(error));
            }
            _ => {}
        }
        let written = write_private(&fresh, &self.octets).and_then(|()| fs::rename(&fresh, &path));
        if written.is_err() {
            // Best effort: the error that matters is the one reported.
            let _ = fs::remove_file(&fresh);
        }
        written.map_err(failed)?;
        Ok(path)
    }
}

/// Removes the copies of files that are no longer plug-ins; nothing that is not named like a copy.
pub(crate) fn remove_stale_copies(folder: &Path, kept: &[PathBuf]) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if is_copy_name(&entry.file_name().to_string_lossy()) && !kept.contains(&path) {
            // A copy that stays costs room and nothing else.
            let _ = fs::remove_file(path);
        }
    }
}

/// Whether a name is a hash and `.so`, perhaps with the process that did not finish it.
fn is_copy_name(name: &str) -> bool {
    let Some((hash, ending)) = name.split_at_checked(64) else { return false };
    let hex = |octet: u8| matches!(octet, b'0'..=b'9' | b'a'..=b'f');
    let process = ending.strip_prefix(".so").map(|rest| rest.strip_prefix('.').unwrap_or(rest));
    hash.bytes().all(hex)
        && process.is_some_and(|process| process.bytes().all(|octet| octet.is_ascii_digit()))
}

/// Lower-case hexadecimal.
pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Makes the folder of the copies, or makes sure that it is a folder of this user's own.
fn private_folder(folder: &Path) -> Result<(), FileError> {
    let failed = |source| FileError::Read { path: folder.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let metadata = fs::symlink_metadata(folder).map_err(failed)?;
    let user = rustix::process::geteuid().as_raw();
    if !metadata.is_dir() {
        let found = kind(metadata.file_type()).to_owned();
        return Err(FileError::Folder { path: folder.to_owned(), found });
    }
    if metadata.uid() != user {
        let found = metadata.uid();
        return Err(FileError::Owner { path: folder.to_owned(), wanted: user, found });
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(failed)
}

/// What a thing in the file system is, in words.
fn kind(file_type: fs::FileType) -> &'static str {
    match () {
        () if file_type.is_dir() => "a folder",
        () if file_type.is_symlink() => "a link",
        () if file_type.is_fifo() => "a pipe",
        () if file_type.is_socket() => "a socket",
        () if file_type.is_char_device() || file_type.is_block_device() => "a device",
        () => "a file",
    }
}

fn write_private(path: &Path, octets: &[u8]) -> std::io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o500).open(path)?;
    file.write_all(octets)
}

/// Refuses what belongs to somebody other than root and this user.
fn check_owner(path: &Path, metadata: &fs::Metadata) -> Result<(), FileError> {
    let wanted = rustix::process::geteuid().as_raw();
    let found = metadata.uid();
    if found == 0 || found == wanted {
        return Ok(());
    }
    Err(FileError::Owner { path: path.to_owned(), wanted, found })
}

/// Refuses what others may write to. A folder with the sticky bit protects the files of each; the group of this process
/// counts as this user, since private groups are usual.
fn check_mode(path: &Path, metadata: &fs::Metadata) -> Result<(), FileError> {
    let group = rustix::process::getegid().as_raw();
    let mode = metadata.mode() & 0o7777;
    let sticky = metadata.is_dir() && mode & 0o1000 != 0;
    let by_others = mode & 0o002 != 0;
    let by_group = mode & 0o020 != 0 && metadata.gid() != group && metadata.gid() != 0;
    if (by_others || by_group) && !sticky {
        return Err(FileError::Mode { path: path.to_owned(), mode });
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
        let foreign = private.join("libmine.so");
        let unfinished = private.join(format!("{}.so.1", "0".repeat(64)));
        fs::write(&foreign, b"mine").unwrap();
        fs::write(&unfinished, b"left").unwrap();
        remove_stale_copies(&private, std::slice::from_ref(&second));
        assert!(!first.exists() && second.exists() && !unfinished.exists());
        assert!(foreign.exists(), "somebody else's file");
    }

    #[test]
    fn copies_go_into_a_folder_of_our_own_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libx.so");
        fs::write(&path, b"one").unwrap();
        let file = PluginFile::read(&path).unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::create_dir(&target).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(matches!(file.private_copy(&link), Err(FileError::Folder { .. })));
        let left = target.join(format!("{}.so.{}", hex(&file.sha256()), std::process::id()));
        fs::write(&left, b"half").unwrap();
        fs::set_permissions(&left, fs::Permissions::from_mode(0o500)).unwrap();
        let copy = file.private_copy(&target).unwrap();
        assert_eq!(fs::read(copy).unwrap(), b"one");
        assert!(!left.exists());
    }
}
