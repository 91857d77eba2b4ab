//! `stagepost pull` and `stagepost route`: calls to other servers, as the plug-in for pull delivery makes them.
//! Knows the form of its answers; decides nothing.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::server::ServerArgs;
use super::watch::refused;
use super::{failed, print, print_json, terminal};
use crate::admin::{self, ClientError};

/// How often a call under way is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// In the place of a connection's name: no connection is called so.
const STATUS: &str = "status";

/// Which plug-in is asked, of which server.
#[derive(Debug, Args)]
pub(super) struct Asked {
    #[command(flatten)]
    pub(super) server: ServerArgs,
    /// The name that the plug-in has in the configuration
    #[arg(long, value_name = "NAME", default_value = "pull-delivery")]
    pub(super) plugin: String,
    /// Print the answer as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct PullArgs {
    #[command(flatten)]
    asked: Asked,
    /// The connection; `status` shows all of them
    #[arg(value_name = "NAME|status")]
    name: String,
    /// Call whatever the schedule says
    #[arg(long)]
    now: bool,
}

#[derive(Debug, Args)]
pub(super) struct RouteArgs {
    #[command(flatten)]
    asked: Asked,
    /// A connection, or a destination: DOMAIN, @DOMAIN with all below it, or #QUEUE
    #[arg(value_name = "DEST")]
    destination: String,
}

/// A connection, as the plug-in shows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Connection {
    name: String,
    host: String,
    state: String,
    call: Option<Call>,
    next: Option<String>,
    next_reason: Option<String>,
    failures: u32,
    last: Option<Last>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Call {
    phase: String,
    since: String,
    reason: String,
    done: Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Last {
    at: String,
    reason: String,
    error: Option<String>,
    done: Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Done {
    pushed: u64,
    delivered: u64,
    received: u64,
    promised: Option<u64>,
    replies: Vec<String>,
}

impl fmt::Display for Done {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pushed, delivered, received, promised, .. } = self;
        write!(out, "{delivered} of {pushed} handed over, {received}")?;
        if let Some(promised) = promised {
            write!(out, " of {promised}")?;
        }
        out.write_str(" came")
    }
}

impl fmt::Display for Call {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", terminal::line(&self.phase), self.done)
    }
}

impl fmt::Display for Last {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            Some(error) => write!(out, "came to nothing: {}", terminal::line(error))?,
            None => out.write_str("over")?,
        }
        write!(out, ": {}", self.done)
    }
}

/// All connections, a paragraph each.
struct Connections(Vec<Connection>);

impl fmt::Display for Connections {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(out, "no connections");
        }
        for Connection { name, host, state, call, next, next_reason, failures, last } in &self.0 {
            let [name, host, state] = [name, host, state].map(|text| terminal::line(text));
            writeln!(out, "{name}  {host}  {state}")?;
            if let Some(call) = call {
                let (since, reason) = (terminal::line(&call.since), terminal::line(&call.reason));
                writeln!(out, "  now   {call} (since {since}, {reason})")?;
            }
            if let Some(next) = next {
                let reason = next_reason.as_deref().unwrap_or_default();
                writeln!(out, "  next  {} ({})", terminal::line(next), terminal::line(reason))?;
            }
            if let Some(last) = last {
                let (at, reason) = (terminal::line(&last.at), terminal::line(&last.reason));
                writeln!(out, "  last  {at} ({reason}) {last}")?;
                for reply in &last.done.replies {
                    writeln!(out, "        {}", terminal::line(reply))?;
                }
            }
            if *failures > 0 {
                writeln!(out, "  calls in a row that came to nothing: {failures}")?;
            }
        }
        Ok(())
    }
}

/// What became of mail that is to be handed over.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Routed {
    Call { connection: String },
    Tried { deliveries: u64 },
}

impl fmt::Display for Routed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call { connection } => {
                let name = terminal::line(connection);
                writeln!(
                    out,
                    "connection {name} is called: `stagepost pull status` shows how far it is"
                )
            }
            Self::Tried { deliveries } => writeln!(out, "{deliveries} deliveries are tried now"),
        }
    }
}

impl Asked {
    /// Calls a verb; its answer as it came, and read.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        socket: &Path,
        verb: &str,
        arguments: serde_json::Value,
    ) -> Result<(String, T), ClientError> {
        let json = admin::call_plugin(socket, &self.plugin, verb, arguments.to_string()).await?;
        let read = serde_json::from_str(&json).map_err(|error| ClientError::Answer {
            socket: socket.to_owned(),
            reason: error.to_string(),
        })?;
        Ok((json, read))
    }
}

pub(super) fn pull(args: &PullArgs) -> ExitCode {
    if args.name == STATUS {
        return status(&args.asked);
    }
    match args.asked.server.ask(|socket| async move { follow(args, &socket).await }) {
        Ok((json, _)) if args.asked.json => print_json(&json),
        Ok((_, Some(Last { error: Some(_), .. }))) => ExitCode::FAILURE,
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => refused(&error),
    }
}

/// Has a connection called, and shows how far it is until it is over; what came of it.
async fn follow(args: &PullArgs, socket: &Path) -> Result<(String, Option<Last>), ClientError> {
    let (asked, name) = (&args.asked, &args.name);
    let of_name = |all: Vec<Connection>| all.into_iter().find(|one| one.name == *name);
    let (_, before) = asked.call::<Vec<Connection>>(socket, "status", json!(null)).await?;
    let before = of_name(before).and_then(|connection| connection.last).map(|last| last.at);
    let wish = json!({ "name": name, "now": args.now });
    asked.call::<Vec<Connection>>(socket, "pull", wish).await?;
    let mut shown = String::new();
    loop {
        let (json, all) = asked.call::<Vec<Connection>>(socket, "status", json!(null)).await?;
        // A reload may have taken it out.
        let Some(connection) = of_name(all) else { return Ok((json, None)) };
        let over = connection.last.filter(|last| Some(&last.at) != before.as_ref());
        let line = match (&connection.call, &over) {
            (Some(call), _) => call.to_string(),
            (None, Some(last)) => last.to_string(),
            (None, None) => "to be called".to_owned(),
        };
        if line != shown && !asked.json {
            print(&format!("{line}\n"));
        }
        shown = line;
        if connection.call.is_none()
            && let Some(last) = over
        {
            return Ok((json, Some(last)));
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn status(asked: &Asked) -> ExitCode {
    let found = asked.server.ask(|socket| async move {
        asked.call::<Vec<Connection>>(&socket, "status", json!(null)).await
    });
    match found {
        Ok((json, _)) if asked.json => print_json(&json),
        Ok((_, all)) => print(&Connections(all)),
        Err(error) => refused(&error),
    }
}

pub(super) fn route(args: &RouteArgs) -> ExitCode {
    let asked = &args.asked;
    let wish = json!({ "destination": args.destination });
    let routed = asked
        .server
        .ask(|socket| async move { asked.call::<Routed>(&socket, "route", wish).await });
    match routed {
        Ok((json, _)) if asked.json => print_json(&json),
        Ok((_, routed)) => print(&routed),
        Err(error) => refused(&error),
    }
}

/// For commands that show something and fail when it is not good.
pub(super) fn shown(good: bool, text: &impl fmt::Display) -> ExitCode {
    match good {
        true => print(text),
        false => failed(&text.to_string().trim_end(), 1),
    }
}
