//! One connection over all its calls and documents: when it is called next and why, and what came of the last call.
//! Knows no thread and no clock: it is told what time it is, and how much waits.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::call::{Done, Progress};
use crate::connection::Connection;

/// A connection.
pub(crate) struct Peer {
    pub(crate) document: Arc<Connection>,
    /// When it is called next, and why.
    pub(crate) due: Option<(Timestamp, Reason)>,
    /// The call under way, and the document that it goes by.
    pub(crate) calling: Option<Under>,
    pub(crate) last: Option<Last>,
    /// Calls in a row that came to nothing.
    pub(crate) failures: u32,
    /// How much waited when it was last counted.
    waiting: u64,
    /// Of that, what was tried and is left: it waits for the next call that the clock makes.
    left: u64,
    /// Mail waits, or may wait, for the times of what is not urgent.
    low_waits: bool,
    /// The configuration has it no more.
    pub(crate) gone: bool,
}

/// A call under way.
#[derive(Clone)]
pub(crate) struct Under {
    pub(crate) progress: Arc<Progress>,
    pub(crate) since: Timestamp,
    pub(crate) reason: Reason,
    pub(crate) document: Arc<Connection>,
}

/// Why a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reason {
    Schedule,
    /// As much waits as should not.
    Pending,
    Urgent,
    /// It is the time of mail that is not.
    LowPriority,
    /// The last one came to nothing.
    Retry,
    Operator,
    /// The operator wants mail handed over, and nothing else.
    Route,
    /// The other side has asked for its mail.
    Etrn,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Last {
    pub(crate) at: Timestamp,
    pub(crate) reason: Reason,
    /// Why it came to nothing; none: it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    pub(crate) done: Done,
}

impl Reason {
    /// Whether somebody wants the mail now, however little of a hurry it is in.
    pub(crate) fn has_all_handed_over(self) -> bool {
        matches!(self, Self::Route | Self::Etrn)
    }

    /// Whether the clock has it called so.
    fn is_planned(self) -> bool {
        matches!(self, Self::Schedule | Self::Retry | Self::LowPriority)
    }
}

impl Peer {
    /// One that was never called, as far as is known.
    pub(crate) fn new(document: Arc<Connection>) -> Self {
        Self {
            document,
            due: None,
            calling: None,
            last: None,
            failures: 0,
            waiting: 0,
            left: 0,
            // Nobody knows what was queued before the start.
            low_waits: true,
            gone: false,
        }
    }

    /// Learns what came of the last call before the start.
    pub(crate) fn recall(&mut self, last: Last, failures: u32, now: Timestamp) {
        if self.last.is_none() && self.calling.is_none() {
            (self.last, self.failures) = (Some(last), failures);
            self.plan(now);
        }
    }

    /// Decides when it is called next.
    pub(crate) fn plan(&mut self, now: Timestamp) {
        if self.due.is_none_or(|(_, reason)| reason.is_planned()) {
            self.due = self.planned(now);
        }
    }

    /// Begins a call.
    pub(crate) fn begin(&mut self, reason: Reason, now: Timestamp) -> Under {
        let times = self.document.low_priority.as_ref();
        if reason.has_all_handed_over() || times.is_some_and(|times| times.is_open(now)) {
            self.low_waits = false;
        }
        let (progress, document) = (Arc::default(), self.document.clone());
        let under = Under { progress, since: now, reason, document };
        self.calling = Some(under.clone());
        under
    }

    /// Learns what came of a call.
    pub(crate) fn end(&mut self, last: Last, now: Timestamp) {
        self.failures = if last.error.is_some() { self.failures.saturating_add(1) } else { 0 };
        // It waits on, and is no reason for another call.
        self.left = last.done.pushed.saturating_sub(last.done.delivered);
        self.waiting = self.left;
        // Some of it may be kept back, or could not be handed over in its time.
        self.low_waits |= last.error.is_some() || self.left > 0;
        self.last = Some(last);
        self.calling = None;
        self.plan(now);
    }

