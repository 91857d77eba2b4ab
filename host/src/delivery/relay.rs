//! Gives messages to other servers over SMTP or LMTP.
//! Knows no route and no retry: one attempt, on connections that may have served others before.

mod connection;
mod dialling;
mod explaining;
mod idle;
mod open_line;
mod requiring;
mod standing;
mod stream;
mod tally;
mod unreachable;
mod witness;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use stagepost_queue::{StoreError, StoredMessage};
use stagepost_smtp::{
    Addressee, Cause, Credentials, Outcome, OwnName, Protocol, RecipientWish, ReversePath,
    SenderWish, SendingLogin, SendingSettings, SendingTimeouts, SendingTls, Step, Transaction,
    parameter,
};
use tokio::task::JoinSet;

use self::connection::{ConnectError, Connection, Peer};
pub(crate) use self::dialling::{Dial, DialError};
pub(crate) use self::explaining::{Explained, ExplainedServer};
use self::idle::{IdleConnections, Line};
pub(crate) use self::open_line::{Ends, LineFault, OpenLine};
use self::requiring::Unable;
pub(crate) use self::stream::Carrying;
use self::tally::{Tally, Tried};
use self::unreachable::Unreachable;
use self::witness::{Witness, saw_fault};
use super::demand::{Demand, Demands, Unmet};
use super::finding::Finding;
use super::lane::Standing;
use super::logins::nonce;
use super::octets::MessageOctets;
use super::servers::{Finder, NoServer, Server, Servers};
use super::tls_wish::TlsWish;
use super::transport::{Carried, Onward, RecipientOutcome};
use crate::config::TlsPolicy;
use crate::dns::Names;
use crate::tls::OutboundTls;
use crate::tls_report::TlsReports;

/// How long a relay waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RelayTimeouts {
    /// For the next hop's addresses, and again for each address tried. Default 30 seconds.
    pub(crate) connect: Duration,
    /// For a further message, on a connection that has sent one: that long, twice as long at most. It costs the
    /// next hop a process. Default 3 seconds.
    pub(crate) idle: Duration,
    /// For each step of the conversation. The defaults are those of RFC 5321.
    pub(crate) session: SendingTimeouts,
}

impl Default for RelayTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            idle: Duration::from_secs(3),
            session: SendingTimeouts::default(),
        }
    }
}

/// To whom a message is to be given, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hop<'h> {
    /// How the servers are found.
    pub(crate) servers: Servers<'h>,
    /// What they speak.
    pub(crate) protocol: Protocol,
    /// What is wanted of TLS.
    pub(crate) tls: TlsPolicy,
    /// As whom to log in; none: as nobody.
    pub(crate) login: Option<&'h Credentials>,
}

/// Gives messages to servers. Cheap to clone; any thread, inside a tokio runtime.
#[derive(Clone)]
pub(crate) struct Relay {
    finder: Finder,
    demands: Demands,
    name: OwnName,
    timeouts: RelayTimeouts,
    tls: OutboundTls,
    idle: Arc<IdleConnections>,
    unreachable: Arc<Unreachable>,
    /// Who counts sessions for reports; none: nobody.
    reports: Option<Arc<TlsReports>>,
    /// Whether senders may have less of TLS than their recipients' domains want (RFC 8689 section 3).
    heeds_field: bool,
}

