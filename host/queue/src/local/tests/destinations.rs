//! Many destinations: limits, fairness, counts and flushes.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use super::audit::audit;
use super::lanes::Narrow;
use super::spool::{
    Spool, destination, flush, hold_all, in_queue, lease, lease_by, message, next_due, past, queue,
    release_all, settle,
};
use crate::{Count, Destinations, NewMessage, QueueName, Selection, Step, Store};

fn due_at(due: SystemTime, destinations: &[&str]) -> NewMessage {
    let mut message = message(destinations);
    for delivery in &mut message.deliveries {
        delivery.due = due;
    }
    message
}

#[tokio::test]
async fn a_slow_destination_does_not_hide_others() {
    let spool = Spool::new();
    let store = &spool.store;
    for _ in 0..50 {
        queue(store, 10, message(&["slow.example"])).await.unwrap();
    }
    queue(store, 10, message(&["quick.example"])).await.unwrap();
    let lanes = Narrow::lanes(3);
    let leases = lease_by(store, 10, &lanes).await;
    let slow: Vec<_> =
        leases.iter().filter(|lease| lease.destination.as_str() == "slow.example").collect();
    assert_eq!((slow.len(), leases.len()), (3, 4));
    // With no room, nothing is due.
    assert!(lease_by(store, 10, &lanes).await.is_empty());
    assert!(next_due(store, &lanes).await.unwrap() > SystemTime::now());
    audit(&spool).await;
    settle(store, slow[0], &Step::Done, past(0)).await;
    lanes.leave(&slow[0].destination);
    assert!(next_due(store, &lanes).await.unwrap() <= SystemTime::now());
    let next = lease_by(store, 10, &lanes).await;
    assert_eq!(next.len(), 1);
    assert!(next[0].id > slow[2].id, "the oldest first");
}

#[tokio::test]
async fn destinations_of_one_lane_share_its_room() {
    let spool = Spool::new();
    let store = &spool.store;
    for n in 0..30 {
        queue(store, 10, message(&[&format!("d{n}.shared.example")])).await.unwrap();
    }
    let lanes = Narrow::lanes(2);
    let mut order = Vec::new();
    loop {
        let leases = lease_by(store, 10, &lanes).await;
        assert!(leases.len() <= 2);
        if leases.is_empty() {
            break;
        }
        for lease in leases {
            settle(store, &lease, &Step::Done, past(0)).await;
            lanes.leave(&lease.destination);
            order.push(lease.id);
        }
    }
    assert_eq!(order.len(), 30);
    assert!(order.is_sorted(), "the oldest first, whatever its destination");
    audit(&spool).await;
}

#[tokio::test]
async fn a_lane_that_has_room_later_is_looked_at_then() {
    let spool = Spool::new();
    let store = &spool.store;
    queue(store, 10, message(&["a.example"])).await.unwrap();
    let (lanes, later) = (Narrow::lanes(1), SystemTime::now() + Duration::from_secs(3600));
    lanes.let_in_from(later);
    assert!(lease_by(store, 10, &lanes).await.is_empty());
    let due = next_due(store, &lanes).await.unwrap();
    assert!(later.duration_since(due).unwrap() < Duration::from_millis(1), "to the millisecond");
    lanes.let_in_from(SystemTime::UNIX_EPOCH);
    assert_eq!(lease_by(store, 10, &lanes).await.len(), 1);
}

#[tokio::test]
async fn everything_due_is_leased_once_whatever_the_limits() {
    let spool = Spool::new();
    let store = &spool.store;
    let names = ["a.example", "b.example", "c.example", "d.b.example"];
    let mut seen: HashMap<_, u32> = HashMap::new();
    for round in 0..100 {
        queue(store, 10, message(&names[..=round % 4])).await.unwrap();
        for lease in lease(store, 1 + round % 5, 1 + round % 3).await {
            *seen.entry((lease.id, lease.destination.clone())).or_default() += 1;
            settle(store, &lease, &Step::Done, past(0)).await;
        }
    }
    loop {
        let leases = lease(store, 7, 2).await;
        if leases.is_empty() {
            break;
        }
        for lease in leases {
            *seen.entry((lease.id, lease.destination.clone())).or_default() += 1;
            settle(store, &lease, &Step::Done, past(0)).await;
        }
    }
    assert_eq!(seen.len(), 250);
    assert!(seen.values().all(|times| *times == 1));
    audit(&spool).await;
}

