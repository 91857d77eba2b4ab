//! Policies of MTA-STS on disk: a file for each domain, so that what was once known is known after a restart.
//! Knows no network; a file that can't be read is as good as none.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::kept::{Kept, seconds};
use super::policy::{StsPolicy, is_name};

/// The most octets of a file: a policy and its first line.
const FILE_OCTETS_MAX: u64 = 80 * 1024;

/// The folder.
#[derive(Clone, Debug)]
pub(super) struct Shelf(PathBuf);

impl Shelf {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Everything that still counts, with its domain. What does not is removed.
    pub(super) fn read(&self, now: SystemTime) -> Vec<(String, Kept)> {
        let Ok(entries) = fs::read_dir(&self.0) else { return Vec::new() };
        let mut found = Vec::new();
        for name in entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
            match self.read_one(&name, now).filter(|kept| !kept.is_over(now)) {
                Some(kept) => found.push((name, kept)),
                None => self.remove(&name),
            }
        }
        found
    }

    /// The first line has the policy's name, when it was fetched and when it was used; then comes the policy.
    fn read_one(&self, domain: &str, now: SystemTime) -> Option<Kept> {
        let path = self.0.join(domain);
        let fits = is_name(domain) && fs::metadata(&path).ok()?.len() <= FILE_OCTETS_MAX;
        let text = if fits { fs::read_to_string(&path).ok()? } else { return None };
        let (first, policy) = text.split_once('\n')?;
        let mut words = first.split(' ');
        let (id, fetched, used) = (words.next()?, words.next()?, words.next()?);
        let fetched_at = UNIX_EPOCH.checked_add(Duration::from_secs(fetched.parse().ok()?))?;
        let policy = StsPolicy::parse(policy.as_bytes()).ok()?;
        // A clock that was ahead once must not have it last for ever.
        Some(Kept::new(id, policy, fetched_at.min(now)).used_at(used.parse().ok()?))
    }

    /// Writes one, durably.
    ///
    /// # Errors
    /// What the disk has against it.
    pub(super) fn write(&self, domain: &str, kept: &Kept) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        // No domain begins with a dot.
        let draft = self.0.join(format!(".{domain}"));
        let mut file = File::create(&draft)?;
        let (fetched_s, used_s) = (seconds(kept.fetched_at), kept.used_s());
        write!(file, "{} {fetched_s} {used_s}\n{}", kept.id, kept.policy)?;
        file.sync_all()?;
        fs::rename(&draft, self.0.join(domain))?;
        File::open(&self.0)?.sync_all()
    }

    /// Removes one.
    pub(super) fn remove(&self, domain: &str) {
        if let Err(error) = fs::remove_file(self.0.join(domain))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(domain, %error, "a policy of MTA-STS that is over can't be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_over_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mta-sts");
        let shelf = Shelf::new(path.clone());
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let text = "version: STSv1\nmode: enforce\nmx: a.test\nmx: *.b.test\nmax_age: 100\n";
        let policy = StsPolicy::parse(text.as_bytes()).unwrap();
        let kept = Kept::new("id1", policy, at(1000)).used_at(1050);
        assert!(shelf.read(at(0)).is_empty(), "there is no folder yet");
        shelf.write("x.test", &kept).unwrap();
        assert_eq!(
            fs::read_to_string(path.join("x.test")).unwrap(),
            format!("id1 1000 1050\n{text}")
        );
        let read = |now| {
            let found = shelf.read(at(now)).into_iter();
            let shown = found.map(|(domain, kept)| {
                assert_eq!(kept.policy.to_string(), text);
                (domain, kept.id.to_string(), seconds(kept.fetched_at), kept.used_s())
            });
            shown.collect::<Vec<_>>()
        };
        assert_eq!(read(1100), [("x.test".to_owned(), "id1".to_owned(), 1000, 1050)]);
        // Written by a clock that was ahead.
        assert_eq!(read(900)[0].2, 900);
        // A draft that was not finished, what is no policy, what is not readable as one.
        for (name, octets) in [(".y.test", text), ("y.test", text), ("z.test", "id1 1 1\nnonsense")]
        {
            fs::write(path.join(name), octets).unwrap();
        }
        fs::write(path.join("large.test"), "x".repeat(100_000)).unwrap();
        assert_eq!(read(1100).len(), 1);
        assert!(read(1101).is_empty());
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    }
}
