//! Carries out what a receiving session wants, with answers of chance, and holds it to what always holds: one thing
//! at a time, nothing behind the end, octets lent and called back in their order.
//! Knows no command and no target.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stagepost_smtp::{
    Action, Address, Ask, Decision, Edit, Envelope, Event, Extension, Extensions, Interest, Part,
    Peer, Question, Route, Session, Settings, Stage, StartTls, Stored, Verified, Verify,
};

use crate::plugins::{Answers, claims};

/// A password, and as AUTH PLAIN has it.
const SECRETS: [&str; 2] = ["Pa55w0rd", "AHUAUGE1NXcwcmQh"];

/// A message that reached the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// As the session gave it.
    pub envelope: Envelope,
    /// Header and body as the session gave them.
    pub octets: Vec<u8>,
    /// What the store said.
    pub stored: Stored,
}

/// A session, whoever it asks, and what came of it.
pub struct Rig<'d> {
    session: Session,
    now: Instant,
    answers: Answers<'d>,
    /// All that was sent and not taken yet.
    output: Vec<u8>,
    /// Every question, oldest first.
    pub asked: Vec<Arc<Ask>>,
    /// Every message, oldest first.
    pub mails: Vec<Mail>,
    /// A verdict stopped the message in hand, for good or for now, or another than the store is to have it.
    pub stopped: bool,
    /// Plug-ins changed sender, recipients or a command line.
    pub rewritten: bool,
    /// Recipients who were found to have a route, or a grant where they need one.
    pub permitted: Vec<String>,
    /// Somebody who knows has said who the client is.
    known: bool,
    /// The session is over.
    pub closed: bool,
    /// How often TLS was begun.
    pub handshakes: usize,
    /// The connection was reversed.
    pub reversed: bool,
    header: Vec<u8>,
    body: Vec<u8>,
}

impl<'d> Rig<'d> {
    /// A session that has just begun.
    pub fn new(settings: Settings, interest: Interest, answers: Answers<'d>) -> Self {
        let now = start();
        let remote = ([192, 0, 2, 1], 40_000).into();
        let peer = Arc::new(Peer::new(remote, ([192, 0, 2, 25], 25).into(), "mx"));
        let session = Session::new(Arc::new(settings), interest, 7, peer, now);
        let mut rig = Self {
            session: session.with_claims(Arc::new(claims())),
            now,
            answers,
            output: Vec::new(),
            asked: Vec::new(),
            mails: Vec::new(),
            stopped: false,
            rewritten: false,
            permitted: Vec::new(),
            known: false,
            closed: false,
            handshakes: 0,
            reversed: false,
            header: Vec::new(),
            body: Vec::new(),
        };
        rig.turn();
        rig
    }

    /// Gives input and lets the session do all it can.
    pub fn say(&mut self, octets: &[u8]) {
        self.session.handle_input(self.now, octets);
        self.turn();
    }

    /// The same in pieces that end at `cuts`, which count up.
    pub fn say_in_pieces(&mut self, octets: &[u8], cuts: impl IntoIterator<Item = usize>) {
        let mut from = 0;
        for to in cuts.into_iter().chain([octets.len()]) {
            self.say(&octets[from..to]);
            from = to;
        }
    }

    /// Lets time pass.
    pub fn wait(&mut self, time: Duration) {
        self.now += time;
        self.session.handle_timeout(self.now);
        self.turn();
    }

    /// The client goes.
    pub fn hang_up(&mut self) {
        self.session.handle_hangup(self.now);
        self.turn();
    }

    /// The server stops.
    pub fn shut_down(&mut self) {
        self.session.handle_shutdown(self.now);
        self.turn();
    }

    /// All that was sent since the last call.
    pub fn output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Whether the session would read.
    pub fn wants_input(&self) -> bool {
        self.session.wants_input()
    }

    /// Whether the session has a deadline.
    pub fn has_deadline(&self) -> bool {
        self.session.poll_timeout().is_some()
    }

    fn turn(&mut self) {
        // Each piece of input is a few dozen actions at most, but for a flood of pipelined lines.
        for _ in 0..1_000_000 {
            if !self.act() {
                let authenticated = self.session.facts().authenticated.is_some();
                assert!(self.known || !authenticated, "nobody has said who it is");
                return;
            }
        }
        panic!("it never ends");
    }

    /// Nothing is done before the answer, whatever comes meanwhile.
    fn hold_still(&mut self) {
        assert!(!self.session.wants_input(), "it reads while a question is open");
        if self.answers.interrupts() {
            self.session.handle_timeout(self.now + Duration::from_secs(1));
        }
        if let Some(action) = self.session.poll_action() {
            panic!("{action:?} while a question is open");
        }
    }

