//! TLS to other servers: with whoever answers, or only with who can show who it is.
//! Knows no SMTP; which of them is wanted is for others to say.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore,
    SignatureScheme,
};
use stagepost_smtp::{Extension, Tls};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::dane::{Dane, DaneFault};
use super::fault::CertificateFault;
use super::handshake;
use super::roots;
use super::store::{TlsError, versions};
use crate::config::{ConfigError, RouteRule, Settings, TlsPolicy};

/// TLS as deliveries use it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct OutboundTls {
    anybody: TlsConnector,
    verified: TlsConnector,
    algorithms: WebPkiSupportedAlgorithms,
    /// None: there is no authority to believe.
    authorities: Option<Arc<WebPkiServerVerifier>>,
}

/// Who may be at the other end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Identity {
    /// Anybody.
    Anybody,
    /// Anybody; whether it is who [`Self::Named`] wants is found out all the same.
    Wished,
    /// Who has a certificate for the name or address that is connected to, by an authority that the operator believes.
    Named,
    /// Whose certificates the DNS vouches for.
    Dane(Dane),
}

impl Identity {
    /// Whether it is made sure of.
    pub(crate) fn is_known(&self) -> bool {
        !matches!(self, Self::Anybody | Self::Wished)
    }
}

/// A connection behind its handshake.
pub(crate) struct Secured<S> {
    /// What carries its octets now.
    pub(crate) stream: TlsStream<S>,
    /// What the handshake came to.
    pub(crate) tls: Tls,
    /// What is wrong with the certificate, where it was only wished for.
    pub(crate) doubt: Option<CertificateFault>,
}

/// Why a handshake came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    /// What is connected to is neither a name nor an address that TLS could be spoken with.
    #[error("{0:?} is not the name of a server")]
    Host(Box<str>),
    /// The certificates are not those that the DNS vouches for.
    #[error(transparent)]
    Dane(#[from] DaneFault),
    /// Anything else.
    #[error("{}", said(.0))]
    Tls(#[from] io::Error),
}

impl HandshakeError {
    /// What is wrong with the server's certificates, if that is why.
    pub(crate) fn certificate(&self) -> Option<CertificateFault> {
        match self {
            Self::Host(_) => Some(CertificateFault::Name),
            Self::Dane(_) => Some(CertificateFault::Dane),
            Self::Tls(error) => CertificateFault::of(error.get_ref()?.downcast_ref()?),
        }
    }
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
    /// Reads the certificates that others' are checked by: those of a file, or those of the system where policies of domains or a
    /// route need them, or plug-ins may: `dialling`.
    ///
    /// # Errors
    /// The file that is named can't be used.
    pub(crate) fn load(settings: &Settings, dialling: bool) -> Result<Self, OutboundError> {
        let verified = |route: &RouteRule| route.tls == TlsPolicy::Verified;
        let requiring = settings.receive.extensions.contains(Extension::RequireTls);
        let roots = match &settings.tls_roots {
            Some((path, place)) => roots::read(path, place)?,
            None if dialling || requiring || settings.routes.iter().any(verified) => roots::system(
                "nothing can be sent by routes with tls = \"verified\", nor to servers of names for mail that requires TLS; name a file in [delivery] tls_roots",
            ),
            None if settings.delivery.mta_sts || settings.tls_report.is_some() => roots::system(
                "policies of domains (MTA-STS) can't be fetched, nor reports of TLS go over HTTPS; name a file in [delivery] tls_roots, or write mta_sts = false there",
            ),
            None => RootCertStore::empty(),
        };
        let roots = Arc::new(roots);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = || {
            let builder = ClientConfig::builder_with_provider(provider.clone());
            builder.with_protocol_versions(versions(settings.tls_minimum)).map_err(TlsError::from)
        };
        let verified = builder()?.with_root_certificates(roots.clone()).with_no_client_auth();
        let algorithms = provider.signature_verification_algorithms;
        let anybody = builder()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Judge { rule: Rule::Anybody, algorithms }))
            .with_no_client_auth();
        let authorities =
            WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build().ok();
        let (anybody, verified) = (Arc::new(anybody).into(), Arc::new(verified).into());
        Ok(Self { anybody, verified, algorithms, authorities })
    }

    /// Makes the handshake with a server that is known by this name or address.
    ///
    /// # Errors
    /// What went wrong; the connection is no more.
    pub(crate) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        host: &str,
        identity: &Identity,
        stream: S,
    ) -> Result<Secured<S>, HandshakeError> {
        let doubt = Arc::new(OnceLock::new());
        let (host, connector) = match identity {
            Identity::Anybody => (host, self.anybody.clone()),
            Identity::Named => (host, self.verified.clone()),
            Identity::Wished => {
                (host, self.by(Rule::Wished(self.authorities.clone(), doubt.clone())))
            }
            Identity::Dane(dane) => (dane.name(), self.by(Rule::Dane(dane.clone()))),
        };
        let name =
            ServerName::try_from(host.to_owned()).map_err(|_| HandshakeError::Host(host.into()))?;
        let stream =
            connector.connect(name, stream).await.map_err(|error| match dane_fault(&error) {
                Some(fault) => HandshakeError::Dane(fault),
                None => HandshakeError::Tls(error),
            })?;
        let tls = handshake::describe(stream.get_ref().1);
        Ok(Secured { stream, tls, doubt: doubt.get().copied() })
    }

    /// As with anybody, but for who is believed.
    fn by(&self, rule: Rule) -> TlsConnector {
        let mut config = (**self.anybody.config()).clone();
        // A connection that was begun with anybody must not be taken up again.
        config.resumption = Resumption::disabled();
        let judge = Judge { rule, algorithms: self.algorithms };
        config.dangerous().set_certificate_verifier(Arc::new(judge));
        Arc::new(config).into()
    }
}

/// What went wrong, in words also where the library has a name alone.
fn said(error: &io::Error) -> String {
    let library = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
    match (library, library.and_then(CertificateFault::of)) {
        (Some(Error::InvalidCertificate(why)), Some(fault @ CertificateFault::Trust)) => {
            format!("{fault} ({why})")
        }
        _ => error.to_string(),
    }
}

/// What was wrong with certificates that the DNS was asked about.
fn dane_fault(error: &io::Error) -> Option<DaneFault> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    match error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(fault))) => {
            fault.downcast_ref::<DaneFault>().cloned()
        }
        _ => None,
    }
}

/// Takes any certificate whose key the server has, as far as its rule does.
#[derive(Debug)]
struct Judge {
    rule: Rule,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
enum Rule {
    Anybody,
    /// Only who has one that the DNS vouches for.
    Dane(Dane),
    /// Anybody; what these authorities have against it is kept.
    Wished(Option<Arc<WebPkiServerVerifier>>, Arc<OnceLock<CertificateFault>>),
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.rule {
            Rule::Anybody => {}
            Rule::Dane(dane) => {
                let checked = dane.check(&self.algorithms, own, above, now);
                checked.map_err(|fault| CertificateError::Other(OtherError(Arc::new(fault))))?;
            }
            Rule::Wished(authorities, doubt) => {
                let fault = match authorities {
                    Some(authorities) => {
                        let checked = authorities.verify_server_cert(own, above, name, ocsp, now);
                        let fault =
                            |error| CertificateFault::of(&error).unwrap_or(CertificateFault::Trust);
                        checked.err().map(fault)
                    }
                    None => Some(CertificateFault::Trust),
                };
                fault.map(|fault| doubt.get_or_init(|| fault));
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
