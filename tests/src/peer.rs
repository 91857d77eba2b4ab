//! Programs of others that the tests talk to, and where they are found.
//! Knows names and places; knows no protocol.

use std::env;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::cargo::target_dir;

/// Finds a program: among those that `cargo verify` unpacked, else where the system has programs.
pub fn find(program: &str) -> Option<PathBuf> {
    let unpacked = packages().into_iter().map(|package| package.join("bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    // Servers' programs are there, and not in everybody's PATH.
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    unpacked
        .chain(env::split_paths(&path))
        .chain(system)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// The folders of the packages that `cargo verify` unpacked.
fn packages() -> Vec<PathBuf> {
    let peers = target_dir().and_then(|target| fs::read_dir(target.join("peers")).ok());
    let mut packages: Vec<_> =
        peers.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    packages.sort();
    packages
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

/// The folder `usr` that a program is in with a file of its package: unpacked somewhere, or the system's.
///
/// # Panics
///
/// When the program is nowhere.
pub fn unpacked(program: &str, file: &str) -> PathBuf {
    let found = need(program);
    let unpacked = found.parent().and_then(Path::parent).map(|folder| folder.join("usr"));
    unpacked.filter(|usr| usr.join(file).exists()).unwrap_or_else(|| PathBuf::from("/usr"))
}

/// The folders of libraries below such a folder, in the form of `LD_LIBRARY_PATH`.
///
/// # Panics
///
/// When they can't be read.
pub fn libraries(usr: &Path) -> String {
    let entries = fs::read_dir(usr.join("lib")).expect("libraries");
    let folders = entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir());
    let folders: Vec<_> = folders.map(|folder| folder.display().to_string()).collect();
    folders.join(":")
}

/// A program that a test can't do without, ended by timeout(1) when it hangs. The two have a group of their own.
///
/// # Panics
///
/// When it is nowhere.
pub fn command(program: &str) -> Command {
    let mut command = bounded();
    command.arg(need(program)).stdin(Stdio::null());
    command
}

/// timeout(1), which wants to be told what to start; the group is its own before it makes one itself, so that whoever ends it
/// at once ends it with what it has started.
pub(crate) fn bounded() -> Command {
    let mut command = Command::new(need("timeout"));
    command.args(["--kill-after=5", "60"]).process_group(0);
    command
}

/// Runs a program to its good end; what it said.
///
/// # Panics
///
/// When it ends in another way.
pub fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("the program runs");
    let said = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {status}\n{said}");
    said
}

/// Finds the library of AddressSanitizer that belongs to the C compiler, where it works: with more random bits in
/// addresses than these it fails by chance.
pub fn libasan() -> Option<PathBuf> {
    const RANDOM_BITS_MAX: u32 = 28;
    let bits = fs::read_to_string("/proc/sys/vm/mmap_rnd_bits").ok();
    let bits: Option<u32> = bits.and_then(|bits| bits.trim().parse().ok());
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    let output = Command::new(compiler).arg("-print-file-name=libasan.so").output().ok()?;
    let file = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim_end());
    // The name alone is printed when there is none.
    let works = bits.is_none_or(|bits| bits <= RANDOM_BITS_MAX);
    (works && file.is_absolute() && file.is_file()).then_some(file)
}
