//! What a client has done that brings no message, and when that is enough.
//! Knows the limits and their words; no command.

use super::command::syntax;
use super::ruling;
use super::session::Session;
use super::settings::Limits;
use super::state::Answer;
use crate::{DisconnectReason, Reply};

/// Recipients beyond those of one message that are each told to come later, and chunks behind one that was refused; the next
/// one ends the session. It leaves room for a client that has sent off a long list before it read the first reply.
const OVERRUN_MAX: u32 = 1000;

/// What a client did since its last accepted message.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) errors: u32,
    pub(super) refusals: u32,
    pub(super) idle_commands: u32,
    /// What is answered as before, however often.
    pub(super) overrun: u32,
}

/// Why a client is not heard any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Enough {
    Errors,
    Refusals,
    IdleCommands,
    Logins,
    Overrun,
    /// It speaks another protocol.
    Foreign,
    /// It says BDAT, and not how many octets follow.
    Chunk,
}

impl Tally {
    /// Whether patience has come to its end. `logins`: that were refused, which no message makes up for.
    fn enough(&self, logins: u32, limits: &Limits) -> Option<Enough> {
        match () {
            () if self.errors >= limits.errors_max => Some(Enough::Errors),
            () if self.refusals >= limits.refusals_max => Some(Enough::Refusals),
            () if self.idle_commands >= limits.idle_commands_max => Some(Enough::IdleCommands),
            () if logins >= limits.logins_refused_max => Some(Enough::Logins),
            () => None,
        }
    }

    /// Whether what was answered as before has become too much.
    pub(super) fn is_overrun(&self) -> bool {
        self.overrun > OVERRUN_MAX
    }
}

impl Enough {
    fn words(self) -> &'static str {
        match self {
            Self::Errors => "Too many errors",
            Self::Refusals | Self::Overrun => "Too many refused commands",
            Self::IdleCommands => "Too many commands without a message",
            Self::Logins => "Too many failed logins",
            Self::Foreign | Self::Chunk => "This is SMTP",
        }
    }
}

impl Session {
    /// Whether a client has used up the patience of the limits.
    pub(super) fn has_enough(&self) -> Option<Enough> {
        self.tally.enough(self.logins_refused, &self.settings.limits)
    }

    /// The end for who is not heard any more.
    pub(super) fn farewell(&self, enough: Enough) -> Answer {
        let reply = match enough {
            Enough::Chunk => ruling::unavailable(syntax("Syntax: BDAT octets [LAST]")),
            _ => {
                let (hostname, words) = (&self.settings.hostname, enough.words());
                let words = format!("{hostname} {words}, closing the connection");
                Reply::new(421, Some((4, 7, 0)), words)
            }
        };
        Answer::last(reply, DisconnectReason::Refused)
    }
}
