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
    /// Octets of text in them.
    edits_octets: usize,
}

/// Plug-ins want to change more than one transaction keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crowded;

/// The most edits of one transaction.
const EDITS_MAX: usize = 1024;
/// The most octets of text in them.
const EDITS_OCTETS_MAX: usize = 1 << 20;

impl Transaction {
    /// Begins with an accepted MAIL.
    pub(crate) fn new(mail: Mail) -> Self {
        let envelope = Envelope {
            sender: mail.sender,
            parameters: mail.parameters,
            body: mail.body,
            recipients: Vec::new(),
        };
        Self { envelope, edits: Vec::new(), edits_octets: 0 }
    }

    /// Keeps the edits of one command: all of them, or none when there is no room.
    pub(crate) fn edit(&mut self, edits: Vec<Attributed>) -> Result<(), Crowded> {
        let octets = self.edits_octets + edits.iter().map(octets).sum::<usize>();
        if self.edits.len() + edits.len() > EDITS_MAX || octets > EDITS_OCTETS_MAX {
            return Err(Crowded);
        }
        self.edits_octets = octets;
        self.edits.extend(edits);
        Ok(())
    }

    /// Adds an accepted recipient and its edits. One named twice is kept once, with what was changed for it then: the
    /// message would come twice else, and grow each time. Returns whether it is new.
    pub(crate) fn add(&mut self, rcpt: Rcpt, edits: Vec<Attributed>) -> Result<bool, Crowded> {
        let known = |known: &Recipient| known.address == rcpt.recipient;
        if self.envelope.recipients.iter().any(known) {
            return Ok(false);
        }
        self.edit(edits)?;
        self.envelope
            .recipients
            .push(Recipient { address: rcpt.recipient, parameters: rcpt.parameters });
        Ok(true)
    }

    /// Whether a plug-in wants the message accepted and dropped.
    pub(crate) fn is_discarded(&self) -> bool {
        let discard = |edit: &Attributed| edit.edit == Edit::Discard;
        self.edits.iter().any(discard)
    }
}

/// Octets of text in an edit.
fn octets(edit: &Attributed) -> usize {
    match &edit.edit {
        Edit::AddHeader { name, value } => name.len() + value.len(),
        Edit::Hold { reason } => reason.len(),
        Edit::Attribute(_) | Edit::Discard | Edit::ReplyText(_) => 0,
    }
}
