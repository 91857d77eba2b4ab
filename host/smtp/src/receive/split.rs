//! A message that plug-ins refuse for some of its recipients: one reply for all, or one for each (draft-hall-prdr).
//! Knows no plug-in call; what they refuse is in the transaction's edits.

use std::sync::Arc;

use super::message::Message;
use super::session::Session;
use super::transaction::{Crowded, Transaction};
use super::{check, settings::Split};
use crate::{Address, Attributed, Class, Edit, Reply};

/// A recipient for whom the message is refused.
struct Refused {
    recipient: Address,
    /// Who refuses it.
    plugin: Arc<str>,
    reply: Reply,
}

impl Session {
    /// Takes out of a message those for whom it is refused; none: it goes on for nobody, and was answered.
    pub(super) fn split(&mut self, mut message: Message) -> Option<Message> {
        let refused = message.transaction.refused();
        // Reject comes before defer, and what was said first before what was said later.
        let permanent = |known: &&Refused| known.reply.class() == Class::Permanent;
        let Some(strictest) = refused.iter().find(permanent).or_else(|| refused.first()) else {
            return Some(message);
        };
        let strictest = strictest.reply.clone();
        let all = refused.len() == message.transaction.envelope.recipients.len();
        let alike = all && refused.iter().all(|known| known.reply == strictest);
        let each = message.transaction.wants_each() && !alike;
        if !each && (all || self.settings.split == Split::Strictest) {
            self.refuse_accept(&message, strictest);
            return None;
        }
        if each {
            self.verdicts = message.transaction.verdicts(&refused);
        }
        if all {
            self.refuse_accept(&message, strictest);
            return None;
        }
        let remove = |Refused { recipient, plugin, .. }| {
            Attributed::new(plugin, Edit::RemoveRecipient(recipient))
        };
        match message.transaction.edit(refused.into_iter().map(remove).collect()) {
            Ok(()) => {
                message.transaction.show(Arc::make_mut(&mut self.facts));
                Some(message)
            }
            Err(Crowded) => {
                self.verdicts = Box::default();
                self.refuse_accept(&message, check::crowded());
                None
            }
        }
    }

    /// Says what each recipient comes to, before what the message does.
    pub(super) fn say_verdicts(&mut self) {
        if self.verdicts.is_empty() {
            return;
        }
        self.write(&Reply::new(353, None, "A reply for each recipient follows"));
        for reply in std::mem::take(&mut self.verdicts) {
            self.write(&reply);
        }
    }
}

impl Transaction {
    /// For whom the message is refused, in the order in which that was said.
    fn refused(&self) -> Vec<Refused> {
        let mut refused: Vec<Refused> = Vec::new();
        for Attributed { plugin, edit, .. } in &self.edits {
            let Edit::RefuseRecipient { recipient, reply } = edit else { continue };
            let same = |known: &Address| known.is_same_as(recipient);
            if !self.envelope.recipients.iter().any(|known| same(&known.address)) {
                continue;
            }
            let (plugin, reply) = (plugin.clone(), reply.clone());
            match refused.iter_mut().find(|known| same(&known.recipient)) {
                None => refused.push(Refused { recipient: recipient.clone(), plugin, reply }),
                Some(known) if known.reply.class() != Class::Permanent => {
                    if reply.class() == Class::Permanent {
                        (known.plugin, known.reply) = (plugin, reply);
                    }
                }
                Some(_) => {}
            }
        }
        refused
    }

    /// A reply for each RCPT that was accepted, in their order. Whom a plug-in has removed has lost nothing that the client
    /// could do better.
    fn verdicts(&self, refused: &[Refused]) -> Box<[Reply]> {
        let reply = |named: &Address| {
            let refused = refused.iter().find(|known| known.recipient.is_same_as(named));
            let accepted = || Reply::new(250, Some((2, 1, 5)), "Ok");
            refused.map_or_else(accepted, |known| known.reply.clone())
        };
        self.named().iter().map(reply).collect()
    }
}
