//! The first steps of a conversation: greeting, hello, TLS by STARTTLS (RFC 3207), and logging in by AUTH (RFC 4954).
//! Knows no message: one that waits is begun when all is opened.

use std::time::Instant;

use super::{SendingAction, SendingSession, State};
use crate::sasl::client::Reaction;
use crate::send::login::line;
use crate::send::offers::Offers;
use crate::send::outcome::{Cause, Outcome, Step};
use crate::send::reply::ReplyReader;
use crate::send::settings::{Protocol, SendingTls};
use crate::{Class, ClientKeys, Reply};

/// How a server is greeted.
pub(super) fn hello(protocol: Protocol) -> Step {
    match protocol {
        Protocol::Smtp => Step::Ehlo,
        Protocol::Lmtp => Step::Lhlo,
    }
}

impl SendingSession {
    /// The TLS handshake is over, or came to nothing for this reason.
    pub fn handle_tls(&mut self, now: Instant, handshake: Result<(), Box<str>>) {
        if !std::mem::take(&mut self.handshake) {
            return;
        }
        if let Err(reason) = handshake {
            return self.end(&Outcome::Deferred(Cause::Handshake(reason)));
        }
        self.secured = true;
        // RFC 3207 section 4.2: what was learnt before is forgotten, and asked for again.
        self.offers = Offers::default();
        self.keywords = Box::default();
        if let State::Opening { hello: next, .. } = &mut self.state {
            *next = hello(self.settings.protocol);
        }
        self.advance(now);
    }

    /// The keys that were to be derived.
    pub fn handle_keys(&mut self, now: Instant, keys: &ClientKeys) {
        if !std::mem::take(&mut self.deriving) {
            return;
        }
        self.login_line = self.login.as_mut().and_then(|login| login.keys(keys)).map(|w| line(&w));
        self.advance(now);
    }

    /// Says what comes next.
    pub(super) fn say_opening(&mut self, next: Step) {
        match next {
            Step::Auth => {
                if let Some(line) = self.login_line.take() {
                    self.awaited.push_back(Step::Auth);
                    self.actions.push_back(SendingAction::SendSecret(line));
                }
            }
            Step::StartTls => self.send(next, "STARTTLS\r\n".into()),
            hello => {
                let name = self.settings.name.as_str();
                self.send(hello, format!("{hello} {name}\r\n"));
            }
        }
    }

    pub(super) fn take_auth(&mut self, now: Instant, reply: Reply) {
        let Some(login) = &mut self.login else { return };
        let heard = match reply.class() {
            Class::Intermediate => login.hear(reply.text()).map(Some),
            Class::Positive => login.succeed().map(|()| None),
            // What the server has against us says nothing about the message: even a 5yz is no reason to return it.
            _ => return self.not_opened(Cause::Replied { step: Step::Auth, reply }),
        };
        match heard {
            Ok(Some(Reaction::Say(words))) => self.login_line = Some(line(&words)),
            Ok(Some(Reaction::Derive(derivation))) => {
                self.deriving = true;
                self.actions.push_back(SendingAction::Derive(derivation));
            }
            Ok(None) => {
                self.logged_in = true;
                self.opened(now);
            }
            // The server waits for an answer that it is not going to get.
            Err(fault) => self.end(&Outcome::Deferred(fault.into())),
        }
    }

    pub(super) fn take_opening(&mut self, now: Instant, step: Step, reply: Reply) {
        let State::Opening { hello: next, .. } = &mut self.state else {
            return;
        };
        match (step, reply.class()) {
            (Step::Greeting, Class::Positive) => {}
            // RFC 5321 section 3.2: a server that knows no EHLO may know HELO.
            (Step::Ehlo, Class::Permanent) => *next = Step::Helo,
            (Step::Ehlo | Step::Lhlo | Step::Helo, Class::Positive) => {
                if step != Step::Helo {
                    self.keywords = self.reader.further().into();
                    self.offers = Offers::of(&self.keywords);
                    // Final delivery is told of from here: a server of mailboxes would do so a second time.
                    self.offers.dsn &= self.settings.protocol == Protocol::Smtp;
                }
                match self.settings.tls {
                    _ if self.secured => self.opened(now),
                    SendingTls::Never | SendingTls::Before => self.opened(now),
                    SendingTls::IfOffered | SendingTls::Must if self.offers.starttls => {
                        *next = Step::StartTls;
                    }
                    SendingTls::IfOffered => self.opened(now),
                    SendingTls::Must => self.not_opened(Cause::NoTls),
                }
            }
            (Step::StartTls, Class::Positive) => {
                // What stands behind this reply was not said under TLS: nobody knows by whom.
                self.reader = ReplyReader::default();
                self.handshake = true;
                self.actions.push_back(SendingAction::StartTls);
            }
            (Step::StartTls, _) if self.settings.tls == SendingTls::IfOffered => self.opened(now),
            // A server that won't talk says nothing about the message: even a 5yz is no reason to return it.
            _ => self.not_opened(Cause::Replied { step, reply }),
        }
    }

    /// Logs in where that is wanted; then goes on to the message, if one waits.
    pub(super) fn opened(&mut self, now: Instant) {
        if let Some(login) = self.settings.login.as_ref().filter(|_| !self.logged_in) {
            let Some((exchange, command)) = login.begin(self.offers.auth, self.secured) else {
                return self.not_opened(Cause::NoMechanism);
            };
            (self.login, self.login_line) = (Some(exchange), Some(command));
            if let State::Opening { hello: next, .. } = &mut self.state {
                *next = Step::Auth;
            }
            return;
        }
        if let State::Opening { waiting: Some(transaction), .. } =
            std::mem::replace(&mut self.state, State::Idle)
        {
            self.begin(now, transaction, true);
        } else {
            self.settle(Ok(None));
        }
    }

    /// Takes leave: there is nothing to be had here.
    fn not_opened(&mut self, cause: Cause) {
        self.leaving = true;
        if let State::Opening { waiting: Some(transaction), .. } =
            std::mem::replace(&mut self.state, State::Idle)
        {
            let outcomes = vec![Outcome::Deferred(cause); transaction.recipients.len()];
            self.actions.push_back(SendingAction::Result(outcomes));
        } else {
            self.settle(Err(cause));
        }
    }
}
