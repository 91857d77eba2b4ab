//! Gives messages to other servers over SMTP or LMTP.
//! Knows no route and no retry: one attempt, on connections that may have served others before.

mod avoided;
mod batches;
mod connection;
mod dialling;
mod envelope;
mod error;
mod explaining;
mod idle;
mod open_line;
mod outcome;
mod passage;
mod requiring;
mod standing;
mod stream;
mod tally;
mod witness;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use stagepost_queue::StoredMessage;
use stagepost_smtp::{Credentials, OwnName, Protocol, ReversePath, SendingTimeouts};
use tokio::task::JoinSet;

use self::avoided::Avoided;
use self::connection::Connection;
pub(crate) use self::dialling::{Dial, DialError};
use self::envelope::transaction;
use self::error::RelayError;
pub(crate) use self::explaining::{Explained, ExplainedServer};
use self::idle::IdleConnections;
pub(crate) use self::open_line::{Ends, LineFault, OpenLine};
use self::passage::Passage;
pub(crate) use self::stream::Carrying;
use super::demand::Demands;
use super::servers::{Finder, Servers};
use super::tls_wish::TlsWish;
use super::transport::Carried;
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
    avoided: Arc<Avoided>,
    /// Who counts sessions for reports; none: nobody.
    reports: Option<Arc<TlsReports>>,
    /// Whether senders may have less of TLS than their recipients' domains want (RFC 8689 section 3).
    heeds_field: bool,
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
        let (avoided, reports, heeds_field) = (Arc::default(), None, true);
        Self { finder, demands, name, timeouts, tls, idle, avoided, reports, heeds_field }
    }

    /// The same, whose sessions are counted for reports.
    pub(crate) fn counted(self, reports: Option<Arc<TlsReports>>) -> Self {
        Self { reports, ..self }
    }

    /// The same, of a server that listens at these places: nothing is given to itself.
    pub(crate) fn listening(self, places: &[SocketAddr]) -> Self {
        Self { finder: self.finder.listening(places), ..self }
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
        let found = self.finder.others(self.finder.find(hop.servers).await?)?;
        let servers = self.avoided.last(found);
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
            // RFC 8460 section 3: our own reports go whatever comes of TLS, and are not counted.
            TlsWish::Optional if !self.heeds_field && !message.origin.is_here() => TlsWish::Unsaid,
            wish => wish,
        }
    }
}

#[cfg(test)]
mod tests;
