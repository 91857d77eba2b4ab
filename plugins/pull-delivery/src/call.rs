//! One call to a server: what is said in which order, and what came of it.
//! Knows one document and no clock; who is called when is decided elsewhere.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stagepost_sdk::{
    Host, Level, OutboundError, OutboundProgress, OutboundSession, Refusal, Reversal, ServerReply,
    Target,
};

use crate::arrivals::{Arrivals, Awaited, Ended, Patience, Waiting};
use crate::connection::{Connection, Requested};
use crate::scope::Scope;
use crate::secret::{self, SecretError};
use crate::section::{Kind, Method};
use crate::timed_command::{self, CommandError};

/// What a call does at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// The command before the call runs.
    #[default]
    Preparing,
    Dialling,
    LoggingIn,
    Requesting,
    Pushing,
    /// Mail comes over the connection (ATRN).
    Fetching,
    /// Mail is to come over others (ETRN).
    Waiting,
    /// The command behind the call runs.
    Ending,
}

/// How far a call is, for who looks at it meanwhile.
#[derive(Default)]
pub(crate) struct Progress(Mutex<Live>);

#[derive(Default)]
struct Live {
    phase: Phase,
    session: Option<Arc<OutboundSession>>,
    awaited: Option<Arc<Awaited>>,
    promised: Option<u64>,
}

/// What a call has done so far, or did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Done {
    /// Deliveries that were handed over, or tried to be.
    pub(crate) pushed: u64,
    /// Those of them of which nothing is left.
    pub(crate) delivered: u64,
    /// Messages that came.
    pub(crate) received: u64,
    /// How many the server has promised; none: it did not say.
    pub(crate) promised: Option<u64>,
    /// What the server has answered to what was asked for.
    pub(crate) replies: Vec<String>,
}

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    #[error("the server offers neither ATRN nor ETRN")]
    NoMethod,
    #[error("the server knows no ETRN: {0}")]
    NoEtrn(ServerReply),
    #[error("nothing of what was asked for is to be had: {0}")]
    Nothing(String),
}

impl From<Refusal> for CallError {
    fn from(refusal: Refusal) -> Self {
        Self::Outbound(refusal.into())
    }
}

/// What a reply to ETRN means (RFC 1985 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Granted {
    /// Mail comes: so much, where that is told.
    Yes(Option<u64>),
    /// There is none.
    NoMail,
    No,
    /// The command is not known there.
    Unknown,
}

/// A call that is to be made.
pub(crate) struct Call<'c> {
    pub(crate) host: Host,
    pub(crate) document: &'c Connection,
    /// Mail is handed over, and nothing is asked for.
    pub(crate) push_alone: bool,
    pub(crate) arrivals: &'c Arrivals,
    pub(crate) progress: &'c Progress,
    pub(crate) stopped: &'c dyn Fn() -> bool,
}

impl Progress {
    fn live(&self) -> MutexGuard<'_, Live> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn phase(&self) -> Phase {
        self.live().phase
    }

    /// What was done so far.
    pub(crate) fn done(&self) -> Done {
        let live = self.live();
        let of_session = live.session.as_ref().map(|session| session.progress());
        let OutboundProgress { pushed, done, received, .. } =
            of_session.unwrap_or(OutboundProgress::NOTHING);
        let came = live.awaited.as_ref().map_or(0, |awaited| awaited.messages());
        let (received, promised) = (received + came, live.promised);
        Done { pushed, delivered: done, received, promised, replies: Vec::new() }
    }

    fn enter(&self, phase: Phase) {
        self.live().phase = phase;
    }
}

