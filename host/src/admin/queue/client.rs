//! The client's side of the queue's part of the admin API.
//! Knows paths and documents; how they are asked for is the whole API's, and nothing is shown here.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::document::{
    DestinationPage, DestinationReport, Done, MessagePage, MessageReport, OrderRequest, Progress,
};
use super::{Refused, ordering};
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

/// Reads a page of messages; the JSON as it came, and what it says. Pages without any are passed over, unless there is no other.
pub(crate) async fn list(socket: &Path, wanted: Wanted<'_>) -> Asked<(String, MessagePage)> {
    let Wanted { held, destination, sender, after, limit } = wanted;
    let mut base = format!("held={held}&limit={limit}");
    for (name, value) in [("destination", destination), ("sender", sender)] {
        if let Some(value) = value {
            base.push_str(&format!("&{name}={}", escaped(value)));
        }
    }
    let mut after = after.map(str::to_owned);
    loop {
        let place = after.map_or_else(String::new, |after| format!("&after={}", escaped(&after)));
        let query = base.clone() + &place;
        // What is wrong need not be asked for.
        super::list_request(&query)?.place()?;
        let path = format!("/v1/queue/messages?{query}");
        let (text, page): (_, MessagePage) = ask(socket, Method::GET, &path, &()).await?;
        if !page.messages.is_empty() || page.next.is_none() {
            return Ok((text, page));
        }
        after = page.next;
    }
}

/// Reads what is known of a message; the JSON as it came, and what it says.
pub(crate) async fn explain(socket: &Path, id: &str) -> Asked<(String, MessageReport)> {
    ask(socket, Method::GET, &path(id, "")?, &()).await
}

/// Gives an order: what is to be done, and to which mail. `under_way` is told how many deliveries were changed so far.
pub(crate) async fn order(
    socket: &Path,
    order: &str,
    request: &OrderRequest,
    mut under_way: impl FnMut(u64),
) -> Asked<Done> {
    ordering::selection(request)?;
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
    super::destinations(destination)?;
    let path = format!("/v1/queue/destinations/{}", escaped(destination));
    ask(socket, Method::GET, &path, &()).await
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

/// Writes the octets of a message to `out` as they come; what that came to.
pub(crate) async fn show(socket: &Path, id: &str, out: &mut impl Write) -> Asked<io::Result<()>> {
    let path = path(id, "/content")?;
    let mut body = client::open(socket, Method::GET, &path, String::new(), ANSWER_MAX).await?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| client::unusable(socket, error.to_string()))?;
        let octets = frame.into_data().unwrap_or_default();
        match out.write_all(&octets) {
            // Nobody reads on (`| head`).
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Ok(())),
            Err(error) => return Ok(Err(error)),
            Ok(()) => {}
        }
    }
    Ok(out.flush())
}

/// The path of a message: what is no id must not become another path, and need not be asked for.
fn path(id: &str, rest: &str) -> Asked<String> {
    Ok(format!("/v1/queue/messages/{}{rest}", super::id(id)?))
}

impl From<Refused> for ClientError {
    fn from(Refused(_, problem): Refused) -> Self {
        Self::Refused { error: problem.error, remedy: problem.remedy }
    }
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

#[cfg(test)]
mod tests {
    use axum::routing::get;

    use super::*;
    use crate::admin::server::AdminServer;

    const WANTED: Wanted<'_> =
        Wanted { held: true, destination: None, sender: Some("@a.test"), after: None, limit: 100 };

    async fn answer(axum::extract::RawQuery(query): axum::extract::RawQuery) -> &'static str {
        match query {
            Some(query) if query.ends_with("&after=%30%30") => r#"{"messages":[],"next":"01"}"#,
            Some(query) if query.ends_with("&after=%30%31") => r#"{"messages":[],"next":null}"#,
            _ => r#"{"messages":[],"next":"00"}"#,
        }
    }

    #[tokio::test]
    async fn pages_without_messages_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("admin.sock");
        let server = AdminServer::bind(&socket).unwrap();
        let api = axum::Router::new().route("/v1/queue/messages", get(answer));
        let serving = tokio::spawn(server.serve(api, std::future::pending()));
        let (text, page) = list(&socket, WANTED).await.unwrap();
        assert_eq!((text.as_str(), page.next), (r#"{"messages":[],"next":null}"#, None));
        serving.abort();
    }

    #[tokio::test]
    async fn what_is_wrong_is_not_asked_for() {
        let socket = Path::new("/nowhere");
        let long = "A".repeat(1 << 20);
        for id in ["", "../../status", "01BX5ZZKBKACTAV9WEVGEMMV/0", "\u{202e}abc", &long] {
            match explain(socket, id).await {
                Err(ClientError::Refused { error, .. }) => {
                    let quoted: String = id.chars().take(64).collect();
                    assert_eq!(
                        error,
                        format!("{quoted:?} is no queue id: 26 digits and letters are wanted")
                    );
                }
                other => panic!("{other:?}"),
            }
            let request = OrderRequest { id: Some(id.to_owned()), ..OrderRequest::default() };
            let given = order(socket, "hold", &request, |_| {}).await;
            assert!(matches!(given, Err(ClientError::Refused { .. })));
        }
        for wanted in [
            Wanted { sender: Some(&long), ..WANTED },
            Wanted { sender: None, destination: Some(&long), ..WANTED },
            Wanted { after: Some("g"), ..WANTED },
            Wanted { after: Some(&long), sender: None, ..WANTED },
        ] {
            assert!(
                matches!(list(socket, wanted).await, Err(ClientError::Refused { .. })),
                "{wanted:?}"
            );
        }
        assert!(matches!(count(socket, &long).await, Err(ClientError::Refused { .. })));
    }
}
