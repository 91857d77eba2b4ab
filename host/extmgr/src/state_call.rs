//! One asynchronous call of the state service: it waits for its place, is made on a thread that may block, and told.
//! Knows how many there may be; what is asked of the store is given as a closure.

use std::ffi::c_void;
use std::sync::Arc;

use stagepost_abi as abi;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::arguments::lend;
use crate::pool::Out;

/// The most calls of one plug-in under way.
const UNDER_WAY_MAX: usize = 256;
/// How many of them are made at once.
pub const STATE_CALLS_MAX: usize = 4;

/// What a call finds: octets, if it looks for some.
pub(crate) type Found = Result<Vec<u8>, abi::STATUS>;

/// Tells a plug-in, known not to be NULL.
pub(crate) type Done =
    unsafe extern "C" fn(status: abi::STATUS, value: abi::EmText, context: *mut c_void);

/// Whom to tell. Told exactly once, also when the call is lost with the runtime.
pub(crate) struct Teller {
    done: Done,
    context: *mut c_void,
    told: bool,
}

// SAFETY: the contract lets `done` be called with its context from any thread.
unsafe impl Send for Teller {}

impl Teller {
    pub(crate) fn new(done: Done, context: *mut c_void) -> Self {
        Self { done, context, told: false }
    }

    /// Takes the duty back: the plug-in is told by the status of its call.
    fn release(mut self) {
        self.told = true;
    }

    fn tell(&mut self, found: Found) {
        self.told = true;
        let (status, value) = match found {
            Ok(value) => (abi::NOERROR, value),
            Err(status) => (status, Vec::new()),
        };
        // SAFETY: `done` and context came together, the plug-in stays mapped for ever, and this happens once.
        unsafe { (self.done)(status, lend(&value), self.context) };
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        if !self.told {
            // The server ends.
            self.tell(Err(abi::EM_ERR_IO));
        }
    }
}

/// The places of one plug-in's calls.
pub(crate) struct StateCalls {
    under_way: Arc<Semaphore>,
    at_once: Arc<Semaphore>,
}

impl Default for StateCalls {
    fn default() -> Self {
        Self {
            under_way: Arc::new(Semaphore::new(UNDER_WAY_MAX)),
            at_once: Arc::new(Semaphore::new(STATE_CALLS_MAX)),
        }
    }
}

impl StateCalls {
    /// Begins a call.
    ///
    /// # Errors
    /// Too many are under way, or there is no runtime to make it; then nobody is told.
    pub(crate) fn begin(
        &self,
        runtime: Option<&Handle>,
        mut teller: Teller,
        make: impl FnOnce() -> Found + Send + 'static,
    ) -> Result<(), abi::STATUS> {
        let Some(runtime) = runtime else {
            teller.release();
            return Err(abi::EM_ERR_STAGE);
        };
        let Ok(place) = self.under_way.clone().try_acquire_owned() else {
            teller.release();
            return Err(abi::EM_ERR_LIMIT);
        };
        let at_once = self.at_once.clone();
        // It tells by itself.
        drop(runtime.spawn(async move {
            // Never closed.
            let turn = at_once.acquire_owned().await;
            let call = tokio::task::spawn_blocking(move || {
                let out = Out::begin();
                let found = make();
                // Free before the plug-in knows: it may begin the next.
                drop((place, turn));
                teller.tell(found);
                drop(out);
            });
            // What it came to was told.
            drop(call.await);
        }));
        Ok(())
    }
}
