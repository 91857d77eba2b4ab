//! Plays dialogues on a bare session: no socket, no plug-in, no store, and a clock that is moved by hand.
//! Holds the session to its contract at every action.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use stagepost_smtp::{
    Action, Address, Auth, BodyFault, ChannelBindings, Claims, Event, Interest, Mechanism, Part,
    Peer, Route, ScramKeys, Session, Settings, Stage, Stored, Tls, TlsFault, Verdict, Verified,
    Verify,
};

use super::player::{Mismatch, Player};
use super::script::{LogIn, Need, Script, Step, StoredMessage};

/// A session, and whatever answers it in the place of a server.
pub struct BareSession {
    session: Session,
    now: Instant,
    pieces: Pieces,
    /// Sent by the script, not yet read by the session.
    waiting: VecDeque<u8>,
    /// The script has sent something.
    talked: bool,
    output: Vec<u8>,
    writes: usize,
    closed: bool,
    hung_up: bool,
    /// The session waits for a handshake.
    handshaking: bool,
    verdicts: HashMap<(Stage, Event), VecDeque<Verdict>>,
    asked: Vec<(Stage, Event)>,
    /// Verdicts of the script that were set up before its first step.
    early: usize,
    routes: HashMap<String, Route>,
    stored: VecDeque<Stored>,
    taken: VecDeque<BodyFault>,
    verified: VecDeque<Verified>,
    lent: Vec<u8>,
    lent_body: bool,
    abandoned: bool,
    /// Whose mail was sent over the connection, once it was reversed.
    reversed: Vec<String>,
    messages: VecDeque<StoredMessage>,
    ids: usize,
}

/// How the script's octets reach the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pieces {
    /// As the script sends them.
    Whole,
    /// One octet at a time.
    Single,
}

impl BareSession {
    /// A new connection to `mx.example.test`, with the limits and questions that the script asks for.
    ///
    /// # Errors
    /// What the session did against its contract.
    pub fn new(script: &Script, pieces: Pieces) -> Result<Self, Mismatch> {
        let settings = Settings {
            hostname: "mx.example.test".into(),
            limits: script.limits.clone().unwrap_or_default(),
            starttls: script.starttls,
            auth: auth(script.auth),
            odmr: script.odmr,
            extensions: script.extensions.unwrap_or_default(),
            vrfy: script.vrfy,
            split: script.split,
            ..Settings::default()
        };
        let remote = ([192, 0, 2, 1], 40_000).into();
        let local = ([192, 0, 2, 25], 25).into();
        let peer = Arc::new(Peer::new(remote, local, "mx"));
        let now = Instant::now();
        let claims = Arc::new(Claims::new(script.claims.iter().cloned()));
        let mut session = Session::new(Arc::new(settings), interest(script), 7, peer, now)
            .with_claims(claims)
            .with_date(SystemTime::now());
        if script.xclient {
            session = session.with_xclient();
        }
        let mut player = Self {
            session,
            now,
            pieces,
            waiting: VecDeque::new(),
            talked: false,
            output: Vec::new(),
            writes: 0,
            closed: false,
            hung_up: false,
            handshaking: false,
            verdicts: HashMap::new(),
            asked: Vec::new(),
            early: 0,
            routes: HashMap::new(),
            stored: VecDeque::new(),
            taken: VecDeque::new(),
            verified: VecDeque::new(),
            lent: Vec::new(),
            lent_body: false,
            abandoned: false,
            reversed: Vec::new(),
            messages: VecDeque::new(),
            ids: 0,
        };
        // Answers to the first questions come before the first step that waits for something.
        let mut early = 0;
        for numbered in &script.steps {
            match &numbered.step {
                Step::Verdict(stage, event @ Event::Connect, verdict) => {
                    player.verdict(*stage, *event, verdict.clone());
                    early += 1;
                }
                Step::Verdict(..) | Step::Route(..) => {}
                _ => break,
            }
        }
        player.early = early;
        player.turn()?;
        Ok(player)
    }

