//! The bridge as add-ins and events reach it: one for the process, since functions of add-ins have no other way to it.
//! Holds what there is; does nothing with it.

use std::cell::Cell;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use stagepost_sdk::{Host, Level};

use crate::environment::Environment;
use crate::handles::Handles;
use crate::linker::{Notes, Opened};
use crate::names::Names;
use crate::registry::Registry;
use crate::section::Section;
use crate::threads::Threads;

static BRIDGE: OnceLock<Bridge> = OnceLock::new();

thread_local! {
    /// The add-in that this thread is in.
    static INSIDE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Everything.
pub(crate) struct Bridge {
    pub(crate) host: Host,
    pub(crate) environment: Environment,
    pub(crate) registry: Registry,
    pub(crate) handles: Handles,
    pub(crate) names: Names,
    /// Names of the add-ins, in their order.
    pub(crate) add_ins: Vec<String>,
    settings: RwLock<Arc<Section>>,
    /// There once libnotes.so is.
    pub(crate) notes: OnceLock<Notes>,
    /// What was loaded of the add-ins.
    pub(crate) opened: OnceLock<Vec<Opened>>,
    pub(crate) threads: Threads,
}

impl Bridge {
    /// Makes the bridge of this process. None: there is one.
    pub(crate) fn make(
        host: Host,
        section: Section,
        add_ins: Vec<String>,
    ) -> Option<&'static Self> {
        let bridge = Self {
            host,
            environment: Environment::new(&section),
            registry: Registry::default(),
            handles: Handles::default(),
            names: Names::new(&section),
            add_ins,
            threads: Threads::new(section.threads_max),
            settings: RwLock::new(Arc::new(section)),
            notes: OnceLock::new(),
            opened: OnceLock::new(),
        };
        BRIDGE.set(bridge).ok()?;
        BRIDGE.get()
    }

    /// The bridge, once there is one.
    pub(crate) fn get() -> Option<&'static Self> {
        BRIDGE.get()
    }

    /// The settings in force.
    pub(crate) fn settings(&self) -> Arc<Section> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts new settings in force; those that only a start can change stay what they were.
    pub(crate) fn follow(&self, section: Section) {
        self.environment.follow(&section);
        self.names.follow(&section);
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(section);
    }

    pub(crate) fn name(&self, add_in: usize) -> &str {
        self.add_ins.get(add_in).map_or("?", String::as_str)
    }

    /// How long one call of an add-in may take.
    pub(crate) fn deadline(&self, add_in: usize) -> Duration {
        let settings = self.settings();
        let own =
            settings.addin.iter().find(|(name, _)| name.eq_ignore_ascii_case(self.name(add_in)));
        Duration::from_millis(own.map_or(settings.deadline_ms, |(_, own)| own.deadline_ms).into())
    }

    /// Runs something in the name of an add-in.
    pub(crate) fn inside<R>(add_in: usize, run: impl FnOnce() -> R) -> R {
        let before = INSIDE.replace(Some(add_in));
        let result = run();
        INSIDE.set(before);
        result
    }

    /// The add-in that this thread is in; none on threads that add-ins have made.
    pub(crate) fn current() -> Option<usize> {
        INSIDE.get()
    }

    /// Writes a line of an add-in's.
    pub(crate) fn say(&self, text: &str) {
        match Self::current() {
            Some(add_in) => {
                self.host.log(Level::Info, format_args!("{}: {text}", self.name(add_in)))
            }
            None => self.host.log(Level::Info, format_args!("an add-in: {text}")),
        }
    }

    /// The server's canonical name, as far as it was configured.
    pub(crate) fn server_name(&self) -> Vec<u8> {
        self.environment.get(b"ServerName").unwrap_or_else(|| b"Stagepost".to_vec())
    }
}

impl std::fmt::Debug for Bridge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bridge").field("add_ins", &self.add_ins).finish_non_exhaustive()
    }
}
