//! What the file says of deliveries: those that no route speaks of, and routes.
//! Knows names and types of fields; what they come to is resolved elsewhere.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::{Concurrency, Expiry, Notice, RetryFactor, RetryTime};
use crate::config::duration::Period;
use crate::config::name::{MailAddress, NameOfQueue};
use crate::config::number::Count;
use crate::config::routing::{DomainPattern, TlsPolicy, Way};
use crate::config::settings;

/// Messages that begin in a minute.
pub(in crate::config) type PerMinute = Count<1, 1_000_000>;

/// `[delivery]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Delivery {
    pub(in crate::config) concurrency: Concurrency,
    pub(in crate::config) per_destination: Option<Spanned<Concurrency>>,
    pub(in crate::config) per_destination_min: Option<Spanned<Concurrency>>,
    pub(in crate::config) rate_per_minute: Option<Spanned<PerMinute>>,
    pub(in crate::config) rate_per_minute_min: Option<Spanned<PerMinute>>,
    pub(in crate::config) mx_port: Count<1, 65_535>,
    pub(in crate::config) postmaster: Option<MailAddress>,
    pub(in crate::config) tls_roots: Option<Spanned<PathBuf>>,
    pub(in crate::config) mta_sts: bool,
    pub(in crate::config) mta_sts_timeout: Period<1, 60>,
    pub(in crate::config) requiretls: Option<Spanned<bool>>,
    pub(in crate::config) tls_required_field: bool,
}

/// `[[route]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Route {
    pub(in crate::config) domain: Spanned<DomainPattern>,
    pub(in crate::config) queue: Option<NameOfQueue>,
    pub(in crate::config) next_hop: Option<Spanned<Way>>,
    pub(in crate::config) tls: Option<Spanned<TlsPolicy>>,
    pub(in crate::config) login_file: Option<Spanned<PathBuf>>,
    pub(in crate::config) per_destination: Option<Spanned<Concurrency>>,
    pub(in crate::config) per_destination_min: Option<Spanned<Concurrency>>,
    pub(in crate::config) rate_per_minute: Option<Spanned<PerMinute>>,
    pub(in crate::config) rate_per_minute_min: Option<Spanned<PerMinute>>,
    pub(in crate::config) retry_first: Option<Spanned<RetryTime>>,
    pub(in crate::config) retry_max: Option<Spanned<RetryTime>>,
    pub(in crate::config) retry_factor: Option<Spanned<RetryFactor>>,
    pub(in crate::config) expire: Option<Spanned<Expiry>>,
    pub(in crate::config) delay_notice: Option<Spanned<Notice>>,
    pub(in crate::config) hold: Option<Spanned<Expiry>>,
    pub(in crate::config) hold_notice: Option<Spanned<Notice>>,
}

impl Default for Delivery {
    fn default() -> Self {
        let delivery = settings::Delivery::default();
        Self {
            concurrency: Count::new(delivery.concurrency),
            per_destination: None,
            per_destination_min: None,
            rate_per_minute: None,
            rate_per_minute_min: None,
            mx_port: Count::new(delivery.mx_port.into()),
            postmaster: delivery.postmaster.map(MailAddress),
            tls_roots: None,
            mta_sts: delivery.mta_sts,
            mta_sts_timeout: Period::new(delivery.mta_sts_timeout),
            requiretls: None,
            tls_required_field: delivery.tls_required_field,
        }
    }
}
