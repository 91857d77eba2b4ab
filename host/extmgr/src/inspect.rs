//! Looks at a plug-in's file without running any of it.
//! Knows ELF by the `object` crate; knows nothing of loading.

use std::path::Path;

use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol};

use crate::descriptor::{Descriptor, DescriptorError, SECTION};
use crate::file::{FileError, PluginFile, hex};

/// The one symbol that a plug-in exports.
pub(crate) const ENTRY: &str = "em_entry";

/// The most octets of symbol names that are read.
const NAME_OCTETS_MAX: usize = 16 << 20;
/// The most further exports that are kept.
const FURTHER_MAX: usize = 32;

/// What a file says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Its descriptor.
    pub descriptor: Descriptor,
    /// Its SHA-256 in hexadecimal, as the configuration wants it.
    pub sha256: String,
    /// Its size in octets.
    pub octets: usize,
    /// Symbols that it exports beside its entry point: the first 32, each cut after 128 octets.
    pub further_exports: Vec<String>,
}

/// Why a file is not a plug-in for this host.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The file itself is not taken.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is not a shared object at all, or a damaged one.
    #[error("file: wanted a shared object for {}, found {found}", std::env::consts::ARCH)]
    Object {
        /// What it is instead.
        found: String,
    },
    /// A part that the loader would map lies beyond its end: to touch that ends the process.
    #[error(
        "segment: wanted within the file's {octets} octets, found {size} at {offset} (a file cut short?)"
    )]
    Segment {
        /// The file's size.
        octets: usize,
        /// Where the part begins.
        offset: u64,
        /// How large it is.
        size: u64,
    },
    /// It has no descriptor, or more than one.
    #[error(
        "section .stagepost: wanted exactly one, found {found}; remedy: EM_DESCRIPTOR once in the plug-in"
    )]
    Section {
        /// How many such sections it has.
        found: usize,
    },
    /// Its descriptor is refused.
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
    /// It does not export the entry point.
    #[error("symbol em_entry: wanted it exported, found {found}")]
    Entry {
        /// What is there instead.
        found: &'static str,
    },
}

/// Reads and checks a plug-in's file. Runs no code of it.
///
/// # Errors
/// The first thing for which this host would refuse it.
pub fn inspect(path: &Path) -> Result<Inspection, InspectError> {
    inspect_octets(&PluginFile::read(path)?)
}

/// Checks a file that was read.
pub(crate) fn inspect_octets(file: &PluginFile) -> Result<Inspection, InspectError> {
    let octets = file.octets();
    if !octets.starts_with(b"\x7fELF") {
        let found = if octets.is_empty() { "an empty file" } else { "a file of another kind" };
        return Err(InspectError::Object { found: found.to_owned() });
    }
    let object = object::File::parse(octets).map_err(damaged)?;
    check_kind(&object)?;
    check_segments(&object, octets.len())?;
    let mut sections = object.sections().filter(|section| section.name() == Ok(SECTION));
    let (first, further) = (sections.next(), sections.count());
    let Some(section) = first.filter(|_| further == 0) else {
        let found = if further == 0 { 0 } else { further + 1 };
        return Err(InspectError::Section { found });
    };
    let descriptor = Descriptor::parse(section.data().map_err(damaged)?)?;
    let further_exports = further_exports(&object)?;
    Ok(Inspection {
        descriptor,
        sha256: hex(&file.sha256()),
        octets: octets.len(),
        further_exports,
    })
}

fn check_kind(object: &object::File<'_>) -> Result<(), InspectError> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => object::Architecture::X86_64,
        "aarch64" => object::Architecture::Aarch64,
        _ => object.architecture(),
    };
    let fits = object.kind() == object::ObjectKind::Dynamic
        && object.architecture() == architecture
        && object.is_little_endian() == cfg!(target_endian = "little");
    if fits {
        return Ok(());
    }
    let found =
        format!("{:?} {:?} for {:?}", object.format(), object.kind(), object.architecture());
    Err(InspectError::Object { found })
}

fn check_segments(object: &object::File<'_>, octets: usize) -> Result<(), InspectError> {
    for segment in object.segments() {
        let (offset, size) = segment.file_range();
        if offset.checked_add(size).is_none_or(|end| end > octets as u64) {
            return Err(InspectError::Segment { octets, offset, size });
        }
    }
    Ok(())
}

/// The exported symbols beside the entry point, which has to be among them. A file can make its symbols share one long
/// name, so that naming them all takes far more than its size: what is read and what is kept is bounded.
fn further_exports(object: &object::File<'_>) -> Result<Vec<String>, InspectError> {
    let (mut read, mut found, mut mangled, mut further) = (0, false, false, Vec::new());
    for symbol in object.dynamic_symbols().filter(|symbol| symbol.is_definition()) {
        let name = symbol.name_bytes().map_err(damaged)?;
        read += name.len();
        if read > NAME_OCTETS_MAX {
            let found = format!("symbol names of more than {NAME_OCTETS_MAX} octets");
            return Err(InspectError::Object { found });
        }
        if name == ENTRY.as_bytes() {
            found = true;
        } else {
            mangled |= name.starts_with(b"_Z") && memmem(name, ENTRY.as_bytes());
            if further.len() < FURTHER_MAX {
                further.push(String::from_utf8_lossy(&name[..name.len().min(128)]).into_owned());
            }
        }
    }
    further.sort();
    let hint = match (found, mangled) {
        (true, _) => return Ok(further),
        (false, true) => "only a C++ name (remedy: extern \"C\")",
        (false, false) => "none (remedy: EM_EXPORT)",
    };
    Err(InspectError::Entry { found: hint })
}

fn memmem(octets: &[u8], wanted: &[u8]) -> bool {
    octets.windows(wanted.len()).any(|window| window == wanted)
}

fn damaged(error: object::Error) -> InspectError {
    InspectError::Object { found: error.to_string() }
}
