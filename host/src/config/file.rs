//! The configuration as it is written in TOML: names of fields, their types, which are optional.
//! Knows no rule that spans two fields. Defaults come from the settings.

mod delivery;
mod dns;
mod ldap;
mod limits;
mod tls_report;

use std::ops::Range;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::IgnoredAny;
use stagepost_smtp::Event;
use toml::Spanned;

use super::choice::{self, AuthMode, LogFormat};
use super::duration::Period;
use super::endpoint::{ListenAddress, SocketName};
use super::name::{DomainName, Label, MechanismName, Separators, Sha256};
use super::network::Network;
use super::number::{Count, Priority};
use super::routing::{LmtpServer, Mailboxes};
use super::settings::{self, LogLevel, Purpose, TlsVersion};
use super::size::Size;

pub(super) use delivery::{Delivery, PerMinute, Route};
pub(super) use dns::Dns;
pub(super) use ldap::Ldap;
pub(super) use limits::{Limits, Timeouts};
pub(super) use tls_report::TlsReport;

/// The fields of the top level that are none.
pub(super) const PLAIN: [&str; 6] =
    ["hostname", "state_dir", "groups_file", "aliases_file", "watch_files", "process_name"];

/// The fields of the top level that are one section: `[log]`.
pub(super) const SECTIONS: [&str; 11] = [
    "log",
    "tls",
    "auth",
    "ldap",
    "limits",
    "timeouts",
    "queue",
    "delivery",
    "tls_report",
    "dns",
    "plugins",
];

/// The fields of the top level that are any number of sections: `[[listen]]`.
pub(super) const LISTS: [&str; 5] = ["listen", "certificate", "local_domain", "route", "plugin"];

/// A number that has no reason for bounds of its own.
pub(super) type Number = Count<1, 1_000_000>;
/// Deliveries at once.
pub(super) type Concurrency = Count<1, 10_000>;
/// How long a client may take for one step.
type StepTime = Period<1, 3600>;
/// How long it may be until the next attempt.
pub(super) type RetryTime = Period<1, { 30 * DAY_S }>;

/// What a wait is multiplied with for the next one.
pub(super) type RetryFactor = Count<1, 10>;
/// How long a message is tried, or kept for whoever fetches it.
pub(super) type Expiry = Period<1, { 360 * DAY_S }>;
/// When a sender is told of something that goes on; 0 is never.
pub(super) type Notice = Period<0, { 360 * DAY_S }>;

const DAY_S: u64 = 86_400;

/// The top level.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) hostname: DomainName,
    pub(super) state_dir: Option<Spanned<PathBuf>>,
    pub(super) groups_file: Option<Spanned<PathBuf>>,
    pub(super) aliases_file: Option<Spanned<PathBuf>>,
    #[serde(default = "yes")]
    pub(super) watch_files: bool,
    pub(super) process_name: Option<Label>,
    #[serde(default)]
    pub(super) log: Log,
    #[serde(default)]
    pub(super) listen: Vec<Listen>,
    #[serde(default)]
    pub(super) tls: Tls,
    #[serde(default)]
    pub(super) certificate: Vec<Certificate>,
    #[serde(default)]
    pub(super) auth: Auth,
    pub(super) ldap: Option<Ldap>,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) timeouts: Timeouts,
    #[serde(default)]
    pub(super) queue: Queue,
    #[serde(default)]
    pub(super) delivery: Delivery,
    pub(super) tls_report: Option<TlsReport>,
    #[serde(default)]
    pub(super) dns: Dns,
    #[serde(default)]
    pub(super) local_domain: Vec<LocalDomain>,
    #[serde(default)]
    pub(super) route: Vec<Route>,
    #[serde(default)]
    pub(super) plugins: Plugins,
    #[serde(default)]
    pub(super) plugin: Vec<Spanned<Plugin>>,
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
    pub(super) address: Option<Spanned<ListenAddress>>,
    pub(super) socket: Option<Spanned<SocketName>>,
    #[serde(default = "off")]
    pub(super) reuse_port: Spanned<bool>,
    #[serde(default)]
    pub(super) purpose: Purpose,
    #[serde(default)]
    pub(super) certificates: Vec<Spanned<Label>>,
    pub(super) require_tls: Option<Spanned<bool>>,
    #[serde(default = "off")]
    pub(super) client_certificates: Spanned<bool>,
    pub(super) auth: Option<Spanned<AuthMode>>,
    #[serde(default = "off")]
    pub(super) auth_ldap: Spanned<bool>,
    #[serde(default)]
    pub(super) auth_allow_plaintext: bool,
    #[serde(default = "yes")]
    pub(super) auth_relay: bool,
    #[serde(default)]
    pub(super) binarymime: bool,
    #[serde(default)]
    pub(super) vrfy: choice::Vrfy,
    #[serde(default)]
    pub(super) split: choice::Split,
    #[serde(default = "backlog")]
    pub(super) backlog: Number,
    #[serde(default)]
    pub(super) proxy_from: Vec<Network>,
    #[serde(default = "proxy_timeout")]
    pub(super) proxy_timeout: StepTime,
    #[serde(default)]
    pub(super) xclient_from: Vec<Network>,
    #[serde(default)]
    pub(super) low_descriptors: bool,
}

