//! A spool that an older server has written: without an index by sender.

use super::audit::audit;
use super::spool::{Folder, Spool, message, queue};
use crate::Store;
use crate::local::fault::NoFaults;
use crate::local::rows::Batch;
use crate::local::upgrade::UPGRADE_KEY;

#[tokio::test]
async fn a_spool_without_an_index_by_sender_is_given_one() {
    let spool = Spool::new();
    for _ in 0..3 {
        queue(&spool.store, 10, message(&["a.example", "b.example"])).await.unwrap();
    }
    // With the start, the tables have everything on disk.
    let spool = spool.restart().await;
    {
        let engine = spool.store.core.engine().unwrap();
        let mut batch = Batch::default();
        batch.remove(&engine.total, UPGRADE_KEY);
        engine.apply(batch).unwrap();
        engine.seal(engine.checkpoint().unwrap());
        engine.flush(&NoFaults).unwrap();
    }
    spool.store.close().await;
    let Spool { folder, store, .. } = spool;
    drop(store);
    std::fs::remove_dir_all(folder.path().join("index/sender")).unwrap();
    let spool = Spool::at(folder.path());
    audit(&spool).await;
    assert_eq!(spool.store.summary().await.unwrap().messages, 3);
    assert!(matches!(folder, Folder::Own(_)), "it goes after the store");
}
