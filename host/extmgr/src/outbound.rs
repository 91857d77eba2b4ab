//! Sessions with other servers that plug-ins begin: who has which, and that no two things are done to one at once.
//! Holds the trait that the program implements; knows no socket and no SMTP but which commands are left to a plug-in.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stagepost_abi as abi;
use stagepost_smtp::Credentials;
use tokio::runtime::Handle;

use crate::mail::MailFor;

/// The most sessions of one plug-in.
const SESSIONS_MAX: usize = 64;
/// The longest command without its CRLF (RFC 5321 section 4.5.3.1.4).
const LINE_OCTETS_MAX: usize = 510;
/// Commands that are part of a message, or change what follows: the session says them itself.
const OWN_VERBS: [&str; 17] = [
    "MAIL", "RCPT", "DATA", "BDAT", "RSET", "SEND", "SOML", "SAML", "EHLO", "HELO", "LHLO",
    "STARTTLS", "AUTH", "ATRN", "TURN", "XCLIENT", "QUIT",
];

/// What is done with a session; it is done whether anybody waits for it or not.
pub type Doing = Pin<Box<dyn Future<Output = Result<(), OutboundError>> + Send>>;

/// The way to other servers. Any thread.
pub trait Outbound: Send + Sync {
    /// Begins a session; nobody is dialled yet.
    ///
    /// # Errors
    /// The target can't be.
    fn begin(&self, target: OutboundTarget) -> Result<Arc<dyn OutboundSession>, OutboundError>;
}

/// A session with another server. One thing is done at a time; any thread.
pub trait OutboundSession: Send + Sync {
    /// Dials, and goes as far as the server is ready.
    fn open(&self) -> Doing;

    /// Logs in. `cram`: CRAM-MD5 may be used.
    fn log_in(&self, credentials: Credentials, cram: bool) -> Doing;

    /// Says a command.
    fn command(&self, line: &str) -> Doing;

    /// Hands the server what waits for some destinations.
    fn push(&self, of: MailFor) -> Doing;

    /// Has the server hand us its mail.
    fn reverse(&self, reversal: OutboundReversal) -> Doing;

    /// Says goodbye.
    fn quit(&self) -> Doing;

    /// What is known of it in words.
    fn text(&self, what: OutboundText) -> Box<str>;

    /// How far it is.
    fn progress(&self) -> OutboundProgress;

    /// Ends it at once, and what is done with it.
    fn close(&self);
}

/// Whom a session leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundTarget {
    /// Who asks.
    pub plugin: Arc<str>,
    /// A name or an address.
    pub host: Box<str>,
    /// Never 0.
    pub port: u16,
    /// What is wanted of TLS.
    pub tls: OutboundTls,
    /// TLS comes first.
    pub implicit: bool,
    /// For all of the opening.
    pub deadline: Duration,
}

/// What is wanted of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboundTls {
    /// None of it.
    None,
    /// Where it can be had.
    Offered,
    /// With anybody.
    Required,
    /// With who has a certificate for the name.
    Verified,
}

/// How the roles are changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboundReversal {
    /// What is asked for; none: what the server thinks fit.
    pub domains: Vec<Box<str>>,
    /// For whom mail is taken; none: for whom it is taken of clients.
    pub accept: Vec<MailFor>,
    /// Whose settings are taken; none: those that all have in common.
    pub listener: Option<Box<str>>,
}

/// What a session tells in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboundText {
    /// The last reply, or why there is none.
    Told,
    /// What the server offers.
    Keywords,
    /// The server's address.
    Remote,
}

/// What a session does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum OutboundState {
    /// Nothing was done.
    #[default]
    New = abi::EM_OUTBOUND_NEW,
    /// It is dialled or let in.
    Opening = abi::EM_OUTBOUND_OPENING,
    /// Nothing is under way.
    Ready = abi::EM_OUTBOUND_READY,
    /// A reply is awaited.
    Asking = abi::EM_OUTBOUND_ASKING,
    /// Mail goes out.
    Pushing = abi::EM_OUTBOUND_PUSHING,
    /// Mail comes in.
    Reversed = abi::EM_OUTBOUND_REVERSED,
    /// There is no connection.
    Over = abi::EM_OUTBOUND_OVER,
}

/// How far a session is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboundProgress {
    /// What it does.
    pub state: OutboundState,
    /// The code of the last reply; 0: none.
    pub code: u16,
    /// TLS is on.
    pub secured: bool,
    /// Deliveries that were tried.
    pub pushed: u64,
    /// Those of which nothing is left.
    pub done: u64,
    /// Messages that came.
    pub received: u64,
}

/// Why something was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// What was given can't be.
    #[error("what was given can't be")]
    Invalid,
    /// It is not the time for that.
    #[error("it is not the time for that")]
    Order,
    /// There are as many sessions here as there may be.
    #[error("a limit is reached")]
    Limit,
    /// The server says no.
    #[error("the server refuses it")]
    Refused,
    /// There is no connection, or none any more.
    #[error("there is no connection")]
    Broken,
    /// The server here stops, or the session was closed.
    #[error("the session was closed")]
    Over,
}

impl OutboundError {
    /// The status that tells a plug-in.
    pub(crate) fn status(self) -> abi::STATUS {
        match self {
            Self::Invalid => abi::ERR_MISC_INVALID_ARGS,
            Self::Order => abi::EM_ERR_STAGE,
            Self::Limit => abi::EM_ERR_LIMIT,
            Self::Refused => abi::EM_ERR_REFUSED,
            Self::Broken => abi::EM_ERR_IO,
            Self::Over => abi::EM_ERR_OVER,
        }
    }
}

