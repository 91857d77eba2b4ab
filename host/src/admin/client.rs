//! The client's side of the admin API, for the command line.
//! Knows the paths of the API; shows nothing itself.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use stagepost_extmgr::TraceFilter;
use tokio::net::UnixStream;

use super::address::AddressReport;
use super::api::Problem;
use super::tls_policy::TlsPolicyReport;
use super::tls_report::{SentReports, TlsCounts};

/// How long the whole exchange may take.
const EXCHANGE_MAX: Duration = Duration::from_secs(10);
/// The same where plug-ins are asked: longer than the server waits for them.
const RELOAD_MAX: Duration = Duration::from_secs(90);
/// The same.
const VERB_MAX: Duration = Duration::from_secs(40);
/// The same where the DNS and a domain's HTTPS server are asked.
const TLS_MAX: Duration = Duration::from_secs(300);
/// The same where many domains are.
const SEND_MAX: Duration = Duration::from_secs(24 * 3600);
/// The most that is read of an answer: a ledger of the largest size, in JSON.
const ANSWER_OCTETS_MAX: usize = 64 << 20;
/// The longest line of an answer that comes line by line.
const LINE_OCTETS_MAX: usize = 1 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nobody serves there.
    #[error(
        "error: no server answers on {}\n  = help: start it with `stagepost run`, or name the right one with --config FILE or --socket PATH",
        socket.display()
    )]
    NotRunning {
        /// The socket.
        socket: PathBuf,
    },
    /// The socket is not for us.
    #[error(
        "error: {} belongs to another user\n  = help: run this command as the user that the server runs as",
        socket.display()
    )]
    NotAllowed {
        /// The socket.
        socket: PathBuf,
    },
    /// It does not do that.
    #[error("error: {error}\n  = help: {remedy}")]
    Refused {
        /// What is wrong.
        error: String,
        /// What to do about it.
        remedy: String,
    },
    /// Something went wrong on the way.
    #[error("error: the server on {} gave no usable answer: {reason}\n  = help: look at its log; client and server should be of one version", socket.display())]
    Answer {
        /// The socket.
        socket: PathBuf,
        /// What.
        reason: String,
    },
}

/// Asks the server for its status; the JSON is given as it came.
pub(crate) async fn fetch_status(socket: &Path) -> Result<String, ClientError> {
    ask(socket, Method::GET, "/v1/status", String::new(), EXCHANGE_MAX).await
}

/// Asks the server for its metrics, in the text format of Prometheus.
pub(crate) async fn fetch_metrics(socket: &Path) -> Result<String, ClientError> {
    ask(socket, Method::GET, "/v1/metrics", String::new(), EXCHANGE_MAX).await
}

/// Asks the server for its plug-ins and their verbs; the JSON is given as it came.
pub(crate) async fn fetch_plugins(socket: &Path) -> Result<String, ClientError> {
    ask(socket, Method::GET, "/v1/plugins", String::new(), EXCHANGE_MAX).await
}

/// Calls a plug-in's verb with JSON, and gives the JSON that it answers.
pub(crate) async fn call_plugin(
    socket: &Path,
    plugin: &str,
    verb: &str,
    arguments: String,
) -> Result<String, ClientError> {
    let path = format!("/v1/plugins/{}/verbs/{}", segment(plugin)?, segment(verb)?);
    ask(socket, Method::POST, &path, arguments, VERB_MAX).await
}

/// Asks what an address comes to; the JSON as it came, and what it says.
pub(crate) async fn explain_address(
    socket: &Path,
    address: &str,
) -> Result<(String, AddressReport), ClientError> {
    let path = format!("/v1/addresses/{}", utf8_percent_encode(address, NON_ALPHANUMERIC));
    ask_for(socket, &path, RELOAD_MAX).await
}

/// Asks what a delivery to a domain would want of TLS; the JSON as it came, and what it says.
pub(crate) async fn explain_tls(
    socket: &Path,
    domain: &str,
) -> Result<(String, TlsPolicyReport), ClientError> {
    let path = format!("/v1/tls-policy/{}", utf8_percent_encode(domain, NON_ALPHANUMERIC));
    ask_for(socket, &path, TLS_MAX).await
}

/// Asks how TLS fared, with the servers of one domain or of all; the JSON as it came, and what it says.
pub(crate) async fn fetch_tls_counts(
    socket: &Path,
    domain: Option<&str>,
) -> Result<(String, TlsCounts), ClientError> {
    let domain = domain.map(|domain| utf8_percent_encode(domain, NON_ALPHANUMERIC));
    let path = domain.map_or_else(String::new, |domain| format!("/{domain}"));
    ask_for(socket, &format!("/v1/tls-reports{path}"), EXCHANGE_MAX).await
}

/// Has the reports sent that are due; the JSON as it came, and what it says.
pub(crate) async fn send_tls_reports(socket: &Path) -> Result<(String, SentReports), ClientError> {
    let json = ask(socket, Method::POST, "/v1/tls-reports", String::new(), SEND_MAX).await?;
    read(socket, json)
}

/// Asks for a report; the JSON as it came, and what it says.
async fn ask_for<T: serde::de::DeserializeOwned>(
    socket: &Path,
    path: &str,
    wait: Duration,
) -> Result<(String, T), ClientError> {
    let json = ask(socket, Method::GET, path, String::new(), wait).await?;
    read(socket, json)
}

