//! Dispatch: puts one question to everybody who registered for it, and answers with one verdict.
//! The only way from a session to a plug-in; knows no SMTP.

use std::pin::Pin;
use std::sync::Arc;

use stagepost_smtp::{Ask, Interest, Verdict};

use crate::call::invoke;
use crate::chain::Chain;
use crate::context::Context;
use crate::plugin::Run;
use crate::registry::{Registration, Registry};

/// One session's way to the plug-ins. Keeps the registry that the session began with.
pub struct Dispatch {
    registry: Arc<Registry>,
    context: Arc<Context>,
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
        Self { registry, context: Arc::default() }
    }

    /// The events and stages that anybody registered for.
    pub fn interest(&self) -> Interest {
        self.registry.interest()
    }

    /// Asks the handlers of one event and stage in order. The first ending answer to *before* ends the chain; *after* and
    /// disconnect run everybody. One question of a session at a time.
    pub fn ask(&self, ask: Ask) -> Asked {
        let (event, stage) = (ask.question.event(), ask.stage);
        let mut chain = Chain::new(ask);
        for (place, registration) in self.registry.chain(event, stage).iter().enumerate() {
            if registration.plugin.run == Run::Pool {
                let (registry, context) = (self.registry.clone(), self.context.clone());
                return Asked::Waiting(Box::pin(ask_from(registry, context, chain, place)));
            }
            if !ask_inline(&mut chain, registration, &self.context, self.registry.plugins) {
                break;
            }
        }
        Asked::Answered(chain.into_verdict())
    }
}

fn ask_inline(
    chain: &mut Chain,
    registration: &Registration,
    context: &Context,
    plugins: usize,
) -> bool {
    let outcome = invoke(registration, &chain.ask, context, plugins);
    chain.take(registration.plugin, Ok(outcome))
}

/// Goes on with a chain from the first handler that is called on the pool.
async fn ask_from(
    registry: Arc<Registry>,
    context: Arc<Context>,
    mut chain: Chain,
    place: usize,
) -> Verdict {
    let (event, stage) = (chain.ask.question.event(), chain.ask.stage);
    for registration in &registry.chain(event, stage)[place..] {
        let plugin = registration.plugin;
        let goes_on = match plugin.run {
            Run::Inline => ask_inline(&mut chain, registration, &context, registry.plugins),
            Run::Pool => {
                let call = plugin.pool.call(
                    registration.clone(),
                    chain.ask.clone(),
                    context.clone(),
                    registry.plugins,
                );
                let outcome = call.await;
                chain.take(plugin, outcome)
            }
        };
        if !goes_on {
            break;
        }
    }
    chain.into_verdict()
}

#[cfg(test)]
mod tests;
