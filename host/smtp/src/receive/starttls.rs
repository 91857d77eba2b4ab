//! STARTTLS: from the command to the handshake, and what of a session is left behind it (RFC 3207).
//! Knows no TLS: the connection makes the handshake.

use std::sync::Arc;

use super::line::Framer;
use super::ruling;
use super::session::{Outgoing, Session};
use super::state::{Answer, Next, Place, Step, Then};
use crate::{DisconnectReason, Event, Question, Reply, Stage, Tls, TlsFault};

impl Session {
    /// Has the session begin behind a handshake: the connection was protected from its first octet (RFC 8314 section 3.3).
    #[must_use]
    pub fn secured(mut self, tls: Tls) -> Self {
        Arc::make_mut(&mut self.facts).tls = Some(Arc::new(tls));
        self
    }

    /// The answer to [`crate::Action::StartTls`].
    pub fn handle_tls(&mut self, now: std::time::Instant, tls: Result<Tls, TlsFault>) {
        self.now = now;
        match std::mem::replace(&mut self.step, Step::Closed) {
            Step::Handshaking if self.outgoing.is_none() => {}
            step => return self.ignore(step, "a handshake"),
        }
        match tls {
            _ if self.hungup => self.leave(DisconnectReason::Hangup),
            Ok(tls) => self.begin_anew(tls),
            Err(TlsFault::Timeout) => self.leave(DisconnectReason::Timeout),
            Err(TlsFault::Failed) => self.leave(DisconnectReason::Handshake),
        }
    }

    /// Ready to begin: a 220, behind which the client speaks TLS (RFC 3207 section 4).
    pub(super) fn proceed_starttls(&mut self) -> Answer {
        let reply = Reply::new(220, Some((2, 0, 0)), "Ready to start TLS");
        Answer { reply, next: Next::Handshake }
    }

    /// Whether something is behind STARTTLS in the same group: it would be clear text that is taken for protected, by
    /// whoever is between the two. It is never looked at, and so the two are out of step: the end.
    pub(super) fn check_nothing_behind(&mut self) -> Option<Answer> {
        if self.input.unread().is_empty() {
            return None;
        }
        self.input.clear();
        let reply =
            Reply::new(554, Some((5, 5, 0)), "Nothing may follow STARTTLS before its reply");
        Some(Answer::last(ruling::unavailable(reply), DisconnectReason::Refused))
    }

    /// The 220 was written: what the client sends now is TLS.
    pub(super) fn begin_handshake(&mut self) -> bool {
        self.since = self.now;
        self.outgoing = Some(Outgoing::StartTls);
        self.step = Step::Handshaking;
        true
    }

    /// What was learnt in clear text is forgotten, and the client says EHLO again (RFC 3207 section 4.2).
    fn begin_anew(&mut self, tls: Tls) {
        self.forget_transaction();
        self.place = Place::Stranger;
        self.withheld = Vec::new();
        self.framer = Framer::default();
        self.input.clear();
        self.input.release();
        let facts = Arc::make_mut(&mut self.facts);
        facts.helo = None;
        facts.authenticated = None;
        facts.attributes.clear();
        for attribute in &self.welcome_attributes {
            facts.set_attribute(attribute.clone());
        }
        facts.tls = Some(Arc::new(tls));
        let question = |_: &Self, _: &Then| Some(Question::StartTls);
        if self.ask(Event::StartTls, Stage::After, Then::Secured, question).is_some() {
            self.read_protected();
        }
    }

    /// Reads the first command that is protected.
    pub(super) fn read_protected(&mut self) {
        self.since = self.now;
        self.step = Step::Ready;
    }
}