fn read<T: serde::de::DeserializeOwned>(
    socket: &Path,
    json: String,
) -> Result<(String, T), ClientError> {
    let report = serde_json::from_str(&json).map_err(|error| ClientError::Answer {
        socket: socket.to_owned(),
        reason: error.to_string(),
    })?;
    Ok((json, report))
}

/// Has the server read its configuration again; the JSON is given as it came.
pub(crate) async fn reload(socket: &Path) -> Result<String, ClientError> {
    ask(socket, Method::POST, "/v1/reload", String::new(), RELOAD_MAX).await
}

/// A name as a part of a path. One that no plug-in, verb or session can have must not become another path.
fn segment(name: &str) -> Result<&str, ClientError> {
    let sound = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    if !name.is_empty() && name.bytes().all(sound) {
        return Ok(name);
    }
    Err(ClientError::Refused {
        error: format!("there is no plug-in or verb {name:?}"),
        remedy: "`stagepost plugin list` shows plug-ins and their verbs".to_owned(),
    })
}

/// Follows the calls of plug-ins, each given as a line of JSON without its end, until the server stops or `line` says
/// false.
pub(crate) async fn follow_trace(
    socket: &Path,
    filter: &TraceFilter,
    line: impl FnMut(&[u8]) -> bool,
) -> Result<(), ClientError> {
    let path = match (&filter.session, &filter.plugin) {
        (Some(session), _) => format!("/v1/trace/session/{session}"),
        (None, Some(plugin)) => format!("/v1/trace/plugin/{}", segment(plugin)?),
        (None, None) => "/v1/trace".to_owned(),
    };
    let body = open(socket, Method::GET, &path, String::new(), EXCHANGE_MAX).await?;
    lines(body, line).await.map_err(|reason| unusable(socket, reason))
}

/// Asks, and gives the whole answer.
pub(super) async fn ask(
    socket: &Path,
    method: Method,
    path: &str,
    body: String,
    time: Duration,
) -> Result<String, ClientError> {
    let answer = async {
        let body = open(socket, method, path, body, time).await?;
        text(body).await.map_err(|reason| unusable(socket, reason))
    };
    tokio::time::timeout(time, answer).await.unwrap_or_else(|_| Err(too_late(socket, time)))
}

/// Asks, and gives the body of the answer when its head is there, unless that refuses.
pub(super) async fn open(
    socket: &Path,
    method: Method,
    path: &str,
    body: String,
    time: Duration,
) -> Result<Incoming, ClientError> {
    let response = respond(socket, method, path, body, time).await?;
    if !response.status().is_success() {
        return Err(refusal(socket, response).await);
    }
    Ok(response.into_body())
}

/// Asks, and gives the answer when its head is there.
async fn respond(
    socket: &Path,
    method: Method,
    path: &str,
    body: String,
    time: Duration,
) -> Result<Response<Incoming>, ClientError> {
    let stream =
        UnixStream::connect(socket).await.map_err(|error| connect_error(socket, &error))?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .header("content-type", "application/json");
    let answer = async {
        let request = request.body(Full::<Bytes>::from(body)).map_err(|error| error.to_string())?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
        // It ends with the sender and the answer; what ended it early is told to them.
        drop(tokio::spawn(connection));
        sender.send_request(request).await.map_err(|error| error.to_string())
    };
    match tokio::time::timeout(time, answer).await {
        Ok(answer) => answer.map_err(|reason| unusable(socket, reason)),
        Err(_) => Err(too_late(socket, time)),
    }
}

async fn text(body: Incoming) -> Result<String, String> {
    let body = Limited::new(body, ANSWER_OCTETS_MAX).collect().await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    String::from_utf8(body.into()).map_err(|error| error.to_string())
}

/// Why the server refuses, in its own words if it has some.
async fn refusal(socket: &Path, response: Response<Incoming>) -> ClientError {
    let status = response.status();
    let said = text(response.into_body())
        .await
        .ok()
        .and_then(|text| serde_json::from_str::<Problem>(&text).ok());
    match said {
        Some(Problem { error, remedy }) => ClientError::Refused { error, remedy },
        None => unusable(socket, status.to_string()),
    }
}

/// Reads whole lines as they come.
pub(super) async fn lines(
    mut body: Incoming,
    mut line: impl FnMut(&[u8]) -> bool,
) -> Result<(), String> {
    let mut rest: Vec<u8> = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| error.to_string())?;
        let Ok(octets) = frame.into_data() else { continue };
        rest.extend_from_slice(&octets);
        while let Some(end) = rest.iter().position(|octet| *octet == b'\n') {
            if !line(&rest[..end]) {
                return Ok(());
            }
            rest.drain(..=end);
        }
        if rest.len() > LINE_OCTETS_MAX {
            return Err(format!("a line of more than {LINE_OCTETS_MAX} octets"));
        }
    }
    Ok(())
}

pub(super) fn unusable(socket: &Path, reason: String) -> ClientError {
    ClientError::Answer { socket: socket.to_owned(), reason }
}

fn too_late(socket: &Path, time: Duration) -> ClientError {
    unusable(socket, format!("none within {} s", time.as_secs()))
}

fn connect_error(socket: &Path, error: &io::Error) -> ClientError {
    let socket = socket.to_owned();
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => ClientError::NotRunning { socket },
        ErrorKind::PermissionDenied => ClientError::NotAllowed { socket },
        _ => ClientError::Answer { socket, reason: error.to_string() },
    }
}
