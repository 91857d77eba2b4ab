//! All rules together, as one section of the configuration makes them.
//! Knows no session; what a rule decides stands with the rule.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stagepost_sdk::{Config, ConfigError};

use crate::connection::{CONNECTIONS_MAX, Connection};
use crate::domains::Domains;
use crate::held::Held;
use crate::node::{Entitled, HostName, Node};
use crate::scope::{Scope, folded, is_name};
use crate::section::{self, Section};

/// The most domains, queues and entitled ones of one node.
const ITEMS_MAX: usize = 1000;

/// The rules.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) held: Held,
    pub(crate) limits: Limits,
    pub(crate) connections: Vec<Arc<Connection>>,
    /// The domains of the nodes for whose mail there is a connection, by its place among them.
    handed_over: Domains,
}

/// How much may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) per_session_max: u32,
    pub(crate) runs_max: usize,
    pub(crate) lines_max: u32,
    pub(crate) lines_per_user_max: u32,
}

/// Makes an error of a value that does not do, with its place.
pub(crate) type Blame<'b> = &'b dyn Fn(&str, String) -> ConfigError;

impl Rules {
    /// Reads the plug-in's section.
    pub(crate) fn read(config: &Config) -> Result<Self, ConfigError> {
        let blame = |key: &str, reason: String| ConfigError::Value {
            place: config.place_near(key),
            key: key.to_owned(),
            reason,
        };
        // Paths begin where those of the configuration do.
        let file = config.place_near("connection").map(|place| PathBuf::from(place.file));
        let folder = file.as_deref().and_then(Path::parent).unwrap_or_else(|| Path::new(""));
        Self::make(&config.section()?, folder, &blame)
    }

    fn make(section: &Section, folder: &Path, blame: Blame<'_>) -> Result<Self, ConfigError> {
        let mut held = Held::default();
        for (number, written) in section.node.iter().enumerate() {
            let key = format!("node[{number}]");
            if !is_name(&written.name) {
                let reason = format!("{:?} is no domain name", written.name);
                return Err(blame(&format!("{key}.name"), reason));
            }
            if held.has(&written.name) {
                let reason = format!("{:?} is the name of another node", written.name);
                return Err(blame(&format!("{key}.name"), reason));
            }
            let node = make_node(written, &key, blame)?;
            let queues = list(&written.queues, &format!("{key}.queues"), blame, |text| {
                let sound = text.len() <= 255 && text.bytes().all(|octet| octet.is_ascii_graphic());
                let name = text.strip_prefix('#').unwrap_or(text).to_owned();
                (sound && !name.is_empty())
                    .then_some(name)
                    .ok_or("is no name of a queue: write visible ASCII characters")
            })?;
            held.add(&written.name, &queues, node);
        }
        let connections = make_connections(section, folder, &held, blame)?;
        let mut handed_over = Domains::default();
        for (number, connection) in connections.iter().enumerate() {
            let node = connection.node.as_deref().and_then(|node| held.node(node));
            for scope in node.into_iter().flat_map(|node| &node.domains) {
                handed_over.add(scope, number);
            }
        }
        Ok(Self { held, limits: Limits::make(section, blame)?, connections, handed_over })
    }

    /// The connection by which mail of some domains is handed over when its node asks for it.
    pub(crate) fn handed_over(&self, scope: &Scope) -> Option<&Connection> {
        let first = self.handed_over.overlapping(scope).map(|(_, number)| number).min()?;
        self.connections.get(first).map(|connection| &**connection)
    }
}

impl Limits {
    fn make(section: &Section, blame: Blame<'_>) -> Result<Self, ConfigError> {
        let Section { etrn, atrn, .. } = section;
        let (per_session, runs) = (etrn.per_session_max, etrn.runs_max);
        let (lines, per_user) = (atrn.lines_max, atrn.per_user_max);
        Ok(Self {
            per_session_max: number(per_session, 1..=10_000, "etrn.per_session_max", blame)?,
            runs_max: number(runs, 1..=100_000, "etrn.runs_max", blame)? as usize,
            lines_max: number(lines, 1..=100_000, "atrn.lines_max", blame)?,
            lines_per_user_max: number(per_user, 1..=100, "atrn.per_user_max", blame)?,
        })
    }
}

