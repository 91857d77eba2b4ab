//! Reading the journal at the start: which groups the index may lack, in their order.
//! Knows no row. Changes nothing: what can't be told from damage is left as it is, and refused.
//!
//! A group is synced before the next is written. So only the last one can be torn: a broken group with a whole one behind it is damage. What a segment
//! held before it was begun anew has a lower epoch. A segment that was begun after a failed write names the number it
//! goes on with: whatever the one before it has of that number was never acknowledged. No crash makes a segment shorter, since all of it was
//! on disk before it was used.

use std::io;
use std::path::Path;

use super::frame::{self, Found, Mark};
use super::segment::{Begun, HEAD_OCTETS, Head, Segment, list};

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
    #[error(
        "the journal ends with group {last}, though group {known} was on disk: the end of the journal is missing"
    )]
    Lost { known: u64, last: u64 },
    #[error("group {sequence} in {segment} is damaged, and others follow it")]
    Damaged { sequence: u64, segment: String },
    #[error("the head of {segment} is damaged: the groups from {first} on are in it")]
    Headless { first: u64, segment: String },
    #[error("{segment} has {octets} octets and should have {wanted} at least: its end is missing")]
    Cut { segment: String, octets: u64, wanted: u64 },
    #[error("{segment} is of version {found}, which only a newer server knows")]
    Newer { found: u8, segment: String },
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
    let (mut begun, mut unknown) = (Vec::new(), Vec::new());
    for segment in &segments {
        match read_head(segment)? {
            Begun::Head(head) => begun.push((head, segment)),
            Begun::Unknown => unknown.push(segment),
            Begun::Newer(found) => {
                return Err(JournalError::Newer { found, segment: segment.name() });
            }
            Begun::Short => return Err(cut(segment, HEAD_OCTETS as u64)),
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
        let walk = Walk { segment: &octets, head, end, path: segment.path() };
        last = walk.run(|sequence, group| {
            if sequence <= checkpoint {
                return Ok(());
            }
            replay(group).map_err(|reason| JournalError::Content { sequence, reason })
        })?;
    }
    if last < checkpoint {
        return Err(JournalError::Short { index: checkpoint, last });
    }
    if let Some(known) = until.filter(|until| last < *until) {
        return Err(JournalError::Lost { known, last });
    }
    for segment in unknown {
        check_never_begun(segment, epoch, last)?;
    }
    Ok(Recovered { segments, last, epoch })
}

fn read_start(segment: &Segment, octets: usize) -> io::Result<Vec<u8>> {
    use std::io::Read;
    let mut start = Vec::with_capacity(octets);
    std::fs::File::open(segment.path())?.take(octets as u64).read_to_end(&mut start)?;
    Ok(start)
}

fn read_head(segment: &Segment) -> io::Result<Begun> {
    Ok(Head::decode(&read_start(segment, HEAD_OCTETS)?))
}

/// Whether a segment without a head is none that was begun behind all others, and has groups that nobody else has.
fn check_never_begun(segment: &Segment, epoch: u64, last: u64) -> Result<(), JournalError> {
    let start = read_start(segment, HEAD_OCTETS + frame::HEAD_OCTETS)?;
    match start.get(HEAD_OCTETS..).and_then(frame::head) {
        Some((begun, first)) if begun > epoch && first > last => {
            Err(JournalError::Headless { first, segment: segment.name() })
        }
        _ => Ok(()),
    }
}

fn cut(segment: &Segment, wanted: u64) -> JournalError {
    JournalError::Cut { segment: segment.name(), octets: segment.octets(), wanted }
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
    let start = begun.iter().rposition(|(head, _)| head.first <= checkpoint.saturating_add(1));
    let chain = match start {
        Some(start) => &begun[start..],
        None => return Err(JournalError::Gap { index: checkpoint, first: first.first }),
    };
    match chain.iter().find(|(head, segment)| segment.octets() < head.octets.into()) {
        Some((head, segment)) => Err(cut(segment, head.octets.into())),
        None => Ok(chain),
    }
}

/// One segment being read.
struct Walk<'a> {
    segment: &'a [u8],
    head: &'a Head,
    /// The first number that lies in the next segment, or is not to be read.
    end: Option<u64>,
    path: &'a Path,
}

impl Walk<'_> {
    /// Reads the groups; the number of the last.
    fn run(
        &self,
        mut each: impl FnMut(u64, &[u8]) -> Result<(), JournalError>,
    ) -> Result<u64, JournalError> {
        let Head { epoch, salt, first, .. } = *self.head;
        let (mut at, mut sequence) = (HEAD_OCTETS, first);
        while self.end.is_none_or(|end| sequence < end) {
            let mark = Mark { epoch, sequence, salt };
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
        if self.end.is_some() || frame::is_followed(self.segment, at, mark) {
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
