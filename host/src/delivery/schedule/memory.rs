//! A store and a transport in memory, for tests of the scheduler under a clock that they drive.

use crate::config::Way;
use crate::delivery::asking::MessageThread;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use stagepost_queue::{
    BodyReader, BodySource, BoxFuture, Count, Counts, Destination, Destinations, FetchRequest,
    Fetched, Health, Incoming, Inspection, LaneName, Lease, LeaseRequest, Leases, Listed, Mark,
    MeantPage, Move, Moved, Origin, Page, QueueId, QueueIds, QueueName, Queues, Selection,
    Settlement, Step, Store, StoreError, StoredMessage, Summary,
};
use stagepost_smtp::{Address, BodyKind, Envelope, Recipient, ReversePath};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::{Pace, Retry};
use crate::delivery::lane::{Pauses, Standing};
use crate::delivery::lanes::{Road, Roads};
use crate::delivery::notification::{Noticed, Notifies, NotifyError, Told};
use crate::delivery::schedule::Schedules;
use crate::delivery::transport::{Carried, RecipientOutcome, Transports};

thread_local! {
    static START: (Instant, SystemTime) = (Instant::now(), SystemTime::now());
    static SET: Cell<i64> = const { Cell::new(0) };
}

/// The wall clock that goes with the runtime's paused one, as far as nobody has set it.
pub(super) fn now() -> SystemTime {
    let now = START.with(|(instant, system)| *system + instant.elapsed());
    let by = Duration::from_secs(SET.get().unsigned_abs());
    if SET.get() < 0 { now - by } else { now + by }
}

/// Sets the wall clock forward, or back, by so many seconds from what it would be.
pub(super) fn set_clock(by_seconds: i64) {
    SET.set(by_seconds);
}

/// What the tests use of a queue: deliveries with due times, leases, settlements.
#[derive(Default)]
pub(super) struct MemoryStore {
    waiting: Mutex<Vec<(SystemTime, Lease)>>,
    pub(super) settled: Mutex<Vec<(Lease, Settlement)>>,
    pub(super) broken: Mutex<bool>,
    pub(super) corrupt: Mutex<bool>,
    /// What messages have of MAIL, and each of their recipients of RCPT.
    parameters: Mutex<HashMap<QueueId, (String, String)>>,
    /// The header blocks of messages that have one.
    headers: Mutex<HashMap<QueueId, &'static str>>,
    ids: QueueIds,
    pub(super) wake: Arc<Notify>,
    /// When messages were received.
    came: Mutex<HashMap<QueueId, SystemTime>>,
    lanes: Mutex<Option<Arc<dyn stagepost_queue::Lanes>>>,
}

impl MemoryStore {
    /// Queues a delivery of a message that was received so long ago; it is due now.
    pub(super) fn add(&self, name: &str, recipients: u32, age: Duration) -> QueueId {
        let lease = Lease {
            id: self.ids.next(now()),
            destination: Destination::new(name).unwrap(),
            recipients: (0..recipients).collect(),
            attempts: 0,
            due: now(),
            received_at: now() - age,
            route: None,
            give_up: None,
            token: 0,
        };
        let id = lease.id;
        self.came.lock().unwrap().insert(id, lease.received_at);
        self.waiting.lock().unwrap().push((now(), lease));
        self.wake.notify_one();
        id
    }

    /// Queues a delivery that an operator gives up.
    pub(super) fn give_up(&self, name: &str, recipients: u32, reason: &str) -> QueueId {
        let id = self.add(name, recipients, Duration::ZERO);
        let mut waiting = self.waiting.lock().unwrap();
        let (_, lease) = waiting.iter_mut().find(|(_, lease)| lease.id == id).unwrap();
        lease.give_up = Some(reason.into());
        id
    }

    /// Queues a delivery of a message with such parameters of MAIL.
    pub(super) fn add_with(&self, name: &str, parameters: &str) -> QueueId {
        self.add_asking(name, parameters, "")
    }

    /// Queues a delivery of a message with such parameters of MAIL, to a recipient with such of RCPT.
    pub(super) fn add_asking(&self, name: &str, mail: &str, rcpt: &str) -> QueueId {
        let id = self.add(name, 1, Duration::ZERO);
        self.parameters.lock().unwrap().insert(id, (mail.to_owned(), rcpt.to_owned()));
        id
    }

