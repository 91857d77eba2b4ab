//! All calls: when each connection is called next, which calls are under way, and what came of the last one.
//! Knows nothing of what is said in a call. One thread looks at the clock; each call has one of its own.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use stagepost_sdk::{Host, Level};

use crate::arrivals::Arrivals;
use crate::call::{Call, CallError, Done, Progress};
use crate::connection::{Connection, Requested};

/// So many calls are made at once at most.
const CALLS_MAX: usize = 16;
/// The clock is looked at so often at least: it may have been set meanwhile.
const LOOK_AT_LEAST: Duration = Duration::from_secs(30);
/// What waits is counted again no sooner.
const COUNT_PAUSE: Duration = Duration::from_secs(1);

/// The calls. Any thread.
#[derive(Clone)]
pub(crate) struct Calls(Arc<Inner>);

struct Inner {
    host: Host,
    arrivals: Arrivals,
    table: Mutex<Table>,
    changed: Condvar,
    stopped: AtomicBool,
    /// Mail was queued since it was last counted, some of it urgent.
    queued: AtomicBool,
    urgent: AtomicBool,
}

#[derive(Default)]
struct Table {
    peers: BTreeMap<Box<str>, Peer>,
    /// The thread that looks at the clock, once there is one.
    looking: Option<JoinHandle<()>>,
    calling: Vec<JoinHandle<()>>,
}

/// A connection, over all its calls and documents.
pub(crate) struct Peer {
    pub(crate) document: Arc<Connection>,
    /// When it is called next, and why.
    pub(crate) due: Option<(Timestamp, Reason)>,
    /// The call under way, and the document that it goes by.
    pub(crate) calling: Option<Under>,
    pub(crate) last: Option<Last>,
    /// Calls in a row that came to nothing.
    pub(crate) failures: u32,
    /// How much waited when it was last counted.
    waiting: u64,
    /// The configuration has it no more.
    pub(crate) gone: bool,
}

/// A call under way.
#[derive(Clone)]
pub(crate) struct Under {
    pub(crate) progress: Arc<Progress>,
    pub(crate) since: Timestamp,
    pub(crate) reason: Reason,
    document: Arc<Connection>,
}

/// Why a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reason {
    Schedule,
    /// As much waits as should not.
    Pending,
    Urgent,
    /// The last one came to nothing.
    Retry,
    Operator,
    /// The operator wants mail handed over, and nothing else.
    Route,
    /// The other side has asked for its mail.
    Etrn,
}

/// What came of a call.
#[derive(Clone, Debug)]
pub(crate) struct Last {
    pub(crate) at: Timestamp,
    pub(crate) reason: Reason,
    /// Why it came to nothing; none: it did not.
    pub(crate) error: Option<String>,
    pub(crate) done: Done,
}

/// Why a call is not made that an operator wants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoCall {
    #[error("there is no connection {0:?}")]
    Unknown(String),
    #[error("the schedule has no call now{}; --now calls all the same", next(.0))]
    NotNow(Option<Timestamp>),
    #[error("a call is under way")]
    UnderWay,
    #[error("the server stops")]
    Stopping,
}

fn next(next: &Option<Timestamp>) -> String {
    next.map_or_else(
        || " or within a week".to_owned(),
        |next| format!(": the next one is at {next}"),
    )
}

impl Calls {
    pub(crate) fn new(host: Host) -> Self {
        Self(Arc::new(Inner {
            host,
            arrivals: Arrivals::default(),
            table: Mutex::default(),
            changed: Condvar::new(),
            stopped: AtomicBool::new(false),
            queued: AtomicBool::new(false),
            urgent: AtomicBool::new(false),
        }))
    }

