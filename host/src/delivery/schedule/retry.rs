//! When a delivery that did not succeed is tried again, and when it is no longer tried.
//! Knows no store and no clock.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime};

use stagepost_queue::Lease;

/// How often and for how long a delivery is tried.
#[derive(Clone, Debug)]
pub(crate) struct Retry {
    /// From the first attempt to the second.
    pub(crate) first: Duration,
    /// Between two attempts at most.
    pub(crate) max: Duration,
    /// Each time is so many times as long as the one before.
    pub(crate) factor: u32,
    /// A delivery that fails when the message is older is not tried again.
    pub(crate) expire: Duration,
}

impl Retry {
    /// When to try again, after an attempt that ended now: later each time, spread by a fifth to both sides so that
    /// what failed together does not come back together; and once more when the message expires, not behind that.
    pub(super) fn next_due(&self, lease: &Lease, now: SystemTime) -> SystemTime {
        let due = now + self.wait(lease);
        let end = lease.received_at + self.expire;
        if end > now { due.min(end) } else { due }
    }

    /// Whether a message is too old to be tried again.
    pub(super) fn has_expired(&self, lease: &Lease, now: SystemTime) -> bool {
        now.duration_since(lease.received_at).unwrap_or_default() >= self.expire
    }

    fn wait(&self, lease: &Lease) -> Duration {
        let times = u64::from(self.factor).saturating_pow(lease.attempts);
        let first_ms = self.first.as_millis() as u64;
        let wait = Duration::from_millis(first_ms.saturating_mul(times)).min(self.max);
        // Chance need not be more than different for each delivery and attempt.
        let mut chance = DefaultHasher::new();
        (lease.id, &lease.destination, lease.attempts).hash(&mut chance);
        wait.mul_f64(0.8 + 0.4 * (chance.finish() % 1000) as f64 / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use stagepost_queue::{Destination, QueueIds};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn lease(attempts: u32, received_at: SystemTime) -> Lease {
        Lease {
            id: QueueIds::new().next(received_at),
            destination: Destination::new("a.example").unwrap(),
            recipients: vec![0],
            attempts,
            received_at,
            token: 1,
        }
    }

    fn retry() -> Retry {
        Retry { first: Duration::from_secs(60), max: HOUR, factor: 2, expire: 120 * HOUR }
    }

    #[test]
    fn waits_grow_to_the_greatest() {
        let now = SystemTime::now();
        for (attempts, wanted_s) in
            [(0, 60), (1, 120), (2, 240), (5, 1920), (6, 3600), (1000, 3600), (u32::MAX, 3600)]
        {
            let due = retry().next_due(&lease(attempts, now), now);
            let wait_s = due.duration_since(now).unwrap().as_secs();
            assert!(
                (wanted_s * 4 / 5..=wanted_s * 6 / 5).contains(&wait_s),
                "{attempts}: {wait_s}"
            );
        }
    }

    #[test]
    fn waits_are_spread() {
        let now = SystemTime::now();
        let ids = QueueIds::new();
        let due = |_| retry().next_due(&Lease { id: ids.next(now), ..lease(6, now) }, now);
        let dues: std::collections::HashSet<SystemTime> = (0..100).map(due).collect();
        assert!(dues.len() > 50, "{} different times", dues.len());
    }

    #[test]
    fn the_last_attempt_is_when_the_message_expires() {
        let received = SystemTime::now();
        let end = received + 120 * HOUR;
        let late = lease(50, received);
        assert_eq!(retry().next_due(&late, end - Duration::from_secs(1)), end);
        assert!(!retry().has_expired(&late, end - Duration::from_secs(1)));
        assert!(retry().has_expired(&late, end));
        // A clock set back behind the reception is no reason to give up.
        assert!(!retry().has_expired(&late, received - HOUR));
    }
}
