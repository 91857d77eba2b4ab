//! Policies of MTA-STS on disk: a file for each domain, so that what was once known is known after a restart.
//! Knows no network; a file that holds no policy is as good as none.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::kept::{Kept, seconds};
use super::policy::{StsPolicy, is_name};

/// The most octets of a file: a policy and its first line.
const FILE_OCTETS_MAX: u64 = 80 * 1024;

/// What a file came to.
enum Read {
    Kept(Kept),
    Over,
    /// It is none of ours, or damaged.
    Nothing,
}

/// The folder.
#[derive(Clone, Debug)]
pub(super) struct Shelf(PathBuf);

impl Shelf {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Everything that still counts, with its domain. What does not is removed; what can't be read now is left alone, for another day.
    pub(super) fn read(&self, now: SystemTime) -> Vec<(String, Kept)> {
        let unread = |error: &io::Error| error.kind() != io::ErrorKind::NotFound;
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) => {
                if unread(&error) {
                    tracing::error!(folder = %self.0.display(), %error, "the policies of MTA-STS that are kept can't be read");
                }
                return Vec::new();
            }
        };
        let (mut found, mut damaged, mut fault) = (Vec::new(), 0_u32, None);
        for name in entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
            match self.read_one(&name, now) {
                Ok(Read::Kept(kept)) => found.push((name, kept)),
                Ok(Read::Over) => self.remove(&name),
                Ok(Read::Nothing) => {
                    // A draft that was not finished is no damage.
                    damaged += u32::from(!name.starts_with('.'));
                    self.remove(&name);
                }
                Err(error) => fault = Some(error),
            }
        }
        if damaged > 0 {
            tracing::warn!(files = damaged, folder = %self.0.display(), "policies of MTA-STS were damaged, and are fetched again");
        }
        if let Some(error) = fault {
            tracing::error!(folder = %self.0.display(), %error, "some policies of MTA-STS can't be read");
        }
        found
    }

    fn read_one(&self, domain: &str, now: SystemTime) -> io::Result<Read> {
        let path = self.0.join(domain);
        // Whatever else may be there, such as a pipe, must not be waited for.
        let data = fs::symlink_metadata(&path)?;
        if !is_name(domain) || !data.is_file() || data.len() > FILE_OCTETS_MAX {
            return Ok(Read::Nothing);
        }
        Ok(match Self::kept(&fs::read(&path)?, now) {
            Some(kept) if kept.is_over(now) => Read::Over,
            Some(kept) => Read::Kept(kept),
            None => Read::Nothing,
        })
    }

    /// The first line has the policy's name, when it was fetched and when it was used; then comes the policy.
    fn kept(octets: &[u8], now: SystemTime) -> Option<Kept> {
        let text = std::str::from_utf8(octets).ok()?;
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
        let (fetched_s, used_s) = (seconds(kept.fetched_at), kept.used_s());
        let text = format!("{} {fetched_s} {used_s}\n{}", kept.id, kept.policy);
        let put = || {
            let mut file = File::create(&draft)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&draft, self.0.join(domain))
        };
        put().inspect_err(|_| {
            // A disk that is full has no room for a part of it.
            let _ = fs::remove_file(&draft);
        })?;
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
        fs::write(path.join("octets.test"), b"id1 1 1\n\xff\0").unwrap();
        fs::write(path.join("empty.test"), "").unwrap();
        // Cut anywhere, it is a policy that is over sooner, or none.
        let whole = format!("id1 1000 1050\n{text}");
        for end in 0..whole.len() {
            fs::write(path.join("cut.test"), &whole[..end]).unwrap();
            for (domain, kept) in shelf.read(at(1000)).iter().filter(|(name, _)| name == "cut.test")
            {
                assert_eq!((kept.policy.mx.len(), domain.as_str()), (2, "cut.test"), "{end}");
                assert!(kept.policy.max_age.as_secs() <= 100);
            }
        }
        let _ = fs::remove_file(path.join("cut.test"));
        // Nobody writes to it, and who would read it would wait.
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, path.join("pipe.test"), mode).unwrap();
        std::os::unix::fs::symlink("x.test", path.join("link.test")).unwrap();
        assert_eq!(read(1100).len(), 1);
        assert!(read(1101).is_empty());
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    }

    #[test]
    fn what_cant_be_read_or_written_now_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (path, now) = (folder.path().join("mta-sts"), UNIX_EPOCH + Duration::from_secs(1000));
        let text = "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 100\n";
        let kept = Kept::new("1", StsPolicy::parse(text.as_bytes()).unwrap(), now);
        // Something else is in the place of the folder.
        fs::write(&path, "").unwrap();
        let shelf = Shelf::new(path.clone());
        assert!(shelf.read(now).is_empty() && shelf.write("x.test", &kept).is_err());
        fs::remove_file(&path).unwrap();
        // Something else is in the place of a file: no draft is left.
        fs::create_dir_all(path.join("x.test/y")).unwrap();
        assert!(shelf.write("x.test", &kept).is_err() && shelf.read(now).is_empty());
        let names = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(names.collect::<Vec<_>>(), ["x.test"]);
    }
}
