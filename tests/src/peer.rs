//! Programs of others that the tests talk to, and where they are found.
//! Knows names and places; knows no protocol.

use std::env;
use std::path::PathBuf;

use crate::cargo::target_dir;

/// Finds a program: among those that `cargo verify` unpacked, else where the system has programs.
pub fn find(program: &str) -> Option<PathBuf> {
    let unpacked = target_dir().map(|target| target.join("peers/bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    // Servers' programs are there, and not in everybody's PATH.
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    unpacked
        .into_iter()
        .chain(env::split_paths(&path))
        .chain(system)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Finds a program that a test can't do without.
///
/// # Panics
///
/// When it is nowhere: `cargo verify` installs it, or counts the test as skipped.
pub fn need(program: &str) -> PathBuf {
    find(program)
        .unwrap_or_else(|| panic!("{program} is missing: `cargo verify` says how to get it"))
}
