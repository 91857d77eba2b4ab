//! The client's side of the queue's part of the admin API.
//! Knows paths and documents; how they are asked for is the whole API's, and nothing is shown here.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::document::{
    DestinationReport, Done, FlushRequest, HoldRequest, MessagePage, MessageReport,
};
use crate::admin::client::{self, ClientError};

/// How long an answer may take; a disk that is slow may need a while for many messages.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// What the server made of a request.
type Asked<T> = Result<T, ClientError>;

/// Reads a page, of all messages or of those that have a recipient on hold; the JSON as it came, and what it says.
pub(crate) async fn list(
    socket: &Path,
    held: bool,
    after: Option<&str>,
    limit: u32,
) -> Asked<(String, MessagePage)> {
    let after = after.map_or_else(String::new, |after| format!("&after={after}"));
    let path = format!("/v1/queue/messages?held={held}&limit={limit}{after}");
    ask(socket, Method::GET, &path, &()).await
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

/// Makes what waits for a destination due; the JSON as it came, and what it says.
pub(crate) async fn flush(socket: &Path, destination: &str) -> Asked<(String, Done)> {
    let request = FlushRequest { destination: destination.to_owned() };
    ask(socket, Method::POST, "/v1/queue/flush", &request).await
}

/// Counts what waits for a destination; the JSON as it came, and what it says.
pub(crate) async fn count(socket: &Path, destination: &str) -> Asked<(String, DestinationReport)> {
    ask(socket, Method::GET, &destination_path(destination, ""), &()).await
}

/// Puts what waits for a destination on hold; the JSON as it came, and what it says.
pub(crate) async fn hold_destination(
    socket: &Path,
    destination: &str,
    reason: Option<String>,
) -> Asked<(String, Done)> {
    let path = destination_path(destination, "/hold");
    ask(socket, Method::POST, &path, &HoldRequest { reason }).await
}

/// Ends the holds on what waits for a destination; the JSON as it came, and what it says.
pub(crate) async fn release_destination(socket: &Path, destination: &str) -> Asked<(String, Done)> {
    ask(socket, Method::POST, &destination_path(destination, "/release"), &()).await
}

/// Writes the octets of a message to `out` as they come.
pub(crate) async fn show(socket: &Path, id: &str, out: &mut impl Write) -> Asked<()> {
    let path = path(id, "/content");
    let mut body = client::open(socket, Method::GET, &path, String::new(), ANSWER_MAX).await?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| client::unusable(socket, error.to_string()))?;
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

/// A destination in a path: whatever it is, it is one part of it.
fn destination_path(destination: &str, rest: &str) -> String {
    let escaped = destination.bytes().map(|octet| format!("%{octet:02X}"));
    format!("/v1/queue/destinations/{}{rest}", escaped.collect::<String>())
}

async fn ask<T: DeserializeOwned>(
    socket: &Path,
    method: Method,
    path: &str,
    request: &impl Serialize,
) -> Asked<(String, T)> {
    let failed = |error: serde_json::Error| client::unusable(socket, error.to_string());
    let request = serde_json::to_string(request).map_err(failed)?;
    let text = client::ask(socket, method, path, request, ANSWER_MAX).await?;
    let answer = serde_json::from_str(&text).map_err(failed)?;
    Ok((text, answer))
}
