//! Finding due deliveries and their messages: the blocking part of leasing.
//! Knows no policy: limits and durations come with the request.

use std::ops::Bound;
use std::sync::PoisonError;
use std::time::{Duration, Instant, SystemTime};

use super::core::Core;
use super::engine::Engine;
use super::key::{DueKey, Place, delivery_key};
use super::reading::read_small;
use super::ready::Cursor;
use super::record::{DeliveryRecord, from_ms, to_ms};
use super::rows::Entry;
use crate::{Lease, LeaseRequest, Leases, StoreError, StoredMessage};

/// So many index entries are looked at by one call at most.
const ENTRIES_MAX: usize = 4096;
/// So many messages are read along at most: the first attempt waits for all of them. What lanes let go one after the other,
/// as those before end, is fewer.
const MESSAGES_MAX: usize = 8;

/// What one call found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) leases: Leases,
    /// Deliveries whose rows can't be read.
    pub(super) damaged: Vec<DueKey>,
}

/// Leases what is due. Blocks.
pub(super) fn lease(core: &Core, request: &LeaseRequest) -> Result<Found, StoreError> {
    let engine = core.engine()?;
    let one = core.leasing.lock().unwrap_or_else(PoisonError::into_inner);
    let mut search = Search {
        core,
        engine: &engine,
        request,
        now_ms: to_ms(request.now),
        leases: Vec::new(),
        damaged: Vec::new(),
        entries: 0,
    };
    search.along_markers()?;
    search.along_tape()?;
    let next_due = if search.leases.len() >= request.max {
        Some(request.now)
    } else {
        match next_due(core, &engine) {
            // What was leased has to reach the caller.
            Err(_) if !search.leases.is_empty() => Some(request.now),
            next_due => next_due?,
        }
    };
    let Search { leases, damaged, .. } = search;
    drop(one);
    let leased = with_messages(leases, |lease| read_small(&engine, lease.id));
    Ok(Found { leases: Leases { leased, next_due }, damaged })
}

/// Adds the messages of the first leases that are wanted with theirs.
fn with_messages(
    leases: Vec<(Lease, bool)>,
    read: impl Fn(&Lease) -> Option<StoredMessage>,
) -> Vec<(Lease, Option<StoredMessage>)> {
    let mut left = MESSAGES_MAX;
    let with_message = |(lease, is_wanted): (Lease, bool)| {
        if !is_wanted || left == 0 {
            return (lease, None);
        }
        left -= 1;
        let message = read(&lease);
        (lease, message)
    };
    leases.into_iter().map(with_message).collect()
}

/// When the next lease can succeed. Blocks; by whoever holds [`Core::leasing`].
pub(super) fn next_due(core: &Core, engine: &Engine) -> Result<Option<SystemTime>, StoreError> {
    let (marker, ends) = {
        let ready = core.ready();
        (ready.earliest_marker_ms(), ready.earliest_end())
    };
    let next = match marker {
        Some(due_ms) => Some(due_ms),
        None => look_ahead(core, engine)?,
    };
    let next = next.map(from_ms);
    // A lease that ends by itself gives its delivery back.
    let ends = ends.map(|ends| SystemTime::now() + ends.saturating_duration_since(Instant::now()));
    Ok(match (next, ends) {
        (Some(next), Some(ends)) => Some(next.min(ends)),
        (next, ends) => next.or(ends),
    })
}

/// The earliest due time behind the cursor.
fn look_ahead(core: &Core, engine: &Engine) -> Result<Option<u64>, StoreError> {
    let (cursor, quiet_until_ms) = core.ready().begin_look();
    let first = engine.due.range((behind(&cursor, quiet_until_ms), Bound::Unbounded)).next();
    let first = first.map(Entry::key).transpose();
    let found = first.map(|key| key.and_then(|key| DueKey::decode(&key)).map(|key| key.due_ms));
    let mut ready = core.ready();
    // Not read is not quiet.
    ready.end_look(match &found {
        Ok(found) => found.unwrap_or(u64::MAX),
        Err(_) => quiet_until_ms,
    });
    found.map_err(StoreError::unavailable)
}

struct Search<'a> {
    core: &'a Core,
    engine: &'a Engine,
    request: &'a LeaseRequest,
    now_ms: u64,
    /// With whether its message is likely to be asked for.
    leases: Vec<(Lease, bool)>,
    damaged: Vec<DueKey>,
    entries: usize,
}

/// What became of a delivery that an index has.
pub(super) enum Granted {
    Lease(Lease),
    /// It was settled or moved since the index was read.
    Gone,
    /// Its row can't be read.
    Damaged,
}

/// Leases a delivery that is not leased.
pub(super) fn grant(
    core: &Core,
    engine: &Engine,
    key: &DueKey,
    duration: Duration,
) -> Result<Granted, StoreError> {
    let damaged = |error: &dyn std::fmt::Display| {
        tracing::error!(id = %key.id, destination = %key.destination, %error, "the row of a delivery can't be read; it is held");
        Ok(Granted::Damaged)
    };
    let row = match engine.delivery.get(delivery_key(key.id, &key.destination)) {
        Ok(Some(row)) => row,
        Ok(None) => return Ok(Granted::Gone),
        Err(error) if error.is_damage() => return damaged(&error),
        Err(error) => return Err(StoreError::unavailable(error)),
    };
    let record = match DeliveryRecord::decode(&row) {
        Ok(record) => record,
        Err(error) => return damaged(&error),
    };
    if record.due_ms != key.due_ms || !record.is_queued() {
        return Ok(Granted::Gone);
    }
    let queued = record.recipients.iter().filter(|recipient| !recipient.held);
    let token = core.ready().grant(key.clone(), Instant::now(), duration);
    Ok(Granted::Lease(Lease {
        id: key.id,
        destination: key.destination.clone(),
        recipients: queued.map(|recipient| recipient.index).collect(),
        attempts: record.attempts,
        due: from_ms(record.due_ms),
        received_at: from_ms(record.received_ms),
        route: record.route.map(Into::into),
        give_up: record.give_up.map(Into::into),
        token,
    }))
}

