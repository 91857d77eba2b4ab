//! One connection to a server: carries out what its sending session says.
//! Knows no SMTP; one `match` over the session's actions.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stagepost_smtp::{
    Cause, Derivation, Outcome, Reply, SendingAction, SendingLogin, SendingSession,
    SendingSettings, SendingTls, Step, Tls, Transaction,
};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep_until, timeout};

use super::stream::{Carrying, Happened, Stream};
use crate::delivery::octets::MessageOctets;
use crate::delivery::servers::Endpoint;
use crate::tls::{CertificateFault, HandshakeError, Identity, OutboundTls};

const INPUT_OCTETS: usize = 4096;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("{endpoint}: {error}")]
    Connect { endpoint: Endpoint, error: io::Error },
    #[error("{0}: no connection in time")]
    Timeout(Endpoint),
    #[error("{endpoint}: the TLS handshake failed: {error}")]
    Handshake { endpoint: Endpoint, error: HandshakeError },
    #[error("no random octets for a login: {0}")]
    NoRandom(getrandom::Error),
}

impl ConnectError {
    /// Whether the error begins with the server as it is shown.
    pub(super) fn names(&self, server: &str) -> bool {
        match self {
            Self::Connect { endpoint, .. }
            | Self::Timeout(endpoint)
            | Self::Handshake { endpoint, .. } => endpoint.to_string() == server,
            Self::NoRandom(_) => false,
        }
    }
}

/// A connection and its session.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    session: SendingSession,
    input: Box<[u8]>,
    /// With whom, should the session want TLS.
    peer: Option<Peer>,
    /// How many transactions were begun.
    transactions: u32,
    /// The server's address and ours; none: it is no connection of the network, or not ours.
    ends: Option<(SocketAddr, SocketAddr)>,
    secrecy: Secrecy,
    /// What protects it; none: nothing that we have put on.
    protected: Option<Tls>,
}

/// How far it came with TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrecy {
    /// Nowhere, so far.
    Clear,
    /// It is on; what is wrong with the server's certificate, where a right one was only wished for.
    Tls(Option<CertificateFault>),
    /// The handshake came to nothing; what is wrong with the server's certificate, if that is why.
    Failed(Option<CertificateFault>),
}

/// What a server lacks that was only wished for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Doubt {
    #[error("there is no TLS")]
    Clear,
    #[error(transparent)]
    Certificate(#[from] CertificateFault),
}

/// Whom a connection is to lead to, and how that is made sure of.
#[derive(Clone)]
pub(super) struct Peer {
    pub(super) tls: OutboundTls,
    /// Its name or address.
    pub(super) host: Box<str>,
    /// Who is to be there.
    pub(super) identity: Identity,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {:?}", self.host, self.identity)
    }
}

/// What a turn of the loop brought.
enum Turn {
    More,
    Result(Vec<Outcome>),
    /// What was asked for beside messages is over.
    Settled(Result<Option<Reply>, Cause>),
    /// The session wants more of the message.
    Body,
    Over,
}

impl Connection {
    /// Connects to a server, within a time.
    pub(super) async fn open(
        endpoint: &Endpoint,
        settings: SendingSettings,
        peer: Peer,
        wait: Duration,
    ) -> Result<Self, ConnectError> {
        let connecting = async {
            let mut protected = None;
            let (mut stream, ends) = connect(endpoint)
                .await
                .map_err(|error| ConnectError::Connect { endpoint: endpoint.clone(), error })?;
            if settings.tls == SendingTls::Before {
                let Peer { tls, host, identity } = &peer;
                let secured = Box::pin(tls.connect(host, identity, stream.take())).await;
                let secured = secured.map_err(|error| ConnectError::Handshake {
                    endpoint: endpoint.clone(),
                    error,
                })?;
                stream.carry_on(secured.stream);
                protected = Some(secured.tls);
            }
            Ok((stream, ends, protected))
        };
        let (stream, ends, protected) = timeout(wait, connecting)
            .await
            .map_err(|_| ConnectError::Timeout(endpoint.clone()))??;
        let session = SendingSession::new(now(), settings);
        Ok(Self { ends, protected, ..Self::over(stream, session, Some(peer)) })
    }

    /// A connection that there is already, with its session. `peer`: none where the session wants no TLS.
    pub(super) fn over(stream: Stream, session: SendingSession, peer: Option<Peer>) -> Self {
        let input = vec![0; INPUT_OCTETS].into();
        Self {
            stream,
            session,
            input,
            peer,
            transactions: 0,
            ends: None,
            secrecy: Secrecy::Clear,
            protected: None,
        }
    }

