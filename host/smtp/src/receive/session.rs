//! The receiving session: its public methods, what is polled of it, and the one way in which replies are said.
//! What a command does is in `proceed`, how plug-ins are asked in `asking`, how a message is read in `accept`.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::extensions::Extension;
use super::grammar::{Grammar, Lengths};
use super::input::Input;
use super::line::Framer;
use super::message::Message;
use super::output::Output;
use super::pace::Pace;
use super::patience::Tally;
use super::refused::Refused;
use super::settings::Settings;
use super::state::{Answer, Next, Place, Step, Then};
use crate::{
    Action, Address, Ask, Attribute, Attributed, BodyFault, Claims, DisconnectReason, EditFault,
    Envelope, Facts, Interest, Part, Peer, Reply, Reversal, Route, Stored, Verdict, Verify,
};

/// One SMTP session, seen from the server: told what happened, it says what to do next.
///
/// After every `handle_*` the caller polls [`Session::poll_action`] until it yields nothing, carrying out
/// each action before it polls again; then it waits for input (if [`Session::wants_input`]), for the answer to the
/// action that needs one, and for [`Session::poll_timeout`]. After [`Action::Close`] nothing more comes.
///
/// The session reads no clock: every `handle_*` is given the time. It keeps what it can't use yet of its input,
/// which is less than a command line as long as the caller reads only when input is wanted.
/// An answer to nothing that was asked is the caller's mistake: it is ignored.
#[derive(Debug)]
pub struct Session {
    pub(super) settings: Arc<Settings>,
    pub(super) interest: Interest,
    claims: Option<Arc<Claims>>,
    /// Keywords that plug-ins took out of the last reply to EHLO.
    pub(super) withheld: Vec<Box<str>>,
    pub(super) facts: Arc<Facts>,
    /// The time of the last `handle_*`.
    pub(super) now: Instant,
    /// A moment by the calendar, where somebody has told one and it makes a difference.
    dated: Option<Box<(Instant, SystemTime)>>,
    /// Since when the session waits for input.
    pub(super) since: Instant,
    /// How fast the message comes that is being read.
    pub(super) pace: Pace,
    /// How the client took too long, if it did.
    pub(super) expired: Option<Expired>,
    pub(super) place: Place,
    pub(super) step: Step,
    pub(super) input: Input,
    pub(super) framer: Framer,
    output: Output,
    pub(super) outgoing: Option<Outgoing>,
    /// Lent octets are to be called back before anything else is done.
    pub(super) abandon: bool,
    /// Replies for the recipients of the message that is to be answered.
    pub(super) verdicts: Box<[Reply]>,
    /// A plug-in whose edits could not be carried out, not named yet.
    pub(super) blamed: Option<Box<(Arc<str>, EditFault)>>,
    /// The line in hand until it is answered, as plug-ins may see it: where somebody is to be asked after it, or its verb is known.
    pub(super) line_in_hand: Option<Arc<[u8]>>,
    /// What the client was refused.
    pub(super) refused: Option<Box<Refused>>,
    /// Counts commands, and in a message whatever the client waits for.
    pub(super) exchange: u64,
    /// The attributes that plug-ins set before the client has said anything: those that outlive STARTTLS.
    pub(super) welcome_attributes: Vec<Attribute>,
    /// The exchange that the client was greeted in: the first, or that of the last XCLIENT.
    pub(super) welcomed_at: u64,
    /// XCLIENT is carried out.
    pub(super) xclient: bool,
    /// The last line taken was HELO or EHLO.
    pub(super) hello: bool,
    /// The last line taken was AUTH, or a line without a known verb behind it.
    pub(super) behind_auth: bool,
    pub(super) tally: Tally,
    /// How the connection is reversed behind the reply to ATRN.
    pub(super) reversal: Option<Box<Reversal>>,
    /// Logins that were refused.
    pub(super) logins_refused: u32,
    pub(super) hungup: bool,
    pub(super) shutting_down: bool,
    /// Why it ends, once it does.
    pub(super) left: Option<DisconnectReason>,
}

