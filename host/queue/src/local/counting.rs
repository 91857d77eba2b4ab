//! Reading the counters of each place by itself, in their order.
//! Knows no delivery: there is a row for each place, and none of them is made here.

use std::ops::Bound;

use super::core::Core;
use super::key::{KeyRange, counted};
use super::record::CountRecord;
use crate::{Count, Counts, Destinations, StoreError};

/// The most places of one answer.
const PLACES_MAX: usize = 1000;

/// What waits at each place behind one, or from the first. Blocks.
pub(super) fn counts(
    core: &Core,
    after: Option<&Destinations>,
    max: usize,
) -> Result<Counts, StoreError> {
    let from = after
        .map_or(Bound::Unbounded, |after| Bound::Excluded(KeyRange::of_places(after).into_first()));
    let max = max.clamp(1, PLACES_MAX);
    let mut counts = Counts::default();
    for entry in core.engine()?.count.range((from, Bound::Unbounded)) {
        if counts.places.len() == max {
            counts.more = true;
            break;
        }
        let (key, row) = entry.into_inner().map_err(StoreError::unavailable)?;
        if let Some(place) = counted(&key) {
            counts.places.push((place, read(&row)?));
        }
    }
    Ok(counts)
}

fn read(row: &[u8]) -> Result<Count, StoreError> {
    let count = CountRecord::decode(row).map_err(StoreError::unavailable)?;
    Ok(Count { queued: count.queued, held: count.held, octets: count.octets })
}
