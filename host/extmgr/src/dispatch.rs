//! Dispatch: puts one question to everybody who registered for it, and answers with one verdict.
//! The only way from a session to a plug-in; knows no SMTP.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use stagepost_smtp::{Ask, EditFault, Event, Interest, Stage, Verdict};
use tokio::time::Instant;

use crate::call::invoke;
use crate::chain::Chain;
use crate::context::Context;
use crate::fault::{Allowance, Fault};
use crate::figures::{FaultKind, sampled_clock};
use crate::plugin::Run;
use crate::pool::Called;
use crate::registry::{Registration, Registry};
use crate::watchdog::watched;

/// One session's way to the plug-ins. Keeps the registry that the session began with.
pub struct Dispatch {
    /// Always there until the drop.
    context: Option<Arc<Context>>,
    /// What was asked last, for a fault that shows only afterwards.
    asked: Cell<Option<(Event, Stage)>>,
}

/// The answer to a question, or the way to it.
pub enum Asked {
    /// Every handler asked was called in line.
    Answered(Verdict),
    /// A handler is called on a thread that may block; resolves within the deadlines of the plug-ins asked.
    Waiting(Pin<Box<dyn Future<Output = Verdict> + Send>>),
}

impl Dispatch {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self { context: Some(Arc::new(Context::new(registry))), asked: Cell::new(None) }
    }

    /// The events and stages that anybody registered for.
    pub fn interest(&self) -> Interest {
        self.context.as_ref().map_or(Interest::NONE, |context| context.registry.interest())
    }

    /// Asks the handlers of one event and stage in order. The first ending answer to *before* ends the chain; *after* and
    /// disconnect run everybody. One question of a session at a time.
    pub fn ask(&self, ask: Ask) -> Asked {
        let Some(context) = &self.context else { return Asked::Answered(Verdict::default()) };
        let (event, stage) = (ask.question.event(), ask.stage);
        self.asked.set(Some((event, stage)));
        let mut chain = Chain::new(ask);
        for (place, registration) in context.registry.chain(event, stage).iter().enumerate() {
            if !registration.admits(&chain.ask) {
                continue;
            }
            if registration.plugin.run == Run::Pool {
                return Asked::Waiting(Box::pin(ask_from(context.clone(), chain, place)));
            }
            if !ask_inline(&mut chain, registration, context) {
                break;
            }
        }
        Asked::Answered(chain.into_verdict())
    }

    /// Counts and logs a fault of a plug-in that shows only when its edits are carried out.
    pub fn blame(&self, session: u64, plugin: &str, fault: &EditFault) {
        let Some(context) = &self.context else { return };
        if let (Some(host), Some((event, stage))) =
            (context.registry.plugin(plugin), self.asked.get())
        {
            host.count_fault(event, stage, FaultKind::BadEdit);
        }
        tracing::error!(session, plugin, contract = "defer", "plug-in fault: {fault}");
    }
}

impl Drop for Dispatch {
    /// Lets go of the session. Releases of plug-ins that may block run on a thread that may.
    fn drop(&mut self) {
        let Some(context) = self.context.take() else { return };
        if context.release_may_block()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            // Nobody waits for it.
            drop(runtime.spawn_blocking(move || drop(context)));
        }
    }
}

fn ask_inline(chain: &mut Chain, registration: &Registration, context: &Context) -> bool {
    let (plugin, ask) = (registration.plugin, &chain.ask);
    let make = || invoke(registration, ask, context);
    let clock = sampled_clock();
    let outcome = watched(plugin, registration.event, ask.stage, ask.facts.id, make);
    chain.take(plugin, clock.map(|begun| begun.elapsed()), Ok(outcome))
}

/// Goes on with a chain from the first handler that is called on the pool.
async fn ask_from(context: Arc<Context>, mut chain: Chain, place: usize) -> Verdict {
    let (event, stage) = (chain.ask.question.event(), chain.ask.stage);
    let begun = Instant::now();
    for registration in &context.registry.chain(event, stage)[place..] {
        if !registration.admits(&chain.ask) {
            continue;
        }
        let plugin = registration.plugin;
        let goes_on = match plugin.run {
            Run::Inline => ask_inline(&mut chain, registration, &context),
            Run::Pool => {
                let allowed = allowance(registration, begun, context.registry.chain_budget);
                let clock = std::time::Instant::now();
                let called = call(registration, &chain, &context, allowed).await;
                let took = Some(clock.elapsed());
                match called {
                    Called::Returned(outcome) => chain.take(plugin, took, Ok(outcome)),
                    Called::Faulty(fault) => chain.take(plugin, took, Err(fault)),
                    Called::Owed => true,
                }
            }
        };
        if !goes_on {
            break;
        }
    }
    chain.into_verdict()
}

/// Calls on the pool, if any time is left for it.
async fn call(
    registration: &Arc<Registration>,
    chain: &Chain,
    context: &Arc<Context>,
    allowed: Allowance,
) -> Called {
    if allowed.time.is_zero() {
        return Called::Faulty(Fault::Spent(context.registry.chain_budget));
    }
    let pool = &registration.plugin.pool;
    pool.call(registration.clone(), chain.ask.clone(), context.clone(), allowed).await
}

/// How long the next call of a chain may take: as long as its plug-in may there, and no longer than the chain has left.
fn allowance(registration: &Registration, begun: Instant, chain_budget: Duration) -> Allowance {
    let own = registration.plugin.contracts.at(registration.event).deadline;
    let left = chain_budget.saturating_sub(begun.elapsed());
    // Nobody waits for a disconnect, and it is owed to everybody.
    if own <= left || registration.event == Event::Disconnect {
        Allowance { time: own, source: "deadline_ms" }
    } else {
        Allowance { time: left, source: "what was left of chain_budget_ms" }
    }
}

#[cfg(test)]
pub(crate) mod tests;
