//! The call of an asynchronous handler: what its futures wait with, and how it gets more time.
//! Knows neither handler nor future.

use std::fmt;
use std::sync::Arc;
use std::task::Wake;
use std::time::Duration;

use stagepost_abi::{EmAsyncService, EmHost, EmToken, STATUS};

use crate::call::{Refusal, check};

/// The call of an asynchronous handler, as long as it lasts.
///
/// Whatever its future waits for wakes it in the usual way, from any thread: by the [`Waker`](std::task::Waker) of its
/// context. There is no runtime behind it: what needs one, such as a socket of tokio, brings its own.
pub struct Pending {
    pub(crate) call: Arc<PendingCall>,
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}

impl Pending {
    /// Lets the call take at least so long from now on; a deadline that is later already stays.
    ///
    /// # Errors
    /// [`Reason::Limit`](crate::Reason::Limit): more than the operator allows (`deadline_max_ms`); nothing is changed.
    /// [`Reason::Over`](crate::Reason::Over): the deadline has passed, or the client is gone.
    pub fn extend(&self, time: Duration) -> Result<(), Refusal> {
        let call = &self.call;
        // SAFETY: host and table belong together; a token may be any number.
        let status = unsafe { (call.table.extend)(call.host, call.token, milliseconds(time)) };
        check("extend", status)
    }
}

/// Whole milliseconds that are no less.
pub(crate) fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

/// A pending call by its token: a number, so that whoever still has it when the call has ended does no harm.
pub(crate) struct PendingCall {
    pub(crate) host: *mut EmHost,
    pub(crate) table: &'static EmAsyncService,
    pub(crate) token: EmToken,
}

// SAFETY: the handle is opaque and valid until the process ends; what is done with it here is [any-thread].
unsafe impl Send for PendingCall {}
// SAFETY: as for Send.
unsafe impl Sync for PendingCall {}

impl PendingCall {
    pub(crate) fn complete(&self, status: STATUS) -> STATUS {
        // SAFETY: host and table belong together; a token may be any number.
        unsafe { (self.table.complete)(self.host, self.token, status) }
    }
}

impl Wake for PendingCall {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Nothing is to be done if the call is over.
        // SAFETY: host and table belong together; a token may be any number.
        unsafe { (self.table.wake)(self.host, self.token) };
    }
}
