//! A message that a plug-in makes: spoken to a session of its own, so that it is held to what clients are held to.
//! Knows the few commands that this needs, and no socket; of handlers only those that want to see such messages are asked.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use stagepost_extmgr::{Asked, Coming, Dispatch, MailError, Submission, Submitter, Work};
use stagepost_queue::Store;
use stagepost_smtp::{Action, Limits, Peer, Route, Session, Settings, Stored, Verdict};

use crate::directory::Directory;
use crate::intake::{Intake, date};
use crate::throttle::Throttle;

/// What every message of a plug-in needs.
pub(crate) struct Desk {
    settings: Arc<Settings>,
    directory: Directory,
    store: Arc<dyn Store>,
    faults: Arc<Throttle>,
}

/// One message on its way.
struct Draft {
    session: Session,
    intake: Intake,
    directory: Directory,
    submitter: Submitter,
    dispatch: Dispatch,
    hostname: Box<str>,
    /// The recipient in hand may be of a foreign domain.
    grant: bool,
    /// The last reply.
    reply: String,
    id: Option<String>,
    state: State,
}

/// Where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Recipients may come.
    Envelope,
    /// Octets come; whether the next one begins a line, and whether a CR came before it.
    Octets { at_line: bool, behind_cr: bool },
}

impl Desk {
    /// Takes messages as listeners do, with the same limits on the message.
    pub(crate) fn new(settings: &Settings, directory: Directory, store: Arc<dyn Store>) -> Self {
        // Nobody guesses at addresses here.
        let limits = Limits {
            errors_max: u32::MAX,
            refusals_max: u32::MAX,
            idle_commands_max: u32::MAX,
            ..settings.limits.clone()
        };
        let settings = Arc::new(Settings { limits, ..settings.clone() });
        Self { settings, directory, store, faults: Arc::default() }
    }

    /// Begins a message.
    pub(crate) fn begin(
        &self,
        submitter: Submitter,
        dispatch: Dispatch,
        sender: &str,
        parameters: &str,
    ) -> Result<Box<dyn Submission>, MailError> {
        let hostname = self.settings.hostname.clone();
        let intake =
            Intake::new(self.store.clone(), self.directory.clone(), &hostname, self.faults.clone())
                .of_plugin(submitter.plugin.clone());
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let peer = Arc::new(Peer::new(here, here, "plug-in"));
        let session = Session::new(
            self.settings.clone(),
            dispatch.interest(),
            submitter.session,
            peer,
            Instant::now(),
        )
        .with_claims(dispatch.claims());
        let mut draft = Draft {
            session,
            intake,
            directory: self.directory.clone(),
            submitter,
            dispatch,
            hostname,
            grant: false,
            reply: String::new(),
            id: None,
            state: State::Envelope,
        };
        draft.carry_out_now();
        let hello = format!("EHLO {}", draft.hostname);
        draft.say(&hello)?;
        draft.say(format!("MAIL FROM:<{sender}> {parameters}").trim_end())?;
        Ok(Box::new(draft))
    }
}

impl Draft {
    /// Says a command; its reply must be positive.
    fn say(&mut self, line: &str) -> Result<(), MailError> {
        // What ended the line would begin a command of the plug-in's own.
        if line.contains(char::is_control) {
            return Err(MailError::Invalid);
        }
        self.session.handle_input(Instant::now(), format!("{line}\r\n").as_bytes());
        self.carry_out_now();
        self.told()
    }

    /// What the last reply means.
    fn told(&self) -> Result<(), MailError> {
        let mark = self.reply.get(4..9).unwrap_or("");
        match (self.reply.get(..3).unwrap_or(""), mark) {
            ("250" | "354", _) => Ok(()),
            ("503", _) => Err(MailError::Order),
            ("452", "4.5.3") => Err(MailError::Limit),
            ("550" | "551", "5.1.1" | "5.1.2" | "5.1.4" | "5.7.1" | "5.4.4") => {
                Err(MailError::Route)
            }
            ("552", _) => Err(MailError::Limit),
            (code, _) if code.starts_with('5') => Err(MailError::Invalid),
            _ => Err(MailError::Unavailable),
        }
    }

