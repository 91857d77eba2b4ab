//! `stagepost access`: asks the plug-in for inbound access what would become of a client.
//! Knows the form of its answer; knows no rule.

use std::fmt;
use std::net::IpAddr;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use super::server::ServerArgs;
use super::watch::refused;
use super::{failed, print, print_json, terminal};
use crate::admin::{self, ClientError};

#[derive(Debug, Subcommand)]
pub(super) enum AccessCommand {
    /// Explain what would become of a client, control by control
    ///
    /// Without a connection and without the DNS: what the DNS would be asked is shown. The running server's rules decide,
    /// and each line names the entry, with its place, that it decides by. Exit code 1 when no server answers.
    Test(TestArgs),
}

#[derive(Debug, Args)]
pub(super) struct TestArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The name that the plug-in has in the configuration
    #[arg(long, value_name = "NAME", default_value = "access-control")]
    plugin: String,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: Client,
}

/// The client that is asked about, as the verb takes it.
#[derive(Debug, Args, Serialize)]
struct Client {
    /// Its address
    #[arg(long, value_name = "ADDRESS")]
    ip: IpAddr,
    /// The name that the DNS has for the address; without it none
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ptr: Option<String>,
    /// The name is a claim alone: it does not have the address in turn
    #[arg(long, requires = "ptr")]
    unconfirmed: bool,
    /// What it calls itself in EHLO
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    helo: Option<String>,
    /// The sender; an empty one is the null sender
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// The recipient
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    /// The user that it has logged in as
    #[arg(long, value_name = "USER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<String>,
}

/// What the verb answers.
#[derive(Debug, Deserialize)]
struct Explained {
    accepted: bool,
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
struct Step {
    control: String,
    decision: String,
    by: String,
}

impl fmt::Display for Explained {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: fn(&Step) -> &str| {
            self.steps.iter().map(|step| column(step).chars().count()).max().unwrap_or(0)
        };
        let (controls, decisions) = (width(|step| &step.control), width(|step| &step.decision));
        for Step { control, decision, by } in &self.steps {
            let [control, decision, by] = [control, decision, by].map(|text| terminal::line(text));
            writeln!(out, "{control:controls$}  {decision:decisions$}  {by}")?;
        }
        let says = |decision: &str| self.steps.iter().any(|step| step.decision == decision);
        let word = match self.accepted {
            true if says("not asked") => "accepted, unless what was not asked is against it",
            true => "accepted",
            false if says("refused") => "refused",
            false => "deferred",
        };
        writeln!(out, "{word}")
    }
}

pub(super) fn run(command: &AccessCommand) -> ExitCode {
    let AccessCommand::Test(args) = command;
    let arguments = match serde_json::to_string(&args.client) {
        Ok(arguments) => arguments,
        Err(error) => return failed(&format!("error: {error}"), 1),
    };
    let asked = args.server.ask(|socket| async move {
        let json = admin::call_plugin(&socket, &args.plugin, "test", arguments).await?;
        let explained = serde_json::from_str::<Explained>(&json)
            .map_err(|error| ClientError::Answer { socket, reason: error.to_string() });
        Ok((json, explained))
    });
    match asked {
        Ok((json, _)) if args.json => print_json(&json),
        Ok((_, Ok(explained))) => print(&explained),
        Ok((_, Err(error))) => failed(&error, 1),
        Err(error) => refused(&error),
    }
}
