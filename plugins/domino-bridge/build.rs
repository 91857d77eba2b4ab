//! Runs the C compiler on `notes/` and puts `libnotes.so` where cargo puts the bridge: what add-ins link with and bind to.
//! Knows the compiler's flags, and of the functions that libnotes.so exports only where their list is.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const LIBRARY: &str = "libnotes.so";

const SOURCES: [&str; 3] = ["notes.c", "record.c", "format.c"];

/// Those with arguments of any number, which the list does not have.
const VARIADIC: [&str; 5] = [
    "AddInFormatErrorText",
    "AddInLogErrorText",
    "AddInLogMessageText",
    "LogEventText",
    "LogEventTextNoConsole",
];

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("domino-bridge: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let package = folder("CARGO_MANIFEST_DIR")?;
    let (notes, include) = (package.join("notes"), package.join("../../include/domino"));
    for watched in [&notes, &include, &package.join("build.rs")] {
        println!("cargo::rerun-if-changed={}", watched.display());
    }
    println!("cargo::rerun-if-env-changed=CC");

    let out = folder("OUT_DIR")?;
    let (script, made) = (out.join("notes.map"), out.join(LIBRARY));
    let failed = |path: &Path, error| format!("{}: {error}", path.display());
    let list = notes.join("functions.def");
    let list = fs::read_to_string(&list).map_err(|error| failed(&list, error))?;
    fs::write(&script, version_script(&list)).map_err(|error| failed(&script, error))?;
    compile(&notes, &include, &script, &made)?;

    // OUT_DIR is <target>/<profile>/build/<package>/out.
    let profile = out.ancestors().nth(3).ok_or("OUT_DIR has no third parent")?;
    // Renamed into place: whoever has the old file open keeps it whole.
    let (fresh, place) = (profile.join(format!(".{LIBRARY}.new")), profile.join(LIBRARY));
    fs::copy(&made, &fresh)
        .and_then(|_| {
            // As old as its source: one that is newer than this run would look changed to the next.
            let modified = fs::metadata(notes.join("notes.c"))?.modified()?;
            fs::File::options().write(true).open(&fresh)?.set_modified(modified)
        })
        .and_then(|()| fs::rename(&fresh, &place))
        .map_err(|error| failed(&place, error))?;
    // Made again when somebody removes it.
    println!("cargo::rerun-if-changed={}", place.display());
    Ok(())
}

/// What libnotes.so exports: the functions of the list, those of any number of arguments, and the one by which the bridge binds it.
fn version_script(list: &str) -> String {
    let listed = list.lines().filter_map(|line| match line.split_once('(')? {
        ("VALUE", rest) => rest.split(',').nth(1),
        ("PLAIN", rest) => rest.split(',').next(),
        _ => None,
    });
    let mut names: Vec<&str> = listed.map(str::trim).chain(VARIADIC).collect();
    names.sort_unstable();
    let names: String = names.iter().map(|name| format!("    {name};\n")).collect();
    format!("{{\n  global:\n{names}    stagepost_notes_bind;\n  local: *;\n}};\n")
}

fn folder(variable: &str) -> Result<PathBuf, String> {
    env::var_os(variable).map(PathBuf::from).ok_or_else(|| format!("cargo did not set {variable}"))
}

fn compile(notes: &Path, include: &Path, script: &Path, made: &Path) -> Result<(), String> {
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let status = Command::new(&compiler)
        .args(["-std=gnu11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden"])
        // The prototypes of functions with any number of arguments are Domino's, see notes.c.
        .args(["-Wall", "-Wextra", "-Werror", "-Wno-varargs"])
        .arg("-I")
        .arg(include)
        .args(["-Wl,--no-undefined", "-Wl,-soname,libnotes.so"])
        .arg(format!("-Wl,--version-script={}", script.display()))
        .arg("-o")
        .arg(made)
        .args(SOURCES.map(|source| notes.join(source)))
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
        Err(format!("the C compiler `{compiler}` failed on {}: {status}", notes.display()))
    }
}
