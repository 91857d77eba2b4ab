//! What a plug-in gave to be kept, and the function by which it gets that back: called once, where its handlers are called.
//! Knows no owner; whoever keeps one says when.

use std::ffi::c_void;

use stagepost_abi as abi;
use stagepost_smtp::{Event, Stage};
use tokio::runtime::Handle;

use crate::host::Host;
use crate::plugin::Run;
use crate::pool::Out;
use crate::watchdog::watched_release;

/// A release function as the contract has it, known not to be NULL.
type Function = unsafe extern "C" fn(data: *mut c_void);

/// Who gave something to be kept, and in which call, for the log.
#[derive(Clone, Copy)]
pub(crate) struct Giver {
    pub(crate) plugin: &'static Host,
    pub(crate) event: Event,
    pub(crate) stage: Stage,
    /// 0: in none.
    pub(crate) session: u64,
}

/// A release that is due sometime. It is called exactly once, also when this is only dropped.
pub(crate) struct Release {
    giver: Giver,
    data: *mut c_void,
    /// None once it is being called.
    function: Option<Function>,
}

// SAFETY: the plug-in's pointer is only handed back to the plug-in; the contract lets release run on any thread.
unsafe impl Send for Release {}

impl Release {
    /// None: there is nothing to be called.
    pub(crate) fn new(giver: Giver, data: *mut c_void, function: abi::EmRelease) -> Option<Self> {
        let function = Some(function?);
        Some(Self { giver, data, function })
    }

    /// Leaves what was given with the plug-in.
    pub(crate) fn forget(mut self) {
        self.function = None;
    }

    /// Calls it as a part of the plug-in's call that is under way on this thread, or on a thread that may block.
    pub(crate) fn call(mut self) {
        if let Some(function) = self.function.take() {
            // SAFETY: data and release came together, the plug-in stays mapped for ever, and this happens once.
            unsafe { function(self.data) };
        }
    }

    /// Calls it as the plug-in's handlers are called: in line, here; or else on one of the plug-in's own threads as soon
    /// as one is free. What it may need is kept until then. Any thread.
    pub(crate) fn give_back<T: Send + 'static>(self, needed: T) {
        let plugin = self.giver.plugin;
        if plugin.run == Run::Inline {
            drop(self);
            drop(needed);
            return;
        }
        // Should nobody run it any more it is dropped, in this order.
        let due = (self, needed);
        let give_back = move || {
            let (release, needed) = due;
            release.call();
            drop(needed);
        };
        match Handle::try_current() {
            // Nobody waits for it.
            Ok(runtime) => drop(runtime.spawn(plugin.pool.when_free(give_back))),
            // No thread of the server's.
            Err(_) => give_back(),
        }
    }
}

impl Drop for Release {
    /// In line: of a plug-in that may block only when the runtime ends, which has no thread left for it.
    fn drop(&mut self) {
        if let Some(function) = self.function.take() {
            let Giver { plugin, event, stage, session } = self.giver;
            // SAFETY: as in `call`.
            let call = || unsafe { function(self.data) };
            watched_release(plugin, event, stage, session, call);
        }
    }
}

/// What comes back with a handler of a plug-in's own life or a verb. Those may block whatever the plug-in's class, and so may
/// their release: it is called on one of the plug-in's own threads, and where nobody waits for it. Called exactly once, when
/// this is dropped.
pub(crate) struct LifeRelease {
    plugin: &'static Host,
    /// None once it is on its way.
    due: Option<Due>,
}

/// The call itself, made also when whoever was to make it is gone.
struct Due {
    data: *mut c_void,
    function: Option<Function>,
}

// SAFETY: as for `Release`.
unsafe impl Send for Due {}

impl LifeRelease {
    /// None: there is nothing to be called.
    pub(crate) fn new(
        plugin: &'static Host,
        data: *mut c_void,
        function: abi::EmRelease,
    ) -> Option<Self> {
        let function = Some(function?);
        Some(Self { plugin, due: Some(Due { data, function }) })
    }

    /// Leaves what was given with the plug-in.
    pub(crate) fn forget(mut self) {
        if let Some(mut due) = self.due.take() {
            due.function = None;
        }
    }
}

impl Drop for LifeRelease {
    fn drop(&mut self) {
        let Some(due) = self.due.take() else { return };
        // From now on, so that the end of the server waits for it.
        let out = Out::begin();
        let give_back = move || {
            drop(due);
            drop(out);
        };
        match Handle::try_current() {
            // Nobody waits for it.
            Ok(runtime) => drop(runtime.spawn(self.plugin.pool.when_free(give_back))),
            // No thread of the server's.
            Err(_) => give_back(),
        }
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        if let Some(function) = self.function.take() {
            // SAFETY: data and function came together, the plug-in stays mapped for ever, and this happens once.
            unsafe { function(self.data) };
        }
    }
}
