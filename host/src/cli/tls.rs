//! `stagepost tls`: certificates to begin with, and what deliveries want of others'.
//! Knows neither how certificates are made nor how policies are found.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::server::ServerArgs;
use super::watch::refused;
use crate::{admin, tls};

#[derive(Debug, Subcommand)]
pub(super) enum TlsCommand {
    /// Make a certificate that nobody vouches for
    ///
    /// Writes it and its key, and prints the lines for the configuration. Servers that bring mail take it, as they take
    /// any; mail programs warn of it. Nothing that exists is changed.
    SelfSigned(SelfSignedArgs),
    /// Show what a delivery to a domain would want of TLS, and why
    ///
    /// The route and its `tls`, the policy of the domain (MTA-STS), and for each server what the DNS says of its certificates (DANE),
    /// what is wanted in the end and who says so. Asks the running server, which asks the DNS and the domain as a delivery does; no
    /// server for mail is talked to. Exit code 1 when no server answers.
    Policy(PolicyArgs),
    /// Show how TLS fared with the servers of other domains, or send the reports of it (TLS-RPT)
    ///
    /// What the running server has counted and not reported yet: all domains, or one with what failed. With --send the reports of
    /// days that are over go now, and not only at the time of the day that the server has for that; what becomes of each is printed.
    /// Exit code 1 when no server answers, or a report could not be sent.
    Report(ReportArgs),
}

#[derive(Debug, Args)]
pub(super) struct PolicyArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The domain that mail would be for
    #[arg(value_name = "DOMAIN")]
    domain: String,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Show this domain only, with what failed
    #[arg(value_name = "DOMAIN")]
    domain: Option<String>,
    /// Send the reports of days that are over now
    #[arg(long, conflicts_with = "domain")]
    send: bool,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
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
    match command {
        TlsCommand::SelfSigned(args) => match tls::self_signed(&args.name, &args.dir, args.days) {
            Ok(made) => super::print(&made),
            Err(error) => super::failed(&error, super::EXIT_CONFIGURATION),
        },
        TlsCommand::Policy(args) => policy(args),
        TlsCommand::Report(args) if args.send => send(args),
        TlsCommand::Report(args) => report(args),
    }
}

fn report(args: &ReportArgs) -> ExitCode {
    let domain = args.domain.as_deref();
    let asked =
        args.server.ask(|socket| async move { admin::fetch_tls_counts(&socket, domain).await });
    match asked {
        Ok((json, _)) if args.json => super::print_json(&json),
        Ok((_, counts)) => super::print(&counts),
        Err(error) => refused(&error),
    }
}

fn send(args: &ReportArgs) -> ExitCode {
    let (json, sent) =
        match args.server.ask(|socket| async move { admin::send_tls_reports(&socket).await }) {
            Ok(answered) => answered,
            Err(error) => return refused(&error),
        };
    let printed = if args.json { super::print_json(&json) } else { super::print(&sent) };
    if sent.failed.is_empty() { printed } else { ExitCode::FAILURE }
}

fn policy(args: &PolicyArgs) -> ExitCode {
    let asked =
        args.server.ask(|socket| async move { admin::explain_tls(&socket, &args.domain).await });
    match asked {
        Ok((json, _)) if args.json => super::print_json(&json),
        Ok((_, report)) => super::print(&report),
        Err(error) => refused(&error),
    }
}
