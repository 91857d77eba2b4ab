//! The admin API on a Unix socket: the server's side, the client's side and what goes between them.
//! Knows nothing of what it shows: whoever serves fills it in.

mod address;
mod api;
mod client;
mod plugins;
pub(crate) mod queue;
mod reload;
mod server;
mod status;
mod table;
mod tls_policy;
mod tls_report;
mod trace;

pub(crate) use address::explaining;
pub(crate) use api::{Coming, StatusSource, watching, whole};
pub(crate) use client::{
    ClientError, call_plugin, explain_address, explain_tls, fetch_metrics, fetch_plugins,
    fetch_status, fetch_tls_counts, follow_trace, reload, send_tls_reports,
};
pub(crate) use plugins::{PluginList, calling};
pub(crate) use reload::{ReloadReport, reloading};
pub(crate) use server::{AdminError, AdminServer};
pub(crate) use status::{
    DeliveryStatus, ListenerStatus, PluginStatus, QueueStatus, SessionsStatus, Status,
};
pub(crate) use tls_policy::explaining_tls;
pub(crate) use tls_report::reporting_tls;
pub(crate) use trace::{TraceLine, tracing};
