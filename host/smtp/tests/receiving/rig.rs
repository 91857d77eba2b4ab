//! Drives a session: answers what it asks, and writes down what it did.
//! Knows no test.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stagepost_smtp::{
    Action, Ask, Attributed, BodyFault, ChannelBindings, DisconnectReason, Envelope, Event,
    Extension, Extensions, Interest, Limits, Part, Peer, Question, Route, ScramKeys, Secret,
    Session, Settings, Stage, Stored, Timeouts, Tls, TlsFault, Verdict, Verified, Verify,
};

/// Answers in the place of plug-ins, router and store. By default everything goes well.
pub(crate) trait Answers {
    fn verdict(&mut self, _: &Ask) -> Verdict {
        Verdict::default()
    }
    fn route(&mut self, recipient: &str) -> Route {
        if recipient.ends_with("@here.test") { Route::Local } else { Route::Foreign }
    }
    fn taken(&mut self) -> Result<(), BodyFault> {
        Ok(())
    }
    fn stored(&mut self) -> Stored {
        Stored::Committed("ID".to_owned())
    }
    fn verified(&mut self, verify: &Verify) -> Verified {
        verified(verify)
    }
    fn tls(&mut self) -> Result<Tls, TlsFault> {
        Ok(tls())
    }
}

/// What a handshake comes to when all goes well.
pub(crate) fn tls() -> Tls {
    Tls {
        version: "TLSv1.3".into(),
        cipher: "TLS_AES_256_GCM_SHA384".into(),
        server_name: Some("mx.here.test".into()),
        client: None,
        bindings: ChannelBindings {
            exporter: Some([b'e'; 32].into()),
            server_end_point: Some([b's'; 32].into()),
        },
    }
}

/// There is one user, "user", whose password is "pencil"; and the random words are those of RFC 7677.
pub(crate) fn verified(verify: &Verify) -> Verified {
    let known = |identity: &str| identity.eq_ignore_ascii_case("user");
    match verify {
        Verify::Password { identity, password }
            if known(identity) && password.expose() == b"pencil" =>
        {
            Verified::Accepted { identity: "user".into() }
        }
        Verify::Password { .. } => Verified::Refused,
        Verify::Keys { identity } => {
            let password = if known(identity) { "pencil" } else { "nobody's" };
            let salt = b"[m\x99h\x9d\x125\x8e\xec\xa0K\x14\x126\xfa\x81";
            Verified::Keys {
                identity: identity.clone(),
                keys: ScramKeys::derive(password, salt, 4096),
                nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".into(),
            }
        }
        Verify::Random => Verified::Random { words: "1896.697170952".into() },
        Verify::Proof { identity, proof } => {
            let fits = proof.fits(&Secret::new(b"tanstaaftanstaaf".to_vec()));
            match known(identity) && fits {
                true => Verified::Accepted { identity: "user".into() },
                false => Verified::Refused,
            }
        }
        Verify::Outcome { .. } => Verified::Noted,
    }
}

/// Everything goes well.
pub(crate) struct Fine;
impl Answers for Fine {}

impl<F: FnMut(&Ask) -> Verdict> Answers for F {
    fn verdict(&mut self, ask: &Ask) -> Verdict {
        self(ask)
    }
}

/// A message that reached the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mail {
    pub(crate) envelope: Envelope,
    pub(crate) edits: Vec<Attributed>,
    pub(crate) header: Vec<u8>,
    pub(crate) body: Vec<u8>,
    pub(crate) stored: Stored,
}

pub(crate) struct Rig<A> {
    pub(crate) session: Session,
    pub(crate) now: Instant,
    pub(crate) answers: A,
    pub(crate) output: Vec<u8>,
    pub(crate) asked: Vec<(Stage, Event)>,
    pub(crate) reasons: Vec<DisconnectReason>,
    pub(crate) mails: Vec<Mail>,
    /// Plug-ins whose edits could not be carried out, and why.
    pub(crate) blamed: Vec<String>,
    pub(crate) abandoned: usize,
    pub(crate) handshakes: usize,
    /// Whose mail was sent over a connection that was reversed.
    pub(crate) reversed: Vec<Box<[Box<str>]>>,
    /// What the session wanted to know of logins, without the passwords.
    pub(crate) verified: Vec<String>,
    pub(crate) closed: bool,
    header: Vec<u8>,
    body: Vec<u8>,
    actions: usize,
}

pub(crate) fn peer() -> Arc<Peer> {
    let remote = ([192, 0, 2, 1], 40_000).into();
    let local = ([192, 0, 2, 25], 25).into();
    Arc::new(Peer::new(remote, local, "mx"))
}

/// Any pace will do: whoever looks at it says so.
pub(crate) fn settings() -> Settings {
    Settings {
        hostname: "mx.here.test".into(),
        extensions: Extensions::NONE,
        limits: Limits { data_rate_min: 0, ..Limits::default() },
        timeouts: Timeouts { message: Duration::from_secs(3600), ..Timeouts::default() },
        ..Settings::default()
    }
}

