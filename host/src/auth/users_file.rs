//! The users file: who may have written it, its lines, and how it is changed so that nobody ever reads half of it.
//! Knows no password in clear text.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use stagepost_extmgr::{FileError, PluginFile};
use zeroize::Zeroizing;

use super::record::UserRecord;

/// The most users.
const USERS_MAX: usize = 1_000_000;

/// Why a users file can't be used. Always the operator's to put right.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsersFileError {
    /// It can't be read, or somebody else may have written it.
    #[error(transparent)]
    File(#[from] FileError),
    /// Everybody can read it.
    #[error("{}: mode: wanted no reading by others, found {mode:04o}; remedy: chmod o-rwx", path.display())]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A line of it is wrong.
    #[error("{}:{line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// It can't be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file, or its folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A users file as read: its lines in their order, with comments as they are.
pub(crate) struct UsersFile {
    path: PathBuf,
    lines: Vec<Line>,
    /// The place of each user's line, by how names are compared.
    places: HashMap<String, usize>,
}

enum Line {
    /// A comment or nothing.
    Other(Zeroizing<String>),
    User(Box<UserRecord>),
}

impl UsersFile {
    /// Reads a file that only trusted users can have written, and not everybody can read.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(path: &Path) -> Result<Self, UsersFileError> {
        let file = PluginFile::read(path)?;
        let metadata =
            fs::metadata(path).map_err(|source| FileError::Read { path: path.into(), source })?;
        let mode = metadata.permissions().mode() & 0o7777;
        // A group that may manage users is usual.
        if mode & 0o007 != 0 {
            return Err(UsersFileError::Readable { path: path.to_owned(), mode });
        }
        let text = std::str::from_utf8(file.octets()).map_err(|error| {
            let before = &file.octets()[..error.valid_up_to()];
            let line = before.iter().filter(|&&octet| octet == b'\n').count() + 1;
            let problem = "wanted UTF-8".to_owned();
            UsersFileError::Line { path: path.to_owned(), line, problem }
        })?;
        Self::parse(path, text)
    }

    /// A file without users, that is not there yet.
    pub(crate) fn empty(path: &Path) -> Self {
        Self { path: path.to_owned(), lines: Vec::new(), places: HashMap::new() }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, UsersFileError> {
        let mut file = Self::empty(path);
        for (number, line) in (1..).zip(text.lines()) {
            let wrong = |problem: String| UsersFileError::Line {
                path: path.to_owned(),
                line: number,
                problem,
            };
            let written = line.trim();
            if written.is_empty() || written.starts_with('#') {
                file.lines.push(Line::Other(Zeroizing::new(line.to_owned())));
                continue;
            }
            let user = UserRecord::parse(written).map_err(|problem| wrong(problem.to_owned()))?;
            if file.places.len() >= USERS_MAX {
                return Err(wrong(format!("wanted at most {USERS_MAX} users")));
            }
            let key = UserRecord::key(&user.name);
            if let Some(earlier) = file.places.insert(key, file.lines.len()) {
                return Err(wrong(format!("{} is already in line {}", user.name, earlier + 1)));
            }
            file.lines.push(Line::User(Box::new(user)));
        }
        Ok(file)
    }

    /// The user of a name in any case.
    pub(crate) fn user(&self, name: &str) -> Option<&UserRecord> {
        match self.lines.get(*self.places.get(&UserRecord::key(name))?)? {
            Line::User(user) => Some(user),
            Line::Other(_) => None,
        }
    }

    /// The users, in the order of their lines.
    pub(crate) fn users(&self) -> impl Iterator<Item = &UserRecord> {
        self.lines.iter().filter_map(|line| match line {
            Line::User(user) => Some(&**user),
            Line::Other(_) => None,
        })
    }

    /// Puts a user in the place of the one of that name, or at the end.
    pub(crate) fn put(&mut self, user: UserRecord) {
        let key = UserRecord::key(&user.name);
        let line = Line::User(Box::new(user));
        match self.places.get(&key) {
            Some(&place) => self.lines[place] = line,
            None => {
                self.places.insert(key, self.lines.len());
                self.lines.push(line);
            }
        }
    }

    /// Takes a user out. False when there is none of that name.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let Some(place) = self.places.remove(&UserRecord::key(name)) else { return false };
        self.lines.remove(place);
        for other in self.places.values_mut().filter(|other| **other > place) {
            *other -= 1;
        }
        true
    }

    /// Writes the file: whole under another name first, on disk, and then in the place of the old one, whose owner and mode it
    /// has. A new file is the writer's alone.
    ///
    /// # Errors
    /// What the system said. The old file is there as it was.
    fn write(&self) -> Result<(), UsersFileError> {
        // A link stays a link.
        let real = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let mut name = real.clone().into_os_string();
        name.push(".new");
        let fresh = PathBuf::from(name);
        let failed = |source| UsersFileError::Write { path: fresh.clone(), source };
        let written = || -> io::Result<()> {
            // One that a crash has left is nobody's.
            match fs::remove_file(&fresh) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
            if let Ok(old) = fs::metadata(&real) {
                std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
                file.set_permissions(old.permissions())?;
            }
            for line in &self.lines {
                match line {
                    Line::Other(text) => file.write_all(text.as_bytes())?,
                    Line::User(user) => file.write_all(user.to_line().as_bytes())?,
                }
                file.write_all(b"\n")?;
            }
            file.sync_all()?;
            fs::rename(&fresh, &real)?;
            folder_of(&real).and_then(|folder| folder.sync_all())
        };
        let result = written().map_err(failed);
        if result.is_err() {
            // What is left of it helps nobody.
            let _ = fs::remove_file(&fresh);
        }
        result
    }

    /// Reads a file, has it changed, and writes it, with nobody else of this program doing the same. `created`: it need not be there.
    ///
    /// # Errors
    /// What is wrong with the file, or what the change said; nothing was written then.
    pub(crate) fn change<E: From<UsersFileError>>(
        path: &Path,
        created: bool,
        change: impl FnOnce(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |source| UsersFileError::Write { path: path.to_owned(), source };
        let folder = folder_of(path).map_err(failed)?;
        // Held until the folder is closed.
        flock(&folder, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
        let mut file = match path.try_exists() {
            Ok(false) if created => Self::empty(path),
            _ => Self::read(path)?,
        };
        change(&mut file)?;
        file.write()?;
        Ok(())
    }
}

fn folder_of(path: &Path) -> io::Result<File> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder),
        _ => File::open("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn names(path: &Path) -> Vec<String> {
        let file = UsersFile::read(path).unwrap();
        file.users().map(|user| user.name.to_string()).collect()
    }

    #[test]
    fn a_file_keeps_what_is_not_changed() {
        let folder = folder();
        let path = folder.path().join("users");
        let add = |name: &str| {
            let user = UserRecord::parse(&format!("{name} - -")).unwrap();
            UsersFile::change::<UsersFileError>(&path, true, |file| {
                file.put(user);
                Ok(())
            })
            .unwrap();
        };
        add("alice");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = "# who\n\nAlice - -\n  # and\nbob   - -\n";
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        add("carol");
        add("BOB");
        UsersFile::change::<UsersFileError>(&path, false, |file| {
            assert!(file.remove("ALICE") && !file.remove("alice"));
            assert_eq!(&*file.user("carol").unwrap().name, "carol");
            Ok(())
        })
        .unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "# who\n\n  # and\nBOB - -\ncarol - -\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(names(&path), ["BOB", "carol"]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_can_not_be_a_users_file_is_told() {
        let folder = folder();
        let path = folder.path().join("users");
        let said = |text: &[u8], mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            UsersFile::read(&path).map(|_| ()).unwrap_err().to_string()
        };
        assert!(UsersFile::read(&path).is_err());
        for (text, mode, wanted) in [
            (&b"a - -\n"[..], 0o604, "wanted no reading by others, found 0604"),
            (b"a - -\n", 0o622, "wanted no writing by others"),
            (b"a - -\nb -\n", 0o600, "users:2: wanted a name, an argon2 hash"),
            (b"a - -\n\nA - -\n", 0o600, "users:3: A is already in line 1"),
            (b"a - -\n\xff\n", 0o600, "users:2: wanted UTF-8"),
            (b"a secret -\n", 0o600, "users:1: wanted an argon2 hash"),
        ] {
            let found = said(text, mode);
            assert!(found.contains(wanted) && !found.contains("secret"), "{found}");
        }
    }
}
