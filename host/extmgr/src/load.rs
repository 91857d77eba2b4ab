//! Loads the configured plug-ins: file, descriptor, code, entry point, in this order, and refuses in one clear line.
//! Knows dlopen by libloading; the platform's part of loading is here alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use stagepost_abi as abi;
use tokio::runtime::Handle;

use crate::admin_verb::{self, AdminVerbError};
use crate::base::BASE;
use crate::claim::{self, ClaimFault};
use crate::descriptor::Class;
use crate::dispatch::Dispatch;
use crate::entry::{NoEntry, Patience, entered};
use crate::figures::PluginFigures;
use crate::file::{FileError, PluginFile, remove_stale_copies};
use crate::host::Host;
use crate::hosted::Hosted;
use crate::inspect::{ENTRY, InspectError, inspect_octets};
use crate::life::{self, NewSection, NoStart, ReloadError, Reloaded, START_NAMED};
use crate::limits::Limits;
use crate::mail::{Door, Mail};
use crate::outbound::{Exchange, Outbound};
use crate::plugin::{OnLoadError, PluginConfig, PluginState, Run};
use crate::registry::Directory;
use crate::trace::{Trace, TraceFilter};
use crate::watchdog::Watchdog;

/// The most plug-ins of one server: a session keeps a bit for each.
pub(crate) const PLUGINS_MAX: usize = 64;

/// The extension manager: the loaded plug-ins and the registry that new sessions begin with.
pub struct ExtMgr {
    directory: Arc<Directory>,
    start_deadline: Duration,
    reloading: tokio::sync::Mutex<()>,
    /// Kept as long as calls are made; none without plug-ins that are called in line.
    _watchdog: Option<Watchdog>,
}

/// A plug-in that could not be loaded.
#[derive(Debug, thiserror::Error)]
#[error("plug-in {plugin} refused: {refusal}")]
pub struct LoadError {
    /// Its name in the configuration.
    pub plugin: String,
    /// Why.
    #[source]
    pub refusal: Refusal,
}

/// Why a plug-in is refused; each names what was wanted and what was found.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Its file or descriptor is not acceptable.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// Its name is not the configured one.
    #[error("name: wanted {wanted:?} (configuration), found {found:?} (descriptor)")]
    Name {
        /// In the configuration.
        wanted: String,
        /// In the descriptor.
        found: String,
    },
    /// Another plug-in has the name already.
    #[error("name: wanted one plug-in of this name, found a second")]
    Twice,
    /// It may block, so it can't run in line.
    #[error("run: wanted \"pool\" for a plug-in of class blocking, found \"inline\"")]
    Class,
    /// Too many plug-ins.
    #[error("plug-ins: wanted at most {PLUGINS_MAX}, found more")]
    TooMany,
    /// A metric of it would have the name of another plug-in's: `a-b` with `c`, `a` with `b_c`.
    #[error(
        "metric {name}: wanted a name of its own for the operator, found it taken by plug-in {other}"
    )]
    Metric {
        /// The name that the operator would read.
        name: String,
        /// Whose it is.
        other: String,
    },
    /// The dynamic linker refused it.
    #[error("loading: {0}")]
    Linker(String),
    /// It does not start.
    #[error(
        "start: wanted status {wanted:#06x}, found {0:#06x}{hint}",
        wanted = abi::ERR_EM_CONTINUE,
        hint = hint(*.0)
    )]
    Start(abi::STATUS),
    /// It does not come back from its start.
    #[error("start: wanted an answer within {} ms (start_deadline_ms), found none", .0.as_millis())]
    StartLate(Duration),
    /// Its entry point does not come back.
    #[error("em_entry: wanted an answer within {} ms (start_deadline_ms), found none", .0.as_millis())]
    EntryLate(Duration),
    /// Its entry point failed.
    #[error("em_entry: wanted status 0x0000, found {0:#06x}{hint}", hint = hint(*.0))]
    Entry(abi::STATUS),
    /// It claims of the protocol what it can't have.
    #[error(transparent)]
    Claim(#[from] ClaimFault),
    /// A Rust plug-in that did not have its layouts compared.
    #[error("layout: wanted a check by stagepost-sdk, found none")]
    Layout,
}

impl From<FileError> for Refusal {
    fn from(error: FileError) -> Self {
        Self::Inspect(InspectError::File(error))
    }
}

