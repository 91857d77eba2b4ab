//! `stagepost address`: asks a running server what becomes of mail for an address.
//! Knows what it shows; knows no alias.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::server::ServerArgs;
use super::watch::refused;
use super::{print, print_json};
use crate::admin;

#[derive(Debug, Subcommand)]
pub(super) enum AddressCommand {
    /// Explain what an address comes to, step by step
    ///
    /// Through aliases, sub-addresses, the directory in LDAP and whoever has the rest of a domain, to those who get the mail, and
    /// what RCPT makes of it. As the server has it now. Exit code 1 when no server answers.
    Explain(ExplainArgs),
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The address, without angle brackets
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &AddressCommand) -> ExitCode {
    let AddressCommand::Explain(args) = command;
    let asked = args
        .server
        .ask(|socket| async move { admin::explain_address(&socket, &args.address).await });
    match asked {
        Ok((json, _)) if args.json => print_json(&json),
        Ok((_, report)) => print(&report),
        Err(error) => refused(&error),
    }
}
