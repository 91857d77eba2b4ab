//! The queue's part of the admin API: what is in it, and what is done with it.
//! Knows HTTP and the queue's trait; shows nothing.

pub(crate) mod client;
mod document;
mod lane;
mod largest;
mod ordering;
mod shown;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper::body::Frame;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use stagepost_queue::{
    Counts, Destination, Destinations, Listed, Mark, MarkError, QueueId, QueueName, Selection,
    Store, StoreError, StoredMessage,
};
use tokio::sync::mpsc;

use super::api::Problem;
use crate::delivery::Lanes;
use document::{DestinationPage, DestinationReport, MessagePage, MessageReport};
pub(crate) use document::{Done, OrderRequest};
pub(crate) use lane::{ByLane, LaneStatus};
use largest::Largest;

/// Messages of a page unless another number is asked for.
const PAGE_DEFAULT: usize = 100;
/// The most octets of a request.
const REQUEST_OCTETS_MAX: usize = 64 * 1024;
/// What to do about a request that is not as it should be.
const ASK: &str = "docs/administrators.md says what can be asked";

/// `/v1/queue/...`
pub(crate) fn managing(
    store: Arc<dyn Store>,
    lanes: Arc<Lanes>,
    router: Arc<crate::router::Router>,
) -> Router {
    let counted = Router::new()
        .route("/v1/queue/destinations", get(counts))
        .with_state((store.clone(), lanes.clone()));
    Router::new()
        .route("/v1/queue/messages", get(list))
        .route("/v1/queue/messages/{id}", get(explain))
        .route("/v1/queue/messages/{id}/content", get(content))
        .route("/v1/queue/destinations/{destination}", get(count))
        .with_state(store.clone())
        .merge(counted)
        .merge(ordering::ordering(store, lanes, router))
        .layer(DefaultBodyLimit::max(REQUEST_OCTETS_MAX))
}

/// A request that is not carried out.
struct Refused(StatusCode, Problem);

impl Refused {
    fn new(status: StatusCode, error: impl Into<String>, remedy: &str) -> Self {
        Self(status, Problem { error: error.into(), remedy: remedy.to_owned() })
    }

    /// The same, of an order of which a part was carried out.
    fn after(mut self, changed: u64) -> Self {
        if changed > 0 {
            self.1.error.push_str(&format!("; deliveries changed before: {changed}"));
        }
        self
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        let (status, remedy) = match &error {
            StoreError::Missing(_) => (
                StatusCode::NOT_FOUND,
                "`stagepost queue list` shows what is there; a message that was delivered is gone, and the log tells of it by its id",
            ),
            StoreError::Corrupt { .. } => (
                StatusCode::CONFLICT,
                "it is never delivered: look after the disk, and give it up with `stagepost queue remove ID`",
            ),
            StoreError::Unavailable(_)
            | StoreError::NoSpace { .. }
            | StoreError::BadMessage(_)
            | StoreError::LeaseLost(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "look at the server's log, and try again")
            }
        };
        Self::new(status, error.to_string(), remedy)
    }
}

/// The queue, as each request is given it.
type Queue = State<Arc<dyn Store>>;

/// What a list is asked for.
#[derive(Default)]
struct ListRequest {
    held: bool,
    /// All messages without one.
    selection: Option<Selection>,
    after: Option<String>,
    limit: Option<usize>,
}

async fn list(
    State(store): Queue,
    RawQuery(query): RawQuery,
) -> Result<Json<MessagePage>, Refused> {
    let request = list_request(query.as_deref().unwrap_or(""))?;
    let limit = request.limit.unwrap_or(PAGE_DEFAULT);
    match request.place()? {
        Place::InAll(after) => {
            let which = if request.held { Listed::Held } else { Listed::All };
            Ok(Json(MessagePage::from(&store.list(which, after, limit).await?)))
        }
        Place::InMeant(selection, after) => {
            let page = store.list_meant(selection, request.held, after, limit).await?;
            Ok(Json(MessagePage::from(&page)))
        }
    }
}

/// What is listed, and behind what.
enum Place {
    InAll(Option<QueueId>),
    InMeant(Selection, Option<Mark>),
}

impl ListRequest {
    fn place(&self) -> Result<Place, Refused> {
        let Some(selection) = &self.selection else {
            return Ok(Place::InAll(self.after.as_deref().map(id).transpose()?));
        };
        let remedy = "write what the page before told, or begin without it";
        let mark = |text: &String| {
            text.parse().map_err(|error: MarkError| bad(&error.to_string(), remedy))
        };
        Ok(Place::InMeant(selection.clone(), self.after.as_ref().map(mark).transpose()?))
    }
}

fn list_request(query: &str) -> Result<ListRequest, Refused> {
    let mut request = ListRequest::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let decoded = |value: &str| percent_decode_str(value).decode_utf8_lossy().into_owned();
        let selection = match pair.split_once('=') {
            Some(("held", "true")) => {
                request.held = true;
                continue;
            }
            Some(("held", "false")) => continue,
            Some(("held", _)) => return Err(bad("held must be true or false", ASK)),
            Some(("after", value)) => {
                request.after = Some(decoded(value));
                continue;
            }
            Some(("limit", value)) => {
                let limit = value.parse().map_err(|_| bad("limit must be a whole number", ASK))?;
                request.limit = Some(limit);
                continue;
            }
            Some(("destination", value)) => Selection::Destinations(destinations(&decoded(value))?),
            Some(("sender", value)) => ordering::sender(&decoded(value))?,
            _ => return Err(bad(&format!("{pair:?} is no parameter of this request"), ASK)),
        };
        if request.selection.replace(selection).is_some() {
            return Err(bad("a list is of a destination or of a sender", ASK));
        }
    }
    Ok(request)
}

