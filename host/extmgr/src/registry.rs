//! Registrations, and the chains that they form for each event and stage.
//! Knows who is to be asked and in which order; asks nobody.

use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use stagepost_abi as abi;
use stagepost_smtp::{Ask, Claims, Event, Interest, Stage};

use crate::claim;
use crate::filter::Filter;
use crate::host::Host;
use crate::mail::Door;
use crate::outbound::Exchange;
use crate::plugin::Run;
use crate::release::Release;
use crate::sheet::Sheet;
use crate::watchdog::Call;

/// A handler as the contract has it, known not to be NULL.
pub(crate) type Handler = unsafe extern "C" fn(record: *const abi::EMRECORD) -> abi::STATUS;

/// One handler for one event. Dropping the last reference, on any thread, gives the user data back to the plug-in.
pub(crate) struct Registration {
    pub(crate) handle: abi::HEMREGISTRATION,
    pub(crate) plugin: &'static Host,
    pub(crate) event: Event,
    pub(crate) flags: u32,
    /// 0: none.
    pub(crate) recursion_id: u16,
    pub(crate) handler: Handler,
    pub(crate) user_data: *mut c_void,
    pub(crate) release: Option<Release>,
    /// Set at most once, while the plug-in is loaded.
    pub(crate) filter: OnceLock<Filter>,
}

impl Registration {
    fn admits(&self, ask: &Ask) -> bool {
        self.filter.get().is_none_or(|filter| filter.admits(ask))
    }

    /// Whether it is called for messages of plug-ins that these recursion ids led to.
    fn sees_submitted(&self, led_to_it: &[u16]) -> bool {
        self.flags & abi::EM_REG_SUBMITTED != 0 && !led_to_it.contains(&self.recursion_id)
    }
}

// SAFETY: the contract makes user data and handlers usable from any thread that runs the session ([session-thread]), and
// release from any thread ([any-thread]); the host itself never looks into the user data.
unsafe impl Send for Registration {}
// SAFETY: as above; the members are never changed.
unsafe impl Sync for Registration {}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(release) = self.release.take() {
            release.give_back(());
        }
    }
}

/// One place in a chain. What a call in line needs is beside each other, so that a whole chain is in few cache lines.
pub(crate) struct Step {
    pub(crate) handler: Handler,
    pub(crate) user_data: *mut c_void,
    pub(crate) plugin: &'static Host,
    /// The call as the watchdog is told of it.
    pub(crate) call: Call,
    /// Whether handlers are called in line.
    pub(crate) inline: bool,
    /// Whether some questions may not matter to the handler.
    filtered: bool,
    /// Whether the handler can ask for an edit of the message.
    pub(crate) changes_message: bool,
    pub(crate) registration: Arc<Registration>,
}

// SAFETY: as for `Registration`, whose members some of these are.
unsafe impl Send for Step {}
// SAFETY: as above.
unsafe impl Sync for Step {}

impl Step {
    fn new(registration: Arc<Registration>, stage: Stage) -> Self {
        let (plugin, event) = (registration.plugin, registration.event);
        Self {
            handler: registration.handler,
            user_data: registration.user_data,
            plugin,
            call: Call::of(plugin, event, stage),
            inline: plugin.run == Run::Inline,
            filtered: registration.filter.get().is_some(),
            changes_message: Sheet::may_change_message(plugin, event, stage),
            registration,
        }
    }

    /// Whether a question may matter to the handler.
    #[inline]
    pub(crate) fn admits(&self, ask: &Ask) -> bool {
        !self.filtered || self.registration.admits(ask)
    }
}