    /// Queues a delivery of a message with such a header block.
    pub(super) fn add_headed(&self, name: &str, header: &'static str) -> QueueId {
        let id = self.add(name, 1, Duration::ZERO);
        self.headers.lock().unwrap().insert(id, header);
        id
    }

    /// Queues a delivery that an operator has put on a route.
    pub(super) fn reroute(&self, name: &str, route: &str) -> QueueId {
        let id = self.add(name, 1, Duration::ZERO);
        let mut waiting = self.waiting.lock().unwrap();
        let (_, lease) = waiting.iter_mut().find(|(_, lease)| lease.id == id).unwrap();
        lease.route = Some(route.into());
        id
    }

    /// What the last settlement of a message says of its recipients.
    pub(super) fn steps(&self, id: QueueId) -> Option<Vec<Step>> {
        let settled = self.settled.lock().unwrap();
        let last = settled.iter().rev().find(|(lease, _)| lease.id == id);
        last.map(|(_, settlement)| settlement.recipients.clone())
    }

    fn flush(&self, selection: &Selection, what: &Move) -> u64 {
        let (Selection::Destinations(Destinations::One(name)), Move::Flush { now }) =
            (selection, what)
        else {
            return 0;
        };
        let mut waiting = self.waiting.lock().unwrap();
        let meant =
            waiting.iter_mut().filter(|(due, lease)| lease.destination == *name && due > now);
        let count = meant.map(|(due, lease)| (*due, lease.due) = (*now, *now)).count() as u64;
        self.wake.notify_one();
        count
    }

    fn check(&self) -> Result<(), StoreError> {
        if *self.broken.lock().unwrap() { Err(StoreError::unavailable("broken")) } else { Ok(()) }
    }

    fn take_due(&self, request: &LeaseRequest) -> Result<Vec<Lease>, StoreError> {
        self.check()?;
        let mut waiting = self.waiting.lock().unwrap();
        let mut leases = Vec::new();
        *self.lanes.lock().unwrap() = Some(request.lanes.clone());
        waiting.sort_by_key(|(due, lease)| (*due, lease.id));
        waiting.retain(|(due, lease)| {
            let due = *due <= request.now && leases.len() < request.max;
            let room = due.then(|| request.lanes.room(&request.lanes.lane_of(&lease.destination)));
            let take = room.is_some_and(|room| room.free > 0 && room.from <= request.now);
            if take {
                request.lanes.enter(&lease.destination);
                leases.push(lease.clone());
            }
            !take
        });
        Ok(leases)
    }

    fn next_due(&self) -> Option<SystemTime> {
        let waiting = self.waiting.lock().unwrap();
        let lanes = self.lanes.lock().unwrap();
        let when = |(due, lease): &(SystemTime, Lease)| {
            let lanes = lanes.as_ref()?;
            let room = lanes.room(&lanes.lane_of(&lease.destination));
            (room.free > 0 || *due > now()).then_some((*due).max(room.from))
        };
        waiting.iter().filter_map(when).min()
    }

    fn settle(&self, lease: &Lease, settlement: Settlement) -> Result<(), StoreError> {
        self.check()?;
        let steps = lease.recipients.iter().zip(&settlement.recipients);
        let left: Vec<u32> = steps
            .filter(|(_, step)| matches!(step, Step::Retry(_)))
            .map(|(index, _)| *index)
            .collect();
        if !left.is_empty() {
            let again = Lease {
                recipients: left,
                attempts: lease.attempts + 1,
                due: settlement.next_due,
                ..lease.clone()
            };
            self.waiting.lock().unwrap().push((settlement.next_due, again));
            self.wake.notify_one();
        }
        self.settled.lock().unwrap().push((lease.clone(), settlement));
        Ok(())
    }

    fn message(&self, id: QueueId) -> Result<StoredMessage, StoreError> {
        if *self.corrupt.lock().unwrap() {
            return Err(StoreError::Corrupt { id, what: "damaged".into() });
        }
        let (parameters, asked) =
            self.parameters.lock().unwrap().get(&id).cloned().unwrap_or_default();
        let recipient = |index| Recipient {
            address: Address::parse(&format!("user{index}@a.example")).unwrap(),
            parameters: asked.as_str().into(),
        };
        Ok(StoredMessage {
            id,
            envelope: Envelope {
                sender: ReversePath::Address(Address::parse("s@s.example").unwrap()),
                parameters: parameters.as_str().into(),
                body: BodyKind::SevenBit,
                recipients: (0..9).map(recipient).collect(),
            },
            header: self.headers.lock().unwrap().get(&id).copied().unwrap_or_default().into(),
            body: Box::new(NoBody),
            received_at: self.came.lock().unwrap().get(&id).copied().unwrap_or_else(now),
            origin: Origin::default(),
        })
    }
}

