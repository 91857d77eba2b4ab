//! `stagepost user`: the users who may log in, by their file.
//! Knows no running server: it sees the file change.

use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use stagepost_smtp::prepare_name;
use zeroize::Zeroizing;

use crate::auth::{UserRecord, UsersFile, UsersFileError, check_password};
use crate::config::{self, ConfigError};

/// The longest line that is read for a password.
const LINE_OCTETS_MAX: u64 = 4096;

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Add a user with a password
    ///
    /// The password is asked for twice at a terminal; otherwise it is the first line of standard input. The file is made if
    /// it is not there.
    Add(NamedArgs),
    /// Give a user another password
    ///
    /// It is read as `user add` reads it.
    Passwd(NamedArgs),
    /// Remove a user
    Remove(NamedArgs),
    /// Show the names of the users
    List(FileArgs),
}

#[derive(Debug, Args)]
pub(super) struct FileArgs {
    /// The configuration file, whose users_file is meant
    #[arg(long, value_name = "FILE", required_unless_present = "file", conflicts_with = "file")]
    config: Option<PathBuf>,
    /// The users file itself
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct NamedArgs {
    /// The name that the user logs in with, such as alice@example.org
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    file: FileArgs,
}

/// Why a user can't be managed.
#[derive(Debug, thiserror::Error)]
enum UserError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(
        "error: {0}: it has no users_file\n  = help: add [auth] with users_file = \"...\", or name a file with --file"
    )]
    NoFile(String),
    #[error("error: {0}")]
    File(#[from] UsersFileError),
    #[error(
        "error: {0:?} is not a name\n  = help: 1 to 255 octets without white space and control characters"
    )]
    Name(String),
    #[error(
        "error: there is a user {0} already\n  = help: `stagepost user passwd` gives them another password"
    )]
    Known(String),
    #[error("error: there is no user {0}\n  = help: `stagepost user list` shows them")]
    Unknown(String),
    #[error("error: the password can't be read: {0}")]
    Input(#[from] io::Error),
    #[error("error: {0}\n  = help: choose another one")]
    Password(#[from] crate::auth::PasswordError),
    #[error("error: the two are not the same; nothing has changed")]
    Differ,
    #[error("error: {0}")]
    Random(#[from] crate::auth::NoRandom),
}

pub(super) fn run(command: &UserCommand) -> ExitCode {
    let done = match command {
        UserCommand::Add(args) => add(args),
        UserCommand::Passwd(args) => change_password(args),
        UserCommand::Remove(args) => remove(args),
        UserCommand::List(args) => list(args),
    };
    match done {
        Ok(said) => super::print(&said),
        Err(error) => super::failed(&error, super::EXIT_CONFIGURATION),
    }
}

fn add(args: &NamedArgs) -> Result<String, UserError> {
    let (path, name) = (path(&args.file)?, prepared(&args.name)?);
    // Before the password is asked for.
    if path.exists() {
        check_unknown(&UsersFile::read(&path)?, &name)?;
    }
    let user = UserRecord::new(&name, &read_password()?)?;
    UsersFile::change(&path, true, |file| {
        check_unknown(file, &name)?;
        file.put(user);
        Ok::<_, UserError>(())
    })?;
    Ok(format!("added {name}\n"))
}

fn change_password(args: &NamedArgs) -> Result<String, UserError> {
    let (path, name) = (path(&args.file)?, prepared(&args.name)?);
    let known = |file: &UsersFile| {
        let user = file.user(&name).map(|user| user.name.clone());
        user.ok_or_else(|| UserError::Unknown(name.clone()))
    };
    known(&UsersFile::read(&path)?)?;
    let password = read_password()?;
    UsersFile::change(&path, false, |file| {
        let user = UserRecord::new(&known(file)?, &password)?;
        file.put(user);
        Ok::<_, UserError>(())
    })?;
    Ok(format!("{name} has another password\n"))
}

fn remove(args: &NamedArgs) -> Result<String, UserError> {
    let (path, name) = (path(&args.file)?, prepared(&args.name)?);
    UsersFile::change(&path, false, |file| match file.remove(&name) {
        true => Ok(()),
        false => Err(UserError::Unknown(name.clone())),
    })?;
    Ok(format!("removed {name}\n"))
}

fn list(args: &FileArgs) -> Result<String, UserError> {
    let file = UsersFile::read(&path(args)?)?;
    Ok(file.users().map(|user| format!("{}\n", user.name)).collect())
}

fn path(args: &FileArgs) -> Result<PathBuf, UserError> {
    match (&args.file, &args.config) {
        (Some(file), _) => Ok(file.clone()),
        (None, Some(config)) => {
            let named = config::load(config)?.auth.users_file;
            let named = named.ok_or_else(|| UserError::NoFile(config.display().to_string()))?;
            Ok(named.0)
        }
        // The command line has asked for one of the two.
        (None, None) => Err(UserError::NoFile("the command line".to_owned())),
    }
}

fn prepared(name: &str) -> Result<String, UserError> {
    let prepared = prepare_name(name).filter(|name| !name.starts_with('#'));
    prepared.map(String::from).ok_or_else(|| UserError::Name(name.to_owned()))
}

fn check_unknown(file: &UsersFile, name: &str) -> Result<(), UserError> {
    match file.user(name) {
        Some(user) => Err(UserError::Known(user.name.to_string())),
        None => Ok(()),
    }
}

/// Asks at a terminal, without showing what is typed; reads a line otherwise.
fn read_password() -> Result<Zeroizing<String>, UserError> {
    let password = if io::stdin().is_terminal() {
        let first = Zeroizing::new(rpassword::prompt_password("Password: ")?);
        let second = Zeroizing::new(rpassword::prompt_password("The same again: ")?);
        if first != second {
            return Err(UserError::Differ);
        }
        first
    } else {
        let mut line = Zeroizing::new(String::new());
        io::Read::take(io::stdin().lock(), LINE_OCTETS_MAX).read_line(&mut line)?;
        let end = line.trim_end_matches(['\r', '\n']).len();
        line.truncate(end);
        line
    };
    check_password(&password)?;
    Ok(password)
}
