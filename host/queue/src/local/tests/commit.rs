//! Group commit: many messages share a sync, and none is acknowledged without one.

use std::sync::Arc;

use super::audit::audit;
use super::spool::{Spool, assert_intact, message, queue};
use crate::Store;
use crate::local::Operation;

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