/// What the next poll hands out.
#[derive(Debug)]
pub(super) enum Outgoing {
    Ask(Arc<Ask>),
    Route(Address),
    Body { part: Part, octets: usize },
    Store(Box<(Envelope, Vec<Attributed>)>),
    Verify(Verify),
    StartTls,
    Reverse(Reversal),
    Close,
}

/// How a client took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired {
    /// It was silent, or did not come to an end.
    Silent,
    /// It sent too little of a message in too much time.
    Slow,
}

impl Session {
    /// Starts a session with a peer that has just connected, at `now`.
    ///
    /// `interest`: what plug-ins registered for when the session began. `id`: the same as in the logs.
    pub fn new(
        settings: Arc<Settings>,
        interest: Interest,
        id: u64,
        peer: Arc<Peer>,
        now: Instant,
    ) -> Self {
        Self {
            settings,
            interest,
            claims: None,
            withheld: Vec::new(),
            facts: Arc::new(Facts::new(id, peer)),
            now,
            dated: None,
            since: now,
            pace: Pace::new(now),
            expired: None,
            place: Place::Stranger,
            step: Step::Opening,
            input: Input::default(),
            framer: Framer::default(),
            output: Output::new(now),
            outgoing: None,
            abandon: false,
            verdicts: Box::default(),
            blamed: None,
            line_in_hand: None,
            refused: None,
            exchange: 0,
            welcome_attributes: Vec::new(),
            welcomed_at: 0,
            xclient: false,
            hello: false,
            behind_auth: false,
            tally: Tally::default(),
            reversal: None,
            logins_refused: 0,
            hungup: false,
            shutting_down: false,
            left: None,
        }
    }

    /// The same session, which goes by what plug-ins claimed when it began.
    #[must_use]
    pub fn with_claims(mut self, claims: Arc<Claims>) -> Self {
        self.claims = Some(claims).filter(|claims| !claims.is_empty());
        self
    }

    /// The same session, which knows what the calendar says now.
    #[must_use]
    pub fn with_date(mut self, date: SystemTime) -> Self {
        // Who need not log in is not offered what it is for.
        let known = self.settings.auth.required;
        if known && self.settings.extensions.contains(Extension::FutureRelease) {
            self.dated = Some(Box::new((self.now, date)));
        }
        self
    }

    /// What the calendar says now.
    pub(super) fn date(&self) -> Option<SystemTime> {
        let (at, date) = **self.dated.as_ref()?;
        Some(date + self.now.saturating_duration_since(at))
    }

    /// What plug-ins claim.
    pub(super) fn claims(&self) -> &Claims {
        match &self.claims {
            Some(claims) => claims,
            None => Claims::none(),
        }
    }

