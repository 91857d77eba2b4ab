//! What the server runs with: every value checked and in the type it is used in.
//! Knows no file format. The `Default` of each section is the one place of its default values.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use stagepost_extmgr::PluginConfig;
use stagepost_smtp::{Address, Mechanism};

use super::choice::{AuthMode, LogFormat};
use super::error::Place;
use super::ldap::Ldap;
use super::network::Networks;
use super::routing::{LocalDomain, RouteRule};

/// A whole checked configuration.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Where it was read from, as the operator knows it.
    pub(crate) source: String,
    /// Our name, limits and time-outs, as the receiving sessions want them.
    pub(crate) receive: stagepost_smtp::Settings,
    /// The folder of everything that outlives a run.
    pub(crate) state_dir: PathBuf,
    /// Where that is written, or could be.
    pub(crate) state_dir_place: Place,
    /// The file of groups, and where it is named.
    pub(crate) groups_file: Option<(PathBuf, Place)>,
    /// The file of aliases, and where it is named.
    pub(crate) aliases_file: Option<(PathBuf, Place)>,
    /// Whether files are read again when they change.
    pub(crate) watch_files: bool,
    /// The name that the process runs under; none: the program's own.
    pub(crate) process_name: Option<String>,
    /// Who may log in, and how.
    pub(crate) auth: Auth,
    /// The directory in LDAP, if there is one.
    pub(crate) ldap: Option<Ldap>,
    /// How and what to log.
    pub(crate) log: Log,
    /// The lowest version of TLS.
    pub(crate) tls_minimum: TlsVersion,
    /// The certificates of the server, by names of their own.
    pub(crate) certificates: Vec<Certificate>,
    /// Where to accept connections; at least one.
    pub(crate) listeners: Vec<Listener>,
    /// How many sessions there may be.
    pub(crate) sessions: Sessions,
    /// How messages are kept and retried.
    pub(crate) queue: Queue,
    /// How deliveries are made.
    pub(crate) delivery: Delivery,
    /// Who reports to other domains how TLS fares with their servers; none: nobody.
    pub(crate) tls_report: Option<TlsReport>,
    /// The file of the certificates that others' are checked by, and where it is named; none: the system's.
    pub(crate) tls_roots: Option<(PathBuf, Place)>,
    /// The files of who we are to the servers of routes, and where they are named.
    pub(crate) login_files: Vec<(PathBuf, Place)>,
    /// Who looks names up.
    pub(crate) dns: Dns,
    /// The domains whose mailboxes are here; at least one.
    pub(crate) local_domains: Vec<LocalDomain>,
    /// The domains whose mail goes elsewhere.
    pub(crate) routes: Vec<RouteRule>,
    /// The plug-ins in the order of the configuration.
    pub(crate) plugins: Vec<Plugin>,
    /// What plug-ins may take together.
    pub(crate) plugin_limits: stagepost_extmgr::Limits,
}

impl Settings {
    /// Whether this is the built-in development configuration.
    pub(crate) fn is_development(&self) -> bool {
        self.source == super::development::NAME
    }

    /// The folder of the durable queue.
    pub(crate) fn spool_dir(&self) -> PathBuf {
        spool_dir(&self.state_dir)
    }

    /// The folder of what domains say of their servers.
    pub(crate) fn sts_dir(&self) -> PathBuf {
        self.state_dir.join("mta-sts")
    }

    /// The folder of how TLS has fared with other servers.
    pub(crate) fn tls_report_dir(&self) -> PathBuf {
        self.state_dir.join("tls-reports")
    }

    /// The folder of what plug-ins keep.
    pub(crate) fn plugin_state_dir(&self) -> PathBuf {
        self.state_dir.join("plugin-state")
    }

    /// The folder of the private copies that plug-ins are loaded from.
    pub(crate) fn plugin_copies_dir(&self) -> PathBuf {
        plugin_copies_dir(&self.state_dir)
    }

    /// The socket that `stagepost status` talks to.
    pub(crate) fn admin_socket(&self) -> PathBuf {
        admin_socket(&self.state_dir)
    }
}

/// The queue of the server that keeps its state in `state_dir`.
pub(super) fn spool_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("spool")
}

