//! The life of plug-ins beside all sessions: start, another configuration, stop.
//! Knows who registered for what and how to call them; what a refusal means for the server is decided by who asks.

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use stagepost_abi as abi;
use stagepost_smtp::Stage;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, timeout_at};

use crate::arguments::size_of_u32;
use crate::configured::Configured;
use crate::host::Host;
use crate::pool::Out;
use crate::registry::Handler;
use crate::release::LifeRelease;
use crate::section::Section;
use crate::trace;

/// How long plug-ins may take to stop, all together.
pub const STOP_MAX: Duration = Duration::from_secs(10);
/// How often one that the start waits for is named in the log.
pub(crate) const START_NAMED: Duration = Duration::from_secs(5);
/// How long they may take to look at another configuration, and to take it over: each all together.
const CONFIG_MAX: Duration = Duration::from_secs(30);

/// An event of a plug-in's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LifeEvent {
    Start,
    Config,
    Stop,
}

impl LifeEvent {
    /// The event of a number, with its descriptor bit.
    pub(crate) fn by_number(number: abi::EID) -> Option<(Self, u64)> {
        match number {
            abi::EM_START => Some((Self::Start, abi::EM_STAGE_START)),
            abi::EM_CONFIG => Some((Self::Config, abi::EM_STAGE_CONFIG)),
            abi::EM_STOP => Some((Self::Stop, abi::EM_STAGE_STOP)),
            _ => None,
        }
    }

    /// Whether something lies between before and after.
    pub(crate) fn has_after(self) -> bool {
        self != Self::Stop
    }

    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Config => "config",
            Self::Stop => "stop",
        }
    }
}

/// One handler for one event of its plug-in's life. Dropping the last reference, on any thread, gives the user data back.
pub(crate) struct LifeRegistration {
    pub(crate) handle: abi::HEMREGISTRATION,
    pub(crate) event: LifeEvent,
    pub(crate) number: abi::EID,
    pub(crate) flags: u32,
    pub(crate) handler: Handler,
    pub(crate) user_data: *mut c_void,
    /// Dropped with it.
    pub(crate) release: Option<LifeRelease>,
}

// SAFETY: the contract makes user data and handlers of these events usable from any thread, and release too; the host
// itself never looks into the user data.
unsafe impl Send for LifeRegistration {}
// SAFETY: as above; the members are never changed once others see them.
unsafe impl Sync for LifeRegistration {}

impl LifeRegistration {
    /// Calls the handler, and shows the call to who watches. What it returns where that says something: `Some` refuses, or is a
    /// fault.
    fn call(&self, host: &Host, notification: u16, arguments: Arguments) -> Option<abi::STATUS> {
        let begun = std::time::Instant::now();
        let status = self.invoke(notification, arguments);
        let asks = notification == abi::EM_BEFORE && self.event != LifeEvent::Stop;
        let said = Some(status)
            .filter(|&status| status == abi::EM_FAULT || asks && status != abi::ERR_EM_CONTINUE);
        if trace::is_on() {
            trace::show_life(&host.name, self.event.name(), stage(notification), begun, said);
        }
        said
    }

    /// Calls the handler with its event's struct, whose size is set here.
    fn invoke(&self, notification: u16, arguments: Arguments) -> abi::STATUS {
        let head = |size| abi::EmEvent {
            size,
            reserved: 0,
            session: std::ptr::null(),
            edits: std::ptr::null_mut(),
            reply: std::ptr::null(),
        };
        let start = abi::EmStart { event: head(size_of_u32::<abi::EmStart>()) };
        let config = abi::EmConfig {
            event: head(size_of_u32::<abi::EmConfig>()),
            section: match arguments {
                Arguments::Section(configured) => configured.handle(),
                _ => std::ptr::null_mut(),
            },
        };
        let stop = abi::EmStop {
            event: head(size_of_u32::<abi::EmStop>()),
            deadline_ms: u32::try_from(STOP_MAX.as_millis()).unwrap_or(u32::MAX),
            reserved: 0,
        };
        let record = abi::EMRECORD {
            EId: self.number,
            NotificationType: notification,
            Status: abi::NOERROR,
            Size: const { size_of_u32::<abi::EMRECORD>() as u16 },
            Event: match arguments {
                Arguments::Start => (&raw const start).cast(),
                Arguments::Section(_) => (&raw const config).cast(),
                Arguments::Stop => (&raw const stop).cast(),
            },
            UserData: self.user_data,
        };
        // SAFETY: the handler came from EMRegister, so it has this signature; its file stays mapped for ever. The record
        // and all it points to outlive the call.
        unsafe { (self.handler)(&raw const record) }
    }
}

