//! The edit ledger: what plug-ins changed of one message, each change with who made it, where and when.
//! Knows no plug-in and no store; a change that had no effect is no change.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::{Envelope, Event, MailParameters, Recipient, ReversePath, Stage};

/// One change that was carried out, and who made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    /// The plug-in's name.
    pub plugin: Arc<str>,
    /// The handler's call that asked for it.
    pub made: Made,
    /// What changed.
    pub change: Change,
}

/// The call of a handler in which something was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// At which event.
    pub event: Event,
    /// Before or after it happened.
    pub stage: Stage,
    /// When the handler had returned.
    pub at: SystemTime,
    /// How long the whole call took, when that was measured.
    pub spent: Option<Duration>,
}

/// What changed, with what there was before and what there is now. Changes are in the order in which they were carried
/// out: those of the envelope, taken back from the last to the first, lead to the envelope as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A header field came (`from` is none), went (`to` is none) or became another.
    Header {
        /// How many fields come before it.
        position: u32,
        /// The whole field as it was, with its last CRLF.
        from: Option<Box<[u8]>>,
        /// The whole field as it is now, with its last CRLF.
        to: Option<Box<[u8]>>,
    },
    /// The sender became another, or the parameters of MAIL did.
    Sender {
        /// As it was.
        from: ReversePath,
        /// As it is now.
        to: ReversePath,
        /// The parameters, if they were replaced.
        parameters: Option<Box<ParametersChange>>,
    },
    /// A recipient came.
    RecipientAdded {
        /// Their place in the envelope.
        index: u32,
        /// Who.
        recipient: Recipient,
    },
    /// A recipient went.
    RecipientRemoved {
        /// Their place in the envelope.
        index: u32,
        /// Who.
        recipient: Recipient,
    },
    /// A recipient became another, or their parameters did.
    RecipientReplaced {
        /// Their place in the envelope.
        index: u32,
        /// Who it was.
        from: Recipient,
        /// Who it is now.
        to: Recipient,
    },
    /// Octets of the body became others.
    Body {
        /// Where in the body as it was before this change, in octets. The body is what follows the header block, with the
        /// empty line between the two.
        offset: u64,
        /// What was there.
        from: Span,
        /// What is there now.
        to: Span,
    },
    /// The line of MAIL or RCPT became another. The envelope as it came is that of the new one.
    Command {
        /// The line as it was, without its CRLF.
        from: Box<str>,
        /// The line as it is now.
        to: Box<str>,
    },
    /// The message was marked.
    Tag {
        /// The mark.
        name: Box<str>,
    },
    /// The message is kept undelivered.
    Hold {
        /// Why.
        reason: Box<str>,
    },
}

/// Parameters of MAIL, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParametersChange {
    /// As they were.
    pub from: MailParameters,
    /// As they are now.
    pub to: MailParameters,
}

/// Octets that are not kept, told by their number and digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// How many.
    pub octets: u64,
    /// Their SHA-256.
    pub sha256: [u8; 32],
}

impl Default for Made {
    /// A call of which nothing is known.
    fn default() -> Self {
        let (event, stage, at) = (Event::Connect, Stage::Before, SystemTime::UNIX_EPOCH);
        Self { event, stage, at, spent: None }
    }
}

impl Change {
    /// Takes a change of the envelope back; others change nothing here.
    ///
    /// `envelope`: as this change left it. One that it can't have left so is changed as far as it goes.
    pub fn undo(&self, envelope: &mut Envelope) {
        let recipients = &mut envelope.recipients;
        let place = |index: &u32| (*index as usize).min(recipients.len());
        match self {
            Self::Sender { from, parameters, .. } => {
                envelope.sender = from.clone();
                if let Some(parameters) = parameters {
                    let MailParameters { text, body } = parameters.from.clone();
                    (envelope.parameters, envelope.body) = (text, body);
                }
            }
            Self::RecipientAdded { index, .. } => {
                let place = place(index);
                if place < recipients.len() {
                    recipients.remove(place);
                }
            }
            Self::RecipientRemoved { index, recipient } => {
                let place = place(index);
                recipients.insert(place, recipient.clone());
            }
            Self::RecipientReplaced { index, from, .. } => {
                if let Some(known) = recipients.get_mut(*index as usize) {
                    *known = from.clone();
                }
            }
            Self::Header { .. }
            | Self::Body { .. }
            | Self::Command { .. }
            | Self::Tag { .. }
            | Self::Hold { .. } => {}
        }
    }
}

/// The envelope as it came, before all changes of a ledger were made.
pub fn as_it_came(envelope: &Envelope, ledger: &[LedgerEntry]) -> Envelope {
    let mut envelope = envelope.clone();
    for entry in ledger.iter().rev() {
        entry.change.undo(&mut envelope);
    }
    envelope
}
