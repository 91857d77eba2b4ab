//! Orders over the admin API: flush, hold, release, remove, give up and requeue mail that waits.
//! Knows HTTP, the queue's trait and the names of routes; each order is told to the log.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use hyper::body::Frame;
use stagepost_queue::{Destination, Move, QueueName, Queues, Selection, Store, StoreError};
use stagepost_smtp::{Address, ReversePath};
use tokio::sync::{mpsc, oneshot};

use super::document::{Done, OrderRequest, Progress};
use super::{ASK, Piece, Pieces, Refused, bad, destinations, id, request};
use crate::delivery::Lanes;
use crate::router::Router;

/// The longest reason, in octets.
const REASON_OCTETS_MAX: usize = 256;
/// How long an order goes on until its progress is told again.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// What carries orders out.
#[derive(Clone)]
struct Desk {
    store: Arc<dyn Store>,
    lanes: Arc<Lanes>,
    router: Arc<Router>,
}

/// `POST /v1/queue/ORDER`
pub(super) fn ordering(
    store: Arc<dyn Store>,
    lanes: Arc<Lanes>,
    router: Arc<Router>,
) -> axum::Router {
    let desk = Desk { store, lanes, router };
    axum::Router::new().route("/v1/queue/{order}", post(order)).with_state(desk)
}

/// An order as it was read.
struct Order {
    selection: Selection,
    what: Move,
    /// What is meant, as it was written.
    of: String,
}

