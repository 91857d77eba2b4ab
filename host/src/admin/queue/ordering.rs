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
use tokio::sync::mpsc;

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
        tokio::spawn(carry_out_telling(desk.store, name, order, lines));
        let head = [(CONTENT_TYPE, "application/x-ndjson")];
        return Ok((head, Body::new(Pieces(waiting))).into_response());
    }
    let (what, of) = (order.what, order.of);
    let count = desk.store.move_all(order.selection, what).await?;
    told(&name, &of, count);
    Ok(axum::Json(Done { of, count }).into_response())
}

/// Reads an order, of which `name` says what is to be done.
fn read(name: &str, request: OrderRequest, router: &Arc<Router>) -> Result<Order, Refused> {
    let now = SystemTime::now();
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
    let (selection, of) = match (request.destination, request.sender, request.id) {
        (Some(text), None, None) => (Selection::Destinations(destinations(&text)?), text),
        (None, Some(text), None) => (sender(&text)?, text),
        (None, None, Some(text)) => (Selection::Message(id(&text)?), text),
        _ => return Err(bad("one of destination, sender and id says which mail is meant", ASK)),
    };
    Ok(Order { selection, what, of })
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

/// Carries an order out step by step, as long as somebody reads how far it is.
async fn carry_out_telling(
    store: Arc<dyn Store>,
    name: String,
    order: Order,
    lines: mpsc::Sender<Piece>,
) {
    let Order { selection, what, of } = order;
    let (mut count, mut after, mut last) = (0, None, Instant::now());
    let end = loop {
        match store.move_some(selection.clone(), what.clone(), after).await {
            Ok(moved) => {
                count += moved.count;
                after = moved.after;
                if after.is_none() {
                    break Progress::Done(Done { of: of.clone(), count });
                }
            }
            Err(error) => break failed(error, count),
        }
        if last.elapsed() >= PROGRESS_EVERY {
            last = Instant::now();
            if lines.send(line(&Progress::Under { count })).await.is_err() {
                break Progress::Under { count };
            }
        }
    };
    told(&name, &of, count);
    // Whoever is gone need not be told.
    let _ = lines.send(line(&end)).await;
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
