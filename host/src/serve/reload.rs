//! Reads the configuration again while the server runs: plug-ins' own sections take effect, the rest is named.
//! Knows what can change live; a file that is wrong, or a plug-in that says no, changes nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use stagepost_extmgr::{ExtMgr, NewSection, PluginConfig, ReloadError, Section};

use super::service_manager;
use super::watch::Watched;
use crate::config::{self, Auth, Certificate, ConfigError, Dns, Place, Settings};
use crate::delivery::Logins;
use crate::directory::{Changed, Directory};
use crate::tls::TlsStore;

/// Who reloads.
pub(crate) struct Reloader {
    /// What the server has begun with.
    settings: Settings,
    files: Files,
    plugins: Arc<ExtMgr>,
    /// Told whenever files are read.
    pub(crate) watched: Arc<Watched>,
}

/// What is in files that the configuration names.
pub(crate) struct Files {
    /// The certificates.
    pub(crate) tls: Arc<TlsStore>,
    /// The groups, and what LDAP has said.
    pub(crate) directory: Directory,
    /// Who we are to other servers.
    pub(crate) logins: Arc<Logins>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// Plug-ins that work with another section now.
    pub(crate) changed: Vec<String>,
    /// Certificates that are others now.
    pub(crate) certificates: Vec<String>,
    /// The groups are others now.
    pub(crate) groups: bool,
    /// The aliases are others now.
    pub(crate) aliases: bool,
    /// Login files of routes that say something else now.
    pub(crate) logins: Vec<String>,
    /// What has changed and takes effect when the server starts again.
    pub(crate) restart: Vec<String>,
}

/// Why nothing was reloaded. Always the operator's to put right, or the plug-in's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    /// The server runs without a file.
    #[error(
        "the server runs with the built-in development configuration: there is no file to read"
    )]
    NoFile,
    /// The file is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A plug-in does not take its section.
    #[error("{error}")]
    Plugin {
        /// Why not.
        error: ReloadError,
        /// The section of the plug-in that it is about.
        place: Option<Box<Place>>,
    },
}

impl Reloader {
    pub(crate) fn new(settings: Settings, files: Files, plugins: Arc<ExtMgr>) -> Self {
        let watched = Arc::new(Watched::of(&settings));
        Self { settings, files, plugins, watched }
    }

    /// Reads the file, and puts in force what can be.
    pub(crate) async fn reload(&self) -> Result<Report, Problem> {
        service_manager::reloading();
        self.watched.note();
        let reloaded = self.try_reload().await;
        service_manager::ready();
        match &reloaded {
            Ok(Report { changed, certificates, groups, aliases, logins, restart }) => {
                tracing::info!(
                    ?changed,
                    ?certificates,
                    groups,
                    aliases,
                    ?logins,
                    ?restart,
                    "configuration read again"
                );
            }
            Err(problem) => {
                tracing::error!("the configuration stays as it was: {}", problem.in_line());
            }
        }
        reloaded
    }

    async fn try_reload(&self) -> Result<Report, Problem> {
        if self.settings.is_development() {
            return Err(Problem::NoFile);
        }
        let fresh = config::load(Path::new(&self.settings.source))?;
        let mut restart = differences(&self.settings, &fresh);
        let Files { tls, directory, logins } = &self.files;
        let certificates = tls.reread(&fresh.certificates)?;
        // Another file is for the next start.
        let same_files = directory_files(&self.settings) == directory_files(&fresh);
        // Aliases by the hundred thousand take seconds, and sessions of this thread are not to wait so long.
        let reread = || tokio::task::block_in_place(|| directory.reread(&fresh));
        let known = if same_files { Some(reread()?) } else { None };
        let read_logins = logins.reread(&fresh)?;
        let places = fresh
            .plugins
            .iter()
            .map(|plugin| (plugin.config.name.clone(), Box::new(plugin.section.clone())));
        let mut places: BTreeMap<String, Box<Place>> = places.collect();
        let sections = fresh.plugins.into_iter().map(|plugin| NewSection {
            plugin: plugin.config.name,
            section: plugin.config.section,
        });
        let reloaded = self.plugins.reload(sections.collect()).await.map_err(|error| {
            let place = error.plugin().and_then(|plugin| places.remove(plugin));
            Problem::Plugin { error, place }
        })?;
        let section = |name| format!("[plugin.config] of {name}, which takes none while it runs");
        restart.extend(reloaded.restart.into_iter().map(section));
        let certificates = certificates.commit();
        let unchanged = Changed { groups: false, aliases: false };
        let Changed { groups, aliases } = known.map_or(unchanged, |known| directory.commit(known));
        directory.forget();
        let logins = logins.commit(read_logins);
        let logins = logins.iter().map(|path| path.display().to_string()).collect();
        tls.warn_of_times();
        Ok(Report { changed: reloaded.changed, certificates, groups, aliases, logins, restart })
    }
}

impl Problem {
    /// The problem as one line of the log, with its place and what to do.
    fn in_line(&self) -> String {
        match self {
            Self::NoFile => format!("{self}; remedy: run with --config FILE"),
            Self::Config(error) => error.in_line(),
            Self::Plugin { error, place } => {
                let at = place.as_ref().map(|place| format!("{}: ", place.position()));
                let remedy = "put right what the plug-in's own log line says, and reload again";
                format!("{}{error}; remedy: {remedy}", at.unwrap_or_default())
            }
        }
    }
}

