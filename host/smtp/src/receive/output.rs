//! Replies that wait to be sent: together at the end of a pipelined group, unless they are many or wait for long.
//! Knows no command; what is in a reply is the reply's.

use std::time::{Duration, Instant};

use crate::Reply;

/// Replies wait for the end of a pipelined group, but never more octets than this.
const OCTETS_MAX: usize = 16 * 1024;

/// Nor longer than this: a client counts the time for each of its commands (RFC 5321 section 4.5.3.2).
const HELD_MAX: Duration = Duration::from_secs(10);

/// The replies so far.
#[derive(Debug)]
pub(super) struct Output {
    octets: Vec<u8>,
    /// When the first of them was written.
    since: Instant,
}

impl Output {
    pub(super) fn new(now: Instant) -> Self {
        Self { octets: Vec::new(), since: now }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// Whether they are to be sent even though more of the group are to come.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let late = || now.saturating_duration_since(self.since) >= HELD_MAX;
        self.octets.len() > OCTETS_MAX || (!self.is_empty() && late())
    }

    /// Adds a reply, with its enhanced code where the client gets these.
    pub(super) fn write(&mut self, reply: &Reply, enhanced: bool, now: Instant) {
        if self.is_empty() {
            self.since = now;
        }
        reply.write(enhanced, &mut self.octets);
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.octets.capacity()
    }

    /// The octets to send, and no buffer is kept.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.octets)
    }
}
