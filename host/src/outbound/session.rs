//! One session of a plug-in's with another server: where it is, and what is done with it.
//! Knows the order of things; no socket, and none of SMTP but the codes that ATRN is answered with.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stagepost_extmgr::{
    Doing, MailFor, OutboundError, OutboundProgress, OutboundReversal, OutboundSession,
    OutboundState, OutboundTarget, OutboundText, OutboundTls,
};
use stagepost_smtp::{Cause, Credentials, DisconnectReason, Reply};
use tokio::sync::watch;
use tokio::time::timeout;

use super::receiving::{Receiving, receive};
use super::{Accepted, Parts};
use crate::config::{NextHop, TlsPolicy};
use crate::delivery::{Dial, DialError, LineFault, OpenLine, Pushed};
use crate::plugin::mail;

/// In the place of a listener's name, where none was given.
const LISTENER: &str = "outbound";

/// A session.
pub(super) struct Session(Arc<Inner>);

struct Inner {
    parts: Arc<Parts>,
    target: OutboundTarget,
    host: NextHop,
    state: Mutex<State>,
    pushed: Arc<Pushed>,
    received: Arc<AtomicU64>,
    closed: watch::Sender<bool>,
}

/// What is known of it.
#[derive(Default)]
struct State {
    doing: OutboundState,
    line: Option<Arc<OpenLine>>,
    code: u16,
    told: Box<str>,
    keywords: Box<str>,
    remote: Box<str>,
    secured: bool,
}

/// Why something came to nothing, and in which words the plug-in is told.
struct Fault {
    error: OutboundError,
    /// The code of a reply; 0: it is none.
    code: u16,
    told: Box<str>,
    /// There is no connection any more.
    over: bool,
}

impl Fault {
    fn broken(told: impl std::fmt::Display) -> Self {
        let told = told.to_string().into();
        Self { error: OutboundError::Broken, code: 0, told, over: true }
    }

    fn over() -> Self {
        let told = "the session was closed here".into();
        Self { error: OutboundError::Over, code: 0, told, over: true }
    }

    fn refused(reply: &Reply, over: bool) -> Self {
        Self { error: OutboundError::Refused, code: reply.code(), told: words(reply), over }
    }

    fn of_cause(cause: &Cause) -> Self {
        match cause {
            Cause::Replied { reply, .. } => Self::refused(reply, true),
            Cause::NoTls | Cause::Handshake(_) | Cause::NoMechanism | Cause::Login(_) => {
                Self { error: OutboundError::Refused, ..Self::broken(cause) }
            }
            _ => Self::broken(cause),
        }
    }
}

impl From<LineFault> for Fault {
    fn from(fault: LineFault) -> Self {
        match fault {
            LineFault::Cause(cause) => Self::of_cause(&cause),
            LineFault::Closed => Self::over(),
            LineFault::NoRandom(_) => Self::broken(fault),
        }
    }
}

impl From<DialError> for Fault {
    fn from(error: DialError) -> Self {
        match &error {
            DialError::Opening { cause, .. } => Self::of_cause(cause),
            _ => Self::broken(error),
        }
    }
}

/// A reply as it came, a line feed between its lines.
fn words(reply: &Reply) -> Box<str> {
    let mark = reply.enhanced().map_or_else(String::new, |mark| format!("{mark} "));
    format!("{} {mark}{}", reply.code(), reply.text()).into()
}

impl Session {
    pub(super) fn new(parts: Arc<Parts>, target: OutboundTarget, host: NextHop) -> Self {
        let (closed, _) = watch::channel(false);
        let (state, pushed, received) = (Mutex::default(), Arc::default(), Arc::default());
        Self(Arc::new(Inner { parts, target, host, state, pushed, received, closed }))
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it was closed. What has the state sees that no later than whoever closes it takes its line.
    fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Begins something, where it is its time.
    fn begin(&self, during: OutboundState) -> Result<Arc<OpenLine>, OutboundError> {
        let mut state = self.state();
        let line = state.line.clone().filter(|_| state.doing == OutboundState::Ready);
        let line = line.ok_or_else(|| match state.doing {
            _ if self.is_closed() => OutboundError::Over,
            OutboundState::Over => OutboundError::Broken,
            _ => OutboundError::Order,
        })?;
        state.doing = during;
        Ok(line)
    }

    /// Keeps how something has ended.
    fn end(&self, done: Result<Option<Reply>, Fault>) -> Result<(), OutboundError> {
        let mut state = self.state();
        match done {
            Ok(reply) => {
                state.doing = OutboundState::Ready;
                if let Some(reply) = reply {
                    (state.code, state.told) = (reply.code(), words(&reply));
                }
                Ok(())
            }
            Err(Fault { error, code, told, over }) => {
                (state.code, state.told) = (code, told);
                state.doing = if over { OutboundState::Over } else { OutboundState::Ready };
                let line = state.line.take_if(|_| over);
                drop(state);
                match line {
                    Some(line) if error == OutboundError::Over => line.close(),
                    // Bounded by the time-out of QUIT; nothing depends on it.
                    Some(line) => drop(tokio::spawn(async move { line.quit().await })),
                    None => {}
                }
                Err(error)
            }
        }
    }

    /// Does something unless the session is closed, or the server stops, meanwhile.
    async fn unless_over<T>(
        &self,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let mut stopping = self.parts.shared.stopping.clone();
        let mut closed = self.closed.subscribe();
        tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => Err(Fault::over()),
            () = stopping.wait() => Err(Fault::over()),
            done = work => done,
        }
    }