    /// Goes by other documents from now on; a call under way ends under its own.
    pub(crate) fn configure(&self, documents: &[Arc<Connection>]) {
        let mut table = self.0.table();
        let now = Timestamp::now();
        for peer in table.peers.values_mut() {
            peer.gone = !documents.iter().any(|document| document.name == peer.document.name);
        }
        table.peers.retain(|_, peer| !peer.gone || peer.calling.is_some());
        for document in documents {
            let peer = table.peers.entry(document.name.clone()).or_insert_with(|| Peer {
                document: document.clone(),
                due: None,
                calling: None,
                last: None,
                failures: 0,
                waiting: 0,
                gone: false,
            });
            peer.document = document.clone();
            peer.plan(now);
        }
        drop(table);
        self.0.changed.notify_all();
    }

    /// Begins to look at the clock.
    pub(crate) fn start(&self) -> std::io::Result<()> {
        let inner = self.0.clone();
        let looking =
            thread::Builder::new().name("pull calls".to_owned()).spawn(move || inner.look())?;
        self.0.table().looking = Some(looking);
        Ok(())
    }

    /// Makes no call any more, and waits for those under way, which the host ends.
    pub(crate) fn stop(&self) {
        self.0.stopped.store(true, Ordering::Release);
        self.0.arrivals.wake();
        self.0.changed.notify_all();
        loop {
            let ended = {
                let mut table = self.0.table();
                table.looking.take().or_else(|| table.calling.pop())
            };
            match ended {
                // Its panic was told when it happened.
                Some(thread) => drop(thread.join()),
                None => return,
            }
        }
    }

    pub(crate) fn arrivals(&self) -> &Arrivals {
        &self.0.arrivals
    }

    /// Mail was queued: it may be as much as should not wait.
    pub(crate) fn queued(&self) {
        if !self.0.queued.swap(true, Ordering::AcqRel) {
            // Under the lock, so that it is not missed between a look and a wait.
            let _table = self.0.table();
            self.0.changed.notify_all();
        }
    }

    /// Urgent mail is about to be queued.
    pub(crate) fn urgent(&self) {
        self.0.urgent.store(true, Ordering::Release);
    }

    /// Has a connection called, for an operator.
    ///
    /// - now: whatever the schedule says.
    pub(crate) fn pull(&self, name: &str, now: bool) -> Result<(), NoCall> {
        self.want(name, Reason::Operator, |document, at| {
            if now || document.enabled && document.schedule.is_open(at) {
                return Ok(());
            }
            let next = document.enabled.then(|| document.schedule.next(at)).flatten();
            Err(NoCall::NotNow(next))
        })
    }

    /// Has what waits for a destination handed over, where it is a connection's to do; its name. None: it is none's.
    pub(crate) fn route(&self, destination: &str) -> Option<Result<Box<str>, NoCall>> {
        let name = {
            let table = self.0.table();
            let hands_over = |peer: &&Peer| {
                let document = &peer.document;
                let same = |push: &Requested| push.to_string().eq_ignore_ascii_case(destination);
                document.pushes()
                    && (*document.name == *destination || document.push.iter().any(same))
            };
            table.peers.values().filter(|peer| !peer.gone).find(hands_over)?.document.name.clone()
        };
        Some(self.want(&name, Reason::Route, |_, _| Ok(())).map(|()| name))
    }

    /// The other side of a connection has asked for its mail.
    pub(crate) fn asked_for(&self, name: &str) {
        // One that is called already has it handed over by that call.
        let _ = self.want(name, Reason::Etrn, |_, _| Ok(()));
    }

    /// Looks at all connections.
    pub(crate) fn each(&self, look: impl FnMut(&Peer)) {
        self.0.table().peers.values().for_each(look);
    }

    /// The documents by which mail is being handed over.
    pub(crate) fn pushing(&self) -> Vec<Arc<Connection>> {
        let table = self.0.table();
        let under = table.peers.values().filter_map(|peer| peer.calling.as_ref());
        under.map(|under| under.document.clone()).collect()
    }

    fn want(
        &self,
        name: &str,
        reason: Reason,
        check: impl FnOnce(&Connection, Timestamp) -> Result<(), NoCall>,
    ) -> Result<(), NoCall> {
        if self.0.is_stopped() {
            return Err(NoCall::Stopping);
        }
        let mut table = self.0.table();
        let unknown = || NoCall::Unknown(name.to_owned());
        let peer = table.peers.get_mut(name).filter(|peer| !peer.gone).ok_or_else(unknown)?;
        if peer.calling.is_some() {
            return Err(NoCall::UnderWay);
        }
        let now = Timestamp::now();
        check(&peer.document, now)?;
        peer.due = Some((now, reason));
        drop(table);
        self.0.changed.notify_all();
        Ok(())
    }
}

