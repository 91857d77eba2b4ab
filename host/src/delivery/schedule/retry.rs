//! When a delivery that did not succeed is tried again, and when it is no longer tried.
//! Knows no store and no clock.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime};

use stagepost_queue::Lease;

use super::fate::Age;
use crate::config::Retry;

impl Retry {
    /// When to try again, after an attempt that ended now: later each time, spread by a fifth to both sides so that
    /// what failed together does not come back together; and once more when the sender is to be told and when the
    /// message expires, not behind that.
    pub(super) fn next_due(&self, lease: &Lease, now: SystemTime) -> SystemTime {
        let end = self.end(lease);
        let stops = self.notice_at(lease).into_iter().chain([end]).filter(|stop| *stop > now);
        let stop = stops.min();
        match stop {
            // What nobody comes for is looked at again when there is something to tell.
            Some(stop) if self.parked => stop,
            Some(stop) => stop.min(now + self.wait(lease)),
            None => now + self.wait(lease),
        }
    }

    /// When a message is due that has just come: what waits to be fetched, when there is something to tell.
    pub(crate) fn first_due(&self, received_at: SystemTime) -> SystemTime {
        let notice = self.notice.filter(|notice| *notice < self.expire);
        if self.parked { received_at + notice.unwrap_or(self.expire) } else { received_at }
    }

    /// How old the message of a lease is, as far as that decides anything.
    pub(super) fn age(&self, lease: &Lease, now: SystemTime) -> Age {
        let until = self.end(lease);
        if now >= until {
            return Age::Expired;
        }
        // One attempt was due at that time or before and ended at it or later: each later one is due later.
        match self.notice_at(lease) {
            Some(notice) if lease.due <= notice && now >= notice => Age::Late { until },
            _ => Age::Young { until },
        }
    }

    /// Whether an attempt is to be made: not with what waits for somebody to flush it.
    pub(super) fn is_to_be_tried(&self, lease: &Lease, now: SystemTime) -> bool {
        let woken = || {
            let stops = [Some(self.end(lease)), self.notice_at(lease)];
            now >= self.end(lease) || stops.contains(&Some(lease.due))
        };
        !self.parked || !is_new(lease) && !woken()
    }

    fn end(&self, lease: &Lease) -> SystemTime {
        lease.received_at + self.expire
    }

    fn notice_at(&self, lease: &Lease) -> Option<SystemTime> {
        self.notice.filter(|notice| *notice < self.expire).map(|notice| lease.received_at + notice)
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

/// Whether a delivery is due because it came, and was neither tried nor flushed since: so are those that an earlier release queued.
pub(super) fn is_new(lease: &Lease) -> bool {
    lease.attempts == 0 && lease.due == lease.received_at
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
            due: received_at,
            received_at,
            route: None,
            give_up: None,
            token: 1,
        }
    }

    fn retry() -> Retry {
        Retry {
            first: Duration::from_secs(60),
            max: HOUR,
            factor: 2,
            expire: 120 * HOUR,
            notice: None,
            parked: false,
        }
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
        let second = Duration::from_secs(1);
        assert_eq!(retry().age(&late, end - second), Age::Young { until: end });
        assert_eq!(retry().age(&late, end), Age::Expired);
        // A clock set back behind the reception is no reason to give up.
        assert_eq!(retry().age(&late, received - HOUR), Age::Young { until: end });
    }

    #[test]
    fn a_sender_is_told_once_that_it_takes_long() {
        let received = SystemTime::now();
        let (end, notice) = (received + 120 * HOUR, received + 4 * HOUR);
        let retry = Retry { notice: Some(4 * HOUR), ..retry() };
        let mut lease = lease(0, received);
        let mut told = Vec::new();
        while lease.due < end {
            let ended = lease.due + Duration::from_secs(10);
            match retry.age(&lease, ended) {
                Age::Late { until } => told.push((lease.due, until)),
                other => assert_eq!(other, Age::Young { until: end }),
            }
            lease.due = retry.next_due(&lease, ended);
            lease.attempts += 1;
        }
        assert_eq!(told, [(notice, end)]);
        assert_eq!((lease.due, retry.age(&lease, end)), (end, Age::Expired));
        // An attempt that takes long is not followed by another one for the notice.
        lease.due = received;
        assert_eq!(retry.age(&lease, notice + HOUR), Age::Late { until: end });
    }

    #[test]
    fn what_is_parked_is_tried_when_it_is_flushed() {
        let received = SystemTime::now();
        let (end, notice) = (received + 120 * HOUR, received + 96 * HOUR);
        let retry = Retry { notice: Some(96 * HOUR), parked: true, ..retry() };
        assert_eq!(retry.first_due(received), notice);
        assert_eq!(Retry { notice: None, ..retry.clone() }.first_due(received), end);
        assert_eq!(Retry { parked: false, ..retry.clone() }.first_due(received), received);
        let new = lease(0, received);
        assert!(!retry.is_to_be_tried(&new, received));
        // Flushed before anybody has looked at it.
        let flushed = Lease { due: received + HOUR, ..new.clone() };
        assert!(retry.is_to_be_tried(&flushed, received + HOUR));
        assert_eq!(retry.next_due(&new, received), notice);
        let woken = Lease { due: notice, ..lease(1, received) };
        assert!(!retry.is_to_be_tried(&woken, notice));
        assert_eq!(retry.age(&woken, notice), Age::Late { until: end });
        assert_eq!(retry.next_due(&woken, notice), end);
        assert!(!retry.is_to_be_tried(&Lease { due: end, ..woken.clone() }, end));
        for at in [received + HOUR, notice + HOUR] {
            assert!(retry.is_to_be_tried(&Lease { due: at, ..woken.clone() }, at));
        }
    }
}
