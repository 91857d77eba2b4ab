//! The metrics service of the fake host.

use stagepost_abi::*;

use super::{Fake, fake, read, write};

pub(super) static METRICS: EmMetricsService = EmMetricsService {
    size: size_of::<EmMetricsService>() as u32,
    reserved: 0,
    counter: metrics_counter,
    gauge: metrics_gauge,
    histogram: metrics_histogram,
    add: metrics_add,
    set: metrics_set,
    observe: metrics_observe,
};

/// A metric, and what was done with it.
struct Metric {
    host: &'static Fake,
    name: String,
}

fn metric(host: *mut EmHost, kind: &str, name: EmText, help: EmText) -> Option<*mut EmMetric> {
    let (host, name) = (fake(host), read(name));
    if name == "refused" {
        return None;
    }
    host.log.lock().unwrap().push(format!("{kind} {name}: {}", read(help)));
    Some(Box::into_raw(Box::new(Metric { host, name })).cast())
}

fn note_metric(metric: *mut EmMetric, line: String) -> STATUS {
    // SAFETY: the handle is what `metric` made, and is never freed.
    let metric = unsafe { &*metric.cast::<Metric>() };
    metric.host.log.lock().unwrap().push(format!("{} {line}", metric.name));
    NOERROR
}

unsafe extern "C" fn metrics_counter(
    host: *mut EmHost,
    name: EmText,
    help: EmText,
    value: *mut *mut EmMetric,
) -> STATUS {
    write(value, metric(host, "counter", name, help))
}

unsafe extern "C" fn metrics_gauge(
    host: *mut EmHost,
    name: EmText,
    help: EmText,
    value: *mut *mut EmMetric,
) -> STATUS {
    write(value, metric(host, "gauge", name, help))
}

unsafe extern "C" fn metrics_histogram(
    host: *mut EmHost,
    name: EmText,
    help: EmText,
    bounds: *const f64,
    count: u64,
    value: *mut *mut EmMetric,
) -> STATUS {
    // SAFETY: the SDK lends that many for the call.
    let bounds = unsafe { std::slice::from_raw_parts(bounds, count as usize) };
    write(value, metric(host, &format!("histogram {bounds:?}"), name, help))
}

unsafe extern "C" fn metrics_add(metric: *mut EmMetric, amount: i64) -> STATUS {
    note_metric(metric, format!("add {amount}"))
}

unsafe extern "C" fn metrics_set(metric: *mut EmMetric, value: i64) -> STATUS {
    note_metric(metric, format!("set {value}"))
}

unsafe extern "C" fn metrics_observe(metric: *mut EmMetric, value: f64) -> STATUS {
    note_metric(metric, format!("observe {value}"))
}
