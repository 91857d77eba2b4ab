//! The files of the journal: written with zeros once, then over and over, so that a sync of them changes no metadata.
//! Knows the head of a segment, not what lies behind it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::local::folder::sync_folder;

/// The octets of a segment's head.
pub(super) const HEAD_OCTETS: usize = 48;

const MAGIC: [u8; 8] = *b"SPQ-JNL\x01";
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
    /// Grows with every segment that is begun.
    pub(super) epoch: u64,
    /// The number of the first group in it. What other segments hold of this number and above counts no longer.
    pub(super) first: u64,
    /// The index had all groups up to this one when the segment was begun.
    pub(super) checkpoint: u64,
}

impl Segment {
    /// Makes a file full of zeros, durable with its name. Blocks.
    pub(super) fn create(folder: &Path, number: u32, octets: u64) -> io::Result<Self> {
        let path = folder.join(format!("{number:06}.{ENDING}"));
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
        let file = options.write(true).custom_flags(libc::O_DSYNC).open(&path)?;
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

    /// Writes octets; they are on disk when this returns. Blocks.
    pub(super) fn write(&self, octets: &[u8], at: u64) -> io::Result<()> {
        self.file.write_all_at(octets, at)
    }

    /// Removes the file. Blocks.
    pub(super) fn remove(self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }
}

/// All segments of a folder, in the order of their numbers. What was left half made is removed. Blocks.
pub(super) fn list(folder: &Path) -> io::Result<Vec<Segment>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if ending == Some(ENDING_MAKING) {
            std::fs::remove_file(&path)?;
        }
        let number =
            path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if let (Some(ENDING), Some(number)) = (ending, number) {
            found.push(Segment::open(path, number)?);
        }
    }
    found.sort_by_key(Segment::number);
    Ok(found)
}

impl Head {
    /// Puts the head at the beginning of these octets.
    pub(super) fn encode(&self, segment: &mut [u8]) {
        segment[..8].copy_from_slice(&MAGIC);
        for (at, value) in [(8, self.epoch), (16, self.first), (24, self.checkpoint), (32, 0)] {
            segment[at..at + 8].copy_from_slice(&value.to_be_bytes());
        }
        let crc = crc32c::crc32c(&segment[..40]);
        segment[40..44].copy_from_slice(&crc.to_be_bytes());
        segment[44..HEAD_OCTETS].fill(0);
    }

    /// Reads a head. `None` for a segment that was never begun.
    pub(super) fn decode(segment: &[u8]) -> Option<Self> {
        let content = segment.get(..40)?;
        let crc = segment.get(40..44)?.try_into().ok().map(u32::from_be_bytes)?;
        if content[..8] != MAGIC || crc32c::crc32c(content) != crc {
            return None;
        }
        let value = |at: usize| content[at..at + 8].try_into().ok().map(u64::from_be_bytes);
        Some(Self { epoch: value(8)?, first: value(16)?, checkpoint: value(24)? })
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
        let head = Head { epoch: 1, first: u64::MAX, checkpoint: 77 };
        let mut segment = vec![0xff; 64];
        head.encode(&mut segment);
        assert_eq!(Head::decode(&segment), Some(head));
        for at in 0..44 {
            let mut damaged = segment.clone();
            damaged[at] ^= 0x10;
            assert_eq!(Head::decode(&damaged), None, "octet {at}");
        }
        for cut in 0..44 {
            assert_eq!(Head::decode(&segment[..cut]), None);
        }
        assert_eq!(Head::decode(&[0; 64]), None);
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
