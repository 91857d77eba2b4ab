//! A command line from its CRLF to its parsing: framed, shown to plug-ins, perhaps rewritten by them.
//! Knows no command's meaning.

use std::sync::Arc;

use super::command::{self, Command, is_for_session_alone};
use super::extensions::Extension;
use super::grammar::Grammar;
use super::line::{BadLine, Framing, LineFault};
use super::patience::Enough;
use super::proceed::ok;
use super::rewrite::{RewriteError, check_rewrite};
use super::ruling::{self, Ruling};
use super::session::Session;
use super::state::{Answer, Place, Then};
use crate::{
    Attributed, Change, Decision, DisconnectReason, Edit, Event, Question, Reply, Secret, Stage,
};

/// A line that was read as a command, or the reply to one that is none.
pub(super) type Parsed = Result<(&'static command::Rule, Command), Reply>;

impl Session {
    /// Takes the next line: before(COMMAND).
    pub(super) fn read_command(&mut self) -> bool {
        // A message that comes in chunks is finished before.
        if self.shutting_down && !matches!(self.place, Place::Chunks(_)) {
            let answer = self.closing_down();
            self.say(answer);
            return true;
        }
        let octets_max = self.settings.limits.line_octets_max;
        let utf8 = self.grammar().has(Extension::SmtpUtf8);
        let Some(frame) = self.framer.next(&mut self.input, octets_max, utf8) else {
            self.input.release();
            return false;
        };
        let octets = match frame {
            Ok(octets) => octets,
            Err(line) => {
                self.refuse_line(line);
                return true;
            }
        };
        self.exchange += 1;
        let line = &self.input.unread()[..octets];
        let framing = Framing::of(line);
        self.hello = command::is_hello(line);
        let foreign = std::str::from_utf8(line).is_ok_and(command::is_foreign);
        let enough = self.has_enough().or_else(|| match framing {
            Framing::Unknown => Some(Enough::Chunk),
            _ => foreign.then_some(Enough::Foreign),
        });
        if let Some(enough) = enough {
            self.say(self.marked(self.farewell(enough)));
            return true;
        }
        // Words of a login whose AUTH was refused, perhaps: a client that does not wait for the reply sends them all the same.
        let known = command::is_known(line, self.grammar());
        let stray = self.behind_auth && !known;
        self.behind_auth = stray || command::is_auth(line);
        if stray || self.is_unwelcome() || !self.asks_about_lines() {
            let parsed = parse(line, self.grammar());
            // What is no command may be a password.
            self.line_in_hand = known.then(|| shown(line));
            self.input.wipe(octets + 2);
            self.run(parsed, framing, Vec::new());
            return true;
        }
        let whole = has_secret(line).then(|| Secret::new(line.to_vec()));
        let line = shown(line);
        self.input.wipe(octets + 2);
        if known || self.interest.contains(Event::Command, Stage::After) {
            self.line_in_hand = Some(line.clone());
        }
        let then = Then::Run { line, whole, framing };
        let question = |_: &Self, then: &Then| match then {
            Then::Run { line, .. } => Some(Question::Command { line: line.clone() }),
            _ => None,
        };
        if let Some(Then::Run { line, whole, framing }) =
            self.ask(Event::Command, Stage::Before, then, question)
        {
            let parsed = parse(whole.as_ref().map_or(&line, Secret::expose), self.grammar());
            self.run(parsed, framing, Vec::new());
        }
        true
    }

    /// Goes on with a line that plug-ins have seen.
    pub(super) fn decided_run(
        &mut self,
        line: Arc<[u8]>,
        whole: Option<Secret>,
        framing: Framing,
        decision: Decision,
        mut edits: Vec<Attributed>,
    ) {
        let answerable = !is_for_session_alone(&line);
        let answer = match ruling::rule(Event::Command, answerable, decision) {
            Ruling::Proceed => {
                edits.retain(|edit| matches!(edit.edit, Edit::ReplaceCommand(_)));
                return self.run_rewritten(line, whole.as_ref(), framing, edits);
            }
            Ruling::Handled(reply) => Answer::plain(reply.unwrap_or_else(ok)),
            Ruling::Refuse(reply) => {
                self.tally.refusals += 1;
                Answer::plain(reply)
            }
            Ruling::Disconnect(reply) => Answer::last(reply, DisconnectReason::Refused),
        };
        self.answer_framed(framing, answer);
    }

    /// Goes on with a line as plug-ins rewrote it. Its framing stays that of the line received.
    fn run_rewritten(
        &mut self,
        mut line: Arc<[u8]>,
        whole: Option<&Secret>,
        framing: Framing,
        mut rewrites: Vec<Attributed>,
    ) {
        for Attributed { plugin, edit, changes, .. } in &mut rewrites {
            let Edit::ReplaceCommand(new) = edit else { continue };
            let (octets, octets_max) = (new.len() + 2, self.settings.limits.line_octets_max);
            let checked = match octets > octets_max {
                true => Err(RewriteError::TooLong { octets, octets_max }),
                false => check_rewrite(&line, new),
            };
            if let Err(error) = checked {
                let reply = self.blame(plugin.clone(), error.into());
                return self.answer_framed(framing, Answer::plain(reply));
            }
            let from = String::from_utf8_lossy(&line).into();
            changes.push(Change::Command { from, to: new.clone() });
            line = new.as_bytes().into();
        }
        if !rewrites.is_empty() && self.line_in_hand.is_some() {
            self.line_in_hand = Some(line.clone());
        }
        // The line of AUTH stays as it came.
        let parsed = parse(whole.map_or(&line, Secret::expose), self.grammar());
        self.run(parsed, framing, rewrites);
    }

    /// A line that is none: shown to no plug-in, which get command lines. When it began like BDAT, octets come next that nobody
    /// could tell from commands: better no next.
    fn refuse_line(&mut self, line: BadLine) {
        let reply = line.fault.reply();
        let answer = match (self.has_enough(), line.chunk) {
            (Some(enough), _) => self.farewell(enough),
            (None, true) => Answer::last(ruling::unavailable(reply), DisconnectReason::Refused),
            (None, false) => Answer::plain(reply),
        };
        self.tally.errors += 1;
        self.say(answer);
    }

    /// Whether the client was refused at the door: its QUIT is no event, and nothing else is carried out.
    pub(super) fn is_unwelcome(&self) -> bool {
        matches!(self.place, Place::Unwelcome)
    }

    fn asks_about_lines(&self) -> bool {
        let asked = |stage| self.interest.contains(Event::Command, stage);
        asked(Stage::Before) || asked(Stage::After)
    }
}

/// Framing has let pass printable ASCII, and UTF-8 where a command may have it.
fn parse(line: &[u8], grammar: Grammar<'_>) -> Parsed {
    match std::str::from_utf8(line) {
        Ok(line) => command::parse(line, grammar),
        Err(_) => Err(LineFault::EightBit.reply()),
    }
}

/// Whether a line is AUTH with words behind the mechanism.
fn has_secret(line: &[u8]) -> bool {
    command::is_auth(line) && line.splitn(3, |&octet| octet == b' ').nth(2).is_some()
}

/// The line as plug-ins may see it: without what AUTH says of secrets.
fn shown(line: &[u8]) -> Arc<[u8]> {
    let mut words = line.splitn(3, |&octet| octet == b' ');
    match (words.next(), words.next()) {
        (Some(verb), Some(mechanism)) if has_secret(line) => {
            [verb, mechanism, b"*"].join(&b' ').into()
        }
        _ => line.into(),
    }
}
