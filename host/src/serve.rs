//! Serves until it is told to stop.
//! Knows every part and the order in which they begin and end; does none of their work.

mod figures;
mod process_name;
pub(crate) mod reload;
mod service_manager;
mod watch;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stagepost_extmgr::{ADMIN_CALLS_MAX, ExtMgr, Hosted, STATE_CALLS_MAX, calls_return_within};
use stagepost_queue::Store;
use stagepost_queue::local::{LocalOptions, LocalStore, OpenError};
use stagepost_smtp::{AddressError, OwnName};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

use self::figures::Figures;
use self::process_name::ProcessNameError;
use self::reload::{Files, Reloader};
use crate::admin::{self, AdminError, AdminServer};
use crate::auth::{self, Authenticator, SecretsFile};
use crate::config::{ConfigError, Settings};
use crate::delivery::{self, Carrier, Fetching, Lanes, Logins, Notifier, Relay, Scheduler};
use crate::directory::Directory;
use crate::dns::Dns;
use crate::listener::descriptor::Descriptors;
use crate::listener::door::DoorLines;
use crate::listener::sessions::Sessions;
use crate::listener::socket::{self, Passed, SocketError};
use crate::listener::{Listener, Shared};
use crate::outbound::Dialler;
use crate::plugin::mail::QueuedMail;
use crate::plugin::refusal;
use crate::plugin::state::PluginState;
use crate::plugin::submission::Desk;
use crate::router::Router;
use crate::stopping::Stopping;
use crate::tls::{OutboundError, OutboundTls, TlsError, TlsStore, VerifyingError};
use crate::tls_report::{Outbox, TlsReports};
use crate::{state_dir, stopping, welcome};

/// How long sessions and deliveries under way may take to end once the server is to stop.
const DRAIN: Duration = Duration::from_secs(30);
/// How long one attempt to deliver may take: beyond the sum of a next hop's time-outs for a large message.
const ATTEMPT_MAX: Duration = Duration::from_secs(3600);
/// How long plug-ins' calls that are out may take to return in the end, and after them other work on threads that block.
const CALLS_MAX: Duration = Duration::from_secs(1);
/// Calls of a plug-in's own life at once, each on a thread: start, reload, stop.
const LIFE_CALLS_MAX: usize = 3;
/// Threads for file work beside those that plug-ins may have.
const FILE_THREADS_MAX: usize = 128;

