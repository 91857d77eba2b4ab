//! The call of an asynchronous handler: what its futures wait with, and how it gets more time.
//! Knows no handler, and of its futures only whom to wake.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use stagepost_abi::{EmAsyncService, EmToken, STATUS};

use crate::call::{Refusal, check};
use crate::dns::Dns;
use crate::host::Host;
use crate::timer::Timer;

/// The call of an asynchronous handler, as long as it lasts.
///
/// Whatever its future waits for wakes it in the usual way, from any thread: by the [`Waker`] of its context. There is no
/// runtime behind it: what needs one, such as a socket of tokio, brings its own.
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
        let status =
            unsafe { (call.table.extend)(call.host.handle(), call.token, milliseconds(time)) };
        check("extend", status)
    }

    /// Waits until time has passed. That does not put the deadline off: [`extend`](Self::extend) does.
    pub fn timer(&self, time: Duration) -> Timer<'_> {
        Timer::new(&self.call, time)
    }

    /// Looks names up.
    pub fn dns(&self) -> Dns<'_> {
        Dns { call: &self.call }
    }
}

/// Whole milliseconds that are no less.
pub(crate) fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

/// A pending call by its token: a number, so that whoever still has it when the call has ended does no harm.
pub(crate) struct PendingCall {
    pub(crate) host: Host,
    pub(crate) table: &'static EmAsyncService,
    pub(crate) token: EmToken,
    waiters: Mutex<Waiters>,
    /// True while the waiters are woken: the future is polled right afterwards.
    waking: AtomicBool,
}

/// Parts of the future that wait for the host, which wakes nobody but the whole.
#[derive(Default)]
struct Waiters {
    last: u64,
    all: Vec<Waiter>,
}

struct Waiter {
    id: u64,
    /// When it is to be woken; none: whenever the host has something to tell.
    due: Option<Instant>,
    waker: Waker,
}

impl PendingCall {
    pub(crate) fn new(host: Host, table: &'static EmAsyncService, token: EmToken) -> Self {
        let waking = AtomicBool::new(false);
        Self { host, table, token, waiters: Mutex::default(), waking }
    }

    pub(crate) fn complete(&self, status: STATUS) -> STATUS {
        // SAFETY: host and table belong together; a token may be any number.
        unsafe { (self.table.complete)(self.host.handle(), self.token, status) }
    }

    /// A name for one who waits.
    pub(crate) fn waiter(&self) -> u64 {
        let mut waiters = self.waiters();
        waiters.last += 1;
        waiters.last
    }

    /// Has one woken who waits; the last waker counts.
    pub(crate) fn wait(&self, id: u64, due: Option<Instant>, waker: &Waker) {
        let waiter = Waiter { id, due, waker: waker.clone() };
        let mut waiters = self.waiters();
        match waiters.all.iter_mut().find(|known| known.id == id) {
            Some(known) => *known = waiter,
            None => waiters.all.push(waiter),
        }
    }

    /// Forgets one who waits no more.
    pub(crate) fn forget(&self, id: u64) {
        let mut waiters = self.waiters();
        let place = waiters.all.iter().position(|known| known.id == id);
        let forgotten = place.map(|place| waiters.all.swap_remove(place));
        drop(waiters);
        // Outside the lock: a waker is anybody's code.
        drop(forgotten);
    }

    /// Wakes those who have something to look for, before the future is polled.
    pub(crate) fn wake_waiters(&self) {
        let now = Instant::now();
        let ready = |waiter: &mut Waiter| waiter.due.is_none_or(|due| due <= now);
        let woken: Vec<Waiter> = self.waiters().all.extract_if(.., ready).collect();
        self.waking.store(true, Ordering::Relaxed);
        woken.into_iter().for_each(|waiter| waiter.waker.wake());
        self.waking.store(false, Ordering::Relaxed);
        // Whoever was kept from waking has written before what the future is going to read: by this fence and that of
        // `wake_by_ref`, either it saw that nobody is woken any more, or the future sees what it wrote.
        fence(Ordering::SeqCst);
    }

    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for PendingCall {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // See `wake_waiters`.
        fence(Ordering::SeqCst);
        if self.waking.load(Ordering::Relaxed) {
            return;
        }
        // Nothing is to be done if the call is over.
        // SAFETY: host and table belong together; a token may be any number.
        unsafe { (self.table.wake)(self.host.handle(), self.token) };
    }
}
