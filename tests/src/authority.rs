//! An authority and servers' certificates by it, for servers of tests.
//! Knows rcgen; nobody believes it but who is told to.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;

/// An authority that has made its own certificate.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// Makes one.
    ///
    /// # Panics
    ///
    /// When the system has no randomness.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority");
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// Its certificate, for those who are to believe it.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these names that ends with the beginning of a year, with the authority's behind it, and its key: both in PEM.
    ///
    /// # Panics
    ///
    /// When a name is none.
    pub fn pem_until(&self, names: &[&str], year: i32) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name = DistinguishedName::new();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let own = params.signed_by(&key, &self.0).expect("a certificate");
        (own.pem() + &self.pem(), key.serialize_pem())
    }

    /// What a server needs that has a certificate for these names.
    ///
    /// # Panics
    ///
    /// When one is none.
    pub fn server(&self, names: &[&str]) -> Arc<ServerConfig> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name = DistinguishedName::new();
        let key = KeyPair::generate().expect("a key");
        let own = params.signed_by(&key, &self.0).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions that there are")
            .with_no_client_auth()
            .with_single_cert(vec![own.der().clone(), self.0.der().clone()], key);
        Arc::new(config.expect("a key that fits"))
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
