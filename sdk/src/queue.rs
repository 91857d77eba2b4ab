//! Mail that waits, by its destination: counted, held, released, flushed.
//! Knows no message; nothing here reads the whole queue.

use std::fmt;
use std::future::Future;

use stagepost_abi::{EmHost, EmQueueCount, EmQueueService, EmRequest, EmToken, NOERROR, STATUS};

use crate::call::{Refusal, check};
use crate::pending::Pending;
use crate::request::Asking;
use crate::text::lend;

/// The queue, to be kept by the plug-in. Any thread.
///
/// A destination is the domain of the recipients or an address literal, in any case; with `@` before it a domain and all
/// domains below it; with `#` before it a queue that routes name in the configuration. `hold`, `release` and `flush` need the edit `queue`, and are for what waits now.
///
/// What ends in `_wait` waits for the disk: for handlers of class blocking and threads of the plug-in's own. The others are
/// for [`AsyncPlugin`](crate::AsyncPlugin): they begin at once, and their futures are to be awaited in the handler whose
/// `call` they are given.
#[derive(Clone, Copy)]
pub struct Queue {
    host: *mut EmHost,
    table: &'static EmQueueService,
}

// SAFETY: the handle is opaque and valid until the process ends; all functions of the table are [any-thread].
unsafe impl Send for Queue {}
// SAFETY: as for Send.
unsafe impl Sync for Queue {}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

/// How much waits for a destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Deliveries that are due or will be.
    pub queued: u64,
    /// Deliveries of which all recipients are held.
    pub held: u64,
    /// Octets of the messages of both.
    pub octets: u64,
}

impl Queue {
    /// # Safety
    ///
    /// `host` was given to em_entry, and `table` was found with it.
    pub(crate) unsafe fn new(host: *mut EmHost, table: &'static EmQueueService) -> Self {
        Self { host, table }
    }

    /// Counts what waits.
    ///
    /// # Errors
    /// What the host says: [`Reason::NotHere`](crate::Reason::NotHere) on a thread that must not block,
    /// [`Reason::Unreadable`](crate::Reason::Unreadable) while the queue is not available.
    pub fn count_wait(&self, destination: &str) -> Result<Count, Refusal> {
        self.wait("count", |table, host, count| {
            // SAFETY: host and table belong together; the text is lent for the call, and there is room for the count.
            unsafe { (table.count_wait)(host, lend(destination.as_bytes()), count) }
        })
    }

    /// Keeps what waits undelivered until it is released; how many deliveries that are.
    ///
    /// - reason: for the operator, 1 to 256 printable ASCII octets.
    ///
    /// # Errors
    /// As [`count_wait`](Self::count_wait), or that the plug-in does not declare `queue`.
    pub fn hold_wait(&self, destination: &str, reason: &str) -> Result<u64, Refusal> {
        let (destination, reason) = (lend(destination.as_bytes()), lend(reason.as_bytes()));
        let held = self.wait("hold", |table, host, count| {
            // SAFETY: host and table belong together; the texts are lent for the call, and there is room for the count.
            unsafe { (table.hold_wait)(host, destination, reason, count) }
        });
        held.map(|count| count.queued)
    }

    /// Ends every hold on mail for the destination, whoever began it; how many deliveries that are.
    ///
    /// # Errors
    /// As [`hold_wait`](Self::hold_wait).
    pub fn release_wait(&self, destination: &str) -> Result<u64, Refusal> {
        let released = self.wait("release", |table, host, count| {
            // SAFETY: host and table belong together; the text is lent for the call, and there is room for the count.
            unsafe { (table.release_wait)(host, lend(destination.as_bytes()), count) }
        });
        released.map(|count| count.queued)
    }

    /// Has everything that waits tried now; how many deliveries that are.
    ///
    /// # Errors
    /// As [`hold_wait`](Self::hold_wait).
    pub fn flush_wait(&self, destination: &str) -> Result<u64, Refusal> {
        let flushed = self.wait("flush", |table, host, count| {
            // SAFETY: host and table belong together; the text is lent for the call, and there is room for the count.
            unsafe { (table.flush_wait)(host, lend(destination.as_bytes()), count) }
        });
        flushed.map(|count| count.queued)
    }

