//! Commands that look into the queue of a running server and change it.
//! Knows what each shows; knows no path of the admin API.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::server::{AskError, ServerArgs};
use super::watch::refused;
use super::{print, print_json};
use crate::admin::ClientError;
use crate::admin::queue::{Done, client};

#[derive(Debug, Subcommand)]
pub(super) enum QueueCommand {
    /// List messages, oldest first
    ///
    /// So many at a time; the last line tells how to go on. A message that was delivered to all of its recipients is no
    /// longer there.
    List(ListArgs),
    /// Explain one message
    ///
    /// Its sender and recipients as they came and as they are, what becomes of each recipient, and every change that a
    /// plug-in made: who, at which stage, what, from what, to what, and how long the handler took.
    Explain(ExplainArgs),
    /// Print one message, octet by octet
    ///
    /// Header and body as they are stored. Look out for what they may do to a terminal.
    Show(ShowArgs),
    /// Keep messages undelivered until they are released
    ///
    /// An attempt to deliver that is under way is not broken off.
    Hold(HoldArgs),
    /// Deliver messages that are on hold
    Release(WhichArgs),
    /// Remove messages for good
    ///
    /// Nobody is told. An attempt to deliver that is under way is not broken off.
    Remove(ManyArgs),
    /// Count what waits for a destination
    ///
    /// However long the queue is, the answer takes no longer.
    Count(DestinationArgs),
    /// Try now what waits for a destination
    ///
    /// What is on hold stays so.
    Flush(DestinationArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// List only messages that have a recipient on hold
    #[arg(long)]
    held: bool,
    /// Begin behind this message
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// List so many at most
    #[arg(long, value_name = "NUMBER", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The message, as the list, the log and the reply to its client name it
    #[arg(value_name = "ID")]
    id: String,
    /// Print the answer as JSON: nothing is cut then
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The message
    #[arg(value_name = "ID")]
    id: String,
}

#[derive(Debug, Args)]
pub(super) struct HoldArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// Why, for whoever looks at the queue later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ManyArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The messages
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

/// Messages, or all that waits for a destination.
#[derive(Debug, Args)]
pub(super) struct WhichArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The messages
    #[arg(value_name = "ID", required_unless_present = "destination")]
    ids: Vec<String>,
    /// All that waits now for a domain, with @ before it for a domain and all below it, with # before it in a queue
    #[arg(long, value_name = "DESTINATION", conflicts_with = "ids")]
    destination: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct DestinationArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// A domain, with @ before it a domain and all below it, or with # before it a queue
    #[arg(value_name = "DESTINATION")]
    destination: String,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Does what a command says.
pub(super) fn run(command: QueueCommand) -> ExitCode {
    match command {
        QueueCommand::List(args) => list(&args),
        QueueCommand::Explain(args) => explain(&args),
        QueueCommand::Show(args) => show(&args),
        QueueCommand::Hold(args) => hold(&args),
        QueueCommand::Release(args) => release(&args),
        QueueCommand::Remove(args) => {
            for_each(&args.server, &args.ids, "removed", |socket, id| async move {
                client::remove(&socket, &id).await
            })
        }
        QueueCommand::Count(args) => count(&args),
        QueueCommand::Flush(args) => flush(&args),
    }
}

fn list(args: &ListArgs) -> ExitCode {
    let asked = args.server.ask(|socket| async move {
        client::list(&socket, args.held, args.after.as_deref(), args.limit).await
    });
    answered(asked, args.json)
}

fn explain(args: &ExplainArgs) -> ExitCode {
    let asked = args.server.ask(|socket| async move { client::explain(&socket, &args.id).await });
    answered(asked, args.json)
}

/// Prints an answer: as it came, or for a person.
fn answered(asked: Result<(String, impl Display), AskError>, json: bool) -> ExitCode {
    match asked {
        Ok((text, _)) if json => print_json(&text),
        Ok((_, document)) => print(&document),
        Err(error) => refused(&error),
    }
}

fn show(args: &ShowArgs) -> ExitCode {
    let asked = args.server.ask(|socket| async move {
        client::show(&socket, &args.id, &mut io::stdout().lock()).await
    });
    asked.map_or_else(|error| refused(&error), |()| ExitCode::SUCCESS)
}

fn hold(args: &HoldArgs) -> ExitCode {
    let (which, reason) = (&args.which, &args.reason);
    let Some(destination) = &which.destination else {
        return for_each(&which.server, &which.ids, "on hold", |socket, id| {
            let reason = reason.clone();
            async move { client::hold(&socket, &id, reason).await }
        });
    };
    let asked = which.server.ask(|socket| async move {
        client::hold_destination(&socket, destination, reason.clone()).await
    });
    told(asked, destination, "deliveries on hold now", false)
}

fn release(args: &WhichArgs) -> ExitCode {
    let Some(destination) = &args.destination else {
        return for_each(&args.server, &args.ids, "released", |socket, id| async move {
            client::release(&socket, &id).await
        });
    };
    let asked = args
        .server
        .ask(|socket| async move { client::release_destination(&socket, destination).await });
    told(asked, destination, "deliveries released", false)
}

fn count(args: &DestinationArgs) -> ExitCode {
    let asked =
        args.server.ask(|socket| async move { client::count(&socket, &args.destination).await });
    answered(asked, args.json)
}

fn flush(args: &DestinationArgs) -> ExitCode {
    let asked =
        args.server.ask(|socket| async move { client::flush(&socket, &args.destination).await });
    told(asked, &args.destination, "deliveries due now", args.json)
}

/// Prints how much was done for a destination: as it came, or for a person.
fn told(
    asked: Result<(String, Done), AskError>,
    destination: &str,
    what: &str,
    json: bool,
) -> ExitCode {
    match asked {
        Ok((text, _)) if json => print_json(&text),
        Ok((_, Done { count })) => print(&format!("{destination}: {what}: {count}\n")),
        Err(error) => refused(&error),
    }
}

/// Does one thing to each message, also when it can't be done to one before; the last failure is the exit code.
fn for_each<F>(
    server: &ServerArgs,
    ids: &[String],
    done: &str,
    act: impl Fn(PathBuf, String) -> F,
) -> ExitCode
where
    F: Future<Output = Result<Done, ClientError>>,
{
    let mut code = ExitCode::SUCCESS;
    for id in ids {
        code = match server.ask(|socket| act(socket, id.clone())) {
            Ok(Done { count }) => match print(&format!("{id}: {done}, recipients: {count}\n")) {
                printed if printed == ExitCode::SUCCESS => code,
                broken => return broken,
            },
            Err(error @ AskError::Client(ClientError::Refused { .. })) => refused(&error),
            // The next one would fare no better.
            Err(error) => return refused(&error),
        };
    }
    code
}
