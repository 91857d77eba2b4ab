//! The plug-in's section of the configuration as it is written: every key, its type and its default.
//! Knows no rule: `rules` makes them of it.

use serde::Deserialize;

/// The whole section.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Section {
    pub(crate) etrn: Etrn,
    pub(crate) atrn: Atrn,
    pub(crate) node: Vec<Node>,
}

/// `[etrn]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Etrn {
    /// How many requests one session may make.
    pub(crate) per_session_max: u32,
    /// How many runs may wait or be under way.
    pub(crate) runs_max: usize,
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
    pub(crate) lines_max: u32,
    /// How many of one user.
    pub(crate) per_user_max: u32,
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
