//! Plug-ins made for a test: a C source or a Rust package in, a shared object out.
//! Knows the compilers, nothing of what the plug-in does.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cargo;

/// Compiles one C source, as its author would, into a shared object in `out_dir`.
///
/// `defines` are given as with `-D`, without it: `NAME="other"`. Each set of them makes a file of its own.
///
/// # Panics
///
/// When there is no C compiler (`$CC`, else `cc`), or it is not content; with what it said.
pub fn compile_c(source: &Path, out_dir: &Path, defines: &[&str]) -> PathBuf {
    let stem = source.file_stem().expect("a source has a name").to_string_lossy();
    let mut name = format!("lib{stem}");
    for define in defines {
        name.push('-');
        name.extend(define.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }));
    }
    let mut arguments = vec!["-O2".to_owned()];
    arguments.extend(defines.iter().map(|define| format!("-D{define}")));
    compile(source, out_dir.join(name + ".so"), &arguments)
}

/// Compiles one C source as [`compile_c`] does, to be run with the library of [`crate::peer::libasan`] loaded first:
/// what reads or writes where it must not, or does what C leaves undefined, ends the process with a report.
///
/// # Panics
///
/// As [`compile_c`].
pub fn compile_c_sanitized(source: &Path, out_dir: &Path) -> PathBuf {
    let stem = source.file_stem().expect("a source has a name").to_string_lossy();
    let made = out_dir.join(format!("lib{stem}-sanitized.so"));
    let arguments = [
        "-O1",
        "-g",
        "-fno-omit-frame-pointer",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=undefined",
    ];
    compile(source, made, &arguments.map(str::to_owned))
}

fn compile(source: &Path, made: PathBuf, arguments: &[String]) -> PathBuf {
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    let output = Command::new(&compiler)
        .args(["-std=c11", "-fPIC", "-shared", "-fvisibility=hidden"])
        .args(["-Wall", "-Wextra", "-Werror", "-pedantic"])
        .args(arguments)
        .arg("-I")
        .arg(include())
        .arg("-o")
        .arg(&made)
        .arg(source)
        .output()
        .unwrap_or_else(|error| panic!("cannot run the C compiler {compiler:?}: {error}"));
    assert!(
        output.status.success(),
        "{compiler:?} failed on {}:\n{}",
        source.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    made
}

/// Builds the plug-in of one Rust package: `fault-panicking`, for example. In the profile that the test has.
///
/// # Panics
///
/// When it can't be built, with what cargo said.
pub fn build_rust(package: &str) -> PathBuf {
    cargo::build(&[package]).join(format!("lib{}.so", package.replace('-', "_")))
}

/// The names of the symbols that a shared object exports.
///
/// # Panics
///
/// When `nm` is not there, or can't read the file.
pub fn exports(library: &Path) -> Vec<String> {
    let output = Command::new("nm").args(["-D", "--defined-only"]).arg(library).output();
    let output = output.expect("nm comes with the C compiler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let symbols = String::from_utf8_lossy(&output.stdout);
    symbols.lines().filter_map(|line| line.split(' ').next_back()).map(str::to_owned).collect()
}

/// The folder that holds extmgr.h.
pub fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../include")
}

/// The folder that holds the bad plug-ins.
pub fn faults() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("faults")
}