/// The next registration handle; 0 names none.
pub(crate) fn next_handle() -> abi::HEMREGISTRATION {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Who is asked, in order, for every event and stage. A session keeps the one it began with.
#[derive(Default)]
pub(crate) struct Registry {
    chains: [[Vec<Step>; 2]; Event::ALL.len()],
    interest: Interest,
    claims: Arc<Claims>,
    /// How long the pool's calls of one chain may take together.
    pub(crate) chain_budget: Duration,
    /// How many plug-ins there are: the number of slots in a session.
    pub(crate) plugins: usize,
    /// The recursion ids that led to the message of a plug-in that this is for; none: it is for sessions.
    led_to_it: Option<Box<[u16]>>,
}

impl Registry {
    /// Builds the chains of the plug-ins, which are given in the order of the configuration.
    pub(crate) fn new(plugins: &[&'static Host], chain_budget: Duration) -> Self {
        let mut registry = Self { plugins: plugins.len(), chain_budget, ..Self::default() };
        for registration in ordered(plugins).iter().flat_map(|plugin| plugin.registrations()) {
            registry.add(&registration, Stage::Before, abi::EM_REG_BEFORE);
            registry.add(&registration, Stage::After, abi::EM_REG_AFTER);
        }
        registry.claims = Arc::new(claim::working(plugins));
        registry
    }

    fn add(&mut self, registration: &Arc<Registration>, stage: Stage, flag: u32) {
        if registration.flags & flag != 0 {
            let event = registration.event;
            self.chains[event as usize][stage as usize]
                .push(Step::new(registration.clone(), stage));
            self.interest = self.interest.with(event, stage);
        }
    }

    /// Who is asked about a message of a plug-in that these recursion ids led to. Not asked is a plug-in that has made it
    /// without a cause: nothing would end what it makes because of its own.
    pub(crate) fn for_submitted(
        &self,
        led_to_it: Box<[u16]>,
        made_without_cause: Option<usize>,
    ) -> Self {
        let mut registry = Self {
            plugins: self.plugins,
            chain_budget: self.chain_budget,
            claims: self.claims.clone(),
            ..Self::default()
        };
        for (stage, flag) in
            [(Stage::Before, abi::EM_REG_BEFORE), (Stage::After, abi::EM_REG_AFTER)]
        {
            for step in self.chains.iter().flat_map(|stages| &stages[stage as usize]) {
                let own = made_without_cause == Some(step.plugin.index);
                if !own && step.registration.sees_submitted(&led_to_it) {
                    registry.add(&step.registration, stage, flag);
                }
            }
        }
        registry.led_to_it = Some(led_to_it);
        registry
    }

    /// The recursion ids that lead to what a plug-in causes in a handler of an event.
    pub(crate) fn lead_on(&self, plugin: usize, event: Event, stage: Stage) -> Box<[u16]> {
        let before = self.led_to_it.iter().flatten().copied();
        before.chain(own_ids(plugin, self.chain(event, stage))).collect()
    }

    /// Who is asked about a message that a plug-in makes without a cause.
    pub(crate) fn for_causeless(&self, plugin: usize) -> Self {
        let own = own_ids(plugin, self.chains.iter().flatten().flatten()).collect();
        self.for_submitted(own, Some(plugin))
    }

    /// Whether it is for a message of a plug-in.
    pub(crate) fn is_for_submitted(&self) -> bool {
        self.led_to_it.is_some()
    }

    /// A plug-in by its name, if it has registered for anything.
    pub(crate) fn plugin(&self, name: &str) -> Option<&'static Host> {
        let mut steps = self.chains.iter().flatten().flatten();
        steps.find(|step| &*step.plugin.name == name).map(|step| step.plugin)
    }

    /// The handlers to ask, in order.
    pub(crate) fn chain(&self, event: Event, stage: Stage) -> &[Step] {
        &self.chains[event as usize][stage as usize]
    }

    /// What plug-ins claim of the protocol.
    pub(crate) fn claims(&self) -> &Arc<Claims> {
        &self.claims
    }

    /// The events and stages that anybody registered for.
    pub(crate) fn interest(&self) -> Interest {
        self.interest
    }
}

/// The recursion ids of a plug-in's handlers among some.
fn own_ids<'a>(
    plugin: usize,
    steps: impl IntoIterator<Item = &'a Step>,
) -> impl Iterator<Item = u16> {
    let ids = steps.into_iter().filter(move |step| step.plugin.index == plugin);
    ids.map(|step| step.registration.recursion_id).filter(|id| *id != 0)
}

/// Plug-ins in the order in which they are asked.
fn ordered(plugins: &[&'static Host]) -> Vec<&'static Host> {
    let mut ordered = plugins.to_vec();
    // Stable: equal priorities keep the order of the configuration.
    ordered.sort_by_key(|plugin| plugin.priority);
    ordered
}

/// The plug-ins and the registry that new sessions begin with.
pub(crate) struct Directory {
    plugins: Vec<&'static Host>,
    chain_budget: Duration,
    current: RwLock<Arc<Registry>>,
    /// The way to the program's mail, once there is one.
    pub(crate) mail: OnceLock<Door>,
    /// The way to other servers, once there is one.
    exchange: RwLock<Option<Arc<Exchange>>>,
    /// Held while the registry is made again, so that an older one never takes a newer one's place.
    rebuilding: Mutex<()>,
}

impl Directory {
    pub(crate) fn new(plugins: Vec<&'static Host>, chain_budget: Duration) -> Self {
        let current = RwLock::new(Arc::new(Registry::new(&plugins, chain_budget)));
        Self {
            plugins,
            chain_budget,
            current,
            mail: OnceLock::new(),
            exchange: RwLock::default(),
            rebuilding: Mutex::default(),
        }
    }

    pub(crate) fn plugins(&self) -> &[&'static Host] {
        &self.plugins
    }

    /// The plug-ins in the order in which they are asked.
    pub(crate) fn ordered(&self) -> Vec<&'static Host> {
        ordered(&self.plugins)
    }

    /// The way to other servers.
    ///
    /// # Errors
    /// The status for the plug-in: there is none yet, or none any more.
    pub(crate) fn exchange(&self) -> Result<Arc<Exchange>, abi::STATUS> {
        let exchange = self.exchange.read().unwrap_or_else(PoisonError::into_inner);
        exchange.clone().ok_or(abi::EM_ERR_STAGE)
    }

    /// Opens the way to other servers, or ends it: who is behind it may hold us in turn.
    pub(crate) fn set_exchange(&self, exchange: Option<Exchange>) {
        let exchange = exchange.map(Arc::new);
        let mut current = self.exchange.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *current, exchange);
        drop(current);
        // Outside the lock: it may be the last reference.
        drop(before);
    }

    pub(crate) fn current(&self) -> Arc<Registry> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes the registry again after a registration has ended.
    pub(crate) fn rebuild(&self) {
        let rebuilding = self.rebuilding.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Arc::new(Registry::new(&self.plugins, self.chain_budget));
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let stale = std::mem::replace(&mut *current, fresh);
        drop(current);
        drop(rebuilding);
        // Outside the locks: it may be the last reference to a registration, whose release is the plug-in's code.
        drop(stale);
    }
}
