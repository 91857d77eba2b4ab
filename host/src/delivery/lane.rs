//! How much goes to the same servers at a time: less when they want less, for a while nothing when none can be talked to.
//! Knows no clock, no lock and no queue: it is told the time, and how attempts have ended.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::Pace;

/// How many deliveries go at a time to servers of which nothing is known.
const START: u32 = 5;
/// The first pause for servers that want less than the least, and the longest. Mail waits in the queue meanwhile.
const SLOW_FIRST: Duration = Duration::from_secs(1);
const SLOW_MAX: Duration = Duration::from_secs(60);
/// With each success the rate grows by such a part of the greatest.
const RATE_STEPS: f64 = 50.0;
/// What a second allows may go at once.
const BURST: Duration = Duration::from_secs(1);

/// What an attempt says of the servers that it was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// They took the message, or refused it for good: that is no burden to them.
    Well,
    /// They want less.
    Busy,
    /// None could be talked to.
    Down,
    /// They could be, and TLS with them is not what mail must have: only what asks for nothing of TLS may still go.
    Untrusted,
    /// Nothing.
    Unknown,
}

/// How long servers are left alone when none can be talked to: twice as long each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pauses {
    /// After the first attempt that failed.
    pub(crate) first: Duration,
    /// At most.
    pub(crate) max: Duration,
}

/// Whether anything may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    /// The servers want less than the least that there is: nothing goes before this time.
    Slowed(Instant),
    /// No server could be talked to, or be trusted. From this time on one attempt finds out whether that is over.
    Shut(Instant),
}

/// The state of one lane.
#[derive(Debug)]
pub(super) struct Lane {
    pace: Pace,
    /// None: nobody is at its end who could want less.
    pauses: Option<Pauses>,
    running: u32,
    /// So many ran at once since none did, or since the last setback.
    peak: u32,
    /// So many may run.
    window: f64,
    /// Up to here the window grows with each success by one, beyond by one for all that it holds.
    ease: f64,
    per_minute: f64,
    /// When the next delivery may begin as far as the rate says.
    next_at: Option<Instant>,
    /// What began before says nothing new of a setback.
    setback_at: Option<Instant>,
    well_at: Option<Instant>,
    /// Setbacks in a row that the window could not answer.
    misses: u32,
    gate: Gate,
    /// Where it is shut: there are servers, and none that can be trusted.
    untrusted: bool,
}

/// What may go now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Free {
    pub(super) count: u32,
    /// Not before; none: now.
    pub(super) from: Option<Instant>,
}

impl Lane {
    /// A lane of which nothing is known.
    pub(super) fn new(pace: Pace, pauses: Option<Pauses>) -> Self {
        let start = if pauses.is_some() { START.max(pace.at_once_min) } else { pace.at_once_max };
        Self {
            pace,
            pauses,
            running: 0,
            peak: 0,
            window: f64::from(start.min(pace.at_once_max)),
            ease: f64::from(pace.at_once_max),
            per_minute: f64::from(pace.per_minute_max.unwrap_or(0)),
            next_at: None,
            setback_at: None,
            well_at: None,
            misses: 0,
            gate: Gate::Open,
            untrusted: false,
        }
    }

    /// How many deliveries run.
    pub(super) fn running(&self) -> u32 {
        self.running
    }

    /// How many may run, all together.
    pub(super) fn allowed(&self, now: Instant) -> u32 {
        match self.gate {
            Gate::Shut(until) if now < until => 0,
            // One finds out.
            Gate::Shut(_) => 1,
            Gate::Open | Gate::Slowed(_) => self.window as u32,
        }
    }

    /// How many messages may begin in a minute; none: as many as there are.
    pub(super) fn per_minute(&self) -> Option<u32> {
        self.pace.per_minute_max.map(|_| self.per_minute as u32)
    }

    /// Until when nothing is tried since no server could be talked to.
    pub(super) fn shut_until(&self, now: Instant) -> Option<Instant> {
        match self.gate {
            Gate::Shut(until) if now < until => Some(until),
            _ => None,
        }
    }

    /// Until when nothing begins, whatever the reason.
    pub(super) fn next_attempt(&self, now: Instant) -> Option<Instant> {
        let slowed = match self.gate {
            Gate::Slowed(until) | Gate::Shut(until) => Some(until),
            Gate::Open => None,
        };
        slowed.max(self.paced_from()).filter(|until| now < *until)
    }

