//! The one way in which questions are put to plug-ins, and what their edits of the session come to.
//! Knows no command.

use std::sync::Arc;

use super::session::{Outgoing, Session};
use super::settings::StartTls;
use super::state::{Answer, Step, Then};
use crate::{Ask, Attributed, Draft, Edit, Event, Question, Reply, Stage};

impl Session {
    /// Puts a question if somebody wants it; gives `then` back when nobody does.
    pub(super) fn ask(
        &mut self,
        event: Event,
        stage: Stage,
        then: Then,
        question: impl FnOnce(&Self, &Then) -> Option<Question>,
    ) -> Option<Then> {
        if !self.interest.contains(event, stage) {
            return Some(then);
        }
        let Some(question) = question(self, &then) else {
            return Some(then);
        };
        let reply = match (&then, stage) {
            (
                Then::Finish { answer, .. } | Then::Conclude(answer) | Then::Say(answer),
                Stage::After,
            ) => Some(answer.reply.clone()),
            _ => None,
        };
        let message = match &then {
            Then::Receive(message) | Then::Accept(message) if event != Event::Body => {
                let edits = message.transaction.edits.iter().map(|known| &known.edit);
                let written_max = self.settings.limits.message_octets_max;
                Some(Draft::new(edits, written_max, message.transaction.is_binary()))
            }
            _ => None,
        };
        let secret = match (&then, stage) {
            (Then::Run { whole, .. }, Stage::Before) => whole.clone(),
            (Then::Login(exchange), Stage::Before) => {
                exchange.login.as_ref().and_then(|login| login.password.clone())
            }
            _ => None,
        };
        self.outgoing = Some(Outgoing::Ask(Arc::new(Ask {
            question,
            stage,
            exchange: self.exchange,
            reply,
            message,
            facts: Arc::clone(&self.facts),
            secret,
        })));
        self.step = Step::Deciding(then);
        None
    }

    /// Asks after a stage, if `question` was made because somebody wants it; goes on with after(COMMAND).
    pub(super) fn conclude(&mut self, question: Option<Question>, answer: Answer) {
        let answer = self.marked(answer);
        let Some(question) = question else {
            return self.conclude_command(answer);
        };
        let event = question.event();
        let then = Then::Conclude(answer);
        if let Some(Then::Conclude(answer)) =
            self.ask(event, Stage::After, then, |_, _| Some(question))
        {
            self.conclude_command(answer);
        }
    }

    /// Asks after the command line; says the reply.
    pub(super) fn conclude_command(&mut self, answer: Answer) {
        let answer = self.marked(answer);
        // Of a client that was refused at the door nobody was asked before.
        let question = |session: &Self, _: &Then| {
            let line = session.line_in_hand.clone().filter(|_| !session.is_unwelcome());
            line.map(|line| Question::Command { line })
        };
        let then = Then::Say(answer);
        if let Some(Then::Say(answer)) = self.ask(Event::Command, Stage::After, then, question) {
            self.say(answer);
        }
    }

    /// No reply to HELO or EHLO has an enhanced code (RFC 2034 section 4), whoever made it.
    pub(super) fn marked(&self, answer: Answer) -> Answer {
        let Answer { reply, next } = answer;
        let reply = if self.hello { reply.unmarked() } else { reply };
        Answer { reply, next }
    }

    /// Sets attributes and words at once, in their order; returns what belongs to the transaction.
    pub(super) fn absorb(
        &mut self,
        edits: Vec<Attributed>,
        mut reply: Option<&mut Reply>,
    ) -> Vec<Attributed> {
        let mut lasting = Vec::new();
        for edit in edits {
            match edit.edit {
                Edit::Attribute(attribute) => {
                    // No command was taken yet, so it is nothing that a client has said.
                    if self.exchange == self.welcomed_at && self.settings.starttls != StartTls::None
                    {
                        self.welcome_attributes.push(attribute.clone());
                    }
                    Arc::make_mut(&mut self.facts).set_attribute(attribute);
                }
                Edit::ReplyText(text) => {
                    // Text that can't be sent is no reason to lose the reply.
                    _ = reply.as_mut().map(|reply| reply.reword(&text));
                }
                Edit::ReplyDetail { detail, text } => {
                    if let Some(reply) = reply.as_mut() {
                        // As above, also of a code that can't stand there.
                        _ = reply.refine(detail);
                        _ = text.map(|text| reply.reword(&text));
                    }
                }
                Edit::AddHeader { .. }
                | Edit::InsertHeader { .. }
                | Edit::ChangeHeader { .. }
                | Edit::DeleteHeader { .. }
                | Edit::PrependBody(_)
                | Edit::AppendBody(_)
                | Edit::ReplaceBody(_)
                | Edit::Sender { .. }
                | Edit::AddRecipient(_)
                | Edit::RemoveRecipient(_)
                | Edit::ReplaceRecipient { .. }
                | Edit::RefuseRecipient { .. }
                | Edit::ReplaceCommand(_)
                | Edit::Identity(_)
                | Edit::Reverse(_)
                | Edit::AddKeyword { .. }
                | Edit::RemoveKeyword(_)
                | Edit::Hold { .. }
                | Edit::Tag { .. }
                | Edit::Discard => lasting.push(edit),
                // No session is asked where its mail leads.
                Edit::Route(_) => {}
            }
        }
        lasting
    }
}
