//! BDAT: a message in chunks, each with a reply of its own, of which the last one's is the message's (RFC 3030).
//! The octets behind the line are consumed whatever the answer to it. Knows their number; `message` reads them.

use super::accept::failed;
use super::command::Command;
use super::line::Framing;
use super::message::{Message, Tail};
use super::pace::Pace;
use super::session::Session;
use super::state::{Answer, Next, Place, Step};
use crate::{Attributed, Chunk, Question, Reply};

impl Session {
    /// The recipients added at the first chunk have routes or a grant: reads it.
    pub(super) fn admitted_chunk(&mut self, chunk: Chunk, edits: Vec<Attributed>) {
        if let Err(reply) = self.edit_open_transaction(edits) {
            return self.refuse_chunk(chunk, reply);
        }
        match std::mem::replace(&mut self.place, Place::Greeted) {
            Place::Transaction(transaction) => {
                let message = Message::in_chunks(transaction, &self.settings.limits, self.now);
                self.place = Place::Chunks(Box::new(message));
                self.proceed_chunk(chunk);
            }
            // It is checked to come inside a transaction.
            place => {
                self.place = place;
                self.step = Step::Ready;
            }
        }
    }

    /// Reads a chunk behind the first one.
    pub(super) fn proceed_chunk(&mut self, chunk: Chunk) {
        match std::mem::replace(&mut self.place, Place::Greeted) {
            Place::Chunks(mut message) => {
                message.begin_chunk(chunk, &mut self.input);
                self.since = self.now;
                self.pace = Pace::new(self.now);
                self.step = Step::Receiving(message);
            }
            // It is checked to come behind another.
            place => {
                self.place = place;
                self.step = Step::Ready;
            }
        }
    }

    /// A chunk was read and others are to follow: 250, or what is wrong with the message.
    pub(super) fn chunk_read(&mut self, message: Box<Message>) {
        let tail = message.tail();
        if let Some(reply) = message.check(&self.settings.limits) {
            self.count_refused(&message, &reply);
            return self.finish(tail, failed(reply));
        }
        let words = format!("{} octets received", tail.chunk.map_or(0, |chunk| chunk.octets));
        self.place = Place::Chunks(message);
        self.conclude_chunk(tail, Answer::plain(Reply::new(250, Some((2, 0, 0)), words)));
    }

    /// Answers a chunk: after(DATA) for the first of a message, then after(COMMAND).
    pub(super) fn conclude_chunk(&mut self, tail: Tail, answer: Answer) {
        let question = tail.chunk.filter(|_| tail.first);
        let question =
            question.and_then(|chunk| self.question_after(&Command::Bdat { chunk, first: true }));
        self.conclude(question, answer);
    }

    /// Plug-ins refuse the first chunk, or what they added to the envelope is refused.
    pub(super) fn refuse_chunk(&mut self, chunk: Chunk, reply: Reply) {
        self.tally.refusals += 1;
        let question = self.question_after(&Command::Bdat { chunk, first: true });
        self.answer_chunk(chunk, question, Answer::plain(reply));
    }

    /// Answers a line, once the octets that belong to it are gone (RFC 3030 section 2).
    pub(super) fn answer_framed(&mut self, framing: Framing, answer: Answer) {
        match framing {
            Framing::Chunk(chunk) => self.answer_chunk(chunk, None, answer),
            _ => self.conclude_command(answer),
        }
    }

    /// Refuses a chunk: drops its octets, and with them the message that they are part of. `question`: to be asked then.
    pub(super) fn answer_chunk(
        &mut self,
        chunk: Chunk,
        question: Option<Question>,
        answer: Answer,
    ) {
        if answer.next != Next::Command {
            return self.conclude(question, answer);
        }
        let next = if chunk.last { Next::Fresh } else { Next::Failed };
        let answer = Answer { next, ..answer };
        self.since = self.now;
        self.pace = Pace::new(self.now);
        self.step = Step::Swallowing { octets: chunk.octets, started: self.now, question, answer };
    }

    /// Drops the octets of a chunk.
    pub(super) fn swallow(&mut self) -> bool {
        let Step::Swallowing { octets, .. } = &mut self.step else {
            return false;
        };
        let here = self.input.unread().len();
        let taken = usize::try_from(*octets).map_or(here, |octets| octets.min(here));
        self.input.consume(taken);
        *octets -= taken as u64;
        if *octets > 0 {
            return false;
        }
        if let Step::Swallowing { question, answer, .. } =
            std::mem::replace(&mut self.step, Step::Ready)
        {
            self.conclude(question, answer);
        }
        true
    }

    /// A message of which a chunk was refused: those behind it are answered as that one was, so that nobody takes the rest
    /// for the whole (RFC 3030 section 2).
    pub(super) fn fail_transaction(&mut self, reply: Reply) {
        self.forget_transaction();
        if let Place::Greeted = self.place {
            self.place = Place::Failed(Box::new(reply));
        }
    }
}
