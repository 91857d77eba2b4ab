//! How a group of changes lies in a segment: a head that says which group it is, then its octets.
//! Knows no file, and not what the octets mean.

/// A frame begins at a multiple of so many octets.
const ALIGNMENT: usize = 8;

/// The head of a frame: CRC-32C of the salt and of all that follows, octets behind the head, epoch of the segment, number of the
/// group.
pub(super) const HEAD_OCTETS: usize = 24;

/// Which group a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Counts how often segments were begun: what a segment held before it was begun anew has a lower one.
    pub(super) epoch: u64,
    /// Counts the groups.
    pub(super) sequence: u64,
    /// The salt of the segment: in the checksum of the frame, and nowhere in it.
    pub(super) salt: u32,
}

/// Fills in the head of a frame whose octets follow it, and pads the frame.
pub(super) fn seal(frame: &mut Vec<u8>, head: usize, mark: Mark) {
    let octets = (frame.len() - head - HEAD_OCTETS) as u32;
    frame[head + 4..head + 8].copy_from_slice(&octets.to_be_bytes());
    frame[head + 8..head + 16].copy_from_slice(&mark.epoch.to_be_bytes());
    frame[head + 16..head + 24].copy_from_slice(&mark.sequence.to_be_bytes());
    let crc = crc32c::crc32c_append(mark.salt, &frame[head + 4..]);
    frame[head..head + 4].copy_from_slice(&crc.to_be_bytes());
    let padded = head + padded(frame.len() - head);
    frame.resize(padded, 0);
}

/// What is found where a frame should begin.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// The frame: its octets, and where the next one begins.
    Whole { octets: &'a [u8], next: usize },
    /// The head of this frame, and not all of what it was written with.
    Broken,
    /// Anything else: zeros, or what the segment held before.
    Nothing,
}

/// Reads the frame of this mark that should begin at `at`.
pub(super) fn read(segment: &[u8], at: usize, wanted: Mark) -> Found<'_> {
    let Some(frame) = segment.get(at..) else {
        return Found::Nothing;
    };
    let Some((epoch, sequence)) = head(frame) else {
        return Found::Nothing;
    };
    if (epoch, sequence) != (wanted.epoch, wanted.sequence) {
        return Found::Nothing;
    }
    match whole(frame, wanted.salt) {
        Some(octets) => Found::Whole { octets, next: at + padded(HEAD_OCTETS + octets.len()) },
        None => Found::Broken,
    }
}

/// Whether a whole frame of the same epoch that is not older begins at `from` or behind it.
pub(super) fn is_followed(segment: &[u8], from: usize, oldest: Mark) -> bool {
    let from = from.next_multiple_of(ALIGNMENT);
    (from..segment.len()).step_by(ALIGNMENT).any(|at| {
        let frame = &segment[at..];
        let later = |(epoch, sequence)| epoch == oldest.epoch && sequence >= oldest.sequence;
        head(frame).is_some_and(later) && whole(frame, oldest.salt).is_some()
    })
}

/// The epoch and the number that a frame would have that begins here.
pub(super) fn head(frame: &[u8]) -> Option<(u64, u64)> {
    let long = |at: usize| frame.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes);
    Some((long(8)?, long(16)?))
}

/// The octets of a frame, if they are those it was written with.
fn whole(frame: &[u8], salt: u32) -> Option<&[u8]> {
    let word = |at: usize| frame.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    let end = HEAD_OCTETS.checked_add(word(4)? as usize)?;
    let checked = frame.get(4..end)?;
    (crc32c::crc32c_append(salt, checked) == word(0)?).then(|| &frame[HEAD_OCTETS..end])
}

fn padded(octets: usize) -> usize {
    octets.next_multiple_of(ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(octets: &[u8], mark: Mark) -> Vec<u8> {
        let mut frame = vec![0; HEAD_OCTETS];
        frame.extend_from_slice(octets);
        seal(&mut frame, 0, mark);
        frame
    }

    const MARK: Mark = Mark { epoch: 3, sequence: 7, salt: 0x1234_5678 };

    #[test]
    fn another_epoch_or_number_is_nothing_and_another_salt_broken() {
        let segment = frame(b"octets", MARK);
        assert_eq!(segment.len() % ALIGNMENT, 0);
        for other in
            [Mark { epoch: 2, ..MARK }, Mark { epoch: 4, ..MARK }, Mark { sequence: 8, ..MARK }]
        {
            assert_eq!(read(&segment, 0, other), Found::Nothing, "{other:?}");
        }
        assert_eq!(read(&segment, 0, Mark { salt: 0, ..MARK }), Found::Broken);
        assert_eq!(read(&[0; 64], 0, Mark { epoch: 0, sequence: 1, salt: 0 }), Found::Nothing);
        assert_eq!(read(&[], 0, MARK), Found::Nothing);
    }

    #[test]
    fn a_later_frame_is_found_behind_a_broken_one() {
        let next = Mark { sequence: 8, ..MARK };
        let old = Mark { epoch: 2, sequence: 9, ..MARK };
        let forged = Mark { sequence: 8, salt: 0, ..MARK };
        let mut segment = frame(b"broken", MARK);
        segment[HEAD_OCTETS] ^= 1;
        segment.extend(frame(b"old", old));
        segment.extend(frame(b"by somebody who does not know the salt", forged));
        assert_eq!(read(&segment, 0, MARK), Found::Broken);
        assert!(!is_followed(&segment, 0, MARK));
        segment.extend(frame(b"later", next));
        assert!(is_followed(&segment, 0, MARK));
        assert!(!is_followed(&segment, 0, Mark { sequence: 9, ..MARK }));
    }

    proptest! {
        #[test]
        fn frames_come_back_as_they_were(first in any::<Vec<u8>>(), second in any::<Vec<u8>>()) {
            let mut segment = frame(&first, MARK);
            let behind = segment.len();
            let next = Mark { sequence: 8, ..MARK };
            segment.extend(frame(&second, next));
            prop_assert_eq!(read(&segment, 0, MARK), Found::Whole { octets: &first, next: behind });
            let end = segment.len();
            prop_assert_eq!(read(&segment, behind, next), Found::Whole { octets: &second, next: end });
        }

        #[test]
        fn a_frame_cut_or_changed_anywhere_is_not_whole(octets in any::<Vec<u8>>(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let whole = frame(&octets, MARK);
            let behind = HEAD_OCTETS + octets.len();
            let at = at.index(behind);
            let is_whole = |octets: &[u8]| matches!(read(octets, 0, MARK), Found::Whole { .. });
            prop_assert!(!is_whole(&whole[..at]));
            let mut changed = whole.clone();
            changed[at] ^= 1 << bit;
            prop_assert!(!is_whole(&changed));
        }

        #[test]
        fn random_octets_are_read_without_panic(octets in any::<Vec<u8>>(), at in 0usize..64) {
            let mark = Mark { epoch: 0, sequence: 0, salt: 0 };
            let _ = (read(&octets, at, mark), is_followed(&octets, at, mark));
        }
    }
}