/// Why the server can't serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// What the configuration names.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The queue.
    #[error("error: {0}\n  = help: {remedy}", remedy = queue_remedy(.0))]
    Queue(#[from] OpenError),
    /// The admin socket.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// A socket of a listener.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// TLS, beside its certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// TLS to other servers.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// The directory.
    #[error(transparent)]
    Directory(#[from] VerifyingError),
    /// The name of the process.
    #[error(transparent)]
    ProcessName(#[from] ProcessNameError),
    /// Our own name is not one that next hops would take.
    #[error("error: hostname {name:?}: {reason}")]
    Hostname {
        /// The name.
        name: Box<str>,
        /// What is wrong with it.
        reason: AddressError,
    },
    /// The system refused something that every server needs.
    #[error("error: {what}: {source}")]
    System {
        /// What.
        what: String,
        /// Why.
        source: io::Error,
    },
}

fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> ServeError {
    let what = what.into();
    move |source| ServeError::System { what, source }
}

fn queue_remedy(error: &OpenError) -> &'static str {
    match error {
        OpenError::InUse(_) => {
            "another server runs with this state_dir: stop it, or give this one a state_dir of its own"
        }
        OpenError::Io { .. } => {
            "this user must be able to write there, and the disk must have room"
        }
        OpenError::Unreadable { .. } => {
            "put back a copy of the folder, or move it away to begin with an empty queue"
        }
    }
}

/// Serves until Ctrl-C or SIGTERM; a second one ends the wait for what is under way.
///
/// # Errors
/// What kept the server from starting.
pub(crate) fn run(settings: Settings) -> Result<(), ServeError> {
    state_dir::make(&settings)?;
    // What was passed stays open for the program that may take this one's place.
    process_name::take(&settings)?;
    // Before there is any other thread.
    let passed = Passed::take()?;
    let tls = TlsStore::load(&settings.certificates, settings.tls_minimum)?;
    tls.warn_of_times();
    if let Some((path, place)) = &settings.auth.users_file {
        auth::users(path, place)?;
    }
    raise_descriptor_limit();
    let plugin_threads =
        settings.plugins.len() * (LIFE_CALLS_MAX + ADMIN_CALLS_MAX + STATE_CALLS_MAX);
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(FILE_THREADS_MAX + plugin_threads + settings.auth.checks_max as usize)
        .build()
        .map_err(system("starting threads"))?;
    let served = load_and_live(&runtime, settings, passed, tls);
    // A plug-in's call that never returns must not keep the process; one that does may need the runtime until then.
    calls_return_within(CALLS_MAX);
    runtime.shutdown_timeout(CALLS_MAX);
    served
}

/// Loads the plug-ins and what they ask for, and serves.
fn load_and_live(
    runtime: &Runtime,
    settings: Settings,
    passed: Passed,
    tls: TlsStore,
) -> Result<(), ServeError> {
    let _inside = runtime.enter();
    // The admin socket comes first: it tells whether another server runs with this state.
    let admin = AdminServer::bind(&settings.admin_socket())?;
    // Entry points of plug-ins are called here, before there is any session.
    let configs = settings.plugins.iter().map(|plugin| plugin.config.clone()).collect();
    let router = Arc::new(Router::new(&settings));
    let dns = Arc::new(Dns::new(&settings.dns)?);
    let directory = Directory::load(&settings, router.clone())?;
    let ways = Ways { router, resolver: dns.clone(), directory: directory.clone() };
    let hosted = Hosted {
        state: Some(Arc::new(PluginState::new(settings.plugin_state_dir()))),
        users: Some(Arc::new(directory)),
        resolver: Some(dns.clone()),
    };
    let limits = settings.plugin_limits.clone();
    let plugins = ExtMgr::load_with(configs, limits, &settings.plugin_copies_dir(), hosted)
        .map_err(|error| refusal::shown(&settings, &error))?;
    runtime.block_on(live(settings, passed, Arc::new(tls), admin, ways, Arc::new(plugins)))
}

/// Where mail goes, who finds the servers, and who is known here.
struct Ways {
    router: Arc<Router>,
    resolver: Arc<Dns>,
    directory: Directory,
}

/// What waits, and how much of it may go at a time.
#[derive(Clone)]
pub(crate) struct Queue {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) lanes: Arc<Lanes>,
}

impl Queue {
    fn new(store: Arc<dyn Store>, settings: &Settings, router: Arc<Router>) -> Self {
        let woken = store.clone();
        let wake = move || woken.wake().notify_one();
        let lanes = Arc::new(Lanes::new(router, settings.delivery.concurrency, wake));
        Self { store, lanes }
    }
}

/// Opens the queue, serves, and closes it. Plug-ins are told when the server starts and stops.
async fn live(
    settings: Settings,
    passed: Passed,
    tls: Arc<TlsStore>,
    admin: AdminServer,
    ways: Ways,
    plugins: Arc<ExtMgr>,
) -> Result<(), ServeError> {
    let store: Arc<dyn Store> = Arc::new(LocalStore::open(LocalOptions {
        path: settings.spool_dir(),
        free_space_min: settings.queue.free_space_min,
        faults: None,
    })?);
    // Also a plug-in that starts may ask what waits.
    let desk = Desk::new(&settings.receive, ways.directory.clone(), store.clone());
    let queue = Queue::new(store.clone(), &settings, ways.router.clone());
    plugins.open_mail(Arc::new(QueuedMail::new(store.clone(), queue.lanes.clone(), desk)));
    let served = match plugins.start().await {
        Ok(()) => serve(settings, passed, tls, admin, ways, plugins.clone(), queue).await,
        Err(error) => Err(refusal::shown(&settings, &error).into()),
    };
    plugins.stop().await;
    store.close().await;
    served
}

