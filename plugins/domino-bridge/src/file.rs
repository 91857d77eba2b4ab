//! An add-in's file: where its name leads, who may have written it, and what its symbols say, before any of its code runs.
//! Knows ELF by the `object` crate; loads nothing.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use object::Object;
use object::elf;
use object::read::elf::{Dyn, ElfFile64, FileHeader, Sym};

use crate::section::Section;

/// The one symbol that an add-in exports.
pub(crate) const ENTRY: &str = "MainEntryPoint";
/// What it may export beside, to be called when all is over.
pub(crate) const LEAVE: &str = "TerminateLibrary";

/// The largest file taken for an add-in, in octets.
const OCTETS_MAX: u64 = 256 << 20;

/// Libraries of the system. All that they have is marked with a version, so that what is wanted without one is not from them.
const SYSTEM: [&str; 11] = [
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "libresolv.so.2",
    "librt.so.1",
    "libstdc++.so.6",
    LIBNOTES,
];

/// What add-ins link with.
pub(crate) const LIBNOTES: &str = "libnotes.so";

/// An add-in's file that will do.
#[derive(Debug)]
pub(crate) struct AddInFile {
    pub(crate) path: PathBuf,
    /// What the system knows it by, whatever its names: device and number.
    pub(crate) identity: (u64, u64),
    /// Whether it names libnotes.so as needed, and so binds to it by itself.
    pub(crate) needs_libnotes: bool,
    /// Whether it has TerminateLibrary.
    pub(crate) leaves: bool,
}

