//! Relays messages to one next hop over SMTP.
//! Knows no route and no retry: one attempt, on a connection that may have served others before.

mod connection;
mod idle;

use std::sync::Arc;
use std::time::Duration;

use stagepost_queue::{StoreError, StoredMessage};
use stagepost_smtp::{Cause, Outcome, OwnName, SendingTimeouts, Transaction};
use tokio::task::JoinSet;

use self::connection::{ConnectError, Connection};
use self::idle::IdleConnections;
use super::octets::MessageOctets;
use super::transport::RecipientOutcome;

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

/// A next hop. Cheap to clone; any thread, inside a tokio runtime.
#[derive(Clone, Debug)]
pub(crate) struct Relay {
    next_hop: Arc<str>,
    name: OwnName,
    timeouts: RelayTimeouts,
    idle: Arc<IdleConnections>,
}

/// Why an attempt came to nothing before the next hop said anything of the message.
#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error("4.3.0 the queued message could not be read: {0}")]
    Message(#[from] StoreError),
    #[error("4.3.0 the message has no recipient {0}")]
    Recipient(u32),
    #[error("4.4.1 {}{error}", name_before(next_hop, error))]
    Connect { next_hop: Arc<str>, error: ConnectError },
}

/// The next hop's name ahead of an error, unless it is the address that the error begins with.
fn name_before(next_hop: &str, error: &ConnectError) -> String {
    match error.address() {
        Some(address) if address.to_string() == next_hop => String::new(),
        _ => format!("{next_hop}: "),
    }
}

impl Relay {
    /// A relay to `next_hop`, written `host:port` (an IPv6 address in brackets); `name` is what we call ourselves.
    pub(crate) fn new(next_hop: &str, name: OwnName, timeouts: RelayTimeouts) -> Self {
        let idle = Arc::new(IdleConnections::new(timeouts.idle));
        Self { next_hop: next_hop.into(), name, timeouts, idle }
    }

    /// Sends a message to some of its recipients, given as indexes into its envelope, in one transaction.
    ///
    /// Returns one outcome for each, in their order. Dropped in the middle, it closes the connection, and the next
    /// hop drops what it has unless the final dot was sent already.
    pub(crate) async fn deliver(
        &self,
        message: &StoredMessage,
        recipients: &[u32],
    ) -> Vec<RecipientOutcome> {
        match self.attempt(message, recipients).await {
            Ok(outcomes) => outcomes.into_iter().map(|outcome| self.told(outcome)).collect(),
            Err(error) => vec![RecipientOutcome::Deferred(error.to_string()); recipients.len()],
        }
    }

    /// Says goodbye on the idle connections and keeps none from now on.
    pub(crate) async fn close(&self) {
        let farewells: JoinSet<()> = self.idle.close().into_iter().map(Connection::quit).collect();
        farewells.join_all().await;
    }

    async fn attempt(
        &self,
        message: &StoredMessage,
        recipients: &[u32],
    ) -> Result<Vec<Outcome>, RelayError> {
        let transaction = transaction(message, recipients).await?;
        if let Some(mut connection) = self.idle.take() {
            let mut octets = MessageOctets::new(message);
            let outcomes = connection.send(transaction.clone(), &mut octets).await;
            let ended = connection.is_over() && octets.is_untouched();
            self.keep(connection);
            // A next hop may end an idle connection at any moment: that says nothing about this message.
            if !ended {
                return Ok(outcomes);
            }
        }
        let connection = Connection::open(&self.next_hop, self.name.clone(), &self.timeouts).await;
        let mut connection = connection
            .map_err(|error| RelayError::Connect { next_hop: self.next_hop.clone(), error })?;
        let outcomes = connection.send(transaction, &mut MessageOctets::new(message)).await;
        self.keep(connection);
        Ok(outcomes)
    }

    /// Lets a connection wait for the next message, or ends it.
    fn keep(&self, connection: Connection) {
        if connection.is_over() {
            return;
        }
        if let Some(connection) = self.idle.put(connection) {
            // Bounded by the time-out of QUIT; nothing depends on it.
            tokio::spawn(connection.quit());
        }
    }

    /// An outcome as the queue is told it.
    fn told(&self, outcome: Outcome) -> RecipientOutcome {
        let status = outcome.status();
        let text = |cause: Cause| format!("{status} {}: {cause}", self.next_hop);
        match outcome {
            Outcome::Delivered(reply) => {
                tracing::debug!(next_hop = %self.next_hop, code = reply.code(), text = reply.text(), "relayed");
                RecipientOutcome::Delivered
            }
            Outcome::Failed(cause) => RecipientOutcome::Failed(text(cause)),
            Outcome::Deferred(cause) => RecipientOutcome::Deferred(text(cause)),
        }
    }
}

/// The message's envelope as the sending session wants it.
async fn transaction(
    message: &StoredMessage,
    recipients: &[u32],
) -> Result<Transaction, RelayError> {
    let address = |&index: &u32| {
        let recipient = message.envelope.recipients.get(index as usize);
        recipient.map(|recipient| recipient.address.clone()).ok_or(RelayError::Recipient(index))
    };
    Ok(Transaction {
        sender: message.envelope.sender.clone(),
        recipients: recipients.iter().map(address).collect::<Result<_, _>>()?,
        size_octets: MessageOctets::count(message),
        // What the octets are, not what the sender declared: many declare 8BITMIME for all they send, and a next hop
        // without it can take what is plain.
        eight_bit: MessageOctets::are_eight_bit(message).await?,
    })
}

#[cfg(test)]
mod tests;
