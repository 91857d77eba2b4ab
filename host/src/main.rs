//! Stagepost: an SMTP server whose every stage is a plug-in point.
//! Holds nothing but the way from the command line to the exit code.
#![forbid(unsafe_code)]

mod admin;
mod auth;
mod body_change;
mod check;
mod cli;
mod config;
mod connection;
mod delivery;
mod descriptor;
mod directory;
mod dns;
mod door;
mod https;
mod intake;
mod listener;
mod log;
mod mail;
mod metrics;
mod notes_ini;
mod outbound;
mod plugin_new;
mod plugin_state;
mod process_name;
mod proxy_header;
mod refusal;
mod reload;
mod router;
mod secret_file;
mod serve;
mod service_manager;
mod sessions;
mod socket;
mod state_dir;
mod status;
mod stopping;
mod sts;
mod submission;
mod throttle;
mod tls;
mod tls_report;
mod transport;
mod watch;
mod welcome;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
