//! The certificates that those of other servers are checked by: those of a file, or those of the system.
//! Knows no server.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::pem;
use super::store::{TlsError, versions};
use crate::config::{ConfigError, Place, TlsVersion};

/// Reads those of a file.
///
/// # Errors
/// The file that is named can't be used.
pub(super) fn read(path: &Path, place: &Place) -> Result<RootCertStore, ConfigError> {
    let wrong = |problem: String| {
        let remedy = "name a file of certificates in PEM that this user can read";
        place.fault(format!("{}: {problem}", path.display()), remedy)
    };
    let mut roots = RootCertStore::empty();
    let found = CertificateDer::pem_file_iter(path).map_err(|error| wrong(pem::fault(&error)))?;
    for certificate in found {
        let certificate = certificate.map_err(|error| wrong(pem::fault(&error)))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() { Err(wrong("it has no certificate".to_owned())) } else { Ok(roots) }
}

/// The system's; some of them may be of a kind that can't be used. `lost`: what can't be done without any.
pub(super) fn system(lost: &str) -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (taken, left) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(taken, left, "certificates of the system");
    if roots.is_empty() {
        tracing::error!("the system has no root certificates: {lost}");
    }
    roots
}

/// What a client needs that talks to nobody whose certificate is not for the name, by the certificates of a file or the system's.
///
/// # Errors
/// The file that is named can't be used, or what the library has against it.
pub(crate) fn verifying(
    file: Option<&(std::path::PathBuf, Place)>,
    minimum: TlsVersion,
    lost: &str,
) -> Result<Arc<ClientConfig>, VerifyingError> {
    let roots = match file {
        Some((path, place)) => read(path, place)?,
        None => system(lost),
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_protocol_versions(versions(minimum)).map_err(TlsError::from)?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// Why there is no such client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyingError {
    /// What the configuration names.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What the library has against it.
    #[error(transparent)]
    Tls(#[from] TlsError),
}
