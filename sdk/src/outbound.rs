//! Sessions of the plug-in's own with other servers: dialled, logged in, asked, given mail, or had give theirs.
//! Knows no protocol: what is said is the server's work, what for the plug-in's.

use std::fmt;
use std::ptr;
use std::time::Duration;

use stagepost_abi::{
    EM_ERR_IO, EM_ERR_REFUSED, EM_OUTBOUND_CRAM_MD5, EM_OUTBOUND_IMPLICIT_TLS,
    EM_OUTBOUND_KEYWORDS, EM_OUTBOUND_NEW, EM_OUTBOUND_OPENING, EM_OUTBOUND_OVER,
    EM_OUTBOUND_PUSHING, EM_OUTBOUND_READY, EM_OUTBOUND_REMOTE, EM_OUTBOUND_REVERSED,
    EM_OUTBOUND_TLS_NONE, EM_OUTBOUND_TLS_OFFERED, EM_OUTBOUND_TLS_REQUIRED,
    EM_OUTBOUND_TLS_VERIFIED, EM_OUTBOUND_TOLD, EmHost, EmOutbound, EmOutboundProgress,
    EmOutboundReversal, EmOutboundService, EmOutboundTarget, EmRequest, EmToken, NOERROR, STATUS,
};

use crate::call::{Refusal, check};
use crate::pending::{Pending, milliseconds};
use crate::request::Asking;
use crate::text::lend;

/// The longest text of a session.
const TEXT_OCTETS_MAX: usize = 8192;

/// Whom a session leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'t> {
    /// A domain name, or an IP address without brackets.
    pub host: &'t str,
    /// Its port.
    pub port: u16,
    /// What is wanted of TLS.
    pub tls: OutboundTls,
    /// TLS comes before the server says anything; with `Required` or `Verified`.
    pub implicit: bool,
    /// For all of `open`, up to 10 minutes; zero: a minute.
    pub deadline: Duration,
}

/// What is wanted of TLS with another server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutboundTls {
    /// None of it.
    None,
    /// It is used where it can be had; anybody may be at the other end.
    #[default]
    Offered,
    /// Nothing is said without; anybody may be at the other end.
    Required,
    /// Nothing is said without, and but to who has a certificate for the host's name.
    Verified,
}

/// How the roles are changed, and what is taken then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reversal<'r> {
    /// What ATRN asks for; none: the server's default for who has logged in.
    pub domains: &'r [&'r str],
    /// For whom mail is taken, with `@` before a domain for those below it, too; none: for whom mail of clients is taken.
    pub accept: &'r [&'r str],
    /// The listener whose settings the receiving session has; empty: what all have in common.
    pub listener: &'r str,
}

/// What a server has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerReply {
    /// Its code.
    pub code: u16,
    /// The whole of it, code and all, a line feed between lines.
    pub words: String,
}

impl fmt::Display for ServerReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words.replace('\n', " "))
    }
}

/// Why something with another server came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// The server says no, in these words, or has not what is needed: then the code is 0.
    #[error("{0}")]
    Refused(ServerReply),
    /// There is no connection, or none any more.
    #[error("{0}")]
    Broken(String),
    /// The host says no: [`Reason::Over`](crate::Reason::Over) when the session was closed, or the host stops.
    #[error(transparent)]
    Host(#[from] Refusal),
}

/// What a session does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboundState {
    /// Nothing was done yet.
    New,
    /// The server is dialled, or is to let us in.
    Opening,
    /// Nothing is under way.
    Ready,
    /// The reply to a command is awaited.
    Asking,
    /// Mail is pushed.
    Pushing,
    /// The server has become the client, and sends mail.
    Reversed,
    /// There is no connection any more.
    Over,
}

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboundProgress {
    /// What it does.
    pub state: OutboundState,
    /// TLS is on.
    pub secured: bool,
    /// Deliveries that were tried.
    pub pushed: u64,
    /// Those of them of which nothing is left to deliver.
    pub done: u64,
    /// Messages that the server has sent.
    pub received: u64,
}

/// A session with another server. Any thread; one thing at a time, but [`progress`](Self::progress), which tells of it
/// meanwhile. Dropping it ends it at once.
///
/// First `open`, in the end `quit`. What ends in `_wait` is for handlers of class blocking and threads of the plug-in's own; the
/// others are for [`AsyncPlugin`](crate::AsyncPlugin), in the handler whose `call` they are given.
pub struct OutboundSession {
    host: *mut EmHost,
    table: &'static EmOutboundService,
    number: EmOutbound,
}