fn yes() -> bool {
    true
}

fn off() -> Spanned<bool> {
    nowhere(false)
}

fn backlog() -> Number {
    Count::new(settings::Listener::BACKLOG)
}

fn proxy_timeout() -> StepTime {
    Period::new(settings::Listener::PROXY_TIMEOUT)
}

/// `[tls]`
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) minimum_version: TlsVersion,
}

/// `[[certificate]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Certificate {
    pub(super) name: Spanned<Label>,
    pub(super) chain: Spanned<PathBuf>,
    pub(super) key: Spanned<PathBuf>,
}

/// `[auth]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Auth {
    pub(super) users_file: Option<Spanned<PathBuf>>,
    pub(super) secrets_file: Option<Spanned<PathBuf>>,
    pub(super) mechanisms: Option<Vec<Spanned<MechanismName>>>,
    pub(super) checks_max: Count<1, 256>,
    pub(super) failure_delay: Period<0, 10>,
    pub(super) failures_per_address_max: Number,
    pub(super) failures_per_user_max: Number,
    pub(super) failure_memory: Period<1, DAY_S>,
}

/// `[queue]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Queue {
    /// A larger disk than 1 PB is a slip of the pen.
    pub(super) free_space_min: Size<0, { 1 << 50 }>,
    pub(super) retry_first: Spanned<RetryTime>,
    pub(super) retry_max: Spanned<RetryTime>,
    pub(super) retry_factor: RetryFactor,
    pub(super) expire: Expiry,
    pub(super) delay_notice: Notice,
}

/// `[[local_domain]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LocalDomain {
    pub(super) name: Spanned<DomainName>,
    pub(super) mailboxes: Spanned<Mailboxes>,
    #[serde(default)]
    pub(super) sub_address: Separators,
    pub(super) maildir: Option<Spanned<PathBuf>>,
    pub(super) lmtp: Option<Spanned<LmtpServer>>,
}

/// `[plugins]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Plugins {
    pub(super) dir: Option<PathBuf>,
    pub(super) start_deadline_ms: Milliseconds,
    pub(super) chain_budget_ms: Milliseconds,
    pub(super) inline_warn_ms: Spanned<Milliseconds>,
    pub(super) inline_abort_ms: MillisecondsOrNever,
}

/// How long one call of a plug-in, or a chain of them, may take.
pub(super) type Milliseconds = Count<1, 3_600_000>;
/// The same, or 0 for as long as it takes.
pub(super) type MillisecondsOrNever = Count<0, 3_600_000>;
/// Threads that may be in calls of a plug-in at once.
type ThreadsMax = Count<1, 1000>;
/// Calls of a plug-in that may be pending at once.
type PendingMax = Count<1, 1_000_000>;
/// What a plug-in may keep in the state store.
type StateOctetsMax = Size<{ 64 << 10 }, { 1 << 40 }>;

/// `[[plugin]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plugin {
    pub(super) name: Spanned<Label>,
    pub(super) path: Spanned<PathBuf>,
    pub(super) run: Option<Spanned<Run>>,
    #[serde(default = "priority")]
    pub(super) priority: Priority,
    #[serde(default = "deadline_ms")]
    pub(super) deadline_ms: Spanned<Milliseconds>,
    #[serde(default = "deadline_max_ms")]
    pub(super) deadline_max_ms: Spanned<Milliseconds>,
    #[serde(default = "on_fault")]
    pub(super) on_fault: Spanned<OnFault>,
    #[serde(default)]
    pub(super) on_load_error: OnLoadError,
    #[serde(default = "threads_max")]
    pub(super) threads_max: ThreadsMax,
    #[serde(default = "pending_max")]
    pub(super) pending_max: PendingMax,
    #[serde(default = "state_octets_max")]
    pub(super) state_octets_max: StateOctetsMax,
    pub(super) sha256: Option<Spanned<Sha256>>,
    #[serde(default)]
    pub(super) stage: Stages,
    /// The plug-in's own: read from the document, where every value has its place.
    #[serde(default, rename = "config")]
    pub(super) _config: IgnoredAny,
}

