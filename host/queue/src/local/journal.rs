//! The journal: every group of changes is in it, and on disk, before anybody is told.
//! Knows no row. What the index has on disk by itself is no longer needed here, and its segments are written over.

mod frame;
mod recovery;
mod segment;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use self::frame::Mark;
pub(super) use self::recovery::JournalError;
use self::segment::{Head, Segment};
use super::fault::{Faults, Operation};
use super::folder::make_folder;

const MIB: u64 = 1024 * 1024;
/// The sizes of the journal: in tests all happens sooner.
const SIZES: Sizes = if cfg!(test) {
    Sizes { first: MIB / 8, max: MIB / 4, checkpoint: MIB / 2, journal: 4 * MIB }
} else {
    Sizes { first: MIB, max: 16 * MIB, checkpoint: 64 * MIB, journal: 192 * MIB }
};

/// Octets.
struct Sizes {
    /// The first segment; each further one has twice as many as the largest: a small queue keeps a small journal.
    first: u64,
    /// A segment, unless one group is larger.
    max: u64,
    /// When so many are filled it is time for the index to be put on disk.
    checkpoint: u64,
    /// All segments; when they are full, a group waits for the index.
    journal: u64,
}

/// Where a failed write left the journal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubt {
    /// The last group that is known to be on disk.
    pub(super) last: u64,
    /// The segment whose octets nobody knows. It is given up.
    segment: Option<u32>,
}

/// The journal, open for writing. One thread.
pub(super) struct Journal {
    folder: PathBuf,
    faults: Arc<dyn Faults>,
    active: Option<Active>,
    /// Full ones, oldest first.
    filled: VecDeque<Filled>,
    /// Ready to be begun.
    spare: Vec<Segment>,
    /// A further one that is being made.
    making: Option<mpsc::Receiver<io::Result<Segment>>>,
    /// Of all segments.
    octets: u64,
    number: u32,
    epoch: u64,
    /// The last group on disk.
    last: u64,
    /// The last group that the index has on disk.
    checkpoint: u64,
    /// The group being put together, behind room for the heads of segment and frame.
    group: Vec<u8>,
}

struct Active {
    segment: Segment,
    head: Head,
    at: u64,
}

impl Active {
    /// Which group is written next, given its number.
    fn mark(&self, sequence: u64) -> Mark {
        Mark { epoch: self.head.epoch, sequence, salt: self.head.salt }
    }
}

struct Filled {
    segment: Segment,
    last: u64,
}

/// Room for both heads in front of a group.
const HEADS_OCTETS: usize = segment::HEAD_OCTETS + frame::HEAD_OCTETS;

impl Journal {
    /// Opens the journal in this folder, made when missing, for an index that has the groups up to `checkpoint`: hands it those behind.
    /// After a failed write none that is in doubt. The index has to have all of them on disk before the first group is written. Blocks.
    ///
    /// # Errors
    /// A journal that can't be read, or not go with this index: nothing was changed.
    pub(super) fn open(
        folder: &Path,
        faults: Arc<dyn Faults>,
        checkpoint: u64,
        doubt: Option<Doubt>,
        replay: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<Self, JournalError> {
        make_folder(folder)?;
        let found = recovery::recover(folder, checkpoint, doubt.map(|doubt| doubt.last), replay)?;
        let octets = found.segments.iter().map(Segment::octets).sum();
        let number = found.segments.iter().map(Segment::number).max().unwrap_or(0);
        Ok(Self {
            folder: folder.to_owned(),
            faults,
            active: None,
            filled: VecDeque::new(),
            spare: found.segments,
            making: None,
            octets,
            number,
            epoch: found.epoch,
            last: found.last,
            checkpoint,
            group: Vec::new(),
        })
    }

    /// Makes ready for the first group: the index has on disk all there is. Blocks.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn begin(&mut self, doubt: Option<Doubt>) -> io::Result<()> {
        self.checkpoint = self.last;
        let Some(doubt) = doubt else {
            if self.spare.is_empty() {
                let segment = self.create(SIZES.first)?;
                self.spare.push(segment);
            }
            return Ok(());
        };
        // A new file, never one that may be the one that failed: and what is in doubt counts no longer once its head is on disk.
        let segment = self.create(SIZES.first)?;
        match self.write_head(&segment) {
            Ok(head) => {
                let at = segment::HEAD_OCTETS as u64;
                self.active = Some(Active { segment, head, at });
            }
            Err(error) => {
                // It says nothing that is not so; but there is one more with each attempt.
                segment.remove()?;
                return Err(error);
            }
        }
        if let Some(at) = self.spare.iter().position(|spare| Some(spare.number()) == doubt.segment)
        {
            self.drop_spare(at)?;
        }
        Ok(())
    }

