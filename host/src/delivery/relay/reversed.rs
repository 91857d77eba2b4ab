//! A connection that its client has opened and that was reversed: what is carried away goes over it, and over nothing else.
//! Knows no queue; one message after the other.

use std::sync::Arc;

use stagepost_queue::{BoxFuture, Lease, StoredMessage};
use stagepost_smtp::{
    OwnName, Protocol, SendingSession, SendingSettings, SendingTimeouts, SendingTls,
};
use tokio::sync::Mutex;

use super::connection::{Connection, now};
use super::stream::{Carrying, Stream};
use super::{onward, told, transaction};
use crate::config::Way;
use crate::delivery::octets::MessageOctets;
use crate::delivery::transport::{Carried, Transports};

/// The connection. Messages that are given to it at once go one after the other.
pub(crate) struct ReversedLine {
    connection: Mutex<Connection>,
    /// As operators and senders of messages are told of who is at the other end.
    shown: Box<str>,
}

impl ReversedLine {
    /// - name: what we call ourselves. shown: who is at the other end, for logs and notifications.
    pub(crate) fn new(
        carrying: impl Carrying + 'static,
        name: OwnName,
        timeouts: SendingTimeouts,
        shown: Box<str>,
    ) -> Self {
        // TLS that is on stays on (RFC 2645 section 5.3); what is not cannot come any more.
        let settings = SendingSettings {
            name,
            protocol: Protocol::Smtp,
            tls: SendingTls::Never,
            login: None,
            timeouts,
        };
        let session = SendingSession::new(now(), settings);
        let connection = Mutex::new(Connection::over(Stream::new(carrying), session, None));
        Self { connection, shown }
    }

    /// Whether nothing more can be sent.
    pub(crate) async fn is_over(&self) -> bool {
        self.connection.lock().await.is_over()
    }

    /// Says goodbye and closes.
    pub(crate) async fn quit(self: Arc<Self>) {
        if let Some(line) = Arc::into_inner(self) {
            line.connection.into_inner().quit().await;
        }
    }
}

impl Transports for ReversedLine {
    fn next_hop(&self, _: &Lease) -> String {
        "fetched".to_owned()
    }

    fn deliver<'a>(
        &'a self,
        message: &'a StoredMessage,
        lease: &'a Lease,
        _: Option<&'a Way>,
    ) -> BoxFuture<'a, Carried> {
        let recipients = &lease.recipients;
        Box::pin(async move {
            let transaction = match transaction(message, recipients).await {
                Ok(transaction) => transaction,
                Err(error) => return error.carried(recipients.len()),
            };
            let mut connection = self.connection.lock().await;
            let mut octets = MessageOctets::new(message);
            let outcomes = connection.send(transaction, &mut octets).await;
            let onward = onward(Protocol::Smtp, &connection);
            let told = |outcome| told(&self.shown, onward, outcome);
            // Who has come goes by no lane.
            Carried::aside(outcomes.into_iter().map(told).collect())
        })
    }
}
