//! A fixed number of sessions, each going on as soon as it is answered.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::client::{Notice, Plan};
use crate::fault::Fault;
use crate::latency::Latencies;
use crate::meter::{Meter, Spent};
use crate::report::Errors;
use crate::script::Script;
use crate::swarm::Swarm;

/// Not counted: connections are made, caches filled.
pub(crate) const WARM_UP: Duration = Duration::from_millis(300);

/// How long sessions may take to end after the measurement.
pub(crate) const RETIRE_LIMIT: Duration = Duration::from_secs(5);

/// A session that failed is opened again after this, not at once: a target that refuses
/// everything is not to be hammered.
const RETRY_PAUSE: Duration = Duration::from_millis(10);

/// How to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClosedLoop<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) pid: Option<u32>,
    pub(crate) script: &'a Script,
    pub(crate) plan: Plan,
    pub(crate) sessions: u32,
    pub(crate) duration: Duration,
}

/// What happened between warm-up and end; errors are of the whole run.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) accepted: u64,
    pub(crate) closed: u64,
    pub(crate) body: Latencies,
    pub(crate) transaction: Latencies,
    pub(crate) errors: Errors,
    pub(crate) spent: Spent,
}

impl ClosedLoop<'_> {
    pub(crate) fn run(self) -> Result<Tally, Fault> {
        let waiting = || Fault::system(format!("wait for {}", self.address));
        let mut swarm = Swarm::new(self.address, self.script).map_err(waiting())?;
        let mut slots = Slots { vacant: self.sessions, failed: 0, retry: Instant::now() };
        let mut errors = Errors::default();
        self.pass(&mut swarm, &mut slots, WARM_UP, |notice| note_error(notice, &mut errors))
            .map_err(waiting())?;

        let meter = Meter::start(self.pid)?;
        let (mut accepted, mut closed) = (0, 0);
        let (mut body, mut transaction) = (Latencies::default(), Latencies::default());
        self.pass(&mut swarm, &mut slots, self.duration, |notice| match notice {
            Notice::Accepted { transaction: whole, body: after_dot, .. } => {
                accepted += 1;
                body.push(after_dot);
                transaction.push(whole);
            }
            Notice::Closed => closed += 1,
            other => note_error(other, &mut errors),
        })
        .map_err(waiting())?;
        let spent = meter.stop()?;

        swarm.retire(RETIRE_LIMIT).map_err(waiting())?;
        swarm.notices().for_each(|notice| note_error(notice, &mut errors));
        for _ in 0..swarm.len() {
            errors.add(format!("still open {RETIRE_LIMIT:?} after the end"));
        }
        Ok(Tally { accepted, closed, body, transaction, errors, spent })
    }

    fn pass(
        &self,
        swarm: &mut Swarm<'_>,
        slots: &mut Slots,
        duration: Duration,
        mut take: impl FnMut(Notice),
    ) -> std::io::Result<()> {
        let mut now = Instant::now();
        let end = now + duration;
        while now < end {
            for _ in 0..slots.take(now) {
                swarm.open(self.plan, now);
            }
            swarm.turn((end - now).min(slots.pause(now)))?;
            for notice in swarm.notices() {
                if let Notice::Vacant { failed, .. } = notice {
                    slots.add(failed);
                } else {
                    take(notice);
                }
            }
            now = Instant::now();
        }
        Ok(())
    }
}

/// Counts a notice if it is an error.
pub(crate) fn note_error(notice: Notice, errors: &mut Errors) {
    if let Notice::Refused(text) = notice {
        errors.add(text);
    }
}

/// Sessions to be opened.
#[derive(Debug)]
struct Slots {
    vacant: u32,
    failed: u32,
    retry: Instant,
}

impl Slots {
    fn add(&mut self, failed: bool) {
        if failed {
            self.failed += 1;
        } else {
            self.vacant += 1;
        }
    }

    fn take(&mut self, now: Instant) -> u32 {
        let mut count = std::mem::take(&mut self.vacant);
        if self.failed > 0 && now >= self.retry {
            count += std::mem::take(&mut self.failed);
            self.retry = now + RETRY_PAUSE;
        }
        count
    }

    fn pause(&self, now: Instant) -> Duration {
        if self.failed == 0 { Duration::MAX } else { self.retry.saturating_duration_since(now) }
    }
}
