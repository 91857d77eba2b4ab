//! Threads for calls that may block: never more of one plug-in at once than it may have.
//! Knows no verdict; gives back what the handler left, or that it is late.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use stagepost_smtp::{Ask, Event};

use crate::call::{Outcome, invoke};
use crate::context::Context;
use crate::fault::Fault;
use crate::registry::Registration;

/// One plug-in's share of the threads.
pub(crate) struct Pool {
    threads_max: usize,
    free: Arc<Semaphore>,
}

impl Pool {
    pub(crate) fn new(threads_max: usize) -> Self {
        let threads_max = threads_max.clamp(1, Semaphore::MAX_PERMITS);
        Self { threads_max, free: Arc::new(Semaphore::new(threads_max)) }
    }

    /// Calls a handler on a thread that may block, and waits until its deadline. A late call goes on by itself: it has its
    /// own hold on the question, and its answer is dropped.
    pub(crate) async fn call(
        &self,
        registration: Arc<Registration>,
        ask: Arc<Ask>,
        context: Arc<Context>,
        plugins: usize,
    ) -> Result<Outcome, Fault> {
        let plugin = registration.plugin;
        let allowed: Duration = plugin.deadline;
        let deadline = Instant::now() + allowed;
        if !context.begin(plugin.index) {
            // Disconnect is owed: a plug-in must be able to let go of what it keeps for the session.
            let owed =
                ask.question.event() == Event::Disconnect && context.owe(&registration, &ask);
            if owed || !context.begin(plugin.index) {
                return Err(Fault::Busy);
            }
        }
        let permit = match tokio::time::timeout_at(deadline, self.free.clone().acquire_owned())
            .await
        {
            Ok(Ok(permit)) => permit,
            Ok(Err(closed)) => {
                finish(plugin.index, &context, plugins);
                return Err(Fault::Host(closed.to_string()));
            }
            Err(_) => {
                finish(plugin.index, &context, plugins);
                return Err(Fault::Exhausted { waited: allowed, threads_max: self.threads_max });
            }
        };
        let task = tokio::task::spawn_blocking(move || {
            let outcome = invoke(&registration, &ask, &context, plugins);
            finish(plugin.index, &context, plugins);
            drop(permit);
            outcome
        });
        match tokio::time::timeout_at(deadline, task).await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(failed)) => Err(Fault::Host(failed.to_string())),
            Err(_) => Err(Fault::Late(allowed)),
        }
    }
}

/// Ends a plug-in's turn in a session: calls that became due meanwhile are made now, then it is free again.
fn finish(plugin: usize, context: &Arc<Context>, plugins: usize) {
    while let Some((registration, ask)) = context.next_owed(plugin) {
        invoke(&registration, &ask, context, plugins);
    }
}
