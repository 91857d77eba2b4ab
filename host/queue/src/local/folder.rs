//! Folders that are still there after a power cut.
//! Knows nothing of what is in them.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// What a file of ours is opened with: a link may lead anywhere, and opening a pipe to write waits for somebody who reads.
pub(super) const NO_OTHER: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK;

/// An error that says with what it happened.
pub(super) fn naming(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Makes a folder, and those above it, for nobody but us, with their names made durable. One that is there stays
/// as it is. Blocks.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = parent_of(folder);
    make_folder(&parent)?;
    match DirBuilder::new().mode(0o700).create(folder) {
        // Two messages may need the same folder at once.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_folder(&parent),
    }
}

/// Makes the names in a folder durable. Blocks.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The folder that a path's last name is in.
pub(super) fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn folders_are_made_with_those_above() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b/c");
        make_folder(&folder).unwrap();
        make_folder(&folder).unwrap();
        for path in [folder.as_path(), &root.path().join("a")] {
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        }
        std::fs::write(root.path().join("file"), "").unwrap();
        assert!(make_folder(&root.path().join("file/under")).is_err());
    }

    #[test]
    fn a_bare_name_is_in_this_folder() {
        assert_eq!(parent_of(Path::new("spool")), Path::new("."));
        assert_eq!(parent_of(Path::new("var/spool")), Path::new("var"));
        assert_eq!(parent_of(Path::new("/")), Path::new("/"));
    }
}
