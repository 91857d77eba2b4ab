//! Files of plug-ins: looking at one runs none of it and harms nobody, whatever is wrong with it.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use stagepost_extmgr::inspect;
use tempfile::TempDir;

use crate::Target;
use crate::octets::Octets;
use crate::plugin_file::compiled;

pub(crate) const TARGET: Target = Target { name: "descriptor", run, shape: None };

/// The most damages of one input: a few hide nothing of each other.
const DAMAGES_MAX: usize = 16;

/// A sound file, and the parts of it that say where everything else is.
struct Sound {
    octets: Vec<u8>,
    tables: Vec<Range<usize>>,
}

static SOUND: LazyLock<Sound> = LazyLock::new(|| {
    let (_folder, file) = compiled("tests/faults/noop.c");
    let octets = std::fs::read(file).expect("a file of our own");
    let number = |at: usize, octets_wide: usize| {
        let digits = octets[at..at + octets_wide].iter().rev();
        digits.fold(0, |so_far: usize, octet| so_far << 8 | usize::from(*octet))
    };
    // ELF-64: where the two tables are, and how many entries of which size they have.
    let table = |at: usize, entry: usize| {
        let begin = number(at, 8);
        begin..begin + number(entry, 2) * number(entry + 2, 2)
    };
    let (segments, sections) = (table(32, 54), table(40, 58));
    let mut tables = vec![0..64, segments, sections.clone()];
    for header in sections.step_by(number(58, 2)) {
        let (begin, size) = (number(header + 24, 8), number(header + 32, 8));
        if size > 0 && octets.get(begin..begin + size).is_some() {
            tables.push(begin..begin + size);
        }
    }
    Sound { octets, tables }
});

thread_local! {
    /// Where the damaged file is put.
    static PLACE: RefCell<Option<(TempDir, PathBuf)>> = const { RefCell::new(None) };
}

fn run(input: &[u8]) {
    let octets = damaged(&mut Octets::new(input));
    let found = PLACE.with_borrow_mut(|place| {
        let (_, file) = place.get_or_insert_with(|| {
            let folder = tempfile::tempdir().expect("a folder of our own");
            let file = folder.path().join("hostile.so");
            (folder, file)
        });
        put(file, &octets).expect("a file of our own");
        inspect(file)
    });
    match found {
        Ok(found) => {
            assert_eq!(found.octets, octets.len());
            let name = found.descriptor.name.as_bytes();
            let plain = |octet: &u8| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
            assert!((1..64).contains(&name.len()) && name.iter().all(plain), "{name:?}");
            let version = &found.descriptor.version;
            assert!(version.bytes().all(|octet| matches!(octet, b' '..=b'~')), "{version:?}");
            assert!(found.further_exports.len() <= 32);
        }
        Err(refusal) => {
            let said = refusal.to_string();
            assert!(!said.is_empty() && said.len() < 1024, "{} octets", said.len());
            assert!(!said.chars().any(char::is_control), "{said:?}");
        }
    }
}

/// Writes the file anew, in place: a file that is emptied and filled again waits for the disk.
fn put(file: &Path, octets: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).create(true).truncate(false).open(file)?;
    file.write_all(octets)?;
    file.set_len(octets.len() as u64)
}

/// The sound file with what the input does to it.
fn damaged(input: &mut Octets<'_>) -> Vec<u8> {
    let Sound { octets, tables } = &*SOUND;
    let mut octets = octets.clone();
    for _ in 0..DAMAGES_MAX {
        if input.is_empty() {
            break;
        }
        let (what, at) = (input.draw(), wide(input));
        match what {
            // The end is missing.
            255 => octets.truncate(at % (octets.len() + 1)),
            // Something follows it.
            254 => octets.resize(octets.len() + at, 0xa5),
            // Other octets anywhere.
            253 => overwrite(&mut octets, at, input),
            // In one of the tables.
            _ => {
                let table = &tables[usize::from(what) % tables.len()];
                overwrite(&mut octets, table.start + at % table.len(), input);
            }
        }
    }
    octets
}

fn wide(input: &mut Octets<'_>) -> usize {
    usize::from(input.draw()) | usize::from(input.draw()) << 8
}

/// Puts up to eight octets of the input into the file.
fn overwrite(octets: &mut [u8], at: usize, input: &mut Octets<'_>) {
    let width = 1 + input.below(8);
    for (octet, new) in octets.iter_mut().skip(at).zip(input.take(width)) {
        *octet = *new;
    }
}