/// What a status of the contract's own means when an entry point returns it.
fn hint(status: abi::STATUS) -> &'static str {
    match status {
        abi::ERR_EM_NOTAUTHORIZED => " (a stage that the descriptor does not declare)",
        abi::ERR_MISC_INVALID_ARGS => {
            " (a NULL handler, or a configuration value that is not acceptable: see the plug-in's own line)"
        }
        abi::EM_ERR_TYPE => " (a configuration value of another type: see the plug-in's own line)",
        abi::ERR_EM_ILLEGAL => " (no such event)",
        abi::ERR_EM_ILLEGALFLAGS => {
            " (flags must be EM_REG_BEFORE, EM_REG_AFTER or both; some events have no after)"
        }
        abi::ERR_EM_TOOMANYADDINS => " (too many registrations)",
        abi::ERR_NOT_FOUND => " (a service or a configuration key is missing)",
        abi::EM_ERR_LAYOUT => " (the contract's layout differs: the line before says where)",
        abi::EM_FAULT => " (the plug-in failed inside)",
        abi::EM_ERR_CLAIMED => " (it claims what the server has itself)",
        _ => "",
    }
}

impl ExtMgr {
    /// Loads plug-ins in the order of the configuration, from private copies in `private_folder`. Call it before other
    /// threads are busy. Each entry point runs on a thread of its own, one after the other, for a bounded time.
    ///
    /// # Errors
    /// The first plug-in that is refused and not to be skipped; those loaded before it stay mapped, unused.
    pub fn load(
        configs: Vec<PluginConfig>,
        limits: Limits,
        private_folder: &Path,
    ) -> Result<Self, LoadError> {
        Self::load_with(configs, limits, private_folder, Hosted::default())
    }

