//! One connection: carries out what its session asks for, and tells it what happened.
//! Knows sockets and time; knows no SMTP, which is the session's alone.

mod stream;

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stagepost_extmgr::{Asked, Dispatch};
use stagepost_smtp::{
    Action, Address, Ask, DisconnectReason, Expired, Facts, Refused, Reversal, Route, Session, Tls,
    TlsFault,
};
use tokio::time::timeout;

pub(crate) use self::stream::{Reversed, Stream};

use crate::auth::Authenticator;
use crate::delivery::{Fetched, Fetching};
use crate::directory::Directory;
use crate::intake::Intake;
use crate::outbound::Accepted;
use crate::plugin::mail;
use crate::stopping::Stopping;
use crate::tls::ServerTls;

/// How long and how much is read away after the last reply, so that it is not lost to a reset.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_OCTETS_MAX: usize = 1 << 20;

thread_local! {
    /// Where octets are read to before the session takes them: one a thread, so that an idle session has none.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; 64 * 1024].into());
}

/// A connection and its session.
pub(crate) struct Connection {
    pub(crate) stream: Stream,
    /// For STARTTLS; none where it is not offered.
    pub(crate) tls: Option<Arc<ServerTls>>,
    pub(crate) session: Session,
    pub(crate) dispatch: Dispatch,
    pub(crate) directory: Directory,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) intake: Intake,
    pub(crate) fetching: Arc<Fetching>,
    pub(crate) stopping: Stopping,
    /// For whom mail is taken, of all for whom the router would have it; none: for all.
    pub(crate) accepted: Option<Box<Accepted>>,
}

/// How a session has ended.
pub(crate) struct Ended {
    /// How the client took too long, if that was why.
    pub(crate) expired: Option<Expired>,
    /// Why it is over; none: the connection was gone before anything was said.
    pub(crate) reason: Option<DisconnectReason>,
    /// What the client was refused, if anything, with what was known of it at the end.
    pub(crate) refused: Option<Box<(Refused, Arc<Facts>)>>,
}

/// What ended a wait for the client.
enum Waited {
    Readable,
    Timeout,
    Stopping,
    Broken,
}

impl Connection {
    /// Serves the client until the session is over.
    pub(crate) async fn serve(mut self) -> Ended {
        let mut told_to_stop = false;
        while self.carry_out().await {
            let waited = self.wait(told_to_stop).await;
            let now = Instant::now();
            match waited {
                Waited::Readable => self.read(now),
                Waited::Timeout => self.session.handle_timeout(now),
                Waited::Broken => self.session.handle_hangup(now),
                Waited::Stopping => {
                    told_to_stop = true;
                    self.session.handle_shutdown(now);
                }
            }
        }
        let Self { stream, session, .. } = self;
        // Not to be part of a connection that waits.
        Box::pin(end(stream, session)).await
    }