async fn order(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Result<Response, Refused> {
    let progress = match query.as_deref() {
        None | Some("" | "progress=false") => false,
        Some("progress=true") => true,
        Some(_) => return Err(bad("only progress=true can be asked for here", ASK)),
    };
    let order = read(&name, request(&body)?, &desk.router)?;
    desk.lanes.ordered(&order.selection, &order.what);
    if progress {
        // One line waits at most for a client that reads slowly.
        let (lines, waiting) = mpsc::channel(1);
        tokio::spawn(carry_out(desk.store, name, order, Giver::Watching(lines)));
        let head = [(CONTENT_TYPE, "application/x-ndjson")];
        return Ok((head, Body::new(Pieces(waiting))).into_response());
    }
    let (answer, answered) = oneshot::channel();
    tokio::spawn(carry_out(desk.store, name, order, Giver::Waiting(answer)));
    match answered.await {
        Ok(Ok(done)) => Ok(axum::Json(done).into_response()),
        Ok(Err((error, count))) => Err(Refused::from(error).after(count)),
        Err(error) => Err(Refused::from(StoreError::unavailable(error))),
    }
}

/// What an order came to; or why it was not carried out to its end, and how many deliveries were changed.
type End = Result<Done, (StoreError, u64)>;

/// Who has given an order, and may have left since.
enum Giver {
    /// Wants to know how far it is.
    Watching(mpsc::Sender<Piece>),
    /// Waits for the end.
    Waiting(oneshot::Sender<End>),
}

impl Giver {
    /// Whether they are still there, if it is time for that told how many deliveries were changed.
    async fn is_there(&self, changed: Option<u64>) -> bool {
        match (self, changed) {
            (Self::Watching(lines), Some(count)) => {
                lines.send(line(&Progress::Under { count })).await.is_ok()
            }
            (Self::Watching(lines), None) => !lines.is_closed(),
            (Self::Waiting(answer), _) => !answer.is_closed(),
        }
    }

    /// Tells them the end. Whoever is gone need not be told.
    async fn tell(self, end: End) {
        match (self, end) {
            (Self::Watching(lines), Ok(done)) => {
                let _ = lines.send(line(&Progress::Done(done))).await;
            }
            (Self::Watching(lines), Err((error, count))) => {
                let _ = lines.send(line(&failed(error, count))).await;
            }
            (Self::Waiting(answer), end) => {
                let _ = answer.send(end);
            }
        }
    }
}

/// Reads an order, of which `name` says what is to be done.
fn read(name: &str, request: OrderRequest, router: &Arc<Router>) -> Result<Order, Refused> {
    let now = SystemTime::now();
    let (selection, of) = selection(&request)?;
    let only = |given: bool, field: &str, orders: &str| match given {
        true => Err(bad(&format!("{field} is for {orders}"), ASK)),
        false => Ok(()),
    };
    let bounces = request.bounce == Some(true);
    if name != "remove" {
        only(request.bounce.is_some(), "bounce", "remove")?;
    }
    if name != "requeue" {
        only(request.route.is_some(), "route", "requeue")?;
    }
    if name != "hold" && !bounces {
        only(request.reason.is_some(), "reason", "hold, and for remove with bounce")?;
    }
    let what = match name {
        "flush" => Move::Flush { now },
        "release" => Move::Release { now },
        "hold" => Move::Hold { reason: reason(request.reason, "held by an operator")? },
        "remove" if bounces => {
            let reason = reason(request.reason, "given up by the operator of this server")?;
            Move::GiveUp { reason, now }
        }
        "remove" => Move::Remove,
        "requeue" => requeue(request.route, router, now)?,
        _ => {
            let error = format!("{name:?} is nothing that can be done with mail");
            return Err(bad(&error, "flush, hold, release, remove and requeue can be"));
        }
    };
    Ok(Order { selection, what, of })
}

/// Which mail is meant, and how that was written.
pub(super) fn selection(request: &OrderRequest) -> Result<(Selection, String), Refused> {
    let OrderRequest { destination, sender: from, id: message, .. } = request;
    Ok(match (destination, from, message) {
        (Some(text), None, None) => (Selection::Destinations(destinations(text)?), text.clone()),
        (None, Some(text), None) => (sender(text)?, text.clone()),
        (None, None, Some(text)) => (Selection::Message(id(text)?), text.clone()),
        _ => return Err(bad("one of destination, sender and id says which mail is meant", ASK)),
    })
}

fn requeue(route: Option<String>, router: &Arc<Router>, now: SystemTime) -> Result<Move, Refused> {
    let Some(route) = route else {
        return Ok(Move::Requeue { route: None, queues: router.clone(), now });
    };
    let route = route.to_ascii_lowercase();
    let Some(rule) = router.rule(&route) else {
        let remedy = "name a [[route]] of the configuration as it is written there: a domain, @ and a domain, or *";
        return Err(bad(&format!("there is no route {route:?}"), remedy));
    };
    let queues = Arc::new(OneQueue(rule.queue.clone()));
    Ok(Move::Requeue { route: Some(route.into()), queues, now })
}

/// The queue of one route, wherever mail goes.
#[derive(Debug)]
struct OneQueue(Option<QueueName>);

impl Queues for OneQueue {
    fn queue_of(&self, _: &Destination) -> Option<QueueName> {
        self.0.clone()
    }
}

/// A sender, with `@` before it all senders of a domain and those below it, or nothing for the null path.
pub(super) fn sender(text: &str) -> Result<Selection, Refused> {
    let remedy = "write an address, @ and a domain, or <> for mail without a sender";
    match text.strip_prefix('@') {
        _ if matches!(text, "" | "<>") => Ok(Selection::Sender(ReversePath::Null)),
        Some(domain) => Destination::new(domain)
            .map(Selection::SendersBelow)
            .map_err(|_| bad(&format!("{domain:?} is no domain"), remedy)),
        None => Address::parse(text)
            .map(|address| Selection::Sender(ReversePath::Address(address)))
            .map_err(|error| bad(&error.to_string(), remedy)),
    }
}

fn reason(given: Option<String>, otherwise: &str) -> Result<Arc<str>, Refused> {
    let reason = given.unwrap_or_else(|| otherwise.to_owned());
    if reason.is_empty() || reason.len() > REASON_OCTETS_MAX || reason.contains(char::is_control) {
        let remedy = "write 1 to 256 octets without line ends and other control characters";
        return Err(bad("a reason is one line of at most 256 octets", remedy));
    }
    Ok(reason.into())
}

/// Carries an order out step by step, as long as whoever gave it is there. What was done is told to the log in any case.
async fn carry_out(store: Arc<dyn Store>, name: String, order: Order, giver: Giver) {
    let Order { selection, what, of } = order;
    let (mut count, mut after, mut last) = (0, None, Instant::now());
    let end = loop {
        match store.move_some(selection.clone(), what.clone(), after).await {
            Ok(moved) => {
                count += moved.count;
                after = moved.after;
            }
            Err(error) => break Err((error, count)),
        }
        if after.is_none() {
            break Ok(Done { of: of.clone(), count });
        }
        let is_time = last.elapsed() >= PROGRESS_EVERY;
        if is_time {
            last = Instant::now();
        }
        if !giver.is_there(is_time.then_some(count)).await {
            return told(&name, &of, count);
        }
    };
    told(&name, &of, count);
    giver.tell(end).await;
}

fn failed(error: StoreError, count: u64) -> Progress {
    let Refused(_, problem) = Refused::from(error);
    Progress::Failed { count, error: problem.error, remedy: problem.remedy }
}

/// A line of JSON; what can't be written as such is cut off, which nobody takes for an end.
fn line(progress: &Progress) -> Piece {
    let json = serde_json::to_string(progress).map_err(StoreError::unavailable)?;
    Ok(Frame::data(Bytes::from(json + "\n")))
}

fn told(order: &str, of: &str, deliveries: u64) {
    tracing::info!(order, of, deliveries, "an operator has given an order to the queue");
}

#[cfg(test)]
mod tests {
    use stagepost_queue::local::{LocalOptions, LocalStore};
    use stagepost_queue::{Count, Destinations, NewDelivery, NewMessage, Origin};
    use stagepost_smtp::{BodyKind, Envelope, Recipient};

    use super::*;

    async fn queue(store: &LocalStore, destination: &Destination) {
        let address = Address::parse("a@far.test").unwrap();
        let now = SystemTime::now();
        let delivery = NewDelivery {
            destination: destination.clone(),
            queue: None,
            recipients: vec![0],
            due: now,
        };
        let message = NewMessage {
            envelope: Envelope {
                sender: ReversePath::Null,
                parameters: "".into(),
                body: BodyKind::SevenBit,
                recipients: vec![Recipient { address, parameters: "".into() }],
            },
            deliveries: vec![delivery],
            received_at: now,
            hold: None,
            origin: Origin::default(),
            ledger: Vec::new(),
        };
        store.receive().unwrap().commit(message).await.unwrap();
    }

    #[tokio::test]
    async fn an_order_ends_with_a_step_when_whoever_gave_it_has_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool");
        let store = LocalStore::open(LocalOptions { path, free_space_min: 0, faults: None });
        let store = Arc::new(store.unwrap());
        let destination = Destination::new("far.test").unwrap();
        for _ in 0..60 {
            queue(&store, &destination).await;
        }
        let all = Destinations::One(destination);
        let order = || Order {
            selection: Selection::Destinations(all.clone()),
            what: Move::Hold { reason: "wait".into() },
            of: "far.test".to_owned(),
        };
        let hold = |giver| carry_out(store.clone(), "hold".to_owned(), order(), giver);
        let held = async || {
            let Count { queued, held, .. } = store.count(all.clone()).await.unwrap();
            (queued, held)
        };
        // The first step is one of 50.
        let (gone, _) = oneshot::channel();
        hold(Giver::Waiting(gone)).await;
        assert_eq!(held().await, (10, 50));
        let (answer, answered) = oneshot::channel();
        hold(Giver::Waiting(answer)).await;
        assert_eq!(answered.await.unwrap().map(|done| done.count).ok(), Some(10));
        let now = SystemTime::now();
        store.move_all(order().selection, Move::Release { now }).await.unwrap();
        let (gone, _) = mpsc::channel(1);
        hold(Giver::Watching(gone)).await;
        assert_eq!(held().await, (10, 50));
    }
}
