//! Which deliveries are handed out, and where to look for more: the only state kept in memory alone.
//! Knows no database. It is forgotten at a restart, and then everything is looked at again.
//!
//! The index by due time is read once from its beginning to its end, like a tape: `cursor` is where reading goes on.
//! What had to be passed over lies behind the cursor; of each destination with such deliveries a *marker* keeps
//! the first, and they are found from there through the index by destination. The markers of a lane are kept together, so that
//! a full one with many destinations costs one look.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::key::DueKey;
use super::record::to_ms;
use crate::{Destination, LaneName, Lanes, QueueId, Room};

/// The state; behind a mutex that nobody holds during I/O.
#[derive(Default)]
pub(super) struct Ready {
    /// Everything that is due at this time or before, and comes before this key, was handed out or has a marker.
    cursor: Cursor,
    /// Nothing behind the cursor is due before this time. What a flush has moved away leaves a trail in the index that
    /// takes long to read over: it is read over once.
    quiet_until_ms: u64,
    markers: HashMap<Destination, DueKey>,
    /// The same by their lanes; no set is empty. Those that were set before anybody asked for leases have none yet.
    by_lane: HashMap<LaneName, BTreeSet<DueKey>>,
    leases: HashMap<(QueueId, Destination), Grant>,
    /// Who says how many may go where: whoever the last request named.
    lanes: Option<Arc<dyn Lanes>>,
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
    /// Its settlement is under way: it does not end by itself.
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
        self.by_lane.clear();
    }

    /// Learns of a delivery that became due at some time. It has to be readable already.
    pub(super) fn add(&mut self, key: DueKey) {
        if self.cursor.covers(&key) {
            self.mark(key);
        } else {
            self.quiet_until_ms = self.quiet_until_ms.min(key.due_ms);
        }
    }

    /// Begins a request with these lanes.
    pub(super) fn begin_request(&mut self, lanes: &Arc<dyn Lanes>) {
        let known = self.lanes.as_ref().is_some_and(|known| Arc::ptr_eq(known, lanes));
        if known {
            return;
        }
        self.lanes = Some(Arc::clone(lanes));
        self.by_lane.clear();
        for (destination, key) in &self.markers {
            self.by_lane.entry(lanes.lane_of(destination)).or_default().insert(key.clone());
        }
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

    /// Takes the markers of lanes that have room, the longest waiting first, `max` at most.
    pub(super) fn take_markers(&mut self, now_ms: u64, max: usize) -> Vec<DueKey> {
        let Some(lanes) = &self.lanes else { return Vec::new() };
        let mut found: Vec<DueKey> = Vec::new();
        for (lane, markers) in &self.by_lane {
            let room = lanes.room(lane);
            if to_ms(room.from) <= now_ms {
                let due = markers.iter().take_while(|key| key.due_ms <= now_ms);
                found.extend(due.take(room.free.min(max)).cloned());
            }
        }
        found.sort();
        found.truncate(max);
        for key in &found {
            self.unmark(key);
        }
        found
    }

    fn unmark(&mut self, key: &DueKey) {
        self.markers.remove(&key.destination);
        self.forget_in_lane(key);
    }

    fn forget_in_lane(&mut self, key: &DueKey) {
        let Some(lane) = self.lanes.as_ref().map(|lanes| lanes.lane_of(&key.destination)) else {
            return;
        };
        if let Some(markers) = self.by_lane.get_mut(&lane) {
            markers.remove(key);
            if markers.is_empty() {
                self.by_lane.remove(&lane);
            }
        }
    }

    /// Sets a marker, or moves it to the front.
    pub(super) fn mark(&mut self, key: DueKey) {
        match self.markers.get(&key.destination).cloned() {
            Some(first) if first <= key => return,
            Some(first) => self.forget_in_lane(&first),
            None => {}
        }
        if let Some(lanes) = &self.lanes {
            let lane = lanes.lane_of(&key.destination);
            self.by_lane.entry(lane).or_default().insert(key.clone());
        }
        self.markers.insert(key.destination.clone(), key);
    }

    pub(super) fn is_marked(&self, destination: &Destination) -> bool {
        self.markers.contains_key(destination)
    }

    /// Whether one lease more may be handed out for a destination.
    pub(super) fn has_room(&self, destination: &Destination, now_ms: u64) -> bool {
        let Some(lanes) = &self.lanes else { return false };
        let room = lanes.room(&lanes.lane_of(destination));
        room.free > 0 && to_ms(room.from) <= now_ms
    }

    /// Learns that a lease of a destination is handed out to whoever delivers; whether they are likely to ask for the message.
    pub(super) fn enter(&self, destination: &Destination) -> bool {
        self.lanes.as_ref().is_some_and(|lanes| lanes.enter(destination))
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
        let grant = Grant { token: self.tokens, ends, key: key.clone(), finishing: false };
        self.leases.insert((key.id, key.destination), grant);
        self.tokens
    }

    /// Begins to settle a lease; whether it is still valid.
    pub(super) fn begin_finish(
        &mut self,
        id: QueueId,
        destination: &Destination,
        token: u64,
    ) -> bool {
        let grant = self.leases.get_mut(&(id, destination.clone()));
        let Some(grant) = grant.filter(|grant| grant.token == token && !grant.finishing) else {
            return false;
        };
        grant.finishing = true;
        true
    }

    /// The settlement is durable: the lease is over.
    pub(super) fn end_finish(&mut self, id: QueueId, destination: &Destination) {
        self.leases.remove(&(id, destination.clone()));
    }

    /// The settlement failed: the lease goes on.
    pub(super) fn undo_finish(&mut self, id: QueueId, destination: &Destination) {
        if let Some(grant) = self.leases.get_mut(&(id, destination.clone())) {
            grant.finishing = false;
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
            // It may have been moved to any time meanwhile: look from the beginning.
            self.mark(DueKey { due_ms: 0, ..key });
        }
        let running = self.leases.values().filter(|grant| !grant.finishing);
        self.earliest_end = running.map(|grant| grant.ends).min();
    }

    /// When the earliest marker of a lane with room is due, or its lane has room.
    pub(super) fn earliest_marker_ms(&self) -> Option<u64> {
        let lanes = self.lanes.as_ref()?;
        let open = self.by_lane.iter().filter_map(|(lane, markers)| {
            let Room { free, from } = lanes.room(lane);
            let first = markers.first().filter(|_| free > 0)?;
            Some(first.due_ms.max(to_ms(from)))
        });
        open.min()
    }

    /// When the next lease ends by itself.
    pub(super) fn earliest_end(&self) -> Option<Instant> {
        self.earliest_end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::tests::lanes::Narrow;

    fn key(due_ms: u64, name: &str) -> DueKey {
        let id = QueueId::from_bytes([7; 16]);
        DueKey { due_ms, id, destination: Destination::new(name).unwrap() }
    }

    #[test]
    fn what_comes_while_the_tape_is_read_is_not_missed() {
        let mut ready = Ready::default();
        ready.begin_request(&(Narrow::lanes(1) as Arc<dyn Lanes>));
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
        // Whoever asks first finds what was marked before.
        ready.mark(key(30, "a.example"));
        let narrow = Narrow::lanes(1);
        ready.begin_request(&(narrow.clone() as Arc<dyn Lanes>));
        for due_ms in [10, 20] {
            ready.mark(key(due_ms, "a.example"));
        }
        ready.mark(key(5, "b.test"));
        ready.mark(key(11, "c.a.example"));
        assert_eq!(ready.take_markers(9, 9), [key(5, "b.test")]);
        ready.enter(&key(1, "a.example").destination);
        assert_eq!((ready.take_markers(99, 9), ready.earliest_marker_ms()), (vec![], None));
        narrow.leave(&key(1, "a.example").destination);
        assert_eq!(ready.earliest_marker_ms(), Some(10));
        // One lane, of which one may be had.
        assert_eq!(ready.take_markers(99, 9), [key(10, "a.example")]);
        assert_eq!(ready.take_markers(99, 9), [key(11, "c.a.example")]);
        assert_eq!((ready.take_markers(99, 9), ready.earliest_marker_ms()), (vec![], None));
    }

    #[test]
    fn a_lease_is_settled_once() {
        let mut ready = Ready::default();
        let DueKey { id, destination, .. } = key(1, "a");
        let token = ready.grant(key(1, "a"), Instant::now(), Duration::from_secs(60));
        assert!(!ready.begin_finish(id, &destination, token + 1));
        assert!(ready.begin_finish(id, &destination, token));
        assert!(!ready.begin_finish(id, &destination, token));
        ready.undo_finish(id, &destination);
        assert!(ready.begin_finish(id, &destination, token));
    }
}
