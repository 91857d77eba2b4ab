//! How a session ends: by silence or otherwise, DISCONNECT is asked once before and once after, then it is closed.
//! Knows one reply, to silence: any other last one was said before.

use super::ruling::{self, Ruling};
use super::session::{Expired, Outgoing, Session};
use super::state::{Answer, Place, Step, Then};
use crate::{Awaited, Decision, DisconnectReason, Event, Question, Reply, Stage};

impl Session {
    /// A deadline has passed: before(TIMEOUT), unless it was time to look at the pace and that is good.
    pub(super) fn expire(&mut self) {
        let (limits, timeouts) = (&self.settings.limits, &self.settings.timeouts);
        let silent = match &self.step {
            Step::Receiving(message) => {
                self.since + timeouts.data_block <= self.now
                    || message.started + timeouts.message <= self.now
            }
            Step::Swallowing { started, .. } => {
                self.since + timeouts.data_block <= self.now
                    || *started + timeouts.message <= self.now
            }
            _ => true,
        };
        if !silent && !self.pace.is_slow(limits, timeouts, self.now) {
            return;
        }
        let expired = if silent { Expired::Silent } else { Expired::Slow };
        self.abandon |= matches!(&self.step, Step::Receiving(message) if message.lent);
        let awaited = match self.step {
            Step::Ready | Step::Responding(_) => Awaited::Command,
            _ => Awaited::Message,
        };
        // Half a line is none.
        self.input.clear();
        self.exchange += 1;
        let question = |_: &Self, _: &Then| Some(Question::Timeout { awaited });
        if self.ask(Event::Timeout, Stage::Before, Then::Expire(expired), question).is_some() {
            self.decided_expire(expired, Decision::Continue);
        }
    }

    /// Says that it is over, in a plug-in's words if there are any (RFC 5321 section 4.5.3.2).
    pub(super) fn decided_expire(&mut self, expired: Expired, decision: Decision) {
        self.expired = Some(expired);
        let words = match expired {
            Expired::Silent => "Timeout",
            Expired::Slow => "Too slow",
        };
        let reply = match ruling::rule(Event::Timeout, false, decision) {
            Ruling::Proceed | Ruling::Handled(_) => Reply::new(421, Some((4, 4, 2)), words),
            Ruling::Refuse(reply) | Ruling::Disconnect(reply) => reply,
        };
        self.say(Answer::last(reply, DisconnectReason::Timeout));
    }

    /// Begins the end. What was said is still sent; what was not read is forgotten.
    pub(super) fn leave(&mut self, reason: DisconnectReason) {
        // What is left of a message in chunks will not come.
        if let Place::Chunks(message) = std::mem::replace(&mut self.place, Place::Greeted) {
            self.abandon |= message.lent;
        }
        self.step = Step::Leaving(reason);
        self.left = Some(reason);
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