impl Peer {
    /// Decides when it is called next.
    fn plan(&mut self, now: Timestamp) {
        if let Some((_, Reason::Schedule | Reason::Retry)) | None = self.due {
            self.due = self.planned(now);
        }
    }

    fn planned(&self, now: Timestamp) -> Option<(Timestamp, Reason)> {
        let document = &self.document;
        if !document.is_scheduled() {
            return None;
        }
        let later = |at: Timestamp, by: Duration| {
            SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(at)
        };
        let jitter = part_of(document.jitter);
        if self.failures > 0 {
            let retry = later(now, self.back_off() + jitter);
            if document.schedule.is_open(retry) {
                return Some((retry, Reason::Retry));
            }
        }
        // Behind the last window, too: a part of the jitter is always less than an interval's worth of waiting.
        let next = document.schedule.next(now)?;
        Some((later(next, jitter), Reason::Schedule))
    }

    /// Twice as long after each call that came to nothing, up to the most.
    fn back_off(&self) -> Duration {
        let times = 1_u32.checked_shl(self.failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.document.retry_first.saturating_mul(times).min(self.document.retry_max)
    }
}

/// Some part of a time, another one each time.
fn part_of(whole: Duration) -> Duration {
    let chance = RandomState::new().hash_one(0_u8) % 1024;
    whole.mul_f64(chance as f64 / 1024.0)
}

impl Inner {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Looks at the clock, and makes calls that are due, until it is to stop.
    fn look(self: Arc<Self>) {
        let mut counted = None;
        while !self.is_stopped() {
            let mut wait = LOOK_AT_LEAST;
            if self.queued.load(Ordering::Acquire) {
                let since = counted.map_or(COUNT_PAUSE, |at: std::time::Instant| at.elapsed());
                if since >= COUNT_PAUSE {
                    counted = Some(std::time::Instant::now());
                    self.count();
                } else {
                    wait = COUNT_PAUSE - since;
                }
            }
            let table = self.call_due(self.table());
            let now = Timestamp::now();
            let free = table.peers.values().filter(|peer| peer.calling.is_none());
            let next = free.filter_map(|peer| peer.due).map(|(at, _)| at).filter(|at| *at > now);
            let next = next.min().map(|at| Duration::try_from(at.duration_since(now)));
            let wait = next.and_then(Result::ok).map_or(wait, |until| until.min(wait));
            if !self.is_stopped() {
                let waited = self.changed.wait_timeout(table, wait);
                drop(waited.unwrap_or_else(PoisonError::into_inner));
            }
        }
    }

    /// Counts what waits, and has those called for whom it is too much.
    fn count(&self) {
        self.queued.store(false, Ordering::Release);
        let urgent = self.urgent.swap(false, Ordering::AcqRel);
        let wanted: Vec<_> = {
            let table = self.table();
            let counts = |document: &Connection| {
                document.is_scheduled()
                    && document.pushes()
                    && (document.route_at_once > 0 || document.urgent_at_once)
            };
            let free = table.peers.values().filter(|peer| peer.calling.is_none() && !peer.gone);
            free.map(|peer| peer.document.clone()).filter(|document| counts(document)).collect()
        };
        for document in wanted {
            let waiting = self.waiting(&document);
            let mut table = self.table();
            let Some(peer) = table.peers.get_mut(&document.name) else { continue };
            let more = waiting > std::mem::replace(&mut peer.waiting, waiting);
            let due = if document.route_at_once > 0 && waiting >= document.route_at_once && more {
                Some(Reason::Pending)
            } else {
                (urgent && document.urgent_at_once && more).then_some(Reason::Urgent)
            };
            // One that came to nothing is not called again for each further message.
            if let Some(reason) = due.filter(|_| peer.calling.is_none() && peer.failures == 0) {
                peer.due = Some((Timestamp::now(), reason));
            }
        }
    }

