//! How a session begins, or begins anew: CONNECT is asked before and after, then the client is greeted or refused.
//! Knows no command, but that one may be in hand.

use super::ruling::{self, Ruling};
use super::session::Session;
use super::settings::Settings;
use super::state::{Answer, Place, Then};
use crate::{Class, Decision, DisconnectReason, Event, Question, Reply, Stage};

impl Session {
    /// The session begins: before(CONNECT).
    pub(super) fn open(&mut self) -> bool {
        let question = |_: &Self, _: &Then| Some(Question::Connect);
        if let Some(Then::Welcome) =
            self.ask(Event::Connect, Stage::Before, Then::Welcome, question)
        {
            self.decided_welcome(Decision::Continue);
        }
        true
    }

    /// Greets or refuses (RFC 5321 sections 3.1 and 4.2.3); after(CONNECT).
    pub(super) fn decided_welcome(&mut self, decision: Decision) {
        let refused = DisconnectReason::Refused;
        let answer = match ruling::rule(Event::Connect, true, decision) {
            _ if self.shutting_down => {
                let Answer { reply, next } = self.closing_down();
                Answer { reply: ruling::greeting(&reply), next }
            }
            Ruling::Refuse(reply) if reply.class() == Class::Permanent => {
                self.place = Place::Unwelcome;
                Answer::plain(ruling::greeting(&reply))
            }
            // "Not now" is 421, which closes.
            Ruling::Refuse(reply) | Ruling::Disconnect(reply) => {
                Answer::last(ruling::greeting(&reply), refused)
            }
            Ruling::Proceed | Ruling::Handled(_) => {
                let Settings { hostname, banner, .. } = &*self.settings;
                Answer::plain(Reply::introduction(220, hostname, banner, ""))
            }
        };
        let question = |_: &Self, _: &Then| Some(Question::Connect);
        let then = Then::Conclude(answer);
        if let Some(Then::Conclude(answer)) = self.ask(Event::Connect, Stage::After, then, question)
        {
            self.conclude_command(answer);
        }
    }

    /// The session ends because the server does (RFC 5321 section 3.8).
    pub(super) fn closing_down(&self) -> Answer {
        let words = format!("{} shutting down", self.settings.hostname);
        let reply = Reply::new(421, Some((4, 3, 2)), words);
        Answer::last(reply, DisconnectReason::Shutdown)
    }
}
