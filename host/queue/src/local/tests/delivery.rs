//! The way of a message through the queue: committed, leased, read, settled; and across a restart.

use std::time::{Duration, SystemTime};

use super::audit::audit;
use super::lanes::Narrow;
use super::spool::{
    Spool, assert_intact, body_of, flush, lease, lease_as, message, next_due, offer, past, queue,
    release, settle,
};
use crate::local::key::delivery_key;
use crate::local::record::DeliveryRecord;
use crate::{
    BadMessage, LeaseRequest, Settlement, Step, Store, StoreError, StoredMessage, Summary,
};

#[tokio::test]
async fn a_message_goes_its_way() {
    let spool = Spool::new();
    let store = &spool.store;
    for octets in [0, 1, 4096, 64 * 1024, 64 * 1024 + 1, 1_000_000] {
        let wanted = message(&["a.example", "b.example"]);
        let id = queue(store, octets, wanted.clone()).await.unwrap();
        assert_intact(store, id, octets).await;
        let stored = store.read(id).await.unwrap();
        assert_eq!((stored.envelope, stored.origin), (wanted.envelope, wanted.origin));
        assert_eq!(spool.body_file(id).exists(), octets > 64 * 1024);

        let leases = lease(store, 10, 10).await;
        let names: Vec<&str> = leases.iter().map(|lease| lease.destination.as_str()).collect();
        assert_eq!(names, ["a.example", "b.example"]);
        assert!(lease(store, 10, 10).await.is_empty(), "leased twice");
        settle(store, &leases[0], &Step::Done, past(0)).await;
        assert_intact(store, id, octets).await;
        settle(store, &leases[1], &Step::Done, past(0)).await;
        assert!(matches!(store.read(id).await, Err(StoreError::Missing(missing)) if missing == id));
        assert_eq!(store.summary().await.unwrap(), Summary::default());
        audit(&spool).await;
    }
}

#[tokio::test]
async fn messages_that_are_small_come_with_their_leases_if_they_are_to_be_tried() {
    let spool = Spool::new();
    let store = &spool.store;
    for octets in [10, 64 * 1024, 64 * 1024 + 1] {
        queue(store, octets, message(&["a.example"])).await.unwrap();
    }
    for _ in 0..20 {
        queue(store, 10, message(&["b.test"])).await.unwrap();
    }
    let request = |lanes| LeaseRequest {
        now: SystemTime::now(),
        max: 3,
        lanes,
        duration: Duration::from_secs(60),
    };
    let leases = store.lease(request(Narrow::lanes(30))).await.unwrap();
    let octets = async |message: &Option<StoredMessage>| match message {
        Some(message) => Some(body_of(message).await.unwrap().len()),
        None => None,
    };
    let mut found = Vec::new();
    for (lease, message) in &leases.leased {
        assert!(message.as_ref().is_none_or(|message| message.id == lease.id));
        found.push(octets(message).await);
    }
    assert_eq!(found, [Some(10), Some(64 * 1024), None], "a body in a file is read by itself");
    assert!(leases.next_due.is_some_and(|due| due <= SystemTime::now()), "there are more");
    // Where nobody is, messages are not read; where somebody is, not all at once.
    let nobody = store.lease(request(Narrow::to_nobody(30))).await.unwrap();
    assert!(nobody.leased.len() == 3 && nobody.leased.iter().all(|(_, it)| it.is_none()));
    let many = LeaseRequest { max: 30, ..request(Narrow::lanes(30)) };
    let many = store.lease(many).await.unwrap();
    let read = many.leased.iter().filter(|(_, message)| message.is_some()).count();
    assert_eq!((many.leased.len(), read), (17, 8));
    assert!(many.next_due.is_some_and(|due| due > SystemTime::now()), "the end of a lease");
}

#[tokio::test]
async fn a_dropped_message_leaves_nothing() {
    let spool = Spool::new();
    let incoming = offer(&spool.store, 300_000).await.unwrap();
    assert!(spool.body_file(incoming.id()).exists());
    drop(incoming);
    assert_eq!(spool.store.summary().await.unwrap(), Summary::default());
    audit(&spool).await;
}

#[tokio::test]
async fn a_message_that_does_not_fit_its_deliveries_is_refused() {
    let spool = Spool::new();
    let mut wrong = message(&["a.example"]);
    wrong.deliveries[0].recipients.push(1);
    let refused = queue(&spool.store, 300_000, wrong).await;
    assert_eq!(refused, Err(BadMessage::Recipient(1).into()));
    audit(&spool).await;
}

