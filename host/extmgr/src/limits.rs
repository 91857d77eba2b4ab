//! What plug-ins may take of a session together.
//! Knows what the operator chose; measures nothing.

use std::time::Duration;

/// Limits of all plug-ins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long one may take to load, before the start, and after it: it may have much to read.
    pub start_deadline: Duration,
    /// How long the calls that one question makes on the pool may take together. Disconnect has no such budget: no
    /// client waits for it.
    pub chain_budget: Duration,
    /// How long a call in line may take before it is named in the log.
    pub inline_warn: Duration,
    /// How long it may take before the process ends; none: for ever.
    pub inline_abort: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            start_deadline: Duration::from_secs(300),
            // RFC 5321 section 4.5.3.2: clients wait for at least 5 minutes.
            chain_budget: Duration::from_secs(240),
            inline_warn: Duration::from_secs(1),
            inline_abort: Some(Duration::from_secs(60)),
        }
    }
}
