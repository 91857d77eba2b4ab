//! Indexes and counters made anew: in a spool of an older server, and where they were damaged and an operator has removed them.

use std::path::Path;

use super::audit::audit;
use super::spool::{Folder, Spool, destination, in_queue, lease, message, past, queue};
use crate::local::change::rebuild::INDEXED_KEY;
use crate::local::fault::NoFaults;
use crate::local::key::delivery_key;
use crate::local::rows::Batch;
use crate::local::{LocalOptions, LocalStore, OpenError};
use crate::{Destinations, QueueId, Step, Store};

const INDEXES: [&str; 5] = ["due", "destination", "held", "count", "sender"];

/// Messages that wait, are on hold, in a queue, partly delivered and gone, some of them in the journal only.
async fn spool_of_all_kinds() -> Spool {
    let spool = Spool::new();
    queue(&spool.store, 10, message(&["a.example", "b.example"])).await.unwrap();
    queue(&spool.store, 70_000, in_queue(Some("branch"), &["b.example"])).await.unwrap();
    let spool = spool.restart().await;
    let mut held = message(&["c.example"]);
    held.hold = Some("odd".into());
    queue(&spool.store, 10, held).await.unwrap();
    let leased = lease(&spool.store, 2, 2).await;
    super::spool::settle(&spool.store, &leased[0], &Step::Done, past(1)).await;
    super::spool::settle(&spool.store, &leased[1], &Step::Retry("451 later".into()), past(0)).await;
    spool
}

/// Closes a spool; its folder.
async fn closed(spool: Spool) -> Folder {
    spool.store.close().await;
    let Spool { folder, store, .. } = spool;
    drop(store);
    folder
}

fn remove(spool: &Path, tables: &[&str]) {
    for table in tables {
        std::fs::remove_dir_all(spool.join("index").join(table)).unwrap();
    }
}

fn refused(path: &Path) -> String {
    match LocalStore::open(LocalOptions { path: path.to_owned(), free_space_min: 0, faults: None })
    {
        Err(OpenError::Unreadable { reason, .. }) => reason,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was opened"),
    }
}

#[tokio::test]
async fn a_spool_without_an_index_by_sender_is_given_one() {
    let spool = spool_of_all_kinds().await.restart().await;
    {
        let engine = spool.store.core.engine().unwrap();
        let mut batch = Batch::default();
        batch.remove(&engine.total, INDEXED_KEY);
        engine.apply(batch).unwrap();
        engine.seal(engine.checkpoint().unwrap());
        engine.flush(&NoFaults).unwrap();
    }
    let folder = closed(spool).await;
    remove(folder.path(), &["sender"]);
    let spool = Spool::at(folder.path());
    audit(&spool).await;
    assert_eq!(spool.store.summary().await.unwrap().messages, 3);
}

#[tokio::test]
async fn indexes_that_are_all_removed_are_made_anew() {
    let spool = spool_of_all_kinds().await;
    let before = spool.store.summary().await.unwrap();
    let folder = closed(spool).await;
    remove(folder.path(), &INDEXES);
    for _ in 0..2 {
        let spool = Spool::at(folder.path());
        assert_eq!(spool.store.summary().await.unwrap(), before);
        audit(&spool).await;
        closed(spool).await;
    }
    let spool = Spool::at(folder.path());
    assert_eq!(lease(&spool.store, 10, 10).await.len() as u64, before.queued);
}

#[tokio::test]
async fn one_index_that_is_missing_is_told_with_what_can_be_done() {
    for table in INDEXES {
        let folder = closed(spool_of_all_kinds().await.restart().await).await;
        remove(folder.path(), &[table]);
        let reason = refused(folder.path());
        let wanted = "all of due, destination, held, count, sender are made anew";
        assert!(
            reason.contains(&format!("{table:?} is missing")) && reason.contains(wanted),
            "{reason}"
        );
    }
}

/// Changes octets in the middle of each file of a table.
fn damage(spool: &Path, table: &str, at: impl Fn(usize) -> usize) {
    let folder = spool.join("index").join(table).join("tables");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mut octets = std::fs::read(&path).unwrap();
        let at = at(octets.len());
        octets[at] ^= 1;
        std::fs::write(&path, octets).unwrap();
    }
}

#[tokio::test]
async fn a_damaged_table_is_named() {
    type Damage = fn(&Path);
    let cases: [(&str, Damage); 4] = [
        ("its table \"due\" is damaged", |spool| damage(spool, "due", |octets| octets / 2)),
        ("its table \"count\" is damaged", |spool| {
            std::fs::remove_file(spool.join("index/count/v1")).unwrap();
        }),
        ("its table \"message\" is damaged", |spool| {
            std::fs::write(spool.join("index/message/current"), "x").unwrap();
        }),
        ("its table \"held\" is damaged", |spool| {
            // How many levels there are: the library panics about another number.
            let path = spool.join("index/held/v0");
            let mut octets = std::fs::read(&path).unwrap();
            octets[8] = 8;
            std::fs::write(&path, octets).unwrap();
        }),
    ];
    for (wanted, damage) in cases {
        let spool = Spool::new();
        queue(&spool.store, 10, message(&["a.example"])).await.unwrap();
        let folder = closed(spool.restart().await).await;
        damage(folder.path());
        let reason = refused(folder.path());
        assert!(reason.contains(wanted), "{reason}");
        let is_index = !wanted.contains("message");
        assert_eq!(reason.contains("are made anew"), is_index, "{reason}");
        if is_index {
            remove(folder.path(), &INDEXES);
            audit(&Spool::at(folder.path())).await;
        }
    }
}

/// A block of many deliveries that can't be read holds up nobody else.
#[tokio::test]
async fn deliveries_in_a_damaged_block_are_set_aside() {
    let spool = Spool::new();
    let mut ids: Vec<QueueId> = Vec::new();
    for _ in 0..3 {
        ids.push(queue(&spool.store, 10, message(&["a.example"])).await.unwrap());
    }
    let folder = closed(spool.restart().await).await;
    damage(folder.path(), "delivery", |_| 30);
    let spool = Spool::at(folder.path());
    let sound = queue(&spool.store, 10, message(&["b.example"])).await.unwrap();
    let leased: Vec<_> = lease(&spool.store, 10, 10).await.iter().map(|lease| lease.id).collect();
    assert_eq!(leased, [sound]);
    // Requests are carried out in their order: this one comes behind the setting aside.
    queue(&spool.store, 10, message(&["c.example"])).await.unwrap();
    let counted = spool.store.count(Destinations::One(destination("a.example"))).await.unwrap();
    assert_eq!((counted.queued, counted.held), (0, 3));
    let page = spool.store.list(crate::Listed::All, None, 10).await.unwrap();
    let told: Vec<bool> = page.messages.iter().map(|(_, told)| told.is_ok()).collect();
    assert_eq!(told, [false, false, false, true, true]);
    let engine = spool.store.core.engine().unwrap();
    let row = engine.delivery.get(delivery_key(ids[0], &destination("a.example")));
    assert!(row.unwrap_err().is_damage());
}
