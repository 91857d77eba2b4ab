//! The handshake of one connection, and what it came to.
//! Knows the configuration of TLS, no certificate by name and no protocol above.

use std::io;
use std::sync::Arc;

use rustls::server::{Acceptor, ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CommonState, ProtocolVersion, ServerConfig, ServerConnection};
use stagepost_smtp::{ChannelBindings, Tls};
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificate::Loaded;
use super::client;
use super::store::Choice;

/// Octets of a `tls-exporter` binding, and the label that they are made with (RFC 9266 section 2).
const EXPORTER_OCTETS: usize = 32;
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// TLS as one listener speaks it.
pub(crate) struct ServerTls {
    config: Arc<ServerConfig>,
    choice: Arc<Choice>,
}

impl ServerTls {
    pub(super) fn new(config: ServerConfig, choice: Arc<Choice>) -> Self {
        Self { config: Arc::new(config), choice }
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
        let begun = Box::pin(LazyConfigAcceptor::new(Acceptor::default(), stream)).await?;
        let chosen = self.choice.choose(&begun.client_hello());
        let config = match &chosen {
            // Also after a reload in between it is this one, which bindings speak of.
            Some(loaded) => {
                let mut config = (*self.config).clone();
                config.cert_resolver = Arc::new(Chosen(loaded.key.clone()));
                Arc::new(config)
            }
            // It says why not.
            None => self.config.clone(),
        };
        let stream = Box::new(Box::pin(begun.into_stream(config)).await?);
        let connection = stream.get_ref().1;
        let name = connection.server_name().map(|name| name.to_ascii_lowercase().into());
        let bindings = bindings(connection, chosen.as_deref());
        let tls = Tls { server_name: name, bindings, ..describe(connection) };
        Ok((stream, tls))
    }
}

/// The certificate of one connection.
#[derive(Debug)]
struct Chosen(Arc<CertifiedKey>);

impl ResolvesServerCert for Chosen {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// What an authentication can be bound to the connection by.
fn bindings(connection: &ServerConnection, shown: Option<&Loaded>) -> ChannelBindings {
    // With TLS 1.2 it would be good only where the extended master secret is in use (RFC 9266 section 4.2), which is not told.
    let exported = || {
        let octets = [0_u8; EXPORTER_OCTETS];
        let exported = connection.export_keying_material(octets, EXPORTER_LABEL, Some(&[]));
        exported.ok().map(Box::<[u8]>::from)
    };
    let modern = connection.protocol_version() == Some(ProtocolVersion::TLSv1_3);
    ChannelBindings {
        exporter: modern.then(exported).flatten(),
        server_end_point: shown.and_then(|shown| shown.end_point.clone()),
    }
}

/// What either side knows of a connection, and the certificate of the other one.
pub(super) fn describe(connection: &CommonState) -> Tls {
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
    let other = connection.peer_certificates().and_then(|chain| chain.first());
    Tls {
        version: version.into(),
        cipher: cipher.into(),
        server_name: None,
        client: other.map(client::describe),
        bindings: ChannelBindings::default(),
    }
}
