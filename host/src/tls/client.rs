//! Client certificates: asked for, proved to be the client's own, and vouched for by nobody.
//! What they are worth is for plug-ins to say, by the digest.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use sha2::{Digest, Sha256};
use stagepost_smtp::ClientCertificate;
use x509_cert::der::Decode;

/// The longest subject that is kept.
const SUBJECT_OCTETS_MAX: usize = 1024;

/// Takes any certificate whose key the client has, and clients without one.
#[derive(Debug)]
pub(super) struct AnyClient(WebPkiSupportedAlgorithms);

impl AnyClient {
    pub(super) fn new(provider: &CryptoProvider) -> Self {
        Self(provider.signature_verification_algorithms)
    }
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
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

/// What is told of a certificate.
pub(super) fn describe(certificate: &CertificateDer<'_>) -> ClientCertificate {
    let mut subject = x509_cert::Certificate::from_der(certificate)
        .map_or_else(|_| String::new(), |parsed| parsed.tbs_certificate.subject.to_string());
    let end = subject.floor_char_boundary(SUBJECT_OCTETS_MAX);
    subject.truncate(end);
    let sha256: String =
        Sha256::digest(certificate).iter().map(|octet| format!("{octet:02x}")).collect();
    ClientCertificate { subject: subject.into(), sha256: sha256.into() }
}
