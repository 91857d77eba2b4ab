//! All lanes: which delivery goes by which, a fair share of the workers for each, and how each of them stands.
//! Knows no store and no transport; each lane knows by itself how much may go.

mod entered;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use stagepost_queue::{Destination, Destinations, LaneName, Lease, Move, Queues, Room, Selection};
use tokio::time::Instant;

use super::lane::{Lane, Pauses};
use crate::config::Pace;

pub(super) use entered::{Ended, Entered, PutOff, Start};

/// So many lanes of which there is nothing to remember are kept.
const IDLE_MAX: usize = 10_000;
/// So many destinations of a lane are tried at once when its servers are back; mail for others when its own time comes.
const WAITING_MAX: usize = 1000;

/// By which lane mail goes, and how much may go by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Road {
    /// Its name.
    pub(crate) lane: LaneName,
    /// How much may go at a time.
    pub(crate) pace: Pace,
    /// How long its servers are left alone; none: there are no servers.
    pub(crate) pauses: Option<Pauses>,
}

/// Says by which lane mail goes.
pub(crate) trait Roads: Queues {
    /// The road of mail for a destination that is to go by a route; none: by that of the destination. The same each time.
    fn road(&self, route: Option<&str>, destination: &Destination) -> Road;

    /// The roads that the configuration names, sorted.
    fn named(&self) -> Vec<Road>;
}

/// The lanes. Any thread.
pub(crate) struct Lanes {
    roads: Arc<dyn Roads>,
    /// So many deliveries run at a time, all together.
    concurrency_max: u32,
    state: Mutex<State>,
    /// Is called when there may be room again.
    wake: Box<dyn Fn() + Send + Sync>,
    chance: RandomState,
    now: fn() -> SystemTime,
}

#[derive(Default)]
struct State {
    lanes: HashMap<LaneName, Known>,
    /// Deliveries that run.
    running: u32,
    /// Of these, attempts that find out whether a lane still leads to nobody.
    probes: u32,
    /// Some lease was not handed out for want of room.
    refused: bool,
    /// How often chance was asked.
    turns: u64,
    /// With so many lanes there is a look for those of which there is nothing to remember.
    sweep_at: usize,
    counts: LaneCounts,
}

/// How attempts have ended since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LaneCounts {
    /// The servers took the message or refused it for good.
    pub(crate) well: u64,
    /// They wanted less.
    pub(crate) busy: u64,
    /// None could be talked to, or be trusted.
    pub(crate) down: u64,
    /// Deliveries that were put off, since none could be talked to or be trusted shortly before.
    pub(crate) put_off: u64,
    /// Attempts of which nobody knows whether the servers have the message: it may come twice.
    pub(crate) in_doubt: u64,
}

/// A lane, and what is remembered for people.
struct Known {
    lane: Lane,
    last: Option<(SystemTime, Box<str>)>,
    /// Destinations with mail that could not go.
    waiting: BTreeSet<Destination>,
    /// Deliveries that were put off since the lane was last told of.
    put_off: u64,
}

/// How a lane stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LaneReport {
    /// Its name: where it leads.
    pub(crate) name: LaneName,
    /// Deliveries that run.
    pub(crate) running: u32,
    /// So many may.
    pub(crate) allowed: u32,
    /// Messages that may begin in a minute; none: as many as there are.
    pub(crate) per_minute: Option<u32>,
    /// Its servers could not be talked to, or not be trusted.
    pub(crate) failing: bool,
    /// Nothing begins before.
    pub(crate) next_attempt: Option<SystemTime>,
    /// The last that was found out about its servers, and when.
    pub(crate) last: Option<(SystemTime, Box<str>)>,
}

impl Lanes {
    /// Lanes to all that there is.
    ///
    /// - wake: is called when there may be room again.
    pub(crate) fn new(
        roads: Arc<dyn Roads>,
        concurrency_max: u32,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let (state, chance) = (Mutex::default(), RandomState::new());
        Self { roads, concurrency_max, state, wake: Box::new(wake), chance, now: SystemTime::now }
    }

    /// The same with another clock on the wall.
    #[cfg(test)]
    pub(super) fn at(self, now: fn() -> SystemTime) -> Self {
        Self { now, ..self }
    }

    /// Takes a delivery over that the store has let in.
    pub(super) fn entered(self: &Arc<Self>, lease: &Lease) -> Entered {
        let destination = lease.destination.clone();
        let counted = self.roads.road(None, &destination).lane;
        let road = self.roads.road(lease.route.as_deref(), &destination);
        let (lanes, probing, aside) = (self.clone(), false, false);
        Entered { lanes, counted, road, destination, probing, aside }
    }

    /// Learns of an order to try mail now: it is tried also by lanes to nobody.
    pub(crate) fn ordered(&self, selection: &Selection, what: &Move) {
        let now = Instant::now();
        let mut state = self.lock();
        match (what, selection) {
            (Move::Hold { .. } | Move::Remove | Move::GiveUp { .. }, _) => return,
            (
                Move::Flush { .. } | Move::Release { .. },
                Selection::Destinations(Destinations::One(one)),
            ) => state.reopen(&self.roads.road(None, one).lane, now),
            (
                Move::Flush { .. } | Move::Release { .. },
                Selection::Destinations(Destinations::Below(domain)),
            ) => {
                state.reopen(&self.roads.road(None, domain).lane, now);
                state.reopen_waiting(now, |it| is_below(it.as_str(), domain.as_str()));
            }
            (
                Move::Flush { .. } | Move::Release { .. },
                Selection::Destinations(Destinations::Queue(queue)),
            ) => state.reopen_waiting(now, |it| self.roads.queue_of(it).as_ref() == Some(queue)),
            // A message or a sender may have mail anywhere, and what is requeued goes anywhere.
            (Move::Flush { .. } | Move::Release { .. } | Move::Requeue { .. }, _) => {
                state.lanes.values_mut().for_each(|known| known.lane.reopen(now));
            }
        }
        drop(state);
        (self.wake)();
    }