/// A body without octets.
struct NoBody;

impl BodySource for NoBody {
    fn octets(&self) -> u64 {
        0
    }

    fn reader(&self) -> Box<dyn BodyReader> {
        Box::new(Self)
    }
}

impl BodyReader for NoBody {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<&[u8]>, StoreError>> {
        ready(Ok(None))
    }
}

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    Box::pin(std::future::ready(value))
}

impl Store for MemoryStore {
    fn receive(&self) -> Result<Box<dyn Incoming>, StoreError> {
        Err(StoreError::unavailable("the scheduler receives nothing"))
    }

    fn lease(&self, request: LeaseRequest) -> BoxFuture<'_, Result<Leases, StoreError>> {
        let leased = self.take_due(&request).map(|leases| Leases {
            leased: leases.into_iter().map(|lease| (lease, None)).collect(),
            next_due: self.next_due(),
        });
        ready(leased)
    }

    fn fetch(&self, _: FetchRequest) -> BoxFuture<'_, Result<Fetched, StoreError>> {
        ready(Err(StoreError::unavailable("nobody fetches from the scheduler")))
    }

    fn finish<'a>(
        &'a self,
        lease: &'a Lease,
        settlement: Settlement,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        ready(self.settle(lease, settlement))
    }

    fn read(&self, id: QueueId) -> BoxFuture<'_, Result<StoredMessage, StoreError>> {
        ready(self.message(id))
    }

    fn count(&self, _: Destinations) -> BoxFuture<'_, Result<Count, StoreError>> {
        ready(Ok(Count::default()))
    }

    fn counts(
        &self,
        _: Option<Destinations>,
        _: usize,
    ) -> BoxFuture<'_, Result<Counts, StoreError>> {
        ready(Ok(Counts::default()))
    }

    fn move_some(
        &self,
        selection: Selection,
        what: Move,
        _: Option<Mark>,
    ) -> BoxFuture<'_, Result<Moved, StoreError>> {
        ready(Ok(Moved { count: self.flush(&selection, &what), after: None }))
    }

    fn inspect(&self, id: QueueId) -> BoxFuture<'_, Result<Inspection, StoreError>> {
        let message = self.message(id).map(|message| Inspection {
            id,
            envelope: message.envelope,
            received_at: message.received_at,
            origin: message.origin,
            octets: 0,
            deliveries: Vec::new(),
            ledger: Some(Vec::new()),
        });
        ready(message)
    }

    fn list(
        &self,
        _: Listed,
        _: Option<QueueId>,
        _: usize,
    ) -> BoxFuture<'_, Result<Page, StoreError>> {
        ready(Ok(Page::default()))
    }

    fn list_meant(
        &self,
        _: Selection,
        _: bool,
        _: Option<Mark>,
        _: usize,
    ) -> BoxFuture<'_, Result<MeantPage, StoreError>> {
        ready(Ok(MeantPage::default()))
    }

    fn summary(&self) -> BoxFuture<'_, Result<Summary, StoreError>> {
        ready(Ok(Summary::default()))
    }

    fn wake(&self) -> &Notify {
        &self.wake
    }

    fn health(&self) -> Health {
        Health::Accepting
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        ready(())
    }
}

/// What a scripted attempt does.
#[derive(Clone)]
pub(super) enum Play {
    /// Answers for all recipients alike, after so many seconds.
    All(RecipientOutcome, u64),
    /// Answers for all recipients alike, after so many seconds, by servers that stand so.
    By(RecipientOutcome, u64, Standing),
    /// Answers for each.
    Each(Vec<RecipientOutcome>),
    Panic,
}

/// Plays attempts as scripted, by destination; the last play of a destination goes on for ever.
#[derive(Default)]
pub(super) struct Script {
    plays: Mutex<HashMap<String, Vec<Play>>>,
    running: Mutex<usize>,
    pub(super) running_max: Mutex<usize>,
    /// When an attempt began, and to where.
    pub(super) begun: Mutex<Vec<(SystemTime, String)>>,
}

