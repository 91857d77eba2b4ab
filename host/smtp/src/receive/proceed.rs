//! What each command does, once framed, checked and let pass (RFC 5321 section 4.1.1).
//! Everything that changes the session for a command is here.

use std::sync::Arc;

use super::admit::Work;
use super::check;
use super::command::{self, Command, Doer, Mail, Rcpt};
use super::extension;
use super::line::{Framing, LineFault};
use super::rewrite::{RewriteError, check_rewrite};
use super::ruling::{self, Ruling};
use super::session::{Outgoing, Session};
use super::settings::Settings;
use super::state::{Answer, Next, Place, Step, Then};
use super::transaction::{Crowded, Transaction};
use crate::{
    Attributed, Change, Claims, Class, Decision, DisconnectReason, Edit, EditFault, EtrnNode,
    Event, Helo, Question, Reply, Route, Stage, VrfyVerb,
};

/// The replies that need no thought.
const OK: &str = "Ok";
const HELP: &str = "Commands: EHLO HELO MAIL RCPT DATA RSET NOOP QUIT VRFY ETRN HELP\n\
                    RFC 5321 says what they do";

impl Session {
    /// The session begins: before(CONNECT).
    pub(super) fn open(&mut self) -> bool {
        let question = |_: &Self, _: &Then| Some(Question::Connect);
        if let Some(Then::Welcome) =
            self.ask(Event::Connect, Stage::Before, Then::Welcome, question)
        {
            self.decided_welcome(Decision::Continue);
        }
        true
    }

    /// Greets or refuses (RFC 5321 sections 3.1 and 4.2.3); after(CONNECT).
    pub(super) fn decided_welcome(&mut self, decision: Decision) {
        let refused = DisconnectReason::Refused;
        let answer = match ruling::rule(Event::Connect, true, decision) {
            _ if self.shutting_down => {
                let Answer { reply, next } = self.closing_down();
                Answer { reply: ruling::greeting(&reply), next }
            }
            Ruling::Refuse(reply) if reply.class() == Class::Permanent => {
                self.place = Place::Unwelcome;
                Answer::plain(ruling::greeting(&reply))
            }
            // "Not now" is 421, which closes.
            Ruling::Refuse(reply) | Ruling::Disconnect(reply) => {
                Answer::last(ruling::greeting(&reply), refused)
            }
            Ruling::Proceed | Ruling::Handled(_) => {
                let Settings { hostname, banner, .. } = &*self.settings;
                Answer::plain(Reply::introduction(220, hostname, banner, &[]))
            }
        };
        let question = |_: &Self, _: &Then| Some(Question::Connect);
        let then = Then::Say(answer);
        if let Some(Then::Say(answer)) = self.ask(Event::Connect, Stage::After, then, question) {
            self.say(answer);
        }
    }

    /// Takes the next line: before(COMMAND).
    pub(super) fn read_command(&mut self) -> bool {
        if self.shutting_down {
            let answer = self.closing_down();
            self.say(answer);
            return true;
        }
        let octets_max = self.settings.limits.line_octets_max;
        let Some(frame) = self.framer.next(&mut self.input, octets_max) else {
            self.input.release();
            return false;
        };
        let octets = match frame {
            Ok(octets) => octets,
            Err(fault) => {
                self.refuse_line(fault);
                return true;
            }
        };
        self.exchange += 1;
        let line = &self.input.unread()[..octets];
        let framing = Framing::of(line);
        self.hello = command::is_hello(line);
        let foreign = std::str::from_utf8(line).is_ok_and(command::is_foreign);
        if foreign || self.is_tiresome() || self.is_endless(framing) {
            let words = format!("{} closing the connection", self.settings.hostname);
            let reply = Reply::new(421, Some((4, 7, 0)), words);
            let answer = Answer::last(reply, DisconnectReason::Refused);
            self.say(self.marked(answer));
            return true;
        }
        if self.is_unwelcome() || !self.asks_about_lines() {
            let parsed = parse(line, self.claims());
            self.input.consume(octets + 2);
            self.run(parsed, framing, Vec::new());
            return true;
        }
        let line = shown(line);
        self.input.consume(octets + 2);
        if self.interest.contains(Event::Command, Stage::After) {
            self.line_in_hand = Some(line.clone());
        }
        let then = Then::Run { line, framing };
        let question = |_: &Self, then: &Then| match then {
            Then::Run { line, .. } => Some(Question::Command { line: line.clone() }),
            _ => None,
        };
        if let Some(Then::Run { line, framing }) =
            self.ask(Event::Command, Stage::Before, then, question)
        {
            let parsed = parse(&line, self.claims());
            self.run(parsed, framing, Vec::new());
        }
        true
    }

