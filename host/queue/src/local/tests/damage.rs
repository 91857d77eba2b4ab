//! Damaged parts: a torn or missing body, a damaged row. They are held, and nothing of them is handed out.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use super::audit::audit;
use super::spool::{Spool, assert_intact, body_of, destination, lease, message, queue, remove};
use crate::local::fetching;
use crate::local::key::delivery_key;
use crate::local::request::Request;
use crate::{Count, Destinations, FetchRequest, QueueId, Store, StoreError};

/// Reading says what is wrong; the message is held then, also after a restart.
async fn assert_held(mut spool: Spool, id: QueueId, wrong: &str) -> Spool {
    match spool.store.read(id).await {
        Err(StoreError::Corrupt { id: of, what }) => {
            assert!(of == id && what.contains(wrong), "{what}")
        }
        other => panic!("{other:?} instead of {wrong}"),
    }
    for _ in 0..2 {
        let counted = spool.store.count(Destinations::One(destination("a.example"))).await.unwrap();
        assert_eq!((counted.queued, counted.held), (0, 1));
        assert!(lease(&spool.store, 10, 10).await.is_empty());
        spool = spool.restart().await;
    }
    spool
}

#[tokio::test]
async fn a_damaged_body_file_is_held() {
    type Damage = fn(&std::path::Path);
    let cases: [(&str, Damage); 4] = [
        ("octets", |path| {
            OpenOptions::new().write(true).open(path).unwrap().set_len(100_000).unwrap()
        }),
        ("octets", |path| {
            OpenOptions::new().write(true).open(path).unwrap().set_len(300_000).unwrap()
        }),
        ("checksum", |path| {
            let file = OpenOptions::new().write(true).open(path).unwrap();
            file.write_all_at(b"\0", 150_000).unwrap();
        }),
        ("missing", |path| std::fs::remove_file(path).unwrap()),
    ];
    for (wrong, damage) in cases {
        let spool = Spool::new();
        let id = queue(&spool.store, 200_000, message(&["a.example"])).await.unwrap();
        damage(&spool.body_file(id));
        assert_held(spool, id, wrong).await;
    }
}

#[tokio::test]
async fn a_body_damaged_while_it_is_read_is_not_read_to_its_end() {
    let spool = Spool::new();
    let id = queue(&spool.store, 200_000, message(&["a.example"])).await.unwrap();
    let message = spool.store.read(id).await.unwrap();
    let file = OpenOptions::new().write(true).open(spool.body_file(id)).unwrap();
    file.write_all_at(b"\0", 199_999).unwrap();
    assert!(matches!(body_of(&message).await, Err(StoreError::Corrupt { .. })));
}

#[tokio::test]
async fn a_damaged_row_is_held() {
    for row in ["message", "body"] {
        let spool = Spool::new();
        let id = queue(&spool.store, 1000, message(&["a.example"])).await.unwrap();
        let engine = spool.store.core.engine().unwrap();
        let rows = if row == "body" { &engine.body } else { &engine.message };
        let mut octets = rows.get(id.to_bytes()).unwrap().unwrap().to_vec();
        octets[100] ^= 1;
        engine.damage(rows, id.to_bytes(), octets);
        drop(engine);
        assert_held(spool, id, "checksum").await;
    }
}

#[tokio::test]
async fn a_delivery_that_can_not_be_read_is_set_aside() {
    let spool = Spool::new();
    let damaged = queue(&spool.store, 1000, message(&["a.example"])).await.unwrap();
    let sound = queue(&spool.store, 1000, message(&["b.example"])).await.unwrap();
    let engine = spool.store.core.engine().unwrap();
    let key = delivery_key(damaged, &destination("a.example"));
    engine.damage(&engine.delivery, key, [1, 2, 3]);
    drop(engine);
    let leased: Vec<_> = lease(&spool.store, 10, 10).await.iter().map(|lease| lease.id).collect();
    assert_eq!(leased, [sound]);
    // Requests are carried out in their order: this one comes behind the setting aside.
    queue(&spool.store, 10, message(&["c.example"])).await.unwrap();
    let summary = spool.store.summary().await.unwrap();
    assert_eq!((summary.queued, summary.held), (2, 1));
    let spool = spool.restart().await;
    assert_eq!(lease(&spool.store, 10, 10).await.len(), 2);
    assert_intact(&spool.store, damaged, 1000).await;
}