    fn act(&mut self) -> bool {
        let Some(action) = self.session.poll_action() else { return false };
        assert!(!self.closed, "{action:?} after Close");
        match action {
            Action::Send(octets) => {
                assert!(octets.ends_with(b"\r\n"), "{octets:?}");
                self.output.extend(octets);
            }
            Action::Ask(ask) => {
                self.hold_still();
                self.answer(ask);
            }
            Action::Route(recipient) => {
                self.hold_still();
                let route = self.answers.route(recipient.as_str());
                let granted = self.session.facts().relay_granted();
                if matches!(route, Route::Local | Route::Relay)
                    || route == Route::Foreign && granted
                {
                    self.permitted.push(recipient.to_string());
                }
                self.session.handle_route(self.now, route);
            }
            Action::Body { part, octets } => {
                assert!(!octets.is_empty());
                match part {
                    Part::Header => {
                        assert!(self.body.is_empty(), "header behind body");
                        self.header.extend_from_slice(octets);
                    }
                    Part::Body => self.body.extend_from_slice(octets),
                }
                self.hold_still();
                let taken = self.answers.taken();
                self.stopped |= taken.is_err();
                self.session.handle_body_taken(self.now, taken);
            }
            Action::Store { envelope, .. } => {
                self.hold_still();
                let stored = self.answers.stored();
                let mut octets = std::mem::take(&mut self.header);
                octets.append(&mut self.body);
                self.mails.push(Mail { envelope, octets, stored: stored.clone() });
                self.session.handle_stored(self.now, stored);
            }
            Action::Abandon => {
                assert!(!self.header.is_empty() || !self.body.is_empty(), "nothing was lent");
                self.header.clear();
                self.body.clear();
            }
            Action::StartTls => {
                self.hold_still();
                self.handshakes += 1;
                // What comes in clear text now would be read by nobody.
                self.session.handle_input(self.now, b"NOOP\r\n");
                let tls = self.answers.tls();
                self.session.handle_tls(self.now, tls);
            }
            Action::Reverse(reversal) => {
                self.hold_still();
                assert!(!reversal.destinations.is_empty(), "nobody's mail");
                self.may_reverse();
                self.reversed = true;
                self.output.extend(&reversal.reply);
                // What comes now is the other conversation's.
                self.session.handle_input(self.now, b"220 a.test\r\n");
                self.session.handle_reversed(self.now);
            }
            Action::Verify(verify) => {
                self.hold_still();
                let verified = self.answers.verified(&verify);
                let password = matches!(verify, Verify::Password { .. });
                self.known |= password && matches!(verified, Verified::Accepted { .. });
                self.session.handle_verified(self.now, verified);
            }
            Action::Blame { .. } => {}
            Action::Close => {
                assert!(self.header.is_empty() && self.body.is_empty(), "octets left behind");
                self.closed = true;
            }
        }
        true
    }

    /// Mail is for who came to the right place, and has said who it is where that is asked for.
    fn may_reverse(&self) {
        let (settings, facts) = (self.session.settings(), self.session.facts());
        assert!(settings.odmr, "reversed where there is no ATRN");
        assert!(settings.starttls != StartTls::Required || facts.tls.is_some(), "in clear text");
        assert!(!settings.auth.required || facts.authenticated.is_some(), "for nobody");
    }

    fn answer(&mut self, ask: Arc<Ask>) {
        let mut verdict = self.answers.verdict(&ask);
        if ask.stage == Stage::After {
            // Whoever is asked after has no decision: there is no way to make one.
            verdict.decision = Decision::Continue;
            verdict
                .edits
                .retain(|edit| matches!(edit.edit, Edit::ReplyText(_) | Edit::ReplyDetail { .. }));
        }
        let about_message = matches!(
            ask.question.event(),
            Event::Headers | Event::Body | Event::MessageAccept | Event::Data
        );
        if ask.stage == Stage::Before && about_message {
            let dropped = verdict.edits.iter().any(|edit| edit.edit == Edit::Discard);
            self.stopped |= dropped || verdict.decision != Decision::Continue;
        }
        self.rewritten |= verdict.edits.iter().any(|edit| {
            matches!(
                edit.edit,
                Edit::Sender { .. }
                    | Edit::AddRecipient(_)
                    | Edit::RemoveRecipient(_)
                    | Edit::ReplaceRecipient { .. }
                    | Edit::ReplaceCommand(_)
            )
        });
        let event = ask.question.event();
        self.known |= event == Event::Auth && matches!(verdict.decision, Decision::Handled(_));
        if matches!(event, Event::Auth | Event::Command) {
            let mut shown = format!("{ask:?}");
            // Who gives a password for a name has told it.
            if let Question::Auth { identity, authorization, .. } = &ask.question {
                for name in [identity, authorization].into_iter().filter(|name| !name.is_empty()) {
                    shown = shown.replace(&**name, "");
                }
            }
            assert!(!SECRETS.iter().any(|secret| shown.contains(secret)), "{shown}");
        }
        self.asked.push(ask);
        self.session.handle_verdict(self.now, verdict);
    }
}

/// Settings of a session whose limits are soon reached, or never.
pub fn settings(patient: bool) -> Settings {
    let mut settings = Settings { hostname: "mx.here.test".into(), ..Settings::default() };
    settings.extensions = Extension::ALL.into_iter().fold(Extensions::NONE, Extensions::with);
    let limits = &mut settings.limits;
    limits.line_octets_max = 512;
    limits.path_octets_max = 512;
    limits.local_octets_max = Address::LOCAL_OCTETS_MAX;
    limits.recipients_max = 5;
    limits.message_octets_max = 100_000;
    limits.header_octets_max = 4096;
    limits.text_line_octets_max = 1000;
    if patient {
        (limits.errors_max, limits.refusals_max, limits.idle_commands_max) =
            (u32::MAX, u32::MAX, u32::MAX);
    }
    settings
}

fn start() -> Instant {
    Instant::now()
}
