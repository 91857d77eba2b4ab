//! Damaged parts: a torn or missing body, a damaged row. They are held, and nothing of them is handed out.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use super::audit::audit;
use super::spool::{Spool, assert_intact, body_of, destination, lease, message, queue};
use crate::local::engine::Engine;
use crate::local::key::delivery_key;
use crate::local::{LocalOptions, LocalStore, OpenError};
use crate::{Destinations, QueueId, Store, StoreError};

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
        let keyspace = if row == "body" { &engine.body } else { &engine.message };
        let mut octets = keyspace.get(id.to_bytes()).unwrap().unwrap().to_vec();
        octets[100] ^= 1;
        keyspace.insert(id.to_bytes(), octets).unwrap();
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
    engine.delivery.insert(delivery_key(damaged, &destination("a.example")), [1, 2, 3]).unwrap();
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

/// The newest journal, and where in it the body of this message lies.
fn body_in_journal(spool: &Spool, id: QueueId) -> (std::path::PathBuf, u64) {
    let path = spool.folder.path().join("index/0.jnl");
    let octets = std::fs::read(&path).unwrap();
    let text = format!("{id} some text");
    let at = octets.windows(text.len()).position(|window| window == text.as_bytes());
    (path, at.unwrap() as u64)
}

/// Three messages, each in a batch of its own, of which one is damaged in the journal.
async fn damaged_in_journal(which: usize) -> (Spool, Vec<QueueId>) {
    let spool = Spool::new();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(queue(&spool.store, 20_000, message(&["a.example"])).await.unwrap());
    }
    spool.store.close().await;
    let (journal, at) = body_in_journal(&spool, ids[which]);
    let file = OpenOptions::new().write(true).open(journal).unwrap();
    file.write_all_at(&[0; 4096], at + 5000).unwrap();
    (spool, ids)
}

#[tokio::test]
async fn a_batch_torn_by_a_power_cut_is_left_out() {
    let (spool, ids) = damaged_in_journal(2).await;
    let index = spool.folder.path().join("index");
    assert!(matches!(Engine::open_whole(&index), Err(fjall::Error::JournalRecovery(_))));
    let spool = spool.restart().await;
    assert_intact(&spool.store, ids[0], 20_000).await;
    assert_intact(&spool.store, ids[1], 20_000).await;
    assert_eq!(spool.store.read(ids[2]).await.err(), Some(StoreError::Missing(ids[2])));
    assert!(index.join("0.torn").metadata().unwrap().len() > 20_000);
    let next = queue(&spool.store, 20_000, message(&["a.example"])).await.unwrap();
    let spool = spool.restart().await;
    assert_intact(&spool.store, next, 20_000).await;
    audit(&spool).await;
}

#[tokio::test]
async fn a_damaged_batch_before_the_last_is_not_cut_off() {
    let (spool, _) = damaged_in_journal(1).await;
    let journal = spool.folder.path().join("index/0.jnl");
    let before = std::fs::read(&journal).unwrap();
    let options =
        LocalOptions { path: spool.folder.path().to_owned(), free_space_min: 0, faults: None };
    let refused = LocalStore::open(options).err();
    assert!(matches!(refused, Some(OpenError::Unreadable { .. })), "{refused:?}");
    assert!(before == std::fs::read(&journal).unwrap(), "the journal was changed");
}

#[tokio::test]
async fn a_start_that_was_cut_short_is_made_up_for() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("index.part")).unwrap();
    std::fs::write(folder.path().join("index.part/0.jnl"), "half a start").unwrap();
    let spool = Spool::at(folder.path());
    queue(&spool.store, 10, message(&["a.example"])).await.unwrap();
    assert!(!folder.path().join("index.part").exists());
}