/// What an event of a plug-in's life tells.
#[derive(Clone, Copy)]
enum Arguments {
    Start,
    Section(&'static Configured),
    Stop,
}

/// Whether a plug-in listens to an event at a stage (`EM_BEFORE`, `EM_AFTER`). Any thread: it calls nobody.
pub(crate) fn listens(host: &Host, event: LifeEvent, notification: u16) -> bool {
    host.listens_to(event, flag(notification))
}

/// The stage of a notification.
fn stage(notification: u16) -> Stage {
    if notification == abi::EM_BEFORE { Stage::Before } else { Stage::After }
}

/// The flag that registers for a stage.
fn flag(notification: u16) -> u32 {
    if notification == abi::EM_BEFORE { abi::EM_REG_BEFORE } else { abi::EM_REG_AFTER }
}

/// Who is called. On a thread that may block: the last reference to a handler may be among them.
fn handlers(host: &Host, event: LifeEvent, notification: u16) -> Vec<Arc<LifeRegistration>> {
    let flag = flag(notification);
    let wanted = |known: &Arc<LifeRegistration>| known.event == event && known.flags & flag != 0;
    host.life().into_iter().filter(wanted).collect()
}

/// Asks a plug-in.
///
/// # Errors
/// The first status that refuses.
fn ask(host: &Host, event: LifeEvent, arguments: Arguments) -> Result<(), abi::STATUS> {
    for registration in handlers(host, event, abi::EM_BEFORE) {
        if let Some(refused) = registration.call(host, abi::EM_BEFORE, arguments) {
            return Err(refused);
        }
    }
    Ok(())
}

/// Tells a plug-in; a failure is logged.
fn tell(host: &Host, event: LifeEvent, notification: u16, arguments: Arguments) {
    for registration in handlers(host, event, notification) {
        if registration.call(host, notification, arguments).is_some() {
            tracing::error!(
                plugin = &*host.name,
                event = event.name(),
                stage = stage(notification).name(),
                "plug-in fault: failed: the handler returned EM_FAULT"
            );
        }
    }
}

/// Why a plug-in does not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoStart {
    /// It refuses.
    Refused(abi::STATUS),
    /// Its handlers have not returned in time.
    Late,
    /// The host's own code failed around the call.
    Host,
}

/// Asks a plug-in whether it starts, and waits for a bounded time. While it lasts, the log names the plug-in.
pub(crate) async fn ask_to_start(host: &'static Host, deadline: Duration) -> Result<(), NoStart> {
    if !listens(host, LifeEvent::Start, abi::EM_BEFORE) {
        return Ok(());
    }
    let call = on_thread(move || ask(host, LifeEvent::Start, Arguments::Start));
    match named_while_out(host, "before start", deadline, call).await {
        Some(Ok(answer)) => answer.map_err(NoStart::Refused),
        Some(Err(failed)) => {
            tracing::error!(plugin = &*host.name, "the call could not be made: {failed}");
            Err(NoStart::Host)
        }
        None => Err(NoStart::Late),
    }
}