    /// Whether the conversation is over.
    pub(super) fn is_over(&self) -> bool {
        self.session.is_over()
    }

    /// Whether the server has shown certificates that it is not believed by.
    pub(super) fn is_disbelieved(&self) -> bool {
        matches!(self.secrecy, Secrecy::Failed(Some(_)))
    }

    /// Whether the server tells senders what they asked to be told.
    pub(super) fn knows_dsn(&self) -> bool {
        self.session.knows_dsn()
    }

    /// Whether the server sees to it that messages come in time.
    pub(super) fn knows_deliver_by(&self) -> bool {
        self.session.knows_deliver_by()
    }

    /// How many transactions were begun on it.
    pub(super) fn transactions(&self) -> u32 {
        self.transactions
    }

    /// Whether a transaction can be begun: the conversation goes on, and nothing came that nobody asked for.
    pub(super) fn is_ready(&mut self) -> bool {
        self.session.is_ready() && self.stream.read_now(&mut [0; 1]).is_none()
    }

    /// Sends one message; one outcome for each of its recipients.
    pub(super) async fn send(
        &mut self,
        transaction: Transaction,
        octets: &mut MessageOctets<'_>,
    ) -> Vec<Outcome> {
        let recipients = transaction.recipients.len();
        self.transactions += 1;
        if self.session.start(now(), transaction).is_ok() {
            loop {
                match self.turn().await {
                    Turn::More | Turn::Settled(_) => {}
                    Turn::Body => self.supply(octets).await,
                    Turn::Result(outcomes) => return outcomes,
                    Turn::Over => break,
                }
            }
        }
        vec![Outcome::Deferred(Cause::Closed(Step::Mail)); recipients]
    }

    /// Goes as far as the server is ready for whatever comes. On a new connection.
    pub(super) async fn greet(&mut self) -> Result<(), Cause> {
        self.session.open();
        self.settle(Step::Greeting).await.map(drop)
    }

    /// Logs in.
    pub(super) async fn log_in(&mut self, login: SendingLogin) -> Result<(), Cause> {
        if !self.session.log_in(now(), login) {
            return Err(Cause::Closed(Step::Auth));
        }
        self.settle(Step::Auth).await.map(drop)
    }

    /// Says a command; the reply.
    pub(super) async fn command(&mut self, line: &str) -> Result<Reply, Cause> {
        if !self.session.command(now(), line) {
            return Err(Cause::Closed(Step::Command));
        }
        self.settle(Step::Command).await?.ok_or(Cause::Closed(Step::Command))
    }

    /// Says a command behind whose 250 the connection is to be given away; the reply.
    pub(super) async fn hand_over(&mut self, line: &str) -> Result<Reply, Cause> {
        if !self.session.hand_over(now(), line) {
            return Err(Cause::Closed(Step::Command));
        }
        self.settle(Step::Command).await?.ok_or(Cause::Closed(Step::Command))
    }

    /// Waits for the end of what was asked for beside messages.
    async fn settle(&mut self, step: Step) -> Result<Option<Reply>, Cause> {
        loop {
            match self.turn().await {
                Turn::Settled(ended) => return ended,
                Turn::Over => return Err(Cause::Closed(step)),
                Turn::More | Turn::Body | Turn::Result(_) => {}
            }
        }
    }

    /// What the server offers, a keyword with its parameters in each line.
    pub(super) fn keywords(&self) -> &str {
        self.session.keywords()
    }

    /// Whether TLS is on.
    pub(super) fn is_secured(&self) -> bool {
        self.session.is_secured()
    }

    /// What the server lacks that was only wished for.
    pub(super) fn doubt(&self) -> Option<Doubt> {
        let peer = self.peer.as_ref()?;
        match self.secrecy {
            _ if peer.identity != Identity::Wished => None,
            Secrecy::Clear => Some(Doubt::Clear),
            Secrecy::Tls(fault) | Secrecy::Failed(fault) => fault.map(Doubt::Certificate),
        }
    }

    /// How far it came with TLS.
    pub(super) fn secrecy(&self) -> Secrecy {
        self.secrecy
    }

    /// The server's address and ours.
    pub(super) fn ends(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.ends
    }

    /// What carries the octets, and protects them; none when it was not handed over.
    pub(super) fn into_carrying(self) -> Option<(Box<dyn Carrying>, Option<Tls>)> {
        // What was sent before has arrived: it was answered, also where the stream has not been asked whether it is flushed.
        let Self { stream, session, protected, .. } = self;
        session.is_handed_over().then(|| (stream.into_carrying(), protected))
    }

