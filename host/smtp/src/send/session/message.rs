//! One message in the conversation: its envelope, its octets, and its end.
//! Knows neither how the conversation began nor what follows.

use std::time::Instant;

use super::{SendingAction, SendingSession, State};
use crate::send::content::{Chunks, Writer};
use crate::send::outcome::{Cause, Outcome, Step};
use crate::send::settings::Protocol;
use crate::send::stuff::Stuffer;
use crate::{Class, Reply};

impl SendingSession {
    /// Takes the next octets of the message, one part behind the other, at best some ten thousand at a time; `last` ends it.
    pub fn handle_body(&mut self, now: Instant, parts: &[&[u8]], last: bool) {
        let State::Content(_, writer) = &mut self.state else {
            return;
        };
        let written = match writer.write(parts, last) {
            Ok(written) => written,
            Err(fault) => return self.end(&Outcome::Failed(Cause::Content(fault))),
        };
        let asks = last || !written.steps.is_empty();
        if asks && self.awaited.is_empty() {
            self.early = self.reader.is_partial();
        }
        if !written.octets.is_empty() {
            self.actions.push_back(SendingAction::Send(written.octets));
        }
        self.awaited.extend(written.steps);
        if last {
            let replies = self.replies_to_dot();
            self.awaited.extend(std::iter::repeat_n(Step::Dot, replies));
            self.state = match std::mem::replace(&mut self.state, State::Over) {
                State::Content(open, _) => State::Ending(open),
                other => other,
            };
        } else {
            self.ask_for_more();
        }
        self.arm(now);
    }

    /// Asks for the next octets of the message, at once or when a chunk before them is answered.
    fn ask_for_more(&mut self) {
        let State::Content(_, writer) = &mut self.state else {
            return;
        };
        if let Writer::Chunks(chunks) = writer {
            let unanswered = self.awaited.iter().filter(|&&step| step == Step::Chunk).count();
            chunks.waiting = !chunks.has_room(unanswered);
            if chunks.waiting {
                return;
            }
        }
        self.actions.push_back(SendingAction::Body);
    }

    /// The rest of the message can't be had: the message is not ended, so the next hop drops it.
    pub fn handle_body_unavailable(&mut self) {
        if matches!(self.state, State::Content(..)) {
            self.end(&Outcome::Deferred(Cause::BodyUnavailable));
        }
    }

    /// Says what comes next of an envelope.
    pub(super) fn advance_envelope(&mut self) {
        let State::Envelope(open) = &mut self.state else {
            return;
        };
        if open.is_settled() {
            return self.finish();
        }
        let (group, steps) = open.write_group(&self.offers);
        // Until a reply tells otherwise, the server holds an envelope of ours.
        self.dirty = true;
        if !open.wants_content(&steps) {
            self.awaited.extend(steps);
            return self.actions.push_back(SendingAction::Send(group));
        }
        let chunks = Chunks::new(open.is_binary(), self.offers.pipelining, (group, steps));
        self.open_content(Writer::Chunks(chunks));
    }

    /// How many replies the final dot has: in LMTP one for each recipient taken (RFC 2033 section 4.2).
    fn replies_to_dot(&self) -> usize {
        match (&self.state, self.settings.protocol) {
            (State::Content(open, _), Protocol::Lmtp) => open.accepted(),
            _ => 1,
        }
    }

    pub(super) fn take_envelope(&mut self, step: Step, reply: Reply) {
        // By BDAT the message may be on its way already.
        let (State::Envelope(open) | State::Content(open, _) | State::Ending(open)) =
            &mut self.state
        else {
            return;
        };
        // An answer of another kind than the question: the two sides don't mean the same reply any more.
        let lost = match step {
            Step::Data => reply.class() == Class::Positive,
            _ => reply.class() == Class::Intermediate,
        };
        if lost {
            return self.end(&Outcome::Deferred(Cause::Replied { step, reply }));
        }
        let go_ahead = reply.class() == Class::Intermediate;
        match step {
            Step::Recipient => open.answer_recipient(reply),
            _ => open.answer_all(step, reply),
        }
        if go_ahead {
            self.take_go_ahead();
        } else {
            self.take_content();
        }
    }

    /// Goes on with a message that is on its way, after a reply: no more is sent of one that nobody gets.
    fn take_content(&mut self) {
        match &self.state {
            State::Content(open, _) if open.is_settled() => {
                self.actions.retain(|action| *action != SendingAction::Body);
                self.state = match std::mem::replace(&mut self.state, State::Over) {
                    State::Content(open, _) => State::Ending(open),
                    other => other,
                };
            }
            State::Content(_, Writer::Chunks(chunks)) if chunks.waiting => self.ask_for_more(),
            _ => {}
        }
        if let State::Ending(open) = &self.state
            && open.is_settled()
            && self.awaited.is_empty()
        {
            self.finish();
        }
    }

    /// The server waits for the message.
    fn take_go_ahead(&mut self) {
        match &self.state {
            State::Envelope(open) if open.is_settled() => {
                if self.settings.protocol == Protocol::Lmtp {
                    // RFC 2033 section 4.2: this server may not go on, and nobody knows how often it will answer the dot.
                    self.finish();
                    return self.close();
                }
                // RFC 2920 section 3.1: DATA was taken though no recipient was, so an empty message ends it.
                self.send(Step::Dot, ".\r\n".into());
                self.state = match std::mem::replace(&mut self.state, State::Over) {
                    State::Envelope(open) => State::Ending(open),
                    other => other,
                };
            }
            _ => self.open_content(Writer::Lines(Stuffer::default())),
        }
    }

    fn open_content(&mut self, writer: Writer) {
        self.state = match std::mem::replace(&mut self.state, State::Over) {
            State::Envelope(open) => State::Content(open, writer),
            other => other,
        };
        self.actions.push_back(SendingAction::Body);
    }

    /// Takes the reply to a chunk or to the end of the message.
    pub(super) fn take_content_reply(&mut self, step: Step, reply: Reply) {
        if reply.class() == Class::Intermediate {
            // The server waits for something: a further message would be more of this one to it.
            return self.end(&Outcome::Deferred(Cause::Replied { step, reply }));
        }
        if let State::Content(open, _) | State::Ending(open) = &mut self.state {
            if step == Step::Dot {
                // Refused or not, the server's buffers are empty after a dot (RFC 5321 section 4.1.1.4); after a BDAT that it has
                // refused they need not be.
                self.dirty = open.is_chunked() && reply.class() != Class::Positive;
            }
            match (step, self.settings.protocol) {
                (Step::Dot, Protocol::Lmtp) => open.answer_accepted(reply),
                _ => open.answer_all(step, reply),
            }
        }
        self.take_content();
    }
}