#[tokio::test]
async fn a_delivery_is_set_aside_once_whoever_finds_it() {
    let spool = Spool::new();
    let ids = [
        queue(&spool.store, 1000, message(&["a.example"])).await.unwrap(),
        queue(&spool.store, 1000, message(&["a.example"])).await.unwrap(),
    ];
    let engine = spool.store.core.engine().unwrap();
    for id in ids {
        let key = delivery_key(id, &destination("a.example"));
        engine.damage(&engine.delivery, key, [1, 2, 3]);
    }
    drop(engine);
    let of = Destinations::One(destination("a.example"));
    let duration = std::time::Duration::from_secs(60);
    let request = FetchRequest { of: of.clone(), after: None, max: 10, duration };
    let found = fetching::fetch(&spool.store.core, &request).unwrap().damaged;
    assert_eq!(found.len(), 2);
    for key in found.iter().chain(&found) {
        let key = key.clone();
        assert!(spool.store.requests.send(Request::SetAside { key }).await.is_ok());
    }
    let counted = || async {
        // Requests are carried out in their order: this one comes last.
        queue(&spool.store, 10, message(&["c.example"])).await.unwrap();
        let Count { queued, held, .. } = spool.store.count(of.clone()).await.unwrap();
        (queued, held)
    };
    assert_eq!(counted().await, (0, 2));
    // One that somebody removes meanwhile stays removed.
    remove(&spool.store, ids[0]).await.unwrap();
    let key = found[0].clone();
    assert!(spool.store.requests.send(Request::SetAside { key }).await.is_ok());
    assert_eq!(counted().await, (0, 1));
    remove(&spool.store, ids[1]).await.unwrap();
    audit(&spool).await;
}

#[tokio::test]
async fn a_damaged_message_is_held_although_a_delivery_of_it_is_damaged_too() {
    let spool = Spool::new();
    let id = queue(&spool.store, 1000, message(&["a.example", "b.example"])).await.unwrap();
    let engine = spool.store.core.engine().unwrap();
    engine.damage(&engine.delivery, delivery_key(id, &destination("a.example")), [1, 2, 3]);
    engine.damage(&engine.body, id.to_bytes(), *b"something else");
    drop(engine);
    match spool.store.read(id).await {
        Err(StoreError::Corrupt { what, .. }) => assert!(what.contains("its body"), "{what}"),
        other => panic!("{other:?}"),
    }
    let counted = spool.store.count(Destinations::One(destination("b.example"))).await.unwrap();
    assert_eq!((counted.queued, counted.held), (0, 1));
    assert!(lease(&spool.store, 10, 10).await.is_empty());
}

#[tokio::test]
async fn body_files_without_a_row_are_collected_at_the_start() {
    let spool = Spool::new();
    let kept = queue(&spool.store, 200_000, message(&["a.example"])).await.unwrap();
    let orphan = spool.store.core.ids.next(std::time::SystemTime::now());
    let path = spool.body_file(orphan);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "half a mess").unwrap();
    let foreign = spool.folder.path().join("body/00");
    std::fs::create_dir_all(&foreign).unwrap();
    std::fs::write(foreign.join("README"), "not ours").unwrap();
    let spool = spool.restart().await;
    assert!(!path.exists());
    assert!(foreign.join("README").exists());
    assert_intact(&spool.store, kept, 200_000).await;
    std::fs::remove_file(foreign.join("README")).unwrap();
    audit(&spool).await;
}