    fn write_head(&mut self, segment: &Segment) -> io::Result<Head> {
        let head = self.next_head(segment)?;
        let mut octets = [0; segment::HEAD_OCTETS];
        head.encode(&mut octets);
        self.faults.before(Operation::JournalWrite)?;
        segment.write(&octets, 0)?;
        self.faults.before(Operation::JournalSync)?;
        Ok(head)
    }

    /// The number of the last group on disk.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Where a write that has failed just now leaves the journal.
    pub(super) fn doubt(&self) -> Doubt {
        let segment = self.active.as_ref().map(|active| active.segment.number());
        Doubt { last: self.last, segment }
    }

    /// Whether it is time for the index to be put on disk.
    pub(super) fn wants_checkpoint(&self) -> bool {
        self.filled.iter().map(|filled| filled.segment.octets()).sum::<u64>() >= SIZES.checkpoint
    }

    /// The index has the groups up to this one on disk: their segments can be written over.
    pub(super) fn release(&mut self, checkpoint: u64) {
        self.checkpoint = checkpoint;
        while let Some(filled) = self.filled.pop_front_if(|filled| filled.last <= checkpoint) {
            self.spare.push(filled.segment);
        }
    }

    /// Begins a group: its octets are to be appended.
    pub(super) fn group(&mut self) -> &mut Vec<u8> {
        self.group.clear();
        self.group.resize(HEADS_OCTETS, 0);
        &mut self.group
    }

    /// Writes the group that was begun; it is on disk when this returns. `wait` waits for a checkpoint behind the one it is given.
    /// Blocks.
    ///
    /// # Errors
    /// The disk's. The journal is to be opened anew then, with [`Journal::doubt`].
    pub(super) fn write(&mut self, wait: impl FnMut(u64) -> io::Result<u64>) -> io::Result<()> {
        self.faults.before(Operation::JournalWrite)?;
        let frame_octets = self.group.len() - segment::HEAD_OCTETS;
        let fits = |active: &Active| active.at + frame_octets as u64 + 8 <= active.segment.octets();
        let begins = !self.active.as_ref().is_some_and(fits);
        if begins {
            self.begin_segment(frame_octets, wait)?;
        }
        let Some(active) = &mut self.active else {
            return Err(io::Error::other("the journal has no segment"));
        };
        let mark = active.mark(self.last + 1);
        frame::seal(&mut self.group, segment::HEAD_OCTETS, mark);
        if begins {
            active.head.encode(&mut self.group);
            active.segment.write(&self.group, 0)?;
            active.at = self.group.len() as u64;
        } else {
            let frame = &self.group[segment::HEAD_OCTETS..];
            active.segment.write(frame, active.at)?;
            active.at += frame.len() as u64;
        }
        self.faults.before(Operation::JournalSync)?;
        self.last = mark.sequence;
        if begins && self.spare.is_empty() {
            self.make_ahead();
        }
        Ok(())
    }

    /// The head of a segment that is begun now.
    fn next_head(&mut self, segment: &Segment) -> io::Result<Head> {
        let mut salt = [0; 4];
        getrandom::fill(&mut salt).map_err(io::Error::other)?;
        self.epoch += 1;
        Ok(Head {
            // A group has 4 GiB at most: it says so in four octets.
            octets: segment.octets().try_into().unwrap_or(0),
            salt: u32::from_ne_bytes(salt),
            epoch: self.epoch,
            first: self.last + 1,
            checkpoint: self.checkpoint,
        })
    }

