//! Reading the body of a queued message, a chunk at a time.
//! Knows neither where the octets lie nor who reads them.

use crate::{BoxFuture, StoreError};

/// The body of one stored message: may be read as often as there are transports and recipients.
pub trait BodySource: Send + Sync {
    /// Octets of the whole body.
    fn octets(&self) -> u64;

    /// All of it, where it is in memory, and compared with its checksum.
    fn whole(&self) -> Option<&[u8]> {
        None
    }

    /// Starts a reader at the first octet.
    fn reader(&self) -> Box<dyn BodyReader>;
}

/// Reads a body from its beginning. Memory stays bounded, however large the body is.
pub trait BodyReader: Send {
    /// The next octets, lent until the next call; `None` at the end. A chunk is never empty.
    ///
    /// # Errors
    /// `Corrupt` when the octets do not match the checksum: whatever was written with them must be given up,
    /// never completed. `Unavailable` when they can't be read now.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<&[u8]>, StoreError>>;
}
