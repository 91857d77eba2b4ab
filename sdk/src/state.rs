//! What the plug-in keeps beyond the process: values by key, durable.
//! Knows no key.

use std::ffi::c_void;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use stagepost_abi::{
    EM_ERR_LIMIT, EM_STATE_KEY_MAX, EM_STATE_VALUE_MAX, ERR_NOT_FOUND, EmStateDone, EmStateService,
    EmText, NOERROR, STATUS,
};

use crate::call::{Refusal, check};
use crate::host::Host;
use crate::text::{lend, octets};

/// The plug-in's durable state. Keys have 1 to 256 octets and their octets' order, values up to 65,536.
///
/// The functions named `_wait` block, and are refused ([`Reason::NotHere`](crate::Reason::NotHere)) in a handler that is
/// called in line. The others are for asynchronous handlers; each begins at once.
/// [`Reason::Unreadable`](crate::Reason::Unreadable) says that the disk fails: whether a change was made is then not known.
#[derive(Clone, Copy)]
pub struct State {
    host: Host,
    table: &'static EmStateService,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

impl Host {
    /// The plug-in's durable state; a host may be without it.
    pub fn state(&self) -> Option<State> {
        let table = self.services().state?;
        Some(State { host: *self, table })
    }
}

impl State {
    /// Reads a value; `None` when there is none.
    pub fn get_wait(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        let mut value = vec![0; EM_STATE_VALUE_MAX as usize];
        let mut length = 0;
        // SAFETY: host and table belong together; the key is lent for the call; the buffer has room for its length.
        let status = unsafe {
            (self.table.get_wait)(
                self.host.handle(),
                lend(key),
                value.as_mut_ptr().cast(),
                value.len() as u64,
                &raw mut length,
            )
        };
        found("get_wait", status, value, length)
    }

    /// Puts a value in the place of any other; it is on disk when this returns.
    pub fn put_wait(&self, key: &[u8], value: &[u8]) -> Result<(), Refusal> {
        // SAFETY: host and table belong together; key and value are lent for the call.
        let status = unsafe { (self.table.put_wait)(self.host.handle(), lend(key), lend(value)) };
        check("put_wait", status)
    }

    /// Removes a value, if there is one; that is on disk when this returns.
    pub fn remove_wait(&self, key: &[u8]) -> Result<(), Refusal> {
        // SAFETY: host and table belong together; the key is lent for the call.
        check("remove_wait", unsafe { (self.table.remove_wait)(self.host.handle(), lend(key)) })
    }

    /// Finds the first key behind `after` that begins with `prefix`; both may be empty.
    pub fn next_wait(&self, prefix: &[u8], after: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        let mut key = vec![0; EM_STATE_KEY_MAX as usize];
        let mut length = 0;
        // SAFETY: host and table belong together; prefix and after are lent for the call; the buffer has room for its
        // length.
        let status = unsafe {
            (self.table.next_wait)(
                self.host.handle(),
                lend(prefix),
                lend(after),
                key.as_mut_ptr().cast(),
                key.len() as u64,
                &raw mut length,
            )
        };
        found("next_wait", status, key, length)
    }

    /// Reads a value; `None` when there is none.
    pub fn get(&self, key: &[u8]) -> StateFound {
        // SAFETY: host and table belong together; the key is lent for the call; `told` takes the context.
        StateFound(StateCall::begin("get", |done, context| unsafe {
            (self.table.get)(self.host.handle(), lend(key), done, context)
        }))
    }

    /// Puts a value in the place of any other; it is on disk when this is ready.
    pub fn put(&self, key: &[u8], value: &[u8]) -> StateChanged {
        // SAFETY: as above; the value is lent for the call too.
        StateChanged(StateCall::begin("put", |done, context| unsafe {
            (self.table.put)(self.host.handle(), lend(key), lend(value), done, context)
        }))
    }