#[tokio::test]
async fn a_destination_is_counted_and_flushed_with_those_below() {
    let spool = Spool::new();
    let store = &spool.store;
    let later = SystemTime::now() + Duration::from_secs(3600);
    let names =
        ["example.org", "a.example.org", "b.a.example.org", "badexample.org", "example.net"];
    for name in names {
        queue(store, 100, due_at(later, &[name])).await.unwrap();
    }
    let mut held = due_at(later, &["example.org"]);
    held.hold = Some("looks odd".into());
    queue(store, 100, held).await.unwrap();

    let (one, below) = (
        Destinations::One(destination("example.org")),
        Destinations::Below(destination("example.org")),
    );
    let octets = store.count(one.clone()).await.unwrap().octets / 2;
    assert!(octets > 100);
    assert_eq!(
        store.count(one.clone()).await.unwrap(),
        Count { queued: 1, held: 1, octets: 2 * octets }
    );
    assert_eq!(
        store.count(below.clone()).await.unwrap(),
        Count { queued: 3, held: 1, octets: 4 * octets }
    );
    let nobody = Destinations::Below(destination("org.example"));
    assert_eq!(store.count(nobody.clone()).await.unwrap(), Count::default());

    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let counts = store.counts(after, 2).await.unwrap();
        found.extend(counts.places.iter().cloned());
        after = counts.places.last().map(|(place, _)| place.clone());
        if !counts.more {
            break;
        }
    }
    let wanted =
        ["example.net", "badexample.org", "example.org", "a.example.org", "b.a.example.org"];
    assert_eq!(found.len(), wanted.len());
    for ((place, count), name) in found.iter().zip(wanted) {
        assert_eq!(place, &Destinations::One(destination(name)));
        assert_eq!(store.count(place.clone()).await.as_ref(), Ok(count));
    }

    assert!(lease(store, 10, 10).await.is_empty());
    assert_eq!(flush(store, nobody, past(0)).await, Ok(0));
    assert_eq!(flush(store, one.clone(), past(0)).await, Ok(1));
    assert_eq!(lease(store, 10, 10).await.len(), 1);
    assert_eq!(flush(store, below, past(0)).await, Ok(2));
    assert_eq!(flush(store, one, past(0)).await, Ok(0));
    let flushed: Vec<String> =
        lease(store, 10, 10).await.iter().map(|lease| lease.destination.to_string()).collect();
    assert_eq!(flushed, ["a.example.org", "b.a.example.org"]);
    audit(&spool).await;
}

#[tokio::test]
async fn a_flush_of_many_goes_through_in_steps() {
    let spool = Spool::new();
    let store = &spool.store;
    let later = SystemTime::now() + Duration::from_secs(3600);
    for _ in 0..25 {
        let names: Vec<String> = (0..100).map(|n| format!("d{n}.example")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        queue(store, 10, due_at(later, &names)).await.unwrap();
    }
    let moved = flush(store, Destinations::Below(destination("example")), past(0)).await;
    assert_eq!(moved, Ok(2500));
    let mut leased = 0;
    loop {
        let leases = lease(store, 400, 1000).await;
        if leases.is_empty() {
            break;
        }
        leased += leases.len();
    }
    assert_eq!(leased, 2500);
    audit(&spool).await;
}

#[tokio::test]
async fn a_queue_is_counted_held_released_and_flushed_whatever_its_destinations() {
    let spool = Spool::new();
    let store = &spool.store;
    let named = |name: &str| Destinations::Queue(QueueName::new(name).unwrap());
    let later = SystemTime::now() + Duration::from_secs(3600);
    for (name, destinations) in [
        (Some("branch"), &["a.example", "b.example"][..]),
        (Some("branch"), &["b.example"]),
        (Some("branch2"), &["b.example"]),
        (None, &["b.example"]),
    ] {
        let mut message = in_queue(name, destinations);
        message.deliveries.iter_mut().for_each(|delivery| delivery.due = later);
        queue(store, 100, message).await.unwrap();
    }
    let count = |queued, held| move |count: Count| (count.queued, count.held) == (queued, held);
    assert!(store.count(named("branch")).await.is_ok_and(count(3, 0)));
    assert!(store.count(named("bran")).await.is_ok_and(count(0, 0)));
    let places: Vec<_> =
        store.counts(None, 10).await.unwrap().places.into_iter().map(|(place, _)| place).collect();
    assert_eq!(places[..2], [named("branch"), named("branch2")]);
    assert_eq!(places[2..].len(), 2);
    let b = Destinations::One(destination("b.example"));
    assert!(store.count(b.clone()).await.is_ok_and(count(4, 0)));
    assert_eq!(hold_all(store, named("branch"), "closed").await, Ok(3));
    assert!(store.count(named("branch")).await.is_ok_and(count(0, 3)));
    assert!(store.count(b.clone()).await.is_ok_and(count(2, 2)));
    // All that there is: once, whether it is in a queue or not.
    assert!(store.count(Destinations::All).await.is_ok_and(count(2, 3)));
    for (held, wanted) in [(false, 4), (true, 2)] {
        let all = Selection::Destinations(Destinations::All);
        let page = store.list_meant(all, held, None, 10).await.unwrap();
        assert_eq!((page.messages.len(), page.next), (wanted, None), "held: {held}");
    }
    assert!(store.list(crate::Listed::Held, None, 10).await.is_ok_and(|it| it.messages.len() == 2));
    assert_eq!(release_all(store, named("branch2"), later).await, Ok(0));
    assert_eq!(release_all(store, named("branch"), later).await, Ok(3));
    let spool = spool.restart().await;
    let store = &spool.store;
    assert_eq!(flush(store, named("branch"), past(0)).await, Ok(3));
    let leases = lease(store, 10, 10).await;
    assert_eq!(leases.len(), 3);
    assert_eq!(flush(store, Destinations::All, past(0)).await, Ok(2));
    assert_eq!(lease(store, 10, 10).await.len(), 2);
    audit(&spool).await;
    for lease in leases {
        settle(store, &lease, &Step::Done, past(0)).await;
    }
    assert!(store.count(named("branch")).await.is_ok_and(|count| count == Count::default()));
    audit(&spool).await;
}
