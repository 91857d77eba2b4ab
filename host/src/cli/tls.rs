//! `stagepost tls`: certificates to begin with.
//! Knows no running server.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::tls;

#[derive(Debug, Subcommand)]
pub(super) enum TlsCommand {
    /// Make a certificate that nobody vouches for
    ///
    /// Writes it and its key, and prints the lines for the configuration. Servers that bring mail take it, as they take
    /// any; mail programs warn of it. Nothing that exists is changed.
    SelfSigned(SelfSignedArgs),
}

#[derive(Debug, Args)]
pub(super) struct SelfSignedArgs {
    /// The name that clients connect to: the hostname of the configuration
    #[arg(value_name = "NAME")]
    name: String,
    /// The folder to write to; it is made if it is not there
    #[arg(long, value_name = "DIR", default_value = "tls")]
    dir: PathBuf,
    /// How many days it is good for
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: u16,
}

pub(super) fn run(command: &TlsCommand) -> ExitCode {
    let TlsCommand::SelfSigned(args) = command;
    match tls::self_signed(&args.name, &args.dir, args.days) {
        Ok(made) => super::print(&made),
        Err(error) => super::failed(&error, super::EXIT_CONFIGURATION),
    }
}
