//! What plug-ins keep for a session or for a message: a pointer for each, given back when its owner is gone.
//! Knows neither owner; whoever asks says for whom.

use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};

use stagepost_abi as abi;

use crate::registry::Registry;
use crate::release::{Giver, Release};

/// A slot for each plug-in of a registry. Dropping it gives all back. Any thread.
pub(crate) struct Slots {
    slots: Box<[Mutex<Slot>]>,
    /// Outlives what is given back, so that a release finds what its registration was given.
    registry: Arc<Registry>,
}

/// A pointer that a plug-in keeps.
struct Slot {
    value: *mut c_void,
    release: Option<Release>,
}

// SAFETY: the plug-in's pointer is only handed back to the plug-in, which the contract tells to expect it on any thread.
unsafe impl Send for Slot {}

impl Slot {
    const EMPTY: Self = Self { value: std::ptr::null_mut(), release: None };
}

impl Slots {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self { slots: (0..registry.plugins).map(|_| Mutex::new(Slot::EMPTY)).collect(), registry }
    }

    /// The pointer of a plug-in; NULL until it has given one.
    pub(crate) fn get(&self, plugin: usize) -> *mut c_void {
        self.slots.get(plugin).map_or(std::ptr::null_mut(), |slot| {
            slot.lock().unwrap_or_else(PoisonError::into_inner).value
        })
    }

    /// Keeps a pointer for the plug-in that gives it, in whose call this is, and releases the one before.
    pub(crate) fn set(&self, giver: Giver, value: *mut c_void, release: abi::EmRelease) {
        let Some(slot) = self.slots.get(giver.plugin.index) else {
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
}

impl Drop for Slots {
    fn drop(&mut self) {
        for slot in std::mem::take(&mut self.slots) {
            let slot = slot.into_inner().unwrap_or_else(PoisonError::into_inner);
            if let Some(release) = slot.release {
                release.give_back(self.registry.clone());
            }
        }
    }
}