/// A number that is one of those that there may be.
pub(crate) fn number(
    written: i64,
    allowed: RangeInclusive<u32>,
    key: &str,
    blame: Blame<'_>,
) -> Result<u32, ConfigError> {
    let (least, most) = (allowed.start(), allowed.end());
    let number = u32::try_from(written).ok().filter(|number| allowed.contains(number));
    number.ok_or_else(|| blame(key, format!("must be {least} to {most}")))
}

fn make_connections(
    section: &Section,
    folder: &Path,
    held: &Held,
    blame: Blame<'_>,
) -> Result<Vec<Arc<Connection>>, ConfigError> {
    if section.connection.len() > CONNECTIONS_MAX {
        return Err(blame("connection", format!("has at most {CONNECTIONS_MAX} tables")));
    }
    let mut made: Vec<Arc<Connection>> = Vec::new();
    for (number, written) in section.connection.iter().enumerate() {
        let key = format!("connection[{number}]");
        let connection = Connection::make(written, &key, folder, blame)?;
        if made.iter().any(|known| known.name == connection.name) {
            let reason = format!("{:?} is the name of another connection", connection.name);
            return Err(blame(&format!("{key}.name"), reason));
        }
        if let Some(node) = connection.node.as_deref().filter(|node| !held.has(node)) {
            let reason = format!("{node:?} is no node: write the name of a [[node]]");
            return Err(blame(&format!("{key}.node"), reason));
        }
        made.push(Arc::new(connection));
    }
    Ok(made)
}

fn make_node(written: &section::Node, key: &str, blame: Blame<'_>) -> Result<Node, ConfigError> {
    let domains = list(&written.domains, &format!("{key}.domains"), blame, Scope::read)?;
    let domains = if domains.is_empty() { vec![Scope::of(&written.name, false)] } else { domains };
    let entitled = Entitled {
        networks: list(&written.networks, &format!("{key}.networks"), blame, network)?,
        host_names: list(&written.host_names, &format!("{key}.host_names"), blame, host_name)?,
        certificates: list(&written.certificates, &format!("{key}.certificates"), blame, digest)?,
        users: list(&written.users, &format!("{key}.users"), blame, |user| match user {
            "" => Err("is no user"),
            user => Ok(user.into()),
        })?,
    };
    if entitled.is_empty() && !written.anybody {
        let reason = "has nobody who may fetch its mail: write networks, host_names, certificates, users or anybody = true";
        return Err(blame(key, reason.to_owned()));
    }
    let (tell, default, anybody) = (written.tell, written.default, written.anybody);
    Ok(Node { domains, entitled, tell, default, anybody })
}

/// Reads the items of a list.
fn list<T, E: ToString>(
    texts: &[String],
    key: &str,
    blame: Blame<'_>,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, ConfigError> {
    if texts.len() > ITEMS_MAX {
        return Err(blame(key, format!("has at most {ITEMS_MAX} items")));
    }
    let read = |(number, text): (usize, &String)| {
        read(text).map_err(|error| blame(&format!("{key}[{number}]"), error.to_string()))
    };
    texts.iter().enumerate().map(read).collect()
}

fn network(text: &str) -> Result<ipnet::IpNet, String> {
    let network = text.parse().or_else(|_| text.parse::<std::net::IpAddr>().map(Into::into));
    network
        .map_err(|_| format!("{text:?} is neither an address nor a network such as 192.0.2.0/24"))
}

fn host_name(text: &str) -> Result<HostName, String> {
    if is_name(text.strip_prefix('.').unwrap_or(text)) {
        return Ok(HostName(folded(text).into()));
    }
    Err(format!(
        "{text:?} is no host name: write mail.example.org, or .example.org for all below it"
    ))
}

