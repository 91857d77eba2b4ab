//! What an operator does: look through the queue, explain a message, hold and remove it, damaged or not.

use std::time::{Duration, SystemTime};

use stagepost_smtp::{Address, Change, Event, LedgerEntry, Made, ReversePath, Stage};

use super::audit::{audit, audit_but_senders};
use super::spool::{
    Spool, body_of, destination, flush, hold, hold_all, in_queue, lease, message, queue, release,
    release_all, remove, settle,
};
use crate::local::key::delivery_key;
use crate::{Destinations, Listed, QueueId, QueueName, Selection, Step, Store, StoreError};

fn ledger() -> Vec<LedgerEntry> {
    let made = Made {
        event: Event::MessageAccept,
        stage: Stage::Before,
        at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_123),
        spent: Some(Duration::from_micros(17)),
    };
    let to = Some(b"X-A: 8-bit \xFF\r\n"[..].into());
    let changes = [
        Change::Header { position: 3, from: None, to },
        Change::Hold { reason: "looks odd".into() },
    ];
    changes.map(|change| LedgerEntry { plugin: "stamp".into(), made, change }).into()
}

#[tokio::test]
async fn a_message_is_kept_with_its_ledger() {
    let spool = Spool::new();
    let edited = crate::NewMessage { ledger: ledger(), ..message(&["a.example", "b.example"]) };
    let wanted = edited.clone();
    let id = queue(&spool.store, 100_000, edited).await.unwrap();
    let plain = queue(&spool.store, 10, message(&["a.example"])).await.unwrap();
    let engine = spool.store.core.engine().unwrap();
    let version = |id: QueueId| engine.message.get(id.to_bytes()).unwrap().unwrap()[0];
    assert_eq!((version(id), version(plain)), (2, 1), "nothing is kept where nothing was edited");
    drop(engine);
    let spool = spool.restart().await;
    let found = spool.store.inspect(id).await.unwrap();
    assert_eq!(found.ledger, Some(ledger()));
    assert_eq!((&found.envelope, &found.origin), (&wanted.envelope, &wanted.origin));
    assert_eq!(found.octets, 100_000 + format!("Message-ID: <{id}@example.test>\r\n").len() as u64);
    assert_eq!(found.deliveries.len(), 2);
    assert_eq!(found.deliveries[1].destination, destination("b.example"));
    assert_eq!(found.deliveries[1].recipients[0].index, 1);
    assert_eq!(spool.store.inspect(plain).await.unwrap().ledger, Some(Vec::new()));
    let read = spool.store.read(id).await.unwrap();
    assert_eq!(body_of(&read).await.unwrap().len(), 100_000);
}

#[tokio::test]
async fn the_queue_is_listed_page_by_page() {
    let spool = Spool::new();
    let mut ids = Vec::new();
    for _ in 0..7 {
        ids.push(queue(&spool.store, 10, message(&["a.example"])).await.unwrap());
    }
    for (max, pages) in [(0, 7), (1, 7), (3, 3), (7, 1), (usize::MAX, 1)] {
        let (mut found, mut after, mut read) = (Vec::new(), None, 0);
        loop {
            let page = spool.store.list(Listed::All, after, max).await.unwrap();
            found.extend(page.messages.iter().map(|(id, message)| {
                assert_eq!(message.as_ref().unwrap().id, *id);
                *id
            }));
            (after, read) = (found.last().copied(), read + 1);
            if !page.more {
                break;
            }
        }
        assert_eq!((&found, read), (&ids, pages), "{max} a page");
    }
    let end = spool.store.list(Listed::All, ids.last().copied(), 10).await.unwrap();
    assert_eq!(end, crate::Page::default());
}

/// Held ones in the order of their ids, whatever order their destinations have, and often more in a row than are read one by one.
#[tokio::test]
async fn the_held_are_listed_page_by_page() {
    let spool = Spool::new();
    let store = &spool.store;
    assert_eq!(store.list(Listed::Held, None, 10).await, Ok(crate::Page::default()));
    let places: [&[&str]; 4] =
        [&["b.example"], &["a.example", "b.example"], &["x.b.example"], &["a.example"]];
    let mut held = Vec::new();
    for number in 0..600usize {
        let names = places[if number < 200 { 3 } else { number % places.len() }];
        let id = queue(store, 10, message(names)).await.unwrap();
        if number % 3 > 0 {
            hold(store, id, "odd").await.unwrap();
            held.push(id);
        }
    }
    for max in [1, 7, 50, 150, held.len(), 1000] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.list(Listed::Held, after, max).await.unwrap();
            assert!(!page.messages.is_empty() && page.messages.len() <= max, "{max} a page");
            found.extend(page.messages.iter().map(|(id, message)| {
                let left = &message.as_ref().unwrap().deliveries;
                assert!(left.iter().flat_map(|left| &left.recipients).all(|known| known.held));
                *id
            }));
            after = found.last().copied();
            if !page.more {
                break;
            }
        }
        assert_eq!(found, held, "{max} a page");
    }
    for id in &held[1..] {
        release(store, *id, SystemTime::now()).await.unwrap();
    }
    let left = store.list(Listed::Held, None, 10).await.unwrap();
    let ids: Vec<_> = left.messages.iter().map(|(id, _)| *id).collect();
    assert_eq!((ids, left.more), (held[..1].to_vec(), false));
}

