//! The client's side of the queue's part of the admin API.
//! Knows paths; shows nothing itself.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::document::{Done, FlushRequest, HoldRequest, MessagePage, MessageReport, Trouble};
use crate::admin::ClientError;
use crate::admin::client::connect_error;

/// How long an answer may take; a disk that is slow may need a while for many messages.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// The most that is read of an answer: a ledger of the largest size, in JSON.
const ANSWER_OCTETS_MAX: usize = 64 << 20;

/// What the server made of a request.
type Asked<T> = Result<T, ClientError>;

/// Reads a page; the JSON as it came, and what it says.
pub(crate) async fn list(
    socket: &Path,
    after: Option<&str>,
    limit: u32,
) -> Asked<(String, MessagePage)> {
    let after = after.map_or_else(String::new, |after| format!("&after={after}"));
    ask(socket, Method::GET, &format!("/v1/queue/messages?limit={limit}{after}"), &()).await
}

/// Reads what is known of a message; the JSON as it came, and what it says.
pub(crate) async fn explain(socket: &Path, id: &str) -> Asked<(String, MessageReport)> {
    ask(socket, Method::GET, &path(id, ""), &()).await
}

/// Puts a message on hold.
pub(crate) async fn hold(socket: &Path, id: &str, reason: Option<String>) -> Asked<Done> {
    let request = HoldRequest { reason };
    Ok(ask(socket, Method::POST, &path(id, "/hold"), &request).await?.1)
}

/// Ends the hold on a message.
pub(crate) async fn release(socket: &Path, id: &str) -> Asked<Done> {
    Ok(ask(socket, Method::POST, &path(id, "/release"), &()).await?.1)
}

/// Removes a message.
pub(crate) async fn remove(socket: &Path, id: &str) -> Asked<Done> {
    Ok(ask(socket, Method::DELETE, &path(id, ""), &()).await?.1)
}

/// Makes what waits for a destination due.
pub(crate) async fn flush(socket: &Path, destination: &str) -> Asked<Done> {
    let request = FlushRequest { destination: destination.to_owned() };
    Ok(ask(socket, Method::POST, "/v1/queue/flush", &request).await?.1)
}

/// Writes the octets of a message to `out` as they come.
pub(crate) async fn show(socket: &Path, id: &str, out: &mut impl Write) -> Asked<()> {
    let failed = |reason: String| ClientError::Answer { socket: socket.to_owned(), reason };
    let response = send(socket, Method::GET, &path(id, "/content"), &()).await?;
    let mut body = accepted(socket, response).await?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| failed(error.to_string()))?;
        let octets = frame.into_data().unwrap_or_default();
        if out.write_all(&octets).is_err() {
            // Nobody reads on (`| head`).
            return Ok(());
        }
    }
    Ok(())
}

/// An id in a path: what is none must not become another path.
fn path(id: &str, rest: &str) -> String {
    let safe: String =
        id.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("/v1/queue/messages/{safe}{rest}")
}

async fn ask<T: DeserializeOwned>(
    socket: &Path,
    method: Method,
    path: &str,
    request: &impl Serialize,
) -> Asked<(String, T)> {
    let failed = |reason: String| ClientError::Answer { socket: socket.to_owned(), reason };
    let response = send(socket, method, path, request).await?;
    let text = read(accepted(socket, response).await?).await.map_err(failed)?;
    let answer = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
    Ok((text, answer))
}

async fn send(
    socket: &Path,
    method: Method,
    path: &str,
    request: &impl Serialize,
) -> Asked<Response<Incoming>> {
    let failed = |reason: String| ClientError::Answer { socket: socket.to_owned(), reason };
    let stream =
        UnixStream::connect(socket).await.map_err(|error| connect_error(socket, &error))?;
    let exchange = async {
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
        // Its errors are those of the exchange.
        tokio::spawn(connection);
        let body = serde_json::to_vec(request).map_err(|error| error.to_string())?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| error.to_string())?;
        sender.send_request(request).await.map_err(|error| error.to_string())
    };
    let answered = tokio::time::timeout(ANSWER_MAX, exchange).await;
    let no_answer = || Err(format!("none within {} s", ANSWER_MAX.as_secs()));
    answered.unwrap_or_else(|_| no_answer()).map_err(failed)
}

/// The body of an answer, unless it is a refusal.
async fn accepted(socket: &Path, response: Response<Incoming>) -> Asked<Incoming> {
    let status = response.status();
    if status.is_success() {
        return Ok(response.into_body());
    }
    let text = read(response.into_body()).await.unwrap_or_default();
    Err(match serde_json::from_str::<Trouble>(&text) {
        Ok(Trouble { error, remedy }) => ClientError::Refused { error, remedy },
        Err(_) => ClientError::Answer { socket: socket.to_owned(), reason: status.to_string() },
    })
}

async fn read(body: Incoming) -> Result<String, String> {
    let body = Limited::new(body, ANSWER_OCTETS_MAX).collect().await;
    let octets = body.map_err(|error| error.to_string())?.to_bytes();
    String::from_utf8(octets.into()).map_err(|error| error.to_string())
}
