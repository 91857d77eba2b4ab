//! What the sender of one message asks of time: not before (RFC 4865), and in time (RFC 2852).
//! Knows no attempt: it only says how the retries of the message differ from those of its route.

use std::time::SystemTime;

use stagepost_queue::Lease;
use stagepost_smtp::{Late, SenderWish};

use crate::config::Retry;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// It is not delivered before.
    not_before: Option<SystemTime>,
    /// It is to be delivered until then, or this is done.
    by: Option<(SystemTime, Late)>,
}

/// A lease and its retries as the terms of its message have them.
pub(super) struct Termed {
    /// As if the message had come when it may go at the earliest.
    pub(super) lease: Lease,
    pub(super) retry: Retry,
}

impl Terms {
    /// Those of a message with these parameters of MAIL; none: nothing is asked.
    pub(super) fn of(parameters: &str, received_at: SystemTime) -> Option<Self> {
        if parameters.is_empty() {
            return None;
        }
        let wish = SenderWish::of(parameters);
        let not_before = wish.release.map(|release| release.time(received_at));
        let by = wish.deliver_by.map(|by| (by.time(received_at), by.late));
        (not_before.is_some() || by.is_some()).then_some(Self { not_before, by })
    }

    /// The time before which a message is kept, as long as it is not over.
    pub(super) fn waits_until(&self, now: SystemTime) -> Option<SystemTime> {
        self.not_before.filter(|at| now < *at)
    }

    /// The time after which a message is not delivered, once it is over.
    pub(super) fn over(&self, now: SystemTime) -> Option<SystemTime> {
        match self.by {
            Some((at, Late::Return)) if now >= at => Some(at),
            _ => None,
        }
    }

    /// Applies them.
    pub(super) fn apply(self, lease: &Lease, retry: &Retry) -> Termed {
        let (mut lease, mut retry) = (lease.clone(), retry.clone());
        // Nobody is too old, or late, for being told to wait.
        lease.received_at =
            self.not_before.map_or(lease.received_at, |at| at.max(lease.received_at));
        match self.by.map(|(at, late)| (at.duration_since(lease.received_at), late)) {
            Some((left, Late::Return)) => retry.expire = retry.expire.min(left.unwrap_or_default()),
            // It takes the place of the notice that the operator has thought of.
            Some((left, Late::Notify)) => retry.notice = Some(left.unwrap_or_default()),
            None => {}
        }
        Termed { lease, retry }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use stagepost_queue::{Destination, QueueIds};

    use super::*;
    use crate::delivery::schedule::fate::Age;

    fn second(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn termed(parameters: &str) -> (Termed, Terms) {
        let received_at = second(1000);
        let lease = Lease {
            id: QueueIds::new().next(received_at),
            destination: Destination::new("a.example").unwrap(),
            recipients: vec![0],
            attempts: 0,
            due: received_at,
            received_at,
            route: None,
            give_up: None,
            token: 1,
        };
        let retry = Retry {
            first: Duration::from_secs(60),
            max: Duration::from_secs(3600),
            factor: 2,
            expire: Duration::from_secs(86_400),
            notice: Some(Duration::from_secs(14_400)),
            parked: false,
        };
        let terms = Terms::of(parameters, received_at).unwrap();
        (terms.apply(&lease, &retry), terms)
    }

    #[test]
    fn most_mail_has_no_terms() {
        for parameters in ["", "SIZE=1 BODY=8BITMIME", "RET=FULL", "BY=0;R"] {
            assert_eq!(Terms::of(parameters, second(0)), None, "{parameters}");
        }
    }

    #[test]
    fn what_is_to_be_returned_when_it_is_late_expires_then() {
        let (Termed { lease, retry }, terms) = termed("BY=120;R");
        assert_eq!(retry.age(&lease, second(1119)), Age::Young { until: second(1120) });
        assert_eq!(retry.age(&lease, second(1120)), Age::Expired);
        assert_eq!(
            (terms.over(second(1119)), terms.over(second(1120))),
            (None, Some(second(1120)))
        );
        // The time between two attempts is no longer than that.
        let next = retry.next_due(&Lease { attempts: 9, ..lease }, second(1001));
        assert_eq!(next, second(1120));
        let (Termed { retry, .. }, _) = termed("BY=999999999;R");
        assert_eq!(retry.expire, Duration::from_secs(86_400), "no longer than other mail");
    }

    #[test]
    fn whose_sender_wants_to_know_is_told_of_when_it_is_late() {
        let (Termed { mut lease, retry }, terms) = termed("BY=120;N");
        assert_eq!(
            retry.next_due(&Lease { attempts: 9, ..lease.clone() }, second(1001)),
            second(1120)
        );
        lease.due = second(1120);
        assert_eq!(retry.age(&lease, second(1121)), Age::Late { until: second(87_400) });
        assert_eq!(terms.over(second(5000)), None);
        // Its time was over when it came: the first attempt in vain tells.
        let (Termed { lease, retry }, _) = termed("BY=-5;N");
        assert_eq!(retry.age(&lease, second(1001)), Age::Late { until: second(87_400) });
    }

    #[test]
    fn what_waits_for_its_time_does_not_grow_old() {
        let (Termed { lease, retry }, terms) = termed("HOLDFOR=100000");
        assert_eq!(terms.waits_until(second(1001)), Some(second(101_000)));
        assert_eq!(terms.waits_until(second(101_000)), None);
        assert_eq!(retry.age(&lease, second(101_001)), Age::Young { until: second(187_400) });
        assert_eq!(retry.first_due(lease.received_at), second(101_000));
    }
}
