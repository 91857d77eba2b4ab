//! Commands that watch a running server.
//! Knows what each shows; knows no path of the admin API.

use std::process::ExitCode;

use clap::Args;

use super::server::{AskError, ServerArgs};
use super::{failed, print};
use crate::admin::{self, ClientError, Status};

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct MetricsArgs {
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn status(args: &StatusArgs) -> ExitCode {
    let asked = args.server.ask(|socket| async move {
        let json = admin::fetch_status(&socket).await?;
        let status = serde_json::from_str::<Status>(&json)
            .map_err(|error| ClientError::Answer { socket, reason: error.to_string() });
        Ok((json, status))
    });
    match asked {
        Ok((json, _)) if args.json => print(&format!("{json}\n")),
        Ok((_, Ok(status))) => print(&status),
        Ok((_, Err(error))) => failed(&error, 1),
        Err(error) => refused(&error),
    }
}

pub(super) fn metrics(args: &MetricsArgs) -> ExitCode {
    match args.server.ask(|socket| async move { admin::fetch_metrics(&socket).await }) {
        Ok(text) => print(&text),
        Err(error) => refused(&error),
    }
}

pub(super) fn refused(error: &AskError) -> ExitCode {
    failed(error, error.exit_code())
}