// SAFETY: the handle is opaque and valid until the process ends; all functions of the table are [any-thread].
unsafe impl Send for OutboundSession {}
// SAFETY: as for Send.
unsafe impl Sync for OutboundSession {}

impl fmt::Debug for OutboundSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboundSession").field("number", &self.number).finish_non_exhaustive()
    }
}

impl OutboundProgress {
    /// Nothing was done.
    pub const NOTHING: Self =
        Self { state: OutboundState::New, secured: false, pushed: 0, done: 0, received: 0 };
}

impl OutboundSession {
    /// # Safety
    ///
    /// `host` was given to em_entry, and `table` was found with it.
    pub(crate) unsafe fn begin(
        host: *mut EmHost,
        table: &'static EmOutboundService,
        target: &Target<'_>,
    ) -> Result<Self, Refusal> {
        let target = EmOutboundTarget {
            size: size_of::<EmOutboundTarget>() as u32,
            tls: match target.tls {
                OutboundTls::None => EM_OUTBOUND_TLS_NONE,
                OutboundTls::Offered => EM_OUTBOUND_TLS_OFFERED,
                OutboundTls::Required => EM_OUTBOUND_TLS_REQUIRED,
                OutboundTls::Verified => EM_OUTBOUND_TLS_VERIFIED,
            },
            flags: if target.implicit { EM_OUTBOUND_IMPLICIT_TLS } else { 0 },
            deadline_ms: milliseconds(target.deadline),
            host: lend(target.host.as_bytes()),
            port: target.port,
            reserved: [0; 3],
        };
        let mut number = 0;
        // SAFETY: host and table belong together; the target is lent for the call, and there is room for the number.
        check("outbound", unsafe { (table.begin)(host, &raw const target, &raw mut number) })?;
        Ok(Self { host, table, number })
    }

    /// Dials, and goes as far as the server is ready.
    ///
    /// # Errors
    /// It is not.
    pub fn open_wait(&self) -> Result<(), OutboundError> {
        // SAFETY: host and table belong together.
        self.told("open", unsafe { (self.table.open_wait)(self.host, self.number) })
    }

    /// Logs in. `cram_md5`: that may be used where the server offers nothing better.
    ///
    /// # Errors
    /// The server does not let us in, and the session is over then.
    pub fn auth_wait(
        &self,
        user: &str,
        password: &str,
        cram_md5: bool,
    ) -> Result<(), OutboundError> {
        let (user, password) = (lend(user.as_bytes()), lend(password.as_bytes()));
        let flags = if cram_md5 { EM_OUTBOUND_CRAM_MD5 } else { 0 };
        // SAFETY: host and table belong together; the texts are lent for the call.
        let status =
            unsafe { (self.table.auth_wait)(self.host, self.number, user, password, flags) };
        self.told("auth", status)
    }

    /// Says a command that is no part of a message; the reply, whatever it says.
    ///
    /// # Errors
    /// There is none.
    pub fn command_wait(&self, line: &str) -> Result<ServerReply, OutboundError> {
        let line = lend(line.as_bytes());
        // SAFETY: host and table belong together; the text is lent for the call.
        let status = unsafe { (self.table.command_wait)(self.host, self.number, line) };
        self.told("command", status)?;
        Ok(self.reply())
    }

    /// Hands the server what waits for a destination, as in [`Queue`](crate::Queue). Needs the edit `queue`.
    ///
    /// # Errors
    /// The connection breaks: what was not acknowledged waits on.
    pub fn push_wait(&self, destination: &str) -> Result<(), OutboundError> {
        let destination = lend(destination.as_bytes());
        // SAFETY: host and table belong together; the text is lent for the call.
        let status = unsafe { (self.table.push_wait)(self.host, self.number, destination) };
        self.told("push", status)
    }

    /// Says ATRN, and where the server agrees takes mail from it until it leaves. Nothing follows then.
    ///
    /// # Errors
    /// [`OutboundError::Refused`]: it does not agree, and the session goes on.
    pub fn reverse_wait(&self, reversal: &Reversal<'_>) -> Result<(), OutboundError> {
        lent(reversal, |reversal| {
            // SAFETY: host and table belong together; the reversal is lent for the call.
            let status = unsafe { (self.table.reverse_wait)(self.host, self.number, reversal) };
            self.told("reverse", status)
        })
    }

    /// Says goodbye, and ends the conversation.
    ///
    /// # Errors
    /// It was not open.
    pub fn quit_wait(&self) -> Result<(), OutboundError> {
        // SAFETY: host and table belong together.
        self.told("quit", unsafe { (self.table.quit_wait)(self.host, self.number) })
    }

