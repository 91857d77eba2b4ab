//! The plug-in's own metrics: counters, gauges and histograms that the operator reads with those of the host.
//! Knows no name.

use std::fmt;
use std::ptr;

use stagepost_abi::{EmHost, EmMetric, EmMetricsService, EmText, STATUS};

use crate::call::{Refusal, check};
use crate::host::Host;
use crate::text::lend;

/// A metric of the host's. Updates can't fail: each kind has only the functions that it takes.
#[derive(Clone, Copy)]
struct Metric {
    handle: *mut EmMetric,
    table: &'static EmMetricsService,
}

// SAFETY: the handle is opaque and valid until the process ends; updates are [any-thread] in the contract.
unsafe impl Send for Metric {}
// SAFETY: as for Send.
unsafe impl Sync for Metric {}

macro_rules! opaque {
    ($($kind:ident)*) => {
        $(
            impl fmt::Debug for $kind {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.debug_struct(stringify!($kind)).finish_non_exhaustive()
                }
            }
        )*
    };
}
opaque! { Counter Gauge Histogram }

/// A number that only grows. Any thread, without a lock.
#[derive(Clone, Copy)]
pub struct Counter(Metric);

/// A number that goes up and down. Any thread, without a lock.
#[derive(Clone, Copy)]
pub struct Gauge(Metric);

/// Values by size. Any thread, without a lock.
#[derive(Clone, Copy)]
pub struct Histogram(Metric);

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds an amount.
    pub fn add(&self, amount: u32) {
        // SAFETY: a counter's handle; the status says only that it is none, or that the amount is below 0.
        unsafe { (self.0.table.add)(self.0.handle, amount.into()) };
    }
}

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: i64) {
        // SAFETY: a gauge's handle; the status says only that it is none.
        unsafe { (self.0.table.set)(self.0.handle, value) };
    }

    /// Adds an amount, or takes one away.
    pub fn add(&self, amount: i64) {
        // SAFETY: as above.
        unsafe { (self.0.table.add)(self.0.handle, amount) };
    }
}

impl Histogram {
    /// Adds a value. One that is no finite number is left out.
    pub fn observe(&self, value: f64) {
        // SAFETY: a histogram's handle; the status says only that it is none, or that the value is not finite.
        unsafe { (self.0.table.observe)(self.0.handle, value) };
    }
}

type Maker = unsafe extern "C" fn(*mut EmHost, EmText, EmText, *mut *mut EmMetric) -> STATUS;

/// Metrics are made in `Plugin::start`, and refused later.
///
/// - name: 1 to 64 of a-z, 0-9 and '_', beginning with a letter; the operator reads it as `plugin_NAME_METRIC`.
/// - help: what it tells, 1 to 256 octets in one line.
impl Host {
    /// Makes a counter, which begins at 0.
    pub fn counter(&self, name: &str, help: &str) -> Result<Counter, Refusal> {
        self.metric("counter", name, help, self.services().metrics.counter).map(Counter)
    }

    /// Makes a gauge, which begins at 0.
    pub fn gauge(&self, name: &str, help: &str) -> Result<Gauge, Refusal> {
        self.metric("gauge", name, help, self.services().metrics.gauge).map(Gauge)
    }

    /// Makes a histogram.
    ///
    /// - bounds: the upper bounds of its buckets, 1 to 64, finite and ascending; values above them are counted too.
    pub fn histogram(&self, name: &str, help: &str, bounds: &[f64]) -> Result<Histogram, Refusal> {
        let table = self.services().metrics;
        let mut handle = ptr::null_mut();
        // SAFETY: host and table belong together; the texts and the bounds are lent for the call.
        let status = unsafe {
            (table.histogram)(
                self.handle(),
                lend(name.as_bytes()),
                lend(help.as_bytes()),
                bounds.as_ptr(),
                bounds.len() as u64,
                &raw mut handle,
            )
        };
        check("histogram", status)?;
        Ok(Histogram(Metric { handle, table }))
    }

    fn metric(
        &self,
        call: &'static str,
        name: &str,
        help: &str,
        make: Maker,
    ) -> Result<Metric, Refusal> {
        let mut handle = ptr::null_mut();
        // SAFETY: host and function belong together; the texts are lent for the call.
        let status = unsafe {
            make(self.handle(), lend(name.as_bytes()), lend(help.as_bytes()), &raw mut handle)
        };
        check(call, status)?;
        Ok(Metric { handle, table: self.services().metrics })
    }
}
