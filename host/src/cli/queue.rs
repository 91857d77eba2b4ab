//! Commands that look into the queue of a running server and change it.
//! Knows what each shows; knows no path of the admin API.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::server::{AskError, ServerArgs};
use super::watch::refused;
use super::{failed, print, print_json, print_tables};
use crate::admin::ClientError;
use crate::admin::queue::{ByLane, Done, OrderRequest, client};

#[derive(Debug, Subcommand)]
pub(super) enum QueueCommand {
    /// List messages, oldest first
    ///
    /// So many at a time; the last line tells how to go on. Those of a destination or a sender come in the order in which they are found. A message that was delivered to all of its recipients is no
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
    /// Keep mail undelivered until it is released
    ///
    /// An attempt to deliver that is under way is not broken off.
    Hold(HoldArgs),
    /// Deliver mail that is on hold
    Release(OrderArgs),
    /// Remove mail for good
    ///
    /// Nobody is told, unless --bounce is given. An attempt to deliver that is under way is not broken off.
    Remove(RemoveArgs),
    /// Have mail go by another route, now
    ///
    /// Without --route it goes by the route that the configuration has for it now, and comes into the queue that this names.
    /// Mail that was to be given up is not.
    Requeue(RequeueArgs),
    /// Count what waits for a destination, or for each
    ///
    /// However long the queue is, the answer takes no longer.
    Count(CountArgs),
    /// Show each destination that mail waits for, and how its servers stand
    ///
    /// How many deliveries are made at once and how many may be, when the next attempt is made where servers are left alone,
    /// and what they said last. Destinations with the same servers have one lane.
    Destinations(DestinationsArgs),
    /// Try mail now
    ///
    /// What is on hold stays so.
    Flush(FlushArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// List only messages that have a recipient on hold
    #[arg(long)]
    held: bool,
    /// List only messages with mail for a domain, with @ before it for a domain and all below it, with # before it in a queue, @ alone for all
    #[arg(long, value_name = "DESTINATION")]
    destination: Option<String>,
    /// List only messages that this address has sent, with @ before a domain all senders there and below it, <> without a sender
    #[arg(long, value_name = "SENDER", conflicts_with = "destination")]
    sender: Option<String>,
    /// Begin behind this message, or where the last line of a list says
    #[arg(long, value_name = "PLACE")]
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
    order: OrderArgs,
    /// Why, for whoever looks at the queue later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    #[command(flatten)]
    order: OrderArgs,
    /// Tell the senders that it is not delivered
    #[arg(long)]
    bounce: bool,
    /// Why, for the senders
    #[arg(long, value_name = "TEXT", requires = "bounce")]
    reason: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct RequeueArgs {
    #[command(flatten)]
    order: OrderArgs,
    /// The route, as it is written in the configuration: a domain, @ and a domain, or *
    #[arg(long, value_name = "ROUTE")]
    route: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct OrderArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    which: WhichArgs,
    /// Print what was done as JSON, a line for each message or selection that is named
    #[arg(long)]
    json: bool,
}

/// Which mail is meant.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct WhichArgs {
    /// The messages
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// All that waits now for a domain, with @ before it for a domain and all below it, with # before it in a queue, @ alone for all
    #[arg(long, value_name = "DESTINATION")]
    destination: Option<String>,
    /// All that this address has sent, with @ before a domain all senders there and below it, <> mail without a sender
    #[arg(long, value_name = "SENDER")]
    sender: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct FlushArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    which: FlushedArgs,
    /// Print what was done as JSON, a line for each message or selection that is named
    #[arg(long)]
    json: bool,
}

/// Which mail is meant; ETRN's way of naming it comes first here.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct FlushedArgs {
    /// A domain, with @ before it a domain and all below it, with # before it a queue, or @ alone for all
    #[arg(value_name = "DESTINATION")]
    destination: Option<String>,
    /// All that this address has sent, with @ before a domain all senders there and below it, <> mail without a sender
    #[arg(long, value_name = "SENDER")]
    sender: Option<String>,
    /// The messages
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct CountArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// A domain, with @ before it a domain and all below it, with # before it a queue, or @ alone for all; without it each that has any
    #[arg(value_name = "DESTINATION")]
    destination: Option<String>,
    /// Begin behind this one
    #[arg(long, value_name = "DESTINATION", conflicts_with = "destination")]
    after: Option<String>,
    /// Count those with the most mail, the largest first
    #[arg(long, conflicts_with_all = ["destination", "after"])]
    largest: bool,
    /// Count so many at most
    #[arg(long, value_name = "NUMBER", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct DestinationsArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Begin behind this one
    #[arg(long, value_name = "DESTINATION")]
    after: Option<String>,
    /// Show those with the most mail, the largest first
    #[arg(long, conflicts_with = "after")]
    largest: bool,
    /// Show so many at most
    #[arg(long, value_name = "NUMBER", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Exit code of an order that was interrupted, as shells have it.
const EXIT_INTERRUPTED: u8 = 130;
const INTERRUPTED: &str = "error: interrupted: what was done so far stays so\n  = help: give the order again to go on with the rest";

/// Does what a command says.
pub(super) fn run(command: QueueCommand) -> ExitCode {
    match command {
        QueueCommand::List(args) => list(&args),
        QueueCommand::Explain(args) => explain(&args),
        QueueCommand::Show(args) => show(&args),
        QueueCommand::Hold(HoldArgs { order, reason }) => {
            order.give("hold", "on hold now", &OrderRequest { reason, ..OrderRequest::default() })
        }
        QueueCommand::Release(order) => order.give("release", "released", &OrderRequest::default()),
        QueueCommand::Remove(RemoveArgs { order, bounce, reason }) => {
            let done = if bounce { "given up" } else { "removed" };
            let bounce = bounce.then_some(true);
            order.give("remove", done, &OrderRequest { bounce, reason, ..OrderRequest::default() })
        }
        QueueCommand::Requeue(RequeueArgs { order, route }) => {
            order.give("requeue", "requeued", &OrderRequest { route, ..OrderRequest::default() })
        }
        QueueCommand::Count(args) => count(&args),
        QueueCommand::Destinations(args) => destinations(&args),
        QueueCommand::Flush(FlushArgs { server, which, json }) => {
            let FlushedArgs { destination, sender, ids } = which;
            let order = OrderArgs { server, which: WhichArgs { ids, destination, sender }, json };
            order.give("flush", "due now", &OrderRequest::default())
        }
    }
}

fn list(args: &ListArgs) -> ExitCode {
    let asked = args.server.ask(|socket| async move { client::list(&socket, args.wanted()).await });
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
        Ok((_, document)) => print_tables(&document),
        Err(error) => refused(&error),
    }
}