/// The private copies of plug-ins of the server that keeps its state in `state_dir`.
pub(super) fn plugin_copies_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("plugin-copies")
}

/// The admin socket of the server that keeps its state in `state_dir`.
pub(crate) fn admin_socket(state_dir: &Path) -> PathBuf {
    state_dir.join("admin.sock")
}

/// How and what to log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Log {
    /// Text for people or JSON for programs.
    pub(crate) format: LogFormat,
    /// The least severe level that is written.
    pub(crate) level: LogLevel,
}

/// The severity of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogLevel {
    /// What somebody must look at.
    Error,
    /// What is odd and was coped with.
    Warn,
    /// One line for each session, message and delivery.
    #[default]
    Info,
    /// Each step of them.
    Debug,
    /// Everything.
    Trace,
}

/// One place to accept connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listener {
    /// Its name in logs and for plug-ins.
    pub(crate) name: String,
    /// Where its connections come from.
    pub(crate) socket: ListenerSocket,
    /// Whether other sockets may have the same address and port, each getting a share of the connections.
    pub(crate) reuse_port: bool,
    /// Whom it is for.
    pub(crate) purpose: Purpose,
    /// What it has of TLS.
    pub(crate) tls: ListenerTls,
    /// Whether and how clients log in.
    pub(crate) auth: stagepost_smtp::Auth,
    /// Whether the directory in LDAP knows who may.
    pub(crate) auth_ldap: bool,
    /// Whether clients may send bodies of any octets.
    pub(crate) binary: bool,
    /// What VRFY and EXPN tell there.
    pub(crate) vrfy: stagepost_smtp::Vrfy,
    /// What is made of a message that plug-ins refuse for some of its recipients.
    pub(crate) split: stagepost_smtp::Split,
    /// How many connections may wait to be accepted.
    pub(crate) backlog: u32,
    /// Whose connections begin with a header of the PROXY protocol.
    pub(crate) proxies: Networks,
    /// How long that header may take.
    pub(crate) proxy_timeout: Duration,
    /// Who may tell of its clients by XCLIENT.
    pub(crate) xclients: Networks,
    /// Whether its clients' sockets have descriptors below 4096, or no session.
    pub(crate) low_descriptors: bool,
}

/// Where the connections of a listener come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListenerSocket {
    /// From a socket of its own with this address; port 0 lets the system choose one.
    Own(SocketAddr),
    /// From the sockets that whoever starts the server has opened under this name.
    Passed(String),
}

impl fmt::Display for ListenerSocket {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(address) => address.fmt(out),
            Self::Passed(name) => write!(out, "sockets passed as {name}"),
        }
    }
}

/// Whom a listener is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Purpose {
    /// Other servers, which bring mail for the domains that are here (port 25).
    #[default]
    Mx,
    /// People's mail programs, by STARTTLS (port 587, RFC 6409).
    Submission,
    /// The same, where TLS comes before anything else (port 465, RFC 8314).
    Submissions,
    /// Servers that fetch their mail (port 366, RFC 2645).
    Odmr,
}

impl Purpose {
    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mx => "mx",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
            Self::Odmr => "odmr",
        }
    }

    /// Whether a connection begins with a TLS handshake.
    pub(crate) fn is_implicit(self) -> bool {
        self == Self::Submissions
    }

    /// Whether clients come for their mail, and for nothing else.
    pub(crate) fn is_odmr(self) -> bool {
        self == Self::Odmr
    }

    /// The default of `auth`: other servers have no user here; everybody else must say who they are (RFC 6409 section 4.3).
    pub(crate) fn auth(self) -> AuthMode {
        match self {
            Self::Mx => AuthMode::None,
            _ => AuthMode::Required,
        }
    }

    /// The default of `require_tls`: other servers may have none (RFC 3207 section 4); who logs in must (RFC 8314).
    pub(crate) fn requires_tls(self) -> bool {
        self != Self::Mx
    }
}

/// Who may log in, and how.
#[derive(Clone, Debug)]
pub(crate) struct Auth {
    /// The file of users, and where it is named.
    pub(crate) users_file: Option<(PathBuf, Place)>,
    /// The file of secrets for CRAM-MD5, and where it is named.
    pub(crate) secrets_file: Option<(PathBuf, Place)>,
    /// By which mechanisms.
    pub(crate) mechanisms: Vec<Mechanism>,
    /// How many passwords are checked at once.
    pub(crate) checks_max: u32,
    /// What is done about failed logins.
    pub(crate) failures: FailureLimits,
}