#[tokio::test]
async fn what_is_held_or_removed_is_not_delivered() {
    let spool = Spool::new();
    let store = &spool.store;
    let held = queue(store, 10, message(&["a.example", "b.example"])).await.unwrap();
    let removed = queue(store, 100_000, message(&["a.example"])).await.unwrap();
    hold(store, held, "an operator's reason").await.unwrap();
    remove(store, removed).await.unwrap();
    assert!(lease(store, 10, 10).await.is_empty());
    let found = store.inspect(held).await.unwrap();
    for recipient in found.deliveries.iter().flat_map(|delivery| &delivery.recipients) {
        assert_eq!((recipient.held, &*recipient.reply), (true, "an operator's reason"));
    }
    for gone in [store.inspect(removed).await.err(), remove(store, removed).await.err()] {
        assert_eq!(gone, Some(StoreError::Missing(removed)));
    }
    assert_eq!(hold(store, removed, "x").await, Err(StoreError::Missing(removed)));
    audit(&spool).await;
    release(store, held, SystemTime::now()).await.unwrap();
    assert_eq!(lease(store, 10, 10).await.len(), 2);
}

#[tokio::test]
async fn an_attempt_under_way_ends_though_its_message_is_held_or_removed() {
    for removed in [false, true] {
        let spool = Spool::new();
        let id = queue(&spool.store, 10, message(&["a.example"])).await.unwrap();
        let leases = lease(&spool.store, 10, 10).await;
        if removed {
            remove(&spool.store, id).await.unwrap();
        } else {
            hold(&spool.store, id, "too late").await.unwrap();
        }
        settle(&spool.store, &leases[0], &Step::Retry("451 later".into()), SystemTime::now()).await;
        assert!(lease(&spool.store, 10, 10).await.is_empty(), "removed: {removed}");
        audit(&spool).await;
        assert_eq!(spool.store.summary().await.unwrap().messages, u64::from(!removed));
    }
}

fn nobody() -> Destinations {
    Destinations::One(destination("nobody.invalid"))
}

#[tokio::test]
async fn damaged_messages_are_listed_and_can_be_removed() {
    for (row, set_aside, octets) in [
        ("message", false, 1000),
        ("delivery", false, 1000),
        ("delivery", true, 1000),
        ("delivery", true, 100_000),
        ("delivery of a queue", true, 1000),
        ("delivery of a queue", false, 1000),
        ("both", false, 1000),
        ("both", false, 100_000),
    ] {
        let spool = Spool::new();
        let name = row.ends_with("queue").then_some("branch");
        let id = queue(&spool.store, octets, in_queue(name, &["a.example"])).await.unwrap();
        let engine = spool.store.core.engine().unwrap();
        if row != "message" {
            let key = delivery_key(id, &destination("a.example"));
            engine.damage(&engine.delivery, key, [1, 2, 3]);
        }
        if !row.starts_with("delivery") {
            engine.damage(&engine.message, id.to_bytes(), [1, 2, 3]);
        }
        drop(engine);
        if set_aside {
            assert!(lease(&spool.store, 10, 10).await.is_empty());
            // Requests are carried out in their order: this one comes behind the setting aside.
            flush(&spool.store, nobody(), SystemTime::now()).await.unwrap();
            let held = spool.store.list(Listed::Held, None, 10).await.unwrap();
            assert!(matches!(&held.messages[..], [(of, Err(_))] if *of == id), "{held:?}");
        }
        let page = spool.store.list(Listed::All, None, 10).await.unwrap();
        let (of, found) = &page.messages[0];
        assert!(*of == id && found.as_ref().unwrap_err().contains("the row of"), "{found:?}");
        assert!(matches!(spool.store.inspect(id).await, Err(StoreError::Corrupt { .. })));
        remove(&spool.store, id).await.unwrap();
        if row == "both" {
            // Nobody knows any more how large it was. Its file goes before the next request is carried out.
            flush(&spool.store, nobody(), SystemTime::now()).await.unwrap();
            assert!(spool.body_files().is_empty() && lease(&spool.store, 10, 10).await.is_empty());
            let summary = spool.store.summary().await.unwrap();
            assert_eq!((summary.messages, summary.queued, summary.held), (0, 0, 0));
        } else {
            audit_but_senders(&spool).await;
            assert_eq!(spool.store.summary().await.unwrap(), crate::Summary::default());
        }
    }
}

