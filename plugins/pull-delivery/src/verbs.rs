//! What an operator has the plug-in do, and what it shows: verbs with JSON in and out.
//! Decides nothing: calls, queue and sessions do the work.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use stagepost_sdk::{Fault, Host, OutboundError, OutboundSession, OutboundTls, Refusal, Target};

use crate::call::{Done, Phase};
use crate::calls::Calls;
use crate::connection::Connection;
use crate::peer::{Last, Peer, Reason};
use crate::secret;
use crate::section::Tls;

/// How long a server may take that is only looked at: less than the operator waits.
const CHECK_PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pull {
    name: String,
    #[serde(default)]
    now: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Route {
    destination: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    /// The name of a connection, or a server.
    host: String,
    port: Option<u16>,
    #[serde(default)]
    tls: Tls,
    #[serde(default)]
    implicit_tls: bool,
    /// What is asked for, to see whether it is granted.
    node: Option<String>,
}

/// A connection as it is shown.
#[derive(Debug, Serialize)]
struct Shown {
    name: Box<str>,
    host: String,
    state: State,
    /// What the call under way does; none: there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<Under>,
    /// When it is called next, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_reason: Option<Reason>,
    /// Calls in a row that came to nothing.
    failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Last>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// It is called by the clock.
    Idle,
    /// It is called when an operator or the other side wants it.
    OnDemand,
    /// It is called again after a call that came to nothing.
    BackingOff,
    Calling,
}

#[derive(Debug, Serialize)]
struct Under {
    phase: Phase,
    since: String,
    reason: Reason,
    done: Done,
}

/// What came of a wish to hand mail over.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Routed {
    /// A call is made for it.
    Call { connection: Box<str> },
    /// So many deliveries are tried now.
    Tried { deliveries: u64 },
}

/// What a server offers.
#[derive(Debug, Default, Serialize)]
struct Checked {
    server: String,
    /// Why it is not to be talked to.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    tls: bool,
    etrn: bool,
    atrn: bool,
    auth: Vec<String>,
    /// Whether it lets us in; none: we have no login for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<String>,
    /// What it answers to a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<String>,
}

/// Makes the verbs, while the plug-in starts.
pub(crate) fn make(host: Host, calls: &Calls) -> Result<(), Refusal> {
    let of = calls.clone();
    let help =
        "calls a connection, {\"name\": \"isp\"}; with \"now\": true whatever its schedule says";
    host.admin_verb("pull", help, move |arguments| {
        let Pull { name, now } = serde_json::from_str(arguments)?;
        of.pull(&name, now)?;
        status(&of, Some(&name))
    })?;
    let of = calls.clone();
    let help =
        "shows the connections: what each does, when it is called next, what came of the last call";
    host.admin_verb("status", help, move |_| status(&of, None))?;
    let of = calls.clone();
    let help = "has mail handed over now, {\"destination\": \"#isp\"}, by the connection that does that, or as its route says";
    host.admin_verb("route", help, move |arguments| {
        let Route { destination } = serde_json::from_str(arguments)?;
        let routed = match of.route(&destination) {
            Some(called) => Routed::Call { connection: called? },
            None => Routed::Tried { deliveries: host.queue().flush_wait(&destination)? },
        };
        Ok(serde_json::to_string(&routed)?)
    })?;
    let of = calls.clone();
    let help = "looks what a server offers, {\"host\": \"mail.example.org\", \"node\": \"a.example.org\"}, or a connection's, {\"host\": \"isp\"}";
    host.admin_verb("check", help, move |arguments| {
        let check: Check = serde_json::from_str(arguments)?;
        Ok(serde_json::to_string(&checked(host, &of, &check))?)
    })
}

/// All connections, or one of them.
fn status(calls: &Calls, name: Option<&str>) -> Result<String, Fault> {
    let mut all = Vec::new();
    calls.each(|peer| {
        if name.is_none_or(|name| *peer.document.name == *name) {
            all.push(shown(peer));
        }
    });
    Ok(serde_json::to_string(&all)?)
}

fn shown(peer: &Peer) -> Shown {
    let document = &peer.document;
    let state = match peer {
        Peer { calling: Some(_), .. } => State::Calling,
        _ if !document.is_scheduled() => State::OnDemand,
        Peer { failures: 1.., .. } => State::BackingOff,
        _ => State::Idle,
    };
    Shown {
        name: document.name.clone(),
        host: format!("{}:{}", document.host, document.port),
        state,
        call: peer.calling.as_ref().map(|under| Under {
            phase: under.progress.phase(),
            since: under.since.to_string(),
            reason: under.reason,
            done: under.progress.done(),
        }),
        next: peer.due.map(|(at, _)| at.to_string()),
        next_reason: peer.due.map(|(_, reason)| reason),
        failures: peer.failures,
        last: peer.last.clone(),
    }
}

fn checked(host: Host, calls: &Calls, check: &Check) -> Checked {
    let mut document = None;
    calls.each(|peer| {
        if *peer.document.name == *check.host && !peer.gone {
            document = Some(peer.document.clone());
        }
    });
    let mut found = Checked::default();
    if let Err(error) = look(host, document.as_deref(), check, &mut found) {
        found.error = Some(error.to_string());
    }
    found
}

fn look(
    host: Host,
    document: Option<&Connection>,
    check: &Check,
    found: &mut Checked,
) -> Result<(), OutboundError> {
    let target = match document {
        Some(document) => Target {
            host: &document.host,
            port: check.port.unwrap_or(document.port),
            tls: document.tls,
            implicit: document.implicit_tls,
            deadline: CHECK_PATIENCE.min(document.connect_timeout),
        },
        None => Target {
            host: &check.host,
            port: check.port.unwrap_or(25),
            tls: match check.tls {
                Tls::None => OutboundTls::None,
                Tls::Opportunistic => OutboundTls::Offered,
                Tls::Required => OutboundTls::Required,
                Tls::Verified => OutboundTls::Verified,
            },
            implicit: check.implicit_tls,
            deadline: CHECK_PATIENCE,
        },
    };
    found.server = format!("{}:{}", target.host, target.port);
    let session = host.outbound(&target)?;
    session.open_wait()?;
    found.tls = session.progress().secured;
    found.etrn = session.keyword("ETRN").is_some();
    found.atrn = session.keyword("ATRN").is_some();
    let auth = session.keyword("AUTH").unwrap_or_default();
    found.auth = auth.split_whitespace().map(str::to_owned).collect();
    if let Some(login) = document.and_then(|document| document.login.as_ref()) {
        found.login = Some(log_in(&session, login));
    }
    if let Some(node) = &check.node {
        found.reply = Some(session.command_wait(&format!("ETRN {node}"))?.to_string());
    }
    session.quit_wait()
}

fn log_in(session: &OutboundSession, login: &crate::connection::Login) -> String {
    let password = match secret::read(&login.secret_file) {
        Ok(password) => password,
        Err(error) => return error.to_string(),
    };
    match session.auth_wait(&login.user, &password, login.cram_md5) {
        Ok(()) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    }
}
