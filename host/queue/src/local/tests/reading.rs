//! Messages read before they are committed: from memory and from a file, and whatever becomes of them.

use std::sync::Arc;

use stagepost_smtp::Content;

use super::spool::{Spool, assert_intact, body, message, offer};
use crate::Store;

/// Everything from an offset on.
fn rest(content: &dyn Content, mut offset: u64) -> Vec<u8> {
    let (mut found, mut buffer) = (Vec::new(), Vec::new());
    loop {
        let piece = content.body(offset, &mut buffer).unwrap();
        if piece.is_empty() {
            return found;
        }
        assert!(piece.len() <= 64 * 1024);
        offset += piece.len() as u64;
        found.extend_from_slice(piece);
    }
}

#[tokio::test]
async fn a_message_can_be_read_before_and_behind_its_commit() {
    const KIB: usize = 1024;
    for octets in [0, 1, 64 * KIB, 64 * KIB + 1, 128 * KIB, 300 * KIB] {
        let spool = Spool::new();
        let mut incoming = offer(&spool.store, octets).await.unwrap();
        let (id, content) = (incoming.id(), incoming.content());
        let (header, body) = (format!("Message-ID: <{id}@example.test>\r\n"), body(id, octets));
        let check = |content: &Arc<dyn Content>| {
            assert_eq!(content.header(), header.as_bytes());
            for offset in [0, 1, 63 * KIB, 64 * KIB, 65 * KIB, octets, octets + 1, usize::MAX] {
                let wanted = body.get(offset..).unwrap_or_default();
                assert!(rest(&**content, offset as u64) == wanted, "{octets} from {offset}");
            }
        };
        check(&content);
        // Who reads keeps what was there; the message goes its way.
        incoming.header().extend_from_slice(b"X-Later: 1\r\n");
        check(&content);
        incoming.header().truncate(header.len());
        incoming.commit(message(&["a.example"])).await.unwrap();
        check(&content);
        assert_intact(&spool.store, id, octets).await;
        // Dropped uncommitted, its file is gone and can still be read.
        let incoming = offer(&spool.store, octets).await.unwrap();
        let (id, content) = (incoming.id(), incoming.content());
        drop(incoming);
        assert!(!spool.body_file(id).exists());
        assert!(rest(&*content, 0) == super::spool::body(id, octets));
        spool.store.close().await;
    }
}