impl Script {
    pub(super) fn with(self, name: &str, plays: &[Play]) -> Self {
        self.plays.lock().unwrap().insert(name.to_owned(), plays.to_vec());
        self
    }

    fn next(&self, name: &str) -> Play {
        let mut plays = self.plays.lock().unwrap();
        let plays = plays.get_mut(name).unwrap();
        if plays.len() > 1 { plays.remove(0) } else { plays[0].clone() }
    }
}

impl Transports for Script {
    fn next_hop(&self, _: &Lease) -> String {
        String::new()
    }

    fn deliver<'a>(
        &'a self,
        _: &'a StoredMessage,
        lease: &'a Lease,
        _: Option<&'a Way>,
    ) -> BoxFuture<'a, Carried> {
        Box::pin(async move {
            let (name, recipients) = (lease.destination.as_str(), &lease.recipients);
            self.begun.lock().unwrap().push((now(), name.to_owned()));
            {
                let mut running = self.running.lock().unwrap();
                *running += 1;
                let mut most = self.running_max.lock().unwrap();
                *most = (*most).max(*running);
            }
            let carried = match self.next(name) {
                Play::All(outcome, seconds) => {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    Carried::aside(vec![outcome; recipients.len()])
                }
                Play::By(outcome, seconds, standing) => {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    Carried { outcomes: vec![outcome; recipients.len()], standing }
                }
                Play::Each(outcomes) => Carried::aside(outcomes),
                Play::Panic => panic!("a transport that panics, as the script wants"),
            };
            *self.running.lock().unwrap() -= 1;
            carried
        })
    }
}

/// Notes who was to be told what.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) told: Mutex<Vec<(QueueId, Vec<Told>)>>,
    /// There is nobody to tell.
    pub(super) nobody: Mutex<bool>,
    /// Nobody can be told now.
    pub(super) broken: Mutex<bool>,
}

impl Notifies for Notes {
    fn notify<'a>(
        &'a self,
        message: &'a StoredMessage,
        told: &'a [Told],
        _: &'a mut MessageThread,
    ) -> BoxFuture<'a, Result<Noticed, NotifyError>> {
        if *self.broken.lock().unwrap() {
            return ready(Err(StoreError::unavailable("broken").into()));
        }
        self.told.lock().unwrap().push((message.id, told.to_vec()));
        let nobody = *self.nobody.lock().unwrap();
        ready(Ok(if nobody { Noticed::Nobody } else { Noticed::Sender(message.id) }))
    }
}

/// The same for every destination.
pub(super) struct Always(pub(super) Retry);

impl Schedules for Always {
    fn of(&self, _: &Lease) -> Retry {
        self.0.clone()
    }
}

/// For each destination a lane of its own, but one for all below `shared.example`.
#[derive(Debug)]
pub(super) struct Plain(pub(super) Pace);

impl Queues for Plain {
    fn queue_of(&self, _: &Destination) -> Option<QueueName> {
        None
    }
}

impl Roads for Plain {
    fn road(&self, route: Option<&str>, destination: &Destination) -> Road {
        let name = match route {
            Some(route) => route,
            None if destination.as_str().ends_with(".shared.example") => "shared.example",
            None => destination.as_str(),
        };
        let pauses = Pauses { first: Duration::from_secs(30), max: Duration::from_secs(600) };
        Road { lane: LaneName::new(name), pace: self.0, pauses: Some(pauses) }
    }

    fn named(&self) -> Vec<Road> {
        Vec::new()
    }
}

/// Shared by a test and its scheduler.
pub(super) struct Scene {
    pub(super) pace: Pace,
    pub(super) concurrency_max: u32,
    pub(super) store: Arc<MemoryStore>,
    pub(super) script: Arc<Script>,
    pub(super) notes: Arc<Notes>,
    pub(super) retry: Retry,
}

impl Scene {
    pub(super) fn new(script: Script) -> Self {
        let hour = Duration::from_secs(3600);
        let retry = Retry {
            first: Duration::from_secs(60),
            max: hour,
            factor: 2,
            expire: 120 * hour,
            notice: None,
            parked: false,
        };
        let (store, script, notes) = (Arc::default(), Arc::new(script), Arc::default());
        let pace = Pace { at_once_max: 2, ..Pace::default() };
        Self { pace, concurrency_max: 3, store, script, notes, retry }
    }
}