fn names(certificates: &[Certificate]) -> std::collections::BTreeSet<&str> {
    certificates.iter().map(|certificate| &*certificate.name).collect()
}

/// The files of the directory, by name.
fn directory_files(settings: &Settings) -> [Option<&Path>; 2] {
    [&settings.groups_file, &settings.aliases_file]
        .map(|file| file.as_ref().map(|(path, _)| path.as_path()))
}

/// What differs, beside the sections of plug-ins and what is in the files of certificates, by its name in the file.
fn differences(old: &Settings, new: &Settings) -> Vec<String> {
    let same_ldap = match (&old.ldap, &new.ldap) {
        (Some(old), Some(new)) => old.says_as(new),
        (old, new) => old.is_none() && new.is_none(),
    };
    let auth = |settings: &Settings| {
        let Auth { users_file, secrets_file, mechanisms, checks_max, failures } =
            settings.auth.clone();
        let files = [users_file, secrets_file].map(|file| file.map(|(path, _)| path));
        (files, mechanisms, checks_max, failures)
    };
    let roots = |settings: &Settings| settings.tls_roots.as_ref().map(|(path, _)| path.clone());
    let dns = |settings: &Settings| {
        let Dns { servers, timeout, dnssec, trust_anchor } = settings.dns.clone();
        (servers, timeout, dnssec, trust_anchor.map(|(path, _)| path))
    };
    let parts = [
        ("hostname", old.receive.hostname == new.receive.hostname),
        ("state_dir", old.state_dir == new.state_dir),
        ("groups_file or aliases_file", directory_files(old) == directory_files(new)),
        ("watch_files", old.watch_files == new.watch_files),
        ("process_name", old.process_name == new.process_name),
        ("[auth]", auth(old) == auth(new)),
        ("[ldap]", same_ldap),
        ("[log]", old.log == new.log),
        ("[[listen]]", old.listeners == new.listeners),
        ("[tls]", old.tls_minimum == new.tls_minimum),
        (
            "which [[certificate]] sections there are",
            names(&old.certificates) == names(&new.certificates),
        ),
        (
            "[limits] or [timeouts]",
            stagepost_smtp::Settings {
                hostname: new.receive.hostname.clone(),
                ..old.receive.clone()
            } == new.receive
                && old.sessions == new.sessions,
        ),
        ("[queue]", old.queue == new.queue),
        ("[delivery]", old.delivery == new.delivery && roots(old) == roots(new)),
        ("[tls_report]", old.tls_report == new.tls_report),
        ("[dns]", dns(old) == dns(new)),
        ("[[local_domain]]", old.local_domains == new.local_domains),
        ("[[route]]", old.routes == new.routes),
        ("[plugins]", old.plugin_limits == new.plugin_limits),
    ];
    let differ = parts.into_iter().filter(|(_, same)| !same).map(|(name, _)| name.to_owned());
    differ.chain(plugin_differences(old, new)).collect()
}

fn plugin_differences(old: &Settings, new: &Settings) -> Vec<String> {
    let names = |settings: &Settings| -> Vec<String> {
        settings.plugins.iter().map(|plugin| plugin.config.name.clone()).collect()
    };
    if names(old) != names(new) {
        return vec!["which [[plugin]] sections there are, or their order".to_owned()];
    }
    let empty = || Section::new("", serde_json::Value::Null, Default::default());
    let bare = |config: &PluginConfig| PluginConfig { section: empty(), ..config.clone() };
    let pairs = old.plugins.iter().zip(&new.plugins);
    let differ = pairs.filter(|(old, new)| bare(&old.config) != bare(&new.config));
    differ.map(|(old, _)| format!("[[plugin]] {}", old.config.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str =
        "hostname = \"a.test\"\nlisten = [{ name = \"mx\", address = \"127.0.0.1:1\" }]\n";

    #[test]
    fn what_differs_is_named_as_it_is_in_the_file() {
        let settings = |text: &str| config::from_text(text).unwrap();
        let old = settings(BASE);
        assert!(differences(&old, &settings(BASE)).is_empty());
        let cases = [
            // Without a local domain, the name is one.
            (BASE.replace("a.test", "b.test"), &["hostname", "[[local_domain]]"][..]),
            (BASE.replace(":1\"", ":2\""), &["[[listen]]"]),
            (format!("{BASE}[limits]\nline_octets_max = \"4KB\"\n"), &["[limits] or [timeouts]"]),
            (format!("{BASE}[limits]\nsessions_max = 500\n"), &["[limits] or [timeouts]"]),
            (
                format!("{BASE}[queue]\nexpire = \"6d\"\n[log]\nlevel = \"warn\"\n"),
                &["[log]", "[queue]"],
            ),
            (format!("{BASE}[tls]\nminimum_version = \"1.3\"\n"), &["[tls]"]),
            (
                format!("{BASE}[[certificate]]\nname = \"c\"\nchain = \"c\"\nkey = \"k\"\n"),
                &["which [[certificate]] sections there are"],
            ),
            (format!("{BASE}[plugins]\ninline_warn_ms = 5\n"), &["[plugins]"]),
            (format!("{BASE}[dns]\ntimeout = \"5s\"\n"), &["[dns]"]),
            (format!("{BASE}[dns]\ndnssec = true\n"), &["[dns]"]),
        ];
        for (text, wanted) in cases {
            assert_eq!(differences(&old, &settings(&text)), wanted, "{text}");
        }
    }
}
