//! What the scheduler wants of whoever carries messages away: a mailbox writer, a relay.
//! Knows neither the queue's store nor when something is tried again.

use std::fmt;

use stagepost_queue::{BoxFuture, Lease, StoredMessage};
use stagepost_smtp::{Address, RecipientFate, RecipientResult};

use super::finding::Finding;
use super::lane::Standing;
use crate::config::Way;

/// Carries messages away. One implementation chooses among the ways there are (mailboxes, next hops).
pub(crate) trait Transports: Send + Sync {
    /// Where mail of a lease leads now, as the configuration writes it; empty: nowhere.
    fn next_hop(&self, lease: &Lease) -> String;

    /// Tries to deliver a message to the recipients of a lease. The answer has one outcome for each of them, in their
    /// order, and what they say of the servers. An attempt ends in bounded time; it may be dropped in the middle, which has to be safe: what was not
    /// reported as delivered is tried again. When the message's body can't be read to its end, nothing of it may
    /// be completed anywhere, and the outcome is `Deferred`.
    ///
    /// `way`: where it leads in the place of what the configuration says.
    fn deliver<'a>(
        &'a self,
        message: &'a StoredMessage,
        lease: &'a Lease,
        way: Option<&'a Way>,
    ) -> BoxFuture<'a, Carried>;
}

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Carried {
    /// For each recipient.
    pub(crate) outcomes: Vec<RecipientOutcome>,
    /// For the servers.
    pub(crate) standing: Standing,
}

impl Carried {
    /// Something that says nothing of any server.
    pub(crate) fn aside(outcomes: Vec<RecipientOutcome>) -> Self {
        Self { outcomes, standing: Standing::Unknown }
    }
}

/// How an attempt ended for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RecipientOutcome {
    /// The next hop or the mailbox has it, durably.
    Delivered(Finding, Onward),
    /// It never will.
    Failed(Finding),
    /// Not now.
    Deferred(Finding),
    /// Not before it is released.
    Held(Finding),
    /// Not at all, and nobody is told.
    Dropped(Finding),
}

/// What a delivered message has before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Onward {
    /// Nothing: it is in the mailbox.
    End,
    /// A server.
    Server {
        /// It tells the sender what the sender asked to be told (RFC 3461).
        tells: bool,
        /// It sees to it that the message comes in time (RFC 2852).
        hurries: bool,
    },
}

impl RecipientOutcome {
    /// What was found out.
    pub(crate) fn finding(&self) -> &Finding {
        match self {
            Self::Delivered(finding, _)
            | Self::Failed(finding)
            | Self::Deferred(finding)
            | Self::Held(finding)
            | Self::Dropped(finding) => finding,
        }
    }

    /// The same as plug-ins are told of it.
    pub(crate) fn result(&self, recipient: &Address) -> RecipientResult {
        let (fate, finding) = match self {
            Self::Delivered(finding, _) => (RecipientFate::Delivered, finding),
            Self::Failed(finding) => (RecipientFate::Failed, finding),
            Self::Deferred(finding) => (RecipientFate::Deferred, finding),
            Self::Held(finding) => (RecipientFate::Held, finding),
            Self::Dropped(finding) => (RecipientFate::Dropped, finding),
        };
        finding.result(recipient, fate)
    }
}

impl fmt::Display for RecipientOutcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivered(finding, _) => write!(out, "delivered {finding}"),
            Self::Failed(finding) => write!(out, "failed {finding}"),
            Self::Deferred(finding) => write!(out, "deferred {finding}"),
            Self::Held(finding) => write!(out, "held {finding}"),
            Self::Dropped(finding) => write!(out, "dropped {finding}"),
        }
    }
}
