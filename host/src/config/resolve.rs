//! From the file as written to the settings: rules that span fields, and paths.
//! Knows no disk: whether a file is there is found out by who uses it.

mod auth;
mod ldap;
mod listener;
mod pace;
mod plugin;
mod route;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::document::Document;
use super::error::ConfigError;
use super::file::{self, File, NOWHERE};
use super::folder::Folders;
use super::number::Count;
use super::routing::{LmtpServer, LocalDomain, MailStore, Mailboxes};
use super::settings::{Delivery, Dns, Log, Pace, Sessions, Settings, TlsReport, admin_socket};
use pace::PaceFields;
use route::OwnPlaces;

/// Where state is kept when the configuration does not say.
const STATE_DIR: &str = "/var/lib/stagepost";
/// The longest name that reports are sent by.
const ORGANIZATION_CHARS_MAX: usize = 200;
/// `sockaddr_un` has room for 108 octets with the closing NUL.
const SOCKET_PATH_OCTETS_MAX: usize = 107;

/// Checks what was read and makes settings of it; relative paths begin at `base`.
pub(super) fn settings(
    document: &Document<'_>,
    file: File,
    base: &Path,
) -> Result<Settings, ConfigError> {
    let resolver = Resolver { document, base };
    let state_dir = resolver.state_dir(file.state_dir.as_ref())?;
    let state_dir_place = match &file.state_dir {
        Some(written) => document.at(written.span()),
        None => document.at_missing("state_dir"),
    };
    let certificates = resolver.certificates(file.certificate)?;
    let auth = resolver.auth(file.auth)?;
    let ldap = file.ldap.map(|written| resolver.ldap(written)).transpose()?;
    let knowing = auth::Knowing { plugins: !file.plugin.is_empty(), ldap: ldap.is_some() };
    let listeners = resolver.listeners(&file.listen, &certificates, &auth, knowing)?;
    let mut folders = Folders::new(document, &state_dir, file.state_dir.as_ref());
    let own = OwnPlaces { hostname: &file.hostname.0, listeners: &listeners };
    let local_domains = resolver.local_domains(
        file.local_domain,
        &own,
        &state_dir,
        &mut folders,
        ldap.is_some(),
    )?;
    let queue = resolver.queue(&file.queue)?;
    let login_files = (file.route.iter())
        .filter_map(|route| route.login_file.as_ref())
        .map(|written| (base.join(written.get_ref()), document.at(written.span())))
        .collect();
    let dnssec = file.dns.dnssec;
    let delivery = resolver.delivery(&file.delivery)?;
    let defaults = (&queue.retry, &delivery);
    let routes = resolver.routes(file.route, defaults, &local_domains, &own, dnssec)?;
    let plugins = resolver.plugins(&file.plugins, file.plugin, &folders)?;
    let receive = stagepost_smtp::Settings {
        hostname: file.hostname.0.into(),
        limits: limits(&file.limits),
        timeouts: timeouts(&file.timeouts),
        extensions: resolver.extensions(&file.delivery, &routes, dnssec)?,
        ..stagepost_smtp::Settings::default()
    };
    let tls_report = file.tls_report.map(|written| resolver.tls_report(written)).transpose()?;
    Ok(Settings {
        source: document.name().to_owned(),
        receive,
        state_dir,
        state_dir_place,
        tls_roots: (file.delivery.tls_roots.as_ref())
            .map(|written| (base.join(written.get_ref()), document.at(written.span()))),
        login_files,
        tls_report,
        groups_file: file
            .groups_file
            .map(|written| (base.join(written.get_ref()), document.at(written.span()))),
        aliases_file: file
            .aliases_file
            .map(|written| (base.join(written.get_ref()), document.at(written.span()))),
        watch_files: file.watch_files,
        process_name: file.process_name.map(|name| name.0),
        tls_minimum: file.tls.minimum_version,
        certificates,
        auth,
        ldap,
        log: Log { format: file.log.format, level: file.log.level },
        listeners,
        sessions: resolver.sessions(&file.limits)?,
        queue,
        delivery,
        dns: resolver.dns(&file.dns)?,
        local_domains,
        routes,
        plugins,
        plugin_limits: resolver.plugin_limits(&file.plugins)?,
    })
}

struct Resolver<'r> {
    document: &'r Document<'r>,
    base: &'r Path,
}