    /// Lets the session do all it can.
    fn turn(&mut self) -> Result<(), Mismatch> {
        loop {
            while self.act()? {}
            if self.handshaking && !self.waiting.is_empty() {
                // Clear text where TLS is expected: no handshake survives that.
                self.waiting.clear();
                self.handshaking = false;
                self.session.handle_tls(self.now, Err(TlsFault::Failed));
                continue;
            }
            if !self.session.wants_input() || self.waiting.is_empty() {
                return Ok(());
            }
            let length = match self.pieces {
                Pieces::Whole => self.waiting.len(),
                Pieces::Single => 1,
            };
            let piece: Vec<u8> = self.waiting.drain(..length).collect();
            self.session.handle_input(self.now, &piece);
        }
    }

    /// Carries out one action; false when there is none.
    fn act(&mut self) -> Result<bool, Mismatch> {
        let now = self.now;
        let Some(action) = self.session.poll_action() else {
            return Ok(false);
        };
        if self.closed {
            return fault(format!("{action:?} after Close"));
        }
        match action {
            Action::Send(octets) => {
                if self.hung_up {
                    return fault("Send after a hang-up");
                }
                self.writes += 1;
                self.output.extend(octets);
            }
            Action::Ask(ask) => {
                let place = (ask.stage, ask.question.event());
                if (ask.stage == Stage::Before) != ask.reply.is_none()
                    && !matches!(place.1, Event::StartTls | Event::Disconnect)
                {
                    return fault(format!("{place:?} with the reply {:?}", ask.reply));
                }
                self.asked.push(place);
                let answers = self.verdicts.get_mut(&place);
                let verdict = answers.and_then(VecDeque::pop_front).unwrap_or_default();
                self.session.handle_verdict(now, verdict);
            }
            Action::Route(recipient) => {
                let route = self.route_of(&recipient);
                self.session.handle_route(now, route);
            }
            Action::Body { part, octets } => {
                if octets.is_empty() || (part == Part::Header && self.lent_body) {
                    return fault(format!("{part:?} of {} octets", octets.len()));
                }
                self.lent_body |= part == Part::Body;
                let taken = self.taken.pop_front().map_or(Ok(()), Err);
                self.lent.extend_from_slice(octets);
                self.session.handle_body_taken(now, taken);
            }
            Action::Store { envelope, .. } => {
                let recipients = envelope.recipients.iter();
                let of_rcpt = recipients.clone().map(|recipient| &recipient.parameters);
                let parameters = std::iter::once(&envelope.parameters).chain(of_rcpt);
                let message = StoredMessage {
                    sender: envelope.sender.to_string(),
                    recipients: recipients.map(|r| format!("<{}>", r.address)).collect(),
                    parameters: Some(parameters.map(|text| text.to_string()).collect()),
                    octets: std::mem::take(&mut self.lent),
                };
                self.lent_body = false;
                self.ids += 1;
                let stored = self.stored.pop_front();
                let stored = stored.unwrap_or_else(|| Stored::Committed(format!("ID{}", self.ids)));
                if matches!(stored, Stored::Committed(_)) {
                    self.messages.push_back(message);
                }
                self.session.handle_stored(now, stored);
            }
            Action::Abandon => {
                if self.lent.is_empty() {
                    return fault("Abandon, but nothing was lent");
                }
                self.lent.clear();
                self.lent_body = false;
                self.abandoned = true;
            }
            Action::StartTls => {
                if self.session.wants_input() || self.hung_up {
                    return fault("StartTls, but it reads on, or nobody is there");
                }
                self.handshaking = true;
            }
            Action::Reverse(reversal) => {
                if self.session.wants_input() || self.hung_up {
                    return fault("Reverse, but it reads on, or nobody is there");
                }
                self.writes += 1;
                self.output.extend(reversal.reply);
                self.reversed = reversal.destinations.iter().map(|of| of.to_string()).collect();
                self.session.handle_reversed(now);
            }
            Action::Verify(verify) => {
                let answer = self.verified.pop_front();
                let verified = answer.unwrap_or_else(|| verified(&verify));
                self.session.handle_verified(now, verified);
            }
            // The reply shows it.
            Action::Blame { .. } => {}
            Action::Close => self.closed = true,
        }
        Ok(true)
    }

