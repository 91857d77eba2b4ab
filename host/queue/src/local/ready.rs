//! Which deliveries are handed out, and where to look for more: the only state kept in memory alone.
//! Knows no database. It is forgotten at a restart, and then everything is looked at again.
//!
//! The index by due time is read once from its beginning to its end, like a tape: `cursor` is where reading goes on.
//! What had to be passed over lies behind the cursor; of each destination with such deliveries a *marker* keeps
//! the first, and they are found from there through the index by destination.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::key::DueKey;
use crate::{Destination, QueueId};

/// The state; behind a mutex that nobody holds during I/O.
#[derive(Default)]
pub(super) struct Ready {
    /// Everything that is due at this time or before, and comes before this key, was handed out or has a marker.
    cursor: Cursor,
    markers: HashMap<Destination, DueKey>,
    leases: HashMap<(QueueId, Destination), Grant>,
    /// Leases of each destination that are being worked on.
    busy: HashMap<Destination, usize>,
    /// The limit that the last request named.
    per_destination_max: usize,
    tokens: u64,
    /// No lease ends before.
    earliest_end: Option<Instant>,
}

/// How far the index by due time has been read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Cursor {
    /// Not at all.
    #[default]
    Start,
    /// Up to and with this key.
    Key(DueKey),
    /// Up to and with this time.
    Time(u64),
}

/// A lease as this side sees it.
struct Grant {
    token: u64,
    ends: Instant,
    key: DueKey,
    /// Its settlement is under way: it neither ends nor counts.
    finishing: bool,
}

impl Cursor {
    /// Whether a key lies behind.
    fn covers(&self, key: &DueKey) -> bool {
        match self {
            Self::Start => false,
            Self::Key(last) => key <= last,
            Self::Time(last_ms) => key.due_ms <= *last_ms,
        }
    }
}

impl Ready {
    /// Forgets how far was read: the rows may be others now. Leases stay.
    pub(super) fn rewind(&mut self) {
        self.cursor = Cursor::Start;
        self.markers.clear();
    }

    /// Learns of a delivery that became due at some time. It has to be readable already.
    pub(super) fn add(&mut self, key: DueKey) {
        if self.cursor.covers(&key) {
            self.mark(key);
        }
    }

    /// Begins a request with this limit.
    pub(super) fn begin_request(&mut self, per_destination_max: usize) {
        self.per_destination_max = per_destination_max;
    }

    /// Begins to read: says where the tape goes on. Whatever becomes readable meanwhile up to `now_ms` gets a marker.
    pub(super) fn begin_read(&mut self, now_ms: u64) -> Cursor {
        let from = self.cursor.clone();
        let ahead = match &from {
            Cursor::Start => true,
            Cursor::Key(last) => last.due_ms <= now_ms,
            Cursor::Time(last_ms) => *last_ms < now_ms,
        };
        if ahead {
            self.cursor = Cursor::Time(now_ms);
        }
        from
    }

    /// Ends a reading that stopped early, behind this key.
    pub(super) fn end_read_at(&mut self, cursor: Cursor) {
        self.cursor = cursor;
    }

    pub(super) fn cursor(&self) -> Cursor {
        self.cursor.clone()
    }

    /// Takes the markers of destinations that may have more leases, the longest waiting first, `max` at most.
    pub(super) fn take_markers(&mut self, now_ms: u64, max: usize) -> Vec<DueKey> {
        let mut found: Vec<DueKey> = self
            .markers
            .values()
            .filter(|key| key.due_ms <= now_ms && self.has_room(&key.destination))
            .cloned()
            .collect();
        found.sort();
        found.truncate(max);
        for key in &found {
            self.markers.remove(&key.destination);
        }
        found
    }

    /// Sets a marker, or moves it to the front.
    pub(super) fn mark(&mut self, key: DueKey) {
        match self.markers.get_mut(&key.destination) {
            Some(first) if *first <= key => {}
            Some(first) => *first = key,
            None => {
                self.markers.insert(key.destination.clone(), key);
            }
        }
    }

    pub(super) fn is_marked(&self, destination: &Destination) -> bool {
        self.markers.contains_key(destination)
    }

    /// Whether a destination may have one lease more.
    pub(super) fn has_room(&self, destination: &Destination) -> bool {
        self.busy.get(destination).copied().unwrap_or(0) < self.per_destination_max
    }

    pub(super) fn is_leased(&self, key: &DueKey) -> bool {
        self.leases.contains_key(&(key.id, key.destination.clone()))
    }

    /// Leases a delivery that is not leased; its token.
    pub(super) fn grant(&mut self, key: DueKey, now: Instant, duration: Duration) -> u64 {
        self.tokens += 1;
        // A duration beyond what the clock can hold never ends: half a century is as good.
        let half_a_century = Duration::from_secs(50 * 365 * 86_400);
        let ends = now + duration.min(half_a_century);
        self.earliest_end = Some(self.earliest_end.map_or(ends, |earliest| earliest.min(ends)));
        *self.busy.entry(key.destination.clone()).or_default() += 1;
        let grant = Grant { token: self.tokens, ends, key: key.clone(), finishing: false };
        self.leases.insert((key.id, key.destination), grant);
        self.tokens
    }

    /// Begins to settle a lease: from now on it does not count against its destination. `None` when it is no longer
    /// valid; otherwise whether the destination has more waiting.
    pub(super) fn begin_finish(
        &mut self,
        id: QueueId,
        destination: &Destination,
        token: u64,
    ) -> Option<bool> {
        let grant = self.leases.get_mut(&(id, destination.clone()))?;
        if grant.token != token || grant.finishing {
            return None;
        }
        grant.finishing = true;
        self.leave(destination);
        Some(self.is_marked(destination))
    }

    /// The settlement is durable: the lease is over.
    pub(super) fn end_finish(&mut self, id: QueueId, destination: &Destination) {
        self.leases.remove(&(id, destination.clone()));
    }

    /// The settlement failed: the lease goes on.
    pub(super) fn undo_finish(&mut self, id: QueueId, destination: &Destination) {
        if let Some(grant) = self.leases.get_mut(&(id, destination.clone())) {
            grant.finishing = false;
            *self.busy.entry(destination.clone()).or_default() += 1;
        }
    }

    /// Ends the leases whose time is over: their deliveries can be had again.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.earliest_end.is_none_or(|earliest| earliest > now) {
            return;
        }
        let ended: Vec<DueKey> = self
            .leases
            .values()
            .filter(|grant| !grant.finishing && grant.ends <= now)
            .map(|grant| grant.key.clone())
            .collect();
        for key in ended {
            self.leases.remove(&(key.id, key.destination.clone()));
            self.leave(&key.destination);
            // It may have been moved to any time meanwhile: look from the beginning.
            self.mark(DueKey { due_ms: 0, ..key });
        }
        let running = self.leases.values().filter(|grant| !grant.finishing);
        self.earliest_end = running.map(|grant| grant.ends).min();
    }

    /// The earliest marker of a destination that may have more leases.
    pub(super) fn earliest_marker_ms(&self) -> Option<u64> {
        let open = self.markers.values().filter(|key| self.has_room(&key.destination));
        open.map(|key| key.due_ms).min()
    }

    /// When the next lease ends by itself.
    pub(super) fn earliest_end(&self) -> Option<Instant> {
        self.earliest_end
    }

    fn leave(&mut self, destination: &Destination) {
        if let Some(count) = self.busy.get_mut(destination) {
            *count -= 1;
            if *count == 0 {
                self.busy.remove(destination);
            }
        }
    }
}
