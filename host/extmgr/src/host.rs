//! One plug-in as the host keeps it: who it is, what it may do, and its registrations.
//! Behind the contract's `EmHost`; lives until the process ends.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak};

use stagepost_abi as abi;
use stagepost_smtp::{Event, Stage};
use tokio::sync::Semaphore;

use crate::admin_verb::{ADMIN_CALLS_MAX, AdminVerb, AdminVerbState, VERBS_MAX};
use crate::claim::{Kind, OwnClaims};
use crate::configured::{Configured, marked};
use crate::contract::FaultContracts;
use crate::descriptor::{Descriptor, Language};
use crate::dns::{DnsAnswer, DnsQuestion, LookingUp};
use crate::figures::{Counters, FaultKind, PluginFigures, StageFigures};
use crate::filter::Filter;
use crate::hosted::Hosted;
use crate::life::{LifeEvent, LifeRegistration};
use crate::load::PLUGINS_MAX;
use crate::mail::{Door, Finding};
use crate::metric::{METRICS_MAX, Metric, MetricFigures};
use crate::outbound::OutboundSessions;
use crate::plugin::{OnLoadError, PluginConfig, PluginState, Run};
use crate::pool::Pool;
use crate::registry::{Directory, Registration};
use crate::request::Requests;
use crate::service::{outbound, queue, state, submit};
use crate::state_call::StateCalls;
use crate::submission::Submissions;

/// Marks a `Host`, so that a wrong pointer from a plug-in is mostly told.
const MAGIC: u64 = 0x5354_4147_4550_4f48;

/// The most registrations of one plug-in.
const REGISTRATIONS_MAX: usize = 256;

/// The most recursion ids that one plug-in makes: one for each registration. All plug-ins together have fewer than there are.
const RECURSION_IDS_MAX: usize = REGISTRATIONS_MAX;
const _: () = assert!(RECURSION_IDS_MAX * PLUGINS_MAX <= u16::MAX as usize);

/// A plug-in's registrations.
#[derive(Default)]
struct Registrations {
    /// False inside em_entry, the only time to register; true ever after.
    closed: bool,
    all: Vec<Arc<Registration>>,
    life: Vec<Arc<LifeRegistration>>,
}

/// A plug-in. `EmHost *` points to one of these.
#[repr(C)]
pub(crate) struct Host {
    /// First: what an `EmHost *` points to is told by it.
    magic: u64,
    /// Its place among the loaded plug-ins: names its slot in each session.
    pub(crate) index: usize,
    pub(crate) name: Arc<str>,
    pub(crate) descriptor: Descriptor,
    /// The section in force.
    configured: RwLock<&'static Configured>,
    pub(crate) on_load_error: OnLoadError,
    pub(crate) run: Run,
    pub(crate) priority: i32,
    pub(crate) contracts: FaultContracts,
    pub(crate) pool: Pool,
    /// Its file, as the configuration names it.
    pub(crate) file: PathBuf,
    pending_max: usize,
    /// How many of its calls are pending.
    pending: AtomicUsize,
    /// True once it has asked how to answer later.
    knows_pending: AtomicBool,
    /// How many recursion ids it has made.
    recursion_ids: AtomicUsize,
    /// True once a Rust plug-in's layouts were found equal.
    layout_checked: AtomicBool,
    pub(crate) counters: Counters,
    registrations: Mutex<Registrations>,
    /// The keys of its section that it asked for while it started.
    keys_read: Mutex<BTreeSet<String>>,
    /// What it has asked of the queue and is done later.
    pub(crate) queue_requests: Requests<Finding>,
    /// What it has asked for messages that it makes, and is done later.
    pub(crate) submit_requests: Requests<Option<String>>,
    /// What it has asked of its state and is done later.
    pub(crate) state_requests: Requests<Vec<u8>>,
    pub(crate) state_calls: StateCalls,
    /// What it has asked for sessions with other servers, and is done later.
    pub(crate) outbound_requests: Requests<()>,
    /// Its sessions with other servers.
    pub(crate) outbound: OutboundSessions,
    pub(crate) state_octets_max: u64,
    /// True while a call of its for another section is out.
    pub(crate) config_out: AtomicBool,
    /// What the program offers; none before it is loaded.
    offered: OnceLock<&'static Hosted>,
    /// The messages that it makes.
    pub(crate) submissions: Submissions,
    metrics: Mutex<Vec<&'static Metric>>,
    admin_verbs: Mutex<Vec<Arc<AdminVerb>>>,
    /// How many calls of its verbs may begin.
    pub(crate) verb_calls: Arc<Semaphore>,
    claims: Mutex<OwnClaims>,
    directory: OnceLock<Weak<Directory>>,
}

