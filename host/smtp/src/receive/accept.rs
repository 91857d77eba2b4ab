//! A message between its 354, or its first chunk, and the reply to its end: read, lent, decided on, stored.
//! Knows no octet: `message` reads them.

use super::admit::Work;
use super::message::{Message, Reading, Tail};
use super::pace::Pace;
use super::patience::Tally;
use super::proceed::ok;
use super::ruling::{self, Ruling};
use super::session::{Outgoing, Session};
use super::state::{Answer, Next, Place, Step, Then};
use super::transaction::Transaction;
use crate::{
    Attributed, BodyFault, Class, Decision, DisconnectReason, Event, Question, Reply, Stage, Stored,
};

impl Session {
    /// The 354 is said: the octets of the message come next.
    pub(super) fn receive(&mut self) {
        match std::mem::replace(&mut self.place, Place::Greeted) {
            Place::Transaction(transaction) => {
                let message = Message::new(transaction, &self.settings.limits, self.now);
                self.pace = Pace::new(self.now);
                self.step = Step::Receiving(Box::new(message));
            }
            // DATA is checked to come inside a transaction.
            place => {
                self.place = place;
                self.step = Step::Ready;
            }
        }
    }

    /// Reads what has come of the message.
    pub(super) fn read_message(&mut self) -> bool {
        let Step::Receiving(message) = &mut self.step else {
            return false;
        };
        let reading = message.read(&mut self.input, &self.settings.limits, self.interest);
        self.abandon |= message.take_abandoned();
        if reading == Reading::Wanting {
            return self.abandon;
        }
        let Step::Receiving(message) = std::mem::replace(&mut self.step, Step::Closed) else {
            return false;
        };
        match reading {
            Reading::Lend { part, octets } => {
                self.outgoing = Some(Outgoing::Body { part, octets });
                self.step = Step::Lending { message, octets };
            }
            Reading::Ask(question) => self.ask_receive(message, question),
            Reading::ChunkRead => self.chunk_read(message),
            Reading::Wanting | Reading::Complete => self.complete(message),
        }
        true
    }

    /// before(HEADERS, BODY).
    fn ask_receive(&mut self, mut message: Box<Message>, question: Question) {
        message.pause(self.now);
        self.exchange += 1;
        let (event, then) = (question.event(), Then::Receive(message));
        if let Some(Then::Receive(message)) =
            self.ask(event, Stage::Before, then, |_, _| Some(question))
        {
            self.read_on(message);
        }
    }

    /// Goes on with a message of which plug-ins have seen the header block, or some of the body.
    pub(super) fn decided_receive(
        &mut self,
        message: Box<Message>,
        decision: Decision,
        edits: Vec<Attributed>,
    ) {
        if self.hungup && !message.ended {
            self.abandon |= message.lent;
            return self.leave(DisconnectReason::Hangup);
        }
        match ruling::rule(Event::Body, false, decision) {
            Ruling::Proceed => self.admit(edits, Work::Receive(message)),
            Ruling::Refuse(reply) => self.refuse_receive(message, reply),
            Ruling::Handled(_) => self.refuse_receive(message, ruling::trouble()),
            Ruling::Disconnect(reply) => {
                self.abandon |= message.lent;
                self.say(Answer::last(reply, DisconnectReason::Refused));
            }
        }
    }

    /// The recipients added to a message that is being read have routes or a grant.
    pub(super) fn admitted_receive(&mut self, mut message: Box<Message>, edits: Vec<Attributed>) {
        match self.edit_transaction(&mut message.transaction, edits) {
            Ok(()) => self.read_on(message),
            Err(reply) => self.refuse_receive(message, reply),
        }
    }

    /// What is left of the message is read and dropped; the reply comes behind the dot (RFC 5321 section 4.2.5).
    pub(super) fn refuse_receive(&mut self, mut message: Box<Message>, reply: Reply) {
        self.tally.refusals += 1;
        message.turn_down(reply);
        self.read_on(message);
    }

    fn read_on(&mut self, mut message: Box<Message>) {
        message.resume(self.now);
        self.resume();
        self.step = Step::Receiving(message);
    }

    /// The octets lent are back.
    pub(super) fn body_taken(
        &mut self,
        mut message: Box<Message>,
        octets: usize,
        taken: Result<(), BodyFault>,
    ) {
        message.taken(&mut self.input, octets, taken);
        self.resume();
        if self.hungup && !message.ended {
            self.abandon |= message.lent;
            self.leave(DisconnectReason::Hangup);
        } else {
            self.step = Step::Receiving(message);
        }
    }