/// The same with all extensions on.
pub(crate) fn settings_with_all() -> Settings {
    let extensions = Extension::ALL.into_iter().fold(Extensions::NONE, Extensions::with);
    Settings { extensions, ..settings() }
}

impl<A: Answers> Rig<A> {
    pub(crate) fn new(settings: Settings, interest: Interest, answers: A) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a test must start at some time")]
        let now = Instant::now();
        Self {
            session: Session::new(Arc::new(settings), interest, 7, peer(), now),
            now,
            answers,
            output: Vec::new(),
            asked: Vec::new(),
            reasons: Vec::new(),
            mails: Vec::new(),
            blamed: Vec::new(),
            abandoned: 0,
            handshakes: 0,
            reversed: Vec::new(),
            verified: Vec::new(),
            closed: false,
            header: Vec::new(),
            body: Vec::new(),
            actions: 0,
        }
    }

    /// A session in which everything is asked, past its greeting and EHLO.
    pub(crate) fn greeted(answers: A) -> Self {
        let mut rig = Self::new(settings(), Interest::ALL, answers);
        rig.say("EHLO a.test\r\n");
        rig.output.clear();
        rig.asked.clear();
        rig
    }

    /// Gives input and lets the session do all it can.
    pub(crate) fn say(&mut self, octets: impl AsRef<[u8]>) {
        self.turn();
        self.session.handle_input(self.now, octets.as_ref());
        self.turn();
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.now += time;
        self.session.handle_timeout(self.now);
        self.turn();
    }

    pub(crate) fn hang_up(&mut self) {
        self.session.handle_hangup(self.now);
        self.turn();
    }

    /// The output so far, taken.
    pub(crate) fn replies(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.output)).expect("replies are ASCII")
    }

    pub(crate) fn turn(&mut self) {
        while self.act() {}
    }

    /// Carries out one action; false when there is none.
    pub(crate) fn act(&mut self) -> bool {
        let Some(action) = self.session.poll_action() else { return false };
        assert!(!self.closed, "{action:?} after Close");
        self.actions += 1;
        assert!(self.actions < 100_000, "it never ends");
        match action {
            Action::Send(octets) => {
                assert!(octets.ends_with(b"\r\n"), "{octets:?}");
                self.output.extend(octets);
            }
            Action::Ask(ask) => {
                self.asked.push((ask.stage, ask.question.event()));
                if let (Question::Disconnect { reason }, Stage::Before) = (&ask.question, ask.stage)
                {
                    self.reasons.push(*reason);
                }
                let verdict = self.answers.verdict(&ask);
                self.session.handle_verdict(self.now, verdict);
            }
            Action::Route(recipient) => {
                let route = self.answers.route(recipient.as_str());
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
                let taken = self.answers.taken();
                self.session.handle_body_taken(self.now, taken);
            }
            Action::Store { envelope, edits } => {
                let stored = self.answers.stored();
                self.mails.push(Mail {
                    envelope,
                    edits,
                    header: std::mem::take(&mut self.header),
                    body: std::mem::take(&mut self.body),
                    stored: stored.clone(),
                });
                self.session.handle_stored(self.now, stored);
            }
            Action::Abandon => {
                assert!(!self.header.is_empty() || !self.body.is_empty(), "nothing was lent");
                self.header.clear();
                self.body.clear();
                self.abandoned += 1;
            }
            Action::StartTls => {
                assert!(self.output.ends_with(b"Ready to start TLS\r\n"), "{:?}", self.output);
                assert!(!self.session.wants_input());
                self.handshakes += 1;
                let tls = self.answers.tls();
                self.session.handle_tls(self.now, tls);
            }
            Action::Reverse(reversal) => {
                assert!(!self.session.wants_input());
                self.output.extend(&reversal.reply);
                self.reversed.push(reversal.destinations);
                self.session.handle_reversed(self.now);
            }
            Action::Verify(verify) => {
                assert!(!self.session.wants_input());
                self.verified.push(match &verify {
                    Verify::Password { identity, .. } => format!("password {identity}"),
                    Verify::Keys { identity } => format!("keys {identity}"),
                    Verify::Random => "random".to_owned(),
                    Verify::Proof { identity, .. } => format!("proof {identity}"),
                    Verify::Outcome { identity, accepted } => format!("{identity} {accepted}"),
                });
                let verified = self.answers.verified(&verify);
                self.session.handle_verified(self.now, verified);
            }
            Action::Blame { plugin, fault } => self.blamed.push(format!("{plugin}: {fault}")),
            Action::Close => {
                assert!(self.header.is_empty() && self.body.is_empty(), "octets left behind");
                self.closed = true;
            }
        }
        true
    }
}
