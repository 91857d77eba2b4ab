//! How fast a client sends a message: slow is allowed, a trickle is not.
//! Reads no clock; time in which the client waits for us does not count.

use std::time::{Duration, Instant};

use super::settings::{Limits, Timeouts};

/// Octets that have come since some moment, and that moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    begun: Instant,
    octets: u64,
}

impl Pace {
    /// Begins to count at `now`.
    pub(crate) fn new(now: Instant) -> Self {
        Self { begun: now, octets: 0 }
    }

    /// So many octets have come.
    pub(crate) fn count(&mut self, octets: usize) {
        self.octets += octets as u64;
    }

    /// The client could not send for so long, or need not have.
    pub(crate) fn pause(&mut self, time: Duration) {
        self.begun += time;
    }

    /// When it is to be looked at; none when any pace will do.
    pub(crate) fn due(&self, limits: &Limits, timeouts: &Timeouts) -> Option<Instant> {
        (limits.data_rate_min > 0).then(|| self.begun + timeouts.data_window)
    }

    /// Whether it was too slow. When not, counting begins anew at `now`.
    pub(crate) fn is_slow(&mut self, limits: &Limits, timeouts: &Timeouts, now: Instant) -> bool {
        let wanted = u128::from(limits.data_rate_min) * timeouts.data_window.as_millis();
        let slow = u128::from(self.octets) * 1000 < wanted;
        if !slow {
            *self = Self::new(now);
        }
        slow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test must start at some time")]
    fn so_many_octets_in_so_much_time_are_enough() {
        let seconds = Duration::from_secs;
        let begun = Instant::now();
        let timeouts = Timeouts { data_window: seconds(30), ..Timeouts::default() };
        let limits = |rate| Limits { data_rate_min: rate, ..Limits::default() };
        for (rate, octets, slow) in
            [(0, 0, false), (1, 29, true), (1, 30, false), (100, 2999, true)]
        {
            let mut pace = Pace::new(begun);
            pace.count(octets);
            assert_eq!(pace.due(&limits(rate), &timeouts).is_some(), rate > 0);
            assert_eq!(pace.is_slow(&limits(rate), &timeouts, begun), slow, "{rate} {octets}");
        }
        let mut pace = Pace::new(begun);
        pace.pause(seconds(7));
        assert_eq!(pace.due(&limits(1), &timeouts), Some(begun + seconds(37)));
        pace.count(30);
        assert!(!pace.is_slow(&limits(1), &timeouts, begun + seconds(40)));
        // What was enough once is not for ever.
        assert_eq!(pace.due(&limits(1), &timeouts), Some(begun + seconds(70)));
        assert!(pace.is_slow(&limits(1), &timeouts, begun + seconds(70)));
    }
}
