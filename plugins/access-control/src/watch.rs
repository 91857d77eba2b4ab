//! Watches the files that lists are kept in, and has the rules made anew when one has changed.
//! Has a thread of its own, which sleeps; knows no rule.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use stagepost_sdk::Level;

use crate::AccessControl;

/// How often the files are looked at. One that was the same twice is taken for whole.
const PERIOD: Duration = Duration::from_secs(1);

/// A file as it was when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Watched {
    pub(crate) path: PathBuf,
    pub(crate) stamp: Stamp,
}

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: (u64, u64),
    octets: u64,
    modified: (i64, i64),
}

impl From<&Metadata> for Stamp {
    fn from(file: &Metadata) -> Self {
        Self {
            inode: (file.dev(), file.ino()),
            octets: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
        }
    }
}

/// Begins to watch, until the plug-in is gone.
pub(crate) fn begin(plugin: &Arc<AccessControl>) -> io::Result<()> {
    let plugin = Arc::downgrade(plugin);
    thread::Builder::new().name("access-files".to_owned()).spawn(move || watch(&plugin))?;
    Ok(())
}

fn watch(plugin: &Weak<AccessControl>) {
    let mut watcher = Watcher::default();
    loop {
        thread::sleep(PERIOD);
        let Some(plugin) = plugin.upgrade() else { return };
        let rules = plugin.rules();
        if !watcher.wants_reading(&rules.files, |path| std::fs::metadata(path).ok()) {
            continue;
        }
        drop(rules);
        match plugin.put_in_force() {
            Ok(()) => {
                plugin.host.log(Level::Info, "lists in files have changed, and are read again")
            }
            Err(error) => plugin
                .host
                .log(Level::Error, format_args!("lists in files stay as they were: {error}")),
        }
    }
}

/// What was seen of the files.
#[derive(Debug, Default)]
struct Watcher {
    last: Vec<Option<Stamp>>,
    /// What was read last, or tried to: no second time.
    tried: Option<Vec<Option<Stamp>>>,
}

impl Watcher {
    /// Looks at the files: whether they are others than those that were read, and no longer change.
    fn wants_reading(
        &mut self,
        files: &[Watched],
        metadata: impl Fn(&PathBuf) -> Option<Metadata>,
    ) -> bool {
        let now: Vec<_> =
            files.iter().map(|file| metadata(&file.path).as_ref().map(Stamp::from)).collect();
        let changed = files.iter().zip(&now).any(|(file, now)| Some(file.stamp) != *now);
        let settled = now == self.last;
        let wanted = changed && settled && self.tried.as_ref() != Some(&now);
        if wanted {
            self.tried = Some(now.clone());
        }
        self.last = now;
        wanted
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_read_again_when_it_has_settled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        fs::write(&path, "one").unwrap();
        let stamp = |path: &PathBuf| Stamp::from(&fs::metadata(path).unwrap());
        let files = |stamp| [Watched { path: path.clone(), stamp }];
        let read = files(stamp(&path));
        let mut watcher = Watcher::default();
        let mut looks =
            |files: &[Watched]| watcher.wants_reading(files, |path| fs::metadata(path).ok());
        assert!(!looks(&read) && !looks(&read), "nothing has changed");
        fs::write(&path, "two, and more").unwrap();
        assert!(!looks(&read), "it may go on changing");
        fs::write(&path, "two, and even more").unwrap();
        assert!(!looks(&read), "it does");
        assert!(looks(&read));
        assert!(!looks(&read), "what was in it was wrong, and still is");
        fs::write(&path, "three").unwrap();
        assert!(!looks(&read) && looks(&read));
        let read = files(stamp(&path));
        assert!(!looks(&read));
        fs::remove_file(&path).unwrap();
        assert!(!looks(&read) && looks(&read) && !looks(&read));
        fs::write(&path, "three").unwrap();
        assert!(!looks(&read) && looks(&read), "another file with the same content");
    }
}
