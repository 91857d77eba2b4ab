//! Durations of many messages, and their percentiles.

use std::time::Duration;

/// Latencies in nanoseconds, in the order they came.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<u64>);

impl Latencies {
    pub(crate) fn push(&mut self, latency: Duration) {
        self.0.push(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Returns the given percentiles in microseconds, `None` when nothing was measured.
    pub(crate) fn percentiles_us<const N: usize>(mut self, percents: [u32; N]) -> [Option<f64>; N] {
        self.0.sort_unstable();
        percents.map(|percent| percentile(&self.0, percent).map(|nanos| nanos as f64 / 1000.0))
    }
}

/// Nearest rank: the least value that is not below `percent` of all.
fn percentile(sorted: &[u64], percent: u32) -> Option<u64> {
    let rank = (sorted.len() * percent as usize).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::{Duration, Latencies, percentile};

    #[test]
    fn nearest_rank() {
        let hundred: Vec<u64> = (1..=100).collect();
        let cases: [(&[u64], u32, Option<u64>); 11] = [
            (&[], 50, None),
            (&[7], 0, Some(7)),
            (&[7], 50, Some(7)),
            (&[7], 99, Some(7)),
            (&[1, 2], 50, Some(1)),
            (&[1, 2], 99, Some(2)),
            (&[1, 2, 3], 50, Some(2)),
            (&hundred, 50, Some(50)),
            (&hundred, 99, Some(99)),
            (&hundred, 100, Some(100)),
            (&hundred[..10], 99, Some(10)),
        ];
        for (sorted, percent, expected) in cases {
            assert_eq!(percentile(sorted, percent), expected, "p{percent} of {sorted:?}");
        }
    }

    #[test]
    fn in_microseconds_and_any_order() {
        let mut latencies = Latencies::default();
        for micros in [3, 1, 2] {
            latencies.push(Duration::from_micros(micros));
        }
        assert_eq!(latencies.percentiles_us([50, 99]), [Some(2.0), Some(3.0)]);
    }
}
