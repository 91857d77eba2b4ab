//! What the extension manager keeps for one session: the plug-ins' slots, and whose call has not returned yet.
//! Knows no fact of the session: those come with each question.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use stagepost_smtp::Ask;
use tokio::time::Instant;

use crate::pending::Pending;
use crate::registry::{Registration, Registry};
use crate::slots::Slots;

/// One session's part. Dropped when the session is over and its last call has returned: first the slots, then the
/// registrations, so that a slot's release finds what its registration was given. Any thread.
pub(crate) struct Context {
    /// A slot for each plug-in, made when the first one is used.
    slots: OnceLock<Slots>,
    calls: Mutex<Calls>,
    /// The exchange that plug-ins were last waited for in, and for how long.
    waited: Mutex<(u64, Duration)>,
    /// The registry that the session began with.
    pub(crate) registry: Arc<Registry>,
}

/// Calls under way for this session.
#[derive(Default)]
struct Calls {
    /// A bit for each plug-in whose call has not returned.
    busy: u64,
    /// Calls owed to a plug-in that was busy when they were due.
    owed: Vec<(Arc<Registration>, Arc<Ask>)>,
    /// The pending call that the session waits for.
    waiting: Option<Arc<Pending>>,
    /// The client is gone.
    gone: bool,
}

impl Context {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self { slots: OnceLock::new(), calls: Mutex::default(), waited: Mutex::default(), registry }
    }

    /// What plug-ins keep for the session, if any does yet.
    pub(crate) fn slots(&self) -> Option<&Slots> {
        self.slots.get()
    }

    /// The same, to be written to.
    pub(crate) fn slots_made(&self) -> &Slots {
        self.slots.get_or_init(|| self.new_slots())
    }

    /// Room for what plug-ins keep.
    pub(crate) fn new_slots(&self) -> Slots {
        Slots::new(self.registry.clone())
    }

    /// When a chain that begins now would have begun if all chains of its exchange were one.
    pub(crate) fn chain_begun(&self, now: Instant, ask: &Ask) -> Instant {
        let (exchange, waited) = *self.waited.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = if exchange == ask.exchange { waited } else { Duration::ZERO };
        now.checked_sub(waited).unwrap_or(now)
    }

    /// Keeps how long plug-ins were waited for in an exchange, this chain and those before it.
    pub(crate) fn chain_ended(&self, begun: Instant, ask: &Ask) {
        let waited = (ask.exchange, begun.elapsed());
        *self.waited.lock().unwrap_or_else(PoisonError::into_inner) = waited;
    }

    /// Marks a plug-in as called, unless an earlier call of it is still out: [session-thread] means one at a time.
    pub(crate) fn begin(&self, plugin: usize) -> bool {
        let mut calls = self.calls();
        let bit = 1 << plugin;
        let free = calls.busy & bit == 0;
        calls.busy |= bit;
        free
    }

    /// Owes a call to a plug-in whose turn it is not over. False when it is over.
    pub(crate) fn owe(&self, registration: &Arc<Registration>, ask: &Arc<Ask>) -> bool {
        let mut calls = self.calls();
        let busy = calls.busy & (1 << registration.plugin.index) != 0;
        if busy {
            calls.owed.push((registration.clone(), ask.clone()));
        }
        busy
    }

    /// Takes the next call owed to a plug-in, or marks it as free.
    pub(crate) fn next_owed(&self, plugin: usize) -> Option<(Arc<Registration>, Arc<Ask>)> {
        let mut calls = self.calls();
        let place =
            calls.owed.iter().position(|(registration, _)| registration.plugin.index == plugin);
        if let Some(place) = place {
            return Some(calls.owed.remove(place));
        }
        calls.busy &= !(1 << plugin);
        None
    }

    /// Notes which pending call the session waits for. True when its client is gone.
    pub(crate) fn waits_for(&self, pending: Option<&Arc<Pending>>) -> bool {
        let mut calls = self.calls();
        let before = std::mem::replace(&mut calls.waiting, pending.cloned());
        let gone = calls.gone;
        drop(calls);
        // Outside the lock: it may be the last reference.
        drop(before);
        gone
    }

    /// Tells whoever is waited for that the client is gone.
    pub(crate) fn hang_up(&self) {
        let mut calls = self.calls();
        calls.gone = true;
        let waiting = calls.waiting.clone();
        drop(calls);
        if let Some(pending) = waiting {
            pending.hang_up();
        }
    }

    fn calls(&self) -> std::sync::MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
