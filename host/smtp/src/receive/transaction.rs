//! One mail transaction, from MAIL to the end of its data (RFC 5321 section 3.3).
//! Knows neither replies nor octets of the message.

use super::command::{Mail, Rcpt};
use std::sync::Arc;

use crate::{Address, Attributed, Edit, Envelope, Recipient};

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

    /// Keeps the edits of one command, and carries out those of the envelope: all of them, or none when there is no room.
    pub(crate) fn edit(&mut self, edits: Vec<Attributed>) -> Result<(), Crowded> {
        let octets = self.edits_octets + edits.iter().map(octets).sum::<usize>();
        if self.edits.len() + edits.len() > EDITS_MAX || octets > EDITS_OCTETS_MAX {
            return Err(Crowded);
        }
        self.edits_octets = octets;
        for Attributed { edit, .. } in &edits {
            edit_envelope(&mut self.envelope, edit);
        }
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
        let recipient = Recipient { address: rcpt.recipient, parameters: rcpt.parameters };
        // Before those that were added for it.
        self.envelope.recipients.push(recipient);
        if let Err(crowded) = self.edit(edits) {
            self.envelope.recipients.pop();
            return Err(crowded);
        }
        Ok(true)
    }

    /// Who removed the last recipient, and which, when these edits leave none for a message that is not discarded.
    pub(crate) fn emptied_by(&self, edits: &[Attributed]) -> Option<(Arc<str>, Address)> {
        let removal = |edit: &Attributed| match &edit.edit {
            Edit::RemoveRecipient(recipient) => Some((edit.plugin.clone(), recipient.clone())),
            _ => None,
        };
        let last = edits.iter().rev().find_map(removal)?;
        let mut envelope = self.envelope.clone();
        for edit in edits {
            edit_envelope(&mut envelope, &edit.edit);
        }
        let discarded = self.is_discarded() || edits.iter().any(|edit| edit.edit == Edit::Discard);
        (envelope.recipients.is_empty() && !discarded).then_some(last)
    }

    /// Whether a plug-in wants the message accepted and dropped.
    pub(crate) fn is_discarded(&self) -> bool {
        let discard = |edit: &Attributed| edit.edit == Edit::Discard;
        self.edits.iter().any(discard)
    }
}

/// Carries out an edit of the envelope; other edits change nothing here.
fn edit_envelope(envelope: &mut Envelope, edit: &Edit) {
    match edit {
        Edit::Sender { sender, parameters } => {
            envelope.sender = sender.clone();
            if let Some(given) = parameters {
                (envelope.parameters, envelope.body) = (given.text.clone(), given.body);
            }
        }
        Edit::AddRecipient(recipient) => {
            let same = |known: &Recipient| known.address.is_same_as(&recipient.address);
            if !envelope.recipients.iter().any(same) {
                envelope.recipients.push(recipient.clone());
            }
        }
        Edit::RemoveRecipient(recipient) => {
            envelope.recipients.retain(|known| !known.address.is_same_as(recipient));
        }
        // Done to the command in hand.
        Edit::ReplaceRecipient(_) => {}
        Edit::AddHeader { .. }
        | Edit::InsertHeader { .. }
        | Edit::ChangeHeader { .. }
        | Edit::DeleteHeader { .. }
        | Edit::Attribute(_)
        | Edit::Hold { .. }
        | Edit::Discard
        | Edit::ReplyText(_) => {}
    }
}

/// Octets of text in an edit.
fn octets(edit: &Attributed) -> usize {
    match &edit.edit {
        Edit::AddHeader { name, value }
        | Edit::InsertHeader { name, value, .. }
        | Edit::ChangeHeader { name, value, .. } => name.len() + value.len(),
        Edit::DeleteHeader { name, .. } => name.len(),
        Edit::Sender { sender, parameters } => {
            sender.octets() + parameters.as_ref().map_or(0, |given| given.text.len())
        }
        Edit::AddRecipient(recipient) => {
            recipient.address.as_str().len() + recipient.parameters.len()
        }
        Edit::RemoveRecipient(recipient) | Edit::ReplaceRecipient(recipient) => {
            recipient.as_str().len()
        }
        Edit::Hold { reason } => reason.len(),
        Edit::Attribute(_) | Edit::Discard | Edit::ReplyText(_) => 0,
    }
}
