//! Events of a plug-in's own life: it starts, its configuration changes, it stops. Registered for as any event is.
//! They belong to no session: EmEvent.session, edits and reply are NULL.

use crate::{EID, EmEvent, EmHost};

/// The server starts. Struct: EmStart. Between before and after the server opens its listeners.
///
/// before: every plug-in is loaded and nobody is served yet; called once, plug-in by plug-in in the order of the chains.
/// ERR_EM_CONTINUE -> it starts; anything else -> the plug-in refuses to: as when it can't be loaded, the server does not
/// start, or starts without it (on_load_error). Log why.
/// after: the listeners are open; the return value changes nothing.
/// It may block, whatever the plug-in's class; while it does, the log names the plug-in. before that has not returned in the
/// operator's start_deadline_ms, 300 seconds by default, refuses, and the call goes on. [any-thread]
pub const EM_START: EID = 0x4040;

/// The operator reloads the configuration. Struct: EmConfig. Between before and after the new section of the plug-in takes
/// the place of the old one. Called when the section is the same too: a plug-in that has files of its own reads them again.
///
/// before: look at the new section by EmConfig.section; the old one is in force, and may stay so: keep nothing of the new
/// one. ERR_EM_CONTINUE -> it will do; anything else -> it will not: nothing changes, for no plug-in. Log why.
/// after: the new section is in force; take it over. The return value changes nothing.
/// Calls of one plug-in follow each other: while one is out, also beyond the 30 seconds that the server waits for it, a
/// reload that would make another is refused.
/// A plug-in that has not registered before(EM_CONFIG) keeps its section until the server starts again.
/// It may block, whatever the plug-in's class; handlers run meanwhile. [any-thread]
pub const EM_CONFIG: EID = 0x4041;

/// The server stops: sessions and deliveries are over, as far as they could be waited for. Struct: EmStop. Before only.
///
/// Called once, for each plug-in whose before(EM_START) did not refuse; write down what must outlive the process. The
/// return value changes nothing. Plug-ins are told at the same time; the process ends when all have returned, or the
/// deadline is over.
/// It may block, whatever the plug-in's class. A handler whose call has not returned may still run. [any-thread]
pub const EM_STOP: EID = 0x4042;

/// Arguments of EM_START.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmStart {
    /// What every event has.
    pub event: EmEvent,
}

/// Arguments of EM_CONFIG.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmConfig {
    /// What every event has.
    pub event: EmEvent,
    /// The new section: for the functions of EmConfigService alone, in the place of the host. Valid until the handler
    /// returns; text that it hands out is valid until the process ends.
    pub section: *mut EmHost,
}

/// Arguments of EM_STOP.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmStop {
    /// What every event has.
    pub event: EmEvent,
    /// How long the server waits.
    pub deadline_ms: u32,
    /// Zero.
    pub reserved: u32,
}
