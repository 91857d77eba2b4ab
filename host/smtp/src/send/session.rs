//! The sending session: is told what arrived, says what to write and how each transaction ended.
//! Knows no socket and no clock, and nothing of retries.

mod opening;

use std::collections::VecDeque;
use std::time::Instant;

use super::offers::Offers;
use super::outcome::{Cause, Outcome, Step};
use super::reply::ReplyReader;
use super::settings::{Protocol, SendingSettings};
use super::stuff::Stuffer;
use super::transaction::{Open, Transaction};
use crate::sasl::client::ClientExchange;
use crate::{Class, Derivation, Reply, Secret};

/// One thing for the caller to do; [`SendingSession::poll_action`] hands them out one at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendingAction {
    /// Write these octets to the next hop.
    Send(Vec<u8>),
    /// Write these, which nobody else is to read.
    SendSecret(Secret),
    /// Make a TLS handshake on the connection; answered by `handle_tls`.
    StartTls,
    /// Derive these keys, which takes time; answered by `handle_keys`.
    Derive(Derivation),
    /// Bring the next octets of the message; answered by `handle_body` or `handle_body_unavailable`.
    Body,
    /// The transaction is over, with one outcome per recipient in the order given.
    Result(Vec<Outcome>),
    /// Close the connection, dropping what is not written yet; the session is over.
    Close,
}

/// Our side of a conversation with a next hop: one connection, any number of transactions after each other.
///
/// Four kinds of methods: getters; `handle_*` for what happened, each given the time; the commands `start` and `quit`;
/// `poll_action` and `poll_timeout` for what to do next. After each `handle_*` or command, poll until there is no action.
#[derive(Debug)]
pub struct SendingSession {
    settings: SendingSettings,
    reader: ReplyReader,
    offers: Offers,
    /// What the replies to come will answer, in their order.
    awaited: VecDeque<Step>,
    state: State,
    /// The server may still hold the envelope of the last transaction.
    dirty: bool,
    /// A reply had begun when the final dot was sent, so it is no answer to it.
    early: bool,
    /// The connection is protected by TLS.
    secured: bool,
    /// A TLS handshake is under way.
    handshake: bool,
    /// A login is under way.
    login: Option<ClientExchange>,
    /// What is to be said next for it.
    login_line: Option<Secret>,
    /// Keys are being derived for it.
    deriving: bool,
    /// The server has let us in.
    logged_in: bool,
    /// QUIT is to follow when no transaction is open.
    leaving: bool,
    actions: VecDeque<SendingAction>,
    deadline: Option<Instant>,
}

#[derive(Debug)]
enum State {
    /// Greeting and EHLO; the transaction to follow waits here.
    Opening {
        /// What is to be said next: EHLO, or HELO where EHLO was refused; LHLO; STARTTLS; AUTH.
        hello: Step,
        waiting: Option<Transaction>,
    },
    Idle,
    /// MAIL, RCPT and DATA.
    Envelope(Open),
    /// The message.
    Content(Open, Stuffer),
    /// The final dot is sent.
    Ending(Open),
    Quitting,
    Over,
}

impl SendingSession {
    /// Begins with a connection just made.
    pub fn new(now: Instant, settings: SendingSettings) -> Self {
        let hello = opening::hello(settings.protocol);
        let mut session = Self {
            settings,
            reader: ReplyReader::default(),
            offers: Offers::default(),
            awaited: VecDeque::from([Step::Greeting]),
            state: State::Opening { hello, waiting: None },
            dirty: false,
            early: false,
            secured: false,
            handshake: false,
            login: None,
            login_line: None,
            deriving: false,
            logged_in: false,
            leaving: false,
            actions: VecDeque::new(),
            deadline: None,
        };
        session.arm(now);
        session
    }

    /// Whether a transaction can be started now.
    pub fn is_ready(&self) -> bool {
        let room = match &self.state {
            State::Opening { waiting, .. } => waiting.is_none(),
            // Half a reply that nothing asked for: this connection is about to end.
            State::Idle => !self.reader.is_partial(),
            _ => false,
        };
        room && !self.leaving
    }

    /// Whether the session is over: no octet written from now on has a use.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Whether the server tells senders what they asked to be told (RFC 3461); known once a transaction is over.
    pub fn knows_dsn(&self) -> bool {
        self.offers.dsn
    }

    /// Starts a transaction, at once or as soon as the server is ready.
    ///
    /// # Errors
    /// Hands the transaction back when none can be started now: see [`Self::is_ready`].
    pub fn start(
        &mut self,
        now: Instant,
        transaction: Transaction,
    ) -> Result<(), Box<Transaction>> {
        if !self.is_ready() {
            return Err(Box::new(transaction));
        }
        if let State::Opening { waiting, .. } = &mut self.state {
            *waiting = Some(transaction);
        } else {
            self.begin(transaction);
            self.advance(now);
        }
        Ok(())
    }

