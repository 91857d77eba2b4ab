//! Makes a new plug-in: the sources of an example under another name, ready to be built and loaded.
//! Knows the examples and how each is built; runs no compiler.

use std::env;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::welcome::{first_mail, program};

const C_SOURCE: &str = include_str!("../../../plugins/example-c/example.c");
const C_MAKEFILE: &str = include_str!("../../../plugins/example-c/Makefile");
const C_HEADER: &str = include_str!("../../../include/extmgr.h");
const RUST_SOURCE: &str = include_str!("../../../plugins/example-rust/src/lib.rs");

/// Where the server to try a plug-in with listens.
const TRIAL_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 2525);
/// Whom it takes mail for.
const TRIAL_DOMAIN: &str = "example.test";

/// What a plug-in is written in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Language<'a> {
    C,
    /// With the SDK of a checkout of Stagepost.
    Rust {
        checkout: &'a Path,
    },
}

/// Why no plug-in was made. The person at the terminal can put it right.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NewError {
    /// The name can't be a plug-in's.
    #[error(
        "error: {0:?} can't be the name of a plug-in\n  = help: begin with a small letter; small letters, digits, - and _ may follow, up to 63 in all"
    )]
    Name(String),
    /// There is something in the way.
    #[error("error: {} is there already\n  = help: choose another folder with --dir", .0.display())]
    Exists(PathBuf),
    /// The SDK is not where it was said to be.
    #[error(
        "error: {} is no checkout of Stagepost: it has no sdk/Cargo.toml\n  = help: name the folder of Stagepost's sources with --sdk", .0.display()
    )]
    Sdk(PathBuf),
    /// It was not said where the SDK is, and nothing tells.
    #[error(
        "error: where stagepost-sdk is can't be told: this program does not lie in the folder that it was built in\n  = help: name the folder of Stagepost's sources with --sdk"
    )]
    NoSdk,
    /// A path that can't be written into a TOML file.
    #[error("error: {} is not UTF-8, which configuration files are", .0.display())]
    Path(PathBuf),
    /// The disk.
    #[error("error: {}: {source}", path.display())]
    Write {
        /// What could not be made or found.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A plug-in that was made. Displayed as what to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Made {
    name: String,
    folder: PathBuf,
    build: String,
    library: String,
    /// The configuration to try it with.
    trial: String,
}

impl fmt::Display for Made {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, folder, build, library, trial } = self;
        let (program, trial) = (shell(&program()), shell(trial));
        writeln!(
            out,
            "Made plug-in {name} in {}.\n\nBuild it:\n\n    {build}\n",
            folder.display()
        )?;
        writeln!(out, "Look at what came out, without running it:\n")?;
        writeln!(out, "    {program} plugin inspect {}\n", shell(library))?;
        writeln!(
            out,
            "Try it: a server on this machine alone that loads it; beside it its calls as they come, and a mail for it:\n"
        )?;
        writeln!(out, "    {program} run --config {trial}\n    {program} trace --config {trial}")?;
        writeln!(out, "    {}\n", first_mail(TRIAL_ADDRESS, TRIAL_DOMAIN))?;
        writeln!(
            out,
            "Load it: put this into the configuration of your server and start it anew.\n"
        )?;
        write!(out, "    {}", section(name, library).trim_end().replace('\n', "\n    "))?;
        writeln!(out)
    }
}

/// The section that loads a plug-in.
fn section(name: &str, library: &str) -> String {
    let path = toml::Value::String(library.to_owned());
    format!("[[plugin]]\nname = \"{name}\"\npath = {path}\n")
}

/// A whole configuration to try a plug-in with. Paths in it begin at its folder.
fn trial(name: &str, library: &str) -> String {
    let section = section(name, library);
    format!(
        r#"# A server to try {name} with: for this machine alone, and all that it keeps is in var beside this file.
hostname = "mx.{TRIAL_DOMAIN}"
state_dir = "var"

[[listen]]
name = "mx"
address = "{TRIAL_ADDRESS}"

[[local_domain]]
name = "{TRIAL_DOMAIN}"
mailboxes = "any"
maildir = "var/mail"

{section}"#
    )
}