    /// The same, with services that the program offers.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_with(
        configs: Vec<PluginConfig>,
        limits: Limits,
        private_folder: &Path,
        hosted: Hosted,
    ) -> Result<Self, LoadError> {
        // Plug-ins are never unloaded, and keep what is handed out of it.
        let hosted: &'static Hosted = Box::leak(Box::new(hosted));
        let mut loaded: Vec<&'static Host> = Vec::new();
        let mut copies = Vec::new();
        for config in configs {
            let (name, on_error) = (config.name.clone(), config.on_load_error);
            match load_one(config, limits.start_deadline, private_folder, &loaded, hosted) {
                Ok((host, copy)) => {
                    loaded.push(host);
                    copies.push(copy);
                }
                Err(refusal) => {
                    let error = LoadError { plugin: name, refusal };
                    if on_error == OnLoadError::Abort {
                        loaded.iter().for_each(|host| host.clear());
                        return Err(error);
                    }
                    tracing::error!("{error}; going on without it (on_load_error = \"skip\")");
                }
            }
        }
        remove_stale_copies(private_folder, &copies);
        let directory = Arc::new(Directory::new(loaded, limits.chain_budget));
        for host in directory.plugins() {
            host.join(Arc::downgrade(&directory));
            // What was deregistered before this moment could not reach the directory.
            directory.rebuild();
        }
        let start_deadline = limits.start_deadline;
        let watchdog = watch(directory.plugins(), limits);
        Ok(Self {
            directory,
            start_deadline,
            reloading: tokio::sync::Mutex::new(()),
            _watchdog: watchdog,
        })
    }

    /// Lets plug-ins reach queued mail from now on. Once, inside the runtime that does their work with it.
    pub fn open_mail(&self, mail: Arc<dyn Mail>) {
        let opened = self.directory.mail.set(Door { mail, runtime: Handle::current() });
        debug_assert!(opened.is_ok(), "there is one way to the mail");
    }

    /// Lets plug-ins talk to other servers from now on. Once, inside the runtime that does their work with it.
    pub fn open_outbound(&self, outbound: Arc<dyn Outbound>) {
        let exchange = Exchange { outbound, runtime: Handle::current() };
        self.directory.set_exchange(Some(exchange));
    }

    /// Whether any plug-in may talk to other servers.
    pub fn may_dial(&self) -> bool {
        let edits = |host: &&'static Host| host.descriptor.edits & abi::EM_EDIT_OUTBOUND != 0;
        self.directory.plugins().iter().any(edits)
    }

    /// A new session's way to the plug-ins.
    pub fn session(&self) -> Dispatch {
        Dispatch::new(self.directory.current())
    }

    /// What each plug-in did since the start, in the order of the configuration.
    pub fn figures(&self) -> Vec<PluginFigures> {
        self.directory.plugins().iter().map(|host| host.figures()).collect()
    }

    /// Asks every plug-in whether it starts, one after the other, each for a bounded time. Once, before anybody is served;
    /// in a tokio runtime.
    ///
    /// # Errors
    /// The first plug-in that refuses and is not to be skipped.
    pub async fn start(&self) -> Result<(), LoadError> {
        for host in self.directory.ordered() {
            let refusal = match life::ask_to_start(host, self.start_deadline).await {
                Ok(()) => continue,
                Err(NoStart::Refused(status)) => Refusal::Start(status),
                Err(NoStart::Late) => Refusal::StartLate(self.start_deadline),
                Err(NoStart::Host) => Refusal::Start(abi::EM_FAULT),
            };
            let error = LoadError { plugin: host.name.to_string(), refusal };
            // One that did not start is not asked for anything, not even to stop.
            host.clear();
            self.directory.rebuild();
            if host.on_load_error == OnLoadError::Abort {
                return Err(error);
            }
            tracing::error!("{error}; going on without it (on_load_error = \"skip\")");
        }
        Ok(())
    }

    /// Tells every plug-in that the server has started, one after the other, each for a bounded time. In a tokio runtime.
    pub async fn started(&self) {
        for host in self.directory.ordered() {
            life::tell_started(host, self.start_deadline).await;
        }
    }

    /// Tells every plug-in that the server stops, and waits for them, at most for [`crate::STOP_MAX`]; then ends their sessions
    /// with other servers.
    pub async fn stop(&self) {
        life::stop(&self.directory.ordered()).await;
        self.directory.plugins().iter().for_each(|host| host.outbound.close_all());
        self.directory.set_exchange(None);
    }

    /// Has plug-ins look at new sections of theirs, and puts these in force if all will do. One reload at a time.
    ///
    /// # Errors
    /// A plug-in does not take its section, or did not say so in time; then nothing has changed.
    pub async fn reload(&self, sections: Vec<NewSection>) -> Result<Reloaded, ReloadError> {
        let _alone = self.reloading.lock().await;
        life::reload(&self.directory.ordered(), sections).await
    }

    /// Calls a plug-in's admin verb with JSON, `null` for no arguments; answers with JSON. Waits for a bounded time, in a
    /// tokio runtime.
    ///
    /// # Errors
    /// There is no such verb, the arguments can't be handed over, or the plug-in gave no answer.
    pub async fn call_admin_verb(
        &self,
        plugin: &str,
        verb: &str,
        arguments: String,
    ) -> Result<String, AdminVerbError> {
        let host = self.directory.plugins().iter().find(|host| *host.name == *plugin);
        let host = host.ok_or_else(|| AdminVerbError::NoPlugin(plugin.to_owned()))?;
        let known = host.admin_verb(verb).ok_or_else(|| AdminVerbError::NoVerb {
            plugin: plugin.to_owned(),
            verb: verb.to_owned(),
        })?;
        admin_verb::check_arguments(&arguments)?;
        admin_verb::call(known, arguments, host.verb_calls.clone()).await
    }

    /// Begins to watch the calls that a filter shows; none when too many watch already.
    pub fn trace(&self, filter: TraceFilter) -> Option<Trace> {
        Trace::begin(filter)
    }

    /// The loaded plug-ins, for the operator.
    pub fn plugins(&self) -> Vec<PluginState> {
        self.directory.plugins().iter().map(|host| host.state()).collect()
    }
}

impl Drop for ExtMgr {
    /// Ends every registration; what sessions still under way hold is released with them.
    fn drop(&mut self) {
        self.directory.plugins().iter().for_each(|host| host.clear());
        self.directory.rebuild();
    }
}

