//! The file that messages are appended to.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Overwritten at the start, begun again when it is too large, removed at the end.
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
    path: PathBuf,
    written: u64,
    octets_max: u64,
}

impl Log {
    pub(crate) fn create(path: &Path, octets_max: u64) -> io::Result<Self> {
        // Not a device, which would be overwritten.
        if path.exists() && !path.is_file() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "not a regular file"));
        }
        Ok(Self { file: File::create(path)?, path: path.to_owned(), written: 0, octets_max })
    }

    /// Returns when the octets are on the disk.
    pub(crate) fn append(&mut self, octets: &[u8]) -> io::Result<()> {
        if self.written + octets.len() as u64 > self.octets_max && self.written > 0 {
            fs::remove_file(&self.path)?;
            self.file = File::create(&self.path)?;
            self.written = 0;
        }
        self.file.write_all(octets)?;
        self.written += octets.len() as u64;
        self.file.sync_data()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // Nothing to be done about it: what it held was worth nothing.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::{Log, fs};

    #[test]
    fn appended_then_removed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("log");
        fs::write(&path, "old").expect("writable");
        let mut log = Log::create(&path, 4).expect("writable");
        for (octets, content) in [("a", "a"), ("bcd", "abcd"), ("efghi", "efghi"), ("j", "j")] {
            log.append(octets.as_bytes()).expect("writable");
            assert_eq!(fs::read_to_string(&path).expect("readable"), content);
        }
        drop(log);
        assert!(!path.exists());
        assert!(Log::create(folder.path(), 4).is_err(), "a folder is no log");
    }
}
