//! What an edit changes of an envelope, and what is noted of it.
//! Knows no transaction: which edits are carried out, and whether there is room for them, is for others to say.

use crate::{
    Address, Attributed, Change, Edit, Envelope, MailParameters, ParametersChange, Recipient,
};

/// Notes what the edits of a RCPT have put in the place of its recipient, who comes next into the envelope. They come
/// first: the envelope never had the one received.
pub(crate) fn note_replacements(
    edits: &mut [Attributed],
    received: Option<Box<Recipient>>,
    index: usize,
) {
    let Some(received) = received else { return };
    edits.sort_by_key(|known| !matches!(known.edit, Edit::ReplaceRecipient { .. }));
    let mut from = *received;
    for Attributed { edit, changes, .. } in edits {
        if let Some(to) = from.replaced_by(edit) {
            let from = std::mem::replace(&mut from, to.clone());
            changes.push(Change::RecipientReplaced { index: index_u32(index), from, to });
        }
    }
}

/// Notes whom the last of a RCPT's edits that replace its recipient has left out, because the one to come is there already.
pub(crate) fn note_merger(
    edits: &mut [Attributed],
    left_out: Option<Box<Recipient>>,
    index: usize,
) {
    let Some(left_out) = left_out else { return };
    edits.sort_by_key(|known| !matches!(known.edit, Edit::ReplaceRecipient { .. }));
    let last = edits.iter_mut().rfind(|known| matches!(known.edit, Edit::ReplaceRecipient { .. }));
    let change = Change::RecipientRemoved { index: index_u32(index), recipient: *left_out };
    last.into_iter().for_each(|last| last.changes.push(change.clone()));
}

impl Change {
    /// Whether the recipient at a place is as this change has left it.
    pub(crate) fn leaves(&self, place: usize) -> bool {
        match self {
            Self::RecipientAdded { index, .. } | Self::RecipientReplaced { index, .. } => {
                *index == index_u32(place)
            }
            _ => false,
        }
    }

    /// Lets it be as if nobody had been at a place before it.
    pub(crate) fn close_up(&mut self, place: usize) {
        if let Self::RecipientAdded { index, .. }
        | Self::RecipientReplaced { index, .. }
        | Self::RecipientRemoved { index, .. } = self
            && *index > index_u32(place)
        {
            *index -= 1;
        }
    }
}

impl Recipient {
    /// Who comes in the place of this one, unless they are the same in every letter.
    fn replaced_by(&self, edit: &Edit) -> Option<Self> {
        let Edit::ReplaceRecipient { recipient, parameters, .. } = edit else { return None };
        let parameters = parameters.as_ref().unwrap_or(&self.parameters).clone();
        let by = Self { address: recipient.clone(), parameters };
        (by != *self).then_some(by)
    }
}

/// Carries out an edit of the envelope, and tells what changed: of a message that is on its way already no more than that it
/// is to be held. Other edits change nothing here.
pub(crate) fn edit_envelope(envelope: &mut Envelope, edit: &Edit, mut note: impl FnMut(Change)) {
    match edit {
        Edit::Sender { sender, parameters } => {
            let from = std::mem::replace(&mut envelope.sender, sender.clone());
            let parameters = parameters.as_ref().and_then(|to| replace_parameters(envelope, to));
            if from != *sender || parameters.is_some() {
                note(Change::Sender { from, to: sender.clone(), parameters });
            }
        }
        Edit::AddRecipient(recipient) => {
            if envelope.place_of(&recipient.address).is_none() {
                let index = index_u32(envelope.recipients.len());
                envelope.recipients.push(recipient.clone());
                note(Change::RecipientAdded { index, recipient: recipient.clone() });
            }
        }
        Edit::RemoveRecipient(recipient) => {
            while let Some(index) = envelope.place_of(recipient) {
                let recipient = envelope.recipients.remove(index);
                note(Change::RecipientRemoved { index: index_u32(index), recipient });
            }
        }
        Edit::ReplaceRecipient { replaced: Some(replaced), recipient, .. } => {
            replace_recipient(envelope, edit, [replaced, recipient], note);
        }
        Edit::Hold { reason } => note(Change::Hold { reason: reason.clone() }),
        // Done to the command in hand.
        Edit::ReplaceRecipient { replaced: None, .. }
        | Edit::ReplaceCommand(_)
        | Edit::Identity(_)
        | Edit::Reverse(_) => {}
        Edit::AddKeyword { .. } | Edit::RemoveKeyword(_) => {}
        // Done when all have been asked.
        Edit::RefuseRecipient { .. } => {}
        Edit::AddHeader { .. }
        | Edit::InsertHeader { .. }
        | Edit::ChangeHeader { .. }
        | Edit::DeleteHeader { .. }
        | Edit::PrependBody(_)
        | Edit::AppendBody(_)
        | Edit::ReplaceBody(_)
        | Edit::Attribute(_)
        | Edit::Tag { .. }
        | Edit::Discard
        | Edit::Route(_)
        | Edit::ReplyText(_)
        | Edit::ReplyDetail { .. } => {}
    }
}

/// Puts a recipient in the place of another. One who is there elsewhere is kept once: the message would come twice else.
fn replace_recipient(
    envelope: &mut Envelope,
    edit: &Edit,
    [replaced, by]: [&Address; 2],
    mut note: impl FnMut(Change),
) {
    let Some(at) = envelope.place_of(replaced) else { return };
    let index = index_u32(at);
    let elsewhere = envelope.place_of(by).is_some_and(|elsewhere| elsewhere != at);
    let recipients = &mut envelope.recipients;
    if elsewhere {
        let recipient = recipients.remove(at);
        note(Change::RecipientRemoved { index, recipient });
    } else if let Some(to) = recipients[at].replaced_by(edit) {
        let from = std::mem::replace(&mut recipients[at], to.clone());
        note(Change::RecipientReplaced { index, from, to });
    }
}

/// Replaces the parameters of MAIL; what changed, if anything did.
fn replace_parameters(
    envelope: &mut Envelope,
    to: &MailParameters,
) -> Option<Box<ParametersChange>> {
    let to = MailParameters { text: to.text.clone(), body: envelope.body.redeclared(to.body) };
    let text = std::mem::replace(&mut envelope.parameters, to.text.clone());
    let body = std::mem::replace(&mut envelope.body, to.body);
    let from = MailParameters { text, body };
    (from != to).then(|| Box::new(ParametersChange { from, to }))
}

/// A place among the recipients, of whom there are fewer than would need more bits.
pub(crate) fn index_u32(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
