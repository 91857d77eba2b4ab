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
    let (problem, remedy) = said.split_once("; remedy: ").unwrap_or((
        &said,
        "name a file that is there and that only the server's user can read; `stagepost user add` makes one",
    ));
    place.fault(problem, remedy)
}