async fn explain(
    State(store): Queue,
    Path(text): Path<String>,
) -> Result<Json<MessageReport>, Refused> {
    Ok(Json(MessageReport::from(&store.inspect(id(&text)?).await?)))
}

async fn content(State(store): Queue, Path(text): Path<String>) -> Result<Response, Refused> {
    let message = store.read(id(&text)?).await?;
    // Two pieces wait at most for a client that reads slowly.
    let (pieces, waiting) = mpsc::channel(2);
    tokio::spawn(send_pieces(message, pieces));
    Ok(([(CONTENT_TYPE, "application/octet-stream")], Body::new(Pieces(waiting))).into_response())
}

/// What is sent of a message; an error breaks the answer off, so that nobody takes half of it for all.
type Piece = Result<Frame<Bytes>, StoreError>;

/// The pieces of a message as they come.
struct Pieces(mpsc::Receiver<Piece>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = StoreError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Piece>> {
        self.0.poll_recv(context)
    }
}

/// Sends header block and body, as long as somebody reads.
async fn send_pieces(message: StoredMessage, pieces: mpsc::Sender<Piece>) {
    let header = Frame::data(Bytes::from(message.header));
    if pieces.send(Ok(header)).await.is_err() {
        return;
    }
    let mut reader = message.body.reader();
    loop {
        let piece = match reader.next().await {
            Ok(Some(octets)) => Ok(Frame::data(Bytes::copy_from_slice(octets))),
            Ok(None) => return,
            Err(error) => Err(error),
        };
        let failed = piece.is_err();
        if pieces.send(piece).await.is_err() || failed {
            return;
        }
    }
}

async fn count(
    State(store): Queue,
    Path(destination): Path<String>,
) -> Result<Json<DestinationReport>, Refused> {
    let counted = store.count(destinations(&destination)?).await?;
    Ok(Json(DestinationReport::new(destination, counted)))
}

async fn counts(
    State((store, lanes)): State<(Arc<dyn Store>, Arc<Lanes>)>,
    RawQuery(query): RawQuery,
) -> Result<Json<DestinationPage>, Refused> {
    let (mut after, mut limit, mut by_size) = (None, PAGE_DEFAULT, false);
    for pair in query.as_deref().unwrap_or("").split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("after", value)) => {
                let value = percent_decode_str(value).decode_utf8_lossy();
                after = Some(destinations(&value)?);
            }
            Some(("limit", value)) => {
                limit = value.parse().map_err(|_| bad("limit must be a whole number", ASK))?;
            }
            Some(("largest", "true")) => by_size = true,
            Some(("largest", "false")) => by_size = false,
            Some(("largest", _)) => return Err(bad("largest must be true or false", ASK)),
            _ => return Err(bad(&format!("{pair:?} is no parameter of this request"), ASK)),
        }
    }
    if !by_size {
        return Ok(Json(DestinationPage::new(&store.counts(after, limit).await?, &lanes)));
    }
    if after.is_some() {
        return Err(bad("after is for the destinations in their order, not for the largest", ASK));
    }
    let Largest { places, others } = largest::largest(&*store, limit).await?;
    let page = DestinationPage::new(&Counts { places, more: false }, &lanes);
    Ok(Json(DestinationPage { others, ..page }))
}

/// A domain, with `@` before it a domain and everything below, `@` alone for all mail, or with `#` before it a queue.
fn destinations(text: &str) -> Result<Destinations, Refused> {
    let remedy = "write a domain, @ and a domain, @ alone for all, or # and the name of a queue; `stagepost queue explain ID` shows a message's";
    if text == "@" {
        return Ok(Destinations::All);
    }
    let refused = |error: &dyn std::error::Error| bad(&error.to_string(), remedy);
    if let Some(name) = text.strip_prefix('#') {
        return QueueName::new(name).map(Destinations::Queue).map_err(|error| refused(&error));
    }
    let (name, below) = text.strip_prefix('@').map_or((text, false), |name| (name, true));
    let name = Destination::new(name).map_err(|error| refused(&error))?;
    Ok(if below { Destinations::Below(name) } else { Destinations::One(name) })
}

fn id(text: &str) -> Result<QueueId, Refused> {
    let remedy = "`stagepost queue list` shows the ids that there are";
    let no_id = |error: stagepost_queue::QueueIdError| {
        Refused::new(StatusCode::BAD_REQUEST, error.to_string(), remedy)
    };
    text.parse().map_err(no_id)
}

fn request<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    let body = if body.is_empty() { b"null" } else { body };
    serde_json::from_slice(body).map_err(|error| bad(&format!("the request: {error}"), ASK))
}

fn bad(error: &str, remedy: &str) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, error, remedy)
}
