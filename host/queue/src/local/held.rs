//! Which messages have something on hold, in the order of their ids, found in the index that is in the order of destinations.
//! Knows keys alone; what is kept of a message is for others to read.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::key::{DESTINATIONS, held_place};
use super::rows::Rows;
use crate::{QueueId, StoreError};

/// After so many keys in a row that are of no use the place of the next one that may be is looked up: finding it costs about
/// as much as reading these.
const USELESS_MAX: usize = 64;

/// The first `max` messages behind one, or of all, that have a held recipient. Reads keys of each destination with held mail,
/// as many as it has of these messages and about [`USELESS_MAX`] more, and keeps no more than it returns. Blocks.
pub(super) fn first_held(
    held: &Rows,
    after: Option<QueueId>,
    max: usize,
) -> Result<BTreeSet<QueueId>, StoreError> {
    let mut found = BTreeSet::new();
    let mut useless = 0;
    let mut entries = held.range(DESTINATIONS..);
    while let Some(entry) = entries.next() {
        let key = entry.key().map_err(StoreError::unavailable)?;
        let Some((place, id, _)) = held_place(&key) else {
            continue;
        };
        let early = after.is_some_and(|after| id <= after);
        let late = found.len() >= max && found.last().is_none_or(|last| id > *last);
        if !early && !late {
            useless = 0;
            found.insert(id);
            if found.len() > max {
                found.pop_last();
            }
            continue;
        }
        useless += 1;
        if useless >= USELESS_MAX {
            useless = 0;
            // Ids grow within a destination.
            let passed = if early { after.unwrap_or(id) } else { QueueId::LAST };
            let passed = [place, &passed.to_bytes()].concat();
            entries = held.range((Bound::Excluded(passed), Bound::Unbounded));
        }
    }
    Ok(found)
}
