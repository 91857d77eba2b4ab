//! The command line: what can be said, and what is done then.
//! Knows no setting: those are in the configuration file.

mod access;
mod address;
mod etrn;
mod import;
mod plugin;
mod pull;
mod queue;
mod server;
mod stats;
mod terminal;
mod tls;
mod user;
mod watch;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{self, ConfigError, Settings};
use crate::plugin::new::{self as plugin_new, Language};
use crate::{check, log, serve};

use watch::{MetricsArgs, StatusArgs, TraceArgs};

/// Exit code: the configuration or the command line is wrong.
const EXIT_CONFIGURATION: u8 = 2;

/// An SMTP server whose every stage is a plug-in point.
///
/// Without a command it runs with the built-in development configuration: loopback only, state in ./var.
#[derive(Debug, Parser)]
#[command(name = "stagepost", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until Ctrl-C or SIGTERM
    ///
    /// On Ctrl-C or SIGTERM no connection is accepted any more, sessions and deliveries under way are
    /// finished, and the process ends.
    Run {
        /// The configuration file; without it the built-in development configuration
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Check a configuration file without serving
    ///
    /// Plug-in files that it names are checked too, and none is run. Prints one line for each thing that is
    /// right, or the first error. Exit code 0 when all is right, 2 when something is wrong.
    Check {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Show how a running server is doing
    ///
    /// Asks the running server over its admin socket. Exit code 1 when no server answers.
    Status(StatusArgs),
    /// Show everything that a running server counts
    ///
    /// In the text format of Prometheus: sessions, queue, what each plug-in answered at each event and how long it
    /// took, and what plug-ins count themselves. Exit code 1 when no server answers.
    Metrics(MetricsArgs),
    /// Show what plug-ins count by name
    ///
    /// `stagepost stats smtp` shows how often each list, zone and rule of access-control had somebody, with the names that
    /// Domino gives them. Exit code 1 when no server answers.
    Stats(stats::StatsArgs),
    /// Ask who may connect, relay, send and receive
    #[command(subcommand)]
    Access(access::AccessCommand),
    /// Ask what an address comes to
    #[command(subcommand)]
    Address(address::AddressCommand),
    /// Have a running server read its configuration again
    ///
    /// Plug-ins' own sections take effect at once, where the plug-in takes them; all else that has changed is named,
    /// and takes effect when the server starts again. SIGHUP does the same. Exit code 1 when something is wrong: then
    /// nothing has changed.
    Reload(plugin::ReloadArgs),
    /// Look into the queue of a running server, and change it
    ///
    /// Exit code 1 when no server answers, or when it could not do what was asked.
    #[command(subcommand)]
    Queue(queue::QueueCommand),
    /// Call a server that holds mail for us or takes ours, or show such calls
    ///
    /// `stagepost pull NAME` calls the connection of that name, as its document in the section of pull-delivery says, and shows how
    /// far it is until it is over. `stagepost pull status` shows all of them. Exit code 1 when no server answers, or when the
    /// call came to nothing.
    Pull(pull::PullArgs),
    /// Hand mail over now
    ///
    /// By the connection of that name or the one that hands over mail of that destination; where there is none, as the routes
    /// say. Exit code 1 when no server answers.
    Route(pull::RouteArgs),
    /// Look whether a server sends mail to those who ask for it
    #[command(subcommand)]
    Etrn(etrn::EtrnCommand),
    /// Show calls of plug-ins as they happen
    ///
    /// Each call with its event and stage, what the event told, what the plug-in answered and edits, and how long it
    /// took. Secrets are left out. Ends by Ctrl-C and when the server stops.
    Trace(TraceArgs),
    /// Take over the configuration of another server
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Work with certificates, and see what deliveries want of others'
    #[command(subcommand)]
    Tls(tls::TlsCommand),
    /// Manage the users who may log in
    ///
    /// Each change takes effect with the next login, also in a running server. Exit code 2 when it can't be made.
    #[command(subcommand)]
    User(user::UserCommand),
    /// Work with plug-in files, and with the plug-ins of a running server
    #[command(subcommand)]
    Plugin(PluginCommand),
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
    /// Show what a plug-in file says of itself
    ///
    /// Its name, version and class, what it may do, and the digest for the configuration. None of its code is
    /// run. Exit code 2 when this server would refuse it.
    Inspect {
        /// The shared object
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Make a new plug-in to begin with
    ///
    /// Writes a folder with a small plug-in that builds with one command and loads, and with the configuration of a server
    /// to try it in; prints that command, those to try it, and the section for your own configuration. Nothing that exists
    /// is changed.
    New(NewArgs),
    /// Show the plug-ins of a running server, and what each does for an operator
    ///
    /// Exit code 1 when no server answers.
    List(plugin::ListArgs),
    /// Have a plug-in of a running server do something
    ///
    /// Prints the JSON that it answers. Exit code 1 when no server answers, or when the plug-in says no.
    Call(plugin::CallArgs),
}

#[derive(Debug, Args)]
struct NewArgs {
    /// What it is written in
    #[arg(long, value_name = "LANGUAGE")]
    lang: Lang,
    /// Its name: a small letter, then small letters, digits, - and _, up to 63 in all
    #[arg(value_name = "NAME")]
    name: String,
    /// The folder to make; without it ./NAME
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// A checkout of Stagepost, for Rust: stagepost-sdk is used from there, since it is on no registry; without it the one
    /// that this program was built in
    #[arg(long, value_name = "PATH")]
    sdk: Option<PathBuf>,
}

/// The languages that a plug-in can be made in.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Lang {
    C,
    Rust,
}

/// Does what the command line says.
pub(crate) fn run() -> ExitCode {
    match Cli::parse().command {
        None => run_server(None),
        Some(Command::Run { config }) => run_server(config.as_deref()),
        Some(Command::Check { config }) => check_file(&config),
        Some(Command::Status(args)) => watch::status(&args),
        Some(Command::Metrics(args)) => watch::metrics(&args),
        Some(Command::Stats(args)) => stats::stats(&args),
        Some(Command::Access(command)) => access::run(&command),
        Some(Command::Address(command)) => address::run(&command),
        Some(Command::Queue(command)) => queue::run(command),
        Some(Command::Pull(args)) => pull::pull(&args),
        Some(Command::Route(args)) => pull::route(&args),
        Some(Command::Etrn(command)) => etrn::run(&command),
        Some(Command::Trace(args)) => watch::trace(&args),
        Some(Command::Reload(args)) => plugin::reload(&args),
        Some(Command::Import(command)) => import::run(&command),
        Some(Command::Tls(command)) => tls::run(&command),
        Some(Command::User(command)) => user::run(&command),
        Some(Command::Plugin(PluginCommand::Inspect { file })) => inspect(&file),
        Some(Command::Plugin(PluginCommand::New(args))) => new_plugin(&args),
        Some(Command::Plugin(PluginCommand::List(args))) => plugin::list(&args),
        Some(Command::Plugin(PluginCommand::Call(args))) => plugin::call(&args),
    }
}

fn settings(config: Option<&Path>) -> Result<Settings, ConfigError> {
    config.map_or_else(config::development, config::load)
}

fn run_server(config: Option<&Path>) -> ExitCode {
    let settings = match settings(config) {
        Ok(settings) => settings,
        Err(error) => return failed(&error, EXIT_CONFIGURATION),
    };
    if let Err(error) = log::start(settings.log) {
        return failed(&error, EXIT_CONFIGURATION);
    }
    let served = match serve::run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error, 1),
    };
    if !stagepost_extmgr::calls_return_within(Duration::ZERO) {
        // Everything is on disk; what a stuck call holds must not keep the process.
        tracing::warn!("a plug-in's call has not returned: the process ends without it");
        stagepost_extmgr::leave(u8::from(served != ExitCode::SUCCESS));
    }
    served
}

