//! One plug-in as the host keeps it: who it is, what it may do, and its registrations.
//! Behind the contract's `EmHost`; lives until the process ends.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use stagepost_abi as abi;

use crate::descriptor::{Descriptor, Language};
use crate::plugin::{OnFault, PluginConfig, PluginState, Run};
use crate::pool::Pool;
use crate::registry::{Directory, Registration};
use crate::section::Section;

/// Marks a live `Host`, so that a wrong pointer from a plug-in is told with good odds.
const MAGIC: u64 = 0x5354_4147_4550_4f48;

/// The most registrations of one plug-in.
const REGISTRATIONS_MAX: usize = 256;

/// A plug-in. `EmHost *` points to one of these.
pub(crate) struct Host {
    magic: u64,
    /// Its place among the loaded plug-ins: names its slot in each session.
    pub(crate) index: usize,
    pub(crate) name: Arc<str>,
    pub(crate) descriptor: Descriptor,
    pub(crate) section: Section,
    pub(crate) run: Run,
    pub(crate) priority: i32,
    pub(crate) on_fault: OnFault,
    pub(crate) deadline: Duration,
    pub(crate) pool: Pool,
    /// True inside em_entry: the only time to register.
    loading: AtomicBool,
    /// True once a Rust plug-in's layouts were found equal.
    layout_checked: AtomicBool,
    faults: AtomicU64,
    registrations: Mutex<Vec<Arc<Registration>>>,
    /// JSON handed out as text: made once a key, kept for good.
    json: Mutex<HashMap<String, &'static str>>,
    directory: OnceLock<Weak<Directory>>,
}

impl Host {
    /// Makes a plug-in's host for the rest of the process: plug-ins keep pointers to it and are never unloaded.
    pub(crate) fn leak(
        index: usize,
        config: PluginConfig,
        descriptor: Descriptor,
        run: Run,
    ) -> &'static Self {
        Box::leak(Box::new(Self {
            magic: MAGIC,
            index,
            name: config.name.into(),
            descriptor,
            section: config.section,
            run,
            priority: config.priority,
            on_fault: config.on_fault,
            deadline: config.deadline,
            pool: Pool::new(config.threads_max),
            loading: AtomicBool::new(true),
            layout_checked: AtomicBool::new(false),
            faults: AtomicU64::new(0),
            registrations: Mutex::default(),
            json: Mutex::default(),
            directory: OnceLock::new(),
        }))
    }

    /// The handle that the plug-in is given.
    pub(crate) fn handle(&'static self) -> *mut abi::EmHost {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    /// The plug-in behind a handle that came from one.
    ///
    /// # Safety
    /// `handle` is NULL or points to readable memory of a `Host`'s size and alignment; a contract-keeping plug-in only
    /// has the pointer from [`Self::handle`].
    pub(crate) unsafe fn from_handle(handle: *const abi::EmHost) -> Option<&'static Self> {
        let host = handle.cast::<Self>();
        if !host.is_aligned() {
            return None;
        }
        // SAFETY: readable by the caller's promise; hosts are never freed, so 'static holds.
        let host = unsafe { host.as_ref() }?;
        (host.magic == MAGIC).then_some(host)
    }

    pub(crate) fn is_loading(&self) -> bool {
        self.loading.load(Ordering::Acquire)
    }

    /// Ends loading: from now on nothing can be registered, and `directory` is told of what ends.
    pub(crate) fn loaded(&self, directory: Weak<Directory>) {
        self.loading.store(false, Ordering::Release);
        let first = self.directory.set(directory).is_ok();
        debug_assert!(first, "a plug-in is loaded once");
    }

    pub(crate) fn layout_fits(&self) {
        self.layout_checked.store(true, Ordering::Release);
    }

    /// Whether a plug-in that must have its layouts compared has not done so.
    pub(crate) fn owes_layout(&self) -> bool {
        self.descriptor.language == Language::Rust && !self.layout_checked.load(Ordering::Acquire)
    }

    pub(crate) fn count_fault(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps a registration, unless there are too many.
    pub(crate) fn add(&self, registration: Arc<Registration>) -> Result<(), Arc<Registration>> {
        let mut registrations = self.registrations.lock().unwrap_or_else(PoisonError::into_inner);
        if registrations.len() >= REGISTRATIONS_MAX {
            return Err(registration);
        }
        registrations.push(registration);
        Ok(())
    }

    /// Takes a registration out; sessions under way keep theirs.
    pub(crate) fn remove(&self, handle: abi::HEMREGISTRATION) -> bool {
        let removed = {
            let mut registrations =
                self.registrations.lock().unwrap_or_else(PoisonError::into_inner);
            let place = registrations.iter().position(|known| known.handle == handle);
            place.map(|place| registrations.remove(place))
        };
        if removed.is_none() {
            return false;
        }
        if let Some(directory) = self.directory.get().and_then(Weak::upgrade) {
            directory.rebuild();
        }
        true
    }

    /// Takes every registration back, as when loading failed.
    pub(crate) fn clear(&self) {
        let all =
            std::mem::take(&mut *self.registrations.lock().unwrap_or_else(PoisonError::into_inner));
        // Outside the lock: the last reference calls the plug-in's release.
        drop(all);
    }

    pub(crate) fn registrations(&self) -> Vec<Arc<Registration>> {
        self.registrations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A configuration value as JSON text that lives until the process ends: made once for each key that exists.
    pub(crate) fn json(&self, key: &str) -> Option<&'static str> {
        let mut known = self.json.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = known.get(key) {
            return Some(text);
        }
        let text: &'static str = Box::leak(self.section.value(key)?.to_string().into_boxed_str());
        known.insert(key.to_owned(), text);
        Some(text)
    }

    pub(crate) fn state(&self) -> PluginState {
        PluginState {
            name: self.name.clone(),
            version: self.descriptor.version.clone(),
            class: self.descriptor.class,
            run: self.run,
            registrations: self.registrations().len(),
            faults: self.faults.load(Ordering::Relaxed),
        }
    }
}