    /// Whether nothing keeps mail back but how much of it there is.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.gate, Gate::Open)
    }

    /// Whether the next attempt is to find out whether there is anybody.
    pub(super) fn is_failing(&self) -> bool {
        matches!(self.gate, Gate::Shut(_))
    }

    /// Whether what asks for nothing of TLS may go all the same.
    pub(super) fn is_untrusted(&self) -> bool {
        self.is_failing() && self.untrusted
    }

    /// Whether it is as one of which nothing is known, so that it may be forgotten.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        self.running == 0 && self.next_attempt(now).is_none() && !self.is_failing()
    }

    /// How many deliveries more may go.
    pub(super) fn free(&self, now: Instant) -> Free {
        let count = |most: u32| most.saturating_sub(self.running);
        match self.gate {
            // They only come to be put off, which keeps nobody waiting.
            Gate::Shut(until) if now < until => {
                Free { count: count(self.pace.at_once_max), from: None }
            }
            Gate::Slowed(until) if now < until => {
                Free { count: count(self.window as u32), from: Some(until) }
            }
            _ => {
                let count = count(self.allowed(now));
                match self.paced_from().filter(|from| now < *from) {
                    Some(from) => Free { count, from: Some(from) },
                    None => Free { count: count.min(self.paced(now)), from: None },
                }
            }
        }
    }

    /// One delivery more has come.
    pub(super) fn enter(&mut self, now: Instant) {
        self.running += 1;
        self.peak = self.peak.max(self.running);
        if let Some(interval) = self.interval().filter(|_| self.shut_until(now).is_none()) {
            self.next_at = Some(self.next_at.map_or(now, |next| next.max(now)) + interval);
        }
    }

    /// One has gone.
    pub(super) fn leave(&mut self) {
        self.running = self.running.saturating_sub(1);
        if self.running == 0 {
            self.peak = 0;
        }
    }

    /// Learns how an attempt has ended, before it leaves; whether there is somebody again after there was nobody.
    ///
    /// - begun: when the attempt began. spread: what a pause is to be multiplied by, about 1.
    pub(super) fn end(
        &mut self,
        begun: Instant,
        standing: Standing,
        now: Instant,
        spread: f64,
    ) -> bool {
        let Some(pauses) = self.pauses else { return false };
        // Servers that take from some connections while they refuse others only want fewer of them.
        let taking = self.well_at.is_some_and(|at| at > begun);
        match standing {
            Standing::Unknown => false,
            Standing::Well => self.do_well(now),
            // Other mail went to them meanwhile, and how much they take is not the question.
            Standing::Untrusted if taking => false,
            Standing::Down | Standing::Untrusted if !taking => {
                if self.is_news(begun) {
                    self.shut(pauses, now, spread);
                    self.untrusted = standing == Standing::Untrusted;
                }
                false
            }
            Standing::Busy | Standing::Down | Standing::Untrusted => {
                if self.is_news(begun) {
                    self.do_less(pauses.max, now, spread);
                }
                false
            }
        }
    }

    /// Somebody wants mail to be tried now, whatever was found out before.
    pub(super) fn reopen(&mut self, now: Instant) {
        match &mut self.gate {
            Gate::Open => {}
            Gate::Slowed(until) | Gate::Shut(until) => *until = now.min(*until),
        }
    }

    fn is_news(&self, begun: Instant) -> bool {
        self.setback_at.is_none_or(|at| begun >= at)
    }

    fn do_well(&mut self, now: Instant) -> bool {
        let recovered = self.is_failing();
        self.gate = Gate::Open;
        self.misses = 0;
        self.well_at = Some(now);
        // A window that is not used tells nothing of a wider one.
        if f64::from(self.peak) * 2.0 > self.window {
            self.window += if self.window < self.ease { 1.0 } else { 1.0 / self.window };
            self.window = self.window.min(f64::from(self.pace.at_once_max));
        }
        if let Some(max) = self.pace.per_minute_max.map(f64::from) {
            self.per_minute = (self.per_minute + max / RATE_STEPS).min(max);
        }
        recovered
    }

    fn do_less(&mut self, most: Duration, now: Instant, spread: f64) {
        self.setback_at = Some(now);
        self.peak = self.running;
        let least = f64::from(self.pace.at_once_min);
        let rate_least = self.pace.per_minute_min.map_or(0.0, f64::from);
        let could = self.window > least || self.per_minute > rate_least;
        self.window = (self.window / 2.0).floor().max(least);
        self.ease = self.window;
        self.per_minute = (self.per_minute / 2.0).max(rate_least);
        if !could && !self.is_failing() {
            self.misses += 1;
            let pause = doubled(SLOW_FIRST, self.misses).min(SLOW_MAX).min(most);
            self.gate = Gate::Slowed(now + pause.mul_f64(spread));
        }
    }

    fn shut(&mut self, pauses: Pauses, now: Instant, spread: f64) {
        self.setback_at = Some(now);
        self.misses += 1;
        let least = f64::from(self.pace.at_once_min);
        // A probe that fails says nothing of how much they would take.
        if !self.is_failing() {
            self.ease = (self.window / 2.0).floor().max(least);
        }
        self.window = least;
        let pause = doubled(pauses.first, self.misses).min(pauses.max);
        self.gate = Gate::Shut(now + pause.mul_f64(spread));
    }

    fn interval(&self) -> Option<Duration> {
        self.pace.per_minute_max.map(|_| Duration::from_secs(60).div_f64(self.per_minute.max(1.0)))
    }

    /// From when on the rate lets another delivery begin.
    fn paced_from(&self) -> Option<Instant> {
        let ahead = BURST.saturating_sub(self.interval()?);
        self.next_at.map(|next| next.checked_sub(ahead).unwrap_or(next))
    }

    /// How many the rate lets begin now, given that it lets one.
    fn paced(&self, now: Instant) -> u32 {
        let Some(interval) = self.interval() else { return u32::MAX };
        let next = self.next_at.map_or(now, |next| next.max(now));
        let ahead = BURST.saturating_sub(interval).saturating_sub(next - now);
        1 + (ahead.as_secs_f64() / interval.as_secs_f64()) as u32
    }
}

/// A time, twice as long at each turn but the first.
fn doubled(first: Duration, turn: u32) -> Duration {
    first.saturating_mul(1u32.checked_shl(turn.saturating_sub(1)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