#[tokio::test]
async fn a_restart_resumes() {
    let mut spool = Spool::new();
    let mut ids = Vec::new();
    for octets in [10, 4096, 200_000] {
        ids.push((
            queue(&spool.store, octets, message(&["a.example", "b.example"])).await.unwrap(),
            octets,
        ));
    }
    let leases = lease(&spool.store, 3, 10).await;
    assert_eq!(leases.len(), 3);
    settle(&spool.store, &leases[0], &Step::Done, past(0)).await;
    let later = SystemTime::now() + Duration::from_secs(3600);
    settle(&spool.store, &leases[1], &Step::Retry("451 later".into()), later).await;
    // The third lease is open when the store is closed.
    spool = spool.restart().await;
    for (id, octets) in &ids {
        assert_intact(&spool.store, *id, *octets).await;
    }
    let again = lease(&spool.store, 10, 10).await;
    let found: Vec<_> =
        again.iter().map(|lease| (lease.id, lease.destination.as_str(), lease.attempts)).collect();
    let (b, c) = (ids[1].0, ids[2].0);
    assert_eq!(
        found,
        [(b, "a.example", 0), (b, "b.example", 0), (c, "a.example", 0), (c, "b.example", 0)]
    );
    let due = next_due(&spool.store, &Narrow::lanes(10)).await.unwrap();
    assert!(
        due.duration_since(later).is_err()
            && later.duration_since(due).unwrap() < Duration::from_millis(2)
    );
    audit(&spool).await;
}

#[tokio::test]
async fn what_is_deferred_comes_back_when_it_is_due_and_not_before() {
    let spool = Spool::new();
    let store = &spool.store;
    queue(store, 10, message(&["a.example"])).await.unwrap();
    let now = SystemTime::now();
    let at = |seconds| LeaseRequest {
        now: now + Duration::from_secs(seconds),
        max: 10,
        lanes: Narrow::lanes(10),
        duration: Duration::from_secs(3600),
    };
    let first = lease_as(store, at(0)).await.remove(0);
    let due = now + Duration::from_secs(60);
    settle(store, &first, &Step::Retry("451 later".into()), due).await;
    assert!(lease_as(store, at(59)).await.is_empty());
    let second = lease_as(store, at(61)).await.remove(0);
    assert_eq!((second.attempts, &second.recipients), (1, &first.recipients));
    // Due again at a time that was looked at already.
    settle(store, &second, &Step::Retry("451 later".into()), now).await;
    assert_eq!(lease_as(store, at(0)).await.len(), 1);
}

#[tokio::test]
async fn each_recipient_is_settled_by_its_own_step() {
    let spool = Spool::new();
    let store = &spool.store;
    let mut three = message(&["a.example", "a.example", "a.example"]);
    three.deliveries.truncate(1);
    three.deliveries[0].recipients = vec![0, 1, 2];
    let id = queue(store, 10, three).await.unwrap();
    let first = lease(store, 1, 1).await.remove(0);
    let recipients =
        vec![Step::Done, Step::Hold("550 no\r\nRCPT".into()), Step::Retry("451".into())];
    store.finish(&first, Settlement { recipients, next_due: past(5) }).await.unwrap();
    audit(&spool).await;
    let row = store.core.engine().unwrap().delivery.get(delivery_key(id, &first.destination));
    let kept = DeliveryRecord::decode(&row.unwrap().unwrap()).unwrap().recipients;
    let kept: Vec<&str> = kept.iter().map(|recipient| &*recipient.reply).collect();
    assert_eq!(kept, ["550 no??RCPT", "451"]);
    let second = lease(store, 1, 1).await.remove(0);
    assert_eq!(second.recipients, [2]);
    settle(store, &second, &Step::Done, past(0)).await;
    // What is held stays, and is leased only when it is released.
    assert!(lease(store, 1, 1).await.is_empty());
    assert_intact(store, id, 10).await;
    assert_eq!(store.summary().await.unwrap().held, 1);
    release(store, id, past(1)).await.unwrap();
    let third = lease(store, 1, 1).await.remove(0);
    assert_eq!(third.recipients, [1]);
    settle(store, &third, &Step::Done, past(0)).await;
    assert_eq!(store.summary().await.unwrap(), Summary::default());
    assert_eq!(release(store, id, past(1)).await, Err(StoreError::Missing(id)));
    audit(&spool).await;
}

