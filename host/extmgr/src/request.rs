//! Requests: work that plug-ins ask for and whose result comes later, to be read when a token is woken.
//! Knows no service; a result that nobody reads goes when its room is needed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use stagepost_abi as abi;

use crate::host::Host;
use crate::token;
use crate::watchdog::is_called_in_line;

/// The last number given out. Never reused and none's but one service's, so that a stale or a wrong one is told.
static LAST: AtomicU64 = AtomicU64::new(0);

/// What a request came to, or the status for the plug-in.
pub(crate) type Found<T> = Result<T, abi::STATUS>;

/// The requests of one plug-in to one service, which find a `T`.
pub(crate) struct Requests<T> {
    /// The most that are under way or not read.
    most: usize,
    open: Mutex<HashMap<abi::EmRequest, Open<T>>>,
}

struct Open<T> {
    /// Woken when it is done.
    token: abi::EmToken,
    found: Option<Found<T>>,
}

/// Refuses to wait on a thread that must not block.
///
/// # Errors
/// The status for the plug-in.
pub(crate) fn check_may_wait() -> Found<()> {
    // The thread serves sessions: all of them would wait for the disk.
    if is_called_in_line() { Err(abi::EM_ERR_STAGE) } else { Ok(()) }
}

impl<T: Send + 'static> Requests<T> {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, open: Mutex::default() }
    }

    /// Begins work; the token is woken when it is done, and its result is to be taken then.
    ///
    /// # Errors
    /// The status for the plug-in: no such token, or too many requests.
    pub(crate) fn begin<W: Future<Output = Found<T>> + Send + 'static>(
        &'static self,
        plugin: &'static Host,
        token: abi::EmToken,
        work: impl FnOnce() -> W,
    ) -> Result<abi::EmRequest, abi::STATUS> {
        let call = token::find(plugin, token)?;
        let request = self.make_room(plugin, token)?;
        let work = work();
        let runtime = call.runtime();
        let mut work = Box::pin(work);
        // What need not wait is done now: nobody else is woken for it.
        let now = {
            let _inside = runtime.enter();
            work.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        };
        match now {
            Poll::Ready(found) => self.end(plugin, token, request, found),
            // What it came to is kept.
            Poll::Pending => drop(runtime.spawn(async move {
                let found = work.await;
                self.end(plugin, token, request, found);
            })),
        }
        Ok(request)
    }

    fn end(
        &self,
        plugin: &'static Host,
        token: abi::EmToken,
        request: abi::EmRequest,
        found: Found<T>,
    ) {
        if let Some(open) = self.open().get_mut(&request) {
            open.found = Some(found);
        }
        // A call that is over needs no waking.
        let _ = token::find(plugin, token).map(|call| call.wake());
    }

    fn make_room(
        &self,
        plugin: &'static Host,
        token: abi::EmToken,
    ) -> Result<abi::EmRequest, abi::STATUS> {
        let mut open = self.open();
        if open.len() >= self.most {
            // Of calls that have ended nobody comes to read.
            open.retain(|_, open| open.found.is_none() || token::find(plugin, open.token).is_ok());
        }
        if open.len() >= self.most {
            return Err(abi::EM_ERR_LIMIT);
        }
        let request = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        open.insert(request, Open { token, found: None });
        Ok(request)
    }

    /// Takes the result of a request, as `read` reads it; what `read` refuses stays. None: taken before, or never made;
    /// for the plug-in that is ERR_MISC_INVALID_ARGS everywhere, since ERR_NOT_FOUND may be a result.
    ///
    /// # Errors
    /// The status for the plug-in: not done yet, what the work failed with, or what `read` says.
    pub(crate) fn take<R>(
        &self,
        request: abi::EmRequest,
        read: impl FnOnce(&T) -> Found<R>,
    ) -> Option<Found<R>> {
        let mut open = self.open();
        let read = match &open.get(&request)?.found {
            None => return Some(Err(abi::EM_PENDING)),
            Some(Ok(found)) => match read(found) {
                Ok(read) => Ok(read),
                Err(status) => return Some(Err(status)),
            },
            Some(Err(status)) => Err(*status),
        };
        open.remove(&request);
        Some(read)
    }

    fn open(&self) -> MutexGuard<'_, HashMap<abi::EmRequest, Open<T>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