    /// Takes a segment with room for so many octets behind its head. Nothing is written to it.
    fn begin_segment(
        &mut self,
        frame_octets: usize,
        mut wait: impl FnMut(u64) -> io::Result<u64>,
    ) -> io::Result<()> {
        let wanted = (segment::HEAD_OCTETS + frame_octets + 8) as u64;
        if let Some(Active { segment, .. }) = self.active.take() {
            self.filled.push_back(Filled { segment, last: self.last });
        }
        let segment = loop {
            if let Some(at) = self.spare.iter().position(|spare| spare.octets() >= wanted) {
                break self.spare.swap_remove(at);
            }
            if let Some(making) = self.making.take() {
                // What failed then may succeed now.
                if let Err(error) = self.add_made(&making) {
                    tracing::warn!(%error, "a segment of the journal could not be made ahead");
                }
            } else if let Some(octets) = self.next_octets(wanted) {
                let made = self.create(octets)?;
                self.spare.push(made);
            } else if self.spare.is_empty() {
                let checkpoint = wait(self.checkpoint)?;
                self.release(checkpoint);
            } else {
                // Too small for this group, and in the way of one that is not.
                self.drop_spare(0)?;
            }
        };
        let head = self.next_head(&segment)?;
        self.active = Some(Active { segment, head, at: 0 });
        Ok(())
    }

    /// How large a further segment is to be, if there may be one.
    fn next_octets(&self, wanted: u64) -> Option<u64> {
        let active = self.active.iter().map(|active| &active.segment);
        let filled = self.filled.iter().map(|filled| &filled.segment);
        let largest = active.chain(filled).chain(&self.spare).map(Segment::octets).max();
        let octets = largest.map_or(SIZES.first, |largest| largest * 2);
        let octets = octets.min(SIZES.max).max(wanted.next_multiple_of(SIZES.first));
        (self.octets + octets <= SIZES.journal).then_some(octets)
    }

    fn create(&mut self, octets: u64) -> io::Result<Segment> {
        self.faults.before(Operation::SegmentWrite)?;
        self.number += 1;
        let segment = Segment::create(&self.folder, self.number, octets)?;
        self.octets += octets;
        Ok(segment)
    }

    /// Has the next segment made on a thread of its own: writing zeros takes time that nobody has when it is needed.
    fn make_ahead(&mut self) {
        let (None, Some(octets)) = (&self.making, self.next_octets(0)) else {
            return;
        };
        let (made, making) = mpsc::channel();
        let (folder, number) = (self.folder.clone(), self.number + 1);
        let faults = Arc::clone(&self.faults);
        let begun = std::thread::Builder::new().name("queue-segment".to_owned()).spawn(move || {
            let segment = faults.before(Operation::SegmentWrite);
            let _ = made.send(segment.and_then(|()| Segment::create(&folder, number, octets)));
        });
        match begun {
            Ok(_) => {
                self.number += 1;
                self.making = Some(making);
            }
            // It is made when it is needed, by whoever needs it.
            Err(error) => tracing::warn!(%error, "no thread to make a segment of the journal"),
        }
    }

    fn add_made(&mut self, making: &mpsc::Receiver<io::Result<Segment>>) -> io::Result<()> {
        let segment = making.recv().map_err(io::Error::other)??;
        self.octets += segment.octets();
        self.spare.push(segment);
        Ok(())
    }

    fn drop_spare(&mut self, at: usize) -> io::Result<()> {
        let segment = self.spare.swap_remove(at);
        self.octets -= segment.octets();
        segment.remove()
    }
}

/// Nobody makes a file any more when the journal is opened again.
impl Drop for Journal {
    fn drop(&mut self) {
        if let Some(making) = self.making.take() {
            let _ = making.recv();
        }
    }
}
