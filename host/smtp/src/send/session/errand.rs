//! What is asked for beside messages: to be opened, to log in, one command and its reply.
//! Knows no message, and no command by its name.

use std::time::Instant;

use super::{SendingAction, SendingSession, State};
use crate::send::login::SendingLogin;
use crate::send::outcome::{Cause, Outcome, Step};
use crate::{Class, Reply};

impl SendingSession {
    /// Has it told by [`SendingAction::Settled`] when the server is ready for whatever comes, or why it never is. To be called
    /// before the server has spoken.
    pub fn open(&mut self) {
        self.errand = matches!(self.state, State::Opening { waiting: None, .. });
    }

    /// Whether nothing is under way, so that something can be asked for.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle) && self.is_ready()
    }

    /// What the server offered in its reply to EHLO, a keyword with its parameters in each line.
    pub fn keywords(&self) -> &str {
        &self.keywords
    }

    /// Whether the connection is protected by TLS.
    pub fn is_secured(&self) -> bool {
        self.secured
    }

    /// Logs in; [`SendingAction::Settled`] tells how that ended. A login that comes to nothing ends the conversation.
    ///
    /// Returns false, and does nothing, when something is under way or we are somebody already.
    pub fn log_in(&mut self, now: Instant, login: SendingLogin) -> bool {
        if !self.is_idle() || self.logged_in {
            return false;
        }
        self.settings.login = Some(login);
        self.errand = true;
        self.state = State::Opening { hello: Step::Auth, waiting: None };
        self.opened(now);
        self.advance(now);
        true
    }

    /// Says one command, a line without its end; [`SendingAction::Settled`] has the reply.
    ///
    /// Returns false, and does nothing, when something is under way, or for what is no line.
    pub fn command(&mut self, now: Instant, line: &str) -> bool {
        self.say_errand(now, line, false)
    }

    /// The same of a command behind which, once the server has answered it with 250, the connection is somebody else's: the
    /// conversation is over then, and what came behind that reply is dropped.
    pub fn hand_over(&mut self, now: Instant, line: &str) -> bool {
        self.say_errand(now, line, true)
    }

    /// Whether the connection is somebody else's.
    pub fn is_handed_over(&self) -> bool {
        self.handed_over
    }

    fn say_errand(&mut self, now: Instant, line: &str, hands_over: bool) -> bool {
        if !self.is_idle() || line.bytes().any(|octet| !matches!(octet, b' '..=b'~')) {
            return false;
        }
        self.errand = true;
        self.state = State::Command { hands_over };
        self.send(Step::Command, format!("{line}\r\n"));
        self.arm(now);
        true
    }

    pub(super) fn take_command(&mut self, reply: Reply) {
        if reply.class() == Class::Intermediate {
            // The server waits for what nobody is going to say.
            let cause = Cause::Replied { step: Step::Command, reply };
            return self.end(&Outcome::Deferred(cause));
        }
        self.handed_over =
            matches!(self.state, State::Command { hands_over: true }) && reply.code() == 250;
        self.state = if self.handed_over { State::Over } else { State::Idle };
        self.settle(Ok(Some(reply)));
    }

    /// Tells how it ended, if something was asked for.
    pub(super) fn settle(&mut self, ended: Result<Option<Reply>, Cause>) {
        if std::mem::take(&mut self.errand) {
            self.actions.push_back(SendingAction::Settled(ended));
        }
    }

    /// The same when the conversation has ended so.
    pub(super) fn settle_by(&mut self, outcome: &Outcome) {
        if let Outcome::Deferred(cause) | Outcome::Failed(cause) = outcome {
            self.settle(Err(cause.clone()));
        }
    }
}