/// `[plugin.stage]`: the stages where a plug-in's fault contract differs.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Stages {
    connect: StageContract,
    command: StageContract,
    ehlo: StageContract,
    starttls: StageContract,
    auth: StageContract,
    mail: StageContract,
    rcpt: StageContract,
    data: StageContract,
    headers: StageContract,
    body: StageContract,
    message_accept: StageContract,
    etrn: StageContract,
    atrn: StageContract,
    vrfy: StageContract,
    rset: StageContract,
    verb: StageContract,
    quit: StageContract,
    timeout: StageContract,
    disconnect: StageContract,
    queue: StageContract,
    route: StageContract,
    deliver: StageContract,
    bounce: StageContract,
    expire: StageContract,
}

impl Stages {
    /// What is written of a stage.
    pub(super) fn at(&self, event: Event) -> &StageContract {
        match event {
            Event::Connect => &self.connect,
            Event::Command => &self.command,
            Event::Ehlo => &self.ehlo,
            Event::StartTls => &self.starttls,
            Event::Auth => &self.auth,
            Event::Mail => &self.mail,
            Event::Rcpt => &self.rcpt,
            Event::Data => &self.data,
            Event::Headers => &self.headers,
            Event::Body => &self.body,
            Event::MessageAccept => &self.message_accept,
            Event::Etrn => &self.etrn,
            Event::Atrn => &self.atrn,
            Event::Vrfy => &self.vrfy,
            Event::Rset => &self.rset,
            Event::Verb => &self.verb,
            Event::Quit => &self.quit,
            Event::Timeout => &self.timeout,
            Event::Disconnect => &self.disconnect,
            Event::Queue => &self.queue,
            Event::Route => &self.route,
            Event::Deliver => &self.deliver,
            Event::Bounce => &self.bounce,
            Event::Expire => &self.expire,
        }
    }
}

/// `[plugin.stage.NAME]`
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct StageContract {
    pub(super) deadline_ms: Option<Spanned<Milliseconds>>,
    pub(super) deadline_max_ms: Option<Spanned<Milliseconds>>,
    pub(super) on_fault: Option<Spanned<OnFault>>,
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
    Hold,
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
            OnFault::Hold => Self::Hold,
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

fn deadline_ms() -> Spanned<Milliseconds> {
    nowhere(Milliseconds::new(settings::PLUGIN_DEADLINE_MS))
}

fn deadline_max_ms() -> Spanned<Milliseconds> {
    nowhere(Milliseconds::new(settings::PLUGIN_DEADLINE_MAX_MS))
}

fn on_fault() -> Spanned<OnFault> {
    nowhere(OnFault::default())
}

fn threads_max() -> ThreadsMax {
    ThreadsMax::new(settings::PLUGIN_THREADS_MAX)
}

fn state_octets_max() -> StateOctetsMax {
    Size::from_octets(settings::PLUGIN_STATE_OCTETS_MAX)
}

fn pending_max() -> PendingMax {
    PendingMax::new(settings::PLUGIN_PENDING_MAX)
}

/// Where a default stands; nothing that is written has this span.
pub(super) const NOWHERE: Range<usize> = 0..0;

fn nowhere<T>(value: T) -> Spanned<T> {
    Spanned::new(NOWHERE, value)
}

impl Default for Auth {
    fn default() -> Self {
        let failures = settings::FailureLimits::default();
        Self {
            users_file: None,
            secrets_file: None,
            mechanisms: None,
            checks_max: Count::new(settings::Auth::CHECKS_MAX),
            failure_delay: Period::new(failures.delay),
            failures_per_address_max: Number::new(failures.per_address_max),
            failures_per_user_max: Number::new(failures.per_user_max),
            failure_memory: Period::new(failures.memory),
        }
    }
}

impl Default for Queue {
    fn default() -> Self {
        let queue = settings::Queue::default();
        Self {
            free_space_min: Size::from_octets(queue.free_space_min),
            retry_first: nowhere(Period::new(queue.retry.first)),
            retry_max: nowhere(Period::new(queue.retry.max)),
            retry_factor: Count::new(queue.retry.factor),
            expire: Period::new(queue.retry.expire),
            delay_notice: Period::new(queue.retry.notice.unwrap_or_default()),
        }
    }
}

impl Default for Plugins {
    fn default() -> Self {
        let limits = stagepost_extmgr::Limits::default();
        Self {
            dir: None,
            start_deadline_ms: Milliseconds::new(milliseconds(limits.start_deadline)),
            chain_budget_ms: Milliseconds::new(milliseconds(limits.chain_budget)),
            inline_warn_ms: nowhere(Milliseconds::new(milliseconds(limits.inline_warn))),
            inline_abort_ms: Count::new(limits.inline_abort.map_or(0, milliseconds)),
        }
    }
}

fn milliseconds(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