impl Resolver<'_> {
    fn state_dir(&self, written: Option<&Spanned<PathBuf>>) -> Result<PathBuf, ConfigError> {
        let Some(written) = written else {
            return Ok(PathBuf::from(STATE_DIR));
        };
        let state_dir = self.base.join(written.get_ref());
        let socket = admin_socket(&state_dir);
        if socket.as_os_str().len() > SOCKET_PATH_OCTETS_MAX {
            let problem = format!(
                "{} is too long: a socket's path has at most {SOCKET_PATH_OCTETS_MAX} octets",
                socket.display()
            );
            return Err(self.document.fault(written.span(), problem, "choose a shorter folder"));
        }
        Ok(state_dir)
    }

    fn sessions(&self, written: &file::Limits) -> Result<Sessions, ConfigError> {
        let max = written.sessions_max;
        let (address, network) =
            (&written.sessions_per_address_max, &written.sessions_per_network_max);
        // Whoever wants more from one address wants no less from its network.
        let per_network = match network.span() == NOWHERE {
            true => address.get_ref().get().max(network.get_ref().get()).min(max.get()),
            false => self.ordered(network, Count::get, max.get(), "sessions_max")?,
        };
        let (most, name) = match per_network < max.get() {
            true => (per_network, "sessions_per_network_max"),
            false => (max.get(), "sessions_max"),
        };
        let bits = |bits: u32| u8::try_from(bits).unwrap_or(u8::MAX);
        Ok(Sessions {
            max: max.get(),
            per_address_max: self.ordered(address, Count::get, most, name)?,
            per_network_max: per_network,
            network_bits_ipv4: bits(written.network_bits_ipv4.get()),
            network_bits_ipv6: bits(written.network_bits_ipv6.get()),
        })
    }

    fn delivery(&self, written: &file::Delivery) -> Result<Delivery, ConfigError> {
        let concurrency = written.concurrency.get();
        let pace = self.pace(&PaceFields::of_all(written), Pace::default(), concurrency)?;
        let mx_port = u16::try_from(written.mx_port.get()).unwrap_or(u16::MAX);
        let postmaster = written.postmaster.as_ref().map(|address| address.0.clone());
        let (mta_sts, tls_required_field) = (written.mta_sts, written.tls_required_field);
        Ok(Delivery {
            concurrency,
            pace,
            mx_port,
            postmaster,
            mta_sts,
            mta_sts_timeout: written.mta_sts_timeout.duration(),
            tls_required_field,
        })
    }

    fn tls_report(&self, written: file::TlsReport) -> Result<TlsReport, ConfigError> {
        let organization = written.organization.get_ref().clone();
        let sound = (1..=ORGANIZATION_CHARS_MAX).contains(&organization.chars().count())
            && !organization.chars().any(char::is_control);
        if !sound {
            let problem =
                format!("a name has 1 to {ORGANIZATION_CHARS_MAX} characters in one line");
            let remedy = "write the name that others know you by";
            return Err(self.document.fault(written.organization.span(), problem, remedy));
        }
        Ok(TlsReport { organization, contact: written.contact.0 })
    }

    fn dns(&self, written: &file::Dns) -> Result<Dns, ConfigError> {
        let trust_anchor = written
            .trust_anchor
            .as_ref()
            .map(|path| (self.base.join(path.get_ref()), self.document.at(path.span())));
        if let Some((_, place)) = trust_anchor.as_ref().filter(|_| !written.dnssec) {
            let remedy = "add dnssec = true, or remove the line";
            return Err(place.fault("nothing is validated", remedy));
        }
        let servers = written.servers.iter().map(|server| server.0).collect();
        let (timeout, dnssec) = (written.timeout.duration(), written.dnssec);
        Ok(Dns { servers, timeout, dnssec, trust_anchor })
    }

    fn local_domains(
        &self,
        written: Vec<file::LocalDomain>,
        own: &OwnPlaces<'_>,
        state_dir: &Path,
        folders: &mut Folders<'_>,
        has_ldap: bool,
    ) -> Result<Vec<LocalDomain>, ConfigError> {
        self.unique(written.iter().map(|domain| (&domain.name, domain.name.get_ref().0.clone())))?;
        let maildir = |name: &str| state_dir.join("mail").join(name);
        let mut domains: Vec<LocalDomain> = Vec::new();
        for domain in written {
            let name = domain.name.get_ref().0.clone();
            let store = match (domain.lmtp, domain.maildir) {
                (Some(lmtp), Some(_)) => {
                    let problem = "the domain has a maildir, too";
                    let remedy = "remove one of the two: mail is kept in one place";
                    return Err(self.document.fault(lmtp.span(), problem, remedy));
                }
                (Some(lmtp), None) => {
                    if let LmtpServer::Host(server) = lmtp.get_ref() {
                        self.other_server(server, lmtp.span(), own)?;
                    }
                    MailStore::Lmtp(lmtp.into_inner())
                }
                (None, folder) => {
                    let default = || Spanned::new(domain.name.span(), maildir(&name));
                    let folder = folder.unwrap_or_else(default);
                    let (place, written) = (self.document.at(folder.span()), folder.into_inner());
                    let folder = self.base.join(&written);
                    folders.maildir(&name, &folder, &written, &place)?;
                    MailStore::Maildir(folder)
                }
            };
            if *domain.mailboxes.get_ref() == Mailboxes::Ldap && !has_ldap {
                let problem = "there is no directory in LDAP";
                let remedy = "add [ldap] with its servers, or write \"any\" or a list of names";
                return Err(self.document.fault(domain.mailboxes.span(), problem, remedy));
            }
            let mailboxes = domain.mailboxes.into_inner();
            let separators = domain.sub_address.0;
            domains.push(LocalDomain { name, mailboxes, separators, store });
        }
        if domains.is_empty() {
            // RFC 5321 section 4.5.1: every server has a postmaster, a mere relay too.
            let mailboxes = Mailboxes::Listed(["postmaster".to_owned()].into());
            let name = own.hostname.to_owned();
            domains.push(LocalDomain {
                store: MailStore::Maildir(maildir(&name)),
                separators: String::new(),
                mailboxes,
                name,
            });
        }
        Ok(domains)
    }

    /// A value that is at most another one; a default gives way.
    fn ordered<W: Copy, T: Copy + PartialOrd + Display>(
        &self,
        written: &Spanned<W>,
        value: impl Fn(W) -> T,
        most: T,
        most_name: &str,
    ) -> Result<T, ConfigError> {
        let value = value(*written.get_ref());
        if value <= most {
            return Ok(value);
        }
        if written.span() == NOWHERE {
            return Ok(most);
        }
        let problem = format!("{value} is more than {most_name}, {most}");
        let remedy = format!("write at most {most}, or raise {most_name}");
        Err(self.document.fault(written.span(), problem, remedy))
    }

    /// Refuses the second of two equal names.
    fn unique<'v, T: 'v>(
        &self,
        names: impl Iterator<Item = (&'v Spanned<T>, String)>,
    ) -> Result<(), ConfigError> {
        let mut seen = BTreeMap::new();
        for (written, name) in names {
            let (line, _) = self.document.place(written.span().start);
            if let Some(earlier) = seen.insert(name.clone(), line) {
                let problem = format!("{name:?} is already used in line {earlier}");
                let remedy = "choose another name, or remove one of the two";
                return Err(self.document.fault(written.span(), problem, remedy));
            }
        }
        Ok(())
    }
}