fn check_file(config: &Path) -> ExitCode {
    match check::run(config) {
        Ok(lines) => print(&lines),
        Err(error) => failed(&error, EXIT_CONFIGURATION),
    }
}

fn inspect(file: &Path) -> ExitCode {
    match check::describe(file) {
        Ok(lines) => print(&lines),
        Err(error) => failed(&format!("error: {}: {error}", file.display()), EXIT_CONFIGURATION),
    }
}

fn new_plugin(args: &NewArgs) -> ExitCode {
    let folder = args.dir.clone().unwrap_or_else(|| PathBuf::from(&args.name));
    let made = match (args.lang, &args.sdk) {
        (Lang::C, _) => plugin_new::write(&args.name, &folder, Language::C),
        (Lang::Rust, Some(checkout)) => {
            plugin_new::write(&args.name, &folder, Language::Rust { checkout })
        }
        (Lang::Rust, None) => plugin_new::own_checkout().and_then(|checkout| {
            plugin_new::write(&args.name, &folder, Language::Rust { checkout: &checkout })
        }),
    };
    match made {
        Ok(made) => print(&made),
        Err(error) => failed(&error, EXIT_CONFIGURATION),
    }
}

/// Prints for a person or a terminal.
fn print(text: &impl Display) -> ExitCode {
    write_out(&terminal::text(&text.to_string()))
}

/// Prints tables, as wide as the terminal if they go to one.
fn print_tables(tables: &impl Display) -> ExitCode {
    match terminal::columns() {
        Some(columns) => print(&format!("{tables:columns$}")),
        None => print(tables),
    }
}

/// Prints JSON in lines of its own.
fn print_json(json: &str) -> ExitCode {
    write_out(&format!("{}\n", terminal::json(json)))
}

/// Writes; a reader that went away (`| head`) is no failure.
fn write_out(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            failed(&format!("error: {error}"), 1)
        }
        _ => ExitCode::SUCCESS,
    }
}

fn failed(error: &impl Display, code: u8) -> ExitCode {
    // Nobody is left to tell when stderr is gone.
    let _ = writeln!(io::stderr(), "{}", terminal::text(&error.to_string()));
    ExitCode::from(code)
}
