//! Mirrors of the service tables: they grow at their end, so they are compared as far as the plug-in knows them.
//! Knows no id; each service has a file of its own.

use abi_stable::StableAbi;

mod admin;
mod config;
mod directory;
mod dns;
mod edits;
mod extension;
mod filter;
mod layout;
mod log;
mod message;
mod metrics;
mod outbound;
mod pending;
mod queue;
mod session;
mod state;
mod submit;
mod timers;

/// The service tables, each once.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = ServicesRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct Services {
    log: log::EmLogServiceRef,
    config: config::EmConfigServiceRef,
    session: session::EmSessionServiceRef,
    edits: edits::EmEditsServiceRef,
    layout: layout::EmLayoutServiceRef,
    message: message::EmMessageServiceRef,
    metrics: metrics::EmMetricsServiceRef,
    filter: filter::EmFilterServiceRef,
    pending: pending::EmAsyncServiceRef,
    timers: timers::EmTimersServiceRef,
    dns: dns::EmDnsServiceRef,
    admin: admin::EmAdminServiceRef,
    extension: extension::EmExtensionServiceRef,
    queue: queue::EmQueueServiceRef,
    state: state::EmStateServiceRef,
    directory: directory::EmDirectoryServiceRef,
    submit: submit::EmSubmitServiceRef,
    #[sabi(last_prefix_field)]
    outbound: outbound::EmOutboundServiceRef,
}

/// The originals that have a mirror in the files of the services.
#[cfg(test)]
pub(super) const TWINS: &[&[&str]] = &[
    log::TWINS,
    config::TWINS,
    session::TWINS,
    edits::TWINS,
    layout::TWINS,
    message::TWINS,
    metrics::TWINS,
    filter::TWINS,
    pending::TWINS,
    timers::TWINS,
    dns::TWINS,
    admin::TWINS,
    extension::TWINS,
    queue::TWINS,
    state::TWINS,
    directory::TWINS,
    submit::TWINS,
    outbound::TWINS,
];
