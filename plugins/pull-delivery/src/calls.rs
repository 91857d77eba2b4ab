//! All calls: which connections are called now, which calls are under way, and what came of the last ones.
//! Knows nothing of what is said in a call. One thread looks at the clock; each call has one of its own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use stagepost_sdk::{Host, Level};

use crate::arrivals::Arrivals;
use crate::call::{Call, CallError, Done};
use crate::connection::{Connection, Requested};
use crate::history::{self, Kept};
use crate::peer::{Last, Peer, Reason, Under};
use crate::scope::Scope;

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
    /// Mail was queued since it was last counted, some of it urgent, some the opposite.
    queued: AtomicBool,
    urgent: AtomicBool,
    low: AtomicBool,
}

#[derive(Default)]
struct Table {
    peers: BTreeMap<Box<str>, Peer>,
    /// What came of calls before the start is known.
    recalled: bool,
    /// The thread that looks at the clock, once there is one.
    looking: Option<JoinHandle<()>>,
    calling: Vec<JoinHandle<()>>,
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
            low: AtomicBool::new(false),
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
            let new = || Peer::new(document.clone());
            let peer = table.peers.entry(document.name.clone()).or_insert_with(new);
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
        self.0.look_again();
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
            self.0.look_again();
        }
    }

    /// Mail is about to be queued that is urgent.
    pub(crate) fn urgent(&self) {
        self.0.urgent.store(true, Ordering::Release);
    }

    /// Mail is about to be queued that is the opposite.
    pub(crate) fn low(&self) {
        self.0.low.store(true, Ordering::Release);
    }

    /// Whether mail for a destination that is not urgent is kept back from the call that hands it over.
    pub(crate) fn keeps_back(&self, destination: &Scope) -> bool {
        let now = Timestamp::now();
        let mut kept_back = false;
        for peer in self.0.table().peers.values_mut() {
            let Some(under) = &peer.calling else { continue };
            let times = under.document.low_priority.as_ref();
            if !under.reason.has_all_handed_over()
                && under.document.may_push(destination)
                && times.is_some_and(|times| !times.is_open(now))
            {
                peer.keep_back(now);
                kept_back = true;
            }
        }
        kept_back
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

    /// Has what waits for a destination handed over, where it is a connection's to do: the cheapest one's; its name. None: it is
    /// none's.
    pub(crate) fn route(&self, destination: &str) -> Option<Result<Box<str>, NoCall>> {
        let name = {
            let table = self.0.table();
            let hands_over = |peer: &&Peer| {
                let document = &peer.document;
                let same = |push: &Requested| push.to_string().eq_ignore_ascii_case(destination);
                document.pushes()
                    && (*document.name == *destination || document.push.iter().any(same))
            };
            let there = table.peers.values().filter(|peer| !peer.gone);
            there.filter(hands_over).min_by_key(|peer| peer.cost())?.document.name.clone()
        };
        Some(self.want(&name, Reason::Route, |_, _| Ok(())).map(|()| name))
    }

    /// The other side of a connection has asked for its mail.
    pub(crate) fn asked_for(&self, name: &str) {
        // One that is called already has it handed over by that call.
        let _ = self.want(name, Reason::Etrn, |_, _| Ok(()));
    }

    /// Looks at all connections, once what came of calls before the start is known.
    pub(crate) fn each(&self, look: impl FnMut(&Peer)) {
        let mut table = self.0.table();
        while !table.recalled && !self.0.is_stopped() {
            table = self.0.changed.wait(table).unwrap_or_else(PoisonError::into_inner);
        }
        table.peers.values().for_each(look);
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

impl Table {
    /// Whether no other connection hands the same mail over at a lower cost.
    fn is_cheapest(&self, document: &Connection) -> bool {
        let Some(own) = self.peers.get(&document.name) else { return false };
        let others = self.peers.values().filter(|peer| {
            let other = &peer.document;
            !peer.gone
                && other.is_scheduled()
                && other.pushes()
                && other.push.iter().any(|push| document.push.contains(push))
        });
        others.min_by_key(|peer| peer.cost()).is_none_or(|least| own.cost() <= least.cost())
    }
}

impl Inner {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Has the thread that looks at the clock look at what was said before this. Under the lock, with which that thread looks
    /// before it waits: so it either sees what was said or is woken.
    fn look_again(&self) {
        let _table = self.table();
        self.changed.notify_all();
    }

    /// Looks at the clock, and makes calls that are due, until it is to stop.
    fn look(self: Arc<Self>) {
        self.recall();
        let mut counted: Option<Instant> = None;
        let pause = |counted: Option<Instant>| {
            counted.map_or(Duration::ZERO, |at| COUNT_PAUSE.saturating_sub(at.elapsed()))
        };
        while !self.is_stopped() {
            if self.queued.load(Ordering::Acquire) && pause(counted).is_zero() {
                counted = Some(Instant::now());
                self.count();
            }
            let table = self.call_due(self.table());
            // Looked at under the lock: what is queued while mail is counted must not wait for the next look at the clock.
            let wait = match self.queued.load(Ordering::Acquire) {
                true => pause(counted),
                false => LOOK_AT_LEAST,
            };
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

    /// Learns what came of calls before the start, and forgets those of connections that there are no more.
    fn recall(&self) {
        let kept = history::recall(self.host);
        let now = Timestamp::now();
        let mut table = self.table();
        let mut unknown = Vec::new();
        for (name, Kept { last, failures }) in kept {
            match table.peers.get_mut(&*name) {
                Some(peer) => peer.recall(last, failures, now),
                None => unknown.push(name),
            }
        }
        table.recalled = true;
        drop(table);
        self.changed.notify_all();
        for name in unknown {
            history::forget(self.host, &name);
        }
    }

    /// Counts what waits, and has those called for whom it is too much.
    fn count(&self) {
        self.queued.store(false, Ordering::Release);
        let urgent = self.urgent.swap(false, Ordering::AcqRel);
        let low = self.low.swap(false, Ordering::AcqRel);
        let wanted: Vec<_> = {
            let table = self.table();
            let counts = |document: &Connection| {
                document.is_scheduled()
                    && document.pushes()
                    && (document.route_at_once > 0
                        || document.urgent_at_once
                        || document.low_priority.is_some())
            };
            let free = table.peers.values().filter(|peer| peer.calling.is_none() && !peer.gone);
            free.map(|peer| peer.document.clone()).filter(|document| counts(document)).collect()
        };
        for document in wanted {
            let waiting = self.waiting(&document);
            let mut table = self.table();
            let cheapest = table.is_cheapest(&document);
            let Some(peer) = table.peers.get_mut(&document.name) else { continue };
            let now = Timestamp::now();
            if low && waiting > 0 {
                peer.keep_back(now);
            }
            if let Some(reason) = peer.counted(waiting, urgent).filter(|_| cheapest) {
                peer.due = Some((now, reason));
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
            let under = peer.begin(reason, now);
            let inner = self.clone();
            let named = thread::Builder::new().name(format!("call {name}"));
            match named.spawn(move || inner.call(&under)) {
                Ok(thread) => table.calling.push(thread),
                Err(error) => {
                    self.host
                        .log(Level::Error, format_args!("connection {name}: no thread: {error}"));
                    if let Some(peer) = table.peers.get_mut(&name) {
                        peer.fail(now);
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
        if *reason == Reason::LowPriority && self.waiting(document) == 0 {
            if let Some(peer) = self.table().peers.get_mut(name) {
                peer.end_unmade(Timestamp::now());
            }
            self.changed.notify_all();
            return;
        }
        self.host.log(
            Level::Info,
            format_args!("connection {name}: calling {}:{}", document.host, document.port),
        );
        let (done, called) = Call {
            host: self.host,
            document,
            push_alone: *reason == Reason::Route,
            arrivals: &self.arrivals,
            progress,
            stopped: &|| self.is_stopped(),
        }
        .make();
        let (now, error) = (Timestamp::now(), called.as_ref().err().map(ToString::to_string));
        let last = Last { at: now, reason: *reason, error, done: done.clone() };
        let failures = match self.table().peers.get(name) {
            Some(peer) if last.error.is_some() => peer.failures.saturating_add(1),
            _ => 0,
        };
        // On disk before anybody sees it.
        history::keep(self.host, name, &Kept { last: last.clone(), failures });
        let mut table = self.table();
        if let Some(peer) = table.peers.get_mut(name) {
            peer.end(last, now);
            if peer.gone {
                table.peers.remove(name);
            }
        }
        drop(table);
        self.tell(name, &done, &called);
        // What came while the line was busy is looked at now.
        self.queued.store(true, Ordering::Release);
        self.look_again();
    }

    fn tell(&self, name: &str, done: &Done, called: &Result<(), CallError>) {
        let Done { pushed, delivered, received, promised, .. } = done;
        let promised = promised.map_or_else(String::new, |count| format!(" of {count}"));
        let done = format_args!("{delivered} of {pushed} handed over, {received}{promised} came");
        match called {
            Ok(()) => {
                self.host
                    .log(Level::Info, format_args!("connection {name}: the call is over: {done}"));
            }
            Err(error) => {
                let line = format_args!(
                    "connection {name}: the call came to nothing: {error}; before that {done}"
                );
                self.host.log(Level::Warn, line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rules::tests::made;

    /// The dearer one is for when the cheaper one has come to nothing often enough.
    #[test]
    fn of_several_with_the_same_mail_the_cheapest_is_called() {
        let connection = |name: &str, push: &str, cost: i64| json!({ "name": name, "host": "isp.test", "push": [push], "cost": cost });
        let rules = made(json!({ "connection": [
            connection("main", "#isp", 1), connection("spare", "#isp", 3), connection("other", "#b", 9),
        ]}))
        .unwrap();
        let mut table = Table::default();
        for document in &rules.connections {
            table.peers.insert(document.name.clone(), Peer::new(document.clone()));
        }
        let cheapest = |table: &Table| {
            let all = rules.connections.iter();
            all.map(|document| table.is_cheapest(document)).collect::<Vec<_>>()
        };
        for wanted in
            [[true, false, true], [true, false, true], [true, true, true], [false, true, true]]
        {
            assert_eq!(cheapest(&table), wanted);
            table.peers.get_mut("main").unwrap().fail(Timestamp::UNIX_EPOCH);
        }
        table.peers.get_mut("spare").unwrap().gone = true;
        assert!(cheapest(&table)[0], "there is no other");
    }
}
