//! The name that the process runs under: add-ins written for Domino do nothing in a process whose name, or whose program's, has no SMTP or
//! SERVER in it. Knows no add-in: the program starts itself again through a file of the configured name.

use std::env;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::config::Settings;

/// What this process runs, wherever its file is by now.
const PROGRAM: &str = "/proc/self/exe";

/// Why the process can't have its name.
#[derive(Debug, thiserror::Error)]
#[error("error: process_name: {path}: {source}\n  = help: programs must be allowed to run from state_dir (no mount option noexec); or remove process_name", path = path.display())]
pub(crate) struct ProcessNameError {
    path: PathBuf,
    source: io::Error,
}

/// Starts the program again under its configured name, unless it has that; then this does not return. Before anything is opened.
///
/// # Errors
/// The file of that name can't be made or started.
pub(crate) fn take(settings: &Settings) -> Result<(), ProcessNameError> {
    let Some(name) = &settings.process_name else { return Ok(()) };
    let folder = settings.state_dir.join("program");
    let path = folder.join(name);
    if is_running(&path) {
        return Ok(());
    }
    let failed = |source| ProcessNameError { path: path.clone(), source };
    make(&folder, &path).map_err(failed)?;
    let path = fs::canonicalize(&path).map_err(failed)?;
    // Only an error comes back.
    Err(failed(Command::new(&path).args(env::args_os().skip(1)).exec()))
}

/// Whether the file is what this process runs.
fn is_running(path: &Path) -> bool {
    fs::canonicalize(path).is_ok_and(|path| env::current_exe().is_ok_and(|own| own == path))
}

/// Makes the file anew, so that it is the program that was started: a second name of it, or a copy where there can't be one. Not a
/// link by name: what /proc tells would be the name that it leads to.
fn make(folder: &Path, path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let fresh = folder.join(".fresh");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let linked = env::current_exe().and_then(|own| fs::hard_link(own, &fresh));
    if linked.is_err() {
        fs::copy(PROGRAM, &fresh)?;
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o700))?;
    }
    fs::rename(&fresh, path)
}