/// What to do after one index entry.
enum Next {
    GoOn,
    /// This entry was not taken: its lane has no room, or the call is at its end.
    NoRoom,
    AtEnd,
}

impl Search<'_> {
    /// Looks for what was passed over earlier.
    fn along_markers(&mut self) -> Result<(), StoreError> {
        let markers = {
            let mut ready = self.core.ready();
            ready.begin_request(&self.request.lanes);
            ready.expire(Instant::now());
            ready.take_markers(self.now_ms, self.request.max)
        };
        let mut markers = markers.into_iter();
        while let Some(marker) = markers.next() {
            if let Err(error) = self.along_marker(&marker) {
                let mut ready = self.core.ready();
                for marker in std::iter::once(marker).chain(markers) {
                    ready.mark(marker);
                }
                return Err(error).or_else(|error| self.unless_found(error));
            }
        }
        Ok(())
    }

    fn along_marker(&mut self, marker: &DueKey) -> Result<(), StoreError> {
        let place = Place::of_destination(&marker.destination);
        let mut end = place.as_bytes().to_vec();
        end.extend_from_slice(&(self.now_ms + 1).to_be_bytes());
        let engine = self.engine;
        for entry in engine.destination.range(marker.encode_at(&place)..end) {
            let key = entry.key().map_err(StoreError::unavailable)?;
            let Some(key) = DueKey::decode_at_place(&key) else {
                continue;
            };
            match self.visit(&key)? {
                Next::GoOn => {}
                Next::NoRoom | Next::AtEnd => {
                    self.core.ready().mark(key);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Reads on in the index by due time.
    fn along_tape(&mut self) -> Result<(), StoreError> {
        if self.is_full() {
            return Ok(());
        }
        let Some((from, quiet_until_ms)) = self.core.ready().begin_read(self.now_ms) else {
            return Ok(());
        };
        let end = (self.now_ms + 1).to_be_bytes().to_vec();
        let range = (behind(&from, quiet_until_ms), Bound::Excluded(end));
        let mut last = from;
        let engine = self.engine;
        for entry in engine.due.range(range) {
            let visited = entry.key().map_err(StoreError::unavailable).and_then(|key| {
                let Some(key) = DueKey::decode(&key) else {
                    return Ok((Next::GoOn, None));
                };
                // Behind a marker: it will be found from there.
                let passed_over = {
                    let mut ready = self.core.ready();
                    let marked = ready.is_marked(&key.destination);
                    if marked {
                        ready.mark(key.clone());
                    }
                    marked
                };
                let next = if passed_over { self.pass() } else { self.visit(&key)? };
                Ok((next, Some(key)))
            });
            match visited {
                Ok((Next::AtEnd, _)) => {
                    self.core.ready().end_read_at(last);
                    return Ok(());
                }
                Ok((next, Some(key))) => {
                    if matches!(next, Next::NoRoom) {
                        self.core.ready().mark(key.clone());
                    }
                    last = Cursor::Key(key);
                }
                Ok((_, None)) => {}
                Err(error) => {
                    self.core.ready().end_read_at(last);
                    return self.unless_found(error);
                }
            }
        }
        Ok(())
    }

    /// Leaves an entry to the marker before it.
    fn pass(&mut self) -> Next {
        if self.is_full() {
            return Next::AtEnd;
        }
        self.entries += 1;
        Next::GoOn
    }

    /// Leases a delivery if that is possible.
    fn visit(&mut self, key: &DueKey) -> Result<Next, StoreError> {
        if self.is_full() {
            return Ok(Next::AtEnd);
        }
        self.entries += 1;
        {
            let ready = self.core.ready();
            if ready.is_leased(key) {
                return Ok(Next::GoOn);
            }
            if !ready.has_room(&key.destination, self.now_ms) {
                return Ok(Next::NoRoom);
            }
        }
        match grant(self.core, self.engine, key, self.request.duration)? {
            Granted::Lease(lease) => {
                let is_wanted = self.core.ready().enter(&lease.destination);
                self.leases.push((lease, is_wanted));
            }
            Granted::Damaged => self.damaged.push(key.clone()),
            Granted::Gone => {}
        }
        Ok(Next::GoOn)
    }

    fn is_full(&self) -> bool {
        self.leases.len() >= self.request.max || self.entries >= ENTRIES_MAX
    }

    /// What was leased has to reach the caller; an error will come again.
    fn unless_found(&self, error: StoreError) -> Result<(), StoreError> {
        if self.leases.is_empty() { Err(error) } else { Ok(()) }
    }
}

/// Where reading goes on behind a cursor, given that nothing there is due before some time.
fn behind(cursor: &Cursor, quiet_until_ms: u64) -> Bound<Vec<u8>> {
    let quiet = quiet_until_ms.to_be_bytes().to_vec();
    match cursor {
        Cursor::Key(key) if key.due_ms >= quiet_until_ms => Bound::Excluded(key.encode()),
        Cursor::Time(due_ms) if *due_ms >= quiet_until_ms => {
            Bound::Included((due_ms + 1).to_be_bytes().to_vec())
        }
        _ => Bound::Included(quiet),
    }
}
