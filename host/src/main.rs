//! Stagepost: an SMTP server whose every stage is a plug-in point.
//! Holds nothing but the way from the command line to the exit code.
#![forbid(unsafe_code)]

mod admin;
mod auth;
mod check;
mod cli;
mod config;
mod connection;
mod delivery;
mod directory;
mod dns;
mod https;
mod intake;
mod listener;
mod log;
mod metrics;
mod outbound;
mod plugin;
mod router;
mod secret_file;
mod serve;
mod state_dir;
mod stopping;
mod sts;
mod throttle;
mod tls;
mod tls_report;
mod welcome;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
