//! One mail transaction, from MAIL to the end of its data (RFC 5321 section 3.3).
//! Knows neither replies nor octets of the message.

use std::sync::Arc;

use super::change::{edit_envelope, index_u32, note_merger, note_replacements};
use super::command::{Mail, Rcpt};
use crate::{Address, Attributed, BodyKind, Change, Edit, Envelope, Recipient, parameter};

/// The accepted sender and recipients, and what plug-ins changed.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) envelope: Envelope,
    /// Its client declared any octets in the body (RFC 3030 section 3), whatever plug-ins declare.
    binary: bool,
    /// Its client declared that it may be of any script (RFC 6531 section 3.4), likewise.
    utf8: bool,
    /// Its client wants a reply for each recipient, likewise.
    each: bool,
    /// Then: the recipients of the RCPTs that were accepted, as they are now.
    named: Vec<Address>,
    /// How plug-ins marked it; each mark once.
    pub(crate) tags: Vec<Arc<str>>,
    /// In the order of the changes; none from a command that was refused.
    pub(crate) edits: Vec<Attributed>,
    /// Octets of text in them.
    edits_octets: usize,
}

/// Plug-ins want to change more than one transaction keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crowded;

/// How a recipient came into the envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// By this RCPT, at the end.
    First,
    /// The same; plug-ins had put it there before.
    Late,
    /// By an earlier RCPT.
    Again,
}

/// The most edits of one transaction.
const EDITS_MAX: usize = 1024;
/// The most octets of text in them.
const EDITS_OCTETS_MAX: usize = 1 << 20;

impl Transaction {
    /// Begins with an accepted MAIL as received. The edits made at it follow.
    pub(crate) fn new(mail: Mail) -> Self {
        let mail = match mail.received {
            Some(received) => *received,
            None => mail,
        };
        let envelope = Envelope {
            sender: mail.sender,
            parameters: mail.parameters,
            body: mail.body,
            recipients: Vec::new(),
        };
        let binary = envelope.body == BodyKind::BinaryMime;
        let utf8 = parameter(&envelope.parameters, "SMTPUTF8").is_some();
        let each = parameter(&envelope.parameters, "PRDR").is_some();
        let named = Vec::new();
        Self {
            envelope,
            binary,
            utf8,
            each,
            named,
            tags: Vec::new(),
            edits: Vec::new(),
            edits_octets: 0,
        }
    }

    /// Whether its octets need not be text.
    pub(crate) fn is_binary(&self) -> bool {
        self.binary
    }

    /// Whether its addresses may be of any script.
    pub(crate) fn is_utf8(&self) -> bool {
        self.utf8
    }

    /// Whether each of its recipients is to have a reply behind the message: there must be several.
    pub(crate) fn wants_each(&self) -> bool {
        self.named.len() > 1
    }

    /// The recipients of the RCPTs that were accepted, where each is to have a reply.
    pub(crate) fn named(&self) -> &[Address] {
        &self.named
    }

    /// Keeps the edits of one command, and carries out those of the envelope: all of them, or none when there is no room.
    /// What a plug-in asks for at every chunk of a body, to hold or discard the message, is kept once.
    pub(crate) fn edit(&mut self, edits: Vec<Attributed>) -> Result<(), Crowded> {
        let edits = self.make_room(edits)?;
        self.carry_out(edits);
        Ok(())
    }

    /// Those edits that are not kept already, once there is room for them.
    fn make_room(&mut self, mut edits: Vec<Attributed>) -> Result<Vec<Attributed>, Crowded> {
        edits.retain(|edit| {
            let same = |known: &Attributed| known.plugin == edit.plugin && known.edit == edit.edit;
            let sticky = matches!(edit.edit, Edit::Hold { .. } | Edit::Discard);
            !sticky || !self.edits.iter().any(same)
        });
        let octets = self.edits_octets + edits.iter().map(octets).sum::<usize>();
        if self.edits.len() + edits.len() > EDITS_MAX || octets > EDITS_OCTETS_MAX {
            return Err(Crowded);
        }
        self.edits_octets = octets;
        Ok(edits)
    }

    fn carry_out(&mut self, mut edits: Vec<Attributed>) {
        for Attributed { edit, changes, .. } in &mut edits {
            edit_envelope(&mut self.envelope, edit, |change| changes.push(change));
            if let Edit::ReplaceRecipient { replaced: Some(replaced), recipient, .. } = edit {
                let same = self.named.iter_mut().filter(|named| named.is_same_as(replaced));
                same.for_each(|named| named.clone_from(recipient));
            }
            if let Edit::Tag { name } = edit
                && !self.tags.iter().any(|known| **known == **name)
            {
                self.tags.push((&**name).into());
                changes.push(Change::Tag { name: name.clone() });
            }
        }
        self.edits.extend(edits);
    }