    async fn open(&self) -> Result<(), OutboundError> {
        {
            let mut state = self.state();
            if self.is_closed() {
                return Err(OutboundError::Over);
            }
            if state.doing != OutboundState::New {
                return Err(OutboundError::Order);
            }
            state.doing = OutboundState::Opening;
        }
        let dial = Dial {
            host: self.host.clone(),
            tls: match self.target.tls {
                OutboundTls::None => TlsPolicy::None,
                OutboundTls::Offered => TlsPolicy::Opportunistic,
                OutboundTls::Required => TlsPolicy::Required,
                OutboundTls::Verified => TlsPolicy::Verified,
            },
            implicit: self.target.implicit,
        };
        let dialling = async {
            match timeout(self.target.deadline, self.parts.relay.dial(&dial)).await {
                Ok(dialled) => Ok(dialled?),
                Err(_) => Err(Fault::broken(format!("{}: not ready in time", dial.host))),
            }
        };
        let line = match Box::pin(self.unless_over(dialling)).await {
            Ok(line) => Arc::new(line),
            Err(fault) => return self.end(Err(fault)),
        };
        let (keywords, secured) = (line.keywords().await, line.is_secured().await);
        let remote = line.remote().await.map(|remote| remote.ip().to_canonical().to_string());
        let mut state = self.state();
        if self.is_closed() {
            return Err(OutboundError::Over);
        }
        let State { line: place, keywords: offered, remote: known, .. } = &mut *state;
        (*place, *offered) = (Some(line), keywords);
        *known = remote.unwrap_or_default().into();
        (state.secured, state.doing) = (secured, OutboundState::Ready);
        tracing::debug!(plugin = &*self.target.plugin, server = %self.host, "outbound session begins");
        Ok(())
    }

    async fn log_in(&self, credentials: Credentials, cram: bool) -> Result<(), OutboundError> {
        let line = self.begin(OutboundState::Opening)?;
        let done = self.unless_over(async { Ok(line.log_in(credentials, cram).await?) }).await;
        self.end(done.map(|()| None))
    }

    async fn command(&self, command: &str) -> Result<(), OutboundError> {
        let line = self.begin(OutboundState::Asking)?;
        let done = self.unless_over(async { Ok(line.command(command).await?) }).await;
        self.end(done.map(Some))
    }

    async fn push(&self, of: MailFor) -> Result<(), OutboundError> {
        let of = mail::destinations(of).ok_or(OutboundError::Invalid)?;
        let line = self.begin(OutboundState::Pushing)?;
        let shared = &self.parts.shared;
        // Ended between two messages, or by the line: what is settled stays settled.
        let pushing =
            shared.fetching.send_over(&line, vec![of], &shared.stopping, self.pushed.clone());
        let fetched = pushing.await;
        let ended = if self.is_closed() || shared.stopping.is_said() {
            Err(Fault::over())
        } else if line.is_over().await {
            Err(Fault::broken("the connection broke while mail was pushed"))
        } else if let Some(reply) = line.takes_none() {
            Err(Fault::refused(reply, false))
        } else if fetched.broken_off {
            Err(Fault { over: false, ..Fault::broken("the queue can't be read") })
        } else {
            Ok(None)
        };
        self.end(ended)
    }

