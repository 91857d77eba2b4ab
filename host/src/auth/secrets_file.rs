//! The secrets file: users of listeners for odmr whose programs know nothing but CRAM-MD5, which wants their secrets as they are.
//! Knows no session. It is read at each login, so that a change counts at once.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use stagepost_extmgr::PluginFile;
use stagepost_smtp::{CramProof, Secret, prepare_name};

use super::accounts::Checked;
use crate::config::{ConfigError, Place};

/// The longest secret, in octets.
const SECRET_OCTETS_MAX: usize = 255;

/// A secrets file.
#[derive(Clone, Debug)]
pub(crate) struct SecretsFile(PathBuf);

/// Why it can't be used. The operator is to blame.
#[derive(Debug, thiserror::Error)]
enum SecretsError {
    #[error("{0}")]
    File(String),
    #[error("{}: everybody can read it (mode {mode:04o})", path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error("{}:{line}: no user and secret with a colon between", path.display())]
    Line { path: PathBuf, line: usize },
}

impl SecretsFile {
    /// A file that can be used.
    ///
    /// # Errors
    /// It can't be read, can be read by everybody, or has another form.
    pub(crate) fn new(path: &Path, place: &Place) -> Result<Self, ConfigError> {
        read(path).map(|_| Self(path.to_owned())).map_err(|error| {
            let remedy =
                "write USER:SECRET on each line, in a file that only the server's user can read";
            place.fault(error.to_string(), remedy)
        })
    }

    /// Checks the proof of a user. Blocks. None: nobody can say.
    pub(super) fn check(&self, name: &str, proof: &CramProof) -> Option<Checked> {
        let users = match read(&self.0) {
            Ok(users) => users,
            Err(error) => {
                tracing::error!("the secrets file can't be used: {error}");
                return None;
            }
        };
        let found = users.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        Some(match found {
            Some((known, secret)) if proof.fits(&secret) => Checked::Accepted(known),
            Some(_) => Checked::Refused,
            None => Checked::Unknown,
        })
    }
}

fn read(path: &Path) -> Result<Vec<(Box<str>, Secret)>, SecretsError> {
    let said = |error: String| SecretsError::File(error);
    let file = PluginFile::read(path).map_err(|error| said(error.to_string()))?;
    let metadata = std::fs::metadata(path);
    let mode = metadata.map_err(|error| said(error.to_string()))?.permissions().mode() & 0o7777;
    if mode & 0o007 != 0 {
        return Err(SecretsError::Open { path: path.to_owned(), mode });
    }
    let mut users = Vec::new();
    for (number, line) in file.octets().split(|&octet| octet == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let user = parse(line);
        let wrong = || SecretsError::Line { path: path.to_owned(), line: number + 1 };
        users.push(user.ok_or_else(wrong)?);
    }
    Ok(users)
}

fn parse(line: &[u8]) -> Option<(Box<str>, Secret)> {
    let (name, secret) = line.split_at_checked(line.iter().position(|&octet| octet == b':')?)?;
    let name = prepare_name(std::str::from_utf8(name).ok()?)?;
    let secret = &secret[1..];
    let sound = (1..=SECRET_OCTETS_MAX).contains(&secret.len());
    sound.then(|| ((*name).into(), Secret::new(secret.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_a_user_and_a_secret() {
        let shown = |line: &str| {
            parse(line.as_bytes()).map(|(name, secret)| {
                format!("{name} {}", String::from_utf8_lossy(secret.expose()))
            })
        };
        assert_eq!(shown("ann@a.test:x:y z").as_deref(), Some("ann@a.test x:y z"));
        for line in ["ann", "ann:", ":x", "a b:x", &format!("a:{}", "x".repeat(256))] {
            assert_eq!(shown(line), None, "{line}");
        }
    }

    #[test]
    fn a_file_is_for_the_server_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets");
        let write = |text: &str, mode: u32| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            read(&path).map(|users| users.len()).map_err(|error| error.to_string())
        };
        assert_eq!(write("# who\nann:x\r\n\nbob:y", 0o600), Ok(2));
        assert!(write("ann:x", 0o604).unwrap_err().ends_with("everybody can read it (mode 0604)"));
        assert!(write("ann:x\nbob", 0o600).unwrap_err().contains("secrets:2: no user and secret"));
    }
}