fn show(args: &ShowArgs) -> ExitCode {
    let asked = args.server.ask(|socket| async move {
        client::show(&socket, &args.id, &mut io::stdout().lock()).await
    });
    match asked {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => failed(&format!("error: {error}"), 1),
        Err(error) => refused(&error),
    }
}

fn count(args: &CountArgs) -> ExitCode {
    let Some(destination) = &args.destination else {
        let asked = args.server.ask(|socket| async move {
            client::counts(&socket, args.after.as_deref(), args.largest, args.limit).await
        });
        return answered(asked, args.json);
    };
    let asked = args.server.ask(|socket| async move { client::count(&socket, destination).await });
    answered(asked, args.json)
}

fn destinations(args: &DestinationsArgs) -> ExitCode {
    let asked = args.server.ask(|socket| async move {
        client::counts(&socket, args.after.as_deref(), args.largest, args.limit).await
    });
    answered(asked.map(|(text, page)| (text, ByLane(page))), args.json)
}

impl OrderArgs {
    /// Gives an order for whatever is named, also when it failed for what was named before; the last failure is the exit code.
    fn give(&self, order: &str, done: &str, request: &OrderRequest) -> ExitCode {
        let mut code = ExitCode::SUCCESS;
        for request in self.which.requests(request) {
            let mut shown = Shown::default();
            let asked = self.server.ask(|socket| async move {
                let order = client::order(&socket, order, &request, |count| shown.show(count));
                tokio::select! {
                    came = order => came.map(Some),
                    _ = tokio::signal::ctrl_c() => Ok(None),
                }
            });
            code = match asked {
                Ok(None) => return failed(&INTERRUPTED, EXIT_INTERRUPTED),
                Ok(Some(came)) => match self.print(&came, done) {
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

    fn print(&self, came: &Done, done: &str) -> ExitCode {
        if !self.json {
            return print(&format!("{}: deliveries {done}: {}\n", came.of, came.count));
        }
        match serde_json::to_string(came) {
            Ok(json) => print_json(&json),
            Err(error) => failed(&format!("error: {error}"), 1),
        }
    }
}

impl ListArgs {
    fn wanted(&self) -> client::Wanted<'_> {
        client::Wanted {
            held: self.held,
            destination: self.destination.as_deref(),
            sender: self.sender.as_deref(),
            after: self.after.as_deref(),
            limit: self.limit,
        }
    }
}

impl WhichArgs {
    /// A request for each thing that is named.
    fn requests(&self, request: &OrderRequest) -> Vec<OrderRequest> {
        let (destination, sender) = (self.destination.clone(), self.sender.clone());
        if self.ids.is_empty() {
            return vec![OrderRequest { destination, sender, ..request.clone() }];
        }
        let of = |id: &String| OrderRequest { id: Some(id.clone()), ..request.clone() };
        self.ids.iter().map(of).collect()
    }
}

/// How far an order is, on a terminal; nothing where nobody watches.
#[derive(Default)]
struct Shown(bool);

impl Shown {
    fn show(&mut self, count: u64) {
        let mut out = io::stderr();
        if out.is_terminal() {
            self.0 = true;
            // Nobody is left to tell when stderr is gone.
            let _ = write!(out, "\rdeliveries so far: {count}");
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if self.0 {
            let _ = writeln!(io::stderr());
        }
    }
}
