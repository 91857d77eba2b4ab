//! What can go wrong with a store, by whose fault.
//! Knows no engine: engines put their own words into the reasons.

use crate::QueueId;

/// Why the store did not do what it was asked. Cheap to clone: one failure may answer many callers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No room: the disk is full, or its free space is below the configured reserve. 452.
    #[error("no space for the queue: {free} octets free, {wanted} wanted")]
    NoSpace {
        /// Octets free on the spool's file system.
        free: u64,
        /// Octets that have to stay free.
        wanted: u64,
    },
    /// The store failed or is being reopened: try later. 451.
    #[error("the queue is not available: {0}")]
    Unavailable(std::sync::Arc<str>),
    /// The message as given can't be stored: a fault of the caller.
    #[error("the message can't be queued: {0}")]
    BadMessage(#[from] BadMessage),
    /// What is stored of a message does not match its checksum. It is held now.
    #[error("message {id} is corrupt: {what}")]
    Corrupt {
        /// The message.
        id: QueueId,
        /// What is wrong with which part.
        what: std::sync::Arc<str>,
    },
    /// No such message.
    #[error("there is no message {0} in the queue")]
    Missing(QueueId),
    /// The lease has expired or was finished: what was done under it may be done again by another.
    #[error("the lease of message {0} is no longer valid")]
    LeaseLost(QueueId),
}

/// What is wrong with a message that was to be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// It has no delivery.
    #[error("it has no delivery")]
    NoDelivery,
    /// A destination occurs twice.
    #[error("two deliveries go to {0}")]
    DestinationTwice(Box<str>),
    /// A delivery names a recipient that the envelope has not, or names one twice.
    #[error("recipient {0} is not in the envelope or is named twice")]
    Recipient(u32),
    /// A recipient of the envelope is in no delivery.
    #[error("recipient {0} is in no delivery")]
    RecipientLeftOut(u32),
    /// The header block is larger than a store takes.
    #[error("the header block has {octets} octets, at most {max} are taken")]
    HeaderTooLarge {
        /// Its octets.
        octets: usize,
        /// The most taken.
        max: usize,
    },
    /// The settlement does not answer each recipient of the lease.
    #[error("{given} recipients were settled, the lease has {leased}")]
    Settlement {
        /// Answers given.
        given: usize,
        /// Recipients leased.
        leased: usize,
    },
}

impl StoreError {
    /// The store failed or is being reopened.
    pub fn unavailable(reason: impl std::fmt::Display) -> Self {
        Self::Unavailable(reason.to_string().into())
    }
}
