//! What the extension manager keeps for one session: the plug-ins' slots, and whose call has not returned yet.
//! Knows no fact of the session: those come with each question.

use std::ffi::c_void;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use stagepost_abi as abi;
use stagepost_smtp::Ask;
use tokio::time::Instant;

use crate::pending::Pending;
use crate::registry::{Registration, Registry};
use crate::release::{Giver, Release};

/// One session's part. Dropped when the session is over and its last call has returned: first the slots, then the
/// registrations, so that a slot's release finds what its registration was given. Any thread.
pub(crate) struct Context {
    /// A slot for each plug-in, made when the first one is used.
    slots: OnceLock<Box<[Mutex<Slot>]>>,
    calls: Mutex<Calls>,
    /// The exchange that plug-ins were last waited for in, and for how long.
    waited: Mutex<(u64, Duration)>,
    /// The registry that the session began with.
    pub(crate) registry: Arc<Registry>,
}

/// A pointer that a plug-in keeps for a session.
struct Slot {
    value: *mut c_void,
    release: Option<Release>,
}

// SAFETY: the plug-in's pointer is only handed back to the plug-in, which the contract tells to expect it on any thread.
unsafe impl Send for Slot {}

impl Slot {
    const EMPTY: Self = Self { value: std::ptr::null_mut(), release: None };
}

impl Drop for Context {
    fn drop(&mut self) {
        for slot in self.slots.take().into_iter().flatten() {
            let slot = slot.into_inner().unwrap_or_else(PoisonError::into_inner);
            if let Some(release) = slot.release {
                release.give_back(self.registry.clone());
            }
        }
    }
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

    /// The pointer in a plug-in's slot.
    pub(crate) fn slot(&self, plugin: usize) -> *mut c_void {
        let slot = self.slots.get().and_then(|slots| slots.get(plugin));
        slot.map_or(std::ptr::null_mut(), |slot| {
            slot.lock().unwrap_or_else(PoisonError::into_inner).value
        })
    }

    /// Puts a pointer into the slot of the plug-in that gives it, in whose call this is, and releases the one before.
    pub(crate) fn set_slot(&self, giver: Giver, value: *mut c_void, release: abi::EmRelease) {
        let slots = self
            .slots
            .get_or_init(|| (0..self.registry.plugins).map(|_| Mutex::new(Slot::EMPTY)).collect());
        let Some(slot) = slots.get(giver.plugin.index) else {
            return;
        };
        let fresh = Slot { value, release: Release::new(giver, value, release) };
        let stale =
            std::mem::replace(&mut *slot.lock().unwrap_or_else(PoisonError::into_inner), fresh);
        // Outside the lock: the release is the plug-in's code and may ask for the slot.
        if let Some(release) = stale.release {
            release.call();
        }
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
