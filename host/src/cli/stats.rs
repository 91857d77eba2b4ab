//! `stagepost stats`: what plug-ins count by name, as they answer their admin verb `statistics`.
//! Knows no name and no plug-in.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::server::ServerArgs;
use super::watch::refused;
use super::{failed, print, print_json, terminal};
use crate::admin::{self, ClientError, PluginList};

/// The verb of plug-ins that count by name: it takes nothing and answers an object of numbers.
const VERB: &str = "statistics";

#[derive(Debug, Args)]
pub(super) struct StatsArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Only names that begin with this and a dot, such as smtp; capitals and small letters are the same
    #[arg(value_name = "GROUP")]
    group: Option<String>,
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

/// Numbers by name.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
struct Statistics(BTreeMap<String, Value>);

impl Statistics {
    /// Adds what a plug-in counts; what is no number is left out.
    fn add(&mut self, counted: BTreeMap<String, Value>, group: Option<&str>) {
        let wanted = |name: &str| {
            let begins = |group: &str| {
                let begin = name.get(..group.len());
                begin.is_some_and(|begin| begin.eq_ignore_ascii_case(group))
                    && name[group.len()..].starts_with('.')
            };
            group.is_none_or(begins)
        };
        let counted = counted.into_iter().filter(|(name, value)| value.is_number() && wanted(name));
        self.0.extend(counted);
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(out, "no statistics");
        }
        for (name, value) in &self.0 {
            writeln!(out, "{} = {value}", terminal::line(name))?;
        }
        Ok(())
    }
}

async fn fetch(socket: &Path, group: Option<&str>) -> Result<Statistics, ClientError> {
    let unreadable = |error: serde_json::Error| ClientError::Answer {
        socket: socket.to_owned(),
        reason: error.to_string(),
    };
    let list = admin::fetch_plugins(socket).await?;
    let list: PluginList = serde_json::from_str(&list).map_err(unreadable)?;
    let mut statistics = Statistics::default();
    for plugin in list.plugins {
        if plugin.verbs.iter().any(|verb| verb.name == VERB) {
            let json = admin::call_plugin(socket, &plugin.name, VERB, "null".to_owned()).await?;
            statistics.add(serde_json::from_str(&json).map_err(unreadable)?, group);
        }
    }
    Ok(statistics)
}

pub(super) fn stats(args: &StatsArgs) -> ExitCode {
    let group = args.group.as_deref();
    match args.server.ask(|socket| async move { fetch(&socket, group).await }) {
        Ok(statistics) if args.json => match serde_json::to_string(&statistics) {
            Ok(json) => print_json(&json),
            Err(error) => failed(&format!("error: {error}"), 1),
        },
        Ok(statistics) => print(&statistics),
        Err(error) => refused(&error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn groups_are_whole_parts_of_names() {
        let counted = json!({ "SMTP.A": 1, "SMTPX.B": 2, "smtp.C": 3, "SMTP": 4, "Mail.D": 5, "SMTP.E": "x" });
        let counted: BTreeMap<String, Value> = serde_json::from_value(counted).unwrap();
        let said = |group| {
            let mut statistics = Statistics::default();
            statistics.add(counted.clone(), group);
            statistics.to_string()
        };
        assert_eq!(said(Some("smtp")), "SMTP.A = 1\nsmtp.C = 3\n");
        assert_eq!(said(Some("none")), "no statistics\n");
        assert_eq!(said(None).lines().count(), 5);
    }
}
