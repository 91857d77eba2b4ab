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
    DestinationPage, DestinationReport, Done, MessagePage, MessageReport, OrderRequest, Progress,
};
use crate::admin::client::{self, ClientError};

/// How long an answer may take; a disk that is slow may need a while for many messages.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// What the server made of a request.
type Asked<T> = Result<T, ClientError>;

/// Which messages are listed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'w> {
    /// Only those that have a recipient on hold.
    pub(crate) held: bool,
    /// Only those with mail for it.
    pub(crate) destination: Option<&'w str>,
    /// Only those that it has sent.
    pub(crate) sender: Option<&'w str>,
    /// Those behind this.
    pub(crate) after: Option<&'w str>,
    /// So many at most.
    pub(crate) limit: u32,
}

/// Reads a page of messages; the JSON as it came, and what it says.
pub(crate) async fn list(socket: &Path, wanted: Wanted<'_>) -> Asked<(String, MessagePage)> {
    let Wanted { held, destination, sender, after, limit } = wanted;
    let mut path = format!("/v1/queue/messages?held={held}&limit={limit}");
    for (name, value) in [("destination", destination), ("sender", sender), ("after", after)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", escaped(value)));
        }
    }
    ask(socket, Method::GET, &path, &()).await
}

/// Reads what is known of a message; the JSON as it came, and what it says.
pub(crate) async fn explain(socket: &Path, id: &str) -> Asked<(String, MessageReport)> {
    ask(socket, Method::GET, &path(id, ""), &()).await
}

/// Gives an order: what is to be done, and to which mail. `under_way` is told how many deliveries were changed so far.
pub(crate) async fn order(
    socket: &Path,
    order: &str,
    request: &OrderRequest,
    mut under_way: impl FnMut(u64),
) -> Asked<Done> {
    let body = json(socket, request)?;
    let path = format!("/v1/queue/{order}?progress=true");
    let body = client::open(socket, Method::POST, &path, body, ANSWER_MAX).await?;
    let mut end = None;
    let read = client::lines(body, |line| {
        end = Some(serde_json::from_slice::<Progress>(line).map_err(|error| error.to_string()));
        match &end {
            Some(Ok(Progress::Under { count })) => {
                under_way(*count);
                true
            }
            _ => false,
        }
    });
    read.await.map_err(|reason| client::unusable(socket, reason))?;
    match end {
        Some(Ok(Progress::Done(done))) => Ok(done),
        Some(Ok(Progress::Failed { count, error, remedy })) => {
            let before = match count {
                0 => String::new(),
                count => format!("; deliveries changed before: {count}"),
            };
            Err(ClientError::Refused { error: error + &before, remedy })
        }
        Some(Err(reason)) => Err(client::unusable(socket, reason)),
        Some(Ok(Progress::Under { .. })) | None => {
            Err(client::unusable(socket, "it ended too early".to_owned()))
        }
    }
}

/// Counts what waits for a destination; the JSON as it came, and what it says.
pub(crate) async fn count(socket: &Path, destination: &str) -> Asked<(String, DestinationReport)> {
    ask(socket, Method::GET, &destination_path(destination), &()).await
}

/// Counts what waits for each destination and in each queue, behind one or from the first, or of the largest of them; the JSON
/// as it came, and what it says.
pub(crate) async fn counts(
    socket: &Path,
    after: Option<&str>,
    largest: bool,
    limit: u32,
) -> Asked<(String, DestinationPage)> {
    let after = after.map_or_else(String::new, |after| format!("&after={}", escaped(after)));
    let path = format!("/v1/queue/destinations?largest={largest}&limit={limit}{after}");
    ask(socket, Method::GET, &path, &()).await
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
fn destination_path(destination: &str) -> String {
    format!("/v1/queue/destinations/{}", escaped(destination))
}

fn escaped(text: &str) -> String {
    text.bytes().map(|octet| format!("%{octet:02X}")).collect()
}

async fn ask<T: DeserializeOwned>(
    socket: &Path,
    method: Method,
    path: &str,
    request: &impl Serialize,
) -> Asked<(String, T)> {
    let text = client::ask(socket, method, path, json(socket, request)?, ANSWER_MAX).await?;
    let answer = serde_json::from_str(&text).map_err(|error| unusable(socket, &error))?;
    Ok((text, answer))
}

fn json(socket: &Path, request: &impl Serialize) -> Asked<String> {
    serde_json::to_string(request).map_err(|error| unusable(socket, &error))
}

fn unusable(socket: &Path, error: &serde_json::Error) -> ClientError {
    client::unusable(socket, error.to_string())
}
