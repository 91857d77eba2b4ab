//! The octets of a test's connection, in clear text or through TLS.
//! Knows no protocol above.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

/// A connection.
pub enum Wire {
    /// In clear text.
    Plain(TcpStream),
    /// Through TLS.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// Whose certificates a client takes, and which one it shows itself.
#[derive(Clone)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Takes the certificate in a PEM file, and shows none.
    ///
    /// # Panics
    ///
    /// When the file holds none.
    pub fn in_file(path: &Path) -> Self {
        Self::new(&[path], None, rustls::ALL_VERSIONS)
    }

    /// Takes the certificates in PEM files, shows `own`, and speaks these versions only.
    ///
    /// # Panics
    ///
    /// When a file holds no certificate.
    pub fn new(
        paths: &[&Path],
        own: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        for path in paths {
            roots
                .add(CertificateDer::from_pem_file(path).expect("a certificate"))
                .expect("a certificate that can be trusted");
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .expect("versions that there are")
            .with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                builder.with_client_auth_cert(vec![certificate], key).expect("a key that fits")
            }
        };
        Self(Arc::new(config))
    }
}

impl Wire {
    /// Makes a TLS handshake.
    ///
    /// # Errors
    /// Why there is no TLS.
    pub fn secure(self, trust: &Trust, name: &str) -> io::Result<Self> {
        let Self::Plain(mut stream) = self else {
            return Err(io::Error::other("there is TLS already"));
        };
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let mut connection =
            ClientConnection::new(trust.0.clone(), name).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        Ok(Self::Tls(Box::new(StreamOwned::new(connection, stream))))
    }

    /// The socket below.
    pub fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }

    /// What both ends can derive from this connection alone, for `tls-exporter` (RFC 9266).
    ///
    /// # Panics
    ///
    /// When there is no TLS.
    pub fn exported(&self) -> [u8; 32] {
        let Self::Tls(stream) = self else { panic!("there is no TLS") };
        let label = b"EXPORTER-Channel-Binding";
        stream.conn.export_keying_material([0; 32], label, Some(&[])).expect("a finished handshake")
    }

    /// The certificate that the server has shown, if there is TLS.
    pub fn certificate(&self) -> Option<Vec<u8>> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => stream
                .conn
                .peer_certificates()
                .and_then(|chain| chain.first())
                .map(|der| der.to_vec()),
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(octets),
            Self::Tls(stream) => stream.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
