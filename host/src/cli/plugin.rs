//! Commands that ask the running server for its plug-ins, call into them, and give them another configuration.
//! Knows no verb.

use std::process::ExitCode;

use clap::Args;

use super::server::ServerArgs;
use super::watch::refused;
use super::{failed, print};
use crate::admin::{self, ClientError, PluginList, ReloadReport};

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct CallArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The plug-in's name
    #[arg(value_name = "NAME")]
    plugin: String,
    /// What it shall do: `stagepost plugin list` shows what it can
    #[arg(value_name = "VERB")]
    verb: String,
    /// What the verb takes, as its help says; without it null
    #[arg(value_name = "JSON", default_value = "null", hide_default_value = true)]
    arguments: String,
}

#[derive(Debug, Args)]
pub(super) struct ReloadArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn reload(args: &ReloadArgs) -> ExitCode {
    let asked = args.server.ask(|socket| async move {
        let json = admin::reload(&socket).await?;
        let report = serde_json::from_str::<ReloadReport>(&json)
            .map_err(|error| ClientError::Answer { socket, reason: error.to_string() });
        Ok((json, report))
    });
    match asked {
        Ok((json, _)) if args.json => print(&format!("{json}\n")),
        Ok((_, Ok(report))) => print(&report),
        Ok((_, Err(error))) => failed(&error, 1),
        Err(error) => refused(&error),
    }
}

pub(super) fn list(args: &ListArgs) -> ExitCode {
    let asked = args.server.ask(|socket| async move {
        let json = admin::fetch_plugins(&socket).await?;
        let list = serde_json::from_str::<PluginList>(&json)
            .map_err(|error| ClientError::Answer { socket, reason: error.to_string() });
        Ok((json, list))
    });
    match asked {
        Ok((json, _)) if args.json => print(&format!("{json}\n")),
        Ok((_, Ok(list))) => print(&list),
        Ok((_, Err(error))) => failed(&error, 1),
        Err(error) => refused(&error),
    }
}

pub(super) fn call(args: &CallArgs) -> ExitCode {
    let CallArgs { plugin, verb, arguments, .. } = args;
    let asked = args.server.ask(|socket| async move {
        admin::call_plugin(&socket, plugin, verb, arguments.clone()).await
    });
    match asked {
        Ok(json) => print(&format!("{json}\n")),
        Err(error) => refused(&error),
    }
}
