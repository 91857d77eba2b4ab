//! The plug-in's section of the configuration as it is written: every key, its type and its default.
//! Knows no rule: `rules` makes them of it. Numbers are any, so that what is wrong with one is said in the words of its key.

use serde::Deserialize;

/// The whole section.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Section {
    pub(crate) etrn: Etrn,
    pub(crate) atrn: Atrn,
    pub(crate) node: Vec<Node>,
    pub(crate) connection: Vec<Connection>,
}

/// `[etrn]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Etrn {
    /// How many requests one session may make.
    pub(crate) per_session_max: i64,
    /// How many runs may wait or be under way.
    pub(crate) runs_max: i64,
}

impl Default for Etrn {
    fn default() -> Self {
        Self { per_session_max: 20, runs_max: 1000 }
    }
}

/// `[atrn]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Atrn {
    /// How many connections may be reversed at once.
    pub(crate) lines_max: i64,
    /// How many of one user.
    pub(crate) per_user_max: i64,
}

impl Default for Atrn {
    fn default() -> Self {
        Self { lines_max: 100, per_user_max: 1 }
    }
}

/// A `[[node]]`: a site that fetches its mail.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Node {
    pub(crate) name: String,
    /// Whose mail it is; none: that of `name`.
    #[serde(default)]
    pub(crate) domains: Vec<String>,
    /// Names for `ETRN #name`.
    #[serde(default)]
    pub(crate) queues: Vec<String>,
    #[serde(default)]
    pub(crate) networks: Vec<String>,
    #[serde(default)]
    pub(crate) host_names: Vec<String>,
    /// SHA-256 digests of the client's certificate.
    #[serde(default)]
    pub(crate) certificates: Vec<String>,
    #[serde(default)]
    pub(crate) users: Vec<String>,
    /// Whether a user who names no domain at ATRN is sent its mail.
    #[serde(default = "yes")]
    pub(crate) default: bool,
    /// Whether everybody else may have the mail sent, too.
    #[serde(default)]
    pub(crate) anybody: bool,
    #[serde(default)]
    pub(crate) tell: Tell,
}

fn yes() -> bool {
    true
}

/// What those who are entitled are told of the mail that waits. The order is from less to more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tell {
    /// Nothing: 250.
    Nothing,
    /// Whether there is any: 251 or 252.
    Pending,
    /// How much: 251 or 253.
    #[default]
    Count,
}

/// A `[[connection]]`: a server that is called.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Connection {
    pub(crate) name: String,
    pub(crate) host: String,
    #[serde(default)]
    pub(crate) kind: Kind,
    /// None: 366 for ATRN, else 25.
    pub(crate) port: Option<i64>,
    #[serde(default)]
    pub(crate) tls: Tls,
    #[serde(default)]
    pub(crate) implicit_tls: bool,
    pub(crate) user: Option<String>,
    /// A file with the password of the user in its one line.
    pub(crate) secret_file: Option<String>,
    #[serde(default)]
    pub(crate) cram_md5: bool,
    #[serde(default)]
    pub(crate) method: Method,
    #[serde(default)]
    pub(crate) router_type: RouterType,
    /// What is asked for: a domain, `@domain`, `#queue`.
    #[serde(default)]
    pub(crate) request: Vec<String>,
    /// Whose mail is handed over, as the queue names it.
    #[serde(default)]
    pub(crate) push: Vec<String>,
    /// The node whose ETRN has the mail handed over (`push wait`).
    pub(crate) node: Option<String>,
    /// Whose settings are for mail that comes by ATRN.
    #[serde(default)]
    pub(crate) listener: String,
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    #[serde(default)]
    pub(crate) schedule: Schedule,
    /// A call is made at once when so many deliveries wait; 0: never.
    #[serde(default = "five")]
    pub(crate) route_at_once: i64,
    /// Urgent mail has a call made at once.
    #[serde(default = "yes")]
    pub(crate) urgent_at_once: bool,
    /// What it costs to hand mail over this way; none: what its kind does.
    pub(crate) cost: Option<i64>,
    /// Mail that is not urgent is handed over at these times alone; empty: with the rest; none: at night.
    pub(crate) low_priority_times: Option<Vec<String>>,
    #[serde(default = "ten_minutes")]
    pub(crate) pull_timeout: String,
    #[serde(default = "one_minute")]
    pub(crate) quiet: String,
    #[serde(default = "one_minute")]
    pub(crate) connect_timeout: String,
    #[serde(default = "half_a_minute")]
    pub(crate) jitter: String,
    #[serde(default = "one_minute")]
    pub(crate) retry_first: String,
    #[serde(default = "one_hour")]
    pub(crate) retry_max: String,
    pub(crate) pre_connect: Option<TimedCommand>,
    pub(crate) post_connect: Option<TimedCommand>,
}

fn five() -> i64 {
    5
}

fn ten_minutes() -> String {
    "10m".to_owned()
}

fn one_minute() -> String {
    "1m".to_owned()
}

fn half_a_minute() -> String {
    "30s".to_owned()
}

fn one_hour() -> String {
    "1h".to_owned()
}

/// What the way to a server is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// A network that is there; a call waits for the mail that was asked for.
    Lan,
    /// A line that is made for the call.
    Dialup,
    /// A network that stays: nothing is waited for behind the call.
    #[default]
    AlwaysOn,
}

/// What is wanted of TLS with a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tls {
    None,
    #[default]
    Opportunistic,
    Required,
    Verified,
}

/// How mail is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Method {
    Etrn,
    Atrn,
    /// ATRN where the server offers it, else ETRN.
    #[default]
    Auto,
}

/// What a call is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum RouterType {
    #[default]
    #[serde(rename = "push only")]
    PushOnly,
    #[serde(rename = "pull push")]
    PullPush,
    #[serde(rename = "pull only")]
    PullOnly,
    #[serde(rename = "push wait")]
    PushWait,
}

/// `[connection.schedule]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Schedule {
    /// None: all.
    pub(crate) days: Vec<String>,
    pub(crate) times: Vec<String>,
    /// None: that of the system.
    pub(crate) zone: Option<String>,
    pub(crate) repeat: String,
}

impl Default for Schedule {
    fn default() -> Self {
        let (times, repeat) = (vec!["08:00-22:00".to_owned()], "360m".to_owned());
        Self { days: Vec::new(), times, zone: None, repeat }
    }
}

/// A command that is run before or behind a call.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimedCommand {
    /// The program with its arguments; no shell is between.
    pub(crate) command: Vec<String>,
    #[serde(default = "one_minute")]
    pub(crate) timeout: String,
}
