//! Looks at a plug-in's file without running any of it.
//! Knows ELF by the `object` crate; knows nothing of loading.

use std::path::Path;

use object::{Object, ObjectSection};

use crate::descriptor::{Descriptor, DescriptorError, SECTION};
use crate::file::{FileError, PluginFile, hex};

/// The one symbol that a plug-in exports.
pub(crate) const ENTRY: &str = "em_entry";

/// What a file says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Its descriptor.
    pub descriptor: Descriptor,
    /// Its SHA-256 in hexadecimal, as the configuration wants it.
    pub sha256: String,
    /// Its size in octets.
    pub octets: usize,
    /// Symbols that it exports beside its entry point.
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
    let damaged = |error: object::Error| InspectError::Object { found: error.to_string() };
    let object = object::File::parse(octets).map_err(damaged)?;
    check_kind(&object)?;
    let mut sections = object.sections().filter(|section| section.name() == Ok(SECTION));
    let (first, further) = (sections.next(), sections.count());
    let Some(section) = first.filter(|_| further == 0) else {
        let found = if further == 0 { 0 } else { further + 1 };
        return Err(InspectError::Section { found });
    };
    let descriptor = Descriptor::parse(section.data().map_err(damaged)?)?;
    let mut exports = exports(&object).map_err(damaged)?;
    let Some(entry) = exports.iter().position(|name| name == ENTRY) else {
        let mangled = exports.iter().any(|name| name.starts_with("_Z") && name.contains(ENTRY));
        let found = if mangled {
            "only a C++ name (remedy: extern \"C\")"
        } else {
            "none (remedy: EM_EXPORT)"
        };
        return Err(InspectError::Entry { found });
    };
    exports.swap_remove(entry);
    exports.sort();
    Ok(Inspection {
        descriptor,
        sha256: hex(&file.sha256()),
        octets: octets.len(),
        further_exports: exports,
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

fn exports(object: &object::File<'_>) -> Result<Vec<String>, object::Error> {
    let names = object.exports()?.into_iter();
    Ok(names.map(|export| String::from_utf8_lossy(export.name()).into_owned()).collect())
}
