//! One mail transaction, from MAIL to the end of its data (RFC 5321 section 3.3).
//! Knows neither replies nor octets of the message.

use std::sync::Arc;

use super::command::{Mail, Rcpt};
use crate::{
    Address, Attributed, BodyKind, Change, Edit, Envelope, MailParameters, ParametersChange,
    Recipient, parameter,
};

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
    pub(crate) fn edit(&mut self, mut edits: Vec<Attributed>) -> Result<(), Crowded> {
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
        Ok(())
    }

    /// Adds an accepted recipient and its edits. One that is known is kept once, as it is, since the message would come twice
    /// else; of its edits those count that add something the message has not, so that naming it again and again makes nothing
    /// grow. Returns whether it is new.
    pub(crate) fn add(&mut self, rcpt: Rcpt, mut edits: Vec<Attributed>) -> Result<bool, Crowded> {
        let known = |known: &Recipient| known.address.is_same_as(&rcpt.recipient);
        let named = self.each.then(|| rcpt.recipient.clone());
        if self.envelope.recipients.iter().any(known) {
            edits.retain(|edit| self.lacks(&edit.edit));
            self.edit(edits)?;
            self.named.extend(named);
            return Ok(false);
        }
        note_replacements(&mut edits, rcpt.received, self.envelope.recipients.len());
        let recipient = Recipient { address: rcpt.recipient, parameters: rcpt.parameters };
        // Before those that were added for it.
        self.envelope.recipients.push(recipient);
        if let Err(crowded) = self.edit(edits) {
            self.envelope.recipients.pop();
            return Err(crowded);
        }
        self.named.extend(named);
        Ok(true)
    }

    /// Whether an edit adds something to the message that it has not.
    fn lacks(&self, edit: &Edit) -> bool {
        match edit {
            // Kept once by `edit`.
            Edit::Hold { .. } | Edit::Discard => true,
            Edit::Tag { name } => !self.tags.iter().any(|known| **known == **name),
            Edit::AddRecipient(recipient) => {
                let same = |known: &Recipient| known.address.is_same_as(&recipient.address);
                !self.envelope.recipients.iter().any(same)
            }
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

/// Notes what the edits of a RCPT have put in the place of its recipient, who comes next into the envelope. They come
/// first: the envelope never had the one received.
fn note_replacements(edits: &mut [Attributed], received: Option<Box<Recipient>>, index: usize) {
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
fn edit_envelope(envelope: &mut Envelope, edit: &Edit, mut note: impl FnMut(Change)) {
    match edit {
        Edit::Sender { sender, parameters } => {
            let from = std::mem::replace(&mut envelope.sender, sender.clone());
            let parameters = parameters.as_ref().and_then(|to| replace_parameters(envelope, to));
            if from != *sender || parameters.is_some() {
                note(Change::Sender { from, to: sender.clone(), parameters });
            }
        }
        Edit::AddRecipient(recipient) => {
            let same = |known: &Recipient| known.address.is_same_as(&recipient.address);
            if !envelope.recipients.iter().any(same) {
                let index = index_u32(envelope.recipients.len());
                envelope.recipients.push(recipient.clone());
                note(Change::RecipientAdded { index, recipient: recipient.clone() });
            }
        }
        Edit::RemoveRecipient(recipient) => {
            let same = |known: &Recipient| known.address.is_same_as(recipient);
            while let Some(index) = envelope.recipients.iter().position(same) {
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
    let recipients = &mut envelope.recipients;
    let place = |of: &Address| recipients.iter().position(|known| known.address.is_same_as(of));
    let Some(at) = place(replaced) else { return };
    let index = index_u32(at);
    if place(by).is_some_and(|elsewhere| elsewhere != at) {
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
fn index_u32(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
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
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::receive::command::{Command, parse};
    use crate::receive::grammar::Grammar;
    use crate::{Claim, Claims, LedgerEntry, ReversePath, as_it_came};

    fn command(line: &str) -> Command {
        parse(line, Grammar::new(Claims::none())).map(|(_, command)| command).unwrap()
    }

    /// Few names, so that edits meet each other.
    fn path() -> impl Strategy<Value = String> {
        proptest::sample::select(vec!["a@x", "a@X", "b@x", "c@y", "d@z"]).prop_map(str::to_owned)
    }

    fn edit() -> impl Strategy<Value = Edit> {
        let parameters = proptest::sample::select(vec!["", "SIZE=5", "BODY=8BITMIME"]);
        prop_oneof![
            (path(), parameters).prop_map(|(path, given)| Edit::sender(
                &path,
                given,
                Claims::none()
            )
            .unwrap()),
            path().prop_map(|path| Edit::add_recipient(&path, "", Claims::none()).unwrap()),
            path().prop_map(|path| Edit::remove_recipient(&path).unwrap()),
            (
                proptest::option::of(path()),
                path(),
                proptest::sample::select(vec!["", "X=1", "X=2"])
            )
                .prop_map(|(replaced, path, given)| {
                    let claims = Claims::new([Claim::rcpt_parameter("X").unwrap()]);
                    Edit::replace_recipient(replaced.as_deref(), &path, given, &claims).unwrap()
                }),
            Just(Edit::Hold { reason: "r".into() }),
        ]
    }

    fn edits() -> impl Strategy<Value = Vec<Attributed>> {
        vec(edit().prop_map(|edit| Attributed::new("p", edit)), 0..4)
    }

    /// Those that a plug-in may make at a command.
    fn allowed(edits: Vec<Attributed>, allowed: fn(&Edit) -> bool) -> Vec<Attributed> {
        edits.into_iter().filter(|edit| allowed(&edit.edit)).collect()
    }

    proptest! {
        /// What is taken back leads to what the client said, whatever was edited.
        #[test]
        fn the_ledger_leads_back_to_the_envelope_as_it_came(
            at_mail in edits(),
            rcpts in vec((path(), edits()), 1..5),
            at_data in edits(),
        ) {
            let Command::Mail(mail) = command("MAIL FROM:<s@x> SIZE=1") else { unreachable!() };
            let at_mail = allowed(at_mail, |edit| matches!(edit, Edit::Sender { .. } | Edit::Hold { .. }));
            let mut said = Transaction::new(mail.clone()).envelope;
            let mut mail = Command::Mail(mail);
            mail.edit(&at_mail);
            let Command::Mail(mail) = mail else { unreachable!() };
            let now = (mail.sender.clone(), mail.parameters.clone(), mail.body);
            let mut transaction = Transaction::new(mail);
            transaction.edit(at_mail).unwrap();
            let Envelope { sender, parameters, body, .. } = transaction.envelope.clone();
            prop_assert_eq!((sender, parameters, body), now);
            for (path, edits) in rcpts {
                let edits = allowed(edits, |edit| {
                    let in_hand = matches!(edit, Edit::ReplaceRecipient { replaced: None, .. });
                    in_hand || matches!(edit, Edit::AddRecipient(_) | Edit::Hold { .. })
                });
                let mut rcpt = command(&format!("RCPT TO:<{path}>"));
                let Command::Rcpt(first) = rcpt.clone() else { unreachable!() };
                rcpt.edit(&edits);
                let Command::Rcpt(rcpt) = rcpt else { unreachable!() };
                if transaction.add(rcpt, edits).unwrap() {
                    let Rcpt { recipient: address, parameters, .. } = first;
                    said.recipients.push(Recipient { address, parameters });
                }
            }
            let at_data = allowed(at_data, |edit| {
                !matches!(edit, Edit::ReplaceRecipient { replaced: None, .. })
            });
            transaction.edit(at_data).unwrap();
            let Transaction { envelope, edits, .. } = transaction;
            let held = edits.iter().filter(|known| matches!(known.edit, Edit::Hold { .. })).count();
            let ledger: Vec<LedgerEntry> =
                edits.into_iter().flat_map(Attributed::into_ledger).collect();
            let holds = ledger.iter().filter(|entry| matches!(entry.change, Change::Hold { .. }));
            prop_assert_eq!(holds.count(), held);
            prop_assert_eq!(as_it_came(&envelope, &ledger), said);
        }
    }

    /// Two aliases of one mailbox: what plug-ins want at the second is not lost with it, and at a third time nothing is new.
    #[test]
    fn a_recipient_that_is_known_loses_no_edits_but_its_own() {
        let Command::Mail(mail) = command("MAIL FROM:<s@x>") else { unreachable!() };
        let mut transaction = Transaction::new(mail);
        let mut add = |path: &str| {
            let mut rcpt = command(&format!("RCPT TO:<{path}>"));
            let replacement = Edit::ReplaceRecipient {
                replaced: None,
                recipient: Address::parse("c@x").unwrap(),
                parameters: None,
            };
            let another = Address::parse("d@x").unwrap();
            let another = Recipient { address: another, parameters: "".into() };
            let header = Edit::AddHeader { name: "X-A".into(), value: (*b"1").into() };
            let edits = [
                replacement,
                Edit::AddRecipient(another),
                Edit::Tag { name: path.into() },
                Edit::Hold { reason: "h".into() },
                header,
            ];
            let edits: Vec<_> = edits.into_iter().map(|edit| Attributed::new("p", edit)).collect();
            rcpt.edit(&edits);
            let Command::Rcpt(rcpt) = rcpt else { unreachable!() };
            let new = transaction.add(rcpt, edits).unwrap();
            let recipients: Vec<_> = transaction
                .envelope
                .recipients
                .iter()
                .map(|known| known.address.as_str().to_owned())
                .collect();
            (new, recipients.join(" "), transaction.tags.len(), transaction.edits.len())
        };
        assert_eq!(add("a@x"), (true, "c@x d@x".to_owned(), 1, 5));
        assert_eq!(add("b@x"), (false, "c@x d@x".to_owned(), 2, 6));
        assert_eq!(add("b@x"), (false, "c@x d@x".to_owned(), 2, 6));
    }

    #[test]
    fn what_changes_nothing_is_not_kept() {
        let Command::Mail(mail) = command("MAIL FROM:<s@x>") else { unreachable!() };
        let mut transaction = Transaction::new(mail);
        let Command::Rcpt(rcpt) = command("RCPT TO:<a@x>") else { unreachable!() };
        let tag = Attributed::new("p", Edit::Tag { name: "seen".into() });
        transaction.add(rcpt, vec![tag]).unwrap();
        assert_eq!(transaction.edits[0].changes, [Change::Tag { name: "seen".into() }]);
        let edits = [
            Edit::Sender {
                sender: ReversePath::Address(Address::parse("s@x").unwrap()),
                parameters: None,
            },
            Edit::add_recipient("a@X", "", Claims::none()).unwrap(),
            Edit::remove_recipient("b@x").unwrap(),
            Edit::Tag { name: "seen".into() },
        ];
        transaction.edit(edits.map(|edit| Attributed::new("p", edit)).into()).unwrap();
        assert!(transaction.edits[1..].iter().all(|edit| edit.changes.is_empty()));
    }
}
