//! The metrics service: makes and updates a plug-in's own metrics.

use stagepost_abi as abi;

use crate::arguments::size_of_u32;
use crate::base::answer;
use crate::host::Host;
use crate::metric::{Kind, Metric};

pub(super) static TABLE: abi::EmMetricsService = abi::EmMetricsService {
    size: size_of_u32::<abi::EmMetricsService>(),
    reserved: 0,
    counter,
    gauge,
    histogram,
    add,
    set,
    observe,
};

/// Makes a metric and hands it out.
///
/// # Safety
/// `host` is what em_entry was given; the texts are lent for the call; `metric` is NULL or a place for a handle.
unsafe fn make(
    host: *mut abi::EmHost,
    name: abi::EmText,
    help: abi::EmText,
    kind: &Kind<'_>,
    metric: *mut *mut abi::EmMetric,
) -> abi::STATUS {
    let find = || {
        // SAFETY: by the caller's promise.
        let host = unsafe { Host::from_handle(host) }.ok_or(abi::ERR_MISC_INVALID_ARGS)?;
        // SAFETY: by the caller's promise.
        let (name, help) = unsafe { (super::text(name)?, super::text(help)?) };
        Ok(host.add_metric(Metric::new(name, help, kind)?)?.handle())
    };
    // SAFETY: by the caller's promise.
    unsafe { super::hand_out(metric, find) }
}

unsafe extern "C" fn counter(
    host: *mut abi::EmHost,
    name: abi::EmText,
    help: abi::EmText,
    metric: *mut *mut abi::EmMetric,
) -> abi::STATUS {
    // SAFETY: the contract gives what `make` wants.
    unsafe { make(host, name, help, &Kind::Counter, metric) }
}

unsafe extern "C" fn gauge(
    host: *mut abi::EmHost,
    name: abi::EmText,
    help: abi::EmText,
    metric: *mut *mut abi::EmMetric,
) -> abi::STATUS {
    // SAFETY: the contract gives what `make` wants.
    unsafe { make(host, name, help, &Kind::Gauge, metric) }
}

unsafe extern "C" fn histogram(
    host: *mut abi::EmHost,
    name: abi::EmText,
    help: abi::EmText,
    bounds: *const f64,
    bounds_count: u64,
    metric: *mut *mut abi::EmMetric,
) -> abi::STATUS {
    if bounds.is_null() || !bounds.is_aligned() || bounds_count == 0 {
        return abi::ERR_MISC_INVALID_ARGS;
    }
    // More than any histogram may have need not be there to be refused.
    let Some(count) = usize::try_from(bounds_count).ok().filter(|count| *count <= 1024) else {
        return abi::EM_ERR_LIMIT;
    };
    // SAFETY: not NULL, and by the contract that many numbers, unchanged while the call lasts.
    let bounds = unsafe { std::slice::from_raw_parts(bounds, count) };
    // SAFETY: the contract gives what `make` wants.
    unsafe { make(host, name, help, &Kind::Histogram { bounds }, metric) }
}

/// Updates a metric.
///
/// # Safety
/// `metric` is NULL or what this service handed out.
unsafe fn update(
    metric: *const abi::EmMetric,
    change: impl FnOnce(&Metric) -> Result<(), abi::STATUS>,
) -> abi::STATUS {
    answer(|| {
        // SAFETY: by the caller's promise.
        change(unsafe { Metric::from_handle(metric) }.ok_or(abi::ERR_MISC_INVALID_ARGS)?)
    })
}

unsafe extern "C" fn add(metric: *mut abi::EmMetric, amount: i64) -> abi::STATUS {
    // SAFETY: the contract gives what `update` wants.
    unsafe { update(metric, |metric| metric.add(amount)) }
}

unsafe extern "C" fn set(metric: *mut abi::EmMetric, value: i64) -> abi::STATUS {
    // SAFETY: the contract gives what `update` wants.
    unsafe { update(metric, |metric| metric.set(value)) }
}

unsafe extern "C" fn observe(metric: *mut abi::EmMetric, value: f64) -> abi::STATUS {
    // SAFETY: the contract gives what `update` wants.
    unsafe { update(metric, |metric| metric.observe(value)) }
}