    /// What commands may say.
    pub(super) fn grammar(&self) -> Grammar<'_> {
        let lengths = Lengths::of(&self.settings.limits);
        Grammar { extensions: self.settings.extensions, claims: self.claims(), lengths }
    }

    /// Whether plug-ins took a keyword, given in capitals, out of the reply to EHLO.
    pub(super) fn withholds(&self, keyword: &str) -> bool {
        self.withheld.iter().any(|withheld| **withheld == *keyword)
    }

    /// The settings that it goes by.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What is known of the session.
    pub fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }

    /// Whether to read from the peer. When not, what it sends waits in the network.
    pub fn wants_input(&self) -> bool {
        matches!(
            self.step,
            Step::Ready | Step::Receiving(_) | Step::Swallowing { .. } | Step::Responding(_)
        )
    }

    /// When [`Session::handle_timeout`] is due, if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let timeouts = &self.settings.timeouts;
        match &self.step {
            Step::Ready | Step::Responding(_) => {
                let command = self.since + timeouts.command;
                let message = self.message_between_chunks().map(|message| message.started);
                Some(message.map_or(command, |begun| command.min(begun + timeouts.message)))
            }
            Step::Receiving(message) => {
                let block = self.since + timeouts.data_block;
                Some(self.paced(block.min(message.started + timeouts.message)))
            }
            Step::Swallowing { started, .. } => {
                let block = self.since + timeouts.data_block;
                Some(self.paced(block.min(*started + timeouts.message)))
            }
            Step::Handshaking => Some(self.since + timeouts.handshake),
            _ => None,
        }
    }

    /// A deadline, or before that the next look at the pace.
    fn paced(&self, deadline: Instant) -> Instant {
        let due = self.pace.due(&self.settings.limits, &self.settings.timeouts);
        due.map_or(deadline, |due| due.min(deadline))
    }

    /// How the client took too long, if that is why the session ends.
    pub fn expired(&self) -> Option<Expired> {
        self.expired
    }

    /// Why the session ends; none: it goes on.
    pub fn left(&self) -> Option<DisconnectReason> {
        self.left
    }

    /// The next thing to do; `None` when there is nothing before something happens.
    pub fn poll_action(&mut self) -> Option<Action<'_>> {
        self.advance();
        if std::mem::take(&mut self.abandon) {
            return Some(Action::Abandon);
        }
        if let Some(blamed) = self.blamed.take() {
            let (plugin, fault) = *blamed;
            return Some(Action::Blame { plugin, fault });
        }
        let Some(outgoing) = self.outgoing.take() else {
            return self.flush();
        };
        Some(match outgoing {
            Outgoing::Ask(ask) => Action::Ask(ask),
            Outgoing::Route(recipient) => Action::Route(recipient),
            Outgoing::Body { part, octets } => {
                Action::Body { part, octets: &self.input.unread()[..octets] }
            }
            Outgoing::Store(message) => {
                let (envelope, edits) = *message;
                Action::Store { envelope, edits }
            }
            Outgoing::Verify(verify) => Action::Verify(verify),
            Outgoing::StartTls => Action::StartTls,
            Outgoing::Reverse(reversal) => Action::Reverse(reversal),
            Outgoing::Close => Action::Close,
        })
    }

    /// Octets from the peer, in pieces of any size.
    pub fn handle_input(&mut self, now: Instant, octets: &[u8]) {
        self.now = now;
        let over = matches!(
            self.step,
            Step::Leaving(_) | Step::Deciding(Then::Leave(_) | Then::Close) | Step::Closed
        );
        if over || self.hungup {
            return;
        }
        if let Step::Receiving(_) | Step::Swallowing { .. } = self.step {
            self.since = now;
            self.pace.count(octets.len());
        }
        self.input.append(octets);
    }

    /// The answer to [`Action::Ask`].
    pub fn handle_verdict(&mut self, now: Instant, verdict: Verdict) {
        self.now = now;
        let mut then = match std::mem::replace(&mut self.step, Step::Closed) {
            Step::Deciding(then) if self.outgoing.is_none() => then,
            step => return self.ignore(step, "a verdict"),
        };
        let reply = match &mut then {
            Then::Finish { answer, .. } | Then::Conclude(answer) | Then::Say(answer) => {
                Some(&mut answer.reply)
            }
            _ => None,
        };
        let edits = self.absorb(verdict.edits, reply);
        let decision = verdict.decision;
        match then {
            Then::Receive(message) => self.decided_receive(message, decision, edits),
            Then::Accept(message) => self.decided_accept(message, decision, edits),
            Then::Leave(reason) => self.leave_after(reason),
            Then::Close => self.close(),
            Then::Finish { tail, answer } => self.finished(tail, answer),
            _ if self.hungup => self.leave(DisconnectReason::Hangup),
            Then::Secured => self.read_protected(),
            Then::Expire(expired) => self.decided_expire(expired, decision),
            Then::Welcome => self.decided_welcome(decision),
            Then::Run { line, whole, framing } => {
                self.decided_run(line, whole, framing, decision, edits);
            }
            Then::Login(exchange) => self.decided_login(*exchange, decision, &edits),
            Then::Proceed { command, mut rewrites } => {
                rewrites.extend(edits);
                self.decided_proceed(command, decision, rewrites);
            }
            Then::Conclude(answer) => self.conclude_command(answer),
            Then::Say(answer) => self.say(answer),
        }
    }

    /// The answer to [`Action::Route`].
    pub fn handle_route(&mut self, now: Instant, route: Route) {
        self.now = now;
        match std::mem::replace(&mut self.step, Step::Closed) {
            Step::Routing { .. } | Step::LookingUp(_) if self.hungup => {
                self.leave(DisconnectReason::Hangup);
            }
            Step::LookingUp(looked_up) if self.outgoing.is_none() => {
                let (address, question) = *looked_up;
                self.verified_address(&address, route, question);
            }
            Step::Routing { rcpt, edits } if self.outgoing.is_none() => {
                self.proceed_rcpt(rcpt, edits, route);
            }
            Step::Admitting(admission) if self.outgoing.is_none() => {
                // A message whose dot was seen is stored all the same.
                if self.hungup && !admission.work.is_complete() {
                    self.abandon |= admission.work.has_lent();
                    return self.leave(DisconnectReason::Hangup);
                }
                self.admit_route(admission, route);
            }
            step => self.ignore(step, "a route"),
        }
    }

    /// The answer to [`Action::Body`]: whether the octets lent were kept.
    pub fn handle_body_taken(&mut self, now: Instant, taken: Result<(), BodyFault>) {
        self.now = now;
        match std::mem::replace(&mut self.step, Step::Closed) {
            Step::Lending { message, octets } if self.outgoing.is_none() => {
                self.body_taken(message, octets, taken);
            }
            step => self.ignore(step, "octets taken"),
        }
    }

    /// The answer to [`Action::Store`].
    pub fn handle_stored(&mut self, now: Instant, stored: Stored) {
        self.now = now;
        match std::mem::replace(&mut self.step, Step::Closed) {
            Step::Storing { tail } if self.outgoing.is_none() => self.stored(tail, stored),
            step => self.ignore(step, "a message stored"),
        }
    }

    /// Time has passed; nothing happens before [`Session::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        if self.poll_timeout().is_some_and(|deadline| deadline <= now) {
            // The connection ends a handshake, and says so.
            if matches!(self.step, Step::Handshaking) {
                return;
            }
            self.expire();
        }
    }

    /// Waits for input again, after the client has waited for us.
    pub(super) fn resume(&mut self) {
        self.pace.pause(self.now.saturating_duration_since(self.since));
        self.since = self.now;
    }

    /// The peer has closed the connection, or it broke. Nothing is sent any more. A message whose dot was seen
    /// is stored all the same: its client may have asked for nothing more (RFC 5321 section 4.1.1.10).
    pub fn handle_hangup(&mut self, now: Instant) {
        self.now = now;
        self.hungup = true;
        drop(self.output.take());
        match &self.step {
            Step::Opening => self.close(),
            Step::Ready | Step::Receiving(_) | Step::Swallowing { .. } | Step::Responding(_) => {
                self.abandon |= matches!(&self.step, Step::Receiving(message) if message.lent);
                self.leave(DisconnectReason::Hangup);
            }
            Step::Securing => self.leave(DisconnectReason::Hangup),
            // What is open ends first; then the session does.
            _ => {}
        }
    }

    /// The server stops: 421 at the next command, at once when none is in hand. A message that is being read
    /// or stored is finished and answered before.
    pub fn handle_shutdown(&mut self, now: Instant) {
        self.now = now;
        self.shutting_down = true;
    }

    /// Moves on until something must be handed out or waited for.
    fn advance(&mut self) {
        while self.outgoing.is_none() && !self.abandon && !self.output.is_due(self.now) {
            let moved = match &self.step {
                Step::Opening => self.open(),
                Step::Ready => self.read_command(),
                Step::Receiving(_) => self.read_message(),
                Step::Swallowing { .. } => self.swallow(),
                Step::Responding(_) => self.read_response(),
                Step::Securing if self.output.is_empty() => self.begin_handshake(),
                Step::Leaving(reason) if self.output.is_empty() => self.leave_before(*reason),
                _ => false,
            };
            if !moved {
                break;
            }
        }
    }

    /// The replies so far, unless more of the same group are to come.
    fn flush(&mut self) -> Option<Action<'_>> {
        let waits = self.wants_input() || matches!(self.step, Step::Leaving(_) | Step::Securing);
        let due = waits || self.output.is_due(self.now);
        (due && !self.output.is_empty()).then(|| Action::Send(self.output.take()))
    }

    /// Writes a reply.
    pub(super) fn write(&mut self, reply: &Reply) {
        if self.hungup {
            return;
        }
        // RFC 2034: whom they were not offered gets none.
        let enhanced = !self.withholds("ENHANCEDSTATUSCODES");
        self.output.write(reply, enhanced, self.now);
    }

    /// Writes a reply and does what follows it.
    pub(super) fn say(&mut self, answer: Answer) {
        self.say_verdicts();
        self.note_refusal(&answer);
        self.write(&answer.reply);
        self.since = self.now;
        match answer.next {
            Next::Leave(reason) => self.leave(reason),
            _ if self.hungup => self.leave(DisconnectReason::Hangup),
            Next::Command => {
                // A MAIL that was refused.
                if self.facts.slots.is_some() && self.facts.sender.is_none() {
                    Arc::make_mut(&mut self.facts).slots = None;
                }
                self.step = Step::Ready;
            }
            Next::Fresh => {
                self.forget_transaction();
                self.step = Step::Ready;
            }
            Next::Failed => {
                self.fail_transaction(answer.reply);
                self.step = Step::Ready;
            }
            Next::Message => self.receive(),
            Next::Handshake => self.step = Step::Securing,
            Next::Reverse => {
                let reply = self.output.take();
                self.reverse(reply);
            }
        }
    }

    /// Ends the transaction, if one is open.
    pub(super) fn forget_transaction(&mut self) {
        self.abandon |= self.message_between_chunks().is_some_and(|message| message.lent);
        if let Place::Transaction(_) | Place::Chunks(_) | Place::Failed(_) = self.place {
            self.place = Place::Greeted;
        }
        if self.facts.sender.is_some() {
            let facts = Arc::make_mut(&mut self.facts);
            facts.slots = None;
            facts.sender = None;
            facts.recipients.clear();
            facts.tags.clear();
        }
    }

    /// The message of which one chunk was read and the next was not announced yet.
    fn message_between_chunks(&self) -> Option<&Message> {
        match &self.place {
            Place::Chunks(message) => Some(message),
            _ => None,
        }
    }

    pub(super) fn ignore(&mut self, step: Step, what: &str) {
        self.step = step;
        debug_assert!(false, "{what} that was not asked for, in {:?}", self.step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test must start at some time")]
    fn an_idle_session_keeps_no_buffers() {
        let now = Instant::now();
        let local = ([127, 0, 0, 1], 25).into();
        let peer = Arc::new(Peer::new(local, local, "mx"));
        let settings = Arc::new(Settings::default());
        let mut session = Session::new(settings, Interest::NONE, 1, peer, now);
        while session.poll_action().is_some() {}
        session.handle_input(now, b"EHLO a.test\r\nNOOP\r\n");
        assert!(session.input.capacity() > 0);
        while session.poll_action().is_some() {}
        assert_eq!((session.input.capacity(), session.output.capacity()), (0, 0));
        assert!(size_of::<Session>() <= 512, "{}", size_of::<Session>());
    }
}