/// The way to the program's sessions, once there is one.
pub(crate) struct Exchange {
    pub(crate) outbound: Arc<dyn Outbound>,
    pub(crate) runtime: Handle,
}

/// The sessions of one plug-in.
#[derive(Default)]
pub(crate) struct OutboundSessions(Mutex<Table>);

#[derive(Default)]
struct Table {
    /// The last number given out. Never reused, so that a stale one is told.
    last: u64,
    open: HashMap<u64, Held>,
    closed: bool,
}

#[derive(Clone)]
struct Held {
    session: Arc<dyn OutboundSession>,
    busy: Arc<AtomicBool>,
}

/// A session in hand: nobody else does anything to it meanwhile.
pub(crate) struct InHand(Held);

impl InHand {
    pub(crate) fn session(&self) -> &dyn OutboundSession {
        &*self.0.session
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Release);
    }
}

impl OutboundSessions {
    /// Keeps a new session.
    ///
    /// # Errors
    /// The status for the plug-in: there are too many, or the plug-in has stopped.
    pub(crate) fn add(
        &self,
        begin: impl FnOnce() -> Result<Arc<dyn OutboundSession>, OutboundError>,
    ) -> Result<abi::EmOutbound, abi::STATUS> {
        let mut table = self.table();
        if table.closed {
            return Err(abi::EM_ERR_OVER);
        }
        if table.open.len() >= SESSIONS_MAX {
            return Err(abi::EM_ERR_LIMIT);
        }
        let session = begin().map_err(OutboundError::status)?;
        table.last += 1;
        let number = table.last;
        table.open.insert(number, Held { session, busy: Arc::default() });
        Ok(number)
    }

    /// A session, to be asked.
    ///
    /// # Errors
    /// The status for the plug-in: there is none.
    pub(crate) fn find(
        &self,
        number: abi::EmOutbound,
    ) -> Result<Arc<dyn OutboundSession>, abi::STATUS> {
        Ok(self.held(number)?.session)
    }

    /// Takes a session in hand, to do something with it.
    ///
    /// # Errors
    /// The status for the plug-in: there is none, or somebody has it in hand.
    pub(crate) fn take(&self, number: abi::EmOutbound) -> Result<InHand, abi::STATUS> {
        let held = self.held(number)?;
        if held.busy.swap(true, Ordering::AcqRel) {
            return Err(abi::EM_ERR_STAGE);
        }
        Ok(InHand(held))
    }

    /// Ends a session and forgets it.
    ///
    /// # Errors
    /// The status for the plug-in: there is none.
    pub(crate) fn close(&self, number: abi::EmOutbound) -> Result<(), abi::STATUS> {
        let held = self.table().open.remove(&number).ok_or(abi::ERR_NOT_FOUND)?;
        held.session.close();
        Ok(())
    }

    /// Ends all of them, and lets none begin any more.
    pub(crate) fn close_all(&self) {
        let all = {
            let mut table = self.table();
            table.closed = true;
            std::mem::take(&mut table.open)
        };
        all.values().for_each(|held| held.session.close());
    }

    fn held(&self, number: abi::EmOutbound) -> Result<Held, abi::STATUS> {
        self.table().open.get(&number).cloned().ok_or(abi::ERR_NOT_FOUND)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exchange {
    /// Has something done in the runtime, and waits for it on the caller's thread, which may block.
    ///
    /// # Errors
    /// The status for the plug-in.
    pub(crate) fn wait(&self, in_hand: InHand, doing: Doing) -> Result<(), abi::STATUS> {
        let (tell, told) = sync_channel(1);
        self.runtime.spawn(async move {
            let done = doing.await;
            drop(in_hand);
            // Whoever waits is there until it is told.
            let _ = tell.send(done);
        });
        // The server ends and takes the work with it.
        told.recv().map_err(|_| abi::EM_ERR_OVER)?.map_err(OutboundError::status)
    }
}

/// Whether a line is a command that is left to plug-ins.
pub(crate) fn is_command(line: &str) -> bool {
    let verb = line.split(' ').next().unwrap_or_default();
    (1..=LINE_OCTETS_MAX).contains(&line.len())
        && line.bytes().all(|octet| matches!(octet, b' '..=b'~'))
        && verb.bytes().next().is_some_and(|octet| octet.is_ascii_alphabetic())
        && !OWN_VERBS.iter().any(|own| own.eq_ignore_ascii_case(verb))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_change_what_follows_are_not_the_plug_ins() {
        for line in ["NOOP", "ETRN @a.test", "etrn #q", "VRFY a", "XTHING 1 2", "MAILX", "Z"] {
            assert!(is_command(line), "{line}");
        }
        let long = "X".repeat(511);
        for line in [
            "",
            " NOOP",
            "NOOP\r\nQUIT",
            "NOOP\n",
            "NOOP\t",
            "mail FROM:<>",
            "Rcpt TO:<a>",
            "DATA",
            "bdat 1",
            "RSET",
            "EHLO a",
            "STARTTLS",
            "AUTH PLAIN",
            "ATRN",
            "ATRN a",
            "TURN",
            "QUIT",
            "XCLIENT A=b",
            "1",
            "\u{e4}",
            &long,
        ] {
            assert!(!is_command(line), "{line:?}");
        }
    }
}
