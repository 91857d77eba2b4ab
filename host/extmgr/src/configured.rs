//! A plug-in's section as the configuration service reads it: the one in force, or one that is to be looked at first.
//! Knows no event; whoever reloads says which one is in force.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use stagepost_abi as abi;

use crate::host::Host;
use crate::section::Section;

/// Marks a `Configured`, so that it is told from a `Host`, and a wrong pointer from both.
const MAGIC: u64 = 0x5354_4147_4543_4647;

/// A section. An `EmHost *` that is for the configuration service alone points to one of these. Lives until the process
/// ends, as the text does that is handed out of it.
#[repr(C)]
pub(crate) struct Configured {
    /// First, as in `Host`: the two are told apart by it.
    magic: u64,
    pub(crate) section: Section,
    /// JSON handed out as text: made once a key.
    json: Mutex<HashMap<String, &'static str>>,
}

impl Configured {
    /// Keeps a section for the rest of the process.
    pub(crate) fn leak(section: Section) -> &'static Self {
        Box::leak(Box::new(Self { magic: MAGIC, section, json: Mutex::default() }))
    }

    /// The handle by which a plug-in reads it.
    pub(crate) fn handle(&'static self) -> *mut abi::EmHost {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    /// What a handle means for the configuration service: a plug-in's section in force, or this one.
    ///
    /// # Safety
    /// `handle` is NULL or came from [`Self::handle`] or [`Host::handle`].
    pub(crate) unsafe fn from_handle(handle: *const abi::EmHost) -> Option<&'static Self> {
        // SAFETY: by the caller's promise.
        if let Some(host) = unsafe { Host::from_handle(handle) } {
            return Some(host.configured());
        }
        // SAFETY: both begin with their mark, so it can be read of either.
        unsafe { marked(handle.cast::<Self>(), MAGIC) }
    }

    /// A value as JSON text that lives until the process ends: made once for each key that exists.
    pub(crate) fn json(&self, key: &str) -> Option<&'static str> {
        let mut known = self.json.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = known.get(key) {
            return Some(text);
        }
        let text: &'static str = Box::leak(self.section.value(key)?.to_string().into_boxed_str());
        known.insert(key.to_owned(), text);
        Some(text)
    }
}

/// What lies at a place, if its first eight octets are the mark of its type.
///
/// # Safety
/// `place` is NULL, unaligned, or points to eight readable octets, and to a whole `T` that lives for ever if they are
/// `magic`; `T` begins with its mark.
pub(crate) unsafe fn marked<T>(place: *const T, magic: u64) -> Option<&'static T> {
    if place.is_null() || !place.is_aligned() {
        return None;
    }
    // SAFETY: by the caller's promise.
    let found = unsafe { place.cast::<u64>().read() };
    // SAFETY: by the caller's promise.
    (found == magic).then(|| unsafe { &*place })
}
