//! One TCP connection to a next hop: carries out what its sending session says.
//! Knows no SMTP; one `match` over the session's actions.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use stagepost_smtp::{Cause, Outcome, OwnName, SendingAction, SendingSession, Step, Transaction};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{sleep_until, timeout};

use super::RelayTimeouts;
use crate::delivery::octets::MessageOctets;

/// So many addresses of a next hop are tried at most.
const ADDRESSES_MAX: usize = 8;
const INPUT_OCTETS: usize = 4096;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("its name can't be resolved: {0}")]
    Resolve(io::Error),
    #[error("its name could not be resolved in time")]
    ResolveTimeout,
    #[error("its name has no address")]
    NoAddress,
    #[error("{address}: {error}")]
    Connect { address: SocketAddr, error: io::Error },
    #[error("{0}: no connection in time")]
    ConnectTimeout(SocketAddr),
}

impl ConnectError {
    /// The address that it was tried at.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Connect { address, .. } | Self::ConnectTimeout(address) => Some(*address),
            Self::Resolve(_) | Self::ResolveTimeout | Self::NoAddress => None,
        }
    }
}

/// A connection and its session.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    session: SendingSession,
    /// What the session wants to be written, and how much of it is.
    unsent: Vec<u8>,
    sent: usize,
    input: Box<[u8]>,
    /// How many transactions were begun.
    transactions: u32,
}

/// What a turn of the loop brought.
enum Turn {
    More,
    Result(Vec<Outcome>),
    /// The session wants more of the message.
    Body,
    Over,
}

impl Connection {
    /// Connects to the first address of `next_hop` that answers.
    pub(super) async fn open(
        next_hop: &str,
        name: OwnName,
        timeouts: &RelayTimeouts,
    ) -> Result<Self, ConnectError> {
        let addresses = timeout(timeouts.connect, lookup_host(next_hop)).await;
        let addresses =
            addresses.map_err(|_| ConnectError::ResolveTimeout)?.map_err(ConnectError::Resolve)?;
        let mut last = ConnectError::NoAddress;
        for address in addresses.take(ADDRESSES_MAX) {
            match timeout(timeouts.connect, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // What is written is whole groups: waiting for more of it gains nothing. Without it mail still flows.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%address, %error, "no TCP_NODELAY");
                    }
                    return Ok(Self {
                        stream,
                        session: SendingSession::new(now(), name, timeouts.session),
                        unsent: Vec::new(),
                        sent: 0,
                        input: vec![0; INPUT_OCTETS].into(),
                        transactions: 0,
                    });
                }
                Ok(Err(error)) => last = ConnectError::Connect { address, error },
                Err(_) => last = ConnectError::ConnectTimeout(address),
            }
        }
        Err(last)
    }

    /// Whether the conversation is over.
    pub(super) fn is_over(&self) -> bool {
        self.session.is_over()
    }

    /// How many transactions were begun on it.
    pub(super) fn transactions(&self) -> u32 {
        self.transactions
    }

    /// Whether a transaction can be begun: the conversation goes on, and nothing came that nobody asked for.
    pub(super) fn is_ready(&self) -> bool {
        let silent = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
        self.session.is_ready() && self.stream.try_read(&mut [0; 1]).is_err_and(silent)
    }

    /// Sends one message; one outcome for each of its recipients.
    pub(super) async fn send(
        &mut self,
        transaction: Transaction,
        octets: &mut MessageOctets,
    ) -> Vec<Outcome> {
        let recipients = transaction.recipients.len();
        self.transactions += 1;
        if self.session.start(now(), transaction).is_ok() {
            loop {
                match self.turn().await {
                    Turn::More => {}
                    Turn::Body => self.supply(octets).await,
                    Turn::Result(outcomes) => return outcomes,
                    Turn::Over => break,
                }
            }
        }
        vec![Outcome::Deferred(Cause::Closed(Step::Mail)); recipients]
    }

    /// Says goodbye and closes; takes no longer than the session's time-out for QUIT.
    pub(super) async fn quit(mut self) {
        self.session.quit(now());
        while !matches!(self.turn().await, Turn::Over) {}
    }

    /// Does the next thing: carries out an action, or waits for something to happen.
    async fn turn(&mut self) -> Turn {
        if !self.unsent.is_empty() && !self.session.is_over() {
            self.wait().await;
            return Turn::More;
        }
        match self.session.poll_action() {
            Some(SendingAction::Send(octets)) => {
                self.unsent = octets;
                self.sent = 0;
                Turn::More
            }
            Some(SendingAction::Body) => Turn::Body,
            Some(SendingAction::Result(outcomes)) => Turn::Result(outcomes),
            Some(SendingAction::Close) => Turn::Over,
            None if self.session.is_over() => Turn::Over,
            None => {
                self.wait().await;
                Turn::More
            }
        }
    }

    /// Waits until some octets are written or read, or until the session's time is up.
    async fn wait(&mut self) {
        let deadline = self.session.poll_timeout();
        let (mut reader, mut writer) = self.stream.split();
        tokio::select! {
            // Reading first: a refusal in the middle of the message has to be seen before the reset behind it.
            biased;
            read = reader.read(&mut self.input) => match read {
                Ok(0) | Err(_) => self.session.handle_closed(),
                Ok(count) => self.session.handle_input(now(), &self.input[..count]),
            },
            written = writer.write(&self.unsent[self.sent..]), if !self.unsent.is_empty() => match written {
                Ok(count) => {
                    self.sent += count;
                    if self.sent == self.unsent.len() {
                        self.unsent = Vec::new();
                        self.sent = 0;
                    }
                }
                Err(_) => self.drain(),
            },
            () = sleep_until(deadline.unwrap_or_else(now).into()), if deadline.is_some() => {
                self.session.handle_timeout(now());
            }
        }
    }

    /// Nothing can be written any more: reads what the next hop said before it hung up.
    fn drain(&mut self) {
        while !self.session.is_over() {
            match self.stream.try_read(&mut self.input) {
                Ok(count) if count > 0 => self.session.handle_input(now(), &self.input[..count]),
                _ => self.session.handle_closed(),
            }
        }
    }

    /// Gives the session the next piece of the message.
    async fn supply(&mut self, octets: &mut MessageOctets) {
        match octets.next().await {
            Ok(piece) => self.session.handle_body(now(), piece.octets, piece.last),
            Err(error) => {
                tracing::error!(%error, "a queued message could not be read; its transfer is broken off");
                self.session.handle_body_unavailable();
            }
        }
    }
}

/// The session's time; tokio's clock, so that timers and session agree.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