    fn waiting(&self, document: &Connection) -> u64 {
        let count = |of: &Requested| match self.host.queue().count_wait(&of.to_string()) {
            Ok(count) => count.queued,
            Err(refusal) => {
                let name = &document.name;
                let line = format_args!("connection {name}: mail can't be counted: {refusal}");
                self.host.log(Level::Error, line);
                0
            }
        };
        document.push.iter().map(count).sum()
    }

    /// Begins the calls that are due, as far as there may be more, and one to each server.
    fn call_due<'t>(self: &Arc<Self>, mut table: MutexGuard<'t, Table>) -> MutexGuard<'t, Table> {
        let now = Timestamp::now();
        table.calling.retain(|thread| !thread.is_finished());
        let mut busy: Vec<_> = (table.peers.values())
            .filter_map(|peer| peer.calling.as_ref())
            .map(|under| under.document.peer())
            .collect();
        let due: Vec<_> = (table.peers.iter())
            .filter(|(_, peer)| peer.calling.is_none() && peer.due.is_some_and(|(at, _)| at <= now))
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            let Some(peer) = table.peers.get_mut(&name) else { continue };
            if busy.len() >= CALLS_MAX || busy.contains(&peer.document.peer()) {
                continue;
            }
            let Some((_, reason)) = peer.due.take() else { continue };
            busy.push(peer.document.peer());
            let (progress, document) = (Arc::default(), peer.document.clone());
            let under = Under { progress, since: now, reason, document };
            peer.calling = Some(under.clone());
            let inner = self.clone();
            let named = thread::Builder::new().name(format!("call {name}"));
            match named.spawn(move || inner.call(&under)) {
                Ok(thread) => table.calling.push(thread),
                Err(error) => {
                    self.host
                        .log(Level::Error, format_args!("connection {name}: no thread: {error}"));
                    if let Some(peer) = table.peers.get_mut(&name) {
                        (peer.calling, peer.failures) = (None, peer.failures + 1);
                        peer.plan(now);
                    }
                }
            }
        }
        table
    }

    /// Makes a call, and keeps what came of it.
    fn call(self: Arc<Self>, under: &Under) {
        let Under { progress, document, reason, .. } = under;
        let name = &document.name;
        self.host.log(
            Level::Info,
            format_args!("connection {name}: calling {}:{}", document.host, document.port),
        );
        let called = Call {
            host: self.host,
            document,
            push_alone: *reason == Reason::Route,
            arrivals: &self.arrivals,
            progress,
            stopped: &|| self.is_stopped(),
        }
        .make();
        self.tell(name, &called);
        let now = Timestamp::now();
        let (error, done) = match called {
            Ok(done) => (None, done),
            Err(error) => (Some(error.to_string()), progress.done()),
        };
        let mut table = self.table();
        if let Some(peer) = table.peers.get_mut(name) {
            peer.failures = if error.is_some() { peer.failures.saturating_add(1) } else { 0 };
            peer.last = Some(Last { at: now, reason: *reason, error, done });
            peer.calling = None;
            peer.waiting = 0;
            peer.plan(now);
            if peer.gone {
                table.peers.remove(name);
            }
        }
        drop(table);
        // What came while the line was busy is looked at now.
        self.queued.store(true, Ordering::Release);
        self.changed.notify_all();
    }

    fn tell(&self, name: &str, called: &Result<Done, CallError>) {
        match called {
            Ok(Done { pushed, delivered, received, promised, .. }) => {
                let promised = promised.map_or_else(String::new, |count| format!(" of {count}"));
                let line = format_args!(
                    "connection {name}: the call is over: {delivered} of {pushed} handed over, {received}{promised} came"
                );
                self.host.log(Level::Info, line);
            }
            Err(error) => {
                self.host.log(
                    Level::Warn,
                    format_args!("connection {name}: the call came to nothing: {error}"),
                );
            }
        }
    }
}
