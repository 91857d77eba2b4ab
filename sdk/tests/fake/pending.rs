//! The async service of the fake host: calls that a test makes, wakes and ends by hand.
//! Knows one call of a thread at a time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use stagepost_abi::*;

use super::Fake;

/// What is known of a token, on whatever thread.
#[derive(Default)]
struct Known {
    answer: Option<STATUS>,
    wakes: usize,
}

static TOKENS: Mutex<BTreeMap<EmToken, Known>> = Mutex::new(BTreeMap::new());
static WOKEN: Condvar = Condvar::new();

thread_local! {
    /// What the handler that runs on this thread has handed over with its token.
    static TAKEN: RefCell<Option<Taken>> = const { RefCell::new(None) };
}

struct Taken {
    token: EmToken,
    poll: EmPoll,
    data: *mut c_void,
    release: EmRelease,
}

/// A call that went pending. Its record and event live as long as it does.
pub(crate) struct Call<T> {
    record: Box<EMRECORD>,
    _arguments: Box<T>,
    taken: Taken,
}

impl Fake {
    /// Calls the asynchronous handler of an event, which must go pending.
    pub(crate) fn begin<T>(&self, event: EID, arguments: T) -> Call<T> {
        let arguments = Box::new(arguments);
        let (handler, record) = self.record(event, EM_BEFORE, ptr::from_ref(&*arguments).cast());
        let record = Box::new(record);
        // SAFETY: record and event are valid until the call is dropped; the handler is registered with this user data.
        assert_eq!(unsafe { handler.unwrap()(&raw const *record) }, EM_PENDING);
        let taken = TAKEN.take().expect("a handler that goes pending takes a token");
        Call { record, _arguments: arguments, taken }
    }
}

impl<T> Call<T> {
    /// The answer, if `complete` gave one.
    pub(crate) fn answer(&self) -> Option<STATUS> {
        TOKENS.lock().unwrap()[&self.taken.token].answer
    }

    /// How often it was woken since the last time.
    pub(crate) fn wakes(&self) -> usize {
        let mut tokens = TOKENS.lock().unwrap();
        std::mem::take(&mut tokens.get_mut(&self.taken.token).unwrap().wakes)
    }

    /// Waits until another thread has woken it.
    pub(crate) fn woken(&self) {
        let tokens = TOKENS.lock().unwrap();
        let asleep = |tokens: &mut BTreeMap<EmToken, Known>| tokens[&self.taken.token].wakes == 0;
        let patience = Duration::from_secs(20);
        let (tokens, waited) = WOKEN.wait_timeout_while(tokens, patience, asleep).unwrap();
        assert!(!waited.timed_out());
        drop(tokens);
        self.wakes();
    }

    /// Polls it, as the host does when it was woken or is over.
    pub(crate) fn poll(&self, reason: u32) -> STATUS {
        // SAFETY: the record is valid, data came with poll and is not released, and nobody else polls.
        unsafe { self.taken.poll.unwrap()(&raw const *self.record, self.taken.data, reason) }
    }
}

impl<T> Drop for Call<T> {
    fn drop(&mut self) {
        TOKENS.lock().unwrap().remove(&self.taken.token);
        // SAFETY: data came with release, and this happens once.
        unsafe { self.taken.release.unwrap()(self.taken.data) };
    }
}

pub(crate) static ASYNC: EmAsyncService = EmAsyncService {
    size: size_of::<EmAsyncService>() as u32,
    reserved: 0,
    pending,
    complete,
    wake,
    extend,
};

unsafe extern "C" fn pending(
    _: *mut EmEdits,
    poll: EmPoll,
    data: *mut c_void,
    release: EmRelease,
    token: *mut EmToken,
) -> STATUS {
    let mut tokens = TOKENS.lock().unwrap();
    let fresh = tokens.keys().next_back().map_or(1, |last| last + 1);
    tokens.insert(fresh, Known::default());
    TAKEN.replace(Some(Taken { token: fresh, poll, data, release }));
    super::write(token, Some(fresh))
}

unsafe extern "C" fn complete(_: *mut EmHost, token: EmToken, status: STATUS) -> STATUS {
    let mut tokens = TOKENS.lock().unwrap();
    let Some(known) = tokens.get_mut(&token) else { return EM_ERR_OVER };
    assert_eq!(known.answer.replace(status), None, "the SDK answers once");
    NOERROR
}

unsafe extern "C" fn wake(_: *mut EmHost, token: EmToken) -> STATUS {
    let mut tokens = TOKENS.lock().unwrap();
    let Some(known) = tokens.get_mut(&token) else { return EM_ERR_OVER };
    known.wakes += 1;
    WOKEN.notify_all();
    NOERROR
}

unsafe extern "C" fn extend(_: *mut EmHost, token: EmToken, milliseconds: u32) -> STATUS {
    if !TOKENS.lock().unwrap().contains_key(&token) {
        return EM_ERR_OVER;
    }
    if milliseconds > 1000 { EM_ERR_LIMIT } else { NOERROR }
}