fn digest(text: &str) -> Result<Box<str>, String> {
    // As openssl prints it, or as the log shows it.
    let digits: String = text.chars().filter(|digit| *digit != ':').collect();
    if digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(digits.to_ascii_lowercase().into());
    }
    Err(format!("{text:?} is no SHA-256 digest: write 64 hexadecimal digits"))
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub(crate) fn made(section: Value) -> Result<Rules, String> {
        let section = serde_json::from_value(section).map_err(|error| error.to_string())?;
        let blame = |key: &str, reason: String| ConfigError::Value {
            place: None,
            key: key.to_owned(),
            reason,
        };
        Rules::make(&section, Path::new(""), &blame).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_written_has_a_default() {
        let rules = made(json!({})).unwrap();
        assert_eq!(
            rules.limits,
            Limits { per_session_max: 20, runs_max: 1000, lines_max: 100, lines_per_user_max: 1 }
        );
        assert!(rules.held.is_empty() && !rules.held.wants_host_names());
        let node = json!({ "name": "Branch.test.", "networks": ["192.0.2.1", "2001:db8::/32"],
            "certificates": ["AA:".repeat(31) + "aa"], "host_names": [".Gw.test"] });
        let rules = made(json!({ "node": [node] })).unwrap();
        assert!(rules.held.has("branch.test") && rules.held.wants_host_names());
    }

    #[test]
    fn what_does_not_do_is_named() {
        let node = |name: &str, value: Value| {
            let mut node = json!({ "name": "a.test", "anybody": true });
            node[name] = value;
            json!({ "node": [node] })
        };
        for (section, wanted) in [
            (json!({ "nodes": [] }), "unknown field `nodes`"),
            (json!({ "node": [{}] }), "missing field `name`"),
            (json!({ "node": [{ "name": "a.test" }] }), "`node[0]` has nobody who may fetch"),
            (
                json!({ "node": [{ "name": "a.test", "anybody": true }, { "name": "A.test", "anybody": true }] }),
                "`node[1].name` \"A.test\" is the name of another node",
            ),
            (node("name", json!("a b")), "`node[0].name` \"a b\" is no domain name"),
            (node("domains", json!(["x.test", "@"])), "`node[0].domains[1]` \"@\" is no domain"),
            (node("queues", json!([""])), "`node[0].queues[0]` is no name of a queue"),
            (node("networks", json!(["192.0.2.0/33"])), "`node[0].networks[0]` \"192.0.2.0/33\""),
            (node("host_names", json!(["..test"])), "`node[0].host_names[0]` \"..test\""),
            (node("certificates", json!(["aa"])), "`node[0].certificates[0]` \"aa\" is no SHA-256"),
            (node("users", json!([""])), "`node[0].users[0]` is no user"),
            (node("tell", json!("all")), "unknown variant `all`"),
            (node("users", json!(vec!["u"; 1001])), "`node[0].users` has at most 1000 items"),
            (json!({ "etrn": { "runs_max": 0 } }), "`etrn.runs_max` must be 1 to 100000"),
            (json!({ "atrn": { "lines_max": 0 } }), "`atrn.lines_max` must be 1 to 100000"),
            (json!({ "atrn": { "per_user_max": 101 } }), "`atrn.per_user_max` must be 1 to 100"),
            (json!({ "etrn": { "per_session_max": 0 } }), "`etrn.per_session_max` must be 1 to"),
        ] {
            let error = made(section).unwrap_err();
            assert!(error.starts_with(wanted), "{error}");
        }
    }

    fn connection(fields: Value) -> Value {
        let mut connection = json!({ "name": "isp", "host": "isp.test", "push": ["#isp"] });
        let named = fields.as_object().unwrap().clone();
        connection.as_object_mut().unwrap().extend(named);
        json!({ "connection": [connection] })
    }

    #[test]
    fn a_connection_has_defaults_of_its_own() {
        let rules = made(connection(json!({}))).unwrap();
        let isp = &rules.connections[0];
        assert_eq!((isp.port, isp.route_at_once), (25, 5));
        assert!(isp.pushes() && !isp.pulls() && isp.is_scheduled() && isp.urgent_at_once);
        assert!(isp.low_priority.is_some() && isp.login.is_none() && isp.cost == 1);
        let atrn = json!({ "method": "atrn", "enabled": false });
        assert_eq!(made(connection(atrn)).unwrap().connections[0].port, 366);
    }

    #[test]
    fn what_does_not_do_of_a_connection_is_named() {
        let two = |name: &str| {
            let one = json!({ "name": name, "host": "isp.test", "push": ["a.test"] });
            json!({ "connection": [one, one] })
        };
        for (section, wanted) in [
            (json!({ "connection": [{ "host": "a.test" }] }), "missing field `name`"),
            (two("isp"), "`connection[1].name` \"isp\" is the name of another connection"),
            (two("A b"), "`connection[0].name` must be 1 to 63 small letters"),
            (two("status"), "`connection[0].name` is a word of `stagepost pull`"),
            (connection(json!({ "host": "a b" })), "`connection[0].host` is neither"),
            (connection(json!({ "cost": 0 })), "`connection[0].cost` must be 1 to 1000"),
            (connection(json!({ "cost": 70_000 })), "`connection[0].cost` must be 1 to 1000"),
            (
                connection(json!({ "route_at_once": -1 })),
                "`connection[0].route_at_once` must be 0 to 1000000",
            ),
            (connection(json!({ "port": 0 })), "`connection[0].port` must be 1 to 65535"),
            (connection(json!({ "kind": "modem" })), "unknown variant `modem`"),
            (connection(json!({ "router_type": "pull" })), "unknown variant `pull`"),
            (connection(json!({ "implicit_tls": true })), "`connection[0].implicit_tls` needs tls"),
            (
                connection(json!({ "user": "u" })),
                "`connection[0].user` needs a name, and secret_file",
            ),
            (connection(json!({ "secret_file": "x" })), "`connection[0].secret_file` needs user"),
            (
                connection(json!({ "user": "u", "secret_file": "/none/secret" })),
                "`connection[0].secret_file` /none/secret: No such file",
            ),
            (connection(json!({ "cram_md5": true })), "`connection[0].cram_md5` needs user"),
            (connection(json!({ "push": [] })), "`connection[0].push` must name whose mail"),
            (connection(json!({ "push": ["a.test", "#"] })), "`connection[0].push[1]` \"#\" is no"),
            (
                connection(json!({ "router_type": "pull only" })),
                "`connection[0].request` must name what is asked for",
            ),
            (
                connection(json!({ "router_type": "pull only", "request": ["@"] })),
                "`connection[0].request[0]` \"@\" is no domain",
            ),
            (
                connection(json!({ "router_type": "pull push", "method": "atrn" })),
                "`connection[0].method` needs user and secret_file",
            ),
            (
                connection(json!({ "method": "atrn", "request": ["#q"] })),
                "`connection[0].request` has a queue, which ATRN can't ask for",
            ),
            (connection(json!({ "node": "a.test" })), "`connection[0].node` goes with router_type"),
            (
                connection(json!({ "router_type": "push wait", "node": "a.test" })),
                "`connection[0].node` \"a.test\" is no node",
            ),
            (connection(json!({ "quiet": "soon" })), "`connection[0].quiet` \"soon\" is no time"),
            (connection(json!({ "pull_timeout": "8d" })), "`connection[0].pull_timeout` \"8d\""),
            (
                connection(json!({ "connect_timeout": "11m" })),
                "`connection[0].connect_timeout` must be at",
            ),
            (
                connection(json!({ "retry_first": "2h" })),
                "`connection[0].retry_max` must be no less",
            ),
            (
                connection(json!({ "pre_connect": { "command": ["/bin/true"] } })),
                "`connection[0].kind` must be \"dialup\"",
            ),
            (
                connection(json!({ "kind": "dialup", "pre_connect": { "command": ["true"] } })),
                "`connection[0].pre_connect.command` \"true\" must be the whole path",
            ),
            (
                connection(json!({ "kind": "dialup", "post_connect": { "command": [] } })),
                "`connection[0].post_connect.command` must name a program",
            ),
            (
                connection(json!({ "schedule": { "days": ["mon", "any"] } })),
                "`connection[0].schedule.days[1]` \"any\" is no day",
            ),
            (
                connection(json!({ "schedule": { "times": ["8-22"] } })),
                "`connection[0].schedule.times[0]` \"8-22\" is no range of time",
            ),
            (
                connection(json!({ "schedule": { "zone": "Mars/Base" } })),
                "`connection[0].schedule.zone` \"Mars/Base\" is no time zone",
            ),
            (
                connection(json!({ "schedule": { "repeat": "10s" } })),
                "`connection[0].schedule.repeat` \"10s\" is no time from 60 s",
            ),
            (connection(json!({ "schedule": { "at": [] } })), "unknown field `at`"),
            (
                connection(json!({ "low_priority_times": ["night"] })),
                "`connection[0].low_priority_times[0]` \"night\"",
            ),
        ] {
            let error = made(section).unwrap_err();
            assert!(error.starts_with(wanted), "{error}\nwanted {wanted}");
        }
    }
}