impl Call<'_> {
    /// Makes the call: what was done in it, also when it came to nothing. What the command before it has begun the one behind it
    /// ends, whatever came of the call.
    pub(crate) fn make(&self) -> (Done, Result<(), CallError>) {
        if let Some(before) = &self.document.pre_connect
            && let Err(error) = timed_command::run(before, self.stopped)
        {
            return (Done::default(), Err(error.into()));
        }
        let mut replies = Vec::new();
        let mut called = self.talk(&mut replies);
        let done = Done { replies, ..self.progress.done() };
        self.progress.enter(Phase::Ending);
        self.progress.live().session = None;
        if let Some(behind) = &self.document.post_connect {
            // The line is to be ended also when all else is.
            let ended = timed_command::run(behind, || false);
            called = called.and_then(|()| Ok(ended?));
        }
        (done, called)
    }

    fn talk(&self, replies: &mut Vec<String>) -> Result<(), CallError> {
        let document = self.document;
        let session = self.open()?;
        let pulls = document.pulls() && !self.push_alone;
        let atrn = pulls && self.wants_atrn(&session)?;
        let mut waiting = None;
        if pulls && !atrn {
            self.progress.enter(Phase::Requesting);
            waiting = Some(self.request(&session, replies)?);
        }
        let not_taken = if document.pushes() { self.push(&session)? } else { None };
        if let Some(reply) = not_taken {
            replies.push(format!("mail is not taken: {reply}"));
            if !pulls {
                session.quit_wait()?;
                return Err(OutboundError::Refused(reply).into());
            }
        }
        if atrn {
            self.progress.enter(Phase::Fetching);
            return self.fetch(&session, replies);
        }
        session.quit_wait()?;
        if let Some(waiting) = waiting.filter(|_| document.kind != Kind::AlwaysOn) {
            self.wait(&waiting);
        }
        Ok(())
    }

    /// Dials, and logs in.
    fn open(&self) -> Result<Arc<OutboundSession>, CallError> {
        let document = self.document;
        self.progress.enter(Phase::Dialling);
        let session = Arc::new(self.host.outbound(&Target {
            host: &document.host,
            port: document.port,
            tls: document.tls,
            implicit: document.implicit_tls,
            deadline: document.connect_timeout,
        })?);
        self.progress.live().session = Some(session.clone());
        session.open_wait()?;
        if let Some(login) = &document.login {
            self.progress.enter(Phase::LoggingIn);
            let password = secret::read(&login.secret_file)?;
            session.auth_wait(&login.user, &password, login.cram_md5)?;
        }
        Ok(session)
    }

    fn wants_atrn(&self, session: &OutboundSession) -> Result<bool, CallError> {
        Ok(match self.document.method {
            Method::Etrn => false,
            Method::Atrn => true,
            Method::Auto if session.keyword("ATRN").is_some() => true,
            Method::Auto if session.keyword("ETRN").is_some() => false,
            Method::Auto => return Err(CallError::NoMethod),
        })
    }

    /// Asks for one name after the other; mail is counted from then on.
    fn request(
        &self,
        session: &OutboundSession,
        replies: &mut Vec<String>,
    ) -> Result<Waiting, CallError> {
        let server: Option<IpAddr> = session.remote().parse().ok();
        let domains = self.document.domains().cloned().collect();
        let waiting = self.arrivals.await_from(server, domains);
        let (mut any, mut promised) = (false, Some(0));
        for requested in &self.document.request {
            let reply = session.command_wait(&format!("ETRN {requested}"))?;
            match granted(&reply) {
                Granted::Yes(count) => {
                    any = true;
                    let both = promised.zip(count);
                    promised = both.map(|(sum, count): (u64, u64)| sum.saturating_add(count));
                }
                Granted::NoMail => any = true,
                Granted::No => self.tell_refusal(requested, &reply),
                Granted::Unknown => return Err(CallError::NoEtrn(reply)),
            }
            replies.push(format!("ETRN {requested}: {reply}"));
        }
        if !any {
            return Err(CallError::Nothing(replies.join("; ")));
        }
        let mut live = self.progress.live();
        (live.promised, live.awaited) = (promised, Some(waiting.awaited()));
        drop(live);
        Ok(waiting)
    }

    fn tell_refusal(&self, requested: &Requested, reply: &ServerReply) {
        let name = &self.document.name;
        self.host.log(Level::Warn, format_args!("connection {name}: ETRN {requested}: {reply}"));
    }

    /// Hands mail over; what a server says that takes none.
    fn push(&self, session: &OutboundSession) -> Result<Option<ServerReply>, CallError> {
        self.progress.enter(Phase::Pushing);
        for destination in &self.document.push {
            match session.push_wait(&destination.to_string()) {
                Err(OutboundError::Refused(reply)) => return Ok(Some(reply)),
                pushed => pushed?,
            }
        }
        Ok(None)
    }

    /// Has the server hand over its mail.
    fn fetch(&self, session: &OutboundSession, replies: &mut Vec<String>) -> Result<(), CallError> {
        let scopes: Vec<&Scope> = self.document.domains().collect();
        let domains: Vec<&str> = scopes.iter().map(|scope| scope.name()).collect();
        let accept: Vec<String> = scopes.iter().map(ToString::to_string).collect();
        let accept: Vec<&str> = accept.iter().map(String::as_str).collect();
        let reversal =
            Reversal { domains: &domains, accept: &accept, listener: &self.document.listener };
        let reversed = session.reverse_wait(&reversal);
        replies.push(format!("ATRN {}: {}", domains.join(","), session.reply()));
        match reversed {
            // There is no mail (RFC 2645 section 5.2.1): for this call that is its end.
            Err(OutboundError::Refused(reply)) if reply.code == 453 => {
                self.progress.live().promised = Some(0);
                Ok(session.quit_wait()?)
            }
            Err(error @ OutboundError::Refused(_)) => {
                session.quit_wait()?;
                Err(error.into())
            }
            reversed => Ok(reversed?),
        }
    }

    /// Holds the line until all has come that is to come.
    fn wait(&self, waiting: &Waiting) {
        self.progress.enter(Phase::Waiting);
        let promised = self.progress.live().promised;
        let (timeout, quiet) = (self.document.pull_timeout, self.document.quiet);
        let ended = waiting.wait(Patience { promised, timeout, quiet }, self.stopped);
        let why = match ended {
            Ended::Complete => "all that was promised has come",
            Ended::Quiet => "nothing more has come",
            Ended::Timeout => "the pull time-out is over",
            Ended::Stopped => "the server stops",
        };
        let name = &self.document.name;
        self.host.log(Level::Debug, format_args!("connection {name}: no more waiting: {why}"));
    }
}

