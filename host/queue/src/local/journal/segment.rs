//! The files of the journal: written with zeros once, then over and over, so that a sync of them changes no metadata.
//! Knows the head of a segment, not what lies behind it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::local::folder::{NO_OTHER, naming, sync_folder};

/// The octets of a segment's head.
pub(super) const HEAD_OCTETS: usize = 48;

const MAGIC: [u8; 7] = *b"SPQ-JNL";
/// The version of a head that tells neither the octets of its segment nor a salt.
const PLAIN: u8 = 1;
/// The version of a head that does.
const SALTED: u8 = 2;
/// The ending of a segment's file name.
const ENDING: &str = "segment";
/// The ending while the file is being made.
const ENDING_MAKING: &str = "making";
/// Zeros are written in pieces of so many octets, each synced for itself: a sync of more would hold up the writes of the
/// segment in use.
const PIECE_OCTETS: usize = 1024 * 1024;

/// One file of the journal, open for writing: each write is on disk when it returns.
pub(super) struct Segment {
    number: u32,
    path: PathBuf,
    octets: u64,
    file: File,
}

/// What a segment says of itself since it was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The octets of the whole file, which never change; 0: it was not told.
    pub(super) octets: u32,
    /// Goes into the checksums of its groups: no message can hold what would pass for one.
    pub(super) salt: u32,
    /// Grows with every segment that is begun.
    pub(super) epoch: u64,
    /// The number of the first group in it. What other segments hold of this number and above counts no longer.
    pub(super) first: u64,
    /// The index had all groups up to this one when the segment was begun.
    pub(super) checkpoint: u64,
}

/// What is found where a segment should have its head.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// It has one.
    Head(Head),
    /// One of a version that only newer servers know.
    Newer(u8),
    /// It was never begun; or what it was begun with is damaged.
    Unknown,
    /// The file is too short for any.
    Short,
}

impl Segment {
    /// Makes a file full of zeros, durable with its name. Blocks.
    pub(super) fn create(folder: &Path, number: u32, octets: u64) -> io::Result<Self> {
        let path = folder.join(file_name(number, ENDING));
        let making = path.with_extension(ENDING_MAKING);
        let result = fill(&making, octets).and_then(|()| std::fs::rename(&making, &path));
        if let Err(error) = result {
            // What is left of it takes space that is missing elsewhere; the next start removes it too.
            let _ = std::fs::remove_file(&making);
            return Err(error);
        }
        sync_folder(folder)?;
        Self::open(path, number)
    }

    fn open(path: PathBuf, number: u32) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let options = options.write(true).custom_flags(libc::O_DSYNC | NO_OTHER);
        let file = options.open(&path).map_err(|error| naming(&path, &error))?;
        Ok(Self { number, octets: file.metadata()?.len(), path, file })
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn octets(&self) -> u64 {
        self.octets
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The path as text.
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Writes octets; they are on disk when this returns. Blocks.
    pub(super) fn write(&self, octets: &[u8], at: u64) -> io::Result<()> {
        self.file.write_all_at(octets, at)
    }

    /// Removes the file. Blocks.
    pub(super) fn remove(self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }
}

fn file_name(number: u32, ending: &str) -> String {
    format!("{number:06}.{ending}")
}

/// All segments of a folder, in the order of their numbers. What was left half made is removed. Blocks.
pub(super) fn list(folder: &Path) -> io::Result<Vec<Segment>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let Some(number) = stem.and_then(|stem| stem.parse().ok()) else {
            continue;
        };
        // Whatever has another name is not ours.
        if path.ends_with(file_name(number, ENDING)) {
            found.push(Segment::open(path, number)?);
        } else if path.ends_with(file_name(number, ENDING_MAKING)) {
            std::fs::remove_file(&path).map_err(|error| naming(&path, &error))?;
        }
    }
    found.sort_by_key(Segment::number);
    Ok(found)
}