    fn route_of(&self, recipient: &Address) -> Route {
        let set = self.routes.get(recipient.as_str()).copied();
        set.unwrap_or_else(|| match recipient.domain_key().as_str() {
            "" | "example.test" => Route::Local,
            _ => Route::Foreign,
        })
    }
}

/// All questions, or those that the script answers or expects.
fn interest(script: &Script) -> Interest {
    if script.all_questions {
        return Interest::ALL;
    }
    let mut interest = Interest::NONE;
    for numbered in &script.steps {
        match &numbered.step {
            Step::Verdict(stage, event, _) => interest = interest.with(*event, *stage),
            Step::Asked(questions) => {
                for (stage, event) in questions {
                    interest = interest.with(*event, *stage);
                }
            }
            _ => {}
        }
    }
    interest
}

/// What a listener has of AUTH.
fn auth(auth: LogIn) -> Auth {
    Auth {
        mechanisms: match auth {
            LogIn::No => Vec::new(),
            _ => Mechanism::ALL.into(),
        },
        checks_passwords: true,
        allow_plaintext: auth == LogIn::Clear,
        required: auth == LogIn::Required,
        grants_relay: false,
    }
}

/// Checks logins as a server does that has the one user; the random words for SCRAM are those of RFC 7677.
fn verified(verify: &Verify) -> Verified {
    let known = |identity: &str| identity.eq_ignore_ascii_case("user");
    match verify {
        Verify::Password { identity, password }
            if known(identity) && password.expose() == b"pencil" =>
        {
            Verified::Accepted { identity: "user".into() }
        }
        Verify::Password { .. } | Verify::Proof { .. } => Verified::Refused,
        Verify::Random => Verified::Random { words: "1896.697170952".into() },
        Verify::Keys { identity } => {
            let password = if known(identity) { "pencil" } else { "nobody has it" };
            let salt = b"[m\x99h\x9d\x125\x8e\xec\xa0K\x14\x126\xfa\x81";
            Verified::Keys {
                identity: identity.clone(),
                keys: ScramKeys::derive(password, salt, 4096),
                nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".into(),
            }
        }
        Verify::Outcome { .. } => Verified::Noted,
    }
}

fn fault<T>(what: impl Into<String>) -> Result<T, Mismatch> {
    Err(Mismatch(what.into()))
}

impl Player for BareSession {
    fn can(&self, _: Need) -> bool {
        true
    }

    fn send(&mut self, octets: &[u8]) -> Result<(), Mismatch> {
        // Before the first octet there is the greeting, which a client may not wait for.
        if self.talked && !self.output.is_empty() {
            return fault(format!("unread: {:?}", String::from_utf8_lossy(&self.output)));
        }
        self.talked = true;
        self.writes = 0;
        self.waiting.extend(octets);
        self.turn()
    }

