//! How a session ends: whatever ended it, DISCONNECT is asked once before and once after, then it is closed.
//! Knows no reply: the last one was said before.

use super::session::{Outgoing, Session};
use super::state::{Step, Then};
use crate::{DisconnectReason, Event, Question, Stage};

impl Session {
    /// Begins the end. What was said is still sent; what was not read is forgotten.
    pub(super) fn leave(&mut self, reason: DisconnectReason) {
        self.step = Step::Leaving(reason);
        self.input.clear();
        self.input.release();
        self.line_in_hand = None;
    }

    /// before(DISCONNECT).
    pub(super) fn leave_before(&mut self, reason: DisconnectReason) -> bool {
        let question = |_: &Self, _: &Then| Some(Question::Disconnect { reason });
        let then = Then::Leave(reason);
        if self.ask(Event::Disconnect, Stage::Before, then, question).is_some() {
            self.leave_after(reason);
        }
        true
    }

    /// after(DISCONNECT).
    pub(super) fn leave_after(&mut self, reason: DisconnectReason) {
        let question = |_: &Self, _: &Then| Some(Question::Disconnect { reason });
        if self.ask(Event::Disconnect, Stage::After, Then::Close, question).is_some() {
            self.close();
        }
    }

    /// The end.
    pub(super) fn close(&mut self) {
        self.step = Step::Closed;
        self.outgoing = Some(Outgoing::Close);
    }
}