impl Head {
    /// Puts the head at the beginning of these octets.
    pub(super) fn encode(&self, segment: &mut [u8]) {
        segment[..7].copy_from_slice(&MAGIC);
        segment[7] = SALTED;
        for (at, value) in [(8, self.epoch), (16, self.first), (24, self.checkpoint)] {
            segment[at..at + 8].copy_from_slice(&value.to_be_bytes());
        }
        for (at, value) in [(32, self.octets), (36, self.salt)] {
            segment[at..at + 4].copy_from_slice(&value.to_be_bytes());
        }
        let crc = crc32c::crc32c(&segment[..40]);
        segment[40..44].copy_from_slice(&crc.to_be_bytes());
        segment[44..HEAD_OCTETS].fill(0);
    }

    /// Reads a head.
    pub(super) fn decode(segment: &[u8]) -> Begun {
        let Some((head, _)) = segment.split_first_chunk::<HEAD_OCTETS>() else {
            return Begun::Short;
        };
        let word =
            |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let value = |at: usize| u64::from(word(at)) << 32 | u64::from(word(at + 4));
        if head[..7] != MAGIC || crc32c::crc32c(&head[..40]) != word(40) {
            return Begun::Unknown;
        }
        let (octets, salt) = match head[7] {
            PLAIN => (0, 0),
            SALTED => (word(32), word(36)),
            newer => return Begun::Newer(newer),
        };
        let (epoch, first, checkpoint) = (value(8), value(16), value(24));
        Begun::Head(Self { octets, salt, epoch, first, checkpoint })
    }
}

fn fill(path: &Path, octets: u64) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let zeros = vec![0; PIECE_OCTETS];
    let mut left = octets;
    while left > 0 {
        let piece = left.min(PIECE_OCTETS as u64);
        file.write_all(&zeros[..piece as usize])?;
        file.sync_data()?;
        left -= piece;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_comes_back_as_it_was_and_a_damaged_one_not() {
        let head = Head { octets: 7, salt: 99, epoch: 1, first: u64::MAX, checkpoint: 77 };
        let mut segment = vec![0xff; 64];
        head.encode(&mut segment);
        assert_eq!(Head::decode(&segment), Begun::Head(head));
        for at in 0..44 {
            let mut damaged = segment.clone();
            damaged[at] ^= 0x10;
            assert_eq!(Head::decode(&damaged), Begun::Unknown, "octet {at}");
        }
        for cut in 0..HEAD_OCTETS {
            assert_eq!(Head::decode(&segment[..cut]), Begun::Short);
        }
        assert_eq!(Head::decode(&[0; 64]), Begun::Unknown);
    }

    #[test]
    fn heads_of_older_servers_are_read_and_those_of_newer_ones_told() {
        let head = Head { octets: 7, salt: 99, epoch: 1, first: 2, checkpoint: 3 };
        let of_version = |version| {
            let mut segment = vec![0; HEAD_OCTETS];
            head.encode(&mut segment);
            segment[7] = version;
            let crc = crc32c::crc32c(&segment[..40]);
            segment[40..44].copy_from_slice(&crc.to_be_bytes());
            Head::decode(&segment)
        };
        assert_eq!(of_version(1), Begun::Head(Head { octets: 0, salt: 0, ..head }));
        assert_eq!(of_version(3), Begun::Newer(3));
    }

    #[test]
    fn segments_are_found_again_and_half_made_ones_removed() {
        let folder = tempfile::tempdir().unwrap();
        let made = Segment::create(folder.path(), 7, 300_000).unwrap();
        assert_eq!((made.number(), made.octets()), (7, 300_000));
        std::fs::write(folder.path().join("000008.making"), "half").unwrap();
        std::fs::write(folder.path().join("README"), "not ours").unwrap();
        let found = list(folder.path()).unwrap();
        assert_eq!(found.iter().map(Segment::number).collect::<Vec<_>>(), [7]);
        assert!(!folder.path().join("000008.making").exists());
        assert!(std::fs::read(found[0].path()).unwrap().iter().all(|octet| *octet == 0));
        found.into_iter().next().unwrap().remove().unwrap();
        assert!(folder.path().join("README").exists());
        assert!(list(folder.path()).unwrap().is_empty());
    }
}
