//! Time that passes: as a future of an asynchronous handler, and for a handler that may block.
//! Knows no deadline; the host does.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::call::{Refusal, check};
use crate::edits::Edits;
use crate::pending::{PendingCall, milliseconds};

/// Ready when time has passed, counted from when it was made. Made by [`Pending::timer`](crate::Pending::timer).
///
/// An error says that the call is over, or has too many timers (64).
#[must_use = "a timer passes when it is awaited"]
pub struct Timer<'a> {
    call: &'a PendingCall,
    due: Instant,
    waiter: Option<u64>,
}

impl fmt::Debug for Timer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("due", &self.due).finish_non_exhaustive()
    }
}

impl<'a> Timer<'a> {
    pub(crate) fn new(call: &'a PendingCall, time: Duration) -> Self {
        Self { call, due: Instant::now() + time, waiter: None }
    }
}

impl Future for Timer<'_> {
    type Output = Result<(), Refusal>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (call, left) = (self.call, self.due.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return Poll::Ready(Ok(()));
        }
        if self.waiter.is_none() {
            let table = call.host.services().timers;
            // SAFETY: host and table belong together; a token may be any number.
            let status =
                unsafe { (table.wake_after)(call.host.handle(), call.token, milliseconds(left)) };
            if let Err(refusal) = check("a timer", status) {
                return Poll::Ready(Err(refusal));
            }
            self.waiter = Some(call.waiter());
        }
        if let Some(waiter) = self.waiter {
            call.wait(waiter, Some(self.due), context.waker());
        }
        Poll::Pending
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter {
            self.call.forget(waiter);
        }
    }
}

impl Edits<'_> {
    /// Blocks this thread until time has passed. For handlers that run on the pool, as all of class `blocking` do.
    ///
    /// # Errors
    /// [`Reason::NotHere`](crate::Reason::NotHere): this thread must not block.
    /// [`Reason::Over`](crate::Reason::Over): the deadline came first.
    pub fn wait(&mut self, time: Duration) -> Result<(), Refusal> {
        // SAFETY: the handle is valid during the lifetime, and of the same host.
        let status =
            unsafe { (self.host().services().timers.wait)(self.handle(), milliseconds(time)) };
        check("to wait", status)
    }
}