    /// Says goodbye, at once or when the open transaction is over.
    pub fn quit(&mut self, now: Instant) {
        self.leaving = true;
        if matches!(self.state, State::Idle) {
            self.advance(now);
        }
    }

    /// Takes octets from the next hop.
    pub fn handle_input(&mut self, now: Instant, octets: &[u8]) {
        let mut input = octets;
        // Nothing new is sent before all of the input is read: whatever it holds was sent before.
        while !self.is_over() && !self.handshake {
            match self.reader.read(&mut input) {
                Ok(Some(reply)) => match self.awaited.pop_front() {
                    Some(step) => {
                        self.take_reply(step, reply);
                        self.arm(now);
                    }
                    None => self.take_unasked(reply),
                },
                Ok(None) => break,
                Err(fault) => {
                    let step = self.step();
                    return self.end(&Outcome::Deferred(Cause::Malformed { step, fault }));
                }
            }
        }
        self.advance(now);
    }

    /// The next hop closed the connection, or it broke.
    pub fn handle_closed(&mut self) {
        self.end(&Outcome::Deferred(Cause::Closed(self.step())));
    }

    /// The time given by `poll_timeout` may have come.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.end(&Outcome::Deferred(Cause::Timeout(self.step())));
        }
    }

    /// Takes the next octets of the message, at best some ten thousand at a time; `last` ends it.
    pub fn handle_body(&mut self, now: Instant, octets: &[u8], last: bool) {
        let State::Content(_, stuffer) = &mut self.state else {
            return;
        };
        // Room for a dot in every 32 octets: more is rare.
        let mut out = Vec::with_capacity(octets.len() + octets.len() / 32 + 8);
        let mut pushed = stuffer.push(octets, &mut out);
        if last {
            pushed = pushed.and_then(|()| std::mem::take(stuffer).finish(&mut out));
        }
        if let Err(fault) = pushed {
            return self.end(&Outcome::Failed(Cause::Content(fault)));
        }
        if !out.is_empty() {
            self.actions.push_back(SendingAction::Send(out));
        }
        if last {
            self.early = self.reader.is_partial();
            let replies = self.replies_to_dot();
            self.awaited.extend(std::iter::repeat_n(Step::Dot, replies));
            self.state = match std::mem::replace(&mut self.state, State::Over) {
                State::Content(open, _) => State::Ending(open),
                other => other,
            };
        } else {
            self.actions.push_back(SendingAction::Body);
        }
        self.arm(now);
    }

    /// The rest of the message can't be had: the message is not ended, so the next hop drops it.
    pub fn handle_body_unavailable(&mut self) {
        if matches!(self.state, State::Content(..)) {
            self.end(&Outcome::Deferred(Cause::BodyUnavailable));
        }
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<SendingAction> {
        self.actions.pop_front()
    }

    /// When to call `handle_timeout`, if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    fn begin(&mut self, transaction: Transaction) {
        let mut open = Open::new(transaction, self.dirty);
        open.check(&self.offers);
        self.state = State::Envelope(open);
    }

    /// Goes one step on when every reply is in.
    fn advance(&mut self, now: Instant) {
        if !self.awaited.is_empty() || self.handshake || self.deriving {
            return;
        }
        if self.reader.is_partial() {
            // Half a reply that nothing asked for: what is sent now would seem answered by it, so its end comes first.
            if matches!(self.state, State::Idle) && self.leaving {
                self.close();
            }
            return;
        }
        if let State::Envelope(open) = &mut self.state {
            if open.is_settled() {
                self.finish();
            } else {
                let group = open.write_group(&self.offers, &mut self.awaited);
                // Until a reply tells otherwise, the server holds an envelope of ours.
                self.dirty = true;
                self.actions.push_back(SendingAction::Send(group));
            }
        }
        match &self.state {
            State::Opening { hello, .. } => self.say_opening(*hello),
            State::Idle if self.leaving => {
                self.state = State::Quitting;
                self.send(Step::Quit, "QUIT\r\n".into());
            }
            _ => {}
        }
        self.arm(now);
    }

    /// How many replies the final dot has: in LMTP one for each recipient taken (RFC 2033 section 4.2).
    fn replies_to_dot(&self) -> usize {
        match (&self.state, self.settings.protocol) {
            (State::Content(open, _), Protocol::Lmtp) => open.accepted(),
            _ => 1,
        }
    }

    fn send(&mut self, step: Step, line: String) {
        self.awaited.push_back(step);
        self.actions.push_back(SendingAction::Send(line.into_bytes()));
    }

    fn take_reply(&mut self, step: Step, reply: Reply) {
        // RFC 5321 section 3.8: a server may say 421 to anything, and hangs up then.
        if reply.code() == 421 && step != Step::Quit {
            return self.end(&Outcome::Deferred(Cause::Replied { step, reply }));
        }
        if step == Step::Dot && self.early && reply.class() == Class::Positive {
            // What was said of a message before its end is no promise to keep it.
            return self.end(&Outcome::Deferred(Cause::Unasked(reply)));
        }
        match step {
            Step::Greeting | Step::Ehlo | Step::Lhlo | Step::Helo | Step::StartTls => {
                self.take_opening(step, reply);
            }
            Step::Auth => self.take_auth(reply),
            Step::Reset if reply.class() == Class::Positive => {}
            Step::Reset | Step::Content => {
                self.end(&Outcome::Deferred(Cause::Replied { step, reply }));
            }
            Step::Mail | Step::Recipient | Step::Data => self.take_envelope(step, reply),
            Step::Dot => {
                if let State::Ending(open) = &mut self.state {
                    // Refused or not, the server's buffers are empty now (RFC 5321 section 4.1.1.4).
                    self.dirty = false;
                    match self.settings.protocol {
                        Protocol::Smtp => open.answer_all(step, reply),
                        Protocol::Lmtp => open.answer_accepted(reply),
                    }
                    if open.is_settled() {
                        self.finish();
                    }
                }
            }
            Step::Quit => self.close(),
        }
    }

    fn take_envelope(&mut self, step: Step, reply: Reply) {
        let State::Envelope(open) = &mut self.state else {
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
        if step == Step::Recipient {
            return open.answer_recipient(reply);
        }
        let go_ahead = reply.class() == Class::Intermediate;
        open.answer_all(step, reply);
        if go_ahead {
            self.open_content();
        }
    }

    /// The server waits for the message.
    fn open_content(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Over) {
            State::Envelope(open) if open.is_settled() => {
                if self.settings.protocol == Protocol::Lmtp {
                    // RFC 2033 section 4.2: this server may not go on, and nobody knows how often it will answer the dot.
                    self.actions.push_back(SendingAction::Result(open.into_outcomes()));
                    return self.close();
                }
                // RFC 2920 section 3.1: DATA was taken though no recipient was, so an empty message ends it.
                self.send(Step::Dot, ".\r\n".into());
                State::Ending(open)
            }
            State::Envelope(open) => {
                self.actions.push_back(SendingAction::Body);
                State::Content(open, Stuffer::default())
            }
            other => other,
        };
    }

    /// Judges a reply that came before there was anything to answer.
    fn take_unasked(&mut self, reply: Reply) {
        let step = self.step();
        let early = step == Step::Content && reply.class() == Class::Permanent;
        let outcome = if early {
            // Some servers refuse in the middle of the message and hang up.
            Outcome::Failed(Cause::Replied { step, reply })
        } else if reply.class() == Class::Transient {
            Outcome::Deferred(Cause::Replied { step, reply })
        } else {
            Outcome::Deferred(Cause::Unasked(reply))
        };
        self.end(&outcome);
    }

    /// What is under way.
    fn step(&self) -> Step {
        self.awaited.front().copied().unwrap_or(match self.state {
            _ if self.handshake => Step::StartTls,
            State::Opening { hello, .. } => hello,
            State::Content(..) => Step::Content,
            _ => Step::Mail,
        })
    }

    /// Reports a transaction that is settled.
    fn finish(&mut self) {
        if let State::Envelope(open) | State::Ending(open) =
            std::mem::replace(&mut self.state, State::Idle)
        {
            self.actions.push_back(SendingAction::Result(open.into_outcomes()));
        }
    }

    /// Ends the session; `outcome` is for the recipients that are not settled.
    fn end(&mut self, outcome: &Outcome) {
        // What was to be written or read has no use any more; what is over stays over.
        self.actions.retain(|action| matches!(action, SendingAction::Result(_)));
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Opening { waiting, .. } => {
                if let Some(transaction) = waiting {
                    let outcomes = vec![outcome.clone(); transaction.recipients.len()];
                    self.actions.push_back(SendingAction::Result(outcomes));
                }
            }
            State::Envelope(mut open) | State::Content(mut open, _) | State::Ending(mut open) => {
                open.settle(outcome);
                self.actions.push_back(SendingAction::Result(open.into_outcomes()));
            }
            State::Idle | State::Quitting => {}
            State::Over => {
                self.state = State::Over;
                return;
            }
        }
        self.close();
    }

    fn close(&mut self) {
        (self.handshake, self.deriving) = (false, false);
        self.state = State::Over;
        self.awaited.clear();
        self.deadline = None;
        self.actions.push_back(SendingAction::Close);
    }

    /// Sets the time by which the next thing must have happened.
    fn arm(&mut self, now: Instant) {
        let step = match self.state {
            State::Idle | State::Over => None,
            _ => Some(self.step()),
        };
        self.deadline = step.map(|step| now + self.settings.timeouts.of(step));
    }
}

#[cfg(test)]
mod tests;
