//! The configuration as it is written in TOML: names of fields, their types, which are optional.
//! Knows no rule that spans two fields. Defaults come from the settings.

use std::ops::Range;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;

use super::duration::Period;
use super::endpoint::ListenAddress;
use super::name::{DomainName, Label, Sha256};
use super::number::{Count, Milliseconds, Priority};
use super::settings::{self, DomainPattern, LogFormat, LogLevel, Mailboxes, NextHop};
use super::size::Size;

/// The fields of the top level that are one section: `[log]`.
pub(super) const SECTIONS: [&str; 6] =
    ["log", "limits", "timeouts", "queue", "delivery", "plugins"];

/// The fields of the top level that are any number of sections: `[[listen]]`.
pub(super) const LISTS: [&str; 4] = ["listen", "local_domain", "route", "plugin"];

/// The top level.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) hostname: DomainName,
    pub(super) state_dir: Option<Spanned<PathBuf>>,
    #[serde(default)]
    pub(super) log: Log,
    #[serde(default)]
    pub(super) listen: Vec<Listen>,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) timeouts: Timeouts,
    #[serde(default)]
    pub(super) queue: Queue,
    #[serde(default)]
    pub(super) delivery: Delivery,
    #[serde(default)]
    pub(super) local_domain: Vec<LocalDomain>,
    #[serde(default)]
    pub(super) route: Vec<Route>,
    #[serde(default)]
    pub(super) plugins: Plugins,
    #[serde(default)]
    pub(super) plugin: Vec<Plugin>,
}

/// `[log]`
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Log {
    pub(super) format: LogFormat,
    pub(super) level: LogLevel,
}

/// `[[listen]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listen {
    pub(super) name: Spanned<Label>,
    pub(super) address: Spanned<ListenAddress>,
    #[serde(default = "backlog")]
    pub(super) backlog: Count,
}

fn backlog() -> Count {
    Count::new(settings::Listener::BACKLOG)
}

/// `[limits]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) sessions_max: Spanned<Count>,
    pub(super) sessions_per_address_max: Spanned<Count>,
    pub(super) line_octets_max: Spanned<Size>,
    pub(super) text_line_octets_max: Spanned<Size>,
    pub(super) header_octets_max: Spanned<Size>,
    pub(super) message_octets_max: Spanned<Size>,
    pub(super) hops_max: Spanned<Count>,
    pub(super) recipients_max: Spanned<Count>,
    pub(super) errors_max: Count,
    pub(super) refusals_max: Count,
    pub(super) idle_commands_max: Count,
}

/// `[timeouts]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Timeouts {
    pub(super) command: Spanned<Period>,
    pub(super) data_block: Spanned<Period>,
    pub(super) message: Spanned<Period>,
}

/// `[queue]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Queue {
    pub(super) free_space_min: Size,
    pub(super) retry_first: Spanned<Period>,
    pub(super) retry_max: Spanned<Period>,
    pub(super) retry_factor: Spanned<Count>,
    pub(super) expire: Spanned<Period>,
}

/// `[delivery]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Delivery {
    pub(super) concurrency: Spanned<Count>,
    pub(super) per_destination: Spanned<Count>,
}

/// `[[local_domain]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LocalDomain {
    pub(super) name: Spanned<DomainName>,
    pub(super) mailboxes: Mailboxes,
    pub(super) maildir: Option<PathBuf>,
}

/// `[[route]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    pub(super) domain: Spanned<DomainPattern>,
    pub(super) next_hop: Spanned<NextHop>,
}

/// `[plugins]`
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Plugins {
    pub(super) dir: Option<PathBuf>,
}

