//! Mail that somebody comes for: leased though it is not due, once, and given back when it was not taken.

use std::time::{Duration, SystemTime};

use super::audit::audit;
use super::spool::{Spool, hold, lease, message, past, queue, settle};
use crate::{
    Destination, Destinations, FetchPlace, FetchRequest, Fetched, Move, Selection, Step, Store,
};

async fn fetch(spool: &Spool, of: &str, after: Option<FetchPlace>, max: usize) -> Fetched {
    let of = match of.strip_prefix('@') {
        Some(top) => Destinations::Below(Destination::new(top).unwrap()),
        None => Destinations::One(Destination::new(of).unwrap()),
    };
    let duration = Duration::from_secs(60);
    spool.store.fetch(FetchRequest { of, after, max, duration }).await.unwrap()
}

fn names(fetched: &Fetched) -> Vec<&str> {
    fetched.leases.iter().map(|lease| lease.destination.as_str()).collect()
}

/// Has everything wait for an hour.
async fn park(spool: &Spool) {
    let later = SystemTime::now() + Duration::from_secs(3600);
    for leased in lease(&spool.store, 100, 100).await {
        settle(&spool.store, &leased, &Step::Retry("waits".into()), later).await;
    }
}

#[tokio::test]
async fn what_is_not_due_is_fetched_once() {
    let spool = Spool::new();
    for names in [&["a.example", "b.example"][..], &["x.a.example"], &["other.test"]] {
        queue(&spool.store, 10, message(names)).await.unwrap();
    }
    park(&spool).await;
    assert!(lease(&spool.store, 10, 10).await.is_empty());
    let first = fetch(&spool, "@a.example", None, 1).await;
    assert_eq!(names(&first), ["a.example"]);
    let second = fetch(&spool, "@a.example", first.next.clone(), 10).await;
    assert_eq!((names(&second), &second.next), (vec!["x.a.example"], &None));
    assert!(fetch(&spool, "@a.example", None, 10).await.leases.is_empty(), "leased twice");
    settle(&spool.store, &first.leases[0], &Step::Done, past(0)).await;
    // What was not taken waits on, and can be fetched again.
    let later = SystemTime::now() + Duration::from_secs(7200);
    settle(&spool.store, &second.leases[0], &Step::Retry("not now".into()), later).await;
    assert!(lease(&spool.store, 10, 10).await.is_empty());
    assert_eq!(names(&fetch(&spool, "@a.example", None, 10).await), ["x.a.example"]);
    assert_eq!(names(&fetch(&spool, "other.test", None, 10).await), ["other.test"]);
    audit(&spool).await;
}

#[tokio::test]
async fn what_is_held_or_under_way_is_left_alone() {
    let spool = Spool::new();
    let held = queue(&spool.store, 10, message(&["a.example"])).await.unwrap();
    queue(&spool.store, 10, message(&["a.example"])).await.unwrap();
    queue(&spool.store, 10, message(&["a.example"])).await.unwrap();
    hold(&spool.store, held, "checked").await.unwrap();
    let under_way = lease(&spool.store, 1, 10).await;
    let fetched = fetch(&spool, "a.example", None, 10).await;
    assert_eq!(fetched.leases.len(), 1);
    assert!(fetched.leases[0].id != held && fetched.leases[0].id != under_way[0].id);
    // Both count against the destination no longer than they last.
    settle(&spool.store, &under_way[0], &Step::Done, past(0)).await;
    settle(&spool.store, &fetched.leases[0], &Step::Done, past(0)).await;
    queue(&spool.store, 10, message(&["a.example"])).await.unwrap();
    assert_eq!(lease(&spool.store, 10, 1).await.len(), 1);
    audit(&spool).await;
}

#[tokio::test]
async fn what_is_given_up_is_not_fetched() {
    let spool = Spool::new();
    queue(&spool.store, 10, message(&["a.example"])).await.unwrap();
    park(&spool).await;
    let all = Selection::Destinations(Destinations::One(Destination::new("a.example").unwrap()));
    let give_up = Move::GiveUp { reason: "closed".into(), now: past(0) };
    assert_eq!(spool.store.move_all(all, give_up).await, Ok(1));
    assert!(fetch(&spool, "a.example", None, 10).await.leases.is_empty());
    assert_eq!(lease(&spool.store, 10, 1).await[0].give_up.as_deref(), Some("closed"));
}

/// What is due is for the scheduler, too: each delivery is handed out to one of the two.
#[tokio::test]
async fn nothing_is_handed_out_to_two() {
    let spool = Spool::new();
    for _ in 0..20 {
        queue(&spool.store, 10, message(&["a.example"])).await.unwrap();
    }
    let mut ids = Vec::new();
    let mut after = None;
    for _ in 0..5 {
        ids.extend(lease(&spool.store, 2, 100).await.into_iter().map(|lease| lease.id));
        let fetched = fetch(&spool, "a.example", after, 2).await;
        after = fetched.next;
        ids.extend(fetched.leases.into_iter().map(|lease| lease.id));
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 20);
}
