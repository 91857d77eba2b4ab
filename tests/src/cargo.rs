//! Cargo as tests need it: its folders, and building what they load and run.
//! Knows no package by name.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the running program's profile, where cargo also puts the server: `target/debug`.
pub fn profile_dir() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    let folder = program.parent()?;
    let profile = if folder.ends_with("deps") { folder.parent()? } else { folder };
    Some(profile.to_owned())
}

/// Cargo's target folder.
pub fn target_dir() -> Option<PathBuf> {
    profile_dir()?.parent().map(Path::to_owned)
}

/// Builds packages in the profile that the test has; the folder of what was built.
///
/// # Panics
///
/// When they can't be built, with what cargo said.
pub fn build(packages: &[&str]) -> PathBuf {
    let folder = profile_dir().expect("a test runs from cargo's target folder");
    let profile = match folder.file_name().map(|name| name.to_string_lossy()) {
        Some(name) if name != "debug" => name.into_owned(),
        _ => "dev".to_owned(),
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--profile", &profile])
        .args(packages.iter().flat_map(|package| ["--package", package]))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder
}
