//! ATRN: the connection is reversed, and the client is sent its mail over it (RFC 2645).
//! Knows no queue: plug-ins say which mail that is, and the connection sends it.

use std::time::Instant;

use super::command::{Command, syntax};
use super::session::{Outgoing, Session};
use super::state::{Answer, Next, Step};
use crate::{Attributed, DisconnectReason, Edit, Event, Reply, Reversal, Stage, check_domain};

/// The most domains of one command.
const DOMAINS_MAX: usize = 100;

/// The most destinations that plug-ins may name.
const DESTINATIONS_MAX: usize = 1000;

impl Edit {
    /// At ATRN: the mail that is sent over the connection. Each is a domain, with `@` before it a domain and all below it,
    /// or with `#` before it a queue; small letters.
    ///
    /// # Errors
    /// What is none, or none at all, or more than 1,000.
    pub fn reverse(destinations: &[&str]) -> Result<Self, ReversalError> {
        if !(1..=DESTINATIONS_MAX).contains(&destinations.len()) {
            return Err(ReversalError::Number(destinations.len()));
        }
        let destination = |text: &&str| {
            let sound = match text.strip_prefix('#') {
                Some(queue) => {
                    matches!(queue.len(), 1..=255)
                        && queue.bytes().all(|octet| octet.is_ascii_graphic())
                }
                None => check_domain(text.strip_prefix('@').unwrap_or(text)).is_ok(),
            };
            let lower: Box<str> = text.to_ascii_lowercase().into();
            if sound { Ok(lower) } else { Err(ReversalError::Destination(lower)) }
        };
        let destinations: Result<_, _> = destinations.iter().map(destination).collect();
        Ok(Self::Reverse(destinations?))
    }
}

/// Destinations that no connection can be reversed for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReversalError {
    /// Not 1 to 1,000.
    #[error("{0} destinations: 1 to 1000 are wanted")]
    Number(usize),
    /// Something that is none.
    #[error("{0:?} is no destination")]
    Destination(Box<str>),
}

impl Session {
    /// Whether there is ATRN: on a listener for it, and where a plug-in says whose mail it is. Pure.
    pub(super) fn has_atrn(&self) -> bool {
        self.settings.odmr && self.interest.contains(Event::Atrn, Stage::Before)
    }

    /// Whether a command has a place on a listener for ATRN, where no mail is taken (RFC 2645 section 5.1). Pure.
    pub(super) fn is_for_odmr(&self, command: &Command) -> bool {
        let known = self.facts.authenticated.is_some();
        match command {
            Command::Hello { .. } | Command::StartTls | Command::Auth { .. } => true,
            Command::Atrn { .. } | Command::Quit => true,
            Command::Noop | Command::Rset | Command::Help => known,
            _ => false,
        }
    }

    /// Nobody has said whose mail it would be: none of this client's is here.
    pub(super) fn proceed_atrn(&mut self) -> Answer {
        self.tally.idle_commands += 1;
        Answer::plain(Reply::new(450, Some((4, 7, 1)), "ATRN request refused"))
    }

    /// Has the connection reversed behind a reply that says so.
    pub(super) fn answer_reversing(
        &mut self,
        reply: Option<Reply>,
        edits: &[Attributed],
    ) -> Answer {
        let reversal = edits.iter().rev().find_map(|edit| match &edit.edit {
            Edit::Reverse(destinations) => {
                Some(Reversal { reply: Vec::new(), destinations: destinations.clone() })
            }
            _ => None,
        });
        self.reversal = reversal.map(Box::new);
        let words = "Ok, now reversing the connection";
        let reply = reply.unwrap_or_else(|| Reply::new(250, Some((2, 0, 0)), words));
        Answer { reply, next: Next::Reverse }
    }

    /// The reply is composed: from here on the client is the server. Whatever it has sent behind the command was sent as a
    /// client, and counts no more.
    pub(super) fn reverse(&mut self, reply: Vec<u8>) {
        self.input.clear();
        self.input.release();
        let destinations = self.reversal.take().map(|reversal| reversal.destinations);
        let destinations = destinations.unwrap_or_default();
        self.outgoing = Some(Outgoing::Reverse(Reversal { reply, destinations }));
        self.step = Step::Reversed;
    }

    /// The answer to [`crate::Action::Reverse`]: the other conversation is over, and so is the session.
    pub fn handle_reversed(&mut self, now: Instant) {
        self.now = now;
        match std::mem::replace(&mut self.step, Step::Closed) {
            Step::Reversed if self.outgoing.is_none() => {
                self.leave(DisconnectReason::Reversed);
            }
            step => self.ignore(step, "a reversal"),
        }
    }
}

/// Whether plug-ins have named mail to be sent.
pub(super) fn names_mail(edits: &[Attributed]) -> bool {
    edits.iter().any(|edit| matches!(edit.edit, Edit::Reverse(_)))
}

/// RFC 2645 section 5.2.1: `ATRN` [SP domain *("," domain)].
pub(super) fn domains(argument: &str) -> Result<Box<str>, Reply> {
    if argument.is_empty() {
        return Ok(Box::default());
    }
    let domains: Vec<&str> = argument.split(',').collect();
    let sound = |name: &&str| !name.starts_with('[') && check_domain(name).is_ok();
    if !domains.iter().all(sound) {
        return Err(syntax("Syntax: ATRN [domain[,domain...]]"));
    }
    if domains.len() > DOMAINS_MAX {
        return Err(syntax("Too many domains in one command"));
    }
    Ok(domains.join("\n").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_separated_by_commas() {
        let read = |argument: &str| domains(argument).map(|found| found.replace('\n', " "));
        assert_eq!(read(""), Ok(String::new()));
        assert_eq!(read("a.test"), Ok("a.test".to_owned()));
        assert_eq!(read("a.test,B.test"), Ok("a.test B.test".to_owned()));
        for argument in ["a.test,", ",a.test", "a.test, b.test", "[192.0.2.1]", "@a.test", "a b"] {
            assert_eq!(read(argument).map_err(|reply| reply.code()), Err(501), "{argument}");
        }
        assert!(read(&vec!["a"; 100].join(",")).is_ok());
        assert!(read(&vec!["a"; 101].join(",")).is_err());
    }

    #[test]
    fn destinations_are_domains_in_small_letters() {
        let made = Edit::reverse(&["A.test", "@b.Test", "[192.0.2.1]", "#Q"]);
        let wanted = ["a.test", "@b.test", "[192.0.2.1]", "#q"].map(Box::from);
        assert_eq!(made, Ok(Edit::Reverse(wanted.into())));
        assert_eq!(Edit::reverse(&[]), Err(ReversalError::Number(0)));
        let wrong = Err(ReversalError::Destination("a b".into()));
        assert_eq!(Edit::reverse(&["a.test", "a b"]), wrong);
        assert!(Edit::reverse(&["a"; 1001]).is_err());
    }
}