#[tokio::test]
async fn a_destination_is_held_and_released_as_a_whole() {
    let spool = Spool::new();
    let store = &spool.store;
    for names in [&["a.example", "b.a.example"][..], &["a.example"], &["b.example"]] {
        queue(store, 10, message(names)).await.unwrap();
    }
    let below = || Destinations::Below(destination("a.example"));
    assert_eq!(hold_all(store, below(), "closed").await, Ok(3));
    assert_eq!(hold_all(store, below(), "closed").await, Ok(0));
    assert_eq!(lease(store, 10, 10).await.len(), 1, "that of b.example");
    let counted = store.count(below()).await.unwrap();
    assert_eq!((counted.queued, counted.held), (0, 3));
    let one = Destinations::One(destination("b.a.example"));
    assert_eq!(release_all(store, one, SystemTime::now()).await, Ok(1));
    assert_eq!(release_all(store, below(), SystemTime::now()).await, Ok(2));
    assert_eq!(lease(store, 10, 10).await.len(), 3);
    audit(&spool).await;
}

/// More than one step of the committer.
#[tokio::test]
async fn many_are_held_and_released_in_several_steps() {
    let spool = Spool::new();
    let now = SystemTime::now();
    for number in 0..1500 {
        let held = crate::NewMessage { hold: Some("odd".into()), ..message(&["a.example"]) };
        let plain = message(&["b.example"]);
        let incoming = super::spool::offer(&spool.store, 10).await.unwrap();
        incoming.commit(if number % 100 == 0 { plain } else { held }).await.unwrap();
    }
    let all = Destinations::One(destination("a.example"));
    assert_eq!(release_all(&spool.store, all.clone(), now).await, Ok(1485));
    assert_eq!(hold_all(&spool.store, all, "again").await, Ok(1485));
    audit(&spool).await;
}

/// All pages of what is meant, each message once.
async fn meant(store: &dyn Store, selection: &Selection, held: bool, max: usize) -> Vec<QueueId> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.list_meant(selection.clone(), held, after, max).await.unwrap();
        assert!(page.messages.len() <= max.max(1));
        found.extend(page.messages.iter().map(|(id, message)| {
            assert_eq!(message.as_ref().unwrap().id, *id);
            *id
        }));
        after = page.next.map(|mark| mark.to_string().parse().unwrap());
        if after.is_none() {
            return found;
        }
    }
}

#[tokio::test]
async fn what_a_selection_means_is_listed_page_by_page() {
    let spool = Spool::new();
    let store = &spool.store;
    let mut ids: Vec<QueueId> = Vec::new();
    for (sender, queue_name, places) in [
        ("s@a.test", None, &["b.example", "a.b.example"][..]),
        ("s@a.test", Some("branch"), &["b.example"]),
        ("t@a.test", Some("branch"), &["c.example", "d.example"]),
        ("s@x.a.test", None, &["a.b.example", "b.example", "c.b.example"]),
        ("", None, &["c.example"]),
    ] {
        let mut message = in_queue(queue_name, places);
        message.envelope.sender = match sender {
            "" => ReversePath::Null,
            sender => ReversePath::Address(Address::parse(sender).unwrap()),
        };
        ids.push(queue(store, 10, message).await.unwrap());
    }
    let [first, second, third, fourth, fifth] = ids[..] else { panic!() };
    hold(store, second, "odd").await.unwrap();
    hold_all(store, Destinations::One(destination("a.b.example")), "odd").await.unwrap();
    let one = |name| Selection::Destinations(Destinations::One(destination(name)));
    let below = |name| Selection::Destinations(Destinations::Below(destination(name)));
    let of = |name| Selection::Destinations(Destinations::Queue(QueueName::new(name).unwrap()));
    let from = |text| Selection::Sender(ReversePath::Address(Address::parse(text).unwrap()));
    let cases = [
        (one("b.example"), vec![first, second, fourth], vec![second]),
        (below("b.example"), vec![first, second, fourth], vec![first, second, fourth]),
        (one("nowhere.example"), vec![], vec![]),
        (of("branch"), vec![second, third], vec![second]),
        (from("S@A.test"), vec![first, second], vec![first, second]),
        (Selection::Sender(ReversePath::Null), vec![fifth], vec![]),
        (
            Selection::SendersBelow(destination("a.test")),
            vec![first, second, third, fourth],
            vec![first, second, fourth],
        ),
        (Selection::Message(third), vec![third], vec![]),
    ];
    for (selection, all, held) in cases {
        for max in [1, 2, 100] {
            for (wanted, only_held) in [(&all, false), (&held, true)] {
                let mut found = meant(store, &selection, only_held, max).await;
                found.sort();
                assert_eq!(&found, wanted, "{selection:?} {only_held} {max}");
            }
        }
    }
    // A mark of another selection leads nowhere else.
    let page = store.list_meant(below("example"), false, None, 1).await.unwrap();
    let page = store.list_meant(one("c.example"), false, page.next, 100).await.unwrap();
    assert_eq!(page.messages.len(), 2);
}
