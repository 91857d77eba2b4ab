//! A disk that fails or is full: nothing is acknowledged, nothing is lost, and it goes on when the disk is sound.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use super::audit::audit;
use super::spool::{Spool, assert_intact, lease, message, offer, queue, release, settle};
use crate::local::Operation;
use crate::{Health, Lease, QueueId, Settlement, Step, Store, StoreError};

/// Tries until the store has reopened, which it does by itself within seconds.
async fn queue_when_healed(spool: &Spool, octets: usize) -> QueueId {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        match queue(&spool.store, octets, message(&["a.example"])).await {
            Ok(id) => return id,
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_failed_commit_is_refused_and_the_queue_goes_on_with_a_new_journal() {
    let cases = [
        (Operation::JournalWrite, ErrorKind::Other, 4096),
        (Operation::JournalSync, ErrorKind::Other, 4096),
        (Operation::JournalSync, ErrorKind::StorageFull, 200_000),
        (Operation::JournalWrite, ErrorKind::StorageFull, 200_000),
        (Operation::JournalWrite, ErrorKind::ReadOnlyFilesystem, 4096),
    ];
    for (operation, kind, octets) in cases {
        let mut spool = Spool::new();
        let before = queue(&spool.store, octets, message(&["a.example"])).await.unwrap();
        let journals = journals(&spool);
        spool.disk.fail(operation, kind);
        let incoming = offer(&spool.store, octets).await.unwrap();
        let refused = incoming.id();
        let error = incoming.commit(message(&["a.example"])).await.unwrap_err();
        assert_eq!(
            matches!(error, StoreError::NoSpace { .. }),
            kind == ErrorKind::StorageFull,
            "{error}"
        );
        assert!(matches!(spool.store.health(), Health::Failed { .. }));
        assert!(spool.store.receive().is_err());

        spool.disk.heal();
        let after = queue_when_healed(&spool, octets).await;
        assert_eq!(spool.store.health(), Health::Accepting);
        assert!(journals.iter().max() < self::journals(&spool).iter().max(), "a new segment");
        for _ in 0..2 {
            assert!(
                matches!(spool.store.read(refused).await, Err(StoreError::Missing(_))),
                "{operation:?}"
            );
            assert_intact(&spool.store, before, octets).await;
            assert_intact(&spool.store, after, octets).await;
            audit(&spool).await;
            spool = spool.restart().await;
        }
        let leased: Vec<_> =
            lease(&spool.store, 10, 10).await.iter().map(|lease| lease.id).collect();
        assert_eq!(leased, [before, after]);
    }
}

/// The numbers of the journal's segments.
fn journals(spool: &Spool) -> Vec<u64> {
    let names = std::fs::read_dir(spool.folder.path().join("journal")).unwrap();
    let number = |name: std::ffi::OsString| name.to_str()?.strip_suffix(".segment")?.parse().ok();
    names.filter_map(|entry| number(entry.unwrap().file_name())).collect()
}

#[tokio::test]
async fn reopening_is_tried_again_until_it_succeeds() {
    let spool = Spool::new();
    let before = queue(&spool.store, 10, message(&["a.example"])).await.unwrap();
    spool.disk.fail(Operation::JournalSync, ErrorKind::Other);
    spool.disk.fail(Operation::Reopen, ErrorKind::Other);
    assert!(queue(&spool.store, 10, message(&["a.example"])).await.is_err());
    let end = Instant::now() + Duration::from_secs(30);
    while spool.disk.count(Operation::Reopen) < 2 {
        assert!(Instant::now() < end && spool.store.receive().is_err());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    spool.disk.heal();
    let after = queue_when_healed(&spool, 10).await;
    assert_intact(&spool.store, before, 10).await;
    assert_intact(&spool.store, after, 10).await;
    audit(&spool).await;
}

#[tokio::test]
async fn a_failed_settlement_keeps_its_lease() {
    let spool = Spool::new();
    queue(&spool.store, 200_000, message(&["a.example"])).await.unwrap();
    let held = lease(&spool.store, 1, 1).await.remove(0);
    spool.disk.fail(Operation::JournalSync, ErrorKind::Other);
    let done = || Settlement { recipients: vec![Step::Done], next_due: held.received_at };
    assert!(matches!(spool.store.finish(&held, done()).await, Err(StoreError::Unavailable(_))));
    spool.disk.heal();
    queue_when_healed(&spool, 10).await;
    let other = lease(&spool.store, 10, 10).await;
    assert!(other.iter().all(|lease| lease.id != held.id), "leased twice");
    spool.store.finish(&held, done()).await.unwrap();
    settle(&spool.store, &other[0], &Step::Done, held.received_at).await;
    assert_eq!(spool.store.summary().await.unwrap().messages, 0);
    audit(&spool).await;
}

#[tokio::test]
async fn a_body_that_can_not_be_written_or_synced_is_refused() {
    for operation in [Operation::BodyWrite, Operation::BodySync, Operation::DirectorySync] {
        for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
            let spool = Spool::new();
            spool.disk.fail(operation, kind);
            let error = queue(&spool.store, 200_000, message(&["a.example"])).await.unwrap_err();
            assert_eq!(matches!(error, StoreError::NoSpace { .. }), kind == ErrorKind::StorageFull);
            assert_eq!(spool.store.health(), Health::Accepting);
            spool.disk.heal();
            let id = queue(&spool.store, 200_000, message(&["a.example"])).await.unwrap();
            assert_intact(&spool.store, id, 200_000).await;
            audit(&spool).await;
        }
    }
}

#[tokio::test]
async fn without_free_space_new_messages_wait_and_settlements_do_not() {
    let spool = Spool::new();
    let store = &spool.store;
    queue(store, 200_000, message(&["a.example"])).await.unwrap();
    let held = lease(store, 1, 1).await.remove(0);
    let (small, large) = (offer(store, 10).await.unwrap(), offer(store, 10_000).await.unwrap());
    spool.disk.fill_up_to(1000);
    let full = StoreError::NoSpace { free: 1000, wanted: 1024 * 1024 };
    assert_eq!(small.commit(message(&["a.example"])).await, Err(full.clone()));
    assert_eq!(store.health(), Health::NoSpace { free: 1000, wanted: 1024 * 1024 });
    assert_eq!(store.receive().err(), Some(full.clone()));
    let mut large = large;
    assert_eq!(large.body(&[b'x'; 100_000]).await, Err(full.clone()));
    assert_eq!(large.body(b"x").await, Err(full.clone()));
    assert_eq!(large.commit(message(&["a.example"])).await, Err(full));
    settle(store, &held, &Step::Done, held.received_at).await;
    audit(&spool).await;
    spool.disk.heal();
    queue(store, 10, message(&["a.example"])).await.unwrap();
    assert_eq!(store.health(), Health::Accepting);
    audit(&spool).await;
}

#[tokio::test]
async fn what_a_failed_batch_would_have_changed_has_not_happened() {
    let spool = Spool::new();
    let store = &spool.store;
    let mut held = message(&["held.example"]);
    held.hold = Some("looks odd".into());
    let held = queue(store, 10, held).await.unwrap();
    let tried = queue(store, 10, message(&["tried.example"])).await.unwrap();
    let leased = lease(store, 1, 1).await.remove(0);
    let retry = || Settlement {
        recipients: vec![Step::Retry("451 later".into())],
        next_due: leased.received_at,
    };
    // Both are refused, and both are in the journal: neither has happened.
    spool.disk.fail(Operation::JournalSync, ErrorKind::Other);
    let (released, settled) =
        tokio::join!(release(store, held, leased.received_at), store.finish(&leased, retry()));
    assert!(released.is_err() && settled.is_err());
    spool.disk.heal();
    while store.summary().await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let ids = |leases: Vec<Lease>| leases.iter().map(|lease| lease.id).collect::<Vec<_>>();
    assert_eq!(ids(lease(store, 10, 10).await), []);
    store.finish(&leased, retry()).await.unwrap();
    assert_eq!(ids(lease(store, 10, 10).await), [tried]);
    release(store, held, leased.received_at).await.unwrap();
    assert_eq!(ids(lease(store, 10, 10).await), [held]);
    audit(&spool).await;
}

#[tokio::test]
async fn attempts_to_reopen_leave_nothing_behind() {
    let spool = Spool::new();
    queue(&spool.store, 10, message(&["a.example"])).await.unwrap();
    let before = journals(&spool).len();
    spool.disk.fail(Operation::JournalWrite, ErrorKind::Other);
    assert!(queue(&spool.store, 10, message(&["a.example"])).await.is_err());
    while spool.disk.count(Operation::Reopen) < 4 {
        assert!(spool.store.receive().is_err());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // One more may be in the making.
    assert!(journals(&spool).len() <= before + 1, "{:?}", journals(&spool));
    spool.disk.heal();
    queue_when_healed(&spool, 10).await;
    audit(&spool).await;
}

#[tokio::test]
async fn a_spool_that_is_gone_takes_nothing_and_is_taken_up_when_it_is_back() {
    let spool = Spool::new();
    let id = queue(&spool.store, 200_000, message(&["a.example"])).await.unwrap();
    let path = spool.folder.path();
    let away = path.with_extension("away");
    std::fs::rename(path, &away).unwrap();
    assert!(queue(&spool.store, 10, message(&["a.example"])).await.is_err());
    assert!(matches!(spool.store.health(), Health::Failed { .. }));
    // An empty folder is not what it was.
    for attempts in [2, 4] {
        while spool.disk.count(Operation::Reopen) < attempts {
            assert!(spool.store.receive().is_err());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(path.exists(), attempts == 4, "nobody makes it");
        let _ = std::fs::create_dir(path);
    }
    let Health::Failed { reason } = spool.store.health() else { panic!("it is open") };
    assert!(reason.contains("is missing"), "{reason}");
    std::fs::remove_dir_all(path).unwrap();
    std::fs::rename(&away, path).unwrap();
    queue_when_healed(&spool, 10).await;
    assert_intact(&spool.store, id, 200_000).await;
    audit(&spool).await;
}

/// Queues until something is refused; what was acknowledged.
async fn queue_until_refused(spool: &Spool) -> (Vec<QueueId>, StoreError) {
    let mut ids = Vec::new();
    loop {
        match queue(&spool.store, 60_000, message(&["a.example"])).await {
            Ok(id) => ids.push(id),
            Err(error) => return (ids, error),
        }
        assert!(ids.len() < 1000, "the journal can't hold that much");
    }
}

#[tokio::test]
async fn a_failed_checkpoint_is_made_up_for_and_loses_nothing() {
    for kind in [ErrorKind::Other, ErrorKind::StorageFull, ErrorKind::ReadOnlyFilesystem] {
        let spool = Spool::new();
        spool.disk.fail(Operation::Checkpoint, kind);
        let (mut ids, error) = queue_until_refused(&spool).await;
        assert_eq!(matches!(error, StoreError::NoSpace { .. }), kind == ErrorKind::StorageFull);
        assert!(matches!(spool.store.health(), Health::Failed { .. }));
        spool.disk.heal();
        ids.push(queue_when_healed(&spool, 10).await);
        let spool = spool.restart().await;
        let (last, first) = ids.split_last().unwrap();
        for id in first {
            assert_intact(&spool.store, *id, 60_000).await;
        }
        assert_intact(&spool.store, *last, 10).await;
        audit(&spool).await;
    }
}

#[tokio::test]
async fn a_journal_that_can_not_grow_refuses_what_does_not_fit() {
    let spool = Spool::new();
    spool.disk.fail(Operation::SegmentWrite, ErrorKind::StorageFull);
    let (ids, error) = queue_until_refused(&spool).await;
    assert!(matches!(error, StoreError::NoSpace { .. }), "{error}");
    assert!(!ids.is_empty(), "there was a segment");
    spool.disk.heal();
    queue_when_healed(&spool, 10).await;
    for id in ids {
        assert_intact(&spool.store, id, 60_000).await;
    }
    audit(&spool).await;
}

#[tokio::test]
async fn a_segment_that_could_not_be_made_ahead_is_made_when_it_is_needed() {
    let spool = Spool::new();
    spool.disk.fail(Operation::SegmentWrite, ErrorKind::StorageFull);
    let made = spool.disk.count(Operation::SegmentWrite);
    queue(&spool.store, 10, message(&["a.example"])).await.unwrap();
    // The first group begins a segment, and has the next one made.
    while spool.disk.count(Operation::SegmentWrite) == made {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    spool.disk.heal();
    for _ in 0..10 {
        queue(&spool.store, 60_000, message(&["a.example"])).await.unwrap();
    }
    audit(&spool).await;
}

#[tokio::test]
async fn many_failures_after_each_other_lose_nothing_that_was_acknowledged() {
    let spool = Spool::new();
    let mut ids = Vec::new();
    for operation in [Operation::JournalSync, Operation::JournalWrite, Operation::JournalSync] {
        ids.push(queue_when_healed(&spool, 5000).await);
        spool.disk.fail(operation, ErrorKind::Other);
        // One more than is told of is in the journal each time, in a large file too.
        assert!(queue(&spool.store, 100_000, message(&["a.example"])).await.is_err());
        spool.disk.heal();
    }
    ids.push(queue_when_healed(&spool, 5000).await);
    let spool = spool.restart().await;
    for id in &ids {
        assert_intact(&spool.store, *id, 5000).await;
    }
    assert_eq!(spool.store.summary().await.unwrap().messages, ids.len() as u64);
    audit(&spool).await;
}