async fn serve(
    settings: Settings,
    passed: Passed,
    tls: Arc<TlsStore>,
    admin: AdminServer,
    ways: Ways,
    plugins: Arc<ExtMgr>,
    queue: Queue,
) -> Result<(), ServeError> {
    let begun = Instant::now();
    let hostname = &settings.receive.hostname;
    let own_name = OwnName::parse(hostname)
        .map_err(|reason| ServeError::Hostname { name: hostname.clone(), reason })?;
    let listeners = listeners(&settings, passed, &tls)?;
    let places: Vec<_> =
        listeners.iter().map(|listener| (listener.name.clone(), listener.address)).collect();
    let sessions = Sessions::new(settings.sessions.clone());
    let (stop, stopping) = stopping::channel();
    let mut signals = Signals::new().map_err(system("signals"))?;

    let outbound = OutboundTls::load(&settings, plugins.may_dial())?;
    let reports = TlsReports::of_settings(&settings, ways.resolver.clone(), &outbound);
    let logins = Arc::new(Logins::load(&settings)?);
    let carrier = Carrier::new(
        &settings,
        ways.router.clone(),
        own_name.clone(),
        ways.resolver,
        outbound,
        logins.clone(),
    );
    let own: Vec<SocketAddr> = places.iter().map(|(_, address)| *address).collect();
    let carrier = Arc::new(carrier.counted(reports.clone()).listening(&own));
    let outbox = Outbox { store: queue.store.clone(), router: ways.router.clone() };
    let outbox = Arc::new(outbox);
    let reporting = admin::reporting_tls(reports.clone(), outbox.clone());
    let (scheduler, fetching) =
        deliveries(&settings, &queue, carrier.clone(), &ways.directory, own_name, plugins.clone());
    let authenticator = Arc::new(authenticator(&settings)?);
    let relay = carrier.relay().clone();
    let shared = Arc::new(Shared {
        plugins: plugins.clone(),
        authenticator: authenticator.clone(),
        ldap_authenticator: Arc::new(authenticator.with_ldap(ways.directory.clone())),
        directory: ways.directory.clone(),
        store: queue.store.clone(),
        fetching: Arc::new(fetching),
        sessions: sessions.clone(),
        stopping: stopping.clone(),
        lines: DoorLines::default(),
        faults: Arc::default(),
    });
    plugins.open_outbound(Arc::new(Dialler::new(&settings, relay, shared.clone())));
    let figures =
        Figures::new(begun, &places, plugins.clone(), sessions, queue.clone(), authenticator);
    let directory = ways.directory.clone();
    let files = Files { tls, directory: ways.directory, logins };
    let reloader = Arc::new(Reloader::new(settings.clone(), files, plugins.clone()));
    let mut parts = JoinSet::new();
    let asked = (directory, carrier.relay().clone());
    let api = api(figures, plugins.clone(), reloader.clone(), queue, asked, stopping.clone());
    let api = admin::whole(api.merge(reporting));
    parts.spawn(serve_admin(admin, api, stopping.clone()));
    parts.spawn(watch::run(reloader.watched.clone(), reloader.clone(), stopping.clone()));
    if let Some(reports) = reports {
        parts.spawn(reports.run(outbox, stopping.clone()));
    }
    parts.spawn(carrier.relay().demands().clone().keep_fresh(stopping.clone()));
    let mut stopping_scheduler = stopping;
    parts.spawn(scheduler.run(async move { stopping_scheduler.wait().await }));
    for listener in listeners {
        parts.spawn(listener.serve(shared.clone()));
    }
    drop(shared);
    tokio::select! {
        () = plugins.started() => {
            announce(&settings, &places);
            signals.stop_or_reload(&reloader).await;
        }
        () = signals.stop() => {}
    }
    service_manager::stopping();
    tracing::info!("stopping: no new connections; sessions and deliveries under way may end");
    stop.now();
    drain(parts, &mut signals).await;
    carrier.close().await;
    Ok(())
}

/// Answers the operators until the server is to stop.
async fn serve_admin(admin: AdminServer, api: axum::Router, mut stopping: Stopping) {
    if let Err(error) = admin.serve(api, async move { stopping.wait().await }).await {
        tracing::error!("the admin socket failed: {error}");
    }
}

/// Who checks logins, as configured.
fn authenticator(settings: &Settings) -> Result<Authenticator, ConfigError> {
    let auth = &settings.auth;
    let accounts = match &auth.users_file {
        Some((path, place)) => Some(Arc::new(auth::accounts(path, place, &settings.state_dir)?)),
        None => None,
    };
    let secrets = auth.secrets_file.as_ref().map(|(path, place)| SecretsFile::new(path, place));
    Ok(Authenticator::new(accounts, auth.failures.clone(), auth.checks_max as usize)
        .with_secrets(secrets.transpose()?))
}