    /// As [`open_wait`](Self::open_wait), without a thread that waits.
    ///
    /// # Errors
    /// Those.
    pub async fn open(&self, call: &Pending) -> Result<(), OutboundError> {
        self.begin_asking("open", call, |token, request| {
            // SAFETY: host and table belong together; a token may be any number.
            unsafe { (self.table.open)(self.host, token, self.number, request) }
        })
        .await
    }

    /// As [`auth_wait`](Self::auth_wait), without a thread that waits.
    ///
    /// # Errors
    /// Those.
    pub async fn auth(
        &self,
        call: &Pending,
        user: &str,
        password: &str,
        cram_md5: bool,
    ) -> Result<(), OutboundError> {
        let flags = if cram_md5 { EM_OUTBOUND_CRAM_MD5 } else { 0 };
        self.begin_asking("auth", call, |token, request| {
            let (user, password) = (lend(user.as_bytes()), lend(password.as_bytes()));
            // SAFETY: as in `open`; the texts are lent for the call.
            unsafe {
                (self.table.auth)(self.host, token, self.number, user, password, flags, request)
            }
        })
        .await
    }

    /// As [`command_wait`](Self::command_wait), without a thread that waits.
    ///
    /// # Errors
    /// Those.
    pub async fn command(&self, call: &Pending, line: &str) -> Result<ServerReply, OutboundError> {
        self.begin_asking("command", call, |token, request| {
            let line = lend(line.as_bytes());
            // SAFETY: as in `open`; the text is lent for the call.
            unsafe { (self.table.command)(self.host, token, self.number, line, request) }
        })
        .await?;
        Ok(self.reply())
    }

    /// As [`push_wait`](Self::push_wait), without a thread that waits.
    ///
    /// # Errors
    /// Those.
    pub async fn push(&self, call: &Pending, destination: &str) -> Result<(), OutboundError> {
        self.begin_asking("push", call, |token, request| {
            let destination = lend(destination.as_bytes());
            // SAFETY: as in `open`; the text is lent for the call.
            unsafe { (self.table.push)(self.host, token, self.number, destination, request) }
        })
        .await
    }

    /// As [`reverse_wait`](Self::reverse_wait), without a thread that waits.
    ///
    /// # Errors
    /// Those.
    pub async fn reverse(
        &self,
        call: &Pending,
        reversal: &Reversal<'_>,
    ) -> Result<(), OutboundError> {
        self.begin_asking("reverse", call, |token, request| {
            lent(reversal, |reversal| {
                // SAFETY: as in `open`; the reversal is lent for the call.
                unsafe { (self.table.reverse)(self.host, token, self.number, reversal, request) }
            })
        })
        .await
    }

    /// As [`quit_wait`](Self::quit_wait), without a thread that waits.
    ///
    /// # Errors
    /// Those.
    pub async fn quit(&self, call: &Pending) -> Result<(), OutboundError> {
        self.begin_asking("quit", call, |token, request| {
            // SAFETY: host and table belong together; a token may be any number.
            unsafe { (self.table.quit)(self.host, token, self.number, request) }
        })
        .await
    }

    /// What the server last said; the code is 0 when that is why there is no connection.
    pub fn reply(&self) -> ServerReply {
        ServerReply { code: self.read_progress().code, words: self.text(EM_OUTBOUND_TOLD) }
    }

    /// What the server offers in its reply to EHLO, each keyword with its parameters in a line.
    pub fn keywords(&self) -> String {
        self.text(EM_OUTBOUND_KEYWORDS)
    }

    /// Whether the server offers a keyword, and with which parameters.
    pub fn keyword(&self, name: &str) -> Option<String> {
        let keywords = self.keywords();
        let of = |line: &str| {
            let (keyword, parameters) = line.split_once(' ').unwrap_or((line, ""));
            keyword.eq_ignore_ascii_case(name).then(|| parameters.to_owned())
        };
        keywords.lines().find_map(of)
    }

    /// The address of the server; empty before it is open.
    pub fn remote(&self) -> String {
        self.text(EM_OUTBOUND_REMOTE)
    }

    /// Tells how far it is, also while something is under way.
    pub fn progress(&self) -> OutboundProgress {
        let read = self.read_progress();
        OutboundProgress {
            state: match read.state {
                EM_OUTBOUND_NEW => OutboundState::New,
                EM_OUTBOUND_OPENING => OutboundState::Opening,
                EM_OUTBOUND_READY => OutboundState::Ready,
                EM_OUTBOUND_PUSHING => OutboundState::Pushing,
                EM_OUTBOUND_REVERSED => OutboundState::Reversed,
                EM_OUTBOUND_OVER => OutboundState::Over,
                _ => OutboundState::Asking,
            },
            secured: read.secured != 0,
            pushed: read.pushed,
            done: read.done,
            received: read.received,
        }
    }

