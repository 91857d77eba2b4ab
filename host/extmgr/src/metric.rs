//! Metrics of plug-ins: made while a plug-in loads, updated from any thread without a lock.
//! Knows their names and values; knows no form of showing them.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use stagepost_abi as abi;

/// Marks a `Metric`, so that a wrong pointer from a plug-in is mostly told.
const MAGIC: u64 = 0x5354_4147_454d_5452;

/// The most metrics of one plug-in.
pub(crate) const METRICS_MAX: usize = 64;
/// The most bounds of one histogram.
const BOUNDS_MAX: usize = 64;

/// A metric. `EmMetric *` points to one of these, which lives until the process ends.
pub(crate) struct Metric {
    magic: u64,
    /// As the plug-in named it.
    pub(crate) name: String,
    help: String,
    value: Value,
}

enum Value {
    Counter(AtomicI64),
    Gauge(AtomicI64),
    Histogram(Histogram),
}

struct Histogram {
    bounds: Box<[f64]>,
    /// One for each bound, and one for what is above them.
    counts: Box<[AtomicU64]>,
    /// The bits of the sum.
    sum: AtomicU64,
}

/// What kind of metric a plug-in asks for.
pub(crate) enum Kind<'a> {
    Counter,
    Gauge,
    Histogram { bounds: &'a [f64] },
}

impl Metric {
    /// Makes a metric, if name, help and bounds can be.
    pub(crate) fn new(name: &str, help: &str, kind: &Kind<'_>) -> Result<Self, abi::STATUS> {
        let told = (1..=256).contains(&help.len()) && !help.chars().any(char::is_control);
        if !is_name(name) || !told {
            return Err(abi::ERR_MISC_INVALID_ARGS);
        }
        let value = match kind {
            Kind::Counter => Value::Counter(AtomicI64::new(0)),
            Kind::Gauge => Value::Gauge(AtomicI64::new(0)),
            Kind::Histogram { bounds } => Value::Histogram(Histogram::new(bounds)?),
        };
        Ok(Self { magic: MAGIC, name: name.to_owned(), help: help.to_owned(), value })
    }

    /// The handle that the plug-in is given.
    pub(crate) fn handle(&'static self) -> *mut abi::EmMetric {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    /// The metric behind a handle that came from a plug-in.
    ///
    /// # Safety
    /// `handle` is NULL or points to readable memory of a `Metric`'s size; a contract-keeping plug-in only has the pointer
    /// from [`Self::handle`].
    pub(crate) unsafe fn from_handle(handle: *const abi::EmMetric) -> Option<&'static Self> {
        let metric = handle.cast::<Self>();
        if !metric.is_aligned() {
            return None;
        }
        // SAFETY: readable by the caller's promise; metrics are never freed, so 'static holds.
        let metric = unsafe { metric.as_ref() }?;
        (metric.magic == MAGIC).then_some(metric)
    }

    pub(crate) fn add(&self, amount: i64) -> Result<(), abi::STATUS> {
        match &self.value {
            Value::Counter(_) if amount < 0 => return Err(abi::ERR_MISC_INVALID_ARGS),
            Value::Counter(value) | Value::Gauge(value) => {
                // At its end it stays: one that began anew would seem to be another's.
                let add = |now: i64| Some(now.saturating_add(amount));
                // It gives up never, since `add` always has an answer.
                let _ = value.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
            }
            Value::Histogram(_) => return Err(abi::EM_ERR_TYPE),
        }
        Ok(())
    }