/// Has calls in line watched, if any plug-in is called so.
fn watch(plugins: &[&'static Host], limits: Limits) -> Option<Watchdog> {
    if !plugins.iter().any(|plugin| plugin.run == Run::Inline) {
        return None;
    }
    match Watchdog::start(plugins.to_vec(), limits) {
        Ok(watchdog) => Some(watchdog),
        Err(error) => {
            tracing::error!("calls in line are not watched: no thread for it: {error}");
            None
        }
    }
}

fn load_one(
    config: PluginConfig,
    start_deadline: Duration,
    private_folder: &Path,
    loaded: &[&'static Host],
    hosted: &'static Hosted,
) -> Result<(&'static Host, PathBuf), Refusal> {
    let file = PluginFile::read(&config.path)?;
    if let Some(wanted) = &config.sha256 {
        file.check_hash(&config.path, wanted)?;
    }
    let descriptor = inspect_octets(&file)?.descriptor;
    if descriptor.name != config.name {
        return Err(Refusal::Name { wanted: config.name, found: descriptor.name });
    }
    if loaded.iter().any(|host| *host.name == *config.name) {
        return Err(Refusal::Twice);
    }
    if loaded.len() >= PLUGINS_MAX {
        return Err(Refusal::TooMany);
    }
    let run = match (config.run, descriptor.class) {
        (Some(Run::Inline), Class::Blocking) => return Err(Refusal::Class),
        (Some(run), _) => run,
        (None, Class::Blocking) => Run::Pool,
        (None, Class::Inline) => Run::Inline,
    };
    let copy = file.private_copy(private_folder)?;
    let host = Host::leak(loaded.len(), config, descriptor, run);
    host.offer(hosted);
    let entered = open_and_enter(&copy, start_deadline, host);
    // What was claimed says more than the status that came of it.
    let entered = claim::check(host, loaded)
        .map_err(Refusal::from)
        .and(entered)
        .and_then(|()| check_metrics(host, loaded));
    if let Err(refusal) = entered {
        host.clear();
        return Err(refusal);
    }
    for (key, (line, column)) in host.unread_settings() {
        tracing::warn!(
            plugin = &*host.name,
            "{}:{line}:{column}: the plug-in did not ask for `{key}`: is it misspelt?",
            host.configured().section.file()
        );
    }
    let state = host.state();
    tracing::info!(
        plugin = &*state.name,
        version = state.version,
        class = state.class.name(),
        run = state.run.name(),
        registrations = state.registrations,
        "plug-in loaded"
    );
    Ok((host, copy))
}

/// Whether the operator can tell a plug-in's metrics from those of the others.
fn check_metrics(host: &Host, loaded: &[&'static Host]) -> Result<(), Refusal> {
    let shown = |host: &Host| -> Vec<String> {
        let figures = host.figures();
        figures.metrics.iter().map(|metric| figures.metric_name(metric)).collect()
    };
    let own = shown(host);
    for other in loaded {
        let theirs = shown(other);
        if let Some(name) = own.iter().find(|name| theirs.contains(name)) {
            return Err(Refusal::Metric { name: name.clone(), other: other.name.to_string() });
        }
    }
    Ok(())
}

/// Opens a plug-in's file and calls its entry point, for a bounded time.
fn open_and_enter(copy: &Path, deadline: Duration, host: &'static Host) -> Result<(), Refusal> {
    let path = copy.to_owned();
    let patience = Patience { named: START_NAMED, most: deadline };
    let entered = entered(&host.name, patience, move || {
        let library = open(&path)?;
        let entered = enter(&library, host);
        // Never closed: registrations, threads and thread-local destructors of the plug-in point into it.
        std::mem::forget(library);
        entered
    });
    entered.unwrap_or_else(|error| {
        // One that comes back after all registers for nothing any more.
        host.close_registration();
        match error {
            NoEntry::Late => Err(Refusal::EntryLate(deadline)),
            NoEntry::NoThread(_) | NoEntry::Host => {
                tracing::error!(plugin = &*host.name, "em_entry could not be called: {error}");
                Err(Refusal::Entry(abi::EM_FAULT))
            }
        }
    })
}

/// Opens a shared object with everything bound now: a missing symbol is refused here, not at the first call.
fn open(copy: &Path) -> Result<Library, Refusal> {
    // SAFETY: constructors of the file run here. Its writers are trusted (owner, mode and hash were checked) and its
    // descriptor names this contract.
    unsafe { Library::open(Some(copy), RTLD_NOW | RTLD_LOCAL) }.map_err(linker_refusal)
}

fn linker_refusal(error: libloading::Error) -> Refusal {
    let detail = std::error::Error::source(&error).map(ToString::to_string);
    Refusal::Linker(detail.unwrap_or_else(|| error.to_string()))
}

/// Calls the entry point.
fn enter(library: &Library, host: &'static Host) -> Result<(), Refusal> {
    // SAFETY: the contract gives the symbol this type; the descriptor says that the file keeps to the contract.
    let entry = unsafe { library.get::<abi::EmEntry>(ENTRY.as_bytes()) }.map_err(linker_refusal)?;
    // SAFETY: both arguments live until the process ends; the file stays mapped for ever.
    let status = unsafe { entry(&raw const BASE.0, host.handle()) };
    host.close_registration();
    if status != abi::NOERROR {
        return Err(Refusal::Entry(status));
    }
    if host.owes_layout() {
        return Err(Refusal::Layout);
    }
    Ok(())
}