    fn read_progress(&self) -> EmOutboundProgress {
        let mut progress = EmOutboundProgress {
            size: size_of::<EmOutboundProgress>() as u32,
            state: EM_OUTBOUND_OVER,
            code: 0,
            secured: 0,
            reserved: 0,
            pushed: 0,
            done: 0,
            received: 0,
        };
        // SAFETY: host and table belong together, and there is room for the progress. Of a session that the host has closed
        // it stays as it is.
        let _: STATUS = unsafe { (self.table.progress)(self.host, self.number, &raw mut progress) };
        progress
    }

    fn text(&self, what: u32) -> String {
        let (mut text, mut length) = (vec![0_u8; TEXT_OCTETS_MAX], 0);
        // SAFETY: host and table belong together; the buffer has room for its length.
        let status = unsafe {
            (self.table.text)(
                self.host,
                self.number,
                what,
                text.as_mut_ptr().cast(),
                text.len() as u64,
                &raw mut length,
            )
        };
        // A host that writes more than there is room for has broken its contract.
        let length = usize::try_from(length).ok().filter(|length| *length <= text.len());
        text.truncate(if status == NOERROR { length.unwrap_or(0) } else { 0 });
        String::from_utf8_lossy(&text).into_owned()
    }

    /// A status, with the words that go with it.
    fn told(&self, call: &'static str, status: STATUS) -> Result<(), OutboundError> {
        match status {
            NOERROR => Ok(()),
            EM_ERR_REFUSED => Err(OutboundError::Refused(self.reply())),
            EM_ERR_IO => Err(OutboundError::Broken(self.text(EM_OUTBOUND_TOLD))),
            status => Err(Refusal::of(call, status).into()),
        }
    }

    async fn begin_asking(
        &self,
        name: &'static str,
        call: &Pending,
        ask: impl FnOnce(EmToken, *mut EmRequest) -> STATUS,
    ) -> Result<(), OutboundError> {
        let results = Results { host: self.host, table: self.table };
        let status = Asking::begin(name, call, ask, results, Results::read).await?;
        self.told(name, status)
    }
}

impl Drop for OutboundSession {
    fn drop(&mut self) {
        // SAFETY: host and table belong together. One that the host has closed is told, and nothing comes of it.
        let _: STATUS = unsafe { (self.table.close)(self.host, self.number) };
    }
}

/// Where the results of a plug-in's requests are.
struct Results {
    host: *mut EmHost,
    table: &'static EmOutboundService,
}

// SAFETY: the handle is opaque and valid until the process ends; all functions of the table are [any-thread].
unsafe impl Send for Results {}

impl Results {
    /// What a request came to: what another server has to do with it is no refusal of the host's.
    fn read(&self, request: EmRequest) -> Result<STATUS, STATUS> {
        // SAFETY: host and table belong together; a request may be any number.
        match unsafe { (self.table.result)(self.host, request) } {
            status @ (NOERROR | EM_ERR_REFUSED | EM_ERR_IO) => Ok(status),
            status => Err(status),
        }
    }
}

/// Lends a reversal for a call.
fn lent<T>(reversal: &Reversal<'_>, call: impl FnOnce(*const EmOutboundReversal) -> T) -> T {
    let (domains, accept) = (reversal.domains.join("\n"), reversal.accept.join("\n"));
    let lent = EmOutboundReversal {
        size: size_of::<EmOutboundReversal>() as u32,
        reserved: 0,
        domains: lend(domains.as_bytes()),
        accept: lend(accept.as_bytes()),
        listener: lend(reversal.listener.as_bytes()),
    };
    call(ptr::from_ref(&lent))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Handlers are polled on any thread, so what they wait for must be fit for that. That it compiles is the test.
    #[allow(dead_code, reason = "compiled, not run")]
    fn handlers_can_wait_for_it(session: OutboundSession, call: &Pending) {
        fn is_send(_: impl Send) {}
        is_send(session.open(call));
        is_send(session.auth(call, "user", "password", false));
        is_send(session.command(call, "NOOP"));
        is_send(session.push(call, "a.test"));
        is_send(session.reverse(call, &Reversal::default()));
        is_send(session.quit(call));
    }
}