    /// Takes back that there was a call: there was nothing to make it for.
    pub(crate) fn end_unmade(&mut self, now: Timestamp) {
        (self.calling, self.low_waits) = (None, false);
        self.plan(now);
    }

    /// A call could not even begin.
    pub(crate) fn fail(&mut self, now: Timestamp) {
        (self.calling, self.failures) = (None, self.failures.saturating_add(1));
        self.plan(now);
    }

    /// Mail waits for the times of what is not urgent.
    pub(crate) fn keep_back(&mut self, now: Timestamp) {
        if self.document.low_priority.is_some() && !self.low_waits {
            self.low_waits = true;
            self.plan(now);
        }
    }

    /// Learns how much waits; whether that is a reason for a call now.
    ///
    /// - urgent: some of what came since the last count is.
    pub(crate) fn counted(&mut self, waiting: u64, urgent: bool) -> Option<Reason> {
        let more = waiting > std::mem::replace(&mut self.waiting, waiting);
        self.left = self.left.min(waiting);
        // One that came to nothing is not called again for each further message.
        if !more || self.calling.is_some() || self.failures > 0 {
            return None;
        }
        let document = &self.document;
        let new = waiting - self.left;
        if document.route_at_once > 0 && new >= document.route_at_once {
            return Some(Reason::Pending);
        }
        (urgent && document.urgent_at_once).then_some(Reason::Urgent)
    }

    /// What it costs to hand mail over this way: more after each call that came to nothing.
    pub(crate) fn cost(&self) -> u64 {
        u64::from(self.document.cost) + u64::from(self.failures)
    }

    fn planned(&self, now: Timestamp) -> Option<(Timestamp, Reason)> {
        let document = &self.document;
        if !document.is_scheduled() {
            return None;
        }
        let jitter = part_of(document.jitter);
        if self.failures > 0 {
            let retry = later(now, self.back_off() + jitter);
            if document.schedule.is_open(retry) {
                return Some((retry, Reason::Retry));
            }
        }
        // Behind the last window, too: a part of the jitter is always less than an interval's worth of waiting.
        let scheduled = document.schedule.next(now).map(|next| (next, Reason::Schedule));
        let times = document.low_priority.as_ref().filter(|_| self.low_waits && document.pushes());
        let low = times.and_then(|times| times.next(now)).map(|next| (next, Reason::LowPriority));
        let (next, reason) = scheduled.into_iter().chain(low).min_by_key(|(next, _)| *next)?;
        Some((later(next, jitter), reason))
    }

