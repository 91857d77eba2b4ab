//! Guards what threads of one call share through the host: its slot, and the piece of a body that is lent.
//! Knows neither; what is guarded is named by the address of its handle.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Few threads of one call meet here, so a handful of locks keeps other calls apart.
static LOCKS: [Mutex<()>; 64] = [const { Mutex::new(()) }; 64];

/// Waits until no other thread is at what is named so. Nothing of the plug-in runs while it is held.
pub(crate) fn guard(address: usize) -> MutexGuard<'static, ()> {
    // Handles are aligned, so their lowest bits say nothing.
    let place = (address >> 4) % LOCKS.len();
    LOCKS[place].lock().unwrap_or_else(PoisonError::into_inner)
}