/// Why an attempt came to nothing before a server said anything of the message.
#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error("the queued message could not be read: {0}")]
    Message(#[from] StoreError),
    #[error("the message has no recipient {0}")]
    Recipient(u32),
    #[error(transparent)]
    NoServer(#[from] NoServer),
    #[error("{error}")]
    Connect { server: Box<str>, error: ConnectError },
    #[error("{error}")]
    Unmet { server: Box<str>, error: Unmet },
    #[error("{error}")]
    Unable { server: Box<str>, error: Unable },
}

impl RelayError {
    /// The same as an attempt came to it.
    fn carried(&self, recipients: usize) -> Carried {
        let standing = match self {
            // What one message wants of TLS says nothing of the next one.
            Self::Message(_) | Self::Recipient(_) | Self::Unmet { .. } | Self::Unable { .. } => {
                Standing::Unknown
            }
            // A domain that takes no mail is no burden to anybody.
            Self::NoServer(error) if error.status().0 == 5 => Standing::Unknown,
            Self::NoServer(_) | Self::Connect { .. } => Standing::Down,
        };
        Carried { outcomes: vec![self.outcome(); recipients], standing }
    }

    /// The same for every recipient.
    fn outcome(&self) -> RecipientOutcome {
        let status = match self {
            Self::Message(_) | Self::Recipient(_) => (4, 3, 0),
            Self::NoServer(error) => error.status(),
            Self::Connect { .. } => (4, 4, 1),
            Self::Unmet { .. } => (4, 7, 5),
            Self::Unable { error, .. } => error.status(),
        };
        let finding = Finding::new(status, self);
        match self {
            Self::Connect { server, error } if error.names(server) => {
                RecipientOutcome::Deferred(finding)
            }
            Self::Connect { server, .. } | Self::Unmet { server, .. } => {
                RecipientOutcome::Deferred(finding.about(server))
            }
            Self::Unable { server, .. } => RecipientOutcome::Failed(finding.about(server)),
            _ if status.0 == 5 => RecipientOutcome::Failed(finding),
            _ => RecipientOutcome::Deferred(finding),
        }
    }
}

/// A message on its way to a hop.
#[derive(Clone, Copy)]
struct Passage<'p> {
    hop: Hop<'p>,
    /// What its sender asks of TLS.
    wish: TlsWish,
    transaction: &'p Transaction,
    message: &'p StoredMessage,
    /// Who counts what comes of the server in hand.
    witness: Option<&'p Witness>,
}

impl Relay {
    /// A relay that calls itself `name`, looks names up by `names` and takes servers from the DNS to listen on `mx_port`.
    pub(crate) fn new(
        names: Arc<dyn Names>,
        demands: Demands,
        name: OwnName,
        mx_port: u16,
        tls: OutboundTls,
        timeouts: RelayTimeouts,
    ) -> Self {
        let idle = Arc::new(IdleConnections::new(timeouts.idle));
        let finder = Finder::new(names, name.as_str(), mx_port, timeouts.connect);
        let (unreachable, reports, heeds_field) = (Arc::default(), None, true);
        Self { finder, demands, name, timeouts, tls, idle, unreachable, reports, heeds_field }
    }

    /// The same, whose sessions are counted for reports.
    pub(crate) fn counted(self, reports: Option<Arc<TlsReports>>) -> Self {
        Self { reports, ..self }
    }

    /// The same, which leaves the field `TLS-Required` of messages alone, or not.
    pub(crate) fn heeding_field(self, heeds_field: bool) -> Self {
        Self { heeds_field, ..self }
    }

    /// Sends a message to some of its recipients, given as indexes into its envelope, in one transaction.
    ///
    /// Returns one outcome for each, in their order, and how the servers stand. Dropped in the middle, it closes the
    /// connection, and the server drops what it has unless the end of the message was sent already.
    pub(crate) async fn deliver(
        &self,
        hop: Hop<'_>,
        message: &StoredMessage,
        recipients: &[u32],
    ) -> Carried {
        match self.attempt(hop, message, recipients).await {
            Ok(carried) => carried,
            Err(error) => error.carried(recipients.len()),
        }
    }

    /// What decides what must hold of servers.
    pub(crate) fn demands(&self) -> &Demands {
        &self.demands
    }

    /// Says goodbye on the idle connections and keeps none from now on.
    pub(crate) async fn close(&self) {
        let farewells: JoinSet<()> = self.idle.close().into_iter().map(Connection::quit).collect();
        farewells.join_all().await;
    }