    /// Goes on with a line that plug-ins have seen.
    pub(super) fn decided_run(
        &mut self,
        line: Box<[u8]>,
        framing: Framing,
        decision: Decision,
        mut edits: Vec<Attributed>,
    ) {
        let answerable = command::doer(&line) == Doer::Anybody;
        let answer = match ruling::rule(Event::Command, answerable, decision) {
            Ruling::Proceed => {
                edits.retain(|edit| matches!(edit.edit, Edit::ReplaceCommand(_)));
                return self.run_rewritten(line, framing, edits);
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
        mut line: Box<[u8]>,
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
        let parsed = parse(&line, self.claims());
        self.run(parsed, framing, rewrites);
    }

    /// Checks a parsed line: before of its own stage.
    fn run(&mut self, parsed: Parsed, framing: Framing, rewrites: Vec<Attributed>) {
        let command = match self.check(parsed) {
            Ok(command) => command,
            Err(reply) => {
                self.tally.errors += u32::from(reply.class() == Class::Permanent);
                return self.answer_framed(framing, Answer::plain(reply));
            }
        };
        if command == Command::StartTls
            && let Some(answer) = self.check_nothing_behind()
        {
            return self.conclude_command(answer);
        }
        let Some(event) = command.event().filter(|_| !self.is_unwelcome()) else {
            return self.proceed(command, rewrites);
        };
        let question = |session: &Self, then: &Then| match then {
            Then::Proceed { command: Command::Hello { name, extended: true }, .. } => {
                Some(session.question_ehlo(name.clone(), true, &session.keywords()))
            }
            Then::Proceed { command, .. } => command.question(),
            _ => None,
        };
        let then = Then::Proceed { command, rewrites };
        if let Some(Then::Proceed { command, rewrites }) =
            self.ask(event, Stage::Before, then, question)
        {
            self.proceed(command, rewrites);
        }
    }

    /// Everything that the core has against a command. Pure.
    fn check(&self, parsed: Parsed) -> Result<Command, Reply> {
        let limits = &self.settings.limits;
        let known = parsed.as_ref().ok().map(|(_, command)| command);
        if let Some(reply) = check::check_welcome(known, &self.place) {
            return Err(reply);
        }
        let (rule, command) = parsed?;
        let recipients = match &self.place {
            Place::Transaction(transaction) => transaction.envelope.recipients.len(),
            _ => 0,
        };
        let extended = self.facts.helo.as_ref().is_some_and(|helo| helo.extended);
        let offered = || check::check_offered(rule, &command, |keyword| self.withholds(keyword));
        let offered = || if self.withheld.is_empty() { None } else { offered() };
        let (starttls, secured) = (self.settings.starttls, self.facts.tls.is_some());
        let unprotected = match command {
            Command::StartTls => check::check_starttls(starttls, secured),
            _ => check::check_secured(&command, starttls, secured),
        };
        let in_order = || check::check_order(rule, &self.place);
        let refused = unprotected.or_else(in_order).or_else(offered).or_else(|| match &command {
            Command::Mail(mail) => check::check_mail(mail, extended, limits),
            Command::Rcpt(_) => check::check_rcpt(recipients, limits),
            Command::Data => check::check_data(recipients),
            _ => None,
        });
        refused.map_or(Ok(command), Err)
    }

    /// Goes on with a command that plug-ins were asked about.
    pub(super) fn decided_proceed(
        &mut self,
        mut command: Command,
        decision: Decision,
        edits: Vec<Attributed>,
    ) {
        let event = command.event().unwrap_or(Event::Command);
        let answer = match ruling::rule(event, true, decision) {
            Ruling::Proceed => {
                command.edit(&edits);
                return self.proceed(command, edits);
            }
            Ruling::Handled(reply) => Answer::plain(reply.unwrap_or_else(|| handled(&command))),
            // Who says QUIT leaves, whatever the answer (RFC 5321 section 4.1.1.10).
            Ruling::Refuse(reply) | Ruling::Disconnect(reply) if command == Command::Quit => {
                Answer::last(reply, DisconnectReason::Quit)
            }
            Ruling::Refuse(reply) => {
                self.tally.refusals += 1;
                Answer::plain(reply)
            }
            Ruling::Disconnect(reply) => Answer::last(reply, DisconnectReason::Refused),
        };
        let question = match &command {
            // After it there is TLS.
            Command::StartTls => None,
            _ => self.question_after(&command),
        };
        self.conclude(question, answer);
    }

    /// Does what a command says.
    fn proceed(&mut self, command: Command, edits: Vec<Attributed>) {
        let question = match &command {
            // Asked once its route is known, and those of recipients that plug-ins add.
            Command::Hello { .. } | Command::Rcpt(_) | Command::Data => None,
            // Asked once there is TLS.
            Command::StartTls => None,
            _ => self.question_after(&command),
        };
        let plain = |code, enhanced, words| Answer::plain(Reply::new(code, Some(enhanced), words));
        let idle = matches!(
            command,
            Command::Noop
                | Command::Help
                | Command::Vrfy { .. }
                | Command::Claimed { .. }
                | Command::Rset
        );
        self.tally.idle_commands += u32::from(idle);
        let answer = match command {
            Command::Hello { name, extended } => {
                return self.proceed_hello(name, extended, &edits);
            }
            Command::Mail(mail) => self.proceed_mail(mail, edits),
            Command::Rcpt(rcpt) => {
                self.outgoing = Some(Outgoing::Route(rcpt.recipient.clone()));
                self.step = Step::Routing { rcpt, edits };
                return;
            }
            Command::Data => return self.admit(edits, Work::Data),
            Command::Rset => self.proceed_rset(),
            Command::Etrn(node) => self.proceed_etrn(&node),
            Command::StartTls => self.proceed_starttls(),
            Command::Noop => plain(250, (2, 0, 0), OK),
            Command::Help => plain(214, (2, 0, 0), HELP),
            // The same for everybody: it is no directory (RFC 5321 section 7.3).
            Command::Vrfy { verb: VrfyVerb::Vrfy, .. } => {
                plain(252, (2, 0, 0), "Send some mail, that will tell")
            }
            Command::Vrfy { verb: VrfyVerb::Expn, .. } => {
                plain(502, (5, 5, 1), "Command not implemented")
            }
            // Nobody has carried it out.
            Command::Claimed { .. } => plain(502, (5, 5, 1), "Command not implemented"),
            Command::Quit => self.proceed_quit(),
        };
        self.conclude(question, answer);
    }

    /// What is announced before plug-ins edit it.
    fn keywords(&self) -> String {
        let secured = self.facts.tls.is_some();
        extension::keywords(&self.settings, self.interest, self.claims(), secured)
    }

    fn question_ehlo(&self, name: Box<str>, extended: bool, keywords: &str) -> Question {
        Question::Ehlo { name, extended, keywords: keywords.into() }
    }

    fn proceed_hello(&mut self, name: Box<str>, extended: bool, edits: &[Attributed]) {
        let offered = if extended { self.keywords() } else { String::new() };
        let mut keywords = offered.clone();
        for Attributed { plugin, edit, .. } in edits.iter().filter(|_| extended) {
            extension::edit(&mut keywords, edit);
            if let Edit::AddKeyword { keyword, .. } = edit
                && !extension::fit(&keywords)
            {
                let fault = EditFault::Keywords { keyword: keyword.clone() };
                let reply = self.blame(plugin.clone(), fault);
                let question = self.question_after(&Command::Hello { name, extended });
                return self.conclude(question, Answer::plain(reply));
            }
        }
        self.withheld = extension::missing(&offered, &keywords);
        // RFC 5321 section 4.1.4: like RSET, and the new name counts.
        self.forget_transaction();
        if self.facts.helo.is_some() {
            self.tally.idle_commands += 1;
        }
        self.place = Place::Greeted;
        let asked = self.interest.contains(Event::Ehlo, Stage::After);
        let question = asked.then(|| self.question_ehlo(name.clone(), extended, &keywords));
        Arc::make_mut(&mut self.facts).helo = Some(Helo { name, extended });
        // To HELO no keywords.
        self.conclude(question, Answer::plain(extension::reply(&self.settings, &keywords)));
    }

    fn proceed_mail(&mut self, mail: Mail, edits: Vec<Attributed>) -> Answer {
        let mut transaction = Transaction::new(mail);
        if transaction.edit(edits).is_err() {
            return self.refuse_crowd();
        }
        transaction.show(Arc::make_mut(&mut self.facts));
        self.place = Place::Transaction(Box::new(transaction));
        Answer::plain(Reply::new(250, Some((2, 1, 0)), OK))
    }

    /// Accepts a recipient that has a route or a grant; after(RCPT).
    pub(super) fn proceed_rcpt(&mut self, rcpt: Rcpt, edits: Vec<Attributed>, route: Route) {
        match check::check_route(route, self.facts.relay_granted()) {
            Some(reply) => self.refuse_rcpt(rcpt, reply),
            None => self.admit(edits, Work::Rcpt(rcpt)),
        }
    }

    pub(super) fn refuse_rcpt(&mut self, rcpt: Rcpt, reply: Reply) {
        self.tally.refusals += 1;
        let question = self.question_after(&Command::Rcpt(rcpt));
        self.conclude(question, Answer::plain(reply));
    }

    /// The recipient and those added for it have routes or a grant.
    pub(super) fn admitted_rcpt(&mut self, rcpt: Rcpt, edits: Vec<Attributed>) {
        let question = self.question_after(&Command::Rcpt(rcpt.clone()));
        let mut answer = Answer::plain(Reply::new(250, Some((2, 1, 5)), OK));
        if let Place::Transaction(transaction) = &mut self.place {
            let recipient = rcpt.recipient.clone();
            let alone = !edits.iter().any(|edit| edit.edit.is_in_facts());
            match transaction.add(rcpt, edits) {
                Ok(true) if alone => Arc::make_mut(&mut self.facts).recipients.push(recipient),
                Ok(true) => transaction.show(Arc::make_mut(&mut self.facts)),
                Ok(false) => self.tally.idle_commands += 1,
                Err(Crowded) => answer = self.refuse_crowd(),
            }
        }
        self.conclude(question, answer);
    }

    fn refuse_crowd(&mut self) -> Answer {
        self.tally.refusals += 1;
        Answer::plain(check::crowded())
    }

    /// The recipients added at DATA have routes or a grant; after(DATA).
    pub(super) fn admitted_data(&mut self, edits: Vec<Attributed>) {
        if let Place::Transaction(mut transaction) =
            std::mem::replace(&mut self.place, Place::Greeted)
        {
            let edited = self.edit_transaction(&mut transaction, edits);
            self.place = Place::Transaction(transaction);
            if let Err(reply) = edited {
                return self.refuse_data(reply);
            }
        }
        let reply = Reply::new(354, None, "End data with <CR><LF>.<CR><LF>");
        let question = self.question_after(&Command::Data);
        self.conclude(question, Answer { reply, next: Next::Message });
    }

    pub(super) fn refuse_data(&mut self, reply: Reply) {
        self.tally.refusals += 1;
        let question = self.question_after(&Command::Data);
        self.conclude(question, Answer::plain(reply));
    }

    fn proceed_rset(&mut self) -> Answer {
        self.forget_transaction();
        Answer::plain(ok())
    }

    /// No mail is held by the core: whoever holds some answers before it comes to this (RFC 1985 section 5.2).
    fn proceed_etrn(&mut self, node: &EtrnNode) -> Answer {
        self.tally.idle_commands += 1;
        let words = format!("Node {} not allowed: no mail is held for it here", name(node));
        Answer::plain(Reply::new(459, Some((4, 7, 1)), words))
    }

    fn proceed_quit(&mut self) -> Answer {
        self.forget_transaction();
        let words = format!("{} closing the connection", self.settings.hostname);
        Answer::last(Reply::new(221, Some((2, 0, 0)), words), DisconnectReason::Quit)
    }

    /// Answers a line, once the octets that belong to it are gone (RFC 3030 section 2).
    fn answer_framed(&mut self, framing: Framing, answer: Answer) {
        match (framing, &answer.next) {
            (Framing::Chunk(octets), Next::Command) => {
                self.since = self.now;
                self.step = Step::Swallowing { octets, answer };
            }
            _ => self.conclude_command(answer),
        }
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
        if let Step::Swallowing { answer, .. } = std::mem::replace(&mut self.step, Step::Ready) {
            self.conclude_command(answer);
        }
        true
    }

    /// The session ends because the server does (RFC 5321 section 3.8).
    fn closing_down(&self) -> Answer {
        let words = format!("{} shutting down", self.settings.hostname);
        let reply = Reply::new(421, Some((4, 3, 2)), words);
        Answer::last(reply, DisconnectReason::Shutdown)
    }

    /// A line that is none: shown to no plug-in, which get command lines. When it began like BDAT, its octets would come next: better no next.
    fn refuse_line(&mut self, fault: LineFault) {
        self.tally.errors += 1;
        let answer = match fault {
            LineFault::TooLong { chunk: true } => {
                Answer::last(ruling::unavailable(fault.reply()), DisconnectReason::Refused)
            }
            _ => Answer::plain(fault.reply()),
        };
        self.say(answer);
    }

    /// Whether a client has used up the patience of the limits.
    fn is_tiresome(&self) -> bool {
        let (tally, limits) = (&self.tally, &self.settings.limits);
        tally.errors >= limits.errors_max
            || tally.refusals >= limits.refusals_max
            || tally.idle_commands >= limits.idle_commands_max
    }

    /// Whether octets follow of which nobody knows the end, or more than any message may have.
    fn is_endless(&self, framing: Framing) -> bool {
        match framing {
            Framing::Unknown => true,
            Framing::Chunk(octets) => octets > self.settings.limits.message_octets_max,
            Framing::Line => false,
        }
    }

    /// Whether the client was refused at the door: its QUIT is no event, and nothing else is carried out.
    fn is_unwelcome(&self) -> bool {
        matches!(self.place, Place::Unwelcome)
    }

    fn asks_about_lines(&self) -> bool {
        let asked = |stage| self.interest.contains(Event::Command, stage);
        asked(Stage::Before) || asked(Stage::After)
    }

    fn question_after(&self, command: &Command) -> Option<Question> {
        let wanted = |event| self.interest.contains(event, Stage::After) && !self.is_unwelcome();
        command.question().filter(|_| command.event().is_some_and(wanted))
    }
}

type Parsed = Result<(&'static command::Rule, Command), Reply>;

/// Framing has let pass printable ASCII only.
fn parse(line: &[u8], claims: &Claims) -> Parsed {
    match std::str::from_utf8(line) {
        Ok(line) => command::parse(line, claims),
        Err(_) => Err(LineFault::EightBit.reply()),
    }
}

/// The line as plug-ins may see it: without what AUTH says of secrets.
fn shown(line: &[u8]) -> Box<[u8]> {
    let mut words = line.splitn(3, |&octet| octet == b' ');
    match (words.next(), words.next(), words.next()) {
        (Some(verb), Some(mechanism), Some(_)) if verb.eq_ignore_ascii_case(b"AUTH") => {
            [verb, mechanism, b"*"].join(&b' ').into()
        }
        _ => line.into(),
    }
}

/// The reply to what needs no more words.
pub(super) fn ok() -> Reply {
    Reply::new(250, Some((2, 0, 0)), OK)
}

/// The reply when a plug-in has done the work and gave no words.
fn handled(command: &Command) -> Reply {
    match command {
        Command::Etrn(node) => {
            let words = format!("Queuing for node {} started", name(node));
            Reply::new(250, Some((2, 0, 0)), words)
        }
        _ => ok(),
    }
}

fn name(node: &EtrnNode) -> &str {
    match node {
        EtrnNode::Host(name) | EtrnNode::Domain(name) | EtrnNode::Queue(name) => name,
    }
}
