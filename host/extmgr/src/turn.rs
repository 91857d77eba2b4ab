//! A plug-in's turn in one session: at most one call of it at a time.
//! Knows no deadline; a turn lasts as long as its call, or until the call that went pending has ended.

use std::sync::Arc;

use stagepost_smtp::{Ask, Decision, Event};
use tokio::time::Instant;

use crate::call::{Called, invoke};
use crate::context::Context;
use crate::fault::Fault;
use crate::figures::{AnswerKind, FaultKind};
use crate::plugin::Run;
use crate::registry::Registration;
use crate::trace;
use crate::watchdog::watched;

/// A turn. When it ends, calls that became due meanwhile are made, and then the plug-in is free again.
pub(crate) struct Turn {
    plugin: usize,
    context: Arc<Context>,
}

impl Turn {
    /// Begins a turn for a call.
    ///
    /// # Errors
    /// What becomes of the call while an earlier one is not over. A disconnect is owed rather than dropped: a plug-in
    /// must be able to let go of what it keeps for the session.
    pub(crate) fn begin(
        registration: &Arc<Registration>,
        ask: &Arc<Ask>,
        context: &Arc<Context>,
    ) -> Result<Self, Called> {
        let plugin = registration.plugin.index;
        let begin = || context.begin(plugin).then(|| Self { plugin, context: context.clone() });
        if let Some(turn) = begin() {
            return Ok(turn);
        }
        if registration.event == Event::Disconnect && context.owe(registration, ask) {
            return Err(Called::Unheard);
        }
        // The turn before may have ended just now.
        begin().ok_or(Called::Faulty(Fault::Busy))
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        while let Some((registration, ask)) = self.context.next_owed(self.plugin) {
            let clock = Instant::now();
            let plugin = registration.plugin;
            let deadline = clock + plugin.contracts.at(registration.event).deadline;
            let blocks_until = (plugin.run == Run::Pool).then_some(deadline);
            let make = || invoke(&registration, &ask, &self.context, blocks_until);
            let called = match plugin.run {
                Run::Inline => watched(plugin, registration.event, ask.stage, ask.facts.id, make),
                Run::Pool => make(),
            };
            count_owed(&registration, &ask, &called, clock);
        }
    }
}

/// Counts a call that nobody waited for: the chain has gone on without its answer.
fn count_owed(registration: &Registration, ask: &Ask, called: &Called, clock: Instant) {
    let Some(counters) = registration.plugin.counters.at(registration.event, ask.stage) else {
        return;
    };
    let took = Some(clock.elapsed());
    counters.took(took);
    if trace::is_on() {
        let shown =
            if called.failed() { Err(&Fault::Failed) } else { Ok((&Decision::Continue, &[][..])) };
        trace::show(ask, &registration.plugin.name, took, shown);
    }
    if called.failed() {
        counters.failed(FaultKind::Failure);
    } else {
        counters.answered(AnswerKind::Continue);
    }
}
