//! All certificates of a server by name: which one a client gets, and changing them while sessions go on.
//! Knows the configuration, no connection.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, NoClientAuth, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};

use super::certificate::Loaded;
use super::client::AnyClient;
use super::handshake::ServerTls;
use crate::config::{Certificate, ConfigError, ListenerTls, TlsVersion};

static FROM_TLS12: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
static FROM_TLS13: [&SupportedProtocolVersion; 1] = [&TLS13];

/// The certificates of a server.
pub(crate) struct TlsStore {
    provider: Arc<CryptoProvider>,
    versions: &'static [&'static SupportedProtocolVersion],
    certificates: BTreeMap<String, Arc<Entry>>,
}

/// One certificate as it is now.
struct Entry {
    name: String,
    loaded: RwLock<Arc<Loaded>>,
}

/// Certificates that were read again and are not in force yet.
pub(crate) struct Reread(Vec<(Arc<Entry>, Arc<Loaded>)>);

/// Why TLS can't be set up, beside what is wrong with a certificate.
#[derive(Debug, thiserror::Error)]
#[error("error: TLS: {0}")]
pub(crate) struct TlsError(#[from] rustls::Error);

impl TlsStore {
    /// Reads all certificates.
    ///
    /// # Errors
    /// The first one that can't be used, at its place.
    pub(crate) fn load(
        certificates: &[Certificate],
        minimum: TlsVersion,
    ) -> Result<Self, ConfigError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut by_name = BTreeMap::new();
        for config in certificates {
            let loaded = RwLock::new(Arc::new(read(config, &provider)?));
            let name = config.name.clone();
            by_name.insert(name.clone(), Arc::new(Entry { name, loaded }));
        }
        Ok(Self { provider, versions: versions(minimum), certificates: by_name })
    }

    /// TLS for a listener; none without certificates.
    ///
    /// # Errors
    /// What the library has against it.
    pub(crate) fn listener(&self, config: &ListenerTls) -> Result<Option<ServerTls>, TlsError> {
        let certificates: Vec<_> = config
            .certificates
            .iter()
            .filter_map(|name| self.certificates.get(name).cloned())
            .collect();
        if certificates.is_empty() {
            return Ok(None);
        }
        let client: Arc<dyn rustls::server::danger::ClientCertVerifier> =
            match config.client_certificates {
                true => Arc::new(AnyClient::new(&self.provider)),
                false => Arc::new(NoClientAuth),
            };
        let choice = Arc::new(Choice(certificates));
        // Named, never the process default: a dependency may bring another one.
        let config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(self.versions)?
            .with_client_cert_verifier(client)
            .with_cert_resolver(choice.clone());
        Ok(Some(ServerTls::new(config, choice)))
    }

    /// Reads the files of certificates that are known by name again. Nothing changes before [`Reread::commit`].
    ///
    /// # Errors
    /// The first one that can't be used, at its place.
    pub(crate) fn reread(&self, certificates: &[Certificate]) -> Result<Reread, ConfigError> {
        let mut changed = Vec::new();
        for config in certificates {
            let Some(entry) = self.certificates.get(&config.name) else { continue };
            let fresh = read(config, &self.provider)?;
            if !fresh.is_same_as(&entry.now()) {
                changed.push((entry.clone(), Arc::new(fresh)));
            }
        }
        Ok(Reread(changed))
    }

    /// The certificates in the order of their names.
    pub(crate) fn certificates(&self) -> impl Iterator<Item = (&str, Arc<Loaded>)> {
        self.certificates.values().map(|entry| (&*entry.name, entry.now()))
    }

    /// Tells the log which certificates are over, or have not begun: they are shown all the same, since most senders do not mind.
    pub(crate) fn warn_of_times(&self) {
        let now = Timestamp::now();
        for (certificate, loaded) in self.certificates() {
            let (from, until) = (loaded.not_before, loaded.not_after);
            if until < now {
                tracing::warn!(certificate, %until, "the certificate has expired");
            } else if from > now {
                tracing::warn!(certificate, %from, "the certificate is not good yet");
            }
        }
    }
}

impl Reread {
    /// Puts them in force for handshakes to come; the names of those that have changed.
    pub(crate) fn commit(self) -> Vec<String> {
        let Self(changed) = self;
        let put = |(entry, fresh): (Arc<Entry>, Arc<Loaded>)| {
            *entry.loaded.write().unwrap_or_else(PoisonError::into_inner) = fresh;
            entry.name.clone()
        };
        changed.into_iter().map(put).collect()
    }
}

/// The versions from this one.
pub(super) fn versions(minimum: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    match minimum {
        TlsVersion::Tls12 => &FROM_TLS12,
        TlsVersion::Tls13 => &FROM_TLS13,
    }
}

fn read(config: &Certificate, provider: &CryptoProvider) -> Result<Loaded, ConfigError> {
    Loaded::read(config, provider).map_err(|error| error.at(config))
}

impl Entry {
    fn now(&self) -> Arc<Loaded> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The certificates of one listener, in their order.
#[derive(Clone)]
pub(super) struct Choice(Vec<Arc<Entry>>);

impl fmt::Debug for Choice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.0.iter().map(|entry| &entry.name)).finish()
    }
}

impl Choice {
    /// The first one for the name that the client asks for and of a kind that it knows; the first one of such a kind for a client
    /// that asks for another name, or for none: hardly any sender minds the name (RFC 7435).
    pub(super) fn choose(&self, hello: &ClientHello<'_>) -> Option<Arc<Loaded>> {
        let host = hello.server_name().map(str::to_ascii_lowercase);
        let usable = |loaded: &Arc<Loaded>| {
            loaded.key.key.choose_scheme(hello.signature_schemes()).is_some()
        };
        let candidates: Vec<_> = self.0.iter().map(|entry| entry.now()).filter(usable).collect();
        let fitting = host
            .and_then(|host| candidates.iter().find(|loaded| loaded.is_for(&host)))
            .or_else(|| candidates.first());
        fitting.cloned()
    }
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(&hello).map(|loaded| loaded.key.clone())
    }
}

#[cfg(test)]
mod tests;