    /// As [`count_wait`](Self::count_wait), without a thread that waits.
    ///
    /// # Errors
    /// Those, and [`Reason::Limit`](crate::Reason::Limit) for too many requests at once.
    pub fn count(
        &self,
        call: &Pending,
        destination: &str,
    ) -> impl Future<Output = Result<Count, Refusal>> + Send + use<> {
        self.begin("count", call, |token, request| {
            // SAFETY: host and table belong together; the text is lent for the call; a token may be any number.
            unsafe { (self.table.count)(self.host, token, lend(destination.as_bytes()), request) }
        })
    }

    /// As [`hold_wait`](Self::hold_wait), without a thread that waits.
    ///
    /// # Errors
    /// Those, and [`Reason::Limit`](crate::Reason::Limit) for too many requests at once.
    pub fn hold(
        &self,
        call: &Pending,
        destination: &str,
        reason: &str,
    ) -> impl Future<Output = Result<u64, Refusal>> + Send + use<> {
        let (destination, reason) = (lend(destination.as_bytes()), lend(reason.as_bytes()));
        moved(self.begin("hold", call, |token, request| {
            // SAFETY: as in `count`.
            unsafe { (self.table.hold)(self.host, token, destination, reason, request) }
        }))
    }

    /// As [`release_wait`](Self::release_wait), without a thread that waits.
    ///
    /// # Errors
    /// Those, and [`Reason::Limit`](crate::Reason::Limit) for too many requests at once.
    pub fn release(
        &self,
        call: &Pending,
        destination: &str,
    ) -> impl Future<Output = Result<u64, Refusal>> + Send + use<> {
        let destination = lend(destination.as_bytes());
        moved(self.begin("release", call, |token, request| {
            // SAFETY: as in `count`.
            unsafe { (self.table.release)(self.host, token, destination, request) }
        }))
    }

    /// As [`flush_wait`](Self::flush_wait), without a thread that waits.
    ///
    /// # Errors
    /// Those, and [`Reason::Limit`](crate::Reason::Limit) for too many requests at once.
    pub fn flush(
        &self,
        call: &Pending,
        destination: &str,
    ) -> impl Future<Output = Result<u64, Refusal>> + Send + use<> {
        let destination = lend(destination.as_bytes());
        moved(self.begin("flush", call, |token, request| {
            // SAFETY: as in `count`.
            unsafe { (self.table.flush)(self.host, token, destination, request) }
        }))
    }

    fn wait(
        &self,
        call: &'static str,
        ask: impl FnOnce(&EmQueueService, *mut EmHost, *mut EmQueueCount) -> STATUS,
    ) -> Result<Count, Refusal> {
        let mut count = empty();
        check(call, ask(self.table, self.host, &raw mut count))?;
        Ok(read(count))
    }

    fn begin(
        &self,
        name: &'static str,
        call: &Pending,
        ask: impl FnOnce(EmToken, *mut EmRequest) -> STATUS,
    ) -> Asking<Self, Count> {
        Asking::begin(name, call, ask, *self, Self::result)
    }

    fn result(&self, request: EmRequest) -> Result<Count, STATUS> {
        let mut count = empty();
        // SAFETY: host and table belong together; a request may be any number, and there is room for the count.
        match unsafe { (self.table.result)(self.host, request, &raw mut count) } {
            NOERROR => Ok(read(count)),
            status => Err(status),
        }
    }
}

async fn moved(asking: Asking<Queue, Count>) -> Result<u64, Refusal> {
    asking.await.map(|count| count.queued)
}

fn empty() -> EmQueueCount {
    let size = size_of::<EmQueueCount>() as u32;
    EmQueueCount { size, reserved: 0, queued: 0, held: 0, octets: 0 }
}

fn read(count: EmQueueCount) -> Count {
    let EmQueueCount { queued, held, octets, .. } = count;
    Count { queued, held, octets }
}