    /// Does everything that the session wants done and that needs no disk.
    fn carry_out_now(&mut self) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Send(octets) => self.reply = String::from_utf8_lossy(&octets).into_owned(),
                Action::Route(recipient) => {
                    let route = match self.directory.known_route(&recipient) {
                        Some(Route::Foreign) if self.grant => Route::Relay,
                        Some(route) => route,
                        // Nobody can wait for LDAP here: whoever makes the message has to fetch it before.
                        None => Route::Unavailable,
                    };
                    self.session.handle_route(Instant::now(), route);
                }
                // Nobody can be interested in what comes before the octets.
                Action::Ask(_) => {
                    self.session.handle_verdict(Instant::now(), Verdict::default());
                }
                // There is no network in it, so neither TLS nor AUTH is offered, and nothing can be reversed.
                Action::StartTls
                | Action::Verify(_)
                | Action::Reverse(_)
                | Action::Blame { .. }
                | Action::Close => {}
                Action::Abandon => self.intake.abandon(),
                // Octets and the end of them are given in `feed` alone.
                Action::Body { .. } | Action::Store { .. } => return,
            }
        }
    }

    /// Gives octets to the session and carries out what it wants.
    async fn feed(&mut self, octets: &[u8]) {
        self.session.handle_input(Instant::now(), octets);
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Body { part, octets } => {
                    let taken = self.intake.take(self.submitter.session, part, octets).await;
                    self.session.handle_body_taken(Instant::now(), taken);
                }
                Action::Store { envelope, edits } => {
                    let facts = self.session.facts().clone();
                    let stored =
                        self.intake.store(&facts, envelope, edits, &mut self.dispatch).await;
                    if let Stored::Committed(id) = &stored {
                        self.id = Some(id.clone());
                    }
                    self.session.handle_stored(Instant::now(), stored);
                }
                Action::Send(octets) => self.reply = String::from_utf8_lossy(&octets).into_owned(),
                Action::Abandon => self.intake.abandon(),
                Action::Ask(mut ask) => {
                    if ask.message.is_some()
                        && let Some(content) = self.intake.content()
                        && let Some(message) = &mut Arc::make_mut(&mut ask).message
                    {
                        message.fill(content);
                    }
                    let asked = self.dispatch.ask(ask);
                    let verdict = match asked {
                        Asked::Answered(verdict) => verdict,
                        Asked::Waiting(answer) => answer.await,
                    };
                    self.session.handle_verdict(Instant::now(), verdict);
                }
                // Of a recipient that a handler has added, whom the maker of the message does not vouch for.
                Action::Route(recipient) => {
                    let route = self.directory.route(&recipient).await;
                    self.session.handle_route(Instant::now(), route);
                }
                Action::Blame { plugin, fault } => {
                    self.dispatch.blame(self.submitter.session, &plugin, &fault);
                }
                Action::StartTls | Action::Verify(_) | Action::Reverse(_) | Action::Close => {}
            }
        }
    }

    /// Begins with the octets: says DATA, and counts the hops of what the message was made for.
    async fn begin_octets(&mut self) -> Result<(), MailError> {
        self.say("DATA")?;
        self.state = State::Octets { at_line: true, behind_cr: false };
        let (hostname, date) = (&self.hostname, date(SystemTime::now()));
        let hop =
            format!("Received: by {hostname} (a hop of what led to this message);\r\n\t{date}\r\n");
        let hops = hop.repeat(self.submitter.hops);
        self.feed(hops.as_bytes()).await;
        Ok(())
    }

    async fn write_octets(&mut self, octets: &[u8]) -> Result<(), MailError> {
        if self.state == State::Envelope {
            self.begin_octets().await?;
        }
        let State::Octets { mut at_line, mut behind_cr } = self.state else {
            return Err(MailError::Order);
        };
        // As a client sends them: a dot that begins a line is doubled (RFC 5321 section 4.5.2).
        let mut stuffed = Vec::with_capacity(octets.len() + 16);
        for &octet in octets {
            if at_line && octet == b'.' {
                stuffed.push(b'.');
            }
            stuffed.push(octet);
            at_line = behind_cr && octet == b'\n';
            behind_cr = octet == b'\r';
        }
        self.state = State::Octets { at_line, behind_cr };
        self.feed(&stuffed).await;
        Ok(())
    }

    async fn finish(mut self) -> Result<String, MailError> {
        if self.state == State::Envelope {
            self.begin_octets().await?;
        }
        let at_line = matches!(self.state, State::Octets { at_line: true, .. });
        self.feed(if at_line { b".\r\n" } else { b"\r\n.\r\n" }).await;
        if let Some(id) = self.id {
            return Ok(id);
        }
        let plugin = &*self.submitter.plugin;
        let reply = self.reply.trim_end();
        // A handler has had it dropped, or took it over.
        if reply.starts_with('2') {
            return Ok(String::new());
        }
        if reply.starts_with('5') {
            tracing::error!(plugin, reply, "a plug-in's message is refused");
            return Err(MailError::Refused);
        }
        tracing::error!(plugin, reply, "a plug-in's message could not be queued");
        Err(MailError::Unavailable)
    }
}

impl Submission for Draft {
    fn recipient(&mut self, path: &str, parameters: &str, grant: bool) -> Result<(), MailError> {
        if self.state != State::Envelope {
            return Err(MailError::Order);
        }
        self.grant = grant;
        self.say(format!("RCPT TO:<{path}> {parameters}").trim_end())
    }

    fn write<'a>(&'a mut self, octets: &'a [u8]) -> Work<'a, ()> {
        Box::pin(self.write_octets(octets))
    }

    fn commit(self: Box<Self>) -> Coming<String> {
        Box::pin(self.finish())
    }
}