impl Host {
    /// Makes a plug-in's host for the rest of the process: plug-ins keep pointers to it and are never unloaded.
    pub(crate) fn leak(
        index: usize,
        config: PluginConfig,
        descriptor: Descriptor,
        run: Run,
    ) -> &'static Self {
        Box::leak(Box::new(Self {
            magic: MAGIC,
            index,
            pool: Pool::new(config.threads_max, &config.name),
            file: std::path::absolute(&config.path).unwrap_or(config.path),
            name: config.name.into(),
            descriptor,
            configured: RwLock::new(Configured::leak(config.section)),
            on_load_error: config.on_load_error,
            run,
            priority: config.priority,
            contracts: config.contracts,
            pending_max: config.pending_max,
            pending: AtomicUsize::new(0),
            knows_pending: AtomicBool::new(false),
            recursion_ids: AtomicUsize::new(0),
            layout_checked: AtomicBool::new(false),
            counters: Counters::default(),
            registrations: Mutex::default(),
            keys_read: Mutex::default(),
            queue_requests: Requests::new(queue::REQUESTS_MAX),
            submit_requests: Requests::new(submit::REQUESTS_MAX),
            state_requests: Requests::new(state::REQUESTS_MAX),
            state_calls: StateCalls::default(),
            outbound_requests: Requests::new(outbound::REQUESTS_MAX),
            outbound: OutboundSessions::default(),
            state_octets_max: config.state_octets_max,
            config_out: AtomicBool::new(false),
            offered: OnceLock::new(),
            submissions: Submissions::default(),
            metrics: Mutex::default(),
            admin_verbs: Mutex::default(),
            verb_calls: Arc::new(Semaphore::new(ADMIN_CALLS_MAX)),
            claims: Mutex::default(),
            directory: OnceLock::new(),
        }))
    }

    /// The handle that the plug-in is given.
    pub(crate) fn handle(&'static self) -> *mut abi::EmHost {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    /// The plug-in behind a handle that came from one.
    ///
    /// # Safety
    /// `handle` is NULL or points to readable memory of a `Host`'s size and alignment; a contract-keeping plug-in only
    /// has the pointer from [`Self::handle`].
    pub(crate) unsafe fn from_handle(handle: *const abi::EmHost) -> Option<&'static Self> {
        // SAFETY: readable by the caller's promise; hosts are never freed, so 'static holds; the mark comes first.
        unsafe { marked(handle.cast::<Self>(), MAGIC) }
    }

    /// Ends the time to register, as em_entry has returned.
    pub(crate) fn close_registration(&self) {
        self.lock_registrations().closed = true;
    }

    /// Tells the plug-in's host where sessions find its registrations.
    pub(crate) fn join(&self, directory: Weak<Directory>) {
        let first = self.directory.set(directory).is_ok();
        debug_assert!(first, "a plug-in is loaded once");
    }

    /// Uses the way to the program's mail.
    ///
    /// # Errors
    /// The status for the plug-in: there is none yet, or none any more.
    pub(crate) fn mail<T>(
        &self,
        work: impl FnOnce(&Door) -> Result<T, abi::STATUS>,
    ) -> Result<T, abi::STATUS> {
        work(self.loaded()?.mail.get().ok_or(abi::EM_ERR_STAGE)?)
    }

    /// The directory that all plug-ins are in.
    ///
    /// # Errors
    /// The status for the plug-in: they are not all loaded yet, or the server ends.
    pub(crate) fn loaded(&self) -> Result<Arc<Directory>, abi::STATUS> {
        self.directory.get().and_then(Weak::upgrade).ok_or(abi::EM_ERR_STAGE)
    }

    pub(crate) fn layout_fits(&self) {
        self.layout_checked.store(true, Ordering::Release);
    }

    /// Whether a plug-in that must have its layouts compared has not done so.
    pub(crate) fn owes_layout(&self) -> bool {
        self.descriptor.language == Language::Rust && !self.layout_checked.load(Ordering::Acquire)
    }

    /// Looks a name up for the plug-in.
    pub(crate) fn look_up(&self, question: DnsQuestion) -> LookingUp {
        match &self.hosted().resolver {
            Some(resolver) => resolver.look_up(question),
            None => Box::pin(std::future::ready(DnsAnswer::Trouble)),
        }
    }

    /// Remembers that the plug-in has asked for the async service: its calls may go pending from now on.
    pub(crate) fn learn_pending(&self) {
        self.knows_pending.store(true, Ordering::Release);
    }

    /// Whether its calls may go pending.
    pub(crate) fn knows_pending(&self) -> bool {
        self.knows_pending.load(Ordering::Acquire)
    }

    /// Counts one more recursion id, unless there are as many as there may be.
    pub(crate) fn begin_recursion_id(&self) -> bool {
        let one_more = |made: usize| (made < RECURSION_IDS_MAX).then_some(made + 1);
        self.recursion_ids.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// Counts one more pending call, unless there are as many as there may be.
    pub(crate) fn begin_pending(&self) -> bool {
        let one_more = |pending: usize| (pending < self.pending_max).then_some(pending + 1);
        self.pending.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// How many of its calls are pending.
    #[cfg(test)]
    pub(crate) fn pending(&self) -> usize {
        self.pending.load(Ordering::Relaxed)
    }

    /// Counts one pending call less.
    pub(crate) fn end_pending(&self) {
        self.pending.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a fault at an event and stage that the plug-in has registered for.
    pub(crate) fn count_fault(&self, event: Event, stage: Stage, kind: FaultKind) {
        if let Some(counters) = self.counters.at(event, stage) {
            counters.failed(kind);
        }
    }

    /// Keeps a registration.
    ///
    /// # Errors
    /// The status for the plug-in, and the registration back: em_entry is over, or there are too many.
    pub(crate) fn add(
        &self,
        registration: Arc<Registration>,
    ) -> Result<(), (abi::STATUS, Arc<Registration>)> {
        let mut registrations = self.lock_registrations();
        if registrations.closed {
            return Err((abi::EM_ERR_STAGE, registration));
        }
        if registrations.all.len() >= REGISTRATIONS_MAX {
            return Err((abi::ERR_EM_TOOMANYADDINS, registration));
        }
        for (stage, flag) in
            [(Stage::Before, abi::EM_REG_BEFORE), (Stage::After, abi::EM_REG_AFTER)]
        {
            if registration.flags & flag != 0 {
                self.counters.prepare(registration.event, stage);
            }
        }
        registrations.all.push(registration);
        Ok(())
    }

    /// Gives a registration its filter.
    ///
    /// # Errors
    /// The status for the plug-in: em_entry is over, there is no such registration, or it has a filter.
    pub(crate) fn narrow(
        &self,
        handle: abi::HEMREGISTRATION,
        filter: Filter,
    ) -> Result<(), abi::STATUS> {
        let registrations = self.lock_registrations();
        if registrations.closed {
            return Err(abi::EM_ERR_STAGE);
        }
        let known = registrations.all.iter().find(|known| known.handle == handle);
        let known = known.ok_or(abi::ERR_NOT_FOUND)?;
        known.filter.set(filter).map_err(|_| abi::EM_ERR_STAGE)
    }

    /// Keeps a registration for an event of the plug-in's own life.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub(crate) fn add_life(
        &self,
        registration: LifeRegistration,
    ) -> Result<(), (abi::STATUS, LifeRegistration)> {
        let mut registrations = self.lock_registrations();
        if registrations.closed {
            return Err((abi::EM_ERR_STAGE, registration));
        }
        if registrations.life.len() >= REGISTRATIONS_MAX {
            return Err((abi::ERR_EM_TOOMANYADDINS, registration));
        }
        registrations.life.push(Arc::new(registration));
        Ok(())
    }

    /// The registrations for events of the plug-in's own life.
    pub(crate) fn life(&self) -> Vec<Arc<LifeRegistration>> {
        self.lock_registrations().life.clone()
    }

    /// Whether a handler for an event of its life is registered with a flag. Takes no reference: the last one to go calls
    /// the plug-in.
    pub(crate) fn listens_to(&self, event: LifeEvent, flag: u32) -> bool {
        let life = &self.lock_registrations().life;
        life.iter().any(|known| known.event == event && known.flags & flag != 0)
    }

    fn remove_life(&self, handle: abi::HEMREGISTRATION) -> bool {
        let removed = {
            let life = &mut self.lock_registrations().life;
            let place = life.iter().position(|known| known.handle == handle);
            place.map(|place| life.remove(place))
        };
        // Outside the lock: the last reference calls the plug-in's release.
        removed.is_some()
    }

    /// The section in force.
    pub(crate) fn configured(&self) -> &'static Configured {
        *self.configured.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts another section in force.
    pub(crate) fn configure(&self, configured: &'static Configured) {
        *self.configured.write().unwrap_or_else(PoisonError::into_inner) = configured;
    }

    /// Makes a claim.
    ///
    /// # Errors
    /// The status for the plug-in: em_entry is over, or as [`OwnClaims::claim`] says.
    pub(crate) fn claim(
        &self,
        kind: Kind,
        name: &str,
        parameters: &str,
    ) -> Result<(), abi::STATUS> {
        if self.lock_registrations().closed {
            return Err(abi::EM_ERR_STAGE);
        }
        self.claims().claim(kind, name, parameters)
    }

    /// What the plug-in claims.
    pub(crate) fn claims(&self) -> MutexGuard<'_, OwnClaims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a registration out; sessions under way keep theirs.
    pub(crate) fn remove(&self, handle: abi::HEMREGISTRATION) -> bool {
        if self.remove_life(handle) {
            return true;
        }
        let removed = {
            let mut registrations = self.lock_registrations();
            let place = registrations.all.iter().position(|known| known.handle == handle);
            place.map(|place| registrations.all.remove(place))
        };
        if removed.is_none() {
            return false;
        }
        if let Some(directory) = self.directory.get().and_then(Weak::upgrade) {
            directory.rebuild();
        }
        true
    }

    /// Takes every registration back, as when loading failed, and lets none follow.
    pub(crate) fn clear(&self) {
        let all = {
            let mut registrations = self.lock_registrations();
            registrations.closed = true;
            (std::mem::take(&mut registrations.all), std::mem::take(&mut registrations.life))
        };
        let verbs = std::mem::take(&mut *self.lock_admin_verbs());
        // Outside the locks: the last reference calls the plug-in's release.
        drop(all);
        drop(verbs);
    }

    pub(crate) fn registrations(&self) -> Vec<Arc<Registration>> {
        self.lock_registrations().all.clone()
    }

    fn lock_registrations(&self) -> MutexGuard<'_, Registrations> {
        self.registrations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers that the plug-in asked for a key while it started.
    pub(crate) fn note_key(&self, key: &str) {
        if !self.lock_registrations().closed {
            let mut keys = self.keys_read.lock().unwrap_or_else(PoisonError::into_inner);
            keys.insert(key.to_owned());
        }
    }

    /// The settings that the plug-in did not ask for while it started: most likely misspelt.
    pub(crate) fn unread_settings(&self) -> Vec<(String, (u32, u32))> {
        let keys = self.keys_read.lock().unwrap_or_else(PoisonError::into_inner);
        self.configured().section.unread(&keys)
    }

    /// Tells the plug-in's host what the program offers; once.
    pub(crate) fn offer(&self, hosted: &'static Hosted) {
        let first = self.offered.set(hosted).is_ok();
        debug_assert!(first, "a plug-in is loaded once");
    }

    /// What the program offers.
    pub(crate) fn hosted(&self) -> &'static Hosted {
        static NOTHING: Hosted = Hosted { state: None, users: None, resolver: None };
        self.offered.get().copied().unwrap_or(&NOTHING)
    }

    /// Keeps a metric for the rest of the process.
    ///
    /// # Errors
    /// em_entry is over, the plug-in has one of this name, or too many.
    pub(crate) fn add_metric(&self, metric: Metric) -> Result<&'static Metric, abi::STATUS> {
        self.check_loading()?;
        let mut metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        if metrics.iter().any(|known| known.name == metric.name) {
            return Err(abi::ERR_MISC_INVALID_ARGS);
        }
        if metrics.len() >= METRICS_MAX {
            return Err(abi::EM_ERR_LIMIT);
        }
        let kept: &'static Metric = Box::leak(Box::new(metric));
        metrics.push(kept);
        Ok(kept)
    }

    /// Keeps a verb.
    ///
    /// # Errors
    /// The status for the plug-in, and the verb back: it can't be, em_entry is over, the plug-in has one of this name, or too
    /// many.
    pub(crate) fn add_admin_verb(&self, verb: AdminVerb) -> Result<(), (abi::STATUS, AdminVerb)> {
        if let Err(status) = self.check_loading() {
            return Err((status, verb));
        }
        let mut verbs = self.lock_admin_verbs();
        if !verb.is_sound() || verbs.iter().any(|known| known.name == verb.name) {
            return Err((abi::ERR_MISC_INVALID_ARGS, verb));
        }
        if verbs.len() >= VERBS_MAX {
            return Err((abi::EM_ERR_LIMIT, verb));
        }
        verbs.push(Arc::new(verb));
        Ok(())
    }

    /// A verb by its name.
    pub(crate) fn admin_verb(&self, name: &str) -> Option<Arc<AdminVerb>> {
        self.lock_admin_verbs().iter().find(|verb| verb.name == name).cloned()
    }

    fn lock_admin_verbs(&self) -> MutexGuard<'_, Vec<Arc<AdminVerb>>> {
        self.admin_verbs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether em_entry is running, and the plug-in's layouts, if they are to be compared, were found equal.
    fn check_loading(&self) -> Result<(), abi::STATUS> {
        if self.lock_registrations().closed || self.owes_layout() {
            return Err(abi::EM_ERR_STAGE);
        }
        Ok(())
    }

    /// The plug-in's own metrics as they are now.
    pub(crate) fn metrics(&self) -> Vec<MetricFigures> {
        let metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner).clone();
        metrics.into_iter().map(Metric::read).collect()
    }

    /// What the plug-in did since the start.
    pub(crate) fn figures(&self) -> PluginFigures {
        PluginFigures {
            name: self.name.clone(),
            stages: self.counters.read(),
            metrics: self.metrics(),
        }
    }

    pub(crate) fn state(&self) -> PluginState {
        let stages = self.counters.read();
        PluginState {
            name: self.name.clone(),
            version: self.descriptor.version.clone(),
            class: self.descriptor.class,
            run: self.run,
            registrations: self.registrations().len() + self.life().len(),
            admin_verbs: self
                .lock_admin_verbs()
                .iter()
                .map(|verb| AdminVerbState { name: verb.name.clone(), help: verb.help.clone() })
                .collect(),
            calls: stages.iter().map(StageFigures::calls).sum(),
            faults: stages.iter().map(StageFigures::faults).sum(),
        }
    }
}
