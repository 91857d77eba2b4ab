//! Dispatch: puts one question to everybody who registered for it, and answers with one verdict.
//! The only way from a session to a plug-in; knows no SMTP.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use stagepost_smtp::{Ask, Claims, EditFault, Event, Interest, Stage, Verdict};
use tokio::time::Instant;

use crate::call::{Called, invoke, invoke_in};
use crate::chain::Chain;
use crate::context::Context;
use crate::fault::{Allowance, Fault};
use crate::figures::FaultKind;
use crate::pending::Begun;
use crate::plugin::Run;
use crate::registry::{Registration, Registry};
use crate::stretch;
use crate::trace;
use crate::turn::Turn;
use crate::waiting::Wait;
use crate::watchdog::watched;

/// One session's way to the plug-ins. Keeps the registry that the session began with.
pub struct Dispatch {
    context: Arc<Context>,
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
        Self { context: Arc::new(Context::new(registry)), asked: Cell::new(None) }
    }

    /// What plug-ins claim of the protocol.
    pub fn claims(&self) -> Arc<Claims> {
        self.context.registry.claims().clone()
    }

    /// The events and stages that anybody registered for.
    pub fn interest(&self) -> Interest {
        self.context.registry.interest()
    }

    /// Asks the handlers of one event and stage in order. The first ending answer to *before* ends the chain; *after* and
    /// disconnect run everybody. One question of a session at a time.
    pub fn ask(&self, ask: impl Into<Arc<Ask>>) -> Asked {
        self.ask_chain(ask.into())
    }

    fn ask_chain(&self, ask: Arc<Ask>) -> Asked {
        let context = &self.context;
        let (event, stage) = (ask.question.event(), ask.stage);
        self.asked.set(Some((event, stage)));
        let steps = context.registry.chain(event, stage);
        let mut chain = Chain::new(ask);
        let mut place = 0;
        loop {
            let mut ended = None;
            place = stretch::call(steps, place, &chain.ask, context, &mut ended);
            let Some(step) = steps.get(place) else { break };
            let registration = &step.registration;
            let (took, called) = match ended {
                Some(ended) => ended,
                // One that is not called with others, for one reason or another.
                None if !step.admits(&chain.ask) => (None, Called::Unheard),
                None if !step.inline => {
                    return Asked::Waiting(Box::pin(ask_from(context.clone(), chain, place, None)));
                }
                None => {
                    let clock = trace::clock();
                    let called = call_inline(&chain, registration, context, Begun::default());
                    (clock.map(|begun| begun.elapsed()), called)
                }
            };
            if let Called::Pending(pending) = called {
                let wait = Some(Wait::new(pending, context));
                return Asked::Waiting(Box::pin(ask_from(context.clone(), chain, place, wait)));
            }
            if !chain.take(step.plugin, took, called) {
                break;
            }
            place += 1;
        }
        Asked::Answered(chain.into_verdict())
    }

    /// Tells that the client is gone: pending calls need not be answered any more.
    pub fn hang_up(&self) {
        self.context.hang_up();
    }

    /// Counts and logs a fault of a plug-in that shows only when its edits are carried out.
    pub fn blame(&self, session: u64, plugin: &str, fault: &EditFault) {
        if let (Some(host), Some((event, stage))) =
            (self.context.registry.plugin(plugin), self.asked.get())
        {
            host.count_fault(event, stage, FaultKind::BadEdit);
        }
        tracing::error!(session, plugin, contract = "defer", "plug-in fault: {fault}");
    }
}

/// Calls on this thread. A plug-in whose calls may go pending needs its turn for it.
fn call_inline(
    chain: &Chain,
    registration: &Arc<Registration>,
    context: &Arc<Context>,
    begun: Begun,
) -> Called {
    let (plugin, ask) = (registration.plugin, &chain.ask);
    let (stage, session) = (ask.stage, ask.facts.id);
    if !plugin.knows_pending() {
        let make = || invoke(registration, ask, context, None);
        return watched(plugin, registration.event, stage, session, make);
    }
    match Turn::begin(registration, ask, context) {
        Ok(turn) => {
            let make = || invoke_in(turn, registration, ask, begun);
            watched(plugin, registration.event, stage, session, make)
        }
        Err(called) => called,
    }
}

/// Goes on with a chain from the first handler that is waited for.
async fn ask_from(
    context: Arc<Context>,
    mut chain: Chain,
    place: usize,
    mut wait: Option<Wait>,
) -> Verdict {
    let (event, stage) = (chain.ask.question.event(), chain.ask.stage);
    let begun = wait.as_ref().map_or_else(Instant::now, Wait::begun);
    let begun = context.chain_begun(begun, &chain.ask);
    for step in &context.registry.chain(event, stage)[place..] {
        if !step.admits(&chain.ask) {
            continue;
        }
        let registration = &step.registration;
        let plugin = registration.plugin;
        let clock = wait.as_ref().map_or_else(Instant::now, Wait::begun);
        let called = match (wait.take(), plugin.run) {
            (Some(wait), _) => wait.answer().await,
            (None, Run::Inline) => {
                let begun = Begun { chain: Some(begun), ..Begun::default() };
                call_inline(&chain, registration, &context, begun)
            }
            (None, Run::Pool) => call(registration, &chain, &context, begun).await,
        };
        let called = match called {
            Called::Pending(pending) => Wait::new(pending, &context).answer().await,
            called => called,
        };
        if !chain.take(plugin, Some(clock.elapsed()), called) {
            break;
        }
    }
    context.chain_ended(begun, &chain.ask);
    chain.into_verdict()
}

/// Calls on the pool, if any time is left for it.
async fn call(
    registration: &Arc<Registration>,
    chain: &Chain,
    context: &Arc<Context>,
    begun: Instant,
) -> Called {
    let budget = context.registry.chain_budget;
    let allowed = allowance(registration, begun, budget);
    if allowed.time.is_zero() {
        return Called::Faulty(Fault::Spent(budget));
    }
    let pool = &registration.plugin.pool;
    pool.call(registration.clone(), chain.ask.clone(), context.clone(), begun, allowed).await
}

/// How long the next call of a chain may take: as long as its plug-in may there, and no longer than the exchange that the
/// chain belongs to has left.
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
