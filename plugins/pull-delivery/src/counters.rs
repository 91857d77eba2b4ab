//! What the operator reads of the plug-in's work, in numbers.
//! Knows no rule.

use stagepost_sdk::{Counter, Host, Refusal};

/// The counters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counters {
    pub(crate) requests: Counter,
    pub(crate) refused: Counter,
    pub(crate) put_off: Counter,
    pub(crate) runs: Counter,
}

impl Counters {
    /// Makes them, while the plug-in starts.
    pub(crate) fn new(host: &Host) -> Result<Self, Refusal> {
        Ok(Self {
            requests: host.counter("etrn_requests", "ETRN commands.")?,
            refused: host
                .counter("etrn_refused", "ETRN commands for what the client may not fetch.")?,
            put_off: host.counter("etrn_put_off", "ETRN commands answered 458.")?,
            runs: host.counter("etrn_runs", "Runs begun for a destination.")?,
        })
    }
}