    async fn reverse(&self, reversal: OutboundReversal) -> Result<(), OutboundError> {
        let OutboundReversal { domains, accept, listener } = reversal;
        let parts = &self.parts;
        let settings = match &listener {
            Some(name) => parts.listeners.get(name).cloned().ok_or(OutboundError::Invalid)?,
            None => parts.receive.clone(),
        };
        // Once the server has agreed there must be one.
        let place = parts.shared.sessions.enter(None).map_err(|_| OutboundError::Limit)?;
        let line = self.begin(OutboundState::Asking)?;
        let command = format!("ATRN {}", domains.join(","));
        let asked = self.unless_over(async { Ok(line.hand_over(command.trim_end()).await?) }).await;
        let reply = match asked {
            Ok(reply) if reply.code() == 250 => reply,
            Ok(reply) => return self.end(Err(Fault::refused(&reply, false))),
            Err(fault) => return self.end(Err(fault)),
        };
        let Some(ends) = line.give_away().await else {
            return self.end(Err(Fault::broken("the connection broke as it was reversed")));
        };
        {
            let mut state = self.state();
            state.doing = OutboundState::Reversed;
            (state.code, state.told) = (reply.code(), words(&reply));
        }
        let receiving = Receiving {
            settings,
            listener: listener.unwrap_or_else(|| LISTENER.into()),
            accepted: Accepted::new(accept),
            received: self.received.clone(),
        };
        self.receive(receive(&parts.shared, place, ends, receiving)).await
    }

    /// Serves who was our server, until it leaves or the session is closed.
    async fn receive(
        &self,
        serving: impl Future<Output = Option<DisconnectReason>>,
    ) -> Result<(), OutboundError> {
        let mut closed = self.closed.subscribe();
        let reason = tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => Some(DisconnectReason::Shutdown),
            reason = serving => reason,
        };
        let mut state = self.state();
        state.doing = OutboundState::Over;
        match reason {
            Some(DisconnectReason::Quit) => Ok(()),
            Some(DisconnectReason::Shutdown) => Err(OutboundError::Over),
            reason => {
                let reason = reason.map_or("gone", DisconnectReason::name);
                (state.code, state.told) = (0, format!("it ended without QUIT: {reason}").into());
                Err(OutboundError::Broken)
            }
        }
    }

    async fn quit(&self) -> Result<(), OutboundError> {
        let line = {
            let mut state = self.state();
            if state.doing == OutboundState::New {
                return Err(OutboundError::Order);
            }
            state.doing = OutboundState::Over;
            state.line.take()
        };
        let Some(line) = line else { return Ok(()) };
        let mut closed = self.closed.subscribe();
        tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => Err(OutboundError::Over),
            () = line.quit() => Ok(()),
        }
    }

    fn close(&self) {
        self.closed.send_replace(true);
        let line = {
            let mut state = self.state();
            state.doing = OutboundState::Over;
            state.line.take()
        };
        if let Some(line) = line {
            line.close();
        }
    }
}

impl OutboundSession for Session {
    fn open(&self) -> Doing {
        let inner = self.0.clone();
        Box::pin(async move { inner.open().await })
    }

    fn log_in(&self, credentials: Credentials, cram: bool) -> Doing {
        let inner = self.0.clone();
        Box::pin(async move { inner.log_in(credentials, cram).await })
    }

    fn command(&self, line: &str) -> Doing {
        let (inner, line) = (self.0.clone(), line.to_owned());
        Box::pin(async move { inner.command(&line).await })
    }

    fn push(&self, of: MailFor) -> Doing {
        let inner = self.0.clone();
        Box::pin(async move { inner.push(of).await })
    }

    fn reverse(&self, reversal: OutboundReversal) -> Doing {
        let inner = self.0.clone();
        Box::pin(async move { inner.reverse(reversal).await })
    }

    fn quit(&self) -> Doing {
        let inner = self.0.clone();
        Box::pin(async move { inner.quit().await })
    }

    fn text(&self, what: OutboundText) -> Box<str> {
        let state = self.0.state();
        match what {
            OutboundText::Told => state.told.clone(),
            OutboundText::Keywords => state.keywords.clone(),
            OutboundText::Remote => state.remote.clone(),
        }
    }

    fn progress(&self) -> OutboundProgress {
        let state = self.0.state();
        OutboundProgress {
            state: state.doing,
            code: state.code,
            secured: state.secured,
            pushed: self.0.pushed.tried.load(Ordering::Relaxed),
            done: self.0.pushed.done.load(Ordering::Relaxed),
            received: self.0.received.load(Ordering::Relaxed),
        }
    }

    fn close(&self) {
        self.0.close();
    }
}
