//! One mail transaction, from MAIL to the end of its data (RFC 5321 section 3.3).
//! Knows neither replies nor octets of the message.

use super::command::{Mail, Rcpt};
use crate::{Attributed, Edit, Envelope, Recipient};

/// The accepted sender and recipients, and what plug-ins changed.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) envelope: Envelope,
    /// In the order of the changes; none from a command that was refused.
    pub(crate) edits: Vec<Attributed>,
}

impl Transaction {
    /// Begins with an accepted MAIL.
    pub(crate) fn new(mail: Mail, edits: Vec<Attributed>) -> Self {
        let envelope = Envelope {
            sender: mail.sender,
            parameters: mail.parameters,
            body: mail.body,
            recipients: Vec::new(),
        };
        Self { envelope, edits }
    }

    /// Adds an accepted recipient. One named twice is kept once: the message would come twice else.
    /// Returns whether it is new.
    pub(crate) fn add(&mut self, rcpt: Rcpt, edits: Vec<Attributed>) -> bool {
        self.edits.extend(edits);
        let known = |known: &Recipient| known.address == rcpt.recipient;
        let new = !self.envelope.recipients.iter().any(known);
        if new {
            self.envelope
                .recipients
                .push(Recipient { address: rcpt.recipient, parameters: rcpt.parameters });
        }
        new
    }

    /// Whether a plug-in wants the message accepted and dropped.
    pub(crate) fn is_discarded(&self) -> bool {
        let discard = |edit: &Attributed| edit.edit == Edit::Discard;
        self.edits.iter().any(discard)
    }
}
