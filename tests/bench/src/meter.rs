//! What a stretch of time cost: the clock, the target's CPU and our own.

use std::time::{Duration, Instant};

use crate::fault::Fault;
use crate::process;

/// A running measurement.
#[derive(Debug)]
pub(crate) struct Meter {
    pid: Option<u32>,
    target: Option<Duration>,
    own: Duration,
    started: Instant,
}

/// What was spent between start and stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    pub(crate) elapsed: Duration,
    own: Duration,
    target: Option<Duration>,
}

impl Meter {
    pub(crate) fn start(pid: Option<u32>) -> Result<Self, Fault> {
        let target = pid.map(process::cpu).transpose()?;
        Ok(Self { pid, target, own: process::own_cpu(), started: Instant::now() })
    }

    pub(crate) fn stop(self) -> Result<Spent, Fault> {
        let elapsed = self.started.elapsed();
        let own = process::own_cpu().saturating_sub(self.own);
        let now = self.pid.map(process::cpu).transpose()?;
        let target = now.zip(self.target).map(|(now, then)| now.saturating_sub(then));
        Ok(Spent { elapsed, own, target })
    }
}

impl Spent {
    pub(crate) fn per_second(&self, count: u64) -> Option<f64> {
        Some(count as f64 / self.elapsed.as_secs_f64())
    }

    pub(crate) fn own_us_per(&self, count: u64) -> Option<f64> {
        micros_per(self.own, count)
    }

    pub(crate) fn target_us_per(&self, count: u64) -> Option<f64> {
        micros_per(self.target?, count)
    }
}

/// Microseconds for each of so many.
pub(crate) fn micros_per(spent: Duration, count: u64) -> Option<f64> {
    (count > 0).then(|| spent.as_secs_f64() * 1e6 / count as f64)
}
