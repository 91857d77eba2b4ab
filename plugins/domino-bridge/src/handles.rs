//! What add-ins have handles of: notes, databases, views and streams.
//! Knows no pointer; memory by handles is in `api::memory`. No two things of the process have the same handle at once.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::note::Note;

/// The most things of one kind at once: an add-in that never closes any is refused more.
pub(crate) const HANDLES_MAX: usize = 100_000;

static NEXT: AtomicU32 = AtomicU32::new(1);

/// A number that names nothing yet.
pub(crate) fn fresh(taken: impl Fn(u32) -> bool) -> u32 {
    loop {
        let handle = NEXT.fetch_add(1, Ordering::Relaxed);
        if handle != 0 && !taken(handle) {
            return handle;
        }
    }
}

/// Things of one kind by handle.
pub(crate) struct Table<T>(Mutex<HashMap<u32, T>>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Table<T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<u32, T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a thing. None: there are too many.
    pub(crate) fn add(&self, thing: T) -> Option<u32> {
        let mut things = self.lock();
        if things.len() >= HANDLES_MAX {
            return None;
        }
        let handle = fresh(|handle| things.contains_key(&handle));
        things.insert(handle, thing);
        Some(handle)
    }

    /// Uses a thing, if there is one of this handle.
    pub(crate) fn with<R>(&self, handle: u32, using: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.lock().get_mut(&handle).map(using)
    }

    pub(crate) fn take(&self, handle: u32) -> Option<T> {
        self.lock().remove(&handle)
    }
}

/// A stream of a message's octets.
pub(crate) struct Stream {
    pub(crate) octets: Vec<u8>,
    pub(crate) place: usize,
    pub(crate) writes: bool,
}

/// All but memory.
#[derive(Default)]
pub(crate) struct Handles {
    pub(crate) notes: Table<Note>,
    pub(crate) databases: Table<()>,
    /// Views, each with the handle that is left of it in 16 bits.
    collections: Mutex<HashSet<u16>>,
    pub(crate) streams: Table<Stream>,
    /// Blocks of memory that were made for values of a note, by its handle.
    pub(crate) value_blocks: Mutex<HashMap<u32, Vec<u32>>>,
}

impl Handles {
    fn collections(&self) -> MutexGuard<'_, HashSet<u16>> {
        self.collections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn open_collection(&self) -> Option<u16> {
        let mut open = self.collections();
        let free = (1..=u16::MAX).find(|handle| !open.contains(handle))?;
        open.insert(free);
        Some(free)
    }

    pub(crate) fn is_collection(&self, handle: u16) -> bool {
        self.collections().contains(&handle)
    }

    pub(crate) fn close_collection(&self, handle: u16) -> bool {
        self.collections().remove(&handle)
    }
}