    /// How the lane of a destination stands.
    pub(crate) fn report(&self, destination: &Destination) -> LaneReport {
        let road = self.roads.road(None, destination);
        let state = self.lock();
        match state.lanes.get(&road.lane) {
            Some(known) => self.shown(&road.lane, known),
            None => self.shown(&road.lane, &Known::new(&road)),
        }
    }

    /// How the lanes stand that the configuration names.
    pub(crate) fn named(&self) -> Vec<LaneReport> {
        let state = self.lock();
        let known = |road: &Road| match state.lanes.get(&road.lane) {
            Some(known) => self.shown(&road.lane, known),
            None => self.shown(&road.lane, &Known::new(road)),
        };
        self.roads.named().iter().map(known).collect()
    }

    /// How attempts have ended since the start, and how many lanes lead to nobody now.
    pub(crate) fn counts(&self) -> (LaneCounts, u64) {
        let state = self.lock();
        let failing = state.lanes.values().filter(|known| known.lane.is_failing()).count();
        (state.counts, failing as u64)
    }

    fn shown(&self, name: &LaneName, known: &Known) -> LaneReport {
        let now = Instant::now();
        let at = |until: Instant| (self.now)() + until.saturating_duration_since(now);
        LaneReport {
            name: name.clone(),
            running: known.lane.running(),
            allowed: known.lane.allowed(now),
            per_minute: known.lane.per_minute(),
            failing: known.lane.is_failing(),
            next_attempt: known.lane.next_attempt(now).map(at),
            last: known.last.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl stagepost_queue::Lanes for Lanes {
    fn lane_of(&self, destination: &Destination) -> LaneName {
        self.roads.road(None, destination).lane
    }

    fn room(&self, lane: &LaneName) -> Room {
        let now = Instant::now();
        let mut state = self.lock();
        let share = |running: u32| self.share(running, state.running);
        let (free, from) = match state.lanes.get(lane) {
            Some(known) => {
                let free = known.lane.free(now);
                (free.count.min(share(known.lane.running())), free.from)
            }
            // Made when its first delivery comes; one may always come.
            None => (1, None),
        };
        if free == 0 {
            state.refused = true;
        }
        let wait = from.map_or_else(Default::default, |from| from.saturating_duration_since(now));
        let from = if wait.is_zero() { SystemTime::UNIX_EPOCH } else { (self.now)() + wait };
        Room { free: free as usize, from }
    }

    fn enter(&self, destination: &Destination) -> bool {
        let (road, now) = (self.roads.road(None, destination), Instant::now());
        let mut state = self.lock();
        state.running += 1;
        let lane = &mut state.known(&road, now).lane;
        lane.enter(now);
        // Where it is shut, mail is only put off.
        lane.shut_until(now).is_none()
    }
}

impl Lanes {
    /// How many deliveries more a lane may have of those that are free, as long as others need them as much: of what is
    /// free it has no more than it leaves, but one where it has none.
    fn share(&self, running: u32, in_all: u32) -> u32 {
        let free = self.concurrency_max.saturating_sub(in_all);
        let share = free.saturating_sub(running).div_ceil(2);
        if running == 0 { share.max(1) } else { share }
    }

    /// About 1: what failed together does not come back together.
    fn spread(&self, state: &mut State) -> f64 {
        state.turns += 1;
        0.8 + 0.4 * (self.chance.hash_one(state.turns) % 1000) as f64 / 1000.0
    }
}

impl State {
    /// A lane, made when it is new.
    fn known(&mut self, road: &Road, now: Instant) -> &mut Known {
        if self.lanes.len() >= self.sweep_at.max(IDLE_MAX) && !self.lanes.contains_key(&road.lane) {
            self.lanes.retain(|_, known| !known.lane.is_idle(now));
            self.sweep_at = self.lanes.len() * 2;
        }
        self.lanes.entry(road.lane.clone()).or_insert_with(|| Known::new(road))
    }
}

impl State {
    fn reopen(&mut self, lane: &LaneName, now: Instant) {
        if let Some(known) = self.lanes.get_mut(lane) {
            known.lane.reopen(now);
        }
    }

    /// Has mail tried by lanes that some of it waits for. Of the others there is nothing to look through.
    fn reopen_waiting(&mut self, now: Instant, is_meant: impl Fn(&Destination) -> bool) {
        for known in self.lanes.values_mut().filter(|known| !known.lane.is_open()) {
            if known.waiting.iter().any(&is_meant) {
                known.lane.reopen(now);
            }
        }
    }
}

impl Known {
    fn new(road: &Road) -> Self {
        let lane = Lane::new(road.pace, road.pauses);
        Self { lane, last: None, waiting: BTreeSet::new(), put_off: 0 }
    }

    /// How many destinations wait, and how many deliveries were put off since this was asked last.
    fn told(&mut self) -> (usize, u64) {
        (self.waiting.len(), std::mem::take(&mut self.put_off))
    }

    /// Mail for a destination can't go now.
    fn wait(&mut self, destination: &Destination) {
        if self.waiting.len() < WAITING_MAX {
            self.waiting.insert(destination.clone());
        }
    }
}

fn is_below(name: &str, domain: &str) -> bool {
    let inner = name.strip_suffix(domain);
    inner.is_some_and(|inner| inner.is_empty() || inner.ends_with('.'))
}

impl fmt::Debug for Lanes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Lanes").field("lanes", &self.lock().lanes.len()).finish_non_exhaustive()
    }
}
