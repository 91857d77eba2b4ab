//! Damaged and hostile plug-in files: looking at one never harms the host, and what it says is fit for a terminal.
//! Knows what inspection promises, not how it reads. `PROPTEST_CASES=1000000` makes a long search of it.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::ops::Range;
use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;
use stagepost_extmgr::inspect;
use stagepost_tests::plugin::{compile_c, faults};

/// A sound plug-in's octets, and the parts of it that say where everything else is.
struct Sound {
    octets: Vec<u8>,
    tables: Vec<Range<usize>>,
}

static SOUND: LazyLock<Sound> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let library = compile_c(&faults().join("noop.c"), folder.path(), &[]);
    let octets = std::fs::read(&library).unwrap();
    let word = |at: usize| u64::from_le_bytes(octets[at..at + 8].try_into().unwrap()) as usize;
    let half = |at: usize| usize::from(u16::from_le_bytes([octets[at], octets[at + 1]]));
    let segments = word(32)..word(32) + half(54) * half(56);
    let sections = word(40)..word(40) + half(58) * half(60);
    // Of each section: 24 octets in is its offset, and its size 32.
    let mut tables = vec![0..64, segments, sections.clone()];
    for header in sections.step_by(half(58)) {
        let (begin, size) = (word(header + 24), word(header + 32));
        if octets.get(begin..begin + size).is_some() && size > 0 {
            tables.push(begin..begin + size);
        }
    }
    Sound { octets, tables }
});

/// One thing done to a file.
#[derive(Clone, Debug)]
enum Damage {
    /// Other octets somewhere in one of the tables.
    Table(Index, Index, Vec<u8>),
    /// Other octets anywhere.
    Anywhere(Index, Vec<u8>),
    /// The end is missing.
    Cut(Index),
    /// Something follows the end.
    Tail(u16),
}

fn number() -> impl Strategy<Value = Vec<u8>> {
    let extreme = prop_oneof![
        Just(0),
        Just(1),
        Just(u64::MAX),
        Just(u64::MAX - 7),
        Just(u64::from(u32::MAX)),
        Just(1 << 63),
        0..0x8000_u64,
        any::<u64>(),
    ];
    (extreme, 1..=8_usize).prop_map(|(value, octets)| value.to_le_bytes()[..octets].to_vec())
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        8 => (any::<Index>(), any::<Index>(), number()).prop_map(|(table, at, value)| Damage::Table(table, at, value)),
        2 => (any::<Index>(), number()).prop_map(|(at, value)| Damage::Anywhere(at, value)),
        1 => any::<Index>().prop_map(Damage::Cut),
        1 => any::<u16>().prop_map(Damage::Tail),
    ]
}

fn damaged(damages: &[Damage]) -> Vec<u8> {
    let mut octets = SOUND.octets.clone();
    for damage in damages {
        match damage {
            Damage::Table(table, at, value) => {
                let table = table.get(&SOUND.tables);
                overwrite(&mut octets, table.start + at.index(table.len()), value);
            }
            Damage::Anywhere(at, value) => {
                let at = at.index(octets.len().max(1));
                overwrite(&mut octets, at, value);
            }
            Damage::Cut(at) => {
                let left = at.index(octets.len() + 1);
                octets.truncate(left);
            }
            Damage::Tail(more) => octets.resize(octets.len() + usize::from(*more), 0xa5),
        }
    }
    octets
}

fn overwrite(octets: &mut [u8], at: usize, value: &[u8]) {
    for (octet, new) in octets.iter_mut().skip(at).zip(value) {
        *octet = *new;
    }
}

fn write(folder: &Path, octets: &[u8]) -> std::path::PathBuf {
    let file = folder.join("hostile.so");
    std::fs::write(&file, octets).unwrap();
    file
}

/// 2,000 cases, unless the environment asks for another number.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let cases = cases.unwrap_or(2_000);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn looking_at_a_hostile_file_is_safe(damages in prop::collection::vec(damage(), 1..6)) {
        let folder = tempfile::tempdir().unwrap();
        let octets = damaged(&damages);
        match inspect(&write(folder.path(), &octets)) {
            Ok(found) => {
                prop_assert_eq!(found.octets, octets.len());
                let name = &found.descriptor.name;
                prop_assert!((1..64).contains(&name.len()), "{name:?}");
                prop_assert!(name.bytes().all(|o| o.is_ascii_lowercase() || o.is_ascii_digit() || o == b'-' || o == b'_'), "{name:?}");
                prop_assert!(found.descriptor.version.bytes().all(|o| (b' '..=b'~').contains(&o)));
                prop_assert!(found.further_exports.len() <= 32);
            }
            Err(refusal) => {
                let said = refusal.to_string();
                prop_assert!(!said.is_empty() && said.len() < 1_024, "{} octets", said.len());
                prop_assert!(!said.chars().any(char::is_control), "{said:?}");
            }
        }
    }
}

#[test]
fn the_sound_file_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let found = inspect(&write(folder.path(), &SOUND.octets)).unwrap();
    assert_eq!(found.descriptor.name, "noop");
    assert!(SOUND.tables.len() > 10, "the tables of the file were found");
}

#[test]
fn a_file_that_ends_before_its_segments_do_is_refused() {
    // The loader would map what is not there, and the first touch of it would end the process.
    let begin = u64::from_le_bytes(SOUND.octets[32..40].try_into().unwrap()) as usize;
    let mut octets = SOUND.octets.clone();
    // Type PT_LOAD, 32 octets in the size in the file.
    let load = (begin..).step_by(56).find(|at| octets[*at..at + 4] == [1, 0, 0, 0]).unwrap();
    overwrite(&mut octets, load + 32, &(1_u64 << 20).to_le_bytes());
    let folder = tempfile::tempdir().unwrap();
    let refusal = inspect(&write(folder.path(), &octets)).unwrap_err().to_string();
    assert!(refusal.starts_with("segment: wanted within the file's "), "{refusal}");
}
