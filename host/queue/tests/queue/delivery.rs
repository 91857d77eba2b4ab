//! The way of a message through the queue: committed, leased, read, settled; and across a restart.

use std::time::{Duration, SystemTime};

use stagepost_queue::{
    Count, Destinations, LeaseRequest, QueueId, Settlement, Step, Store, StoreError, Summary,
};

use crate::spool::{
    assert_intact, body_of, destination, lease, message, offer, open, past, queue, settle,
};

#[tokio::test]
async fn a_message_goes_its_way() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for octets in [0, 1, 4096, 64 * 1024, 64 * 1024 + 1, 1_000_000] {
        let wanted = message(&["a.example", "b.example"]);
        let id = queue(&store, octets, wanted.clone()).await.unwrap();
        assert_intact(&store, id, octets).await;
        let stored = store.read(id).await.unwrap();
        assert_eq!(stored.envelope, wanted.envelope);
        assert_eq!(stored.origin, wanted.origin);
        let file = folder
            .path()
            .join(format!("body/{:02x}/{id}", id.to_bytes()[15]));
        assert_eq!(file.exists(), octets > 64 * 1024);

        let leases = lease(&store, 10, 10).await;
        let names: Vec<&str> = leases
            .iter()
            .map(|lease| lease.destination.as_str())
            .collect();
        assert_eq!(names, ["a.example", "b.example"]);
        assert!(lease(&store, 10, 10).await.is_empty(), "leased twice");
        settle(&store, &leases[0], &Step::Done, past(0)).await;
        assert_intact(&store, id, octets).await;
        settle(&store, &leases[1], &Step::Done, past(0)).await;
        assert!(matches!(store.read(id).await, Err(StoreError::Missing(missing)) if missing == id));
        assert_eq!(store.summary().await.unwrap(), Summary::default());
        assert!(!file.exists());
    }
}
