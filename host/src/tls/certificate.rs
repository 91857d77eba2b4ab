//! One certificate: its two files, who may have written and read them, and what it says of itself.
//! Knows no client and no other certificate.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256, Sha384, Sha512};
use stagepost_extmgr::{FileError, PluginFile};
use x509_cert::der::Decode;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::time::Time;

use super::pem;
use crate::config::{Certificate, ConfigError};

/// A certificate that can be shown to clients.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(super) key: Arc<CertifiedKey>,
    /// The domain names that it is for, in lower case; one may begin with `*.`.
    pub(crate) names: Vec<String>,
    /// When it begins.
    pub(crate) not_before: Timestamp,
    /// When it ends.
    pub(crate) not_after: Timestamp,
    /// What an authentication can be bound to the certificate by (RFC 5929 section 4).
    pub(super) end_point: Option<Box<[u8]>>,
    /// Of both files.
    digest: [u8; 32],
}

/// Why a certificate can't be used. Always the operator's to put right.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    /// A file can't be read, or somebody else may have written it.
    #[error(transparent)]
    File(#[from] FileError),
    /// Everybody can read the key.
    #[error("{}: mode: wanted no reading by others, found {mode:04o}", path.display())]
    Readable {
        /// The key.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file has not in it what it should.
    #[error("{}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What should be in it.
        wanted: &'static str,
    },
    /// The two files do not belong together.
    #[error("{} is not the key of the first certificate in {}", key.display(), chain.display())]
    Mismatch {
        /// The certificates.
        chain: PathBuf,
        /// The key.
        key: PathBuf,
    },
}

/// Of the attribute commonName (RFC 4519 section 2.3).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

const CHAIN: &str =
    "it should hold the server's certificate and those that lead to a root, one PEM block each";
const KEY: &str = "it should hold one unencrypted private key in PEM (ECDSA, Ed25519 or RSA)";

impl Loaded {
    /// Reads the files of a certificate.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn read(
        config: &Certificate,
        provider: &CryptoProvider,
    ) -> Result<Self, CertificateError> {
        let (chain, key) = (&config.chain, &config.key);
        let (chain_file, key_file) = (PluginFile::read(chain)?, read_key(key)?);
        let content = |path: &Path, wanted| {
            let path = path.to_owned();
            move |problem: String| CertificateError::Content { path, problem, wanted }
        };
        let certificates: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(chain_file.octets())
                .collect::<Result<_, _>>()
                .map_err(|error| content(chain, CHAIN)(pem::fault(&error)))?;
        let Some(first) = certificates.first() else {
            return Err(content(chain, CHAIN)(pem::fault_of_chain(chain_file.octets())));
        };
        let parsed = x509_cert::Certificate::from_der(first)
            .map_err(|error| content(chain, CHAIN)(format!("no certificate: {error}")))?;
        let private = PrivateKeyDer::from_pem_slice(key_file.octets())
            .map_err(|error| content(key, KEY)(pem::fault_of_key(key_file.octets(), &error)))?;
        let signer = provider
            .key_provider
            .load_private_key(private)
            .map_err(|_| content(key, KEY)("its private key can't be used".to_owned()))?;
        let key_pair = CertifiedKey::new(certificates, signer);
        key_pair
            .keys_match()
            .map_err(|_| CertificateError::Mismatch { chain: chain.clone(), key: key.clone() })?;
        let mut digest = Sha256::new();
        digest.update(chain_file.sha256());
        digest.update(key_file.sha256());
        let end_point = end_point(&parsed, &key_pair.cert[0]);
        Ok(Self {
            key: Arc::new(key_pair),
            end_point,
            names: names(&parsed),
            not_before: moment(&parsed.tbs_certificate.validity.not_before),
            not_after: moment(&parsed.tbs_certificate.validity.not_after),
            digest: digest.finalize().into(),
        })
    }

    /// Whether it is for a host name, which is in lower case (RFC 6125 section 6.4: a star is one whole label).
    pub(super) fn is_for(&self, host: &str) -> bool {
        self.names.iter().any(|name| is_for(name, host))
    }

    /// Whether the files were the same.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