    /// Removes a value, if there is one; that is on disk when this is ready.
    pub fn remove(&self, key: &[u8]) -> StateChanged {
        // SAFETY: as above.
        StateChanged(StateCall::begin("remove", |done, context| unsafe {
            (self.table.remove)(self.host.handle(), lend(key), done, context)
        }))
    }

    /// Finds the first key behind `after` that begins with `prefix`; both may be empty.
    pub fn next(&self, prefix: &[u8], after: &[u8]) -> StateFound {
        // SAFETY: as above, for prefix and after.
        StateFound(StateCall::begin("next", |done, context| unsafe {
            (self.table.next)(self.host.handle(), lend(prefix), lend(after), done, context)
        }))
    }
}

/// What a waiting call has written to its buffer.
fn found(
    call: &'static str,
    status: STATUS,
    mut buffer: Vec<u8>,
    length: u64,
) -> Result<Option<Vec<u8>>, Refusal> {
    if status == ERR_NOT_FOUND {
        return Ok(None);
    }
    check(call, status)?;
    // A host that writes more than there is room for has broken its contract.
    let length = usize::try_from(length).ok().filter(|length| *length <= buffer.len());
    let Some(length) = length else {
        return check(call, EM_ERR_LIMIT).map(|()| None);
    };
    buffer.truncate(length);
    Ok(Some(buffer))
}

/// What becomes of a call, and who waits for it.
#[derive(Default)]
struct Told {
    outcome: Option<(STATUS, Vec<u8>)>,
    waker: Option<Waker>,
}

/// A call that was begun.
struct StateCall {
    call: &'static str,
    told: Arc<Mutex<Told>>,
}

impl StateCall {
    fn begin(call: &'static str, begin: impl FnOnce(EmStateDone, *mut c_void) -> STATUS) -> Self {
        let shared = Arc::new(Mutex::new(Told::default()));
        let context = Arc::into_raw(shared.clone());
        let status = begin(Some(told), context.cast_mut().cast());
        if status != NOERROR {
            // SAFETY: made by `into_raw` above; the host tells nobody what it has not begun.
            drop(unsafe { Arc::from_raw(context) });
            lock(&shared).outcome = Some((status, Vec::new()));
        }
        Self { call, told: shared }
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Result<Option<Vec<u8>>, Refusal>> {
        let mut told = lock(&self.told);
        let Some((status, value)) = told.outcome.take() else {
            told.waker = Some(context.waker().clone());
            return Poll::Pending;
        };
        Poll::Ready(match status {
            ERR_NOT_FOUND => Ok(None),
            status => check(self.call, status).map(|()| Some(value)),
        })
    }
}

fn lock(told: &Mutex<Told>) -> std::sync::MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

/// # Safety
///
/// `context` is what `StateCall::begin` gave to the host, which calls this once, with a value lent for the call.
unsafe extern "C" fn told(status: STATUS, value: EmText, context: *mut c_void) {
    // SAFETY: made by `into_raw` in `begin`, and told once.
    let shared = unsafe { Arc::from_raw(context.cast::<Mutex<Told>>().cast_const()) };
    // SAFETY: lent until we return.
    let outcome = match unsafe { octets(value) } {
        Ok(value) => (status, value.to_vec()),
        Err(_) => (EM_ERR_LIMIT, Vec::new()),
    };
    let waker = {
        let mut told = lock(&shared);
        told.outcome = Some(outcome);
        told.waker.take()
    };
    if let Some(waker) = waker {
        // A waker is code of whoever polls; a panic of it must not go on into the host.
        let _ = crate::boundary::catch(|| waker.wake());
    }
}

/// A value or key to come.
#[must_use = "what was found is told to whoever awaits it"]
pub struct StateFound(StateCall);

/// A change to come.
#[must_use = "it is on disk only when this is ready"]
pub struct StateChanged(StateCall);

impl Future for StateFound {
    type Output = Result<Option<Vec<u8>>, Refusal>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(context)
    }
}

impl Future for StateChanged {
    type Output = Result<(), Refusal>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(context).map(|found| found.map(drop))
    }
}
