//! What each command does, once framed, checked and let pass (RFC 5321 section 4.1.1).
//! Everything that changes the session for a command is here.

use std::sync::Arc;

use super::admit::Work;
use super::atrn;
use super::check;
use super::command::{Command, Mail, Rcpt};
use super::command_line::Parsed;
use super::line::Framing;
use super::patience::Enough;
use super::ruling::{self, Ruling};
use super::session::{Outgoing, Session};
use super::state::{Answer, Next, Place, Step, Then};
use super::transaction::{Crowded, Named, Transaction};
use super::vrfy;
use super::xclient::Xclient;
use crate::{
    Attributed, Chunk, Class, Decision, DisconnectReason, EtrnNode, Event, Interest, MessageSlots,
    Question, Reply, Route, Stage, Vrfy, VrfyVerb,
};

/// The words that need no thought.
const OK: &str = "Ok";

impl Session {
    /// Checks a parsed line: before of its own stage.
    pub(super) fn run(&mut self, parsed: Parsed, framing: Framing, rewrites: Vec<Attributed>) {
        let command = match self.check(parsed) {
            Ok(command) => command,
            Err(reply) => {
                // Chunks behind one that was refused have been sent already.
                let again = matches!(self.place, Place::Failed(_)) && framing != Framing::Line;
                let class = reply.class();
                self.tally.errors += u32::from(!again && class == Class::Permanent);
                // Nothing but one more recipient is refused for now: who goes on does not listen, nor who goes on with chunks.
                self.tally.overrun += u32::from(again || class == Class::Transient);
                let answer = match self.tally.is_overrun() {
                    true => self.farewell(Enough::Overrun),
                    false => Answer::plain(reply),
                };
                return self.answer_framed(framing, answer);
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
        // Who cares for nothing keeps nothing.
        if event == Event::Mail && self.interest != Interest::NONE {
            Arc::make_mut(&mut self.facts).slots = Some(MessageSlots::default());
        }
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
        let (rule, mut command) = parsed?;
        if let Command::Bdat { first, .. } = &mut command {
            *first = matches!(self.place, Place::Transaction(_));
        }
        let extended = self.facts.helo.as_ref().is_some_and(|helo| helo.extended);
        let offered = || check::check_offered(rule, &command, |keyword| self.withholds(keyword));
        let offered = || if self.withheld.is_empty() { None } else { offered() };
        let (starttls, secured) = (self.settings.starttls, self.facts.tls.is_some());
        let unprotected = match command {
            _ if self.settings.odmr && !self.is_for_odmr(&command) => Some(check::not_offered()),
            Command::Atrn { .. } if !self.has_atrn() => Some(check::not_offered()),
            Command::StartTls => check::check_starttls(starttls, secured),
            Command::Vrfy { .. } if self.settings.vrfy == Vrfy::Off => Some(check::not_offered()),
            Command::Xclient { .. } if !self.xclient => Some(check::not_offered()),
            Command::Auth { .. } if !self.has_auth() => Some(check::not_offered()),
            _ => check::check_secured(&command, starttls, secured),
        };
        let in_order = || match (&command, &self.place) {
            (Command::Bdat { .. }, Place::Failed(_)) => None,
            _ => check::check_order(rule, &self.place),
        };
        let (auth, known) = (&self.settings.auth, self.facts.authenticated.is_some());
        let logged_in = || check::check_authenticated(&command, auth, known);
        let refused = unprotected.or_else(in_order).or_else(logged_in).or_else(offered);
        let refused = refused.or_else(|| match &command {
            Command::Mail(Mail { parameters, .. }) | Command::Rcpt(Rcpt { parameters, .. }) => {
                check::check_parameters(parameters, extended)
            }
            _ => None,
        });
        let refused = refused.or_else(|| match (&command, &self.place) {
            (Command::Mail(mail), _) if mail.parameters.is_empty() => None,
            (Command::Mail(mail), _) => check::check_mail(mail, self.offer()),
            (Command::Auth { mechanism, .. }, _) => self.check_auth(mechanism),
            (Command::Rcpt(rcpt), Place::Transaction(transaction)) => {
                check::check_rcpt(rcpt, transaction, limits)
            }
            (Command::Data, Place::Transaction(transaction)) => check::check_data(transaction),
            (Command::Bdat { .. }, place) => check::check_chunk(place, extended),
            (Command::Xclient { argument }, _) => Xclient::parse(argument).err(),
            (Command::Atrn { argument }, _) => atrn::domains(argument).err(),
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
        // Nobody can be sent mail that is nobody's.
        let answerable = event != Event::Atrn || atrn::names_mail(&edits);
        let answer = match ruling::rule(event, answerable, decision) {
            Ruling::Proceed => {
                command.edit(&edits);
                return self.proceed(command, edits);
            }
            Ruling::Handled(reply) if event == Event::Atrn => self.answer_reversing(reply, &edits),
            Ruling::Handled(reply) => {
                let idle = matches!(event, Event::Etrn | Event::Vrfy);
                self.tally.idle_commands += u32::from(idle);
                Answer::plain(reply.unwrap_or_else(|| handled(&command)))
            }
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
        if let Command::Bdat { chunk, .. } = &command {
            return self.answer_chunk(*chunk, self.question_after(&command), answer);
        }
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
            Command::Hello { .. } | Command::Rcpt(_) | Command::Data | Command::Bdat { .. } => None,
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
                | Command::Bdat { chunk: Chunk { octets: 0, last: false }, .. }
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
            Command::Bdat { chunk, first: true } => return self.admit(edits, Work::Chunk(chunk)),
            Command::Bdat { chunk, first: false } => return self.proceed_chunk(chunk),
            Command::Rset => self.proceed_rset(),
            Command::Etrn(node) => self.proceed_etrn(&node),
            Command::Atrn { .. } => self.proceed_atrn(),
            Command::StartTls => self.proceed_starttls(),
            Command::Auth { mechanism, initial } => return self.proceed_auth(&mechanism, initial),
            Command::Noop => plain(250, (2, 0, 0), OK),
            Command::Help => Answer::plain(Reply::new(214, Some((2, 0, 0)), self.help())),
            Command::Vrfy { verb: VrfyVerb::Vrfy, argument } => {
                match vrfy::address(&argument).filter(|_| self.settings.vrfy == Vrfy::Answer) {
                    Some(address) => {
                        self.outgoing = Some(Outgoing::Route(address.clone()));
                        self.step = Step::LookingUp(Box::new((address, question)));
                        return;
                    }
                    None => Answer::plain(vrfy::hidden()),
                }
            }
            Command::Vrfy { verb: VrfyVerb::Expn, .. } => {
                plain(502, (5, 5, 1), "Command not implemented")
            }
            // Nobody has carried it out.
            Command::Claimed { .. } => plain(502, (5, 5, 1), "Command not implemented"),
            Command::Xclient { argument } => match Xclient::parse(&argument) {
                Ok(told) => return self.proceed_xclient(&told),
                Err(reply) => Answer::plain(reply),
            },
            Command::Quit => self.proceed_quit(),
        };
        self.conclude(question, answer);
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
                Ok(Named::First) if alone => {
                    Arc::make_mut(&mut self.facts).recipients.push(recipient);
                }
                Ok(named) => {
                    self.tally.idle_commands += u32::from(named == Named::Again);
                    if !alone || named == Named::Late {
                        transaction.show(Arc::make_mut(&mut self.facts));
                    }
                }
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
        if let Err(reply) = self.edit_open_transaction(edits) {
            return self.refuse_data(reply);
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
        // The words hold whether such mail is here or not: nobody learns which.
        let words = format!("Node {} not allowed: there is no mail that you may fetch", name(node));
        Answer::plain(Reply::new(459, Some((4, 7, 1)), words))
    }

    fn proceed_quit(&mut self) -> Answer {
        self.forget_transaction();
        let words = format!("{} closing the connection", self.settings.hostname);
        Answer::last(Reply::new(221, Some((2, 0, 0)), words), DisconnectReason::Quit)
    }

    pub(super) fn question_after(&self, command: &Command) -> Option<Question> {
        let wanted = |event| self.interest.contains(event, Stage::After) && !self.is_unwelcome();
        command.question().filter(|_| command.event().is_some_and(wanted))
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
