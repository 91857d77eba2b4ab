//! Commands that watch a running server.
//! Knows what each shows; knows no path of the admin API.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use stagepost_extmgr::TraceFilter;

use super::server::{AskError, ServerArgs};
use super::{failed, print, print_json, terminal};
use crate::admin::{self, ClientError, Status, TraceLine};

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

#[derive(Debug, Args)]
pub(super) struct TraceArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Only the calls for one session: its id is in every log line about it
    #[arg(long, value_name = "ID", conflicts_with = "plugin")]
    session: Option<u64>,
    /// Only the calls of one plug-in
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    /// Print each call as one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn trace(args: &TraceArgs) -> ExitCode {
    let filter = TraceFilter { session: args.session, plugin: args.plugin.clone() };
    let mut printed = ExitCode::SUCCESS;
    let show = |line: &[u8]| match writeln!(io::stdout(), "{}", shown(line, args.json)) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => false,
        Err(error) => {
            printed = failed(&format!("error: {error}"), 1);
            false
        }
    };
    let follow = |socket: PathBuf| async move { admin::follow_trace(&socket, &filter, show).await };
    match args.server.ask(follow) {
        Ok(()) => printed,
        Err(error) => refused(&error),
    }
}

/// A line of the trace, for a terminal in any case.
fn shown(line: &[u8], json: bool) -> String {
    match serde_json::from_slice::<TraceLine>(line) {
        Ok(line) if !json => line.to_string(),
        _ => terminal::json(&String::from_utf8_lossy(line)).into_owned(),
    }
}

pub(super) fn status(args: &StatusArgs) -> ExitCode {
    let asked = args.server.ask(|socket| async move {
        let json = admin::fetch_status(&socket).await?;
        let status = serde_json::from_str::<Status>(&json)
            .map_err(|error| ClientError::Answer { socket, reason: error.to_string() });
        Ok((json, status))
    });
    match asked {
        Ok((json, _)) if args.json => print_json(&json),
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
    failed(error, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_trace_is_no_command_to_a_terminal() {
        let line = "{\"lost\": 3, \"more\": \"\u{9b}31m\"}";
        assert_eq!(shown(line.as_bytes(), true), "{\"lost\": 3, \"more\": \"\\u009b31m\"}");
        assert!(shown(line.as_bytes(), false).starts_with("3 calls"));
        assert_eq!(shown(b"no \x9b json\r", false), "no \u{fffd} json ");
    }
}
