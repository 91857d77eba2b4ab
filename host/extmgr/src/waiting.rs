//! Waits for a pending call's answer, on the session's own task: polls it, and gives it up in the end.
//! Knows no verdict; what is pending keeps itself.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use crate::call::Called;
use crate::context::Context;
use crate::pending::{Next, Pending, Waited};
use crate::plugin::Run;

/// A wait under way. When it ends without an answer, also because its task is, the call is given up.
pub(crate) struct Wait {
    pending: Waited,
    context: Arc<Context>,
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.context.waits_for(None);
    }
}

impl Wait {
    pub(crate) fn new(pending: Waited, context: &Arc<Context>) -> Self {
        if context.waits_for(Some(&pending)) {
            pending.hang_up();
        }
        Self { pending, context: context.clone() }
    }

    /// When the call began.
    pub(crate) fn begun(&self) -> Instant {
        self.pending.begun()
    }

    /// Waits for the call's answer. It is never pending again.
    pub(crate) async fn answer(self) -> Called {
        let pending: &Arc<Pending> = &self.pending;
        loop {
            let ended = match pending.next() {
                Next::Take(outcome) => return Called::Answered(outcome),
                Next::Leave => return Called::Unheard,
                Next::Poll => poll(pending).await,
                Next::Wait(until) => {
                    let told = timeout_at(until, pending.changed.notified()).await.is_ok();
                    (told || Instant::now() < pending.deadline()).then_some(())
                }
            };
            if ended.is_none()
                && let Some(fault) = pending.expire()
            {
                return Called::Faulty(fault);
            }
            // A poll that wakes its own token leaves room for other sessions.
            tokio::task::consume_budget().await;
        }
    }
}

/// Calls poll where the plug-in's handlers are called. None: the deadline has passed.
async fn poll(pending: &Arc<Pending>) -> Option<()> {
    let plugin = pending.plugin();
    match plugin.run {
        Run::Inline => {
            pending.poll_woken();
            // One that wakes its own token each time would have no end else.
            return (Instant::now() < pending.deadline()).then_some(());
        }
        Run::Pool => {
            let polled = pending.clone();
            let free = plugin.pool.when_free(move || polled.poll_woken());
            // Once it has begun it goes on by itself, as a late call does.
            until_deadline(pending, tokio::spawn(free)).await?.ok();
        }
    }
    Some(())
}

/// Waits for something, but not past the deadline as it is in the end.
async fn until_deadline<F: Future>(pending: &Pending, event: F) -> Option<F::Output> {
    let mut event = std::pin::pin!(event);
    loop {
        let deadline = pending.deadline();
        match timeout_at(deadline, &mut event).await {
            Ok(output) => return Some(output),
            Err(_) if pending.deadline() > deadline => {}
            Err(_) => return None,
        }
    }
}
