//! The servers to measure, and the order in which they take turns.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::Args;
use serde_json::Value;

use crate::fault::Fault;
use crate::report::{Report, Round};

/// A server on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    /// The process whose CPU and memory count, with its descendants.
    pub(crate) pid: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct NamedPid {
    name: Option<String>,
    pid: u32,
}

/// Options of every measurement.
#[derive(Args, Debug)]
pub(crate) struct Targets {
    /// Server to measure, on a loopback address; several take turns
    #[arg(long = "target", required = true, value_name = "[NAME=]HOST:PORT", value_parser = parse_target)]
    targets: Vec<Target>,
    /// Process of a target; it and its descendants are counted
    #[arg(long = "pid", value_name = "[NAME=]PID", value_parser = parse_pid)]
    pids: Vec<NamedPid>,
    /// How often each target has its turn
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Print a line of JSON for each target instead of the table
    #[arg(long)]
    json: bool,
}

impl Targets {
    /// Measures every target once per round and prints the medians.
    pub(crate) fn measure(
        &self,
        what: &str,
        settings: &Value,
        mut round: impl FnMut(&Target) -> Result<Round, Fault>,
    ) -> Result<(), Fault> {
        let targets = self.with_pids()?;
        let mut reports: Vec<_> = targets.iter().map(|t| Report::new(t.name.clone())).collect();
        for _ in 0..self.rounds {
            for (target, report) in targets.iter().zip(&mut reports) {
                report.add(round(target)?);
            }
        }
        Report::print(what, settings, &reports, self.json)
    }

    fn with_pids(&self) -> Result<Vec<Target>, Fault> {
        let mut targets = self.targets.clone();
        let refuse = |value: String, reason: &str| {
            Err(Fault::Option { option: "--pid", value, reason: reason.to_owned() })
        };
        for NamedPid { name, pid } in &self.pids {
            let target = match name {
                Some(name) => targets.iter_mut().find(|target| target.name == *name),
                None if targets.len() == 1 => targets.first_mut(),
                None => return refuse(pid.to_string(), "several targets: which one?"),
            };
            let Some(target) = target else {
                return refuse(name.clone().unwrap_or_default(), "no target has this name");
            };
            if target.pid.replace(*pid).is_some() {
                return refuse(pid.to_string(), "the target has a process already");
            }
        }
        Ok(targets)
    }
}

/// Parses HOST:PORT and refuses what is not this machine.
pub(crate) fn parse_loopback(value: &str) -> Result<SocketAddr, String> {
    let address = match value.strip_prefix("localhost:") {
        Some(port) => {
            let port = port.parse().map_err(|_| format!("{port:?} is not a port"))?;
            SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
        }
        None => value.parse().map_err(|_| format!("{value:?} is not ADDRESS:PORT"))?,
    };
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(format!("{} is not a loopback address", address.ip()))
    }
}

fn parse_target(value: &str) -> Result<Target, String> {
    let (name, address) = value.split_once('=').unwrap_or((value, value));
    let address = parse_loopback(address)?;
    if address.port() == 0 {
        return Err("port 0 cannot be connected to".to_owned());
    }
    Ok(Target { name: name.to_owned(), address, pid: None })
}

fn parse_pid(value: &str) -> Result<NamedPid, String> {
    let (name, pid) = match value.split_once('=') {
        Some((name, pid)) => (Some(name.to_owned()), pid),
        None => (None, value),
    };
    let pid = pid.parse().map_err(|_| format!("{pid:?} is not a process id"))?;
    Ok(NamedPid { name, pid })
}

#[cfg(test)]
mod tests {
    use super::{parse_pid, parse_target};

    #[test]
    fn targets() {
        let cases = [
            ("127.0.0.1:25", Some(("127.0.0.1:25", "127.0.0.1:25"))),
            ("a=127.0.0.2:2525", Some(("a", "127.0.0.2:2525"))),
            ("localhost:25", Some(("localhost:25", "127.0.0.1:25"))),
            ("six=[::1]:25", Some(("six", "[::1]:25"))),
            ("192.0.2.1:25", None),
            ("a=0.0.0.0:25", None),
            ("[2001:db8::1]:25", None),
            ("example.com:25", None),
            ("127.0.0.1:0", None),
            ("127.0.0.1", None),
            ("", None),
        ];
        for (value, expected) in cases {
            let found = parse_target(value).ok();
            let found = found.map(|target| (target.name, target.address.to_string()));
            let expected = expected.map(|(name, address)| (name.to_owned(), address.to_owned()));
            assert_eq!(found, expected, "{value:?}");
        }
    }

    #[test]
    fn pids() {
        for (value, expected) in
            [("7", Some((None, 7))), ("a=7", Some((Some("a"), 7))), ("a", None)]
        {
            let found = parse_pid(value).ok();
            let found = found.as_ref().map(|found| (found.name.as_deref(), found.pid));
            assert_eq!(found, expected, "{value:?}");
        }
    }
}
