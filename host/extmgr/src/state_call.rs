//! Calls of the state service: each is made on a thread that may block, few at once.
//! Knows no key and no store: what is asked is given as a closure.

use std::sync::Arc;

use stagepost_abi as abi;
use tokio::sync::Semaphore;

use crate::request::Found;

/// How many requests of one plug-in to its state are made at once.
pub const STATE_CALLS_MAX: usize = 4;

/// The turns of one plug-in's requests to its state.
pub(crate) struct StateCalls(Arc<Semaphore>);

impl Default for StateCalls {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(STATE_CALLS_MAX)))
    }
}

impl StateCalls {
    /// Makes a call when it is its turn. In a tokio runtime.
    pub(crate) fn make(
        &self,
        make: impl FnOnce() -> Found<Vec<u8>> + Send + 'static,
    ) -> impl Future<Output = Found<Vec<u8>>> + Send + 'static {
        let turns = self.0.clone();
        async move {
            // Never closed.
            let turn = turns.acquire_owned().await;
            let call = tokio::task::spawn_blocking(move || {
                let found = make();
                drop(turn);
                found
            });
            // The server ends, or the store panicked, which was reported when it happened.
            call.await.unwrap_or(Err(abi::EM_ERR_IO))
        }
    }
}