    /// The message is at its end: before(MESSAGEACCEPT).
    fn complete(&mut self, message: Box<Message>) {
        if let Some(reply) = message.check(&self.settings.limits) {
            self.count_refused(&message, &reply);
            return self.finish(message.tail(), fresh(reply));
        }
        self.exchange += 1;
        let question = |_: &Self, then: &Then| match then {
            Then::Accept(message) => Some(Question::MessageAccept { octets: message.octets }),
            _ => None,
        };
        let then = Then::Accept(message);
        if let Some(Then::Accept(message)) =
            self.ask(Event::MessageAccept, Stage::Before, then, question)
        {
            self.decided_accept(message, Decision::Continue, Vec::new());
        }
    }

    /// A message that the core refuses is an error of its client's.
    pub(super) fn count_refused(&mut self, message: &Message, reply: &Reply) {
        let ours = !message.is_turned_down();
        self.tally.errors += u32::from(ours && reply.class() == Class::Permanent);
    }

    /// Goes on with a message that plug-ins were asked about.
    pub(super) fn decided_accept(
        &mut self,
        message: Box<Message>,
        decision: Decision,
        edits: Vec<Attributed>,
    ) {
        let answer = match ruling::rule(Event::MessageAccept, true, decision) {
            Ruling::Proceed => return self.admit(edits, Work::Accept(message)),
            Ruling::Handled(reply) => fresh(reply.unwrap_or_else(ok)),
            Ruling::Refuse(reply) => return self.refuse_accept(&message, reply),
            Ruling::Disconnect(reply) => Answer::last(reply, DisconnectReason::Refused),
        };
        self.drop_message(&message, answer);
    }

    /// The recipients added to a message have routes or a grant.
    pub(super) fn admitted_accept(&mut self, mut message: Message, edits: Vec<Attributed>) {
        if let Err(reply) = self.edit_transaction(&mut message.transaction, edits) {
            return self.refuse_accept(&message, reply);
        }
        match self.split(message) {
            None => {}
            Some(message) if message.transaction.is_discarded() => {
                self.drop_message(&message, fresh(ok()));
            }
            Some(message) => self.proceed_accept(message),
        }
    }

    pub(super) fn refuse_accept(&mut self, message: &Message, reply: Reply) {
        self.tally.refusals += 1;
        self.drop_message(message, fresh(reply));
    }

    /// Answers a message that is not stored here.
    fn drop_message(&mut self, message: &Message, answer: Answer) {
        self.abandon |= message.lent;
        self.finish(message.tail(), answer);
    }

    fn proceed_accept(&mut self, message: Message) {
        let tail = message.tail();
        let Transaction { envelope, edits, .. } = *message.transaction;
        self.outgoing = Some(Outgoing::Store(Box::new((envelope, edits))));
        self.step = Step::Storing { tail };
    }

    /// The store has answered; nothing was acknowledged before.
    pub(super) fn stored(&mut self, tail: Tail, stored: Stored) {
        if matches!(stored, Stored::NoSpace | Stored::Unavailable) {
            // It is not accepted for anybody.
            self.verdicts = Box::default();
        }
        let reply = match stored {
            Stored::Committed(id) => {
                let words = format!("Ok: queued as {id}");
                Reply::checked(250, ok().enhanced(), &words).unwrap_or_else(|_| ok())
            }
            Stored::TakenOver(reply) => reply.unwrap_or_else(ok),
            // RFC 5321 section 3.8: 421 says that the connection closes, so it does.
            Stored::Refused(reply) if reply.code() == 421 => {
                let next = Next::Leave(DisconnectReason::Refused);
                return self.finish(tail, Answer { reply, next });
            }
            Stored::Refused(reply) => reply,
            Stored::NoSpace => Reply::new(452, Some((4, 3, 1)), "No room for the message now"),
            Stored::Unavailable => Reply::new(451, Some((4, 3, 0)), "Can't store the message now"),
        };
        self.finish(tail, fresh(reply));
    }

    /// The reply to the message: after(MESSAGEACCEPT).
    pub(super) fn finish(&mut self, tail: Tail, answer: Answer) {
        if answer.reply.class() == Class::Positive {
            self.tally = Tally::default();
        }
        let question = |_: &Self, _: &Then| Some(Question::MessageAccept { octets: tail.octets });
        let then = Then::Finish { tail, answer };
        if let Some(Then::Finish { tail, answer }) =
            self.ask(Event::MessageAccept, Stage::After, then, question)
        {
            self.finished(tail, answer);
        }
    }

    /// The reply is said: behind a dot at once, behind a chunk when the command that brought it is concluded.
    pub(super) fn finished(&mut self, tail: Tail, answer: Answer) {
        match tail.chunk {
            Some(_) => self.conclude_chunk(tail, answer),
            None => self.say(answer),
        }
    }
}

/// Whatever the reply to its last octet, the transaction is over (RFC 5321 section 4.1.1.4).
pub(super) fn fresh(reply: Reply) -> Answer {
    let next = Next::Fresh;
    Answer { reply, next }
}

/// The reply to a chunk that others were to follow.
pub(super) fn failed(reply: Reply) -> Answer {
    let next = Next::Failed;
    Answer { reply, next }
}
