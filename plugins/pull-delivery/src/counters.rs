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
    pub(crate) atrn_requests: Counter,
    pub(crate) atrn_refused: Counter,
}

impl Counters {
    /// Makes them, while the plug-in starts.
    pub(crate) fn new(host: &Host) -> Result<Self, Refusal> {
        Ok(Self {
            requests: host.counter("etrn_requests", "ETRN commands.")?,
            refused: host
                .counter("etrn_refused", "ETRN commands for what the client may not fetch.")?,
            put_off: host.counter("put_off", "ETRN and ATRN commands answered 458 and 451.")?,
            runs: host.counter("etrn_runs", "Runs begun for a destination.")?,
            atrn_requests: host
                .counter("atrn_requests", "ATRN commands of users with mail here.")?,
            atrn_refused: host
                .counter("atrn_refused", "ATRN commands for what the user may not fetch.")?,
        })
    }
}
