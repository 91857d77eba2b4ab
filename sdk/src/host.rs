//! The host as the plug-in sees it: its log and its configuration. Usable from any thread, until the process ends.
//! Knows no session: what belongs to one goes through the event.

use std::fmt::{self, Display};

use stagepost_abi::{
    EM_LOG_DEBUG, EM_LOG_ERROR, EM_LOG_INFO, EM_LOG_TRACE, EM_LOG_WARN, EmHost, EmSession,
};

use crate::call::Refusal;
use crate::config::Config;
use crate::outbound::{OutboundSession, Target};
use crate::queue::Queue;
use crate::service::Services;
use crate::session::Session;
use crate::submit::Submission;
use crate::text::lend;

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something failed that an operator must see.
    Error,
    /// Something is odd.
    Warn,
    /// Something worth knowing happened.
    Info,
    /// For whoever looks for a fault.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    const fn number(self) -> u32 {
        match self {
            Self::Error => EM_LOG_ERROR,
            Self::Warn => EM_LOG_WARN,
            Self::Info => EM_LOG_INFO,
            Self::Debug => EM_LOG_DEBUG,
            Self::Trace => EM_LOG_TRACE,
        }
    }
}

/// The host, to be kept by the plug-in.
#[derive(Clone, Copy)]
pub struct Host {
    handle: *mut EmHost,
    services: Services,
}

// SAFETY: the handle is opaque and valid until the process ends; all that `Host` does with it ([any-thread] in the
// contract) may be done from any thread, at any time.
unsafe impl Send for Host {}
// SAFETY: as for Send.
unsafe impl Sync for Host {}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

impl Host {
    /// # Safety
    ///
    /// `handle` was given to em_entry, and `services` were found with it.
    pub(crate) unsafe fn new(handle: *mut EmHost, services: Services) -> Self {
        Self { handle, services }
    }

    pub(crate) fn handle(&self) -> *mut EmHost {
        self.handle
    }

    pub(crate) fn services(&self) -> &Services {
        &self.services
    }

    /// Reads the plug-in's own section of the configuration.
    pub fn config(&self) -> Config {
        // SAFETY: handle and table belong together, by the promise given to `new`.
        unsafe { Config::new(self.handle, self.services.config) }
    }

    /// The queue: mail that waits.
    pub fn queue(&self) -> Queue {
        // SAFETY: handle and table belong together, by the promise given to `new`.
        unsafe { Queue::new(self.handle, self.services.queue) }
    }

    /// Begins a new message. Needs the edit `submit`.
    ///
    /// - cause: the session of the handler in which it is made, when it is made because of what happens there: its hops
    ///   count for the new one too, so that it can't lead to itself for ever.
    /// - sender: without angle brackets, empty for the null path. parameters: those of MAIL; may be empty.
    ///
    /// # Errors
    /// What MAIL would not take; [`Reason::Limit`](crate::Reason::Limit) for more than 64 at once.
    pub fn submit(
        &self,
        cause: Option<&Session<'_>>,
        sender: &str,
        parameters: &str,
    ) -> Result<Submission, Refusal> {
        let table = self.services.submit;
        // SAFETY: handle and table belong together, by the promise given to `new`; a session is of the plug-in's one host.
        unsafe { Submission::begin(self.handle, table, cause, sender, parameters) }
    }

    /// Begins a session with another server; nobody is dialled yet. Needs the edit `outbound`, and is to be had from after START
    /// on.
    ///
    /// # Errors
    /// A target that can't be; [`Reason::Limit`](crate::Reason::Limit) for more than 64 at once.
    pub fn outbound(&self, target: &Target<'_>) -> Result<OutboundSession, Refusal> {
        // SAFETY: handle and table belong together, by the promise given to `new`.
        unsafe { OutboundSession::begin(self.handle, self.services.outbound, target) }
    }

    /// Writes a line that belongs to no session. Formats it only when somebody reads it.
    pub fn log(&self, level: Level, message: impl Display) {
        // SAFETY: NULL stands for no session.
        unsafe { self.log_in(std::ptr::null(), level, &message) }
    }

    /// Tells whether a line of this level would be written.
    pub fn logs(&self, level: Level) -> bool {
        // SAFETY: handle and table belong together, by the promise given to `new`.
        unsafe { (self.services.log.enabled)(self.handle, level.number()) != 0 }
    }

    /// Writes a line that belongs to a session.
    ///
    /// # Safety
    ///
    /// `session` is NULL, or came with a record whose handler still runs.
    pub(crate) unsafe fn log_in(
        &self,
        session: *const EmSession,
        level: Level,
        message: &dyn Display,
    ) {
        if !self.logs(level) {
            return;
        }
        let line = message.to_string();
        // SAFETY: handle and table belong together; the session is as the caller promises; the line is lent for the
        // call. The status says only that level or text were bad, which they are not.
        unsafe {
            (self.services.log.write)(self.handle, session, level.number(), lend(line.as_bytes()))
        };
    }
}
