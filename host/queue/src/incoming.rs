//! A message being received: it has an id and takes octets until it is committed.
//! Knows no engine; dropping an uncommitted one forgets it.

use std::sync::Arc;

use stagepost_smtp::{Content, EditedBody};

use crate::{BoxFuture, NewMessage, QueueId, StoreError};

/// How much of a body stays in memory while it is received, in octets. A larger one is written to a file
/// while it arrives; a smaller one rides in the batch that commits its message.
pub const BODY_MEMORY_OCTETS_MAX: usize = 64 * 1024;

/// A message being received. Dropping it forgets the message and removes what was written of it.
pub trait Incoming: Send {
    /// The id the message will have: known from the start, since its Received field names it.
    fn id(&self) -> QueueId;

    /// The header block, without the empty line that ends it: to be edited until the commit.
    fn header(&mut self) -> &mut Vec<u8>;

    /// Adds octets to the body. The body is what follows the header block, with the empty line when there was one.
    ///
    /// # Errors
    /// `NoSpace` or `Unavailable` when they can't be kept. The message is lost then: every later call fails alike.
    fn body<'a>(&'a mut self, octets: &'a [u8]) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Octets of the body so far.
    fn body_octets(&self) -> u64;

    /// The message as received so far, to be read by whoever must know it: it stays as it is now, for as long as they keep
    /// it, whatever becomes of the message.
    fn content(&self) -> Arc<dyn Content>;

    /// Makes the body what plug-ins have left of it, once, when all of it was added.
    ///
    /// # Errors
    /// As for `body`.
    fn edit_body(&mut self, body: EditedBody) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Makes the message durable. Resolves with its id once it would survive a power cut, and not before.
    ///
    /// A commit whose future is dropped may still happen: mail is then queued that nobody was told of.
    ///
    /// # Errors
    /// `BadMessage` for a fault of the caller; `NoSpace` and `Unavailable`: nothing was acknowledged and
    /// nothing will be delivered.
    fn commit(
        self: Box<Self>,
        message: NewMessage,
    ) -> BoxFuture<'static, Result<QueueId, StoreError>>;
}
