//! The plug-in's section of the configuration as it is written: every key, its type and its default.
//! Knows no rule: `rules` makes them of it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::connection::RefuseAt;
use crate::own_address;
use crate::relay::{Authenticated, Enforce};

/// Entries: one text with commas, semicolons or lines between, or a list of such texts.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Entries {
    One(String),
    Many(Vec<String>),
}

impl Default for Entries {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

/// The whole section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Section {
    /// Whether lists in files are read again when they change.
    pub(crate) watch_files: bool,
    pub(crate) names: Names,
    pub(crate) groups: BTreeMap<String, Entries>,
    pub(crate) connection: Connection,
    pub(crate) relay: Relay,
    pub(crate) sender: Sender,
    pub(crate) recipient: Recipient,
    pub(crate) private_white: PrivateList,
    pub(crate) private_black: PrivateList,
    pub(crate) dns_white: DnsLists,
    pub(crate) dns_black: DnsLists,
    pub(crate) limits: Limits,
    pub(crate) helo: Helo,
    pub(crate) greylist: Greylist,
}

impl Default for Section {
    fn default() -> Self {
        Self {
            watch_files: true,
            names: Names::default(),
            groups: BTreeMap::new(),
            connection: Connection::default(),
            relay: Relay::default(),
            sender: Sender::default(),
            recipient: Recipient::default(),
            private_white: PrivateList::default(),
            private_black: PrivateList::default(),
            dns_white: DnsLists::default(),
            dns_black: DnsLists::default(),
            limits: Limits::default(),
            helo: Helo::default(),
            greylist: Greylist::default(),
        }
    }
}

/// How hosts are known by name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Names {
    /// Whether a name counts as permission only when it has the host's address in turn.
    pub(crate) forward_confirm: bool,
    /// Whether an entry fits any name that ends with its letters, not whole labels alone.
    pub(crate) raw_suffix: bool,
}

impl Default for Names {
    fn default() -> Self {
        Self { forward_confirm: true, raw_suffix: false }
    }
}

/// `[connection]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Connection {
    pub(crate) verify_host_name: bool,
    pub(crate) allow: Entries,
    pub(crate) allow_file: Option<String>,
    pub(crate) deny: Entries,
    pub(crate) deny_file: Option<String>,
    pub(crate) strict_deny: bool,
    pub(crate) refuse_at: RefuseAt,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            verify_host_name: false,
            allow: Entries::default(),
            allow_file: None,
            deny: Entries::default(),
            deny_file: None,
            strict_deny: false,
            refuse_at: RefuseAt::Connect,
        }
    }
}

/// `[relay]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Relay {
    pub(crate) enforce: Enforce,
    pub(crate) internal_domains: Vec<String>,
    pub(crate) exclude: Entries,
    pub(crate) exclude_file: Option<String>,
    pub(crate) authenticated: Authenticated,
    pub(crate) allow_destinations: Entries,
    pub(crate) allow_destinations_file: Option<String>,
    /// When it is not written: `*`, unless some are allowed.
    pub(crate) deny_destinations: Option<Entries>,
    pub(crate) deny_destinations_file: Option<String>,
    pub(crate) allow_sources: Entries,
    pub(crate) allow_sources_file: Option<String>,
    pub(crate) deny_sources: Entries,
    pub(crate) deny_sources_file: Option<String>,
    /// The rule of release 5: a denied source or destination beats an allowed destination or source.
    pub(crate) deny_wins: bool,
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            enforce: Enforce::External,
            internal_domains: Vec::new(),
            exclude: Entries::default(),
            exclude_file: None,
            authenticated: Authenticated::Allow,
            allow_destinations: Entries::default(),
            allow_destinations_file: None,
            deny_destinations: None,
            deny_destinations_file: None,
            allow_sources: Entries::default(),
            allow_sources_file: None,
            deny_sources: Entries::default(),
            deny_sources_file: None,
            deny_wins: false,
        }
    }
}

/// `[sender]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Sender {
    pub(crate) verify_domain: bool,
    pub(crate) allow: Entries,
    pub(crate) allow_file: Option<String>,
    pub(crate) deny: Entries,
    pub(crate) deny_file: Option<String>,
    pub(crate) authenticated: own_address::Authenticated,
    /// What users have beside their own addresses, by their names.
    pub(crate) own: BTreeMap<String, Entries>,
}

/// `[recipient]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Recipient {
    pub(crate) allow: Entries,
    pub(crate) allow_file: Option<String>,
    pub(crate) deny: Entries,
    pub(crate) deny_file: Option<String>,
}

/// What a hit in a list does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// Nothing that anybody sees; for white lists.
    Silent,
    Log,
    /// A line in the log, and a header field.
    Tag,
    /// A line in the log, and a refusal; for black lists.
    Reject,
}

/// `[private_white]` and `[private_black]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PrivateList {
    pub(crate) entries: Entries,
    pub(crate) file: Option<String>,
    pub(crate) action: Option<Action>,
    pub(crate) text: Option<String>,
}

/// `[dns_white]` and `[dns_black]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DnsLists {
    pub(crate) zones: Vec<Zone>,
    /// The weight from which an address is listed.
    pub(crate) threshold: Option<i32>,
    pub(crate) action: Option<Action>,
    pub(crate) text: Option<String>,
}

/// A zone of `[dns_white]` or `[dns_black]`: its name, or a table.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Zone {
    Name(String),
    Table(ZoneTable),
}

/// A zone with more than a name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ZoneTable {
    pub(crate) name: String,
    /// Which answers mean "listed", such as `127.0.0.2-11`.
    #[serde(default)]
    pub(crate) answers: Vec<String>,
    pub(crate) weight: Option<i32>,
    pub(crate) timeout_ms: Option<u32>,
    /// Whether it has the entries by which lists are tested; it has unless this says no.
    pub(crate) test: Option<bool>,
    pub(crate) text: Option<String>,
}

impl ZoneTable {
    /// A zone with nothing but a name.
    pub(crate) fn named(name: &str) -> Self {
        let name = name.to_owned();
        Self { name, answers: Vec::new(), weight: None, timeout_ms: None, test: None, text: None }
    }
}

/// `[limits]`: each in the last `window_s` seconds; 0 or nothing is no limit.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    pub(crate) window_s: u32,
    pub(crate) messages_per_client: u32,
    pub(crate) recipients_per_client: u32,
    pub(crate) messages_per_sender: u32,
    pub(crate) recipients_per_sender: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            window_s: 3600,
            messages_per_client: 0,
            recipients_per_client: 0,
            messages_per_sender: 0,
            recipients_per_sender: 0,
        }
    }
}

/// `[helo]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Helo {
    pub(crate) deny: Entries,
    pub(crate) deny_file: Option<String>,
    /// Whether a client must give a full domain name, or an address in brackets.
    pub(crate) full_name: bool,
    /// Whether that name must exist in the DNS.
    pub(crate) verify: bool,
}

/// `[greylist]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Greylist {
    pub(crate) enabled: bool,
    /// How long the first attempt is put off.
    pub(crate) delay_s: u32,
    /// The second attempt counts so long after the first.
    pub(crate) window_s: u32,
    /// A client is forgotten when it was not seen so long.
    pub(crate) known_days: u16,
}

impl Default for Greylist {
    fn default() -> Self {
        Self { enabled: false, delay_s: 300, window_s: 24 * 3600, known_days: 35 }
    }
}
