//! A connection that there is already: what is carried away goes over it, and over nothing else.
//! Knows no queue; one thing after the other.

use std::net::SocketAddr;
use std::sync::OnceLock;

use stagepost_queue::{BoxFuture, Lease, StoredMessage};
use stagepost_smtp::{
    Cause, Credentials, Outcome, OwnName, Protocol, Reply, ReversePath, SenderWish, SendingLogin,
    SendingSession, SendingSettings, SendingTimeouts, SendingTls, Step, Tls, Transaction,
};
use tokio::sync::{Mutex, watch};

use super::connection::{Connection, now};
use super::envelope::{in_time, transaction};
use super::error::RelayError;
use super::outcome::{onward, told};
use super::requiring::Unable;
use super::stream::{Carrying, Stream};
use crate::config::Way;
use crate::delivery::demand::OverLine;
use crate::delivery::finding::Finding;
use crate::delivery::logins::nonce;
use crate::delivery::octets::MessageOctets;
use crate::delivery::transport::{Carried, RecipientOutcome, Transports};

/// The connection. What is asked of it at once is done one after the other.
#[derive(Debug)]
pub(crate) struct OpenLine {
    /// None: it was given away, or closed.
    connection: Mutex<Option<Connection>>,
    /// As operators and senders of messages are told of who is at the other end.
    shown: Box<str>,
    /// How operators are told that mail goes this way.
    way: &'static str,
    /// What decides which mail may go over it.
    over: OverLine,
    closed: watch::Sender<bool>,
    /// What the server has said to a message that it takes none for.
    takes_none: OnceLock<Reply>,
}

/// Why something came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineFault {
    /// The server, or the connection.
    #[error(transparent)]
    Cause(#[from] Cause),
    /// There are no random octets for a login.
    #[error("no random octets for a login: {0}")]
    NoRandom(getrandom::Error),
    /// It was closed.
    #[error("the connection was closed")]
    Closed,
}

/// What is left of a connection whose conversation takes another turn.
pub(crate) struct Ends {
    /// What carries its octets.
    pub(crate) carrying: Box<dyn Carrying>,
    /// The other end.
    pub(crate) remote: SocketAddr,
    /// Ours.
    pub(crate) local: SocketAddr,
    /// The TLS that is on, if any.
    pub(crate) protected: Option<Tls>,
}

impl OpenLine {
    /// One that its client has opened, and that was reversed.
    ///
    /// - name: what we call ourselves. shown: who is at the other end, for logs and notifications. over: which mail may go.
    pub(crate) fn reversed(
        carrying: impl Carrying + 'static,
        name: OwnName,
        timeouts: SendingTimeouts,
        shown: Box<str>,
        over: OverLine,
    ) -> Self {
        // TLS that is on stays on (RFC 2645 section 5.3); what is not cannot come any more.
        let settings = SendingSettings {
            name,
            protocol: Protocol::Smtp,
            tls: if over.is_secured() { SendingTls::Before } else { SendingTls::Never },
            login: None,
            timeouts,
        };
        let session = SendingSession::new(now(), settings);
        let connection = Connection::over(Stream::new(carrying), session, None);
        Self::new(connection, shown, "fetched", over)
    }

    /// One that we have opened.
    pub(super) fn dialled(connection: Connection, shown: Box<str>, over: OverLine) -> Self {
        Self::new(connection, shown, "pushed", over)
    }

    fn new(connection: Connection, shown: Box<str>, way: &'static str, over: OverLine) -> Self {
        let connection = Mutex::new(Some(connection));
        let (closed, _) = watch::channel(false);
        Self { connection, shown, way, over, closed, takes_none: OnceLock::new() }
    }

    /// Whether nothing more can be sent.
    pub(crate) async fn is_over(&self) -> bool {
        self.connection.lock().await.as_ref().is_none_or(Connection::is_over)
    }

    /// What the server has said, where it takes no mail on such a connection.
    pub(crate) fn takes_none(&self) -> Option<&Reply> {
        self.takes_none.get()
    }

    /// Whether TLS is on.
    pub(crate) async fn is_secured(&self) -> bool {
        self.connection.lock().await.as_ref().is_some_and(Connection::is_secured)
    }

    /// What the server offers, a keyword with its parameters in each line.
    pub(crate) async fn keywords(&self) -> Box<str> {
        self.connection.lock().await.as_ref().map_or("", Connection::keywords).into()
    }

    /// The server's address.
    pub(crate) async fn remote(&self) -> Option<SocketAddr> {
        let connection = self.connection.lock().await;
        connection.as_ref().and_then(Connection::ends).map(|(remote, _)| remote)
    }

    /// Logs in; the password itself is shown only to who has shown who it is. `cram`: CRAM-MD5 may be used.
    pub(crate) async fn log_in(
        &self,
        credentials: Credentials,
        cram: bool,
    ) -> Result<(), LineFault> {
        let nonce = nonce().map_err(LineFault::NoRandom)?;
        let login = SendingLogin { credentials, shown: self.over.is_verified(), cram, nonce };
        let mut held = self.connection.lock().await;
        let connection = held.as_mut().ok_or(LineFault::Closed)?;
        match self.unless_closed(connection.log_in(login)).await {
            Some(done) => Ok(done?),
            None => {
                *held = None;
                Err(LineFault::Closed)
            }
        }
    }

