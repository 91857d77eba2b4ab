//! Bodies that plug-ins have rewritten: what is stored is what they left, and a disk that fails leaves nothing.

use std::io::ErrorKind;
use std::sync::Arc;

use stagepost_smtp::{BodyText, Content, Edit, EditedBody, Span};

use super::audit::audit;
use super::spool::{Spool, assert_intact, body_of, message, queue};
use crate::local::Operation;
use crate::{Incoming, Store, StoreError};

const KIB: usize = 1024;

/// Text kept as plug-ins write it, in pieces of odd sizes.
fn text(content: &Arc<dyn Content>, octets: &[u8]) -> std::io::Result<BodyText> {
    let mut scratch = content.scratch();
    for piece in octets.chunks(9_999) {
        scratch.write(piece)?;
    }
    let span = Span { octets: octets.len() as u64, sha256: [0; 32] };
    Ok(BodyText { span, kept: scratch.finish(b"") })
}

fn octets(letter: u8, octets: usize) -> Vec<u8> {
    (0..octets).map(|at| letter.wrapping_add((at / 1000) as u8)).collect()
}

/// A message with so many octets behind the empty line; none: without a body.
async fn receive(store: &dyn Store, received: Option<usize>) -> (Box<dyn Incoming>, Vec<u8>) {
    let mut incoming = store.receive().unwrap();
    incoming.header().extend_from_slice(b"Subject: x\r\n");
    let Some(received) = received else { return (incoming, Vec::new()) };
    let received = octets(b'a', received);
    incoming.body(b"\r\n").await.unwrap();
    for piece in received.chunks(10_000) {
        incoming.body(piece).await.unwrap();
    }
    (incoming, received)
}

#[tokio::test]
async fn what_is_stored_is_what_plug_ins_left() {
    let mut spool = Spool::new();
    let sizes = [0, 1, 64 * KIB - 2, 64 * KIB, 300 * KIB];
    let mut stored = Vec::new();
    for received in [None, Some(0), Some(10), Some(64 * KIB), Some(200 * KIB)] {
        for size in sizes {
            for kinds in ["a", "p", "r", "pa", "rap", "aar", "apa"] {
                let (mut incoming, mut model) = receive(&spool.store, received).await;
                let content = incoming.content();
                let mut body = EditedBody::default();
                for (at, kind) in kinds.chars().enumerate() {
                    let written = octets(b'A' + at as u8, size + at);
                    let text = text(&content, &written).unwrap();
                    body.edit(&match kind {
                        'p' => {
                            model.splice(0..0, written);
                            Edit::PrependBody(text)
                        }
                        'a' => {
                            model.extend(written);
                            Edit::AppendBody(text)
                        }
                        _ => {
                            model = written;
                            Edit::ReplaceBody(text)
                        }
                    });
                }
                incoming.edit_body(body).await.unwrap();
                model.splice(0..0, *b"\r\n");
                assert_eq!(incoming.body_octets(), model.len() as u64);
                let id = incoming.commit(message(&["a.example"])).await.unwrap();
                assert_eq!(spool.body_file(id).exists(), model.len() > 64 * KIB);
                // All of them are read again behind a restart; only their digests are kept meanwhile.
                stored.push((id, crc32c::crc32c(&model), model.len() as u64));
                // Who reads what was received still can.
                let mut buffer = Vec::new();
                let first = content.body(2, &mut buffer).unwrap();
                assert_eq!(first.first(), received.filter(|octets| *octets > 0).map(|_| &b'a'));
            }
        }
    }
    audit(&spool).await;
    spool = spool.restart().await;
    for (id, crc, octets) in stored {
        let message = spool.store.read(id).await.unwrap();
        assert_eq!(message.body.octets(), octets);
        assert_eq!(crc32c::crc32c(&body_of(&message).await.unwrap()), crc);
    }
    let files = spool.body_files();
    assert!(files.iter().all(|file| file.file_name().is_some()) && !files.is_empty());
}

#[tokio::test]
async fn a_disk_that_fails_while_a_body_is_rewritten_leaves_nothing() {
    let spool = Spool::new();
    let before = queue(&spool.store, 100 * KIB, message(&["a.example"])).await.unwrap();
    for (operation, kind) in [
        (Operation::BodyWrite, ErrorKind::StorageFull),
        (Operation::BodyWrite, ErrorKind::Other),
        (Operation::BodySync, ErrorKind::Other),
        (Operation::DirectorySync, ErrorKind::Other),
    ] {
        for edit in [Edit::PrependBody as fn(BodyText) -> Edit, Edit::AppendBody, Edit::ReplaceBody]
        {
            let (mut incoming, _) = receive(&spool.store, Some(200 * KIB)).await;
            let content = incoming.content();
            let mut body = EditedBody::default();
            body.edit(&edit(text(&content, &octets(b'A', 200 * KIB)).unwrap()));
            spool.disk.fail(operation, kind);
            let edited = incoming.edit_body(body).await;
            // A message whose body could not be edited can't be committed either.
            let committed = incoming.commit(message(&["a.example"])).await.unwrap_err();
            let error = edited.err().unwrap_or(committed);
            let full = matches!(error, StoreError::NoSpace { .. });
            assert_eq!(full, kind == ErrorKind::StorageFull, "{error}");
            spool.disk.heal();
            assert_eq!(spool.body_files().len(), 1, "{operation:?}");
        }
    }
    assert_intact(&spool.store, before, 100 * KIB).await;
    audit(&spool).await;
}

#[tokio::test]
async fn a_full_disk_refuses_what_a_plug_in_writes() {
    let spool = Spool::new();
    let (incoming, _) = receive(&spool.store, Some(10)).await;
    let content = incoming.content();
    spool.disk.fill_up_to(1000);
    let error = text(&content, &octets(b'A', 200 * KIB)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    // What fits into memory needs no disk.
    assert!(text(&content, &octets(b'A', 60 * KIB)).is_ok());
    spool.disk.heal();
    assert!(text(&content, &octets(b'A', 200 * KIB)).is_ok());
    let left = std::fs::read_dir(spool.folder.path().join("body")).unwrap().count();
    assert_eq!(left, 0, "what was written has no name");
}
