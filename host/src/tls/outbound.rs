//! TLS to other servers: with whoever answers, or only with who has a certificate for the name.
//! Knows no SMTP; which of the two is wanted is for the route to say.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature,
    verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::store::{TlsError, versions};
use crate::config::{ConfigError, Place, Settings, TlsPolicy};

/// TLS as deliveries use it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct OutboundTls {
    anybody: TlsConnector,
    verified: TlsConnector,
}

/// Why TLS to other servers can't be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutboundError {
    /// What the configuration names.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What the library has against it.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl OutboundTls {
    /// Reads the certificates that others' are checked by: those of a file, or those of the system where a route needs them.
    ///
    /// # Errors
    /// The file that is named can't be used.
    pub(crate) fn load(settings: &Settings) -> Result<Self, OutboundError> {
        let roots = match &settings.tls_roots {
            Some((path, place)) => read(path, place)?,
            None if settings.routes.iter().any(|route| route.tls == TlsPolicy::Verified) => {
                system()
            }
            None => RootCertStore::empty(),
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = || {
            let builder = ClientConfig::builder_with_provider(provider.clone());
            builder.with_protocol_versions(versions(settings.tls_minimum)).map_err(TlsError::from)
        };
        let verified = builder()?.with_root_certificates(roots).with_no_client_auth();
        let anybody = builder()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer::new(&provider)))
            .with_no_client_auth();
        Ok(Self { anybody: Arc::new(anybody).into(), verified: Arc::new(verified).into() })
    }

    /// Makes the handshake with a server; `verified`: it must have a certificate for this name or address.
    ///
    /// # Errors
    /// What went wrong; the connection is no more.
    pub(crate) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        host: &str,
        verified: bool,
        stream: S,
    ) -> io::Result<TlsStream<S>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let connector = if verified { &self.verified } else { &self.anybody };
        connector.connect(name, stream).await
    }
}

fn read(path: &Path, place: &Place) -> Result<RootCertStore, ConfigError> {
    let wrong = |problem: String| {
        let remedy = "name a file of certificates in PEM that this user can read";
        place.fault(format!("{}: {problem}", path.display()), remedy)
    };
    let mut roots = RootCertStore::empty();
    let found = CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
    for certificate in found {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() { Err(wrong("it has no certificate".to_owned())) } else { Ok(roots) }
}

/// The system's; some of them may be of a kind that can't be used.
fn system() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (taken, left) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(taken, left, "certificates of the system");
    if roots.is_empty() {
        tracing::error!(
            "the system has no root certificates: nothing can be sent by routes with tls = \"verified\"; name a file in [delivery] tls_roots"
        );
    }
    roots
}

/// Takes any certificate whose key the server has.
#[derive(Debug)]
struct AnyServer(WebPkiSupportedAlgorithms);

impl AnyServer {
    fn new(provider: &CryptoProvider) -> Self {
        Self(provider.signature_verification_algorithms)
    }
}

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