    /// Does everything that the session wants done now. False when it is over.
    async fn carry_out(&mut self) -> bool {
        let id = self.session.facts().id;
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Send(octets) => {
                    let limit = self.session.settings().timeouts.write;
                    if !self.stream.send(&octets, limit).await {
                        self.session.handle_hangup(Instant::now());
                    }
                }
                Action::Ask(ask) => {
                    let verdict = match self.ask(ask) {
                        Asked::Answered(verdict) => verdict,
                        Asked::Waiting(answer) => self.await_answer(answer).await,
                    };
                    self.session.handle_verdict(Instant::now(), verdict);
                }
                Action::Route(recipient) => {
                    let route = match self.known_route(&recipient) {
                        Some(route) => route,
                        // LDAP has to be asked first.
                        None => {
                            let directory = self.directory.clone();
                            let route = Box::pin(async move { directory.route(&recipient).await });
                            self.await_answer(route).await
                        }
                    };
                    self.session.handle_route(Instant::now(), route);
                }
                Action::Body { part, octets } => {
                    let taken = self.intake.take(id, part, octets).await;
                    self.session.handle_body_taken(Instant::now(), taken);
                }
                Action::Store { envelope, edits } => {
                    let facts = self.session.facts().clone();
                    // Large, and for a moment: not to be part of a connection that waits.
                    let stored = self.intake.store(&facts, envelope, edits, &mut self.dispatch);
                    let stored = Box::pin(stored).await;
                    self.session.handle_stored(Instant::now(), stored);
                }
                Action::StartTls => {
                    // Rare, and large: not to be part of every connection.
                    let tls = Box::pin(self.secure()).await;
                    self.session.handle_tls(Instant::now(), tls);
                }
                Action::Reverse(reversal) => {
                    // As rare.
                    Box::pin(self.reverse(reversal)).await;
                    self.session.handle_reversed(Instant::now());
                }
                Action::Verify(verify) => {
                    // Rare, as a handshake is.
                    let authenticator = self.authenticator.clone();
                    let address = self.session.facts().peer.remote.ip();
                    let verified =
                        Box::pin(async move { authenticator.verify(id, address, verify).await });
                    let verified = self.await_answer(verified).await;
                    self.session.handle_verified(Instant::now(), verified);
                }
                Action::Blame { plugin, fault } => {
                    self.dispatch.blame(id, &plugin, &fault);
                }
                Action::Abandon => self.intake.abandon(),
                Action::Close => return false,
            }
        }
        true
    }

    /// Asks the plug-ins, and lends them the message where they may read it.
    fn ask(&mut self, mut ask: Arc<Ask>) -> Asked {
        if ask.message.is_some()
            && let Some(content) = self.intake.content()
            && let Some(message) = &mut Arc::make_mut(&mut ask).message
        {
            message.fill(content);
        }
        self.dispatch.ask(ask)
    }

    /// Where mail for a recipient leads, as far as memory knows.
    fn known_route(&self, recipient: &Address) -> Option<Route> {
        match &self.accepted {
            Some(accepted) if !accepted.takes(recipient) => Some(Route::Foreign),
            _ => self.directory.known_route(recipient),
        }
    }

    /// Waits for plug-ins, for the directory, or for who checks a login, and notices meanwhile that the connection broke. A
    /// client that only closed its sending side may still want its replies, so that is not a hang-up.
    async fn await_answer<T>(&mut self, answer: impl Future<Output = T>) -> T {
        tokio::pin!(answer);
        tokio::select! {
            biased;
            answered = &mut answer => return answered,
            () = self.stream.broken() => {
                self.session.handle_hangup(Instant::now());
                self.dispatch.hang_up();
            }
        }
        answer.await
    }

    /// Makes the handshake. When it fails the connection is gone.
    async fn secure(&mut self) -> Result<Tls, TlsFault> {
        let id = self.session.facts().id;
        let deadline = self.session.poll_timeout().unwrap_or_else(Instant::now);
        let stream = std::mem::replace(&mut self.stream, Stream::Gone);
        let (Stream::Plain(socket), Some(tls)) = (stream, self.tls.take()) else {
            return Err(TlsFault::Failed);
        };
        match tokio::time::timeout_at(deadline.into(), tls.accept(socket)).await {
            Ok(Ok((stream, tls))) => {
                self.stream = Stream::Tls(stream);
                Ok(tls)
            }
            Ok(Err(error)) => {
                tracing::debug!(session = id, "the TLS handshake failed: {error}");
                Err(TlsFault::Failed)
            }
            Err(_) => Err(TlsFault::Timeout),
        }
    }

    /// Becomes the client of who was ours, and sends it its mail. The connection is gone then.
    async fn reverse(&mut self, reversal: Reversal) {
        let facts = self.session.facts().clone();
        let limit = self.session.settings().timeouts.write;
        let Reversal { reply, destinations } = reversal;
        // Dropped before it is told: what it says then it says as a server.
        while BUFFER
            .with_borrow_mut(|buffer| self.stream.try_read(buffer))
            .is_ok_and(|more| more > 0)
        {}
        if !self.stream.send(&reply, limit).await {
            return;
        }
        let user = facts.authenticated.as_ref().map_or("", |known| &*known.identity);
        let shown: Box<str> = format!("{user} at {}", facts.peer.remote_text).into();
        let destinations = destinations.iter().filter_map(|of| mail::named(of)).collect();
        let stream = std::mem::replace(&mut self.stream, Stream::Gone);
        let (fetching, stopping) = (&self.fetching, &self.stopping);
        let fetched = match stream {
            Stream::Plain(stream) => {
                fetching.send(stream, false, shown, destinations, stopping).await
            }
            Stream::Tls(stream) => fetching.send(stream, true, shown, destinations, stopping).await,
            // A connection is reversed once.
            Stream::Reversed(_) | Stream::Gone => return,
        };
        let Fetched { tried, done, broken_off } = fetched;
        tracing::info!(session = facts.id, user, tried, done, broken_off, "mail was fetched");
    }

    async fn wait(&mut self, told_to_stop: bool) -> Waited {
        let deadline = self.session.poll_timeout().map(tokio::time::Instant::from_std);
        let timed_out = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            ready = self.stream.readable() => match ready {
                Ok(()) => Waited::Readable,
                Err(_) => Waited::Broken,
            },
            () = timed_out => Waited::Timeout,
            () = self.stopping.wait(), if !told_to_stop => Waited::Stopping,
        }
    }

    /// Hands what has arrived to the session.
    fn read(&mut self, now: Instant) {
        BUFFER.with_borrow_mut(|buffer| match self.stream.try_read(buffer) {
            Ok(0) => self.session.handle_hangup(now),
            Ok(octets) => self.session.handle_input(now, &buffer[..octets]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.session.handle_hangup(now),
        });
    }
}

/// Ends a connection whose session is over, and says how that was.
async fn end(stream: Stream, session: Session) -> Ended {
    let refused = session.refused().cloned();
    let refused = refused.map(|refused| Box::new((refused, session.facts().clone())));
    let ended = Ended { expired: session.expired(), reason: session.left(), refused };
    drop(session);
    close(stream).await;
    ended
}

/// Closes so that the last reply arrives: octets that nobody read would make the system reset the connection.
async fn close(stream: Stream) {
    // A connection that is gone already needs no closing.
    let Some(socket) = stream.end().await else { return };
    let drained = async {
        let mut octets = 0;
        while octets < LINGER_OCTETS_MAX && socket.readable().await.is_ok() {
            match BUFFER.with_borrow_mut(|buffer| socket.try_read(buffer)) {
                Ok(0) => return,
                Ok(more) => octets += more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    };
    // A client that goes on sending has had its chance.
    let _ = timeout(LINGER, drained).await;
}

#[cfg(test)]
mod tests {
    use super::Connection;

    fn octets<T, F>(_: impl Fn(T) -> F) -> usize {
        size_of::<F>()
    }

    /// An idle session is to have less than 4 KiB in all: what is rare is kept elsewhere, when there is any.
    #[test]
    fn a_connection_that_waits_is_small() {
        let octets = octets(Connection::serve);
        assert!(octets <= 2304, "{octets} octets");
    }
}
