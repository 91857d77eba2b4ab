//! The users of the server as they are now: read again when their file has changed, and told from names that no user has by
//! nothing that a client sees.
//! Knows one file; blocks.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use stagepost_smtp::ScramKeys;
use zeroize::Zeroizing;

use super::memory::Memory;
use super::password::{self, NoRandom, SCRAM_ITERATIONS};
use super::users_file::{UsersFile, UsersFileError};

/// Octets of the secret that decoys are made of.
const SECRET_OCTETS: usize = 32;

/// Users by name.
pub(crate) struct Accounts {
    path: PathBuf,
    now: Mutex<State>,
    /// What the keys of names that no user has are made of: the same each time, and foreseen by nobody.
    secret: Zeroizing<[u8; SECRET_OCTETS]>,
    /// The hash of a password that nobody has.
    decoy: String,
    memory: Memory,
}

struct State {
    file: Arc<UsersFile>,
    stamp: Option<Stamp>,
}

/// By what a changed file is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    octets: u64,
    inode: u64,
}

/// Why there are no accounts.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountsError {
    /// The users file.
    #[error(transparent)]
    File(#[from] UsersFileError),
    /// The file of the secret in the state folder.
    #[error("{}: {source}", path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No random octets.
    #[error(transparent)]
    NoRandom(#[from] NoRandom),
}

/// What a password, checked, came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// It is that of this user.
    Accepted(Box<str>),
    /// The user has another one.
    Refused,
    /// There is no such user here.
    Unknown,
}

impl Accounts {
    /// Reads the users. `state_dir`: where the secret is, or will be.
    ///
    /// # Errors
    /// What is wrong with the file, or with the secret's.
    pub(crate) fn load(path: &Path, state_dir: &Path) -> Result<Self, AccountsError> {
        let stamp = Stamp::of(path);
        let file = Arc::new(UsersFile::read(path)?);
        let (decoy, _) = password::hash("nobody has it")?;
        let secret = secret(&state_dir.join("auth-secret"))?;
        let now = Mutex::new(State { file, stamp });
        Ok(Self { path: path.to_owned(), now, secret, decoy, memory: Memory::default() })
    }

    /// The users as they are now. A file that can't be used changes nothing, and is told once.
    fn now(&self) -> Arc<UsersFile> {
        let mut state = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = Stamp::of(&self.path);
        if stamp != state.stamp {
            match UsersFile::read(&self.path) {
                Ok(file) => {
                    tracing::info!(users = file.users().count(), "users file read again");
                    state.file = Arc::new(file);
                }
                Err(error) => tracing::error!("the users stay as they were: {error}"),
            }
            state.stamp = stamp;
        }
        state.file.clone()
    }

    /// Checks a password. Takes as long for a name that no user has.
    pub(super) fn check(&self, name: &str, password: &[u8]) -> Checked {
        let file = self.now();
        let user = file.user(name);
        let hashed = user.and_then(|user| user.hashed.as_deref());
        let hashed_or_decoy = hashed.unwrap_or(&self.decoy);
        let verified = password::verify(password, hashed_or_decoy, &self.memory);
        match user {
            Some(user) if verified && hashed.is_some() => Checked::Accepted(user.name.clone()),
            Some(_) => Checked::Refused,
            None => Checked::Unknown,
        }
    }

    /// The keys of a user with the name as it is kept; for one without keys, and for a name that no user has, the same decoy each
    /// time.
    pub(super) fn keys(&self, name: &str) -> (Box<str>, ScramKeys) {
        let file = self.now();
        let user = file.user(name);
        match user.and_then(|user| Some((user.name.clone(), user.keys.clone()?))) {
            Some(known) => known,
            None => {
                let key = name.to_lowercase();
                let part = |what: &str| self.derive(what, &key);
                let salt = part("salt");
                let keys = [part("stored key"), part("server key")];
                (name.into(), ScramKeys::decoy(&salt[..16], SCRAM_ITERATIONS, keys))
            }
        }
    }

    fn derive(&self, what: &str, name: &str) -> [u8; 32] {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&*self.secret) else {
            unreachable!("HMAC takes keys of any length")
        };
        mac.update(what.as_bytes());
        mac.update(&[0]);
        mac.update(name.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        let modified = metadata.modified().ok()?;
        Some(Self { modified, octets: metadata.len(), inode: metadata.ino() })
    }
}

/// Reads the secret, or makes it.
fn secret(path: &Path) -> Result<Zeroizing<[u8; SECRET_OCTETS]>, AccountsError> {
    let failed = |source| AccountsError::Secret { path: path.to_owned(), source };
    let read = || -> Option<Zeroizing<[u8; SECRET_OCTETS]>> {
        let octets = Zeroizing::new(fs::read(path).ok()?);
        Some(Zeroizing::new(octets.as_slice().try_into().ok()?))
    };
    if let Some(secret) = read() {
        return Ok(secret);
    }
    let secret = Zeroizing::new(password::random::<SECRET_OCTETS>()?);
    // Whoever else makes one at the same time: the last one counts, from the next start on.
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    let mut file = file.map_err(failed)?;
    io::Write::write_all(&mut file, &*secret).map_err(failed)?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::super::record::UserRecord;
    use super::*;

    fn put(path: &Path, name: &str, password: &str) {
        let user = UserRecord::new(name, password).unwrap();
        UsersFile::change::<UsersFileError>(path, true, |file| {
            file.put(user);
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn users_are_those_of_the_file_as_it_is_now() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        put(&path, "Alice@x", "pencil");
        let accounts = Accounts::load(&path, folder.path()).unwrap();
        assert_eq!(accounts.check("alice@X", b"pencil"), Checked::Accepted("Alice@x".into()));
        assert_eq!(accounts.check("alice@x", b"pen"), Checked::Refused);
        assert_eq!(accounts.check("bob", b"nobody has it"), Checked::Unknown);
        let (name, keys) = accounts.keys("ALICE@x");
        assert!(&*name == "Alice@x" && keys.are_of("pencil"));
        put(&path, "bob", "pen");
        assert_eq!(accounts.check("bob", b"pen"), Checked::Accepted("bob".into()));
        // What is no users file changes nothing.
        fs::write(&path, "nonsense\n").unwrap();
        assert_eq!(accounts.check("bob", b"pen"), Checked::Accepted("bob".into()));
    }

    #[test]
    fn a_name_that_no_user_has_has_keys_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        put(&path, "alice", "pencil");
        let keys = |name| Accounts::load(&path, folder.path()).unwrap().keys(name).1;
        let (nobody, again, other) = (keys("Nobody"), keys("nobody"), keys("somebody"));
        assert!(nobody == again && nobody != other);
        let user = keys("alice");
        assert_eq!(nobody.iterations(), user.iterations());
        assert_eq!(nobody.salt().len(), user.salt().len());
        assert!(!nobody.are_of("pencil") && !nobody.are_of(""));
    }
}
