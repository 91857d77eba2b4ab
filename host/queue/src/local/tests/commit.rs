//! Group commit: many messages share a sync, and none is acknowledged without one.

use std::sync::Arc;

use super::audit::audit;
use super::spool::{Spool, assert_intact, lease, message, past, queue};
use crate::local::Operation;
use crate::{Settlement, Step, Store, StoreError, Summary};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_messages_share_syncs() {
    const WRITERS: u64 = 64;
    const EACH: u64 = 20;
    let spool = Arc::new(Spool::new());
    let write = |_| {
        let spool = Arc::clone(&spool);
        tokio::spawn(async move {
            let mut ids = Vec::new();
            for _ in 0..EACH {
                ids.push(queue(&spool.store, 1000, message(&["a.example"])).await.unwrap());
            }
            ids
        })
    };
    let writers: Vec<_> = (0..WRITERS).map(write).collect();
    for writer in writers {
        for id in writer.await.unwrap() {
            assert_intact(&spool.store, id, 1000).await;
        }
    }
    let (messages, syncs) = (WRITERS * EACH, spool.disk.count(Operation::JournalSync));
    assert!(syncs >= EACH && syncs <= messages / 4, "{syncs} syncs for {messages} messages");
    assert_eq!(spool.store.summary().await.unwrap().messages, messages);
    audit(&spool).await;
}

#[tokio::test]
async fn a_lone_message_is_synced_by_itself() {
    let spool = Spool::new();
    for sent in 1..=5 {
        queue(&spool.store, 1000, message(&["a.example"])).await.unwrap();
        assert_eq!(spool.disk.count(Operation::JournalSync), sent);
    }
    assert_eq!(spool.disk.count(Operation::BodySync), 0);
    queue(&spool.store, 100_000, message(&["a.example"])).await.unwrap();
    let synced = [Operation::BodySync, Operation::DirectorySync, Operation::JournalSync];
    assert_eq!(synced.map(|operation| spool.disk.count(operation)), [1, 1, 6]);
}

#[tokio::test]
async fn the_deliveries_of_a_message_are_settled_together() {
    const DESTINATIONS: usize = 100;
    let spool = Arc::new(Spool::new());
    let names: Vec<String> = (0..DESTINATIONS).map(|n| format!("d{n}.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let id = queue(&spool.store, 100_000, message(&names)).await.unwrap();
    let before = spool.disk.count(Operation::JournalSync);
    let mut settling = tokio::task::JoinSet::new();
    for lease in lease(&spool.store, DESTINATIONS, 1).await {
        let spool = Arc::clone(&spool);
        settling.spawn(async move {
            let settlement = Settlement { recipients: vec![Step::Done], next_due: past(0) };
            spool.store.finish(&lease, settlement).await.unwrap();
        });
    }
    assert_eq!(settling.len(), DESTINATIONS);
    settling.join_all().await;
    let syncs = spool.disk.count(Operation::JournalSync) - before;
    assert!(syncs < DESTINATIONS as u64 / 4, "{syncs} syncs");
    assert_eq!(spool.store.read(id).await.err(), Some(StoreError::Missing(id)));
    assert_eq!(spool.store.summary().await.unwrap(), Summary::default());
    audit(&spool).await;
}