fn granted(reply: &ServerReply) -> Granted {
    match reply.code {
        250 | 252 => Granted::Yes(None),
        251 => Granted::NoMail,
        253 => Granted::Yes(count(&reply.words)),
        500 | 502 => Granted::Unknown,
        _ => Granted::No,
    }
}

/// The first whole number behind the codes.
fn count(words: &str) -> Option<u64> {
    words.split_whitespace().skip(1).find_map(|word| word.trim_end_matches(',').parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_to_etrn_are_understood() {
        for (words, wanted) in [
            ("250 2.0.0 Queuing for node a.test started", Granted::Yes(None)),
            ("250 Queuing started", Granted::Yes(None)),
            ("251 OK, no messages waiting for node a.test", Granted::NoMail),
            ("252 OK, pending messages for node a.test started", Granted::Yes(None)),
            ("253 OK, 18 pending messages for node a.test started", Granted::Yes(Some(18))),
            ("253 2.0.0 7 pending messages for node a1.test started", Granted::Yes(Some(7))),
            ("253 2.0.0 some messages for node 7.test", Granted::Yes(None)),
            ("458 Unable to queue messages for node a.test", Granted::No),
            ("459 Node a.test not allowed: 5", Granted::No),
            ("500 what?", Granted::Unknown),
            ("502 5.5.1 not here", Granted::Unknown),
            ("501 bad node", Granted::No),
            ("550 no", Granted::No),
        ] {
            let code = words[..3].parse().unwrap();
            let reply = ServerReply { code, words: words.to_owned() };
            assert_eq!(granted(&reply), wanted, "{words}");
        }
    }
}
