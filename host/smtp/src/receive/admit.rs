//! What plug-ins do to sender and recipients: who is added is routed first, then the command goes on with all of it.
//! Added recipients need what every other needs; a plug-in that adds one without is at fault, and the client is told to
//! come again: dropping the recipient would lose mail, refusing for good would blame the client.

use std::sync::Arc;

use super::check;
use super::command::Rcpt;
use super::message::Message;
use super::ruling;
use super::session::{Outgoing, Session};
use super::state::{Place, Step};
use super::transaction::{Crowded, Transaction};
use crate::{Address, Attributed, Chunk, Class, Edit, EditFault, Facts, Reply, Route};

/// Edits on their way into the transaction, and the command that they were made at.
#[derive(Debug)]
pub(crate) struct Admission {
    edits: Vec<Attributed>,
    /// Those before it need no route, or have one.
    at: usize,
    pub(crate) work: Work,
}

/// What goes on when the edits are admitted.
#[derive(Debug)]
pub(crate) enum Work {
    /// The recipient has its own route already.
    Rcpt(Rcpt),
    Data,
    /// The first one of a message.
    Chunk(Chunk),
    Receive(Box<Message>),
    Accept(Box<Message>),
}

impl Work {
    /// Whether a message whose dot was seen is worked on: it is stored though its client hangs up.
    pub(crate) fn is_complete(&self) -> bool {
        match self {
            Self::Rcpt(_) | Self::Data | Self::Chunk(_) => false,
            Self::Receive(message) | Self::Accept(message) => message.ended,
        }
    }

    /// Whether octets of a message are out.
    pub(crate) fn has_lent(&self) -> bool {
        match self {
            Self::Rcpt(_) | Self::Data | Self::Chunk(_) => false,
            Self::Receive(message) | Self::Accept(message) => message.lent,
        }
    }
}

impl Session {
    /// Admits edits, then goes on with `work`.
    pub(super) fn admit(&mut self, edits: Vec<Attributed>, work: Work) {
        self.admit_rest(Box::new(Admission { edits, at: 0, work }));
    }

    /// Asks for the route of the next recipient that was added.
    fn admit_rest(&mut self, mut admission: Box<Admission>) {
        while let Some(Attributed { edit, .. }) = admission.edits.get(admission.at) {
            if let Some(recipient) = put_there(edit) {
                self.outgoing = Some(Outgoing::Route(recipient.clone()));
                self.step = Step::Admitting(admission);
                return;
            }
            admission.at += 1;
        }
        let Admission { edits, work, .. } = *admission;
        match work {
            Work::Rcpt(rcpt) => self.admitted_rcpt(rcpt, edits),
            Work::Data => self.admitted_data(edits),
            Work::Chunk(chunk) => self.admitted_chunk(chunk, edits),
            Work::Receive(message) => self.admitted_receive(message, edits),
            Work::Accept(message) => self.admitted_accept(*message, edits),
        }
    }

    /// The route of a recipient that was added.
    pub(super) fn admit_route(&mut self, mut admission: Box<Admission>, route: Route) {
        let Some(refusal) = check::check_route(route, self.facts.relay_granted()) else {
            admission.at += 1;
            return self.admit_rest(admission);
        };
        let Admission { mut edits, at, work } = *admission;
        let Attributed { plugin, edit, .. } = edits.swap_remove(at);
        let reply = match put_there(&edit) {
            Some(recipient) if refusal.class() == Class::Permanent => {
                let (recipient, reason) = (recipient.clone(), refusal.text().into());
                self.blame(plugin, EditFault::Recipient { recipient, reason })
            }
            _ => refusal,
        };
        match work {
            Work::Rcpt(rcpt) => self.refuse_rcpt(rcpt, reply),
            Work::Data => self.refuse_data(reply),
            Work::Chunk(chunk) => self.refuse_chunk(chunk, reply),
            Work::Receive(message) => self.refuse_receive(message, reply),
            Work::Accept(message) => self.refuse_accept(&message, reply),
        }
    }

    /// Names a plug-in whose edits can't be carried out; the reply to the client.
    pub(super) fn blame(&mut self, plugin: Arc<str>, fault: EditFault) -> Reply {
        self.blamed = Some(Box::new((plugin, fault)));
        ruling::trouble()
    }

    /// Has the open transaction take edits.
    pub(super) fn edit_open_transaction(&mut self, edits: Vec<Attributed>) -> Result<(), Reply> {
        match std::mem::replace(&mut self.place, Place::Greeted) {
            Place::Transaction(mut transaction) => {
                let edited = self.edit_transaction(&mut transaction, edits);
                self.place = Place::Transaction(transaction);
                edited
            }
            place => {
                self.place = place;
                Ok(())
            }
        }
    }

    /// Has a transaction take edits. One left without recipients is the fault of whoever removed the last.
    pub(super) fn edit_transaction(
        &mut self,
        transaction: &mut Transaction,
        edits: Vec<Attributed>,
    ) -> Result<(), Reply> {
        if let Some((plugin, recipient)) = transaction.emptied_by(&edits) {
            return Err(self.blame(plugin, EditFault::Emptied { recipient }));
        }
        let in_facts = edits.iter().any(|edit| edit.edit.is_in_facts());
        transaction.edit(edits).map_err(|Crowded| check::crowded())?;
        if in_facts {
            transaction.show(Arc::make_mut(&mut self.facts));
        }
        Ok(())
    }
}

/// Whom an edit puts into the envelope without a route. The one that replaces the recipient in hand has one already.
fn put_there(edit: &Edit) -> Option<&Address> {
    match edit {
        Edit::AddRecipient(recipient) => Some(&recipient.address),
        Edit::ReplaceRecipient { replaced: Some(_), recipient, .. } => Some(recipient),
        _ => None,
    }
}

impl Transaction {
    /// Writes sender, recipients and marks into the facts.
    pub(super) fn show(&self, facts: &mut Facts) {
        facts.sender = Some(self.envelope.sender.clone());
        facts.recipients =
            self.envelope.recipients.iter().map(|known| known.address.clone()).collect();
        facts.tags.clone_from(&self.tags);
    }
}
