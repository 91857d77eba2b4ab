//! Watches the configuration file and files that it names, and has them read again when they have changed.
//! Knows when that is to be done; what comes of it is the reloader's.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::reload::Reloader;
use crate::config::Settings;
use crate::stopping::Stopping;

/// How often the files are looked at. What was the same twice is taken for whole.
const PERIOD: Duration = Duration::from_secs(1);

/// Files that are watched.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    files: Vec<PathBuf>,
    seen: Mutex<Seen>,
}

/// What was seen of them.
#[derive(Debug, Default)]
struct Seen {
    last: Vec<Option<Stamp>>,
    /// As they were when they were read last, or tried to be: no second time.
    read: Vec<Option<Stamp>>,
}

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    octets: u64,
    modified: (i64, i64),
}

impl Watched {
    /// The files of a configuration that was just read; none where it is not to be watched.
    pub(crate) fn of(settings: &Settings) -> Self {
        if !settings.watch_files || settings.is_development() {
            return Self::default();
        }
        let named = [&settings.groups_file, &settings.aliases_file];
        let named = named.into_iter().flatten().map(|(path, _)| path.clone());
        let files: Vec<PathBuf> =
            [PathBuf::from(&settings.source)].into_iter().chain(named).collect();
        let watched = Self { files, seen: Mutex::default() };
        watched.note();
        watched
    }

    /// Takes the files as they are for read.
    pub(crate) fn note(&self) {
        let now = self.look();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.read.clone_from(&now);
        seen.last = now;
    }

    /// Whether they are others than those that were read, and no longer change.
    fn wants_reading(&self) -> bool {
        let now = self.look();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = now == seen.last && now != seen.read;
        seen.last = now;
        wanted
    }

    fn look(&self) -> Vec<Option<Stamp>> {
        self.files.iter().map(|path| Stamp::of(path)).collect()
    }
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let file = std::fs::metadata(path).ok()?;
        Some(Self {
            inode: (file.dev(), file.ino()),
            octets: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
        })
    }
}

/// Watches until the server is to stop.
pub(crate) async fn run(watched: Arc<Watched>, reloader: Arc<Reloader>, mut stopping: Stopping) {
    if watched.files.is_empty() {
        return;
    }
    loop {
        tokio::select! {
            () = stopping.wait() => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
        let looking = watched.clone();
        let wanted = tokio::task::spawn_blocking(move || looking.wants_reading()).await;
        if wanted.unwrap_or(false) {
            // What becomes of it is in the log.
            let _ = reloader.reload().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_are_read_again_once_they_have_settled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "one").unwrap();
        let watched = Watched { files: vec![path.clone()], seen: Mutex::default() };
        watched.note();
        let wants = || watched.wants_reading();
        assert!(!wants() && !wants(), "nothing has changed");
        fs::write(&path, "two, and more").unwrap();
        assert!(!wants(), "it may go on changing");
        assert!(wants() && wants());
        // Whoever reads them says so, also when somebody has asked for it.
        watched.note();
        assert!(!wants() && !wants());
        fs::remove_file(&path).unwrap();
        assert!(!wants() && wants());
    }
}
