//! The password of a connection: the one line of a file, which not everybody may read.
//! Knows no connection; what was read is wiped when it goes.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// The longest password, in octets.
const OCTETS_MAX: u64 = 1024;

/// Why there is none. The operator is to blame.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("{}: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{}: everybody can read it (mode {mode:04o}): chmod o-rwx", path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error("{}: must have the password in its one line, at most {OCTETS_MAX} octets of UTF-8", .0.display())]
    Form(PathBuf),
}

/// Reads a password.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<String>, SecretError> {
    let unreadable = |error| SecretError::Unreadable { path: path.to_owned(), error };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o7777;
    if mode & 0o007 != 0 {
        return Err(SecretError::Open { path: path.to_owned(), mode });
    }
    // In one allocation, so that no copy stays behind.
    let mut text = Zeroizing::new(String::with_capacity(OCTETS_MAX as usize + 4));
    let read = file.take(OCTETS_MAX + 3).read_to_string(&mut text);
    let form = || SecretError::Form(path.to_owned());
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(form()),
        Err(error) => return Err(unreadable(error)),
    }
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    let sound =
        !line.is_empty() && line.len() as u64 <= OCTETS_MAX && !line.contains(['\n', '\r', '\0']);
    if !sound {
        return Err(form());
    }
    let length = line.len();
    text.truncate(length);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_has_one_line_and_is_not_for_everybody() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let said = |text: &[u8], mode: u32| {
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            read(&file).map(|secret| secret.as_str().to_owned()).map_err(|error| error.to_string())
        };
        let long = "x".repeat(1024);
        for text in ["pencil\n", "pencil\r\n", "pencil"] {
            assert_eq!(said(text.as_bytes(), 0o640).unwrap(), "pencil");
        }
        assert_eq!(said(format!("{long}\n").as_bytes(), 0o600).unwrap(), long);
        for text in [&b""[..], b"\n", b"a\nb\n", b"\xff", format!("{long}x").as_bytes()] {
            assert!(
                said(text, 0o600).unwrap_err().contains("in its one line"),
                "{}",
                text.escape_ascii()
            );
        }
        assert!(
            said(b"pencil\n", 0o644).unwrap_err().contains("everybody can read it (mode 0644)")
        );
        assert!(read(&folder.path().join("none")).is_err());
    }
}
