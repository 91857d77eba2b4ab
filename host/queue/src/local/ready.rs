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
    /// Nothing behind the cursor is due before this time. What a flush has moved away leaves a trail in the index that
    /// takes long to read over: it is read over once.
    quiet_until_ms: u64,
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
        self.quiet_until_ms = 0;
        self.markers.clear();
    }

    /// Learns of a delivery that became due at some time. It has to be readable already.
    pub(super) fn add(&mut self, key: DueKey) {
        if self.cursor.covers(&key) {
            self.mark(key);
        } else {
            self.quiet_until_ms = self.quiet_until_ms.min(key.due_ms);
        }
    }

    /// Begins a request with this limit.
    pub(super) fn begin_request(&mut self, per_destination_max: usize) {
        self.per_destination_max = per_destination_max;
    }

    /// Begins to read: says where the tape goes on, if there is anything to read. Whatever becomes readable meanwhile
    /// up to `now_ms` gets a marker.
    pub(super) fn begin_read(&mut self, now_ms: u64) -> Option<(Cursor, u64)> {
        let read_before = match &self.cursor {
            Cursor::Start => false,
            Cursor::Key(last) => last.due_ms > now_ms,
            Cursor::Time(last_ms) => *last_ms >= now_ms,
        };
        if read_before || self.quiet_until_ms > now_ms {
            return None;
        }
        let from = std::mem::replace(&mut self.cursor, Cursor::Time(now_ms));
        Some((from, self.quiet_until_ms))
    }

    /// Ends a reading that stopped early, behind this key.
    pub(super) fn end_read_at(&mut self, cursor: Cursor) {
        self.cursor = cursor;
    }

    /// Begins to look for the next due time: says where. Whatever becomes readable meanwhile is not missed.
    pub(super) fn begin_look(&mut self) -> (Cursor, u64) {
        let quiet_until_ms = std::mem::replace(&mut self.quiet_until_ms, u64::MAX);
        (self.cursor.clone(), quiet_until_ms)
    }

    /// Ends a look that found this time, or none.
    pub(super) fn end_look(&mut self, found_ms: u64) {
        self.quiet_until_ms = self.quiet_until_ms.min(found_ms);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn key(due_ms: u64, name: &str) -> DueKey {
        let id = QueueId::from_bytes([7; 16]);
        DueKey { due_ms, id, destination: Destination::new(name).unwrap() }
    }

    #[test]
    fn what_comes_while_the_tape_is_read_is_not_missed() {
        let mut ready = Ready::default();
        ready.begin_request(1);
        assert_eq!(ready.begin_read(100), Some((Cursor::Start, 0)));
        ready.add(key(99, "a"));
        ready.add(key(101, "b"));
        ready.end_read_at(Cursor::Key(key(50, "c")));
        assert_eq!(ready.earliest_marker_ms(), Some(99));
        assert_eq!(ready.take_markers(100, 9), [key(99, "a")]);
        assert_eq!(ready.begin_read(101), Some((Cursor::Key(key(50, "c")), 0)));
    }

    #[test]
    fn a_clock_set_back_reads_nothing_twice() {
        let mut ready = Ready::default();
        assert!(ready.begin_read(100).is_some());
        assert_eq!(ready.begin_read(100), None);
        assert_eq!(ready.begin_read(50), None);
        ready.add(key(60, "a"));
        assert!(ready.is_marked(&key(0, "a").destination));
        assert_eq!(ready.begin_read(101), Some((Cursor::Time(100), 0)));
    }

    #[test]
    fn a_quiet_stretch_is_looked_over_once() {
        let mut ready = Ready::default();
        assert!(ready.begin_read(100).is_some());
        assert_eq!(ready.begin_look(), (Cursor::Time(100), 0));
        ready.end_look(1000);
        assert_eq!(ready.begin_read(999), None);
        assert_eq!(ready.begin_look(), (Cursor::Time(100), 1000));
        // Whatever comes during a look, and before, counts.
        ready.add(key(500, "a"));
        ready.end_look(1000);
        assert_eq!(ready.begin_read(499), None);
        assert_eq!(ready.begin_read(500), Some((Cursor::Time(100), 500)));
    }

    #[test]
    fn markers_keep_the_first_and_wait_for_room() {
        let mut ready = Ready::default();
        ready.begin_request(1);
        for due_ms in [30, 10, 20] {
            ready.mark(key(due_ms, "a"));
        }
        ready.mark(key(5, "b"));
        assert_eq!(ready.take_markers(9, 9), [key(5, "b")]);
        let token = ready.grant(key(1, "a"), Instant::now(), Duration::from_secs(60));
        assert_eq!((ready.take_markers(99, 9), ready.earliest_marker_ms()), (vec![], None));
        let (id, destination) = (key(1, "a").id, key(1, "a").destination);
        assert_eq!(ready.begin_finish(id, &destination, token + 1), None);
        assert_eq!(ready.begin_finish(id, &destination, token), Some(true));
        assert_eq!(ready.take_markers(99, 9), [key(10, "a")]);
    }
}