    /// Says a command; the reply.
    pub(crate) async fn command(&self, line: &str) -> Result<Reply, LineFault> {
        let mut held = self.connection.lock().await;
        let connection = held.as_mut().ok_or(LineFault::Closed)?;
        match self.unless_closed(connection.command(line)).await {
            Some(done) => Ok(done?),
            None => {
                *held = None;
                Err(LineFault::Closed)
            }
        }
    }

    /// Says a command behind whose 250 the connection can be given away; the reply.
    pub(crate) async fn hand_over(&self, line: &str) -> Result<Reply, LineFault> {
        let mut held = self.connection.lock().await;
        let connection = held.as_mut().ok_or(LineFault::Closed)?;
        match self.unless_closed(connection.hand_over(line)).await {
            Some(done) => Ok(done?),
            None => {
                *held = None;
                Err(LineFault::Closed)
            }
        }
    }

    /// Gives the connection away that was handed over; none: it is not to be had.
    pub(crate) async fn give_away(&self) -> Option<Ends> {
        let connection = self.connection.lock().await.take()?;
        let (remote, local) = connection.ends()?;
        let (carrying, protected) = connection.into_carrying()?;
        Some(Ends { carrying, remote, local, protected })
    }

    /// Says goodbye and closes.
    pub(crate) async fn quit(&self) {
        let connection = self.connection.lock().await.take();
        if let Some(connection) = connection {
            let _ = self.unless_closed(connection.quit()).await;
        }
    }

    /// Ends what is under way, and the connection.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
        if let Ok(mut connection) = self.connection.try_lock() {
            *connection = None;
        }
    }

    /// A server that carries out no MAIL here says nothing of the message: some have a port for ATRN and nothing else (RFC 2645
    /// section 5), or let nobody in who has not logged in. Nor does one that promises no TLS: the message waits for another line.
    fn judged(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Failed(cause @ Cause::RequireTls) => Outcome::Deferred(cause),
            Outcome::Failed(Cause::Replied { step: Step::Mail, reply })
                if matches!(reply.code(), 500 | 502 | 503 | 530) =>
            {
                self.takes_none.get_or_init(|| reply.clone());
                Outcome::Deferred(Cause::Replied { step: Step::Mail, reply })
            }
            outcome => outcome,
        }
    }

    async fn unless_closed<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut closed = self.closed.subscribe();
        tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => None,
            done = work => Some(done),
        }
    }
}

impl Transports for OpenLine {
    fn next_hop(&self, _: &Lease) -> String {
        self.way.to_owned()
    }

    fn deliver<'a>(
        &'a self,
        message: &'a StoredMessage,
        lease: &'a Lease,
        _: Option<&'a Way>,
    ) -> BoxFuture<'a, Carried> {
        let recipients = &lease.recipients;
        Box::pin(async move {
            let gone = || {
                let finding = Finding::new((4, 4, 2), "the connection was closed");
                let gone = RecipientOutcome::Deferred(finding.about(&self.shown));
                Carried::aside(vec![gone; recipients.len()])
            };
            if let Err(unmet) = self.over.check(lease) {
                let outcome = RelayError::Unmet { server: self.shown.clone(), error: unmet };
                return outcome.carried(recipients.len());
            }
            let transaction = match transaction(message, recipients).await {
                Ok(transaction) => transaction,
                Err(error) => return error.carried(recipients.len()),
            };
            let mut held = self.connection.lock().await;
            let Some(connection) = held.as_mut() else { return gone() };
            let mut octets = MessageOctets::new(message);
            let mut transaction = in_time(&transaction, message);
            let required = transaction.wish.require_tls;
            // RFC 8689 section 5: what has no sender is not lost; it goes as it can.
            let lenient = transaction.sender == ReversePath::Null;
            transaction.wish.require_tls &= self.over.is_known() || !lenient;
            if transaction.wish.require_tls && !self.over.is_known() {
                let finding = Finding::new(
                    (4, 7, 10),
                    "the message requires TLS with a server that is known",
                );
                let waits = RecipientOutcome::Deferred(finding.about(&self.shown));
                return Carried::aside(vec![waits; recipients.len()]);
            }
            let again = Transaction {
                wish: SenderWish { require_tls: false, ..transaction.wish.clone() },
                ..transaction.clone()
            };
            let sending = async {
                let outcomes = connection.send(transaction, &mut octets).await;
                match Unable::of(&outcomes, false) {
                    Some(_) if required && lenient => connection.send(again, &mut octets).await,
                    _ => outcomes,
                }
            };
            let Some(outcomes) = self.unless_closed(sending).await else {
                *held = None;
                return gone();
            };
            let onward = onward(Protocol::Smtp, connection);
            let told = |outcome| told(&self.shown, onward, self.judged(outcome));
            // Such a line is no lane's.
            Carried::aside(outcomes.into_iter().map(told).collect())
        })
    }
}
