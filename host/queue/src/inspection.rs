//! A queued message as an operator sees it: who it is for, what is left to do, and what plug-ins changed of it.
//! Knows no engine and none of the message's octets.

use std::sync::Arc;
use std::time::SystemTime;

use stagepost_smtp::{Envelope, LedgerEntry};

use crate::{Destination, Mark, Origin, QueueId, QueueName};

/// A message in the queue, without its octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Its id.
    pub id: QueueId,
    /// Sender and all recipients, whatever became of them.
    pub envelope: Envelope,
    /// When it was taken over.
    pub received_at: SystemTime,
    /// Where it came from.
    pub origin: Origin,
    /// Octets of header block and body.
    pub octets: u64,
    /// What is left to do.
    pub deliveries: Vec<DeliveryState>,
    /// What plug-ins changed of it; none: something, but it can't be read.
    pub ledger: Option<Vec<LedgerEntry>>,
}

/// A delivery that is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryState {
    /// Where to.
    pub destination: Destination,
    /// The queue that it is in, if it is in one that has a name.
    pub queue: Option<QueueName>,
    /// The route that an operator has chosen for it, as the router calls it.
    pub route: Option<Box<str>>,
    /// When it is due, if a recipient is queued.
    pub due: SystemTime,
    /// How often it was tried.
    pub attempts: u32,
    /// Who is left.
    pub recipients: Vec<RecipientState>,
}

/// A recipient that is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientState {
    /// Their place in the envelope.
    pub index: u32,
    /// Kept undelivered until it is released.
    pub held: bool,
    /// The last reply, or the reason of the hold.
    pub reply: Box<str>,
}

/// Which messages are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listed {
    /// Each one.
    #[default]
    All,
    /// Those that have a recipient on hold.
    Held,
}

/// Some messages that a selection means, in the order of the index that finds them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeantPage {
    /// Each with what is kept of it, or why that can't be read; there may be none though there are more.
    pub messages: Vec<(QueueId, Result<Inspection, Arc<str>>)>,
    /// Where to go on; none: there is nothing more.
    pub next: Option<Mark>,
}

/// Some messages of the queue, in the order of their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Each with what is kept of it, or why that can't be read.
    pub messages: Vec<(QueueId, Result<Inspection, Arc<str>>)>,
    /// There are more behind the last one.
    pub more: bool,
}
