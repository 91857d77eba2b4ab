//! What a client was refused, for whoever looks after the server: how often, and the last of it.
//! Knows no log; keeps nothing that may be a secret.

use std::sync::Arc;

use super::command;
use super::session::Session;
use super::state::{Answer, Next};
use crate::{Class, DisconnectReason, Reply};

/// What a client was refused in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Replies that said no.
    pub count: u32,
    /// The last of them.
    pub reply: Reply,
    /// The command that it answered, without secrets; none: it answered a message, or what is no command.
    pub command: Option<Arc<[u8]>>,
    /// The sender of the transaction that it belongs to.
    pub sender: Option<Box<str>>,
    /// The first recipient of that, where no command tells more.
    pub recipient: Option<Box<str>>,
}

impl Session {
    /// What the client was refused so far.
    pub fn refused(&self) -> Option<&Refused> {
        self.refused.as_deref()
    }

    /// Notes a reply that is about to be said, if it says no; not that time is up, or the server's own end.
    pub(super) fn note_refusal(&mut self, answer: &Answer) {
        let line = self.line_in_hand.take();
        let ended = matches!(
            answer.next,
            Next::Leave(DisconnectReason::Timeout | DisconnectReason::Shutdown)
        );
        if self.hungup || ended || answer.reply.class().digit() < Class::Transient.digit() {
            return;
        }
        // What is no command may be a password.
        let command = line.filter(|line| command::is_known(line, self.grammar()));
        let facts = &self.facts;
        let recipient = facts.recipients.first().filter(|_| command.is_none());
        self.refused = Some(Box::new(Refused {
            count: self.refused.as_ref().map_or(0, |refused| refused.count).saturating_add(1),
            reply: answer.reply.clone(),
            sender: facts.sender.as_ref().map(|sender| sender.as_str().into()),
            recipient: recipient.map(|recipient| recipient.as_str().into()),
            command,
        }));
    }
}