/// The admin API, but for what reports of TLS have of it.
fn api(
    figures: Figures,
    plugins: Arc<ExtMgr>,
    reloader: Arc<Reloader>,
    queue: Queue,
    (directory, relay): (Directory, Relay),
    stopping: Stopping,
) -> axum::Router {
    let router = directory.router().clone();
    admin::watching(Arc::new(figures))
        .merge(admin::calling(plugins.clone()))
        .merge(admin::reloading(reloader))
        .merge(admin::tracing(plugins, stopping))
        .merge(admin::explaining(directory, router.clone()))
        .merge(admin::explaining_tls(relay, router.clone()))
        .merge(admin::queue::managing(queue.store, queue.lanes, router))
}

/// Waits until all parts have ended, for a bounded time or until somebody asks once more.
async fn drain(mut parts: JoinSet<()>, signals: &mut Signals) {
    let ended = async { while parts.join_next().await.is_some() {} };
    tokio::select! {
        () = ended => tracing::info!("stopped"),
        () = tokio::time::sleep(DRAIN) => tracing::warn!("stopped: not everything ended in {} s", DRAIN.as_secs()),
        () = signals.stop() => tracing::warn!("stopped at once"),
    }
    parts.shutdown().await;
}

/// What carries mail away: to where it goes, and over the connections of those who come for it.
fn deliveries(
    settings: &Settings,
    queue: &Queue,
    carrier: Arc<Carrier>,
    directory: &Directory,
    name: OwnName,
    plugins: Arc<ExtMgr>,
) -> (Scheduler, Fetching) {
    let router = directory.router().clone();
    let limits = delivery::Limits {
        concurrency_max: settings.delivery.concurrency as usize,
        attempt_max: ATTEMPT_MAX,
        drain_max: DRAIN,
    };
    let Queue { store, lanes } = queue.clone();
    let notifier = Arc::new(Notifier::new(
        store.clone(),
        directory.clone(),
        &settings.receive.hostname,
        settings.delivery.postmaster.clone(),
    ));
    let demands = carrier.relay().demands().clone();
    let (to_tell, bounds) = (notifier.clone(), limits.clone());
    let fetching = Fetching::new(store.clone(), router.clone(), to_tell, bounds, name, demands)
        .asking(plugins.clone());
    let scheduler = Scheduler::new(store, carrier, router, notifier, lanes, limits);
    (scheduler.asking(plugins), fetching)
}

/// What accepts clients: for each socket of each listener one.
fn listeners(
    settings: &Settings,
    mut passed: Passed,
    tls: &TlsStore,
) -> Result<Vec<Listener>, ServeError> {
    let mut listeners = Vec::new();
    let any_low = settings.listeners.iter().any(|config| config.low_descriptors);
    for config in &settings.listeners {
        let descriptors = Descriptors::of(config.low_descriptors, any_low);
        for socket in socket::of(config, &mut passed, settings.is_development())? {
            let tls = tls.listener(&config.tls)?;
            let listener = Listener::new(config, socket, &settings.receive, tls, descriptors)
                .map_err(system(format!("listener {}", config.name)))?;
            listeners.push(listener);
        }
    }
    passed.used_up()?;
    Ok(listeners)
}

/// Says that the server is ready: to the log, and with the development configuration to a person.
fn announce(settings: &Settings, places: &[(Arc<str>, SocketAddr)]) {
    for (listener, address) in places {
        tracing::info!(listener = &**listener, %address, "listening");
    }
    service_manager::ready();
    if settings.is_development() {
        // A terminal that is gone needs no welcome.
        let addresses: Vec<_> = places.iter().map(|(_, address)| *address).collect();
        let _ = io::stdout().write_all(welcome::text(settings, &addresses).as_bytes());
    }
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Reload,
    Stop,
}

/// SIGHUP; Ctrl-C and SIGTERM.
struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }

    /// Has the configuration read again when a signal asks for that; resolves when one asks to stop.
    async fn stop_or_reload(&mut self, reloader: &Arc<Reloader>) {
        while self.next().await == Asked::Reload {
            let reloader = reloader.clone();
            // What becomes of it is in the log.
            drop(tokio::spawn(async move { reloader.reload().await }));
        }
    }

    /// Resolves when a signal asks to stop.
    async fn stop(&mut self) {
        while self.next().await != Asked::Stop {}
    }
}

/// A session needs a descriptor: take as many as the system lets us have.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!("the limit of open files stays at {:?}: {error}", limit.current);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_is_open_elsewhere_is_told_with_a_remedy() {
        let said = ServeError::Queue(OpenError::InUse("state/spool".into())).to_string();
        let wanted = "error: the queue in state/spool is in use by another process\n  = help: another server";
        assert!(said.starts_with(wanted), "{said}");
    }
}
