//! Orders: mail of a sender, of one message, of a place, removed, given up, put on another route, step by step.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use stagepost_smtp::{Address, ReversePath};

use super::audit::audit;
use super::spool::{Spool, destination, hold, in_queue, lease, past, queue, settle};
use crate::{
    Destination, Destinations, Move, NewMessage, QueueId, QueueName, Queues, Selection, Step,
    Store, StoreError,
};

/// A message of a sender, due in an hour.
fn later(sender: &str, name: Option<&str>, destinations: &[&str]) -> NewMessage {
    let mut message = in_queue(name, destinations);
    message.envelope.sender = match sender {
        "" => ReversePath::Null,
        sender => ReversePath::Address(Address::parse(sender).unwrap()),
    };
    for delivery in &mut message.deliveries {
        delivery.due = SystemTime::now() + Duration::from_secs(3600);
    }
    message
}

fn sender(text: &str) -> Selection {
    match text.strip_prefix('@') {
        Some(domain) => Selection::SendersBelow(destination(domain)),
        None if text.is_empty() => Selection::Sender(ReversePath::Null),
        None => Selection::Sender(ReversePath::Address(Address::parse(text).unwrap())),
    }
}

fn at(name: &str) -> Selection {
    Selection::Destinations(Destinations::One(destination(name)))
}

fn flush() -> Move {
    Move::Flush { now: past(0) }
}

