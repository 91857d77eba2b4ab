//! What the operator reads of the plug-in's work, in numbers.
//! Knows no rule.

use stagepost_sdk::{Counter, Host};

use crate::refusal::Refusal;

/// The counters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counters {
    refused_for_good: Counter,
    refused_for_now: Counter,
    pub(crate) private_white: Counter,
    pub(crate) private_black: Counter,
    pub(crate) dns_white: Counter,
    pub(crate) dns_black: Counter,
    pub(crate) dns_blocked: Counter,
    pub(crate) dns_trouble: Counter,
    pub(crate) dns_unsound: Counter,
}

impl Counters {
    /// Makes them, while the plug-in starts.
    pub(crate) fn new(host: &Host) -> Result<Self, stagepost_sdk::Refusal> {
        Ok(Self {
            refused_for_good: host.counter("refused_for_good", "Commands refused with 5yz.")?,
            refused_for_now: host.counter("refused_for_now", "Commands refused with 4yz.")?,
            private_white: host
                .counter("private_white_hits", "Clients in the private white list.")?,
            private_black: host
                .counter("private_black_hits", "Clients in the private black list.")?,
            dns_white: host.counter("dns_white_hits", "Clients in DNS white lists.")?,
            dns_black: host.counter("dns_black_hits", "Clients in DNS black lists.")?,
            dns_blocked: host.counter("dns_blocked", "Answers by which DNS lists refuse us.")?,
            dns_trouble: host.counter("dns_trouble", "Questions DNS lists did not answer.")?,
            dns_unsound: host.counter(
                "dns_unsound",
                "Times a DNS list was not relied on: it failed its test.",
            )?,
        })
    }

    pub(crate) fn refused(&self, refusal: &Refusal) {
        if refusal.code < 500 {
            self.refused_for_now.increment();
        } else {
            self.refused_for_good.increment();
        }
    }
}
