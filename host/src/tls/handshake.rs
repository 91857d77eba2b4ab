//! The handshake of one connection, and what it came to.
//! Knows the configuration of TLS, no certificate by name and no protocol above.

use std::io;
use std::sync::Arc;

use rustls::{ProtocolVersion, ServerConfig, ServerConnection};
use stagepost_smtp::Tls;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::client;

/// TLS as one listener speaks it.
pub(crate) struct ServerTls {
    acceptor: TlsAcceptor,
}

impl ServerTls {
    pub(super) fn new(config: ServerConfig) -> Self {
        Self { acceptor: Arc::new(config).into() }
    }

    /// Makes the handshake with a client that is about to begin one.
    ///
    /// # Errors
    /// What went wrong; the connection is no more.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<(Box<TlsStream<TcpStream>>, Tls)> {
        // Much larger than all else that a connection needs, and needed for a moment only.
        let stream = Box::new(Box::pin(self.acceptor.accept(stream)).await?);
        let tls = describe(stream.get_ref().1);
        Ok((stream, tls))
    }
}

fn describe(connection: &ServerConnection) -> Tls {
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "TLSv1.2",
    };
    let suite = connection.negotiated_cipher_suite();
    let suite = suite.and_then(|suite| suite.suite().as_str()).unwrap_or_default();
    // The names of IANA, but for this beginning.
    let cipher = match suite.strip_prefix("TLS13_") {
        Some(rest) => format!("TLS_{rest}"),
        None => suite.to_owned(),
    };
    let name = connection.server_name().map(|name| name.to_ascii_lowercase().into());
    let client = connection.peer_certificates().and_then(|chain| chain.first());
    Tls {
        version: version.into(),
        cipher: cipher.into(),
        server_name: name,
        client: client.map(client::describe),
    }
}
