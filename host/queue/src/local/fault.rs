//! The seam by which tests make the disk fail.
//! Knows no engine: it is asked around each operation that a disk can fail, or a crash interrupt.

use std::io;

/// One operation that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A group is about to be written to the journal.
    JournalWrite,
    /// A group was written to the journal: an error now is one of the sync, and leaves nobody knowing what is on disk.
    JournalSync,
    /// A segment of the journal is about to be filled with zeros.
    SegmentWrite,
    /// A table is about to be put on disk, so that the journal can be written over.
    Checkpoint,
    /// The store is about to be opened again after a failure.
    Reopen,
    /// The file of a body whose message is gone is about to be removed; it is removed whatever the answer.
    BodyRemove,
    /// Octets are about to be written to a body file.
    BodyWrite,
    /// A body file is about to be synced.
    BodySync,
    /// The directory of a body file is about to be synced.
    DirectorySync,
}

/// Decides whether an operation fails: for tests, which count operations and fail the N-th.
pub trait Faults: Send + Sync {
    /// Is called before each operation, on any thread.
    ///
    /// # Errors
    /// The error that the operation is to end with; it is not carried out then.
    fn before(&self, operation: Operation) -> io::Result<()>;

    /// Octets free on the spool's file system, given those there really are.
    fn free_octets(&self, real: u64) -> u64 {
        real
    }
}

/// Nothing fails but what fails by itself.
pub(crate) struct NoFaults;

impl Faults for NoFaults {
    fn before(&self, _: Operation) -> io::Result<()> {
        Ok(())
    }
}