fn moment(time: &Time) -> Timestamp {
    let seconds = time.to_unix_duration().as_secs();
    Timestamp::from_second(seconds.cast_signed()).unwrap_or(Timestamp::MAX)
}

/// The digest of a certificate by the hash of its signature, SHA-256 in the place of older ones; none where the signature has no
/// hash of its own (RFC 5929 section 4.1).
fn end_point(parsed: &x509_cert::Certificate, der: &[u8]) -> Option<Box<[u8]>> {
    Some(match parsed.signature_algorithm.oid.to_string().as_str() {
        // RSA with MD5, SHA-1 and SHA-256; ECDSA with SHA-1 and SHA-256.
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => Sha256::digest(der).as_slice().into(),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Sha384::digest(der).as_slice().into(),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Sha512::digest(der).as_slice().into(),
        _ => return None,
    })
}

/// Reads a private key that only trusted users can read or write.
fn read_key(path: &Path) -> Result<PluginFile, CertificateError> {
    let file = PluginFile::read(path)?;
    let metadata =
        fs::metadata(path).map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o7777;
    // A group for those that may use keys is usual.
    if mode & 0o007 != 0 {
        return Err(CertificateError::Readable { path: path.to_owned(), mode });
    }
    Ok(file)
}

/// Whether a name of a certificate stands for a host name; both are in lower case.
pub(super) fn is_for(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(domain) => host.split_once('.').is_some_and(|(_, rest)| rest == domain),
        None => name == host,
    }
}

/// The names of a server's certificate as RFC 7672 section 3.2.3 has it: the common name where there is no other.
pub(super) fn names_of_server(certificate: &x509_cert::Certificate) -> Vec<String> {
    let found = names(certificate);
    if !found.is_empty() {
        return found;
    }
    let parts = certificate.tbs_certificate.subject.0.iter().flat_map(|part| part.0.iter());
    let common = parts.filter(|part| part.oid == COMMON_NAME);
    common
        .filter_map(|part| std::str::from_utf8(part.value.value()).ok())
        .map(str::to_ascii_lowercase)
        .collect()
}

/// The names of a certificate (RFC 6125 section 6.4.4: the common name counts for nothing).
fn names(certificate: &x509_cert::Certificate) -> Vec<String> {
    let found = certificate.tbs_certificate.get::<SubjectAltName>().ok().flatten();
    let names = found.map_or_else(Vec::new, |(_, SubjectAltName(names))| names);
    let dns = |name: GeneralName| match name {
        GeneralName::DnsName(name) => Some(name.as_str().to_ascii_lowercase()),
        _ => None,
    };
    names.into_iter().filter_map(dns).collect()
}

impl CertificateError {
    /// Shows it where the configuration names the file.
    pub(super) fn at(&self, config: &Certificate) -> ConfigError {
        let of_key = match self {
            Self::File(error) => error.path() != config.chain && !is_above(error, &config.chain),
            Self::Readable { path, .. } | Self::Content { path, .. } => *path == config.key,
            Self::Mismatch { .. } => true,
        };
        let place = if of_key { &config.key_place } else { &config.chain_place };
        let said = self.to_string();
        let problem = said.split_once("; remedy: ").map_or(said.as_str(), |(problem, _)| problem);
        place.fault(problem, self.remedy())
    }

    fn remedy(&self) -> String {
        match self {
            Self::File(FileError::Owner { path, wanted, .. }) => format!(
                "look at who made it; if it is what you want, chown {wanted} {}",
                path.display()
            ),
            Self::File(FileError::Mode { path, .. }) => format!("chmod go-w {}", path.display()),
            Self::File(_) => {
                "name a file that is there and that the server's user can read; `stagepost tls self-signed` makes both for a start"
                    .to_owned()
            }
            Self::Readable { path, .. } => format!("chmod o-rwx {}", path.display()),
            Self::Content { wanted, .. } => (*wanted).to_owned(),
            Self::Mismatch { .. } => {
                "name the key that the certificate was made for; the server's own certificate comes first in the chain"
                    .to_owned()
            }
        }
    }
}

/// Whether it is about the true path of a file, or a folder on the way to it.
fn is_above(error: &FileError, file: &Path) -> bool {
    fs::canonicalize(file).is_ok_and(|real| real.starts_with(error.path()))
}
