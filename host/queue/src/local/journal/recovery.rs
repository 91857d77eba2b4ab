//! Reading the journal at the start: which groups the index may lack, in their order.
//! Knows no row. Changes nothing: what can't be told from damage is left as it is, and refused.
//!
//! A group is synced before the next is written. So only the last one can be torn: a broken group with a whole one behind it is damage. What a segment
//! held before it was begun anew has a lower epoch. A segment that was begun after a failed write names the number it
//! goes on with: whatever the one before it has of that number was never acknowledged.

use std::io;
use std::path::Path;

use super::frame::{self, Found, Mark};
use super::segment::{HEAD_OCTETS, Head, Segment, list};

/// Why a journal can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(
        "the journal has no segment, though the index has all of it up to group {0}: a part of the queue is missing"
    )]
    Gone(u64),
    #[error(
        "the index has the groups up to {index}, the journal says it had those up to {journal}: one of them is older than the other"
    )]
    Older { index: u64, journal: u64 },
    #[error(
        "the journal begins with group {first}, the index ends with {index}: what lies between is missing"
    )]
    Gap { index: u64, first: u64 },
    #[error(
        "the journal ends with group {last}, the index has those up to {index}: the end of the journal is missing"
    )]
    Short { index: u64, last: u64 },
    #[error("group {sequence} in {segment} is damaged, and others follow it")]
    Damaged { sequence: u64, segment: String },
    #[error("two segments of the journal have the epoch {0}")]
    EpochTwice(u64),
    #[error("group {sequence} can't be read: {reason}")]
    Content { sequence: u64, reason: String },
}

/// What was found.
pub(super) struct Recovered {
    pub(super) segments: Vec<Segment>,
    /// The number of the last group.
    pub(super) last: u64,
    /// The highest epoch.
    pub(super) epoch: u64,
}

/// Reads the groups behind `checkpoint`, which the index ends with, and hands each to `replay`; none above `until`. Blocks.
pub(super) fn recover(
    folder: &Path,
    checkpoint: u64,
    until: Option<u64>,
    mut replay: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<Recovered, JournalError> {
    let segments = list(folder)?;
    let mut begun = Vec::new();
    for segment in &segments {
        if let Some(head) = read_head(segment)? {
            begun.push((head, segment));
        }
    }
    begun.sort_by_key(|(head, _)| head.epoch);
    let epoch = begun.last().map_or(0, |(head, _)| head.epoch);
    // Begun behind what is known to be on disk: by the write that failed.
    begun.retain(|(head, _)| until.is_none_or(|until| head.first <= until.saturating_add(1)));
    let chain = check_heads(&begun, checkpoint)?;
    let mut last = checkpoint;
    for (index, (head, segment)) in chain.iter().enumerate() {
        let octets = std::fs::read(segment.path())?;
        let next = chain.get(index + 1).map(|(head, _)| head.first);
        let end = next.or_else(|| until.map(|until| until.saturating_add(1)));
        let walk = Walk { segment: &octets, epoch: head.epoch, end, path: segment.path() };
        last = walk.run(head.first, |sequence, group| {
            if sequence <= checkpoint {
                return Ok(());
            }
            replay(group).map_err(|reason| JournalError::Content { sequence, reason })
        })?;
    }
    if last < checkpoint {
        return Err(JournalError::Short { index: checkpoint, last });
    }
    Ok(Recovered { segments, last, epoch })
}

fn read_head(segment: &Segment) -> io::Result<Option<Head>> {
    use std::io::Read;
    let mut octets = Vec::with_capacity(HEAD_OCTETS);
    std::fs::File::open(segment.path())?.take(HEAD_OCTETS as u64).read_to_end(&mut octets)?;
    Ok(Head::decode(&octets))
}

/// The segments that have groups behind the checkpoint, if they fit together.
fn check_heads<'a, 'b>(
    begun: &'a [(Head, &'b Segment)],
    checkpoint: u64,
) -> Result<&'a [(Head, &'b Segment)], JournalError> {
    if begun.is_empty() && checkpoint > 0 {
        return Err(JournalError::Gone(checkpoint));
    }
    if let Some(pair) = begun.windows(2).find(|pair| pair[0].0.epoch == pair[1].0.epoch) {
        return Err(JournalError::EpochTwice(pair[0].0.epoch));
    }
    let known = begun.iter().map(|(head, _)| head.checkpoint).max().unwrap_or(0);
    if known > checkpoint {
        return Err(JournalError::Older { index: checkpoint, journal: known });
    }
    let Some((first, _)) = begun.first() else {
        return Ok(begun);
    };
    match begun.iter().rposition(|(head, _)| head.first <= checkpoint.saturating_add(1)) {
        Some(start) => Ok(&begun[start..]),
        None => Err(JournalError::Gap { index: checkpoint, first: first.first }),
    }
}

/// One segment being read.
struct Walk<'a> {
    segment: &'a [u8],
    epoch: u64,
    /// The first number that lies in the next segment, or is not to be read.
    end: Option<u64>,
    path: &'a Path,
}

impl Walk<'_> {
    /// Reads the groups from this number on; the number of the last.
    fn run(
        &self,
        first: u64,
        mut each: impl FnMut(u64, &[u8]) -> Result<(), JournalError>,
    ) -> Result<u64, JournalError> {
        let (mut at, mut sequence) = (HEAD_OCTETS, first);
        while self.end.is_none_or(|end| sequence < end) {
            let mark = Mark { epoch: self.epoch, sequence };
            match frame::read(self.segment, at, mark) {
                Found::Whole { octets, next } => {
                    each(sequence, octets)?;
                    (at, sequence) = (next, sequence + 1);
                }
                found => {
                    self.check_end(at, mark, &found)?;
                    break;
                }
            }
        }
        Ok(sequence - 1)
    }

    /// Whether the groups may end here: nobody knows of later ones.
    fn check_end(&self, at: usize, mark: Mark, found: &Found<'_>) -> Result<(), JournalError> {
        let behind = frame::find_later(self.segment, at, mark);
        if self.end.is_some() || behind.is_some() {
            let segment = self.path.display().to_string();
            return Err(JournalError::Damaged { sequence: mark.sequence, segment });
        }
        if matches!(found, Found::Broken) {
            tracing::warn!(
                segment = %self.path.display(), group = mark.sequence,
                "the last group of the journal was written in part only; it was never acknowledged and is left out"
            );
        }
        Ok(())
    }
}
