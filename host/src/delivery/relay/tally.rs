//! What came of the servers that were tried with a message, one after the other, and what all of that comes to.
//! Knows no connection and no queue.

use stagepost_smtp::Outcome;

use super::connection::ConnectError;
use super::error::RelayError;
use super::outcome::{told, told_of_refusal};
use super::requiring::Unable;
use super::standing::{is_broken_off, is_for_want_of_tls, of_outcomes, of_refusal};
use crate::delivery::demand::{Unmet, Wants};
use crate::delivery::servers::{NoServer, Server};
use crate::delivery::tls_wish::TlsWish;
use crate::delivery::transport::{Carried, Onward};

/// What came of one server.
pub(super) enum Tried {
    /// It was talked to about the message, as far as it let us; what it delivered has this before it.
    Done(Vec<Outcome>, Onward),
    /// It did not come to that: another server may be better.
    Refused(Vec<Outcome>),
    Unreachable(ConnectError),
    /// It can't be what it has to be.
    Unmet(Unmet),
    /// The message can't go to it as it is to go.
    Unable(Unable),
}

impl Tried {
    /// Whether others are better tried before it for a while. `wish`: what the sender of the message asked of its TLS.
    pub(super) fn is_in_vain(&self, wish: TlsWish) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused(outcomes) => {
                wish != TlsWish::Required && outcomes.iter().all(is_for_want_of_tls)
            }
            Self::Done(..) | Self::Unmet(_) | Self::Unable(_) => false,
        }
    }
}

/// What came of all of them so far.
pub(super) struct Tally {
    /// What the sender of the message asks of TLS.
    wish: TlsWish,
    done: Option<Carried>,
    refused: Option<Carried>,
    unreachable: Option<RelayError>,
    unable: Option<RelayError>,
}

impl Tally {
    /// Nothing yet.
    pub(super) fn new(wish: TlsWish) -> Self {
        Self { wish, done: None, refused: None, unreachable: None, unable: None }
    }

    /// Notes what came of a server, of which this was wanted; whether that is all.
    pub(super) fn note(&mut self, server: &Server, wants: Wants, tried: Tried) -> bool {
        let server_shown = || server.shown.clone();
        match tried {
            Tried::Done(outcomes, onward) => {
                let standing = of_outcomes(&outcomes);
                let broken_off = outcomes.iter().all(is_broken_off);
                let told = |outcome| told(&server.shown, onward, outcome);
                let outcomes = outcomes.into_iter().map(told).collect();
                // RFC 5321 section 5.1: each of the servers is to be tried. It stands when no other one is better.
                let place = if broken_off { &mut self.refused } else { &mut self.done };
                *place = Some(Carried { outcomes, standing });
            }
            Tried::Refused(outcomes) => {
                let standing = of_refusal(&outcomes, self.wish == TlsWish::Required);
                let told = |outcome| told_of_refusal(&server.shown, wants, outcome);
                let outcomes = outcomes.into_iter().map(told).collect();
                self.refused = Some(Carried { outcomes, standing });
            }
            Tried::Unreachable(error) => {
                self.unreachable = Some(RelayError::Connect { server: server_shown(), error });
            }
            Tried::Unmet(error) => {
                self.unreachable = Some(RelayError::Unmet { server: server_shown(), error });
            }
            Tried::Unable(error) => {
                // That a server is one, and does not promise, says more than that there was none.
                let promises = matches!(
                    self.unable,
                    Some(RelayError::Unable { error: Unable::Promise(_), .. })
                );
                if !promises {
                    self.unable = Some(RelayError::Unable { server: server_shown(), error });
                }
            }
        }
        self.done.is_some()
    }

    /// Whether none of them can be given the message, today or tomorrow, as it is to go.
    pub(super) fn is_unable(&self) -> bool {
        let open = self.done.is_some() || self.refused.is_some() || self.unreachable.is_some();
        !open && self.unable.is_some()
    }

    /// What it all comes to. What a server said tells more than that another one is down; and as long as one of them may be
    /// better another day, what can't be had of the others ends nothing.
    pub(super) fn ended(self) -> Result<Carried, RelayError> {
        let Self { done, refused, unreachable, unable, .. } = self;
        match (done.or(refused), unreachable.or(unable)) {
            (Some(carried), _) => Ok(carried),
            (None, Some(error)) => Err(error),
            (None, None) => Err(RelayError::NoServer(NoServer::MxWithoutAddress)),
        }
    }
}