#[tokio::test]
async fn a_message_on_hold_waits_for_its_release() {
    let mut spool = Spool::new();
    let mut held = message(&["a.example", "b.example"]);
    held.hold = Some("looks odd".into());
    let id = queue(&spool.store, 10, held).await.unwrap();
    assert!(lease(&spool.store, 10, 10).await.is_empty());
    assert_eq!(next_due(&spool.store, &Narrow::lanes(10)).await, None);
    audit(&spool).await;
    spool = spool.restart().await;
    assert!(lease(&spool.store, 10, 10).await.is_empty());
    release(&spool.store, id, past(1)).await.unwrap();
    assert_eq!(lease(&spool.store, 10, 10).await.len(), 2);
    audit(&spool).await;
}

#[tokio::test]
async fn a_lease_is_good_for_one_settlement_and_not_after_its_end() {
    let spool = Spool::new();
    let store = &spool.store;
    queue(store, 10, message(&["a.example"])).await.unwrap();
    let request = |duration| LeaseRequest {
        now: SystemTime::now(),
        max: 1,
        lanes: Narrow::lanes(1),
        duration,
    };
    let ended = lease_as(store, request(Duration::ZERO)).await.remove(0);
    let lease = lease_as(store, request(Duration::from_secs(3600))).await.remove(0);
    assert_eq!((ended.id, &ended.destination), (lease.id, &lease.destination));
    let done = || Settlement { recipients: vec![Step::Done], next_due: past(0) };
    assert_eq!(store.finish(&ended, done()).await, Err(StoreError::LeaseLost(ended.id)));
    let wrong = Settlement { recipients: vec![], next_due: past(0) };
    let refused = BadMessage::Settlement { given: 0, leased: 1 };
    assert_eq!(store.finish(&lease, wrong).await, Err(refused.into()));
    store.finish(&lease, done()).await.unwrap();
    assert_eq!(store.finish(&lease, done()).await, Err(StoreError::LeaseLost(lease.id)));
}

#[tokio::test]
async fn a_closed_store_answers_so() {
    let spool = Spool::new();
    let incoming = offer(&spool.store, 10).await.unwrap();
    spool.store.close().await;
    spool.store.close().await;
    assert!(matches!(
        incoming.commit(message(&["a.example"])).await,
        Err(StoreError::Unavailable(_))
    ));
    assert!(matches!(spool.store.receive().err(), Some(StoreError::Unavailable(_))));
    assert!(matches!(spool.store.summary().await, Err(StoreError::Unavailable(_))));
    assert_eq!(spool.store.health(), crate::Health::Closed);
}

#[tokio::test]
async fn a_clock_that_jumps_hides_nothing_and_repeats_nothing() {
    let spool = Spool::new();
    let store = &spool.store;
    let day = Duration::from_secs(86_400);
    let lease_at = async |now: SystemTime| {
        let request = LeaseRequest {
            now,
            max: 10,
            lanes: Narrow::lanes(10),
            duration: Duration::from_secs(60),
        };
        let leases = lease_as(store, request).await;
        leases.into_iter().map(|lease| lease.id).collect::<Vec<_>>()
    };
    let due_at = async |due: SystemTime| {
        let mut message = message(&["a.example"]);
        message.deliveries[0].due = due;
        queue(store, 10, message).await.unwrap()
    };
    let now = SystemTime::now();
    let (present, future) = (due_at(now).await, due_at(now + day).await);
    // A day ahead: all is due.
    assert_eq!(lease_at(now + day * 2).await, [present, future]);
    // Set back: what comes in now is found, what is leased is not leased again.
    let late = due_at(now - day).await;
    assert!(late > future, "ids grow whatever the clock says");
    assert_eq!(lease_at(now).await, [late]);
    assert!(lease_at(now - day * 3).await.is_empty());
    assert!(lease_at(now + day * 3).await.is_empty());
    // A message of a time when the clock was ahead waits for that time, or for somebody who does not want to wait.
    let ahead = due_at(now + day * 30).await;
    assert!(lease_at(now).await.is_empty());
    let all = crate::Destinations::One(super::spool::destination("a.example"));
    flush(store, all, now).await.unwrap();
    assert_eq!(lease_at(now).await, [ahead]);
    audit(&spool).await;
}
