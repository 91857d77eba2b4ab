//! Who may log in: the users that the server knows, how their passwords are kept, and who asks too often.
//! Knows no session and no reply.

mod accounts;
mod authenticator;
mod failures;
mod memory;
mod password;
mod record;
mod secrets_file;
mod users_file;

use std::path::Path;

use stagepost_extmgr::FileError;

use crate::config::{ConfigError, Place};

pub(crate) use accounts::Accounts;
pub(crate) use authenticator::{Authenticator, LoginCounts};
pub(crate) use password::{NoRandom, PasswordError, check as check_password};
pub(crate) use record::UserRecord;
pub(crate) use secrets_file::SecretsFile;
pub(crate) use users_file::{UsersFile, UsersFileError};

/// Reads the users of a configuration; how many there are.
///
/// # Errors
/// What is wrong with the file, where the configuration names it.
pub(crate) fn users(path: &Path, place: &Place) -> Result<usize, ConfigError> {
    UsersFile::read(path).map(|file| file.users().count()).map_err(|error| fault(&error, place))
}

/// The users of a configuration, to be asked about.
///
/// # Errors
/// The same, or that the secret beside them can't be kept in `state_dir`.
pub(crate) fn accounts(
    path: &Path,
    place: &Place,
    state_dir: &Path,
) -> Result<Accounts, ConfigError> {
    Accounts::load(path, state_dir).map_err(|error| match &error {
        accounts::AccountsError::File(file) => fault(file, place),
        _ => place.fault(error.to_string(), "this user must be able to write to state_dir"),
    })
}

/// Shows what is wrong with a users file where the configuration names it.
fn fault(error: &UsersFileError, place: &Place) -> ConfigError {
    let said = error.to_string();
    let problem = said.split_once("; remedy: ").map_or(&*said, |(problem, _)| problem);
    let remedy = match error {
        UsersFileError::File(FileError::Mode { path, .. }) => {
            format!("chmod go-w {}", path.display())
        }
        UsersFileError::Readable { path, .. } => format!("chmod o-rwx {}", path.display()),
        UsersFileError::Line { .. } => {
            "take the line out, and add its user with `stagepost user add`".to_owned()
        }
        _ => match said.split_once("; remedy: ") {
            Some((_, remedy)) => remedy.to_owned(),
            None => "name a file that is there and that only the server's user can read; `stagepost user add` makes one".to_owned(),
        },
    };
    place.fault(problem, remedy)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_wrong_with_the_users_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let file = folder.path().join("users");
        let text = format!(
            "hostname = \"a.test\"\nlisten = [{{ name = \"mx\", address = \"127.0.0.1:0\" }}]\n[auth]\nusers_file = {file:?}\n"
        );
        let settings = crate::config::from_text(&text).unwrap();
        let (path, place) = settings.auth.users_file.unwrap();
        for (written, mode, problem, remedy) in [
            (None, 0, "No such file", "name a file"),
            (Some("alice\n"), 0o600, "users:1: wanted a name", "take the line out"),
            (Some(""), 0o606, "no writing by others", "chmod go-w /"),
            (Some(""), 0o604, "no reading by others", "chmod o-rwx /"),
        ] {
            if let Some(text) = written {
                fs::write(&file, text).unwrap();
                fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            }
            let told = users(&path, &place).unwrap_err().to_string();
            assert!(told.contains(problem) && told.contains(remedy), "{told}");
        }
    }
}