    /// Tries one server after the other until one can be talked to about the message.
    async fn attempt(
        &self,
        hop: Hop<'_>,
        message: &StoredMessage,
        recipients: &[u32],
    ) -> Result<Carried, RelayError> {
        let mut transaction = transaction(message, recipients).await?;
        let mut wish = self.tls_wish(message);
        if hop.protocol == Protocol::Lmtp {
            // It is there then: nothing is left to be told in time, and nothing of the way (RFC 8689 section 4.4).
            transaction.wish.deliver_by = None;
            (transaction.wish.require_tls, wish) = (false, TlsWish::Unsaid);
        }
        let servers = self.unreachable.last(self.finder.find(hop.servers).await?);
        let passage = Passage { hop, wish, transaction: &transaction, message, witness: None };
        let tally = self.try_all(&servers, passage).await;
        if !tally.is_unable() || transaction.sender != ReversePath::Null {
            return tally.ended();
        }
        // RFC 8689 section 5: a notification that can't go so is not lost.
        tracing::info!(id = %message.id, "nobody takes it with REQUIRETLS: it has no sender, and goes without");
        transaction.wish.require_tls = false;
        let passage = Passage {
            hop,
            wish: TlsWish::Unsaid,
            transaction: &transaction,
            message,
            witness: None,
        };
        self.try_all(&servers, passage).await.ended()
    }

    /// What the sender of a message asks of TLS, as far as it is honoured.
    fn tls_wish(&self, message: &StoredMessage) -> TlsWish {
        match TlsWish::of(message) {
            TlsWish::Optional if !self.heeds_field => TlsWish::Unsaid,
            wish => wish,
        }
    }

    async fn try_all(&self, servers: &[Server], passage: Passage<'_>) -> Tally {
        let Passage { hop, wish, .. } = passage;
        let wanted = self.demands.of_delivery(hop.tls, hop.servers, wish).await;
        // RFC 8460 section 3: what goes whatever comes of TLS is not counted.
        let reports = self.reports.as_ref().filter(|_| wish != TlsWish::Optional);
        saw_fault(reports, hop.servers, &wanted.told);
        let mut tally = Tally::default();
        for server in servers {
            let demanded = self.demands.of(&wanted, server).await;
            let witness = Witness::of(reports, hop.servers, &wanted, server, &demanded);
            if let (Some(witness), Err(unmet)) = (&witness, &demanded.demand) {
                witness.saw_unmet(*unmet);
            }
            let passage = Passage { witness: witness.as_ref(), ..passage };
            if let Some(doubt) = demanded.doubt {
                tell_of_doubt(server, doubt);
            }
            let tried = match demanded.demand {
                Ok(demand) => self.try_server(server, passage, demand).await,
                Err(unmet) if wish == TlsWish::Required && !unmet.passes() => {
                    Tried::Unable(Unable::Unmet(unmet))
                }
                Err(unmet) => Tried::Unmet(unmet),
            };
            if matches!(tried, Tried::Unreachable(_)) {
                self.unreachable.note(&server.endpoint);
            }
            if tally.note(server, tried) {
                break;
            }
        }
        tally
    }

    async fn try_server(&self, server: &Server, passage: Passage<'_>, demand: Demand) -> Tried {
        let Passage { hop, wish, transaction, message, .. } = passage;
        let line = Line {
            endpoint: server.endpoint.clone(),
            protocol: hop.protocol,
            tls: (server.host.clone(), demand),
            login: hop.login.map(|login| login.name().into()),
        };
        if let Some(mut connection) = self.idle.take(&line) {
            let mut octets = MessageOctets::new(message);
            let outcomes = connection.send(in_time(transaction, message), &mut octets).await;
            let ended = connection.is_over() && octets.is_untouched();
            let onward = onward(hop.protocol, &connection);
            self.keep(line.clone(), connection);
            // A server may end an idle connection at any moment: that says nothing about this message.
            if !ended {
                return match unable(wish, &outcomes, false) {
                    Some(unable) => Tried::Unable(unable),
                    None => Tried::Done(outcomes, onward),
                };
            }
        }
        let (_, Demand { tls, .. }) = line.tls;
        let tried = self.open_and_send(server, passage, &line, tls).await;
        match tried {
            // Where clear text is good enough, a server whose TLS is broken gets it (RFC 7435).
            Tried::Refused(outcomes)
                if tls == SendingTls::IfOffered && outcomes.iter().any(is_about_tls) =>
            {
                tracing::warn!(server = %server.shown, "its TLS is broken: the message goes on without");
                self.open_and_send(server, passage, &line, SendingTls::Never).await
            }
            tried => tried,
        }
    }

