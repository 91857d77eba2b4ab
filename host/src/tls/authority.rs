//! An authority and servers' certificates by it, for the tests.
//! Knows rcgen; nobody believes it but who is told to.

use std::sync::{Arc, Mutex};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;

/// An authority that has made its own certificate.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A server's certificates, its own first, and its key.
pub(crate) struct Shown {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn der(&self) -> &CertificateDer<'static> {
        self.0.der()
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these names, until this year, with the authority's behind it.
    pub(crate) fn server(&self, names: &[&str], until: i32) -> Shown {
        let (params, key) = (params(names, until), KeyPair::generate().unwrap());
        let own = params.signed_by(&key, &self.0).unwrap();
        Shown { chain: vec![own.der().clone(), self.der().clone()], key }
    }

    /// The same for a common name and no other.
    pub(crate) fn common(&self, name: &str) -> Shown {
        let (mut params, key) = (params(&[], 2100), KeyPair::generate().unwrap());
        params.distinguished_name.push(DnType::CommonName, name);
        let own = params.signed_by(&key, &self.0).unwrap();
        Shown { chain: vec![own.der().clone(), self.der().clone()], key }
    }
}

fn params(names: &[&str], until: i32) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(until, 1, 1));
    params
}

impl Shown {
    /// What nobody but the server itself has signed.
    pub(crate) fn alone(names: &[&str], until: i32) -> Self {
        let (params, key) = (params(names, until), KeyPair::generate().unwrap());
        Self { chain: vec![params.self_signed(&key).unwrap().der().clone()], key }
    }

    /// Makes handshakes with it, and notes the names that clients ask for (SNI).
    pub(crate) fn acceptor_noting(&self, names: Arc<Mutex<Vec<String>>>) -> TlsAcceptor {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let shown = CertifiedKey::from_der(self.chain.clone(), key, &provider).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Noting { shown: Arc::new(shown), names }));
        Arc::new(config).into()
    }

    /// Makes handshakes with it.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), key)
            .unwrap();
        Arc::new(config).into()
    }
}

/// Shows one certificate, and notes for which name it was asked for.
#[derive(Debug)]
struct Noting {
    shown: Arc<CertifiedKey>,
    names: Arc<Mutex<Vec<String>>>,
}

impl ResolvesServerCert for Noting {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.names.lock().unwrap().push(hello.server_name().unwrap_or_default().to_owned());
        Some(self.shown.clone())
    }
}

/// The digest of a certificate or key as TLSA records have it.
pub(crate) fn sha256(octets: &[u8]) -> Vec<u8> {
    Sha256::digest(octets).to_vec()
}

/// The same in hexadecimal.
pub(crate) fn sha256_hex(octets: &[u8]) -> String {
    sha256(octets).iter().map(|octet| format!("{octet:02x}")).collect()
}