    /// Twice as long after each call that came to nothing, up to the most.
    fn back_off(&self) -> Duration {
        let times = 1_u32.checked_shl(self.failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.document.retry_first.saturating_mul(times).min(self.document.retry_max)
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(at)
}

/// Some part of a time, another one each time.
fn part_of(whole: Duration) -> Duration {
    let chance = RandomState::new().hash_one(0_u8) % 1024;
    whole.mul_f64(chance as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::rules::tests::made;

    fn peer(fields: Value) -> Peer {
        let mut connection =
            json!({ "name": "isp", "host": "isp.test", "push": ["#isp"], "jitter": "0s" });
        let zone = json!({ "schedule": { "zone": "UTC" } });
        for more in [zone, fields] {
            connection.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        }
        let rules = made(json!({ "connection": [connection] })).unwrap();
        Peer::new(rules.connections[0].clone())
    }

    fn at(moment: &str) -> Timestamp {
        format!("2026-11-23T{moment}:00Z").parse().unwrap()
    }

    fn last(error: Option<&str>, pushed: u64, delivered: u64) -> Last {
        let done = Done { pushed, delivered, ..Done::default() };
        let (at, reason) = (at("12:00"), Reason::Schedule);
        Last { at, reason, error: error.map(str::to_owned), done }
    }

    #[test]
    fn enough_mail_is_a_reason_and_what_was_refused_is_none_again() {
        let mut peer = peer(json!({ "route_at_once": 3 }));
        assert_eq!(peer.counted(2, false), None);
        assert_eq!(peer.counted(3, false), Some(Reason::Pending));
        assert_eq!(peer.counted(3, false), None, "it is no more than before");
        peer.begin(Reason::Pending, at("12:00"));
        assert_eq!(peer.counted(9, true), None, "a call is under way");
        // Three were tried and one was taken: the others have had their chance.
        peer.end(last(None, 3, 1), at("12:00"));
        assert_eq!(peer.counted(2, false), None);
        assert_eq!(peer.counted(4, false), None);
        assert_eq!(peer.counted(5, false), Some(Reason::Pending));
        assert_eq!(peer.counted(1, false), None);
        assert_eq!(peer.counted(4, false), Some(Reason::Pending), "one is left, three are new");
    }

    #[test]
    fn urgent_mail_is_a_reason_unless_the_server_is_not_there() {
        let mut peer = peer(json!({ "route_at_once": 0 }));
        assert_eq!(peer.counted(1, false), None);
        assert_eq!(peer.counted(2, true), Some(Reason::Urgent));
        assert_eq!(peer.counted(2, true), None, "it was for somebody else");
        peer.end(last(Some("gone"), 0, 0), at("12:00"));
        assert_eq!(peer.counted(3, true), None);
    }

    #[test]
    fn calls_that_come_to_nothing_are_made_again_later_and_later() {
        let mut peer = peer(json!({ "retry_first": "10m", "retry_max": "30m" }));
        for (minutes, failures) in [("12:10", 1), ("12:20", 2), ("12:30", 3), ("12:30", 4)] {
            peer.end(last(Some("gone"), 0, 0), at("12:00"));
            assert_eq!(peer.due, Some((at(minutes), Reason::Retry)));
            assert_eq!((peer.failures, peer.cost()), (failures, 1 + u64::from(failures)));
        }
        // Not outside of the schedule.
        peer.end(last(Some("gone"), 0, 0), at("21:45"));
        assert_eq!(peer.due.map(|(_, reason)| reason), Some(Reason::LowPriority));
        peer.end(last(None, 0, 0), at("12:00"));
        assert_eq!(peer.due, Some((at("14:00"), Reason::Schedule)));
    }

    #[test]
    fn what_came_of_the_last_call_before_the_start_counts() {
        let mut peer = peer(json!({ "retry_first": "10m" }));
        peer.plan(at("12:01"));
        peer.recall(last(Some("gone"), 0, 0), 1, at("12:01"));
        assert_eq!((peer.due, peer.failures), (Some((at("12:11"), Reason::Retry)), 1));
        peer.end(last(None, 0, 0), at("12:20"));
        peer.recall(last(Some("gone"), 0, 0), 1, at("12:21"));
        assert_eq!(peer.last, Some(last(None, 0, 0)), "there was one since");
    }

    #[test]
    fn mail_that_is_not_urgent_has_calls_at_its_own_times() {
        let mut peer = peer(json!({}));
        let tomorrow = "2026-11-24T00:00:00Z".parse::<Timestamp>().unwrap();
        // Nobody knows what waits; it is looked at then.
        peer.plan(at("20:30"));
        assert_eq!(peer.due, Some((tomorrow, Reason::LowPriority)));
        peer.begin(Reason::LowPriority, tomorrow);
        peer.end_unmade(tomorrow);
        let morning = "2026-11-24T08:00:00Z".parse::<Timestamp>().unwrap();
        assert_eq!(peer.due, Some((morning, Reason::Schedule)));
        peer.keep_back(at("20:30"));
        assert_eq!(peer.due, Some((tomorrow, Reason::LowPriority)));
        // Whoever hands over everything leaves nothing to keep back.
        peer.begin(Reason::Route, at("20:31"));
        peer.end(last(None, 1, 1), at("20:31"));
        assert_eq!(peer.due, Some((morning, Reason::Schedule)));
    }

    #[test]
    fn without_times_of_its_own_it_goes_with_the_rest() {
        let mut peer = peer(json!({ "low_priority_times": [] }));
        peer.keep_back(at("20:30"));
        peer.plan(at("20:30"));
        assert_eq!(peer.due.map(|(_, reason)| reason), Some(Reason::Schedule));
    }
}