/// Makes the folder and writes the plug-in's sources into it.
pub(crate) fn write(name: &str, folder: &Path, language: Language<'_>) -> Result<Made, NewError> {
    if !is_name(name) {
        return Err(NewError::Name(name.to_owned()));
    }
    // Before anything is made.
    let sdk = match language {
        Language::C => String::new(),
        Language::Rust { checkout } => sdk_of(checkout)?,
    };
    fs::create_dir(folder).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => NewError::Exists(folder.to_owned()),
        _ => NewError::Write { path: folder.to_owned(), source },
    })?;
    let place = absolute(folder)?;
    let library = format!("lib{}.so", name.replace('-', "_"));
    let (build, library) = match language {
        Language::C => {
            write_c(name, folder)?;
            (format!("make -C {}", shell(&place)), format!("{place}/{library}"))
        }
        Language::Rust { checkout } => {
            write_rust(name, folder, &sdk)?;
            lock_as(checkout, folder)?;
            let target = format!("{place}/target");
            let manifest = shell(&format!("{place}/Cargo.toml"));
            (
                // Said, since the variable CARGO_TARGET_DIR would put it elsewhere.
                format!(
                    "cargo build --release --manifest-path {manifest} --target-dir {}",
                    shell(&target)
                ),
                format!("{target}/release/{library}"),
            )
        }
    };
    write_new(&folder.join("try.toml"), &trial(name, &library))?;
    let trial = format!("{place}/try.toml");
    Ok(Made { name: name.to_owned(), folder: folder.to_owned(), build, library, trial })
}

/// The checkout of Stagepost that this program was built in, if it still lies there.
pub(crate) fn own_checkout() -> Result<PathBuf, NewError> {
    let program = env::current_exe().map_err(|_| NewError::NoSdk)?;
    let is_checkout = |folder: &&Path| {
        folder.join("sdk/Cargo.toml").is_file() && folder.join("include/extmgr.h").is_file()
    };
    program.ancestors().find(is_checkout).map(Path::to_owned).ok_or(NewError::NoSdk)
}

/// As the descriptor has it, and a letter first: it also names files and a package.
fn is_name(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|octet| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}

/// The folder of stagepost-sdk in a checkout.
fn sdk_of(checkout: &Path) -> Result<String, NewError> {
    let sdk = checkout.join("sdk");
    if !sdk.join("Cargo.toml").is_file() {
        return Err(NewError::Sdk(checkout.to_owned()));
    }
    absolute(&sdk)
}

fn absolute(path: &Path) -> Result<String, NewError> {
    let found = fs::canonicalize(path)
        .map_err(|source| NewError::Write { path: path.to_owned(), source })?;
    found.into_os_string().into_string().map_err(|found| NewError::Path(found.into()))
}

fn write_c(name: &str, folder: &Path) -> Result<(), NewError> {
    let makefile = C_MAKEFILE
        .replace("example_c", &name.replace('-', "_"))
        .replace("example.c", &format!("{name}.c"))
        .replace("../../include", ".");
    write_new(&folder.join("extmgr.h"), C_HEADER)?;
    write_new(&folder.join("Makefile"), &makefile)?;
    let source = C_SOURCE.replace("X-Example-C", &header(name)).replace("example-c", name);
    write_new(&folder.join(format!("{name}.c")), &source)
}

fn write_rust(name: &str, folder: &Path, sdk: &str) -> Result<(), NewError> {
    let source = folder.join("src");
    fs::create_dir(&source)
        .map_err(|error| NewError::Write { path: source.clone(), source: error })?;
    write_new(&folder.join("Cargo.toml"), &manifest(name, sdk))?;
    let text = RUST_SOURCE.replace("X-Example-Rust", &header(name)).replace("example-rust", name);
    write_new(&source.join("lib.rs"), &text)
}