/// `[[plugin]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plugin {
    pub(super) name: Spanned<Label>,
    pub(super) path: Spanned<PathBuf>,
    pub(super) run: Option<Run>,
    #[serde(default = "priority")]
    pub(super) priority: Priority,
    #[serde(default = "deadline_ms")]
    pub(super) deadline_ms: Milliseconds,
    #[serde(default)]
    pub(super) on_fault: OnFault,
    #[serde(default)]
    pub(super) on_load_error: OnLoadError,
    #[serde(default = "threads_max")]
    pub(super) threads_max: Spanned<Count>,
    pub(super) sha256: Option<Sha256>,
    /// The plug-in's own: read from the document, where every value has its place.
    #[serde(default, rename = "config")]
    pub(super) _config: IgnoredAny,
}

/// Where a plug-in is called.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Run {
    Inline,
    Pool,
}

/// What a fault of a plug-in in a *before* call means for the client.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnFault {
    #[default]
    Defer,
    Continue,
}

/// What it means for the start when a plug-in can't be loaded.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnLoadError {
    #[default]
    Abort,
    Skip,
}

impl From<Run> for stagepost_extmgr::Run {
    fn from(run: Run) -> Self {
        match run {
            Run::Inline => Self::Inline,
            Run::Pool => Self::Pool,
        }
    }
}

impl From<OnFault> for stagepost_extmgr::OnFault {
    fn from(on_fault: OnFault) -> Self {
        match on_fault {
            OnFault::Defer => Self::Defer,
            OnFault::Continue => Self::Continue,
        }
    }
}

impl From<OnLoadError> for stagepost_extmgr::OnLoadError {
    fn from(on_load_error: OnLoadError) -> Self {
        match on_load_error {
            OnLoadError::Abort => Self::Abort,
            OnLoadError::Skip => Self::Skip,
        }
    }
}

fn priority() -> Priority {
    Priority::new(0)
}

fn deadline_ms() -> Milliseconds {
    Milliseconds::new(settings::PLUGIN_DEADLINE_MS)
}

fn threads_max() -> Spanned<Count> {
    count(settings::PLUGIN_THREADS_MAX)
}

/// Where a default stands; nothing that is written has this span.
pub(super) const NOWHERE: Range<usize> = 0..0;

fn nowhere<T>(value: T) -> Spanned<T> {
    Spanned::new(NOWHERE, value)
}

fn octets(octets: usize) -> Spanned<Size> {
    nowhere(Size::from_octets(octets as u64))
}

fn count(count: u32) -> Spanned<Count> {
    nowhere(Count::new(count))
}

fn period(duration: std::time::Duration) -> Spanned<Period> {
    nowhere(Period::new(duration))
}

impl Default for Limits {
    fn default() -> Self {
        let (sessions, limits) = (settings::Sessions::default(), stagepost_smtp::Limits::default());
        Self {
            sessions_max: count(sessions.max),
            sessions_per_address_max: count(sessions.per_address_max),
            line_octets_max: octets(limits.line_octets_max),
            text_line_octets_max: octets(limits.text_line_octets_max),
            header_octets_max: octets(limits.header_octets_max),
            message_octets_max: nowhere(Size::from_octets(limits.message_octets_max)),
            hops_max: count(u32::try_from(limits.hops_max).unwrap_or(u32::MAX)),
            recipients_max: count(u32::try_from(limits.recipients_max).unwrap_or(u32::MAX)),
            errors_max: Count::new(limits.errors_max),
            refusals_max: Count::new(limits.refusals_max),
            idle_commands_max: Count::new(limits.idle_commands_max),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        let timeouts = stagepost_smtp::Timeouts::default();
        Self {
            command: period(timeouts.command),
            data_block: period(timeouts.data_block),
            message: period(timeouts.message),
        }
    }
}

impl Default for Queue {
    fn default() -> Self {
        let queue = settings::Queue::default();
        Self {
            free_space_min: Size::from_octets(queue.free_space_min),
            retry_first: period(queue.retry_first),
            retry_max: period(queue.retry_max),
            retry_factor: count(queue.retry_factor),
            expire: period(queue.expire),
        }
    }
}

impl Default for Delivery {
    fn default() -> Self {
        let delivery = settings::Delivery::default();
        Self {
            concurrency: count(delivery.concurrency),
            per_destination: count(delivery.per_destination),
        }
    }
}
