//! Dials a server for who wants to talk to it, beside any message.
//! Knows neither what is said then nor who wants it.

use stagepost_smtp::{Cause, Protocol, SendingSettings, SendingTls};

use super::Relay;
use super::connection::{Connection, Peer};
use super::open_line::OpenLine;
use crate::config::{NextHop, TlsPolicy};
use crate::delivery::demand::{Known, Wanted};
use crate::delivery::servers::{NoServer, Server, Servers};
use crate::tls::Identity;

/// Whom to dial.
#[derive(Clone, Debug)]
pub(crate) struct Dial {
    /// Where.
    pub(crate) host: NextHop,
    /// What is wanted of TLS.
    pub(crate) tls: TlsPolicy,
    /// TLS comes before anything else.
    pub(crate) implicit: bool,
}

/// Why a server can't be talked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// Nobody is known there, or nobody answers.
    #[error("{0}")]
    Unreached(Box<str>),
    /// The conversation did not come as far.
    #[error("{shown}: {cause}")]
    Opening {
        /// The server.
        shown: Box<str>,
        /// Why.
        cause: Cause,
    },
}

impl Relay {
    /// Dials the addresses of a server, one after the other, until one is ready for whatever comes. Takes as long as it
    /// takes; dropped, it hangs up.
    ///
    /// # Errors
    /// Why none is: what a server said before why another was not reached.
    pub(crate) async fn dial(&self, dial: &Dial) -> Result<OpenLine, DialError> {
        let hosts = std::slice::from_ref(&dial.host);
        let servers = self.finder.find(Servers::Hosts(hosts)).await.map_err(unreached)?;
        let wanted = self.demands.of_session(dial.tls, &dial.host);
        let mut error = unreached(NoServer::NoAddress);
        for server in servers {
            match self.dial_server(&server, dial, &wanted).await {
                Ok(line) => return Ok(line),
                Err(said @ DialError::Opening { .. }) => error = said,
                Err(silent) if !matches!(error, DialError::Opening { .. }) => error = silent,
                Err(_) => {}
            }
        }
        Err(error)
    }

    async fn dial_server(
        &self,
        server: &Server,
        dial: &Dial,
        wanted: &Wanted,
    ) -> Result<OpenLine, DialError> {
        let demand = self.demands.of(wanted, server).await.demand.map_err(unreached)?;
        let tls = if dial.implicit { SendingTls::Before } else { demand.tls };
        match self.dial_with(server, tls, demand.identity.clone()).await {
            // Where clear text is good enough, a server whose TLS is broken gets it (RFC 7435).
            Err(DialError::Opening { cause: Cause::Handshake(_), .. })
                if tls == SendingTls::IfOffered =>
            {
                tracing::warn!(server = %server.shown, "its TLS is broken: it goes on without");
                self.dial_with(server, SendingTls::Never, demand.identity).await
            }
            dialled => dialled,
        }
    }

    async fn dial_with(
        &self,
        server: &Server,
        tls: SendingTls,
        identity: Identity,
    ) -> Result<OpenLine, DialError> {
        let settings = SendingSettings {
            name: self.name.clone(),
            protocol: Protocol::Smtp,
            tls,
            login: None,
            timeouts: self.timeouts.session,
        };
        let known = Known::Dialled(identity.clone());
        let peer = Peer { tls: self.tls.clone(), host: server.host.clone(), identity };
        let wait = self.timeouts.connect;
        let mut connection =
            Connection::open(&server.endpoint, settings, peer, wait).await.map_err(unreached)?;
        match connection.greet().await {
            Ok(()) => {
                let over = self.demands.over(connection.is_secured(), known);
                Ok(OpenLine::dialled(connection, server.shown.clone(), over))
            }
            Err(cause) => {
                // Bounded by the time-out of QUIT; nothing depends on it.
                tokio::spawn(connection.quit());
                Err(DialError::Opening { shown: server.shown.clone(), cause })
            }
        }
    }
}

fn unreached(error: impl std::fmt::Display) -> DialError {
    DialError::Unreached(error.to_string().into())
}