    async fn open_and_send(
        &self,
        server: &Server,
        passage: Passage<'_>,
        line: &Line,
        tls: SendingTls,
    ) -> Tried {
        let Passage { hop, wish, transaction, message, witness } = passage;
        let (host, Demand { identity, .. }) = line.tls.clone();
        let login = match login(hop.login, identity.is_known()) {
            Ok(login) => login,
            Err(error) => return Tried::Unreachable(ConnectError::NoRandom(error)),
        };
        let settings = SendingSettings {
            name: self.name.clone(),
            protocol: hop.protocol,
            tls,
            login,
            timeouts: self.timeouts.session,
        };
        let peer = Peer { tls: self.tls.clone(), host, identity };
        let wait = self.timeouts.connect;
        let opened = Connection::open(&server.endpoint, settings, peer, wait).await;
        let mut connection = match opened {
            Ok(connection) => connection,
            Err(error) => return Tried::Unreachable(error),
        };
        let mut octets = MessageOctets::new(message);
        let outcomes = connection.send(in_time(transaction, message), &mut octets).await;
        let onward = onward(hop.protocol, &connection);
        if let Some(witness) = witness.filter(|_| tls != SendingTls::Never) {
            witness.saw(&connection, &outcomes);
        }
        let (doubt, disbelieved) = (connection.doubt(), connection.is_disbelieved());
        self.keep(line.clone(), connection);
        if let Some(unable) = unable(wish, &outcomes, disbelieved) {
            return Tried::Unable(unable);
        }
        if outcomes.iter().all(is_about_the_server) {
            return Tried::Refused(outcomes);
        }
        if let Some(doubt) = doubt {
            tell_of_doubt(server, doubt);
        }
        Tried::Done(outcomes, onward)
    }

    /// Lets a connection wait for the next message, or ends it.
    fn keep(&self, line: Line, connection: Connection) {
        if connection.is_over() {
            return;
        }
        if let Some(connection) = self.idle.put(line, connection) {
            // Bounded by the time-out of QUIT; nothing depends on it.
            tokio::spawn(connection.quit());
        }
    }
}

/// Why a server can't have a message, if its sender requires what it lacks.
fn unable(wish: TlsWish, outcomes: &[Outcome], disbelieved: bool) -> Option<Unable> {
    Unable::of(outcomes, disbelieved).filter(|_| wish == TlsWish::Required)
}

/// Tells of a server that mail goes to because its domain is just trying its policy (RFC 8461 section 5).
fn tell_of_doubt(server: &Server, doubt: impl std::fmt::Display) {
    tracing::info!(server = %server.shown, %doubt, "not as its domain's policy of MTA-STS (mode testing) has it");
}

/// How to log in on a new connection: only who has shown who it is may see the password.
fn login(
    credentials: Option<&Credentials>,
    verified: bool,
) -> Result<Option<SendingLogin>, getrandom::Error> {
    let Some(credentials) = credentials.cloned() else { return Ok(None) };
    Ok(Some(SendingLogin { credentials, shown: verified, cram: false, nonce: nonce()? }))
}

/// Whether a server would not talk at all, so that nothing was said about the message.
fn is_about_the_server(outcome: &Outcome) -> bool {
    let Outcome::Deferred(cause) = outcome else { return false };
    match cause {
        Cause::Replied { step, .. }
        | Cause::Timeout(step)
        | Cause::Closed(step)
        | Cause::Malformed { step, .. } => {
            matches!(
                step,
                Step::Greeting | Step::Ehlo | Step::Lhlo | Step::Helo | Step::StartTls | Step::Auth
            )
        }
        Cause::NoTls | Cause::Handshake(_) | Cause::NoMechanism | Cause::Login(_) => true,
        _ => false,
    }
}

