//! An attempt to deliver a queued message, as plug-ins are told of it.
//! Knows no queue and no route.

use std::sync::Arc;

use crate::{Address, Enhanced};

/// Which message, where to, and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The message's id in the queue.
    pub id: Box<str>,
    /// The domain or address literal that it is queued under.
    pub destination: Box<str>,
    /// How often it was tried before.
    pub attempts: u32,
    /// Seconds since the message was taken over.
    pub age_s: u64,
}

/// What a sender is about to be told, or is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telling {
    /// The id of the message that it is about.
    pub id: Box<str>,
    /// After: that of the notification; empty: there is none.
    pub notification: Box<str>,
    /// Who is told.
    pub to: Address,
    /// What is told, of each recipient that it concerns.
    pub results: Arc<[RecipientResult]>,
}

/// What became of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientResult {
    /// Who.
    pub recipient: Address,
    /// What.
    pub fate: RecipientFate,
    /// The enhanced code (RFC 3463).
    pub status: Enhanced,
    /// Why, on one line.
    pub reason: Box<str>,
}

/// What became of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecipientFate {
    /// The mailbox or the next hop has it.
    Delivered,
    /// A next hop has it that tells nothing of such things.
    Relayed,
    /// It never will be delivered.
    Failed,
    /// It is tried again.
    Deferred,
    /// It is kept until it is released.
    Held,
    /// It is dropped in silence.
    Dropped,
}

impl RecipientFate {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Failed => "failed",
            Self::Deferred => "deferred",
            Self::Held => "held",
            Self::Dropped => "dropped",
        }
    }
}
