//! Runs the C compiler on `example.c` and puts `libexample_c.so` where cargo puts the server.
//! Knows the compiler's flags, which are those of the Makefile, and no more.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const LIBRARY: &str = "libexample_c.so";

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("example-c: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let package = folder("CARGO_MANIFEST_DIR")?;
    let source = package.join("example.c");
    let include = package.join("../../include");
    println!("cargo::rerun-if-changed={}", source.display());
    println!("cargo::rerun-if-changed={}", include.join("extmgr.h").display());
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CC");

    let out = folder("OUT_DIR")?;
    let made = out.join(LIBRARY);
    compile(&source, &include, &made)?;

    // OUT_DIR is <target>/<profile>/build/<package>/out.
    let profile = out.ancestors().nth(3).ok_or("OUT_DIR has no third parent")?;
    // Renamed into place: whoever has the old file open keeps it whole.
    let fresh = profile.join(format!(".{LIBRARY}.new"));
    let place = profile.join(LIBRARY);
    fs::copy(&made, &fresh)
        .and_then(|_| age(&fresh, &source))
        .and_then(|()| fs::rename(&fresh, &place))
        .map_err(|error| format!("cannot write {}: {error}", place.display()))?;
    // Made again when somebody removes it.
    println!("cargo::rerun-if-changed={}", place.display());
    Ok(())
}

/// Makes a file as old as its source: one that is newer than this run would look changed to the next.
fn age(file: &Path, source: &Path) -> io::Result<()> {
    let modified = fs::metadata(source)?.modified()?;
    fs::File::options().write(true).open(file)?.set_modified(modified)
}

fn folder(variable: &str) -> Result<PathBuf, String> {
    env::var_os(variable).map(PathBuf::from).ok_or_else(|| format!("cargo did not set {variable}"))
}

fn compile(source: &Path, include: &Path, made: &Path) -> Result<(), String> {
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let status = Command::new(&compiler)
        .args(["-std=c11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden"])
        .args(["-Wall", "-Wextra", "-Werror"])
        .arg("-I")
        .arg(include)
        .arg("-o")
        .arg(made)
        .arg(source)
        .status()
        .map_err(|error| {
            format!(
                "cannot run the C compiler `{compiler}`: {error}. \
                 Install one (Debian: apt-get install gcc libc6-dev), or name yours in the variable CC"
            )
        })?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("the C compiler `{compiler}` failed on {}: {status}", source.display()))
    }
}