/// Tells a plug-in that the server has started, and waits for a bounded time. While it lasts, the log names the plug-in.
pub(crate) async fn tell_started(host: &'static Host, deadline: Duration) {
    if !listens(host, LifeEvent::Start, abi::EM_AFTER) {
        return;
    }
    let call = on_thread(move || tell(host, LifeEvent::Start, abi::EM_AFTER, Arguments::Start));
    if named_while_out(host, "after start", deadline, call).await.is_none() {
        tracing::error!(
            plugin = &*host.name,
            "plug-in fault: overrun: it has not returned from after start within {} ms",
            deadline.as_millis()
        );
    }
}

/// Waits for a call until its deadline is over.
async fn named_while_out<T>(
    host: &Host,
    handler: &str,
    deadline: Duration,
    mut call: JoinHandle<T>,
) -> Option<Result<T, JoinError>> {
    let begun = Instant::now();
    loop {
        let waited = begun.elapsed();
        if waited >= deadline {
            call.abort();
            return None;
        }
        let named = begun + deadline.min(waited + START_NAMED);
        match timeout_at(named, &mut call).await {
            Ok(returned) => return Some(returned),
            Err(_) if begun.elapsed() >= deadline => {}
            Err(_) => tracing::warn!(
                plugin = &*host.name,
                "the start waits for the plug-in: it has not returned from {handler} for {} s",
                begun.elapsed().as_secs()
            ),
        }
    }
}

/// Tells plug-ins that the server stops, all at once, and waits for them for a bounded time.
pub(crate) async fn stop(plugins: &[&'static Host]) {
    let deadline = Instant::now() + STOP_MAX;
    let mut calls = Vec::new();
    for host in plugins.iter().copied() {
        if listens(host, LifeEvent::Stop, abi::EM_BEFORE) {
            let tell = move || tell(host, LifeEvent::Stop, abi::EM_BEFORE, Arguments::Stop);
            calls.push((host, on_thread(tell)));
        }
    }
    for (host, call) in calls {
        if timeout_at(deadline, call).await.is_err() {
            tracing::error!(
                plugin = &*host.name,
                "plug-in fault: overrun: it did not stop within {} ms",
                STOP_MAX.as_millis()
            );
        }
    }
}

/// Another section for a plug-in.
#[derive(Clone, Debug)]
pub struct NewSection {
    /// The plug-in's name.
    pub plugin: String,
    /// What the configuration says to it now.
    pub section: Section,
}

/// What became of new sections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Plug-ins that work with another section now.
    pub changed: Vec<String>,
    /// Plug-ins whose section has changed and who take none while they run.
    pub restart: Vec<String>,
}

/// Why nothing was reloaded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    /// A plug-in does not take its section.
    #[error("plug-in {plugin} refuses its new section: status {status:#06x}")]
    Refused {
        /// Who.
        plugin: String,
        /// What it returned; its own log line says why.
        status: u16,
    },
    /// A plug-in did not answer in time.
    #[error("plug-in {plugin} did not look at its new section within {} s", CONFIG_MAX.as_secs())]
    Late {
        /// Who.
        plugin: String,
    },
    /// A plug-in's call from an earlier reload has not returned.
    #[error(
        "plug-in {plugin} has not come back from an earlier reload: it is asked no more until it has"
    )]
    Out {
        /// Who.
        plugin: String,
    },
    /// The host's own code failed around the calls.
    #[error("the calls could not be made: {0}")]
    Host(String),
}

impl ReloadError {
    /// The plug-in that it is about, if it is about one.
    pub fn plugin(&self) -> Option<&str> {
        match self {
            Self::Refused { plugin, .. } | Self::Late { plugin } | Self::Out { plugin } => {
                Some(plugin)
            }
            Self::Host(_) => None,
        }
    }
}