impl Auth {
    /// The default of `checks_max`: what a small machine can do beside its work.
    pub(crate) const CHECKS_MAX: u32 = 4;
}

/// What is done about failed logins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailureLimits {
    /// How long the answer to the first failed login is held back, and how much longer each further one.
    pub(crate) delay: Duration,
    /// From so many failed logins from an address on, no password is looked at.
    pub(crate) per_address_max: u32,
    /// The same for a name, but from addresses that its user has logged in from.
    pub(crate) per_user_max: u32,
    /// How long it takes until as many failed logins as bar are forgotten.
    pub(crate) memory: Duration,
}

impl Default for FailureLimits {
    fn default() -> Self {
        Self {
            delay: Duration::from_secs(1),
            per_address_max: 20,
            per_user_max: 50,
            memory: Duration::from_secs(15 * 60),
        }
    }
}

/// What a listener has of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListenerTls {
    /// Names of certificates; without any there is no TLS. The first one is for clients that ask for no name that is known.
    pub(crate) certificates: Vec<String>,
    /// Whether nothing of use can be done without.
    pub(crate) required: bool,
    /// Whether clients are asked for a certificate of theirs.
    pub(crate) client_certificates: bool,
}

/// The lowest version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub(crate) enum TlsVersion {
    /// TLS 1.2 (RFC 8996: no lower one).
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    Tls13,
}

/// A certificate of the server, and where the configuration speaks of it.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    /// Its name in the configuration.
    pub(crate) name: String,
    /// The file of the certificate and those above it.
    pub(crate) chain: PathBuf,
    /// The file of its private key.
    pub(crate) key: PathBuf,
    /// Where the first is written.
    pub(crate) chain_place: Place,
    /// Where the second is written.
    pub(crate) key_place: Place,
}

impl Listener {
    /// The default of `backlog`: a burst of a thousand connections is answered late rather than not.
    pub(crate) const BACKLOG: u32 = 1024;
    /// The default of `proxy_timeout`: the header comes with the connection, and a packet of it may be lost.
    pub(crate) const PROXY_TIMEOUT: Duration = Duration::from_secs(10);
}

/// How many sessions there may be at once. What one session may use up is in [`stagepost_smtp::Limits`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sessions {
    /// In all; one more is answered 421.
    pub(crate) max: u32,
    /// From one address; one more is answered 421.
    pub(crate) per_address_max: u32,
    /// From one network; one more is answered 421.
    pub(crate) per_network_max: u32,
    /// How many bits of an IPv4 address name its network.
    pub(crate) network_bits_ipv4: u8,
    /// The same of an IPv6 address.
    pub(crate) network_bits_ipv6: u8,
}

impl Sessions {
    /// The network that an address counts for.
    pub(crate) fn network(&self, address: IpAddr) -> IpNet {
        let bits = if address.is_ipv4() { self.network_bits_ipv4 } else { self.network_bits_ipv6 };
        // More bits than an address has are all that it has.
        IpNet::new(address, bits).unwrap_or_else(|_| IpNet::from(address)).trunc()
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            max: 10_000,
            per_address_max: 100,
            per_network_max: 1000,
            network_bits_ipv4: 24,
            network_bits_ipv6: 64,
        }
    }
}

/// How messages are kept and retried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Queue {
    /// Octets that stay free on the disk of the queue; below, messages are answered 452.
    pub(crate) free_space_min: u64,
    /// How often and for how long deliveries are tried where no route says otherwise.
    pub(crate) retry: Retry,
}

/// How often and for how long a delivery is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Retry {
    /// From the first attempt to the second.
    pub(crate) first: Duration,
    /// Between two attempts at most.
    pub(crate) max: Duration,
    /// Each time is so many times as long as the one before.
    pub(crate) factor: u32,
    /// A delivery that fails when the message is older is not tried again.
    pub(crate) expire: Duration,
    /// When the message is that old and not delivered, its sender is told.
    pub(crate) notice: Option<Duration>,
    /// It is not tried by itself at all, but only when somebody flushes it.
    pub(crate) parked: bool,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            free_space_min: 256 << 20,
            retry: Retry {
                first: Duration::from_secs(60),
                max: Duration::from_secs(3600),
                factor: 2,
                // RFC 5321 section 4.5.4.1: at least 4 to 5 days.
                expire: Duration::from_secs(5 * 86_400),
                notice: Some(Duration::from_secs(4 * 3600)),
                parked: false,
            },
        }
    }
}

