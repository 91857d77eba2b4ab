//! Mirrors of the metrics service.
//! Knows no id and calls nothing.

use abi_stable::StableAbi;
use stagepost_abi::STATUS;

use crate::mirror::base::{EmHost, EmText};

#[repr(C)]
#[derive(StableAbi)]
pub(crate) struct EmMetric {
    opaque: [u8; 0],
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmMetricsServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmMetricsService {
    size: u32,
    reserved: u32,
    counter: unsafe extern "C" fn(
        host: *mut EmHost,
        name: EmText,
        help: EmText,
        metric: *mut *mut EmMetric,
    ) -> STATUS,
    gauge: unsafe extern "C" fn(
        host: *mut EmHost,
        name: EmText,
        help: EmText,
        metric: *mut *mut EmMetric,
    ) -> STATUS,
    histogram: unsafe extern "C" fn(
        host: *mut EmHost,
        name: EmText,
        help: EmText,
        bounds: *const f64,
        bounds_count: u64,
        metric: *mut *mut EmMetric,
    ) -> STATUS,
    add: unsafe extern "C" fn(metric: *mut EmMetric, amount: i64) -> STATUS,
    set: unsafe extern "C" fn(metric: *mut EmMetric, value: i64) -> STATUS,
    #[sabi(last_prefix_field)]
    observe: unsafe extern "C" fn(metric: *mut EmMetric, value: f64) -> STATUS,
}

crate::mirror::twins! {
    EmMetricsService { size, reserved, counter, gauge, histogram, add, set, observe }
}