/// Why an add-in is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("add-in {name}: no such file: looked for {looked}")]
    Missing { name: String, looked: String },
    #[error("add-in {name}: `directory` is not set, and {name:?} is no absolute path")]
    Directory { name: String },
    #[error("add-in {name}: {path}: {source}", path = path.display())]
    Read { name: String, path: PathBuf, source: std::io::Error },
    #[error("add-in {name}: {path}: {found}; remedy: {remedy}", path = path.display())]
    Trust { name: String, path: PathBuf, found: String, remedy: &'static str },
    #[error("add-in {name}: {path}: wanted a shared object for {arch}, found {found}", path = path.display(), arch = std::env::consts::ARCH)]
    Object { name: String, path: PathBuf, found: String },
    #[error("add-in {name}: MainEntryPoint: wanted it exported, found {found}")]
    Entry { name: String, found: &'static str },
    #[error("add-in {name} needs {functions}, which the bridge does not have")]
    Functions { name: String, functions: String },
}

impl FileError {
    /// What an add-in needs and nobody has.
    pub(crate) fn missing(name: &str, functions: &str) -> Self {
        Self::Functions { name: name.to_owned(), functions: functions.to_owned() }
    }
}

/// Names of files that a name may stand for on Linux, in the order in which they are looked for: as given when it has a slash or
/// an extension, else with `lib` and `.so` around it, else with `.so`.
pub(crate) fn candidates(name: &str) -> Vec<String> {
    if name.contains('/') || name.contains('.') {
        return vec![name.to_owned()];
    }
    vec![format!("lib{name}.so"), format!("{name}.so")]
}

/// Names of a line such as EXTMGR_ADDINS has.
pub(crate) fn names(line: &str) -> Vec<String> {
    line.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

impl AddInFile {
    /// Finds and checks the file of an add-in.
    ///
    /// - has: tells whether the bridge has a function.
    pub(crate) fn find(
        name: &str,
        section: &Section,
        has: impl Fn(&str) -> bool,
    ) -> Result<Self, FileError> {
        let path = locate(name, section)?;
        let unreadable =
            |source| FileError::Read { name: name.to_owned(), path: path.clone(), source };
        // The true path is checked and opened, so that no link on the way decides which file it is.
        let path = fs::canonicalize(&path).map_err(unreadable)?;
        check_trust(name, &path)?;
        let unreadable =
            |source| FileError::Read { name: name.to_owned(), path: path.clone(), source };
        let metadata = fs::metadata(&path).map_err(unreadable)?;
        let octets = fs::read(&path).map_err(unreadable)?;
        let symbols = Symbols::read(name, &path, &octets)?;
        symbols.check_entry(name)?;
        let missing = symbols.missing(has);
        if !missing.is_empty() {
            return Err(FileError::missing(name, &missing.join(", ")));
        }
        Ok(Self {
            needs_libnotes: symbols.needs_libnotes(),
            leaves: symbols.defined.contains(LEAVE),
            identity: (metadata.dev(), metadata.ino()),
            path,
        })
    }
}

fn locate(name: &str, section: &Section) -> Result<PathBuf, FileError> {
    let candidates = candidates(name);
    let folder = match &section.directory {
        _ if Path::new(name).is_absolute() => Path::new("/"),
        Some(folder) => folder.as_path(),
        None => return Err(FileError::Directory { name: name.to_owned() }),
    };
    // Names in notes.ini are the same in any case, files are not: what is there decides.
    let spellings =
        [candidates.clone(), candidates.iter().map(|name| name.to_lowercase()).collect()];
    let paths = spellings.concat().into_iter().map(|name| folder.join(name));
    let found = paths.clone().find(|path| path.is_file());
    found.ok_or_else(|| {
        let looked: BTreeSet<String> = paths.map(|path| path.display().to_string()).collect();
        let looked = looked.into_iter().collect::<Vec<_>>().join(", ");
        FileError::Missing { name: name.to_owned(), looked }
    })
}

/// Refuses a file that somebody else than root and the server's user can have written.
pub(crate) fn check_trust(name: &str, path: &Path) -> Result<(), FileError> {
    const WRITABLE_BY_OTHERS: u32 = 0o022;
    const STICKY: u32 = 0o1000;
    let own = rustix::process::geteuid().as_raw();
    for (height, place) in path.ancestors().enumerate() {
        let metadata = fs::metadata(place).map_err(|source| FileError::Read {
            name: name.to_owned(),
            path: place.to_owned(),
            source,
        })?;
        let refused = |found: String, remedy| FileError::Trust {
            name: name.to_owned(),
            path: place.to_owned(),
            found,
            remedy,
        };
        if height == 0 && (!metadata.is_file() || metadata.len() > OCTETS_MAX) {
            return Err(refused("no regular file, or too large".to_owned(), "name another one"));
        }
        // Folders further up are often those of the person whose home it is.
        if height <= 1 && metadata.uid() != 0 && metadata.uid() != own {
            let found = format!("user {} owns it, wanted root or user {own}", metadata.uid());
            return Err(refused(found, "chown it"));
        }
        let sticky = height > 0 && metadata.mode() & STICKY != 0;
        if metadata.mode() & WRITABLE_BY_OTHERS != 0 && !sticky {
            let found = format!("others may write to it (mode {:04o})", metadata.mode() & 0o7777);
            return Err(refused(found, "chmod go-w"));
        }
    }
    Ok(())
}

/// What the symbols of a file say.
#[derive(Default)]
struct Symbols {
    defined: BTreeSet<String>,
    /// Wanted from other objects, without a version.
    wanted: BTreeSet<String>,
    /// Libraries that the file names as needed.
    needed: Vec<String>,
}

impl Symbols {
    fn read(name: &str, path: &Path, octets: &[u8]) -> Result<Self, FileError> {
        let damaged = |found: String| FileError::Object {
            name: name.to_owned(),
            path: path.to_owned(),
            found,
        };
        let file = object::File::parse(octets).map_err(|error| damaged(error.to_string()))?;
        let architecture = match std::env::consts::ARCH {
            "x86_64" => object::Architecture::X86_64,
            "aarch64" => object::Architecture::Aarch64,
            _ => file.architecture(),
        };
        if file.kind() != object::ObjectKind::Dynamic || file.architecture() != architecture {
            return Err(damaged(format!("{:?} for {:?}", file.kind(), file.architecture())));
        }
        let object::File::Elf64(file) = &file else {
            return Err(damaged(format!("{:?}", file.format())));
        };
        Self::of(file).map_err(|error| damaged(error.to_string()))
    }

    fn of(file: &ElfFile64<'_>) -> object::Result<Self> {
        let (endian, data) = (file.endian(), file.data());
        let sections = file.elf_header().sections(endian, data)?;
        let symbols = sections.symbols(endian, data, elf::SHT_DYNSYM)?;
        let versions = sections.versions(endian, data)?;
        let mut read = Self::default();
        for (index, symbol) in symbols.enumerate() {
            let name =
                String::from_utf8_lossy(symbol.name(endian, symbols.strings())?).into_owned();
            let versioned = match &versions {
                Some(versions) => {
                    versions.version(versions.version_index(endian, index))?.is_some()
                }
                None => false,
            };
            if !symbol.is_undefined(endian) {
                read.defined.insert(name);
            } else if !versioned && symbol.st_bind() == elf::STB_GLOBAL {
                read.wanted.insert(name);
            }
        }
        if let Some((entries, link)) = sections.dynamic(endian, data)? {
            let strings = sections.strings(endian, data, link)?;
            for entry in entries.iter().filter(|entry| entry.tag32(endian) == Some(elf::DT_NEEDED))
            {
                read.needed
                    .push(String::from_utf8_lossy(entry.string(endian, strings)?).into_owned());
            }
        }
        Ok(read)
    }

    fn needs_libnotes(&self) -> bool {
        self.needed.iter().any(|library| library == LIBNOTES)
    }

    /// The functions that nobody has. None where libraries of strangers are needed, which may have them: the dynamic linker then
    /// says what is missing.
    fn missing(&self, has: impl Fn(&str) -> bool) -> Vec<&str> {
        if !self.needed.iter().all(|library| SYSTEM.contains(&library.as_str())) {
            return Vec::new();
        }
        // Two underscores: the compiler's own.
        let wanted = self.wanted.iter().map(String::as_str).filter(|name| !name.starts_with("__"));
        wanted.filter(|name| !name.is_empty() && !has(name)).collect()
    }

    fn check_entry(&self, name: &str) -> Result<(), FileError> {
        if self.defined.contains(ENTRY) {
            return Ok(());
        }
        let mangled = |symbol: &String| symbol.starts_with("_Z") && symbol.contains(ENTRY);
        let found = match self.defined.iter().any(mangled) {
            true => "only the name of a C++ function (remedy: extern \"C\" before it)",
            false => "none",
        };
        Err(FileError::Entry { name: name.to_owned(), found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_for_files_as_on_linux() {
        assert_eq!(candidates("spam"), ["libspam.so", "spam.so"]);
        assert_eq!(candidates("libspam.so"), ["libspam.so"]);
        assert_eq!(candidates("/opt/spam"), ["/opt/spam"]);
        assert_eq!(names(" a, ,libb.so,C"), ["a", "libb.so", "C"]);
    }
}
