//! The sending session: is told what arrived, says what to write and how each transaction ended.
//! Knows no socket and no clock, and nothing of retries.

mod errand;
mod message;
mod opening;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::content::Writer;
use super::offers::Offers;
use super::outcome::{Cause, Outcome, Step};
use super::reply::ReplyReader;
use super::settings::{SendingSettings, SendingTls};
use super::transaction::{Form, Open, Transaction};
use crate::sasl::client::ClientExchange;
use crate::{Class, Derivation, Reply, Secret};

/// A server that was heard so short a time ago will not have hung up meanwhile.
const FRESH: Duration = Duration::from_secs(1);

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
    /// What was asked for beside transactions is over: the reply to a command, or why nothing came of it.
    Settled(Result<Option<Reply>, Cause>),
    /// Close the connection, dropping what is not written yet; the session is over.
    Close,
}

/// Our side of a conversation with a next hop: one connection, any number of transactions after each other.
///
/// Four kinds of methods: getters; `handle_*` for what happened, each given the time; the commands `start`, `open`, `log_in`, `command`, `hand_over` and `quit`;
/// `poll_action` and `poll_timeout` for what to do next. After each `handle_*` or command, poll until there is no action.
#[derive(Debug)]
pub struct SendingSession {
    settings: SendingSettings,
    reader: ReplyReader,
    offers: Offers,
    /// What the server offered, a keyword with its parameters in each line.
    keywords: Box<str>,
    /// What the replies to come will answer, in their order.
    awaited: VecDeque<Step>,
    state: State,
    /// The server may still hold the envelope of the last transaction.
    dirty: bool,
    /// A reply had begun before there was anything to answer, and what it is no answer to has been sent since.
    early: bool,
    /// When the last transaction was over.
    idle_since: Instant,
    /// When the last transaction was asked for.
    asked_at: Instant,
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
    /// Something beside transactions was asked for, and is to be settled.
    errand: bool,
    /// The conversation is over, and the connection is not.
    handed_over: bool,
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
    /// A command that is no part of a message; behind one that hands over, the connection may be somebody else's.
    Command {
        hands_over: bool,
    },
    /// MAIL, RCPT and DATA.
    Envelope(Open),
    /// The message; by BDAT, replies to the envelope and to earlier chunks may come meanwhile.
    Content(Open, Writer),
    /// The end of the message is sent, or nothing of it has a use any more.
    Ending(Open),
    Quitting,
    Over,
}

impl SendingSession {
    /// Begins with a connection just made.
    pub fn new(now: Instant, settings: SendingSettings) -> Self {
        let hello = opening::hello(settings.protocol);
        let secured = settings.tls == SendingTls::Before;
        let mut session = Self {
            settings,
            reader: ReplyReader::default(),
            offers: Offers::default(),
            keywords: Box::default(),
            awaited: VecDeque::from([Step::Greeting]),
            state: State::Opening { hello, waiting: None },
            dirty: false,
            early: false,
            idle_since: now,
            asked_at: now,
            secured,
            handshake: false,
            login: None,
            login_line: None,
            deriving: false,
            logged_in: false,
            errand: false,
            handed_over: false,
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

    /// Whether the server sees to it that a message comes in time (RFC 2852); known once a transaction is over.
    pub fn knows_deliver_by(&self) -> bool {
        self.offers.deliver_by_min_s.is_some()
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
        self.asked_at = now;
        if let State::Opening { waiting, .. } = &mut self.state {
            *waiting = Some(transaction);
        } else {
            self.begin(now, transaction, now.duration_since(self.idle_since) < FRESH);
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
                        self.take_reply(now, step, reply);
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
        self.end(&Outcome::Deferred(Cause::Closed(self.lost_at())));
    }

    /// The time given by `poll_timeout` may have come.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.end(&Outcome::Deferred(Cause::Timeout(self.lost_at())));
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

    /// Begins a transaction; `fresh`: the server was heard a moment ago.
    fn begin(&mut self, now: Instant, mut transaction: Transaction, fresh: bool) {
        // RFC 2852 section 4.1.4: what is left when MAIL is sent, however long the server took for its greeting.
        let by = &mut transaction.wish.deliver_by;
        *by = by.map(|by| by.after(now.duration_since(self.asked_at)));
        let form = Form::of(&transaction, &self.offers, self.settings.protocol, fresh);
        let mut open = Open::new(transaction, form, self.dirty);
        open.check(&self.offers, self.secured);
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
        self.advance_envelope();
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

    fn send(&mut self, step: Step, line: String) {
        self.awaited.push_back(step);
        self.actions.push_back(SendingAction::Send(line.into_bytes()));
    }

    fn take_reply(&mut self, now: Instant, step: Step, reply: Reply) {
        // RFC 5321 section 3.8: a server may say 421 to anything, and hangs up then.
        if reply.code() == 421 && step != Step::Quit {
            return self.end(&Outcome::Deferred(Cause::Replied { step, reply }));
        }
        if self.early && reply.class() == Class::Positive {
            // What was said of a message before its end is no promise to keep it.
            return self.end(&Outcome::Deferred(Cause::Unasked(reply)));
        }
        match step {
            Step::Greeting | Step::Ehlo | Step::Lhlo | Step::Helo | Step::StartTls => {
                self.take_opening(now, step, reply);
            }
            Step::Auth => self.take_auth(now, reply),
            Step::Reset if reply.class() == Class::Positive => {}
            Step::Reset | Step::Content => {
                self.end(&Outcome::Deferred(Cause::Replied { step, reply }));
            }
            Step::Mail | Step::Recipient | Step::Data => self.take_envelope(step, reply),
            Step::Chunk | Step::Dot => self.take_content_reply(step, reply),
            Step::Command => self.take_command(reply),
            Step::Quit => self.close(),
        }
    }

    /// Judges a reply that came before there was anything to answer.
    fn take_unasked(&mut self, reply: Reply) {
        let step = self.step();
        let lines = matches!(self.state, State::Content(_, Writer::Lines(_)));
        let early = lines && step == Step::Content && reply.class() == Class::Permanent;
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

    /// What was under way when nothing more is heard. A server that has the end of the message may have taken it, whatever of
    /// its replies has not arrived: servers answer a group in one go.
    fn lost_at(&self) -> Step {
        if self.awaited.contains(&Step::Dot) { Step::Dot } else { self.step() }
    }

    /// Reports a transaction that is settled.
    fn finish(&mut self) {
        if let State::Envelope(open) | State::Ending(open) =
            std::mem::replace(&mut self.state, State::Idle)
        {
            self.early = false;
            self.actions.push_back(SendingAction::Result(open.into_outcomes()));
        }
    }

    /// Ends the session; `outcome` is for the recipients that are not settled.
    fn end(&mut self, outcome: &Outcome) {
        // What was to be written or read has no use any more; what is over stays over.
        let over = |action: &SendingAction| {
            matches!(action, SendingAction::Result(_) | SendingAction::Settled(_))
        };
        self.actions.retain(over);
        self.settle_by(outcome);
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
            State::Idle | State::Command { .. } | State::Quitting => {}
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
        if matches!(self.state, State::Idle) {
            self.idle_since = now;
        }
        let step = match self.state {
            State::Idle | State::Over => None,
            _ => Some(self.step()),
        };
        self.deadline = step.map(|step| now + self.settings.timeouts.of(step));
    }
}

#[cfg(test)]
mod tests;