/// Has plug-ins look at new sections, and puts these in force if all will do; none otherwise.
pub(crate) async fn reload(
    plugins: &[&'static Host],
    sections: Vec<NewSection>,
) -> Result<Reloaded, ReloadError> {
    let mut reloaded = Reloaded::default();
    let mut pairs = Vec::new();
    for NewSection { plugin, section } in sections {
        let Some(host) = plugins.iter().copied().find(|host| *host.name == *plugin) else {
            continue;
        };
        let changed = host.configured().section.json() != section.json();
        if listens(host, LifeEvent::Config, abi::EM_BEFORE) {
            // It looks again though nothing has changed here: it may have files of its own.
            pairs.push((host, changed.then_some(section)));
            reloaded.changed.extend(changed.then_some(plugin));
        } else if changed {
            reloaded.restart.push(plugin);
        }
    }
    let looked = look(pairs).await?;
    for (host, configured, _) in &looked {
        host.configure(configured);
    }
    take_over(looked).await;
    Ok(reloaded)
}

/// A plug-in that has looked at a section, and its turn.
type Looked = (&'static Host, &'static Configured, ConfigTurn);

/// Has plug-ins look at their sections, new ones or those they have, one after the other. Once one is late, the rest is not
/// asked.
async fn look(pairs: Vec<(&'static Host, Option<Section>)>) -> Result<Vec<Looked>, ReloadError> {
    let deadline = Instant::now() + CONFIG_MAX;
    let mut turns = Vec::new();
    for (host, section) in pairs {
        let plugin = || host.name.to_string();
        match (ConfigTurn::begin(host), &section) {
            (Some(turn), _) => turns.push((host, section, turn)),
            // Nothing new for it, so nothing that it would have to take: the others need not wait for it.
            (None, None) => tracing::warn!(
                plugin = &*host.name,
                "not asked to read its files again: it has not come back from an earlier reload"
            ),
            (None, Some(_)) => return Err(ReloadError::Out { plugin: plugin() }),
        }
    }
    let mut looked = Vec::new();
    for (host, section, turn) in turns {
        let plugin = || host.name.to_string();
        let mut call = on_thread(move || {
            let configured = section.map_or_else(|| host.configured(), Configured::leak);
            (ask(host, LifeEvent::Config, Arguments::Section(configured)), configured, turn)
        });
        let (answer, configured, turn) = match timeout_at(deadline, &mut call).await {
            Ok(Ok(returned)) => returned,
            Ok(Err(failed)) => return Err(ReloadError::Host(failed.to_string())),
            Err(_) => {
                // One that has not begun yet never will; one that has keeps its turn until it returns.
                call.abort();
                return Err(ReloadError::Late { plugin: plugin() });
            }
        };
        answer.map_err(|status| ReloadError::Refused { plugin: plugin(), status })?;
        looked.push((host, configured, turn));
    }
    Ok(looked)
}

/// Tells plug-ins that their sections are in force, all at once.
async fn take_over(looked: Vec<Looked>) {
    let deadline = Instant::now() + CONFIG_MAX;
    let mut calls = Vec::new();
    for (host, configured, turn) in looked {
        let call = on_thread(move || {
            tell(host, LifeEvent::Config, abi::EM_AFTER, Arguments::Section(configured));
            drop(turn);
        });
        calls.push((host, call));
    }
    for (host, call) in calls {
        if timeout_at(deadline, call).await.is_err() {
            tracing::error!(
                plugin = &*host.name,
                "plug-in fault: overrun: it has not taken its new section over within {} s",
                CONFIG_MAX.as_secs()
            );
        }
    }
}

/// A plug-in's turn to look at a section and take it over: it has one at a time, until its calls have returned.
struct ConfigTurn(&'static Host);

impl ConfigTurn {
    fn begin(host: &'static Host) -> Option<Self> {
        let begun = host.config_out.swap(true, Ordering::AcqRel);
        // Made only when it has begun: dropping one ends the turn of whoever has it.
        (!begun).then(|| Self(host))
    }
}

impl Drop for ConfigTurn {
    fn drop(&mut self) {
        self.0.config_out.store(false, Ordering::Release);
    }
}

/// Makes calls of plug-ins on a thread that may block.
fn on_thread<T: Send + 'static>(make: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    tokio::task::spawn_blocking(move || {
        let out = Out::begin();
        let made = make();
        drop(out);
        made
    })
}

#[cfg(test)]
mod tests;
