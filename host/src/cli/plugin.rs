//! Commands that ask the running server for its plug-ins, call into them, and give them another configuration.
//! Knows no verb.

use std::io::{self, Read};
use std::process::ExitCode;

use clap::Args;
use stagepost_extmgr::{AdminVerbError, VERB_JSON_OCTETS_MAX};

use super::server::{AskError, ServerArgs};
use super::watch::refused;
use super::{failed, print, print_json, terminal};
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
    /// What the verb takes, as its help says; without it null, and with - what is read from standard input
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
        Ok((json, _)) if args.json => print_json(&json),
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
        Ok((json, _)) if args.json => print_json(&json),
        Ok((_, Ok(list))) => print(&list),
        Ok((_, Err(error))) => failed(&error, 1),
        Err(error) => refused(&error),
    }
}

pub(super) fn call(args: &CallArgs) -> ExitCode {
    let CallArgs { plugin, verb, .. } = args;
    let arguments = match args.arguments.as_str() {
        "-" => read_arguments(io::stdin().lock()),
        written => Ok(written.to_owned()),
    };
    let arguments = match arguments {
        Ok(arguments) => arguments,
        Err(error) => return failed(&error, 1),
    };
    let asked = args
        .server
        .ask(|socket| async move { admin::call_plugin(&socket, plugin, verb, arguments).await });
    match asked {
        Ok(json) => print_json(&json),
        // The plug-in's words: none of them may begin a line, and look like ours.
        Err(AskError::Client(ClientError::Refused { error, remedy })) => {
            let error = terminal::line(&error).into_owned();
            refused(&AskError::Client(ClientError::Refused { error, remedy }))
        }
        Err(error) => refused(&error),
    }
}

/// Why what is given on standard input can't be handed over.
#[derive(Debug, thiserror::Error)]
enum InputError {
    #[error("error: standard input: {0}\n  = help: write the JSON on the command line instead")]
    Read(#[from] io::Error),
    #[error("error: {0}\n  = help: say it with less")]
    TooLarge(AdminVerbError),
    #[error("error: {0}\n  = help: write JSON in UTF-8")]
    NotUtf8(AdminVerbError),
}

/// Reads what a verb takes, and no more than it may be.
fn read_arguments(input: impl Read) -> Result<String, InputError> {
    let mut octets = Vec::new();
    input.take(VERB_JSON_OCTETS_MAX as u64 + 1).read_to_end(&mut octets)?;
    if octets.len() > VERB_JSON_OCTETS_MAX {
        return Err(InputError::TooLarge(AdminVerbError::TooLarge));
    }
    String::from_utf8(octets).map_err(|_| InputError::NotUtf8(AdminVerbError::NotUtf8))
}