    fn reply_line(&mut self) -> Result<String, Mismatch> {
        let Some(end) = self.output.windows(2).position(|pair| pair == b"\r\n") else {
            return fault(format!("no reply; closed: {}", self.closed));
        };
        let line: Vec<u8> = self.output.drain(..end + 2).take(end).collect();
        let sound = |octet: &u8| matches!(octet, b'\t' | b' '..=b'~');
        if line.len() > 510 || !line.iter().all(sound) {
            return fault(format!("no lawful reply line: {line:?}"));
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    fn expect_close(&mut self) -> Result<(), Mismatch> {
        if !self.output.is_empty() {
            return fault(format!("unread: {:?}", String::from_utf8_lossy(&self.output)));
        }
        if self.closed { Ok(()) } else { fault("still open") }
    }

    fn hang_up(&mut self) -> Result<(), Mismatch> {
        self.output.clear();
        self.hung_up = true;
        self.session.handle_hangup(self.now);
        if std::mem::take(&mut self.handshaking) {
            self.session.handle_tls(self.now, Err(TlsFault::Failed));
        }
        self.turn()?;
        if self.closed { Ok(()) } else { fault("still open after a hang-up") }
    }

    fn handshake(&mut self, fails: bool) -> Result<(), Mismatch> {
        if !std::mem::take(&mut self.handshaking) || !self.output.is_empty() {
            return fault("no handshake is expected");
        }
        let tls = Tls {
            version: "TLSv1.3".into(),
            cipher: "TLS_AES_256_GCM_SHA384".into(),
            server_name: None,
            client: None,
            bindings: ChannelBindings::default(),
        };
        self.session.handle_tls(self.now, if fails { Err(TlsFault::Failed) } else { Ok(tls) });
        self.turn()
    }

    fn pass(&mut self, time: Duration) -> Result<(), Mismatch> {
        self.now += time;
        if self.session.poll_timeout().is_some_and(|due| due <= self.now) {
            self.session.handle_timeout(self.now);
        }
        self.turn()
    }

    fn shut_down(&mut self) -> Result<(), Mismatch> {
        self.session.handle_shutdown(self.now);
        self.turn()
    }

    fn verdict(&mut self, stage: Stage, event: Event, verdict: Verdict) {
        // The first questions were answered when the session began.
        if event == Event::Connect && self.early > 0 {
            self.early -= 1;
            return;
        }
        self.verdicts.entry((stage, event)).or_default().push_back(verdict);
    }

    fn route(&mut self, recipient: &str, route: Route) {
        self.routes.insert(recipient.to_owned(), route);
    }

    fn stored(&mut self, stored: Stored) {
        self.stored.push_back(stored);
    }

    fn verified(&mut self, verified: Verified) {
        self.verified.push_back(verified);
    }

    fn taken(&mut self, fault: BodyFault) {
        self.taken.push_back(fault);
    }

    fn expect_asked(&mut self, questions: &[(Stage, Event)]) -> Result<(), Mismatch> {
        let asked = std::mem::take(&mut self.asked);
        if asked == questions {
            return Ok(());
        }
        let names = |places: &[(Stage, Event)]| {
            let name =
                |(stage, event): &(Stage, Event)| format!("{} {}", stage.name(), event.name());
            places.iter().map(name).collect::<Vec<_>>().join(", ")
        };
        fault(format!("asked: {}\n  wanted: {}", names(&asked), names(questions)))
    }

    fn expect_message(&mut self, message: &StoredMessage) -> Result<(), Mismatch> {
        match self.messages.pop_front() {
            Some(mut stored) => {
                if message.parameters.is_none() {
                    stored.parameters = None;
                }
                if stored == *message {
                    return Ok(());
                }
                let text = String::from_utf8_lossy(&stored.octets);
                let (from, to) = (&stored.sender, stored.recipients.join(" "));
                let said = stored.parameters.unwrap_or_default();
                fault(format!("stored was {from} to {to} {said:?}: {text:?}"))
            }
            None => fault("nothing was stored"),
        }
    }

    fn expect_abandoned(&mut self) -> Result<(), Mismatch> {
        if std::mem::take(&mut self.abandoned) { Ok(()) } else { fault("nothing was abandoned") }
    }

    fn expect_reversed(&mut self, destinations: &[String]) -> Result<(), Mismatch> {
        let reversed = std::mem::take(&mut self.reversed);
        if reversed == destinations { Ok(()) } else { fault(format!("reversed for {reversed:?}")) }
    }

    fn expect_writes(&mut self, writes: usize) -> Result<(), Mismatch> {
        // Octet by octet every command is a group of its own.
        if self.pieces == Pieces::Single || self.writes == writes {
            return Ok(());
        }
        fault(format!("{} writes, wanted {writes}", self.writes))
    }

    fn finish(&mut self) -> Result<(), Mismatch> {
        let mut left = Vec::new();
        if !self.closed {
            left.push("the session is open".to_owned());
        }
        if !self.output.is_empty() {
            left.push(format!("unread: {:?}", String::from_utf8_lossy(&self.output)));
        }
        if !self.messages.is_empty() {
            left.push(format!("stored without a word: {:?}", self.messages));
        }
        if !self.reversed.is_empty() {
            left.push("reversed without a word".to_owned());
        }
        if !self.lent.is_empty() {
            left.push("lent octets were neither stored nor called back".to_owned());
        }
        let unused: usize = self.verdicts.values().map(VecDeque::len).sum();
        if unused + self.stored.len() + self.taken.len() + self.verified.len() > 0 {
            left.push("answers that nobody asked for".to_owned());
        }
        if left.is_empty() { Ok(()) } else { fault(left.join("; ")) }
    }
}