    /// Adds an accepted recipient and its edits. One whom plug-ins have put there before becomes the client's own, with
    /// the parameters that the client gives (RFC 3461 section 4). One whom the client has named before is kept once, as it
    /// is, since the message would come twice else; of its edits those count that add something the message has not, so
    /// that naming it again and again makes nothing grow.
    pub(crate) fn add(&mut self, rcpt: Rcpt, mut edits: Vec<Attributed>) -> Result<Named, Crowded> {
        let Rcpt { recipient: address, parameters, received } = rcpt;
        let itself = received.as_ref().is_none_or(|it| it.address.is_same_as(&address));
        let place = self.envelope.place_of(&address);
        let by_plugins = place.is_some_and(|place| self.put_there(place, itself));
        let known = place.is_some() && !by_plugins;
        // One who gives way leaves a place.
        let index = self.envelope.recipients.len() - usize::from(by_plugins);
        if !known {
            note_replacements(&mut edits, received, index);
        } else {
            let another = received.filter(|it| !itself && !self.has_come(&it.address));
            note_merger(&mut edits, another, index);
            edits.retain(|edit| !edit.changes.is_empty() || self.lacks(&edit.edit));
        }
        let edits = self.make_room(edits)?;
        if self.each {
            self.named.push(address.clone());
        }
        if let Some(place) = place.filter(|_| by_plugins) {
            self.give_way(place);
        }
        if !known {
            // Before those that were added for it.
            self.envelope.recipients.push(Recipient { address, parameters });
        }
        self.carry_out(edits);
        Ok(match (known, by_plugins) {
            (true, _) => Named::Again,
            (false, true) => Named::Late,
            (false, false) => Named::First,
        })
    }

    /// How many recipients the client has named: those that plug-ins have added are not its business.
    pub(crate) fn named_by_client(&self) -> usize {
        let added = |change: &&Change| matches!(change, Change::RecipientAdded { .. });
        self.envelope.recipients.len() - self.changes().filter(added).count()
    }

    /// What was changed so far, in order.
    fn changes(&self) -> impl DoubleEndedIterator<Item = &Change> {
        self.edits.iter().flat_map(|edit| &edit.changes)
    }

    /// Whether the recipient at a place is there because of plug-ins alone: added, or, where the client names it
    /// `itself`, in the place of another.
    fn put_there(&self, place: usize, itself: bool) -> bool {
        let address = &self.envelope.recipients[place].address;
        match self.changes().find(|change| change.leaves(place)) {
            Some(Change::RecipientAdded { .. }) => true,
            Some(Change::RecipientReplaced { from, .. }) => {
                itself && !from.address.is_same_as(address)
            }
            _ => false,
        }
    }

    /// Takes out a recipient whom plug-ins have put there, so that the client's own can come: theirs counts as done after
    /// that, when there was nobody to add, and one to be replaced only went.
    fn give_way(&mut self, place: usize) {
        self.envelope.recipients.remove(place);
        let (mut gone, mut last) = (None, 0);
        for (number, edit) in self.edits.iter_mut().enumerate() {
            edit.changes.retain_mut(|change| {
                if !change.leaves(place) {
                    change.close_up(place);
                    return true;
                }
                if let Change::RecipientReplaced { from, .. } = change {
                    gone.get_or_insert_with(|| from.clone());
                }
                last = number;
                false
            });
        }
        if let Some(recipient) = gone {
            let index = index_u32(place);
            self.edits[last].changes.push(Change::RecipientRemoved { index, recipient });
        }
    }

    /// Whether the client has named a recipient, whatever became of it.
    fn has_come(&self, address: &Address) -> bool {
        let mut envelope = self.envelope.clone();
        self.changes().rev().for_each(|change| change.undo(&mut envelope));
        envelope.place_of(address).is_some()
    }

    /// Whether an edit adds something to the message that it has not.
    fn lacks(&self, edit: &Edit) -> bool {
        match edit {
            // Kept once by `edit`.
            Edit::Hold { .. } | Edit::Discard => true,
            Edit::Tag { name } => !self.tags.iter().any(|known| **known == **name),
            Edit::AddRecipient(recipient) => self.envelope.place_of(&recipient.address).is_none(),
            _ => false,
        }
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
            edit_envelope(&mut envelope, &edit.edit, drop);
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
        Edit::RemoveRecipient(recipient) => recipient.as_str().len(),
        Edit::RefuseRecipient { recipient, reply } => recipient.as_str().len() + reply.text().len(),
        Edit::ReplaceRecipient { replaced, recipient, parameters } => {
            let named = replaced.as_ref().map_or(0, |replaced| replaced.as_str().len());
            named + recipient.as_str().len() + parameters.as_ref().map_or(0, |given| given.len())
        }
        Edit::Hold { reason } => reason.len(),
        Edit::Tag { name } => name.len(),
        Edit::ReplaceCommand(line) => line.len(),
        // What is written into a body has a limit of its own.
        Edit::PrependBody(_) | Edit::AppendBody(_) | Edit::ReplaceBody(_) => 0,
        Edit::AddKeyword { keyword, parameters } => keyword.len() + parameters.len(),
        Edit::RemoveKeyword(keyword) | Edit::Identity(keyword) => keyword.len(),
        Edit::Reverse(destinations) => destinations.iter().map(|name| name.len()).sum(),
        // It is for mail that is queued.
        Edit::Route(_) => 0,
        Edit::Attribute(_) | Edit::Discard => 0,
        Edit::ReplyText(_) | Edit::ReplyDetail { .. } => 0,
    }
}

#[cfg(test)]
mod tests;