fn limits(written: &file::Limits) -> stagepost_smtp::Limits {
    stagepost_smtp::Limits {
        line_octets_max: narrow(written.line_octets_max.octets()),
        text_line_octets_max: narrow(written.text_line_octets_max.octets()),
        header_octets_max: narrow(written.header_octets_max.octets()),
        message_octets_max: written.message_octets_max.octets(),
        data_rate_min: u32::try_from(written.data_rate_min.octets()).unwrap_or(u32::MAX),
        path_octets_max: written.path_octets_max.get() as usize,
        local_octets_max: written.local_octets_max.get() as usize,
        hops_max: written.hops_max.get() as usize,
        recipients_max: written.recipients_max.get() as usize,
        errors_max: written.errors_max.get(),
        refusals_max: written.refusals_max.get(),
        idle_commands_max: written.idle_commands_max.get(),
        logins_refused_max: written.logins_refused_max.get(),
    }
}

fn timeouts(written: &file::Timeouts) -> stagepost_smtp::Timeouts {
    stagepost_smtp::Timeouts {
        command: written.command.duration(),
        data_block: written.data_block.duration(),
        data_window: written.data_window.duration(),
        handshake: written.handshake.duration(),
        write: written.write.duration(),
        message: written.message.duration(),
    }
}

fn narrow(octets: u64) -> usize {
    usize::try_from(octets).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn settings(text: &str) -> Settings {
        let head = "hostname = \"MX.example.test\"\nlisten = [{ name = \"mx\", address = \"127.0.0.1:0\" }]\n";
        super::super::from_text(&format!("{head}{text}")).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn relative_paths_begin_at_the_folder_of_the_file() {
        let text = "\
state_dir = \"state\"
local_domain = [
    { name = \"a.test\", mailboxes = \"any\" },
    { name = \"b.test\", mailboxes = [], maildir = \"b\" },
    { name = \"c.test\", mailboxes = [], maildir = \"/c\" },
]
plugins = { dir = \"plugins\" }
plugin = [
    { name = \"bare\", path = \"bare\" },
    { name = \"file\", path = \"file.so\" },
    { name = \"below\", path = \"below/file\" },
    { name = \"absolute\", path = \"/absolute.so\" },
]
";
        let settings = settings(text);
        assert_eq!(settings.admin_socket(), Path::new("/test/state/admin.sock"));
        assert_eq!(settings.spool_dir(), Path::new("/test/state/spool"));
        let maildir = |domain: &LocalDomain| match &domain.store {
            MailStore::Maildir(folder) => folder.to_str().map(str::to_owned),
            MailStore::Lmtp(_) => None,
        };
        let maildirs: Vec<_> = settings.local_domains.iter().map(maildir).collect();
        assert_eq!(
            maildirs,
            ["/test/state/mail/a.test", "/test/b", "/c"].map(|f| Some(f.to_owned()))
        );
        let plugins: Vec<_> = settings.plugins.iter().map(|p| p.config.path.to_str()).collect();
        let wanted = [
            "/test/plugins/libbare.so",
            "/test/plugins/file.so",
            "/test/plugins/below/file",
            "/absolute.so",
        ];
        assert_eq!(plugins, wanted.map(Some));
    }

    #[test]
    fn a_default_gives_way_to_what_is_written() {
        let settings = settings(
            "[limits]\nsessions_max = 7\n[delivery]\nconcurrency = 3\n[queue]\nretry_max = \"30s\"",
        );
        assert_eq!((settings.sessions.max, settings.sessions.per_address_max), (7, 7));
        assert_eq!(settings.sessions.per_network_max, 7);
        assert_eq!((settings.delivery.concurrency, settings.delivery.pace.at_once_max), (3, 3));
        let half = Duration::from_secs(30);
        assert_eq!((settings.queue.retry.first, settings.queue.retry.max), (half, half));
    }

    #[test]
    fn a_network_may_have_as_many_sessions_as_an_address_at_least() {
        for (written, address, network) in [
            ("", 100, 1000),
            ("sessions_per_address_max = 5000", 5000, 5000),
            ("sessions_per_network_max = 50", 50, 50),
            ("sessions_max = 500", 100, 500),
            ("sessions_per_address_max = 7\nsessions_per_network_max = 8", 7, 8),
        ] {
            let sessions = settings(&format!("[limits]\n{written}\n")).sessions;
            let found = (sessions.per_address_max, sessions.per_network_max);
            assert_eq!(found, (address, network), "{written}");
        }
    }

    #[test]
    fn a_mere_relay_has_a_postmaster() {
        let settings = settings("");
        let [domain] = &settings.local_domains[..] else { panic!("{:?}", settings.local_domains) };
        assert_eq!(domain.name, "mx.example.test");
        assert_eq!(domain.mailboxes, Mailboxes::Listed(["postmaster".to_owned()].into()));
    }

    #[test]
    fn a_state_folder_has_to_leave_room_for_the_socket() {
        for (octets, fits) in [(96, true), (97, false)] {
            let folder = format!("/{}", "x".repeat(octets - 1));
            let text = format!(
                "hostname = \"a.test\"\nstate_dir = \"{folder}\"\nlisten = [{{ name = \"mx\", address = \"127.0.0.1:0\" }}]"
            );
            assert_eq!(super::super::from_text(&text).is_ok(), fits, "{octets}");
        }
    }
}
