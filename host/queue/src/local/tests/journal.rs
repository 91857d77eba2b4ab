//! The journal after a crash, a power cut or damage: what was acknowledged is read back, what was torn is left out, and what is
//! damaged or missing is refused with nothing changed.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::audit::audit;
use super::spool::{Spool, assert_intact, lease, message, open, queue, settle};
use crate::local::{LocalOptions, LocalStore, OpenError};
use crate::{QueueId, Step, Store, StoreError};

/// The segments of a spool, newest last.
fn segments(spool: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(spool.join("journal")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The segment that was begun last.
fn newest(spool: &Path) -> PathBuf {
    // The head has the epoch at octet 8; a segment that was never begun is all zeros.
    segments(spool)
        .into_iter()
        .max_by_key(|path| std::fs::read(path).unwrap()[8..16].to_vec())
        .unwrap()
}

/// Copies a spool as it is on disk now.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The octets of all files below a folder but the lists of tables' files: opening a table removes those that are out of date.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else if !path.file_name().unwrap().to_str().unwrap().starts_with('v') {
            found.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// Where a text lies in a segment.
fn find(segment: &Path, text: &str) -> u64 {
    let octets = std::fs::read(segment).unwrap();
    let at = octets.windows(text.len()).position(|window| window == text.as_bytes());
    at.unwrap() as u64
}

fn overwrite(path: &Path, octets: &[u8], at: u64) {
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(octets, at).unwrap();
}

fn refused(spool: &Path) -> String {
    let options = LocalOptions { path: spool.to_owned(), free_space_min: 0, faults: None };
    match LocalStore::open(options) {
        Err(OpenError::Unreadable { reason, .. }) => reason,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was opened"),
    }
}

/// Messages, each in a group of its own, in a spool that is closed.
async fn spool_of(octets: &[usize]) -> (Spool, Vec<QueueId>) {
    let spool = Spool::new();
    let mut ids = Vec::new();
    for octets in octets {
        ids.push(queue(&spool.store, *octets, message(&["a.example"])).await.unwrap());
    }
    spool.store.close().await;
    (spool, ids)
}

/// Where the group of this message begins and ends, given where that of the next one begins.
fn group_of(segment: &Path, id: QueueId) -> (usize, usize) {
    let octets = std::fs::read(segment).unwrap();
    let at = find(segment, &format!("Message-ID: <{id}@")) as usize;
    // That of the segment has its salt at octet 36.
    let salt = u32::from_be_bytes(octets[36..40].try_into().unwrap());
    // The head of a frame has the length of what follows it at octet 4.
    let begins = |start: &usize| {
        let length = u32::from_be_bytes(octets[start + 4..start + 8].try_into().unwrap()) as usize;
        let crc = u32::from_be_bytes(octets[*start..start + 4].try_into().unwrap());
        let end = start + 24 + length;
        let sum = |octets: &[u8]| crc32c::crc32c_append(salt, octets);
        end <= octets.len() && end > at && sum(&octets[start + 4..end]) == crc
    };
    let start = (0..at).rev().find(|start| start % 8 == 0 && begins(start)).unwrap();
    let length = u32::from_be_bytes(octets[start + 4..start + 8].try_into().unwrap()) as usize;
    (start, start + 24 + length)
}

#[tokio::test]
async fn a_journal_cut_anywhere_in_its_last_group_keeps_all_before() {
    let (spool, ids) = spool_of(&[300, 300, 10]).await;
    let segment = newest(spool.folder.path());
    let name = segment.file_name().unwrap();
    let (start, end) = group_of(&segment, ids[2]);
    let whole = std::fs::read(&segment).unwrap();
    assert!(end - start > 200, "the group has {} octets", end - start);
    // Each opening costs many files: not every octet, but every boundary and a walk through the rest.
    let cuts = (start..start + 26).chain((start + 26..end - 2).step_by(37)).chain(end - 2..end);
    for cut in cuts {
        let folder = tempfile::tempdir().unwrap();
        copy(spool.folder.path(), folder.path());
        let mut octets = whole[..cut].to_vec();
        octets.resize(whole.len(), 0);
        std::fs::write(folder.path().join("journal").join(name), octets).unwrap();
        let store = open(folder.path());
        assert_intact(&store, ids[0], 300).await;
        assert_intact(&store, ids[1], 300).await;
        assert_eq!(store.read(ids[2]).await.err(), Some(StoreError::Missing(ids[2])), "{cut}");
        store.close().await;
    }
}

/// No crash makes a file shorter that was on disk before it was used: acknowledged groups may have been in the rest.
#[tokio::test]
async fn a_segment_that_is_not_whole_is_refused_and_nothing_is_changed() {
    type Damage = fn(&mut Vec<u8>);
    let cases: [(&str, Damage); 6] = [
        ("its end is missing", |octets| octets.truncate(octets.len() - 1)),
        ("its end is missing", |octets| octets.truncate(1000)),
        ("its end is missing", |octets| octets.truncate(48)),
        ("its end is missing", Vec::clear),
        ("the head of", |octets| octets[20] ^= 1),
        ("which only a newer server knows", |octets| {
            octets[7] += 1;
            let crc = crc32c::crc32c(&octets[..40]);
            octets[40..44].copy_from_slice(&crc.to_be_bytes());
        }),
    ];
    for (wanted, damage) in cases {
        let (spool, _) = spool_of(&[300, 300]).await;
        let segment = newest(spool.folder.path());
        let mut octets = std::fs::read(&segment).unwrap();
        damage(&mut octets);
        std::fs::write(&segment, octets).unwrap();
        let before = contents(spool.folder.path());
        let reason = refused(spool.folder.path());
        let name = segment.file_name().unwrap().to_str().unwrap();
        assert!(reason.contains(wanted) && reason.contains(name), "{reason}");
        assert!(before == contents(spool.folder.path()), "something was changed");
    }
}

/// Octets of a message that look like a group, for each place that a group may begin at.
fn forged(epoch: u64, sequence: u64, changes: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 4];
    frame.extend_from_slice(&(changes.len() as u32).to_be_bytes());
    frame.extend_from_slice(&epoch.to_be_bytes());
    frame.extend_from_slice(&sequence.to_be_bytes());
    frame.extend_from_slice(changes);
    let crc = crc32c::crc32c(&frame[4..]);
    frame[..4].copy_from_slice(&crc.to_be_bytes());
    (0..8).flat_map(|_| [frame.as_slice(), &[0]].concat()).collect()
}

#[tokio::test]
async fn what_a_message_says_is_never_taken_for_a_group() {
    let (spool, ids) = spool_of(&[300, 10]).await;
    let segment = newest(spool.folder.path());
    let (_, end) = group_of(&segment, ids[1]);
    let end = end.next_multiple_of(8) as u64;
    // Where the journal goes on, there is what an old message said: that the first one be removed.
    let mut changes = vec![0, 0, 0, 0, 0, 16];
    changes.extend_from_slice(&ids[0].to_bytes());
    overwrite(&segment, &forged(1, 3, &changes), end);
    let spool = spool.restart().await;
    assert_intact(&spool.store, ids[0], 300).await;
    audit(&spool).await;

    // A torn group has a message that says that others follow it.
    let mut incoming = spool.store.receive().unwrap();
    let torn = incoming.id();
    let header = format!("Message-ID: <{torn}@example.test>\r\n");
    incoming.header().extend_from_slice(header.as_bytes());
    let claims: Vec<u8> = (1..9).flat_map(|epoch| forged(epoch, 99, b"")).collect();
    incoming.body(&claims).await.unwrap();
    incoming.commit(message(&["a.example"])).await.unwrap();
    spool.store.close().await;
    let segment = newest(spool.folder.path());
    let (_, end) = group_of(&segment, torn);
    overwrite(&segment, &[0; 8], end as u64 - 8);
    let store = open(spool.folder.path());
    assert_intact(&store, ids[0], 300).await;
    assert_eq!(store.read(torn).await.err(), Some(StoreError::Missing(torn)));
}

#[tokio::test]
async fn what_is_written_after_a_torn_group_survives_the_next_crash() {
    let (spool, ids) = spool_of(&[300, 20_000]).await;
    let segment = newest(spool.folder.path());
    // The beginning and the end of the group are on disk, the middle is not.
    overwrite(&segment, &[0; 4096], find(&segment, &format!("{} some text", ids[1])) + 5000);
    let spool = spool.restart().await;
    assert_eq!(spool.store.read(ids[1]).await.err(), Some(StoreError::Missing(ids[1])));
    let next = queue(&spool.store, 20_000, message(&["a.example"])).await.unwrap();
    let spool = spool.restart().await;
    assert_intact(&spool.store, ids[0], 300).await;
    assert_intact(&spool.store, next, 20_000).await;
    audit(&spool).await;
}

#[tokio::test]
async fn a_damaged_group_before_the_last_is_refused_and_nothing_is_changed() {
    let (spool, ids) = spool_of(&[20_000, 20_000, 20_000]).await;
    let segment = newest(spool.folder.path());
    overwrite(&segment, &[0; 4096], find(&segment, &format!("{} some text", ids[1])) + 5000);
    let before = contents(spool.folder.path());
    let reason = refused(spool.folder.path());
    assert!(reason.contains("group 2") && reason.contains("damaged"), "{reason}");
    assert!(before == contents(spool.folder.path()), "something was changed");
}

#[tokio::test]
async fn a_part_of_the_spool_that_is_missing_is_noticed() {
    type Loss = fn(&Path);
    let cases: [(&str, Loss); 4] = [
        ("no segment", |spool| {
            for segment in segments(spool) {
                std::fs::remove_file(segment).unwrap();
            }
        }),
        ("end of the journal is missing", |spool| {
            let segment = newest(spool);
            overwrite(&segment, &[0; 100_000], 48);
        }),
        ("older than the other", |spool| std::fs::remove_dir_all(spool.join("index")).unwrap()),
        ("\"message\" is missing", |spool| {
            std::fs::remove_dir_all(spool.join("index/message")).unwrap();
        }),
    ];
    for (wanted, lose) in cases {
        let (spool, _) = spool_of(&[1000, 1000]).await;
        // Reopened, the tables have everything on disk; and one group more begins a segment that says so.
        let spool = spool.restart().await;
        queue(&spool.store, 1000, message(&["a.example"])).await.unwrap();
        let spool = spool.restart().await;
        spool.store.close().await;
        lose(spool.folder.path());
        let reason = refused(spool.folder.path());
        assert!(reason.contains(wanted), "{reason} instead of {wanted}");
    }
}

#[tokio::test]
async fn an_index_set_back_to_an_earlier_checkpoint_is_brought_up_again() {
    let (spool, first) = spool_of(&[1000]).await;
    let folder = tempfile::tempdir().unwrap();
    let spool = spool.restart().await;
    spool.store.close().await;
    copy(&spool.folder.path().join("index"), &folder.path().join("index"));
    let spool = spool.restart().await;
    let second = queue(&spool.store, 1000, message(&["b.example"])).await.unwrap();
    let leased = lease(&spool.store, 1, 1).await;
    settle(&spool.store, &leased[0], &Step::Done, leased[0].received_at).await;
    spool.store.close().await;
    // The journal has the groups behind that checkpoint, as if none had come since.
    std::fs::remove_dir_all(spool.folder.path().join("index")).unwrap();
    copy(&folder.path().join("index"), &spool.folder.path().join("index"));
    let spool = spool.restart().await;
    assert_eq!(spool.store.read(first[0]).await.err(), Some(StoreError::Missing(first[0])));
    assert_intact(&spool.store, second, 1000).await;
    audit(&spool).await;
}

#[tokio::test]
async fn segments_are_written_over_once_the_index_has_them() {
    let spool = Spool::new();
    let mut ids = Vec::new();
    // Through all sizes of segments, and more than one checkpoint.
    for _ in 0..150 {
        ids.push(queue(&spool.store, 60_000, message(&["a.example"])).await.unwrap());
        if ids.len() > 3 {
            let leased = lease(&spool.store, 1, 1).await;
            settle(&spool.store, &leased[0], &Step::Done, leased[0].received_at).await;
        }
    }
    let octets: u64 =
        segments(spool.folder.path()).iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!(octets <= 4 * 1024 * 1024, "the journal has {octets} octets");
    assert!(spool.disk.count(crate::local::Operation::Checkpoint) >= 3 * 8, "no checkpoint");
    let spool = spool.restart().await;
    for id in &ids[ids.len() - 3..] {
        assert_intact(&spool.store, *id, 60_000).await;
    }
    assert_eq!(spool.store.summary().await.unwrap().messages, 3);
    audit(&spool).await;
}

#[tokio::test]
async fn a_group_larger_than_any_segment_is_kept() {
    let spool = Spool::new();
    let mut incoming = spool.store.receive().unwrap();
    let line = format!("X-Long: {}\r\n", "x".repeat(1000));
    for _ in 0..4_000 {
        incoming.header().extend_from_slice(line.as_bytes());
    }
    let large = incoming.commit(message(&["a.example"])).await.unwrap();
    let small = queue(&spool.store, 100, message(&["a.example"])).await.unwrap();
    let spool = spool.restart().await;
    assert_eq!(spool.store.read(large).await.unwrap().header.len(), line.len() * 4_000);
    assert_intact(&spool.store, small, 100).await;
    audit(&spool).await;
}
