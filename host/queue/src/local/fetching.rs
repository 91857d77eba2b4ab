//! Finding what waits for somebody who has come for it: the blocking part of fetching.
//! Knows no due time and no limit of a destination: who comes takes it all, one after the other.

use std::ops::Bound;
use std::sync::PoisonError;

use super::core::Core;
use super::key::{DueKey, KeyRange};
use super::leasing::{Granted, grant};
use crate::{FetchPlace, FetchRequest, Fetched, StoreError};

/// So many index entries are looked at by one call at most.
const ENTRIES_MAX: usize = 4096;

/// What one call found.
pub(super) struct Found {
    pub(super) fetched: Fetched,
    /// Deliveries whose rows can't be read.
    pub(super) damaged: Vec<DueKey>,
}

/// Leases what waits. Blocks.
pub(super) fn fetch(core: &Core, request: &FetchRequest) -> Result<Found, StoreError> {
    let engine = core.engine()?;
    let _one = core.leasing.lock().unwrap_or_else(PoisonError::into_inner);
    let meant = KeyRange::of_places(&request.of);
    let from = meant.from(request.after.as_ref().map(|FetchPlace(last)| &**last));
    let mut found = Found { fetched: Fetched::default(), damaged: Vec::new() };
    let mut entries = 0;
    for entry in engine.destination.range((from, Bound::Unbounded)) {
        let key = entry.key().map_err(StoreError::unavailable)?;
        if !meant.has(&key) {
            return Ok(found);
        }
        entries += 1;
        if let Some(due) = DueKey::decode_at_place(&key)
            && !core.ready().is_leased(&due)
        {
            match grant(core, &engine, &due, request.duration)? {
                // That is for the scheduler, who tells its sender. Nobody saw this lease: all leasing waits for us.
                Granted::Lease(lease) if lease.give_up.is_some() => {
                    let mut ready = core.ready();
                    ready.begin_finish(lease.id, &lease.destination, lease.token);
                    ready.end_finish(lease.id, &lease.destination);
                }
                Granted::Lease(lease) => found.fetched.leases.push(lease),
                Granted::Damaged => found.damaged.push(due),
                Granted::Gone => {}
            }
        }
        if found.fetched.leases.len() >= request.max || entries >= ENTRIES_MAX {
            found.fetched.next = Some(FetchPlace(key.to_vec()));
            return Ok(found);
        }
    }
    Ok(found)
}
