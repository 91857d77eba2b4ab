//! `stagepost import`: takes over the configuration of another server.
//! Knows files and the terminal; what is taken over is told elsewhere.

mod notes_ini;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use self::notes_ini::OCTETS_MAX;
use super::{EXIT_CONFIGURATION, failed, print};

#[derive(Debug, Subcommand)]
pub(super) enum ImportCommand {
    /// Take over what a notes.ini says of SMTP
    ///
    /// Prints tables for the configuration file, each setting with the line that it comes from, and says of the others why they
    /// are not taken over. Nothing is written. What Domino keeps in documents is in docs/access-control.md, field by
    /// field. Exit code 2 when the file can't be read.
    NotesIni {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// Why a file can't be taken over.
#[derive(Debug, thiserror::Error)]
enum ImportError {
    #[error("error: {}: {error}", path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("error: {}: it is larger than {OCTETS_MAX} octets, and so no notes.ini", _0.display())]
    TooLarge(PathBuf),
}

pub(super) fn run(command: &ImportCommand) -> ExitCode {
    let ImportCommand::NotesIni { file } = command;
    match read(file) {
        Ok(text) => print(&notes_ini::import(&text)),
        Err(error) => failed(&error, EXIT_CONFIGURATION),
    }
}

/// Reads a file, in whatever character set it is written: what is taken over is ASCII.
fn read(path: &Path) -> Result<String, ImportError> {
    let unreadable = |error| ImportError::Read { path: path.to_owned(), error };
    let mut octets = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(OCTETS_MAX + 1).read_to_end(&mut octets).map_err(unreadable)?;
    if octets.len() as u64 > OCTETS_MAX {
        return Err(ImportError::TooLarge(path.to_owned()));
    }
    Ok(String::from_utf8_lossy(&octets).into_owned())
}