/// Whether TLS came to nothing behind the server's go-ahead.
fn is_about_tls(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Deferred(
            Cause::Handshake(_) | Cause::Timeout(Step::StartTls) | Cause::Closed(Step::StartTls)
        )
    )
}

/// What a message has before it that was given to this server.
fn onward(protocol: Protocol, connection: &Connection) -> Onward {
    match protocol {
        // A server of mailboxes has put it there.
        Protocol::Lmtp => Onward::End,
        Protocol::Smtp => {
            let (tells, hurries) = (connection.knows_dsn(), connection.knows_deliver_by());
            Onward::Server { tells, hurries }
        }
    }
}

/// An outcome as the queue is told it.
fn told(shown: &str, onward: Onward, outcome: Outcome) -> RecipientOutcome {
    let status = outcome.status();
    let status = (status.class, status.subject, status.detail);
    let finding = |cause: Cause| {
        let finding = Finding::new(status, &cause).about(shown);
        match &cause {
            Cause::Replied { reply, .. } => finding.replied(&reply.in_line()),
            _ => finding,
        }
    };
    match outcome {
        Outcome::Delivered(reply) => {
            let text = reply.in_line();
            tracing::debug!(server = shown, reply = text, "given away");
            let finding = Finding::new(status, &text).about(shown).replied(&text);
            RecipientOutcome::Delivered(finding, onward)
        }
        Outcome::Failed(cause) => RecipientOutcome::Failed(finding(cause)),
        Outcome::Deferred(cause) => RecipientOutcome::Deferred(finding(cause)),
    }
}

/// A transaction as it begins now, with what is left of the message's time.
fn in_time(transaction: &Transaction, message: &StoredMessage) -> Transaction {
    let mut transaction = transaction.clone();
    let by = &mut transaction.wish.deliver_by;
    *by = by.map(|by| by.passed_on(message.received_at, SystemTime::now()));
    transaction
}

/// The message's envelope as the sending session wants it; the time that it may take counts from its receipt.
async fn transaction(
    message: &StoredMessage,
    recipients: &[u32],
) -> Result<Transaction, RelayError> {
    let addressee = |&index: &u32| {
        let recipient = message.envelope.recipients.get(index as usize);
        let recipient = recipient.ok_or(RelayError::Recipient(index))?;
        let wish = RecipientWish::of(recipient);
        Ok::<_, RelayError>(Addressee { address: recipient.address.clone(), wish })
    };
    let envelope = &message.envelope;
    let recipients: Vec<Addressee> = recipients.iter().map(addressee).collect::<Result<_, _>>()?;
    // Fields in some other character set are older than SMTPUTF8, and servers pass them on without it.
    let fields =
        !message.header.is_ascii() && parameter(&envelope.parameters, "SMTPUTF8").is_some();
    let ascii = if fields { None } else { in_ascii(&envelope.sender, &recipients) };
    let utf8 = ascii.is_none();
    let (sender, recipients) = ascii.unwrap_or_else(|| (envelope.sender.clone(), recipients));
    Ok(Transaction {
        sender,
        wish: SenderWish::of(&envelope.parameters),
        size_octets: MessageOctets::count(message),
        // What the octets are, not what the sender declared: many declare 8BITMIME for all they send, and a next hop
        // without it can take what is plain.
        body: MessageOctets::kind(message).await?,
        utf8,
        recipients,
    })
}

/// The envelope as every server takes it; none: a local part is not ASCII, whoever has put it there.
fn in_ascii(
    sender: &ReversePath,
    recipients: &[Addressee],
) -> Option<(ReversePath, Vec<Addressee>)> {
    let addressee = |known: &Addressee| {
        Some(Addressee { address: known.address.to_ascii()?, wish: known.wish.clone().in_ascii() })
    };
    let recipients = recipients.iter().map(addressee).collect::<Option<_>>()?;
    Some((sender.to_ascii()?, recipients))
}

#[cfg(test)]
mod tests;