/// Everything is in one queue.
#[derive(Debug)]
struct All(Option<&'static str>);

impl Queues for All {
    fn queue_of(&self, _: &Destination) -> Option<QueueName> {
        self.0.map(|name| QueueName::new(name).unwrap())
    }
}

#[tokio::test]
async fn mail_is_found_by_its_sender() {
    let spool = Spool::new();
    let store = &spool.store;
    for (sender, destinations) in [
        ("a@s.example", &["a.example", "b.example"][..]),
        ("A@S.example", &["b.example"]),
        ("b@s.example", &["b.example"]),
        ("a@sub.s.example", &["b.example"]),
        ("a@bads.example", &["b.example"]),
        ("", &["b.example"]),
    ] {
        queue(store, 10, later(sender, None, destinations)).await.unwrap();
    }
    for (of, wanted) in [
        ("nobody@s.example", 0),
        ("a@s.EXAMPLE", 3),
        ("a@s.example", 0),
        ("", 1),
        ("@s.example", 2),
        ("@example", 1),
    ] {
        assert_eq!(store.move_all(sender(of), flush()).await, Ok(wanted), "{of}");
    }
    assert_eq!(lease(store, 10, 10).await.len(), 7);
    // One that can't be settled any more is in no index.
    assert_eq!(store.move_all(sender("@s.example"), Move::Remove).await, Ok(5));
    assert_eq!(store.summary().await.unwrap().messages, 2);
    audit(&spool).await;
}

#[tokio::test]
async fn one_message_is_flushed_by_its_id() {
    let spool = Spool::new();
    let store = &spool.store;
    let id =
        queue(store, 10, later("a@s.example", None, &["a.example", "b.example"])).await.unwrap();
    queue(store, 10, later("a@s.example", None, &["a.example"])).await.unwrap();
    assert_eq!(store.move_all(Selection::Message(id), flush()).await, Ok(2));
    assert_eq!(store.move_all(Selection::Message(id), flush()).await, Ok(0));
    assert!(lease(store, 10, 10).await.iter().all(|lease| lease.id == id));
    let gone = QueueId::from_bytes([9; 16]);
    let missing = store.move_all(Selection::Message(gone), flush()).await;
    assert_eq!(missing, Err(StoreError::Missing(gone)));
}

#[tokio::test]
async fn what_goes_to_a_destination_is_removed_and_messages_with_nothing_left_go() {
    let spool = Spool::new();
    let store = &spool.store;
    let both = queue(store, 10, later("a@s.example", Some("q"), &["a.example", "b.example"]));
    let both = both.await.unwrap();
    let large = queue(store, 100_000, later("a@s.example", None, &["a.example"])).await.unwrap();
    // Somebody at this destination is on hold.
    let held = queue(store, 10, later("a@s.example", None, &["a.example"])).await.unwrap();
    hold(store, held, "odd").await.unwrap();
    assert_eq!(store.move_all(at("a.example"), Move::Remove).await, Ok(3));
    assert_eq!(store.inspect(large).await.err(), Some(StoreError::Missing(large)));
    let left = store.inspect(both).await.unwrap();
    assert_eq!(left.deliveries.len(), 1);
    assert_eq!(left.deliveries[0].destination, destination("b.example"));
    audit(&spool).await;
    let branch = Destinations::Queue(QueueName::new("q").unwrap());
    assert_eq!(store.move_all(Selection::Destinations(branch), Move::Remove).await, Ok(1));
    assert_eq!(store.summary().await.unwrap(), crate::Summary::default());
    audit(&spool).await;
}

#[tokio::test]
async fn what_is_given_up_is_leased_with_the_reason_also_when_it_was_on_hold() {
    let spool = Spool::new();
    let store = &spool.store;
    let waiting = queue(store, 10, later("a@s.example", None, &["a.example"])).await.unwrap();
    let held = queue(store, 10, later("a@s.example", None, &["a.example"])).await.unwrap();
    hold(store, held, "odd").await.unwrap();
    let give_up = || Move::GiveUp { reason: "no such customer".into(), now: past(0) };
    assert_eq!(store.move_all(at("a.example"), give_up()).await, Ok(2));
    assert_eq!(store.move_all(at("a.example"), give_up()).await, Ok(0));
    let spool = spool.restart().await;
    let store = &spool.store;
    let leases = lease(store, 10, 10).await;
    let ids: Vec<_> = leases.iter().map(|lease| lease.id).collect();
    assert_eq!(ids, [waiting, held]);
    for lease in &leases {
        assert_eq!(lease.give_up.as_deref(), Some("no such customer"));
    }
    // An attempt under way does not put it off.
    settle(store, &leases[0], &Step::Retry("451".into()), SystemTime::now()).await;
    let again = Move::Requeue { route: None, queues: Arc::new(All(None)), now: past(0) };
    assert_eq!(store.move_all(Selection::Message(waiting), again).await, Ok(1));
    let leases = lease(store, 10, 10).await;
    assert_eq!((leases[0].id, &leases[0].give_up), (waiting, &None));
    store.move_all(Selection::Message(waiting), give_up()).await.unwrap();
    let hour = SystemTime::now() + Duration::from_secs(3600);
    settle(store, &leases[0], &Step::Retry("451".into()), hour).await;
    let leases = lease(store, 10, 10).await;
    assert_eq!((leases[0].id, leases[0].give_up.is_some()), (waiting, true));
    audit(&spool).await;
}

#[tokio::test]
async fn what_is_requeued_is_in_another_queue_and_on_another_route() {
    let spool = Spool::new();
    let store = &spool.store;
    let id = queue(store, 10, later("a@s.example", Some("old"), &["a.example"])).await.unwrap();
    let count = async |name: &str| {
        let queue = Destinations::Queue(QueueName::new(name).unwrap());
        store.count(queue).await.unwrap().queued
    };
    let requeue = |route: Option<&str>, name| Move::Requeue {
        route: route.map(Into::into),
        queues: Arc::new(All(name)),
        now: past(0),
    };
    let order = requeue(Some("*"), Some("new"));
    assert_eq!(store.move_all(at("a.example"), order.clone()).await, Ok(1));
    assert_eq!(store.move_all(at("a.example"), order).await, Ok(0));
    assert_eq!((count("old").await, count("new").await), (0, 1));
    audit(&spool).await;
    let leases = lease(store, 10, 10).await;
    assert_eq!(leases[0].route.as_deref(), Some("*"));
    let seen = store.inspect(id).await.unwrap();
    assert_eq!(seen.deliveries[0].route.as_deref(), Some("*"));
    assert_eq!(store.move_all(at("a.example"), requeue(None, None)).await, Ok(1));
    settle(store, &leases[0], &Step::Retry("451".into()), SystemTime::now()).await;
    assert_eq!(lease(store, 10, 10).await[0].route, None);
    assert_eq!((count("old").await, count("new").await), (0, 0));
    audit(&spool).await;
}

/// More than one step of the committer, with each order, whatever the index.
#[tokio::test]
async fn orders_for_many_go_through_in_steps() {
    let spool = Spool::new();
    let store = &spool.store;
    let names: Vec<String> = (0..100).map(|n| format!("d{n}.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for number in 0..12 {
        let mut message = later("a@s.example", Some("q"), &names);
        message.hold = (number % 2 == 0).then(|| "odd".into());
        queue(store, 10, message).await.unwrap();
    }
    let below = || Selection::Destinations(Destinations::Below(destination("example")));
    let in_queue = || Selection::Destinations(Destinations::Queue(QueueName::new("q").unwrap()));
    let release = || Move::Release { now: past(0) };
    let first = store.move_some(in_queue(), release(), None).await.unwrap();
    // The first step is a small one.
    assert_eq!((first.count, first.after.is_some()), (50, true));
    let second = store.move_some(in_queue(), release(), first.after).await.unwrap();
    assert_eq!((second.count, second.after), (550, None));
    let queues: Arc<dyn Queues> = Arc::new(All(Some("r")));
    let requeue = Move::Requeue { route: None, queues, now: past(0) };
    assert_eq!(store.move_all(below(), requeue).await, Ok(1200));
    assert_eq!(store.move_all(in_queue(), Move::Remove).await, Ok(0));
    let hold = Move::Hold { reason: "odd".into() };
    assert_eq!(store.move_all(sender("a@s.example"), hold.clone()).await, Ok(1200));
    assert_eq!(store.move_all(sender("a@s.example"), hold).await, Ok(0));
    let first = store.move_some(below(), Move::Remove, None).await.unwrap();
    let second = store.move_some(below(), Move::Remove, first.after.clone()).await.unwrap();
    assert_eq!((first.count, second.count, second.after.is_some()), (0, 1000, true));
    assert_eq!(store.move_all(below(), Move::Remove).await, Ok(200));
    assert_eq!(store.summary().await.unwrap(), crate::Summary::default());
    audit(&spool).await;
}
