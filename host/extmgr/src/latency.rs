//! A histogram of durations: four buckets for each doubling, from 64 ns to more than an hour.
//! Written from any thread without a lock and without an allocation; knows nothing of what is measured.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Durations up to 2 to this power, in nanoseconds, share the first bucket.
const FIRST_POWER: u32 = 6;
/// Durations beyond 2 to this power share the last bucket.
const LAST_POWER: u32 = 42;
/// Buckets of one doubling.
const STEPS: usize = 4;
const BUCKETS: usize = (LAST_POWER - FIRST_POWER) as usize * STEPS + 2;

/// The histogram.
pub(crate) struct Latency {
    buckets: [AtomicU64; BUCKETS],
    sum_ns: AtomicU64,
}

impl Default for Latency {
    fn default() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS], sum_ns: AtomicU64::new(0) }
    }
}

impl Latency {
    /// Adds one duration.
    pub(crate) fn add(&self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(ns)].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// The figures of this moment.
    pub(crate) fn read(&self) -> LatencyFigures {
        LatencyFigures {
            buckets: self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect(),
            sum_ns: self.sum_ns.load(Ordering::Relaxed),
        }
    }
}

/// The bucket of a duration: the first one whose bound is not below it.
fn bucket(ns: u64) -> usize {
    // Bounds belong to the bucket below them, as Prometheus wants it.
    let ns = ns.saturating_sub(1);
    let Some(power) = ns.checked_ilog2().filter(|power| *power >= FIRST_POWER) else { return 0 };
    let step = (ns >> (power - 2)) as usize % STEPS;
    (1 + (power - FIRST_POWER) as usize * STEPS + step).min(BUCKETS - 1)
}

/// The longest duration of a bucket, in nanoseconds; the last bucket has none.
fn bound_ns(bucket: usize) -> Option<u64> {
    match bucket {
        0 => Some(1 << FIRST_POWER),
        bucket if bucket < BUCKETS - 1 => {
            let (power, step) = ((bucket - 1) / STEPS, (bucket - 1) % STEPS);
            Some((STEPS + 1 + step) as u64 * (1 << (FIRST_POWER as usize + power - 2)))
        }
        _ => None,
    }
}

/// A histogram as it was read. Counts of one moment may be torn by calls that end meanwhile, by no more than those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatencyFigures {
    buckets: Box<[u64]>,
    sum_ns: u64,
}

impl LatencyFigures {
    /// How many durations there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// All durations together.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_ns)
    }

    /// The bound below which a share of the durations lies, 0.5 for half of them; none without durations. At most a
    /// quarter above the truth.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let wanted = (share * self.count() as f64).ceil().max(1.0);
        let mut below = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            below += count;
            if *count > 0 && below as f64 >= wanted {
                let last = 1 << LAST_POWER;
                return Some(Duration::from_nanos(bound_ns(bucket).unwrap_or(last)));
            }
        }
        None
    }

    /// A coarser histogram, for each doubling the bound in nanoseconds and how many durations are not above it.
    pub fn doublings(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut below = 0;
        self.buckets.iter().enumerate().filter_map(move |(bucket, count)| {
            below += count;
            let bound = bound_ns(bucket)?;
            bound.is_power_of_two().then_some((bound, below))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_in_the_first_bucket_that_can_hold_it() {
        assert_eq!(bound_ns(BUCKETS - 2), Some(1 << LAST_POWER));
        assert_eq!(bucket(0), 0);
        for at in 0..BUCKETS - 1 {
            let bound = bound_ns(at).unwrap();
            assert_eq!(bucket(bound), at, "{bound}");
            assert_eq!(bucket(bound + 1), at + 1, "{bound}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_and_doublings_agree_with_what_was_added() {
        let latency = Latency::default();
        assert_eq!(latency.read().quantile(0.5), None);
        for us in 1..=100 {
            latency.add(Duration::from_micros(us));
        }
        let read = latency.read();
        assert_eq!((read.count(), read.sum()), (100, Duration::from_micros(5050)));
        for (share, us) in [(0.0, 1), (0.5, 50), (0.99, 99), (1.0, 100)] {
            let (found, wanted) = (read.quantile(share).unwrap(), Duration::from_micros(us));
            assert!(found >= wanted && found <= wanted.mul_f64(1.25), "{share}: {found:?}");
        }
        let doublings: Vec<_> = read.doublings().collect();
        assert_eq!(doublings.first(), Some(&(64, 0)));
        assert!(doublings.contains(&(65_536, 65)));
        assert_eq!(doublings.last(), Some(&(1 << LAST_POWER, 100)));
    }
}
