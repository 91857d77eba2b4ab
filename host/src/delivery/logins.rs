//! As whom we log in to other servers: the login files of the routes.
//! Knows the form of such a file; what is said to a server is the sending session's.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use stagepost_extmgr::PluginFile;
use stagepost_smtp::{Credentials, Secret};

use crate::config::{ConfigError, Place, Settings};

/// The longest name or password, in octets.
const LINE_OCTETS_MAX: usize = 1024;
/// Octets of a nonce before they are written in hexadecimal.
const NONCE_OCTETS: usize = 18;

type ByFile = HashMap<PathBuf, Credentials>;

/// What the login files of all routes say.
#[derive(Debug, Default)]
pub(crate) struct Logins {
    in_force: RwLock<ByFile>,
}

/// Login files that were read again and are not in force.
pub(crate) struct NewLogins(ByFile);

impl Logins {
    /// Reads the login file of each route that has one.
    ///
    /// # Errors
    /// A file can't be read, can be read by everybody, or has another form.
    pub(crate) fn load(settings: &Settings) -> Result<Self, ConfigError> {
        Ok(Self { in_force: RwLock::new(read_all(settings)?) })
    }

    /// Reads them again.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(crate) fn reread(&self, settings: &Settings) -> Result<NewLogins, ConfigError> {
        read_all(settings).map(NewLogins)
    }

    /// Puts those in force whose files were known before: others belong to routes of the next start. The files that say something
    /// else than before.
    pub(crate) fn commit(&self, NewLogins(fresh): NewLogins) -> Vec<PathBuf> {
        let mut in_force = self.in_force.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = Vec::new();
        for (path, credentials) in fresh {
            if let Some(known) = in_force.get_mut(&path).filter(|known| **known != credentials) {
                *known = credentials;
                changed.push(path);
            }
        }
        changed.sort();
        changed
    }

    /// What a file says now; none: it is that of no route.
    pub(super) fn of(&self, path: &Path) -> Option<Credentials> {
        self.in_force.read().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }
}

/// Text that nobody can foresee, for one login.
///
/// # Errors
/// The system gives no random octets.
pub(super) fn nonce() -> Result<Box<str>, getrandom::Error> {
    let mut octets = [0; NONCE_OCTETS];
    getrandom::fill(&mut octets)?;
    Ok(octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>().into())
}

fn read_all(settings: &Settings) -> Result<ByFile, ConfigError> {
    let mut by_file = ByFile::new();
    for (path, place) in &settings.login_files {
        by_file.insert(path.clone(), read(path, place)?);
    }
    Ok(by_file)
}

fn read(path: &Path, place: &Place) -> Result<Credentials, ConfigError> {
    let said = |error: String| {
        let (problem, remedy) = error.split_once("; remedy: ").unwrap_or((
            &error,
            "name a file that is there and that only the server's user can read",
        ));
        place.fault(problem, remedy)
    };
    let file = PluginFile::read(path).map_err(|error| said(error.to_string()))?;
    let metadata = std::fs::metadata(path);
    let mode = metadata.map_err(|error| said(error.to_string()))?.permissions().mode() & 0o7777;
    if mode & 0o007 != 0 {
        let problem = format!("{}: everybody can read it (mode {mode:04o})", path.display());
        return Err(place.fault(problem, "chmod o-rwx"));
    }
    parse(file.octets()).ok_or_else(|| {
        let problem = format!("{}: not a name and a password", path.display());
        let remedy = format!(
            "write the user's name in the first line and the password in the second, at most {LINE_OCTETS_MAX} octets of UTF-8 each, and nothing else"
        );
        place.fault(problem, remedy)
    })
}

/// The name on one line, the password on the next.
fn parse(octets: &[u8]) -> Option<Credentials> {
    let mut lines = octets.strip_suffix(b"\n").unwrap_or(octets).split(|&octet| octet == b'\n');
    let mut line = || {
        let line = lines.next()?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        (line.len() <= LINE_OCTETS_MAX).then_some(line)
    };
    let (name, password) = (line()?, line()?);
    let name = std::str::from_utf8(name).ok()?;
    if lines.next().is_some() {
        return None;
    }
    Credentials::new(name, Secret::new(password.to_vec()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_has_a_name_and_a_password() {
        let long = [b"u\n", &b"x".repeat(1025)[..]].concat();
        type Case<'c> = (&'c [u8], Option<(&'c str, &'c [u8])>);
        let cases: [Case<'_>; 11] = [
            (b"user\npencil\n", Some(("user", b"pencil"))),
            (b"user\r\npencil\r\n", Some(("user", b"pencil"))),
            (b"a b\n p\xc3\xa4 ", Some(("a b", " p\u{e4} ".as_bytes()))),
            (b"user\n", None),
            (b"user", None),
            (b"", None),
            (b"\npencil\n", None),
            (b"user\n\n", None),
            (b"user\npencil\nmore\n", None),
            (b"us\xffer\npencil\n", None),
            (&long, None),
        ];
        for (octets, wanted) in cases {
            let wanted =
                wanted.and_then(|(name, word)| Credentials::new(name, Secret::new(word.to_vec())));
            assert_eq!(parse(octets), wanted, "{}", octets.escape_ascii());
        }
    }

    #[test]
    fn files_are_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("login");
        let write = |text: &str, mode: u32| {
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        };
        let head =
            "hostname = \"a.test\"\nlisten = [{ name = \"mx\", address = \"127.0.0.1:0\" }]\n";
        let route = format!(
            "[[route]]\ndomain = \"*\"\nnext_hop = \"b.test:587\"\nlogin_file = \"{}\"\n",
            file.display()
        );
        let settings = crate::config::from_text(&format!("{head}{route}")).unwrap();
        let credentials =
            |word: &str| Credentials::new("user", Secret::new(word.as_bytes().to_vec()));
        let problem = |logins: Result<NewLogins, ConfigError>| logins.err().unwrap().in_line();
        assert!(Logins::load(&settings).is_err(), "there is no file");
        write("user\npencil\n", 0o640);
        let logins = Logins::load(&settings).unwrap();
        assert_eq!(logins.of(&file), credentials("pencil"));
        assert_eq!(logins.of(folder.path()), None);
        assert!(logins.commit(logins.reread(&settings).unwrap()).is_empty());
        write("user\neraser\n", 0o600);
        assert_eq!(logins.commit(logins.reread(&settings).unwrap()), std::slice::from_ref(&file));
        assert_eq!(logins.of(&file), credentials("eraser"));
        write("user\n", 0o600);
        assert!(problem(logins.reread(&settings)).contains("not a name and a password"));
        write("user\npencil\n", 0o644);
        let open = problem(logins.reread(&settings));
        assert!(open.contains("everybody can read it (mode 0644); remedy: chmod o-rwx"), "{open}");
        assert!(!open.contains("pencil"), "{open}");
    }

    #[test]
    fn nonces_are_new_each_time() {
        let (one, two) = (nonce().unwrap(), nonce().unwrap());
        assert!(one.len() == 36 && one != two);
    }
}
