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

    fn rcpt(path: &str, parameters: &str) -> Rcpt {
        let Command::Rcpt(rcpt) = command(&format!("RCPT TO:<{path}>")) else { unreachable!() };
        Rcpt { parameters: parameters.into(), ..rcpt }
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
            for (number, (path, edits)) in rcpts.into_iter().enumerate() {
                let edits = allowed(edits, |edit| {
                    let in_hand = matches!(edit, Edit::ReplaceRecipient { replaced: None, .. });
                    in_hand || matches!(edit, Edit::AddRecipient(_) | Edit::Hold { .. })
                });
                let first = rcpt(&path, &format!("N={number}"));
                let came = Recipient { address: first.recipient.clone(), parameters: first.parameters.clone() };
                let mut first = Command::Rcpt(first);
                first.edit(&edits);
                let Command::Rcpt(rcpt) = first else { unreachable!() };
                let itself = rcpt.recipient.is_same_as(&came.address);
                let named = transaction.add(rcpt, edits).unwrap();
                let known = itself || said.place_of(&came.address).is_some();
                if named != Named::Again || !known {
                    said.recipients.push(came.clone());
                }
                // Whom the client names, and nobody replaces, is there as it was named first.
                let place = transaction.envelope.place_of(&came.address);
                let first = said.recipients.iter().find(|it| it.address.is_same_as(&came.address));
                if let Some(place) = place && itself && named != Named::Again && first == Some(&came) {
                    let replaced = transaction.changes().any(|change| change.leaves(place));
                    prop_assert!(replaced || transaction.envelope.recipients[place] == came);
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
        assert_eq!(add("a@x"), (Named::First, "c@x d@x".to_owned(), 1, 5));
        // Its tag, and that it went in favour of the other.
        assert_eq!(add("b@x"), (Named::Again, "c@x d@x".to_owned(), 2, 7));
        assert_eq!(add("b@x"), (Named::Again, "c@x d@x".to_owned(), 2, 7));
    }

    /// What a transaction is after RCPTs of a path with its number as parameter, each with edits: `+` adds, `=` replaces.
    fn after(rcpts: &[(&str, &[&str])]) -> (Vec<String>, Vec<String>, Vec<String>) {
        let Command::Mail(mail) = command("MAIL FROM:<s@x>") else { unreachable!() };
        let mut transaction = Transaction::new(mail);
        let (sign, claims) = (|edit: &str| edit.as_bytes()[0], Claims::none());
        for (number, (path, edits)) in rcpts.iter().enumerate() {
            let edits = edits.iter().map(|edit| match (sign(edit), &edit[1..]) {
                (b'+', path) => Edit::add_recipient(path, "", claims).unwrap(),
                (_, path) => Edit::replace_recipient(None, path, "", claims).unwrap(),
            });
            let edits: Vec<_> = edits.map(|edit| Attributed::new("p", edit)).collect();
            let mut command = Command::Rcpt(rcpt(path, &number.to_string()));
            command.edit(&edits);
            let Command::Rcpt(rcpt) = command else { unreachable!() };
            transaction.add(rcpt, edits).unwrap();
        }
        let show = |envelope: &Envelope| {
            let recipients = envelope.recipients.iter();
            recipients.map(|it| format!("{} {}", it.address, it.parameters)).collect()
        };
        let changes = transaction.changes().map(|change| match change {
            Change::RecipientAdded { index, recipient } => {
                format!("{index} + {}", recipient.address)
            }
            Change::RecipientRemoved { index, recipient } => {
                format!("{index} - {}", recipient.address)
            }
            Change::RecipientReplaced { index, from, to } => {
                format!("{index} {} = {}", from.address, to.address)
            }
            other => format!("{other:?}"),
        });
        let changes: Vec<_> = changes.collect();
        let ledger: Vec<LedgerEntry> =
            transaction.edits.clone().into_iter().flat_map(Attributed::into_ledger).collect();
        let came = show(&as_it_came(&transaction.envelope, &ledger));
        (came, changes, show(&transaction.envelope))
    }

    #[test]
    fn whom_the_client_names_is_the_clients_whatever_plug_ins_did_before() {
        type Case<'a> =
            (&'a [(&'a str, &'a [&'a str])], &'a [&'a str], &'a [&'a str], &'a [&'a str]);
        let cases: &[Case<'_>] = &[
            // Added first or later, it makes no difference.
            (&[("a@x", &["+b@x"]), ("b@x", &[])], &["a@x 0", "b@x 1"], &[], &["a@x 0", "b@x 1"]),
            (&[("a@x", &[]), ("b@x", &["+a@x"])], &["a@x 0", "b@x 1"], &[], &["a@x 0", "b@x 1"]),
            // Others that were added stay, and their places close up.
            (
                &[("a@x", &["+b@x", "+c@x"]), ("d@x", &["+e@x"]), ("b@X", &["+f@x"])],
                &["a@x 0", "d@x 1", "b@X 2"],
                &["1 + c@x", "3 + e@x", "5 + f@x"],
                &["a@x 0", "c@x ", "d@x 1", "e@x ", "b@X 2", "f@x "],
            ),
            // Another who is replaced by one that was added.
            (
                &[("a@x", &["+b@x"]), ("c@x", &["=b@x"])],
                &["a@x 0", "c@x 1"],
                &["1 c@x = b@x"],
                &["a@x 0", "b@x 1"],
            ),
            // One who came in the place of another: that one only went.
            (
                &[("a@x", &["=c@x", "=b@x", "+d@x"]), ("b@x", &[])],
                &["a@x 0", "b@x 1"],
                &["0 - a@x", "0 + d@x"],
                &["d@x ", "b@x 1"],
            ),
            // Two aliases of one: the first is kept, and the second went; a third time it is nothing new.
            (
                &[("a@x", &["=c@x"]), ("b@x", &["=c@x"]), ("b@x", &["=c@x"]), ("a@x", &["=c@x"])],
                &["a@x 0", "b@x 1"],
                &["0 a@x = c@x", "1 - b@x"],
                &["c@x 0"],
            ),
            (
                &[("c@x", &[]), ("a@x", &["=b@x", "=c@x", "+d@x"])],
                &["c@x 0", "a@x 1"],
                &["1 - a@x", "1 + d@x"],
                &["c@x 0", "d@x "],
            ),
            // There and back again.
            (&[("a@x", &[]), ("a@x", &["=b@x", "=a@x"])], &["a@x 0"], &[], &["a@x 0"]),
        ];
        for (rcpts, came, changes, is) in cases {
            let found = after(rcpts);
            let [came, changes, is] = [came, changes, is]
                .map(|texts| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
            assert_eq!(found, (came, changes, is), "{rcpts:?}");
        }
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