/// Begins with the versions of dependencies that the checkout was tested with; cargo drops those that are not needed.
fn lock_as(checkout: &Path, folder: &Path) -> Result<(), NewError> {
    let lock = checkout.join("Cargo.lock");
    let text = match fs::read_to_string(&lock) {
        Ok(text) => text,
        // The SDK works with others too.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(NewError::Write { path: lock, source }),
    };
    write_new(&folder.join("Cargo.lock"), &text)
}

fn manifest(name: &str, sdk: &str) -> String {
    let sdk = toml::Value::String(sdk.to_owned());
    format!(
        r#"[package]
name = "{name}"
version = "0.1.0"
edition = "2024"
publish = false

[lib]
crate-type = ["cdylib"]

[dependencies]
# On no registry: it comes with the sources of Stagepost.
stagepost-sdk = {{ path = {sdk} }}

# A workspace of its own, wherever it lies.
[workspace]

# A panic is caught where it would leave the plug-in: never panic = "abort".
[profile.release]
panic = "unwind"
"#
    )
}

/// The header field that the plug-in stamps: `X-My-Filter` from `my-filter`.
fn header(name: &str) -> String {
    let mut field = String::from("X-");
    let mut first = true;
    for letter in name.chars() {
        field.push(if first { letter.to_ascii_uppercase() } else { letter });
        first = letter == '-';
    }
    field
}

/// A word as a shell takes it for one.
fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Writes a file that is not there yet.
fn write_new(path: &Path, text: &str) -> Result<(), NewError> {
    fs::File::create_new(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| NewError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_descriptors_files_and_packages() {
        let longest = "n".repeat(63);
        for name in ["a", "my-filter", "a_1-b", &longest] {
            assert!(is_name(name), "{name}");
        }
        let long = "n".repeat(64);
        for name in ["", "-a", "1a", "_a", "A", "a b", "a/b", "..", "ä", &long] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn nothing_of_the_example_s_name_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("made");
        write("my-filter", &made, Language::C).unwrap();
        let source = fs::read_to_string(made.join("my-filter.c")).unwrap();
        assert!(source.contains("EM_DESCRIPTOR(\"my-filter\""), "{source}");
        assert!(source.contains("\"X-My-Filter\""), "{source}");
        let makefile = fs::read_to_string(made.join("Makefile")).unwrap();
        assert!(makefile.contains("libmy_filter.so: my-filter.c"), "{makefile}");
        assert!(makefile.contains("STAGEPOST_INCLUDE ?= .\n"), "{makefile}");

        let made = folder.path().join("rust");
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        write("my-filter", &made, Language::Rust { checkout: &checkout }).unwrap();
        let library = fs::read_to_string(made.join("src/lib.rs")).unwrap();
        assert!(library.contains("name = \"my-filter\""), "{library}");
        for text in [source, makefile, library] {
            assert!(!text.to_lowercase().contains("example"), "{text}");
        }
    }

    #[test]
    fn what_exists_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let made = write("a", folder.path(), Language::C);
        assert!(matches!(made, Err(NewError::Exists(_))), "{made:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let none = folder.path().join("none");
        let made = write("a", &none, Language::Rust { checkout: folder.path() });
        assert!(matches!(made, Err(NewError::Sdk(_))), "{made:?}");
        let made = write("A", &none, Language::C);
        assert!(matches!(made, Err(NewError::Name(_))), "{made:?}");
        assert!(!none.exists());
    }

    #[test]
    fn words_for_the_shell_stay_one_word() {
        assert_eq!(shell("/a/b-c_1.so"), "/a/b-c_1.so");
        assert_eq!(shell("/a b"), "'/a b'");
        assert_eq!(shell("it's $HOME"), r"'it'\''s $HOME'");
    }
}