    pub(crate) fn set(&self, value: i64) -> Result<(), abi::STATUS> {
        let Value::Gauge(gauge) = &self.value else { return Err(abi::EM_ERR_TYPE) };
        gauge.store(value, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn observe(&self, value: f64) -> Result<(), abi::STATUS> {
        let Value::Histogram(histogram) = &self.value else { return Err(abi::EM_ERR_TYPE) };
        if !value.is_finite() {
            return Err(abi::ERR_MISC_INVALID_ARGS);
        }
        histogram.observe(value);
        Ok(())
    }

    /// The metric as it is now.
    pub(crate) fn read(&self) -> MetricFigures {
        let value = match &self.value {
            Value::Counter(value) => MetricValue::Counter(value.load(Ordering::Relaxed)),
            Value::Gauge(value) => MetricValue::Gauge(value.load(Ordering::Relaxed)),
            Value::Histogram(histogram) => MetricValue::Histogram {
                bounds: histogram.bounds.to_vec(),
                counts: histogram.counts.iter().map(|n| n.load(Ordering::Relaxed)).collect(),
                sum: f64::from_bits(histogram.sum.load(Ordering::Relaxed)),
            },
        };
        MetricFigures { name: self.name.clone(), help: self.help.clone(), value }
    }
}

impl Histogram {
    fn new(bounds: &[f64]) -> Result<Self, abi::STATUS> {
        let finite = bounds.iter().all(|bound| bound.is_finite());
        if bounds.is_empty() || !finite || !bounds.is_sorted_by(|a, b| a < b) {
            return Err(abi::ERR_MISC_INVALID_ARGS);
        }
        if bounds.len() > BOUNDS_MAX {
            return Err(abi::EM_ERR_LIMIT);
        }
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Ok(Self { bounds: bounds.into(), counts, sum: AtomicU64::new(0) })
    }

    fn observe(&self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let add = |sum| Some((f64::from_bits(sum) + value).to_bits());
        // It gives up never, since `add` always has an answer.
        let _ = self.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

/// Whether a metric can have this name: none that, with what Prometheus adds to names, could be mistaken for another.
fn is_name(name: &str) -> bool {
    let sound = |octet: u8| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'_');
    let taken = ["_total", "_bucket", "_sum", "_count", "_created"];
    (1..=64).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(sound)
        && !name.ends_with('_')
        && !name.contains("__")
        && !taken.iter().any(|end| name.ends_with(end))
}

/// A metric of a plug-in, as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricFigures {
    /// As the plug-in named it.
    pub name: String,
    /// What it tells.
    pub help: String,
    /// Its value.
    pub value: MetricValue,
}

/// The value of a metric.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricValue {
    /// Only grows.
    Counter(i64),
    /// Goes up and down.
    Gauge(i64),
    /// Values by size.
    Histogram {
        /// The upper bounds of the buckets.
        bounds: Vec<f64>,
        /// What is in each bucket, and at the end what is above them all.
        counts: Vec<u64>,
        /// All values together.
        sum: f64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_format_could_mistake_are_refused() {
        let longest = "n".repeat(64);
        for name in ["a", "hits", "cache_hits", "a1_2", &longest] {
            assert!(is_name(name), "{name}");
        }
        let longer = "n".repeat(65);
        for name in
            ["", "1a", "_a", "a_", "a__b", "A", "a-b", "ä", "a b", "hits_total", "x_sum", &longer]
        {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn a_counter_that_is_full_stays_so() {
        let of = |kind| Metric::new("m", "help", &kind).unwrap();
        let (counter, gauge) = (of(Kind::Counter), of(Kind::Gauge));
        for (metric, amount) in
            [(&counter, i64::MAX), (&counter, 7), (&gauge, i64::MIN), (&gauge, -7)]
        {
            metric.add(amount).unwrap();
        }
        assert_eq!(counter.read().value, MetricValue::Counter(i64::MAX));
        assert_eq!(gauge.read().value, MetricValue::Gauge(i64::MIN));
        assert_eq!(counter.add(-1), Err(abi::ERR_MISC_INVALID_ARGS));
    }

    #[test]
    fn bounds_are_finite_and_ascend() {
        let made = |bounds: &[f64]| Metric::new("m", "help", &Kind::Histogram { bounds }).err();
        assert_eq!(made(&[0.1]), None);
        assert_eq!(made(&[-1.0, 0.0, 2.5]), None);
        for bounds in [&[][..], &[1.0, 1.0], &[2.0, 1.0], &[f64::NAN], &[f64::INFINITY]] {
            assert_eq!(made(bounds), Some(abi::ERR_MISC_INVALID_ARGS), "{bounds:?}");
        }
        let many: Vec<f64> = (0..65).map(f64::from).collect();
        assert_eq!(made(&many), Some(abi::EM_ERR_LIMIT));
        assert!(Metric::new("m", "two\nlines", &Kind::Counter).is_err());
        assert!(Metric::new("m", "", &Kind::Counter).is_err());
    }

    #[test]
    fn values_are_in_the_first_bucket_that_can_hold_them() {
        let bounds = [1.0, 2.0];
        let metric = Metric::new("m", "help", &Kind::Histogram { bounds: &bounds }).unwrap();
        for value in [0.5, 1.0, 1.5, 99.0] {
            metric.observe(value).unwrap();
        }
        assert_eq!(metric.observe(f64::NAN), Err(abi::ERR_MISC_INVALID_ARGS));
        assert_eq!(metric.add(1), Err(abi::EM_ERR_TYPE));
        let wanted =
            MetricValue::Histogram { bounds: bounds.to_vec(), counts: vec![2, 1, 1], sum: 102.0 };
        assert_eq!(metric.read().value, wanted);
    }
}
