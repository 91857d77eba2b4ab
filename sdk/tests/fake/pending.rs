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
pub(super) struct Known {
    answer: Option<STATUS>,
    wakes: usize,
    /// Timers that were asked for, in milliseconds.
    timers: Vec<u32>,
    /// Look-ups that were asked for.
    questions: Vec<(u32, String)>,
    /// Whether they are answered, and what follows.
    pub(super) answered: bool,
    /// What was asked of the state came to; none where it was taken.
    pub(super) requests: Vec<Option<Result<String, STATUS>>>,
}

pub(super) static TOKENS: Mutex<BTreeMap<EmToken, Known>> = Mutex::new(BTreeMap::new());
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

    /// The timers that it has asked for, in milliseconds.
    pub(crate) fn timers(&self) -> Vec<u32> {
        TOKENS.lock().unwrap()[&self.taken.token].timers.clone()
    }

    /// The look-ups that it has asked for; they are answered from now on.
    pub(crate) fn questions(&self) -> Vec<(u32, String)> {
        let mut tokens = TOKENS.lock().unwrap();
        let known = tokens.get_mut(&self.taken.token).unwrap();
        known.answered = true;
        known.questions.clone()
    }

    /// Has what it asked of the state done; how many requests there were. What it asks later is done at once.
    pub(crate) fn requests(&self) -> usize {
        let mut tokens = TOKENS.lock().unwrap();
        let known = tokens.get_mut(&self.taken.token).unwrap();
        known.answered = true;
        known.requests.len()
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

pub(crate) static TIMERS: EmTimersService = EmTimersService {
    size: size_of::<EmTimersService>() as u32,
    reserved: 0,
    wake_after,
    wait: timers_wait,
};

unsafe extern "C" fn wake_after(_: *mut EmHost, token: EmToken, milliseconds: u32) -> STATUS {
    let mut tokens = TOKENS.lock().unwrap();
    let Some(known) = tokens.get_mut(&token) else { return EM_ERR_OVER };
    if known.timers.len() == 2 {
        return EM_ERR_LIMIT;
    }
    known.timers.push(milliseconds);
    NOERROR
}

unsafe extern "C" fn timers_wait(edits: *mut EmEdits, milliseconds: u32) -> STATUS {
    super::note(edits, format!("wait {milliseconds}"));
    if milliseconds > 1000 { EM_ERR_STAGE } else { NOERROR }
}

pub(crate) static DNS: EmDnsService = EmDnsService {
    size: size_of::<EmDnsService>() as u32,
    reserved: 0,
    ask,
    answer,
    wait: dns_wait,
};

unsafe extern "C" fn ask(
    _: *mut EmHost,
    token: EmToken,
    record_type: u32,
    name: EmText,
    query: *mut u32,
) -> STATUS {
    let mut tokens = TOKENS.lock().unwrap();
    let Some(known) = tokens.get_mut(&token) else { return EM_ERR_OVER };
    let name = super::read(name);
    if name.contains(' ') {
        return ERR_MISC_INVALID_ARGS;
    }
    known.questions.push((record_type, name));
    super::write(query, Some(known.questions.len() as u32 - 1))
}

unsafe extern "C" fn answer(
    _: *mut EmHost,
    token: EmToken,
    query: u32,
    value: *mut *const EmDnsAnswer,
) -> STATUS {
    let tokens = TOKENS.lock().unwrap();
    let Some(known) = tokens.get(&token) else { return EM_ERR_OVER };
    if !known.answered {
        return EM_PENDING;
    }
    let (record_type, name) = &known.questions[query as usize];
    super::write(value, Some(zone(*record_type, name)))
}

unsafe extern "C" fn dns_wait(
    edits: *mut EmEdits,
    record_type: u32,
    name: EmText,
    value: *mut *const EmDnsAnswer,
) -> STATUS {
    let name = super::read(name);
    super::note(edits, format!("dns_wait {record_type} {name}"));
    if name == "refused.test" {
        EM_ERR_STAGE
    } else {
        super::write(value, Some(zone(record_type, &name)))
    }
}

/// What the fake host knows. Lent for good.
fn zone(record_type: u32, name: &str) -> *const EmDnsAnswer {
    let value: &[&'static [u8]] = match (record_type, name) {
        (EM_DNS_A, "a.test") => &[b"192.0.2.1", b"not an address"],
        (EM_DNS_AAAA, "a.test") => &[b"2001:db8::1"],
        (EM_DNS_MX, "a.test") => &[b"mx.a.test"],
        (EM_DNS_TXT, "a.test") => &[b"a\0\xff", b""],
        (EM_DNS_PTR, "192.0.2.1") => &[b"a.test"],
        _ => &[],
    };
    let record = |value: &&'static [u8]| EmDnsRecord {
        value: super::text(value),
        preference: if record_type == EM_DNS_MX { 10 } else { 0 },
        reserved: [0; 3],
    };
    let records: &'static [EmDnsRecord] = Box::leak(value.iter().map(record).collect());
    let outcome = match name {
        _ if !records.is_empty() => EM_DNS_FOUND,
        "nobody.test" => EM_DNS_NO_NAME,
        "a.test" => EM_DNS_NO_DATA,
        "newer.test" => 99,
        _ => EM_DNS_TROUBLE,
    };
    Box::leak(Box::new(EmDnsAnswer {
        size: if name == "short.test" { 8 } else { size_of::<EmDnsAnswer>() as u32 },
        outcome,
        records: records.as_ptr(),
        count: records.len() as u64,
        ttl_s: 60,
        reserved: 0,
    }))
}