    /// Says goodbye and closes; takes no longer than the session's time-out for QUIT.
    pub(super) async fn quit(mut self) {
        self.session.quit(now());
        while !matches!(self.turn().await, Turn::Over) {}
    }

    /// Does the next thing: carries out an action, or waits for something to happen.
    async fn turn(&mut self) -> Turn {
        if self.stream.is_sending() && !self.session.is_over() {
            self.wait().await;
            return Turn::More;
        }
        match self.session.poll_action() {
            Some(SendingAction::Send(octets)) => {
                self.stream.send(octets);
                Turn::More
            }
            Some(SendingAction::SendSecret(line)) => {
                self.stream.send_secret(line);
                Turn::More
            }
            Some(SendingAction::Derive(derivation)) => {
                self.derive(derivation).await;
                Turn::More
            }
            Some(SendingAction::StartTls) => {
                self.secure().await;
                Turn::More
            }
            Some(SendingAction::Body) => Turn::Body,
            Some(SendingAction::Result(outcomes)) => Turn::Result(outcomes),
            Some(SendingAction::Settled(ended)) => Turn::Settled(ended),
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
        tokio::select! {
            biased;
            happened = self.stream.next(&mut self.input) => match happened {
                Happened::Read(0) => self.session.handle_closed(),
                Happened::Read(count) => self.session.handle_input(now(), &self.input[..count]),
                Happened::Written => {}
                Happened::Broken => self.drain(),
            },
            () = sleep_until(deadline.unwrap_or_else(now).into()), if deadline.is_some() => {
                self.session.handle_timeout(now());
            }
        }
    }

    /// Makes the TLS handshake, in the time that the session gives.
    async fn secure(&mut self) {
        let Some(Peer { tls, host, identity }) = &self.peer else {
            let reason = "TLS was not to be had on this connection";
            return self.session.handle_tls(now(), Err(reason.into()));
        };
        let handshake = tls.connect(host, identity, self.stream.take());
        let deadline = self.session.poll_timeout().unwrap_or_else(now);
        match tokio::time::timeout_at(deadline.into(), Box::pin(handshake)).await {
            Ok(Ok(secured)) => {
                self.stream.carry_on(secured.stream);
                self.secrecy = Secrecy::Tls(secured.doubt);
                self.protected = Some(secured.tls);
                self.session.handle_tls(now(), Ok(()));
            }
            Ok(Err(error)) => {
                self.secrecy = Secrecy::Failed(error.certificate());
                self.session.handle_tls(now(), Err(error.to_string().into()));
            }
            Err(_) => {
                self.secrecy = Secrecy::Failed(None);
                self.session.handle_timeout(now());
            }
        }
    }

    /// Derives keys where that keeps nobody waiting.
    async fn derive(&mut self, derivation: Derivation) {
        let derived = tokio::task::spawn_blocking(move || derivation.keys()).await;
        match derived {
            Ok(keys) => self.session.handle_keys(now(), &keys),
            // The runtime ends.
            Err(_) => self.session.handle_closed(),
        }
    }

    /// Nothing can be written any more: reads what the server said before it hung up.
    fn drain(&mut self) {
        while !self.session.is_over() {
            match self.stream.read_now(&mut self.input) {
                Some(count) if count > 0 => self.session.handle_input(now(), &self.input[..count]),
                _ => self.session.handle_closed(),
            }
        }
    }

    /// Gives the session the next piece of the message.
    async fn supply(&mut self, octets: &mut MessageOctets<'_>) {
        match octets.next().await {
            Ok(piece) => self.session.handle_body(now(), &piece.octets, piece.last),
            Err(error) => {
                tracing::error!(%error, "a queued message could not be read; its transfer is broken off");
                self.session.handle_body_unavailable();
            }
        }
    }
}

/// Connects; the addresses of both ends, where there are some.
async fn connect(endpoint: &Endpoint) -> io::Result<(Stream, Option<(SocketAddr, SocketAddr)>)> {
    match endpoint {
        Endpoint::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            // What is written is whole groups: waiting for more of it gains nothing. Without it mail still flows.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%address, %error, "no TCP_NODELAY");
            }
            let ends = stream.local_addr().ok().map(|local| (*address, local));
            Ok((Stream::new(stream), ends))
        }
        Endpoint::Socket(path) => Ok((Stream::new(UnixStream::connect(path).await?), None)),
    }
}

/// The session's time; tokio's clock, so that timers and session agree.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
