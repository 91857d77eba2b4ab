//! The metrics service: a plug-in's own counters, gauges and histograms.

use crate::{EmHost, EmText, STATUS};

/// Id of EmMetricsService.
pub const EM_METRICS_ID: &core::ffi::CStr = c"em.metrics/1";

/// A metric of a plug-in. Opaque; valid until the process ends.
pub struct EmMetric {
    _opaque: [u8; 0],
}

/// Counts what the plug-in has to tell, beside what the host counts of it. The operator reads it with the host's own
/// metrics, in the text format of Prometheus, as `plugin_NAME_METRIC`, where NAME is the plug-in's with `_` for `-`.
///
/// A metric is made while em_entry runs and updated from any thread, without a lock. What makes one takes:
///
/// - name: 1 to 64 octets of a-z, 0-9 and '_', the first a letter, the last no '_', no two '_' in a row; not ending in
///   _total, _bucket, _sum, _count or _created, which the format adds by itself. Once a plug-in.
/// - help: what it tells, 1 to 256 octets without control characters.
/// - metric: receives the handle on success.
///
/// and returns NOERROR, ERR_MISC_INVALID_ARGS, EM_ERR_LIMIT (more than 64 metrics), EM_ERR_STAGE (outside em_entry).
/// An update returns NOERROR, EM_ERR_TYPE (a metric of another kind) or ERR_MISC_INVALID_ARGS; it has then changed nothing.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EmMetricsService {
    /// sizeof(EmMetricsService) of the host.
    pub size: u32,
    /// Zero.
    pub reserved: u32,

    /// Makes a counter: it begins at 0 and only grows. [main-thread & loading]
    pub counter: unsafe extern "C" fn(
        host: *mut EmHost,
        name: EmText,
        help: EmText,
        metric: *mut *mut EmMetric,
    ) -> STATUS,

    /// Makes a gauge: it begins at 0 and goes up and down. [main-thread & loading]
    pub gauge: unsafe extern "C" fn(
        host: *mut EmHost,
        name: EmText,
        help: EmText,
        metric: *mut *mut EmMetric,
    ) -> STATUS,

    /// Makes a histogram.
    ///
    /// - bounds: the upper bounds of its buckets, finite and ascending, copied; one more bucket takes what is above them.
    /// - bounds_count: 1 to 64.
    ///
    /// [main-thread & loading]
    pub histogram: unsafe extern "C" fn(
        host: *mut EmHost,
        name: EmText,
        help: EmText,
        bounds: *const f64,
        bounds_count: u64,
        metric: *mut *mut EmMetric,
    ) -> STATUS,

    /// Adds to a counter or a gauge; to a counter nothing below 0. [any-thread]
    pub add: unsafe extern "C" fn(metric: *mut EmMetric, amount: i64) -> STATUS,

    /// Sets a gauge. [any-thread]
    pub set: unsafe extern "C" fn(metric: *mut EmMetric, value: i64) -> STATUS,

    /// Adds a value to a histogram; it must be finite. Time is best given in seconds. [any-thread]
    pub observe: unsafe extern "C" fn(metric: *mut EmMetric, value: f64) -> STATUS,
}
