//! Messages for the tests of the transports, without a queue.
//! Knows no transport.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use stagepost_queue::{BodyReader, BodySource, BoxFuture, QueueId, StoreError, StoredMessage};
use stagepost_smtp::{Address, BodyKind, Envelope, Recipient, ReversePath};

/// A body in pieces.
struct Body {
    pieces: VecDeque<Vec<u8>>,
    /// So many readers come to the end; later ones fail behind the last piece.
    whole_readers: AtomicU32,
}

struct Reader {
    left: VecDeque<Vec<u8>>,
    lent: Vec<u8>,
    broken: bool,
}

/// A message from `a@b.test` with this header block and body.
pub(in crate::delivery) fn message(
    recipients: &[&str],
    header: &str,
    body: &[&[u8]],
) -> StoredMessage {
    build(recipients, header, body, u32::MAX)
}

/// The same with a body that can be read to its end so often, and never again.
pub(in crate::delivery) fn broken_message(
    recipients: &[&str],
    header: &str,
    body: &[&[u8]],
    whole_readers: u32,
) -> StoredMessage {
    build(recipients, header, body, whole_readers)
}

/// The same message with this body in memory.
pub(in crate::delivery) fn in_memory(message: StoredMessage, body: &[u8]) -> StoredMessage {
    StoredMessage { body: Box::new(Whole(body.to_vec())), ..message }
}

fn build(recipients: &[&str], header: &str, body: &[&[u8]], whole_readers: u32) -> StoredMessage {
    let recipient =
        |text: &&str| Recipient { address: Address::parse(text).unwrap(), parameters: "".into() };
    StoredMessage {
        id: QueueId::from_bytes([7; 16]),
        envelope: Envelope {
            sender: ReversePath::Address(Address::parse("a@b.test").unwrap()),
            parameters: "".into(),
            body: BodyKind::SevenBit,
            recipients: recipients.iter().map(recipient).collect(),
        },
        header: header.into(),
        body: Box::new(Body {
            pieces: body.iter().map(|piece| piece.to_vec()).collect(),
            whole_readers: whole_readers.into(),
        }),
        received_at: SystemTime::UNIX_EPOCH,
        origin: stagepost_queue::Origin::default(),
    }
}

impl BodySource for Body {
    fn octets(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.len() as u64).sum()
    }

    fn reader(&self) -> Box<dyn BodyReader> {
        let less = |left: u32| left.checked_sub(1);
        let whole = self.whole_readers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        Box::new(Reader { left: self.pieces.clone(), lent: Vec::new(), broken: whole.is_err() })
    }
}

/// A body in memory.
struct Whole(Vec<u8>);

impl BodySource for Whole {
    fn octets(&self) -> u64 {
        self.0.len() as u64
    }

    fn whole(&self) -> Option<&[u8]> {
        Some(&self.0)
    }

    fn reader(&self) -> Box<dyn BodyReader> {
        Box::new(Reader { left: [self.0.clone()].into(), lent: Vec::new(), broken: false })
    }
}

impl BodyReader for Reader {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<&[u8]>, StoreError>> {
        Box::pin(async move {
            match self.left.pop_front() {
                Some(piece) => {
                    self.lent = piece;
                    Ok(Some(self.lent.as_slice()))
                }
                None if self.broken => Err(StoreError::unavailable("the disk is gone")),
                None => Ok(None),
            }
        })
    }
}