/// How deliveries are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// In all.
    pub(crate) concurrency: u32,
    /// To the same servers, where no route says otherwise.
    pub(crate) pace: Pace,
    /// The port of servers that the DNS names.
    pub(crate) mx_port: u16,
    /// Who is told of undeliverable messages that have no sender.
    pub(crate) postmaster: Option<Address>,
    /// Whether domains are asked over HTTPS who their servers are (RFC 8461).
    pub(crate) mta_sts: bool,
    /// How long fetching what they say may take (RFC 8461 section 3.3).
    pub(crate) mta_sts_timeout: Duration,
    /// Whether `TLS-Required: No` in a message has it go even where the policy of its recipient's domain wants TLS.
    pub(crate) tls_required_field: bool,
}

/// Who reports how TLS fares (RFC 8460 section 4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsReport {
    /// By name.
    pub(crate) organization: String,
    /// Who can be asked about a report, and sends it.
    pub(crate) contact: Address,
}

/// How much goes to the same servers at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// So many deliveries at once, at most.
    pub(crate) at_once_max: u32,
    /// So many when they want less; never 0.
    pub(crate) at_once_min: u32,
    /// So many messages begin in a minute, at most; none: as many as there are.
    pub(crate) per_minute_max: Option<u32>,
    /// So many when they want less; never 0, and there where the greatest is.
    pub(crate) per_minute_min: Option<u32>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { at_once_max: 20, at_once_min: 1, per_minute_max: None, per_minute_min: None }
    }
}

/// Who looks names up.
#[derive(Clone, Debug)]
pub(crate) struct Dns {
    /// The servers to ask; none: the system's.
    pub(crate) servers: Vec<SocketAddr>,
    /// How long one look-up may take.
    pub(crate) timeout: Duration,
    /// Whether what deliveries ask is validated (RFC 4035).
    pub(crate) dnssec: bool,
    /// The file of the keys that this begins with, and where it is named; none: those of the root.
    pub(crate) trust_anchor: Option<(PathBuf, Place)>,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: Duration::from_secs(15),
            dnssec: false,
            trust_anchor: None,
        }
    }
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            concurrency: 100,
            pace: Pace::default(),
            mx_port: 25,
            postmaster: None,
            mta_sts: true,
            mta_sts_timeout: Duration::from_secs(60),
            tls_required_field: true,
        }
    }
}

/// A plug-in, and where the configuration speaks of it.
#[derive(Clone, Debug)]
pub(crate) struct Plugin {
    /// How it is loaded and called.
    pub(crate) config: PluginConfig,
    /// Its section as a whole.
    pub(crate) section: Place,
    /// Its name.
    pub(crate) name: Place,
    /// Its file.
    pub(crate) path: Place,
    /// Where it is called, if that is written.
    pub(crate) run: Option<Place>,
    /// The digest of its file, if that is written.
    pub(crate) sha256: Option<Place>,
}

/// The default of a plug-in's `deadline_ms`: well below the minutes that clients wait for a reply.
pub(crate) const PLUGIN_DEADLINE_MS: u32 = 30_000;
/// The default of a plug-in's `deadline_max_ms`: room for answers from far away, and well below those minutes too.
pub(crate) const PLUGIN_DEADLINE_MAX_MS: u32 = 120_000;
/// The default of a plug-in's `pending_max`: one for each of the sessions that there may be by default.
pub(crate) const PLUGIN_PENDING_MAX: u32 = 10_000;
/// The default of a plug-in's `state_octets_max`: a million small values, and far from filling a disk.
pub(crate) const PLUGIN_STATE_OCTETS_MAX: u64 = 256 << 20;
/// The default of a plug-in's `threads_max`.
pub(crate) const PLUGIN_THREADS_MAX: u32 = 32;
