//! The state service: a plug-in's values by key, in the program's store.

use std::ffi::c_char;
use std::sync::Arc;

use stagepost_abi as abi;

use crate::arguments::size_of_u32;
use crate::base::answer;
use crate::host::Host;
use crate::hosted::{StateError, StateStore};
use crate::request::{Found, check_may_wait};

/// The most requests of one plug-in that are under way or not read.
pub(crate) const REQUESTS_MAX: usize = 256;

pub(super) static TABLE: abi::EmStateService = abi::EmStateService {
    size: size_of_u32::<abi::EmStateService>(),
    reserved: 0,
    get_wait,
    put_wait,
    remove_wait,
    next_wait,
    get,
    put,
    remove,
    next,
    result,
};

/// What is asked of the store.
enum Question {
    Get(Vec<u8>),
    Put(Vec<u8>, Vec<u8>),
    Remove(Vec<u8>),
    Next { prefix: Vec<u8>, after: Vec<u8> },
}

impl Question {
    fn ask(self, host: &Host, store: &dyn StateStore) -> Found<Vec<u8>> {
        let plugin = &*host.name;
        let failed = |error: StateError| match error {
            StateError::Full(_) => abi::EM_ERR_LIMIT,
            StateError::Store(reason) => {
                tracing::error!(plugin, "the state of a plug-in: {reason}");
                abi::EM_ERR_IO
            }
        };
        match self {
            Self::Get(key) => store.get(plugin, &key).map_err(failed)?.ok_or(abi::ERR_NOT_FOUND),
            Self::Put(key, value) => {
                store.put(plugin, &key, &value, host.state_octets_max).map_err(failed)?;
                Ok(Vec::new())
            }
            Self::Remove(key) => {
                store.remove(plugin, &key).map_err(failed)?;
                Ok(Vec::new())
            }
            Self::Next { prefix, after } => {
                store.next(plugin, &prefix, &after).map_err(failed)?.ok_or(abi::ERR_NOT_FOUND)
            }
        }
    }
}

/// The plug-in and its store.
///
/// # Safety
/// `host` is what em_entry was given.
unsafe fn asked(
    host: *mut abi::EmHost,
) -> Result<(&'static Host, Arc<dyn StateStore>), abi::STATUS> {
    // SAFETY: by the caller's promise.
    let host = unsafe { Host::from_handle(host) }.ok_or(abi::ERR_MISC_INVALID_ARGS)?;
    let store = host.hosted().state.clone().ok_or(abi::ERR_NOT_FOUND)?;
    Ok((host, store))
}

/// Octets of a plug-in's, bounded and copied.
///
/// # Safety
/// `text` is lent for the call.
unsafe fn taken(text: abi::EmText, least: u64, most: u64) -> Result<Vec<u8>, abi::STATUS> {
    if text.len < least || text.len > most {
        return Err(abi::ERR_MISC_INVALID_ARGS);
    }
    // SAFETY: by the caller's promise.
    unsafe { super::octets(text) }.map(<[u8]>::to_vec)
}

/// A key.
///
/// # Safety
/// As [`taken`].
unsafe fn key(text: abi::EmText) -> Result<Vec<u8>, abi::STATUS> {
    // SAFETY: by the caller's promise.
    unsafe { taken(text, 1, abi::EM_STATE_KEY_MAX) }
}

/// A value.
///
/// # Safety
/// As [`taken`].
unsafe fn value(text: abi::EmText) -> Result<Vec<u8>, abi::STATUS> {
    // SAFETY: by the caller's promise.
    unsafe { taken(text, 0, abi::EM_STATE_VALUE_MAX) }
}

/// Where to look for the next key.
///
/// # Safety
/// As [`taken`].
unsafe fn next_question(prefix: abi::EmText, after: abi::EmText) -> Result<Question, abi::STATUS> {
    // SAFETY: by the caller's promise.
    let (prefix, after) = unsafe {
        (taken(prefix, 0, abi::EM_STATE_KEY_MAX)?, taken(after, 0, abi::EM_STATE_KEY_MAX)?)
    };
    Ok(Question::Next { prefix, after })
}

/// Asks on this thread, which must not be one that serves sessions.
///
/// # Safety
/// `host` is what em_entry was given.
unsafe fn wait(host: *mut abi::EmHost, question: Question) -> Found<Vec<u8>> {
    // SAFETY: by the caller's promise.
    let (host, store) = unsafe { asked(host) }?;
    host.loaded()?;
    check_may_wait()?;
    question.ask(host, &*store)
}

unsafe extern "C" fn get_wait(
    host: *mut abi::EmHost,
    of: abi::EmText,
    buffer: *mut c_char,
    capacity: u64,
    length: *mut u64,
) -> abi::STATUS {
    answer(|| {
        super::check_buffer(buffer, capacity, length)?;
        // SAFETY: the contract gives what `key`, `wait` and `fill` want.
        unsafe { super::fill(&wait(host, Question::Get(key(of)?))?, buffer, capacity, length) }
    })
}

unsafe extern "C" fn put_wait(
    host: *mut abi::EmHost,
    of: abi::EmText,
    new: abi::EmText,
) -> abi::STATUS {
    // SAFETY: the contract gives what `key`, `value` and `wait` want.
    answer(|| unsafe { wait(host, Question::Put(key(of)?, value(new)?)) }.map(drop))
}

unsafe extern "C" fn remove_wait(host: *mut abi::EmHost, of: abi::EmText) -> abi::STATUS {
    // SAFETY: the contract gives what `key` and `wait` want.
    answer(|| unsafe { wait(host, Question::Remove(key(of)?)) }.map(drop))
}

unsafe extern "C" fn next_wait(
    host: *mut abi::EmHost,
    prefix: abi::EmText,
    after: abi::EmText,
    buffer: *mut c_char,
    capacity: u64,
    length: *mut u64,
) -> abi::STATUS {
    answer(|| {
        super::check_buffer(buffer, capacity, length)?;
        // SAFETY: the contract gives what `next_question`, `wait` and `fill` want.
        unsafe {
            super::fill(&wait(host, next_question(prefix, after)?)?, buffer, capacity, length)
        }
    })
}

/// Asks for later.
///
/// # Safety
/// `host` is what em_entry was given; `request` is NULL or a place of the plug-in's. `read` gets what it wants.
unsafe fn begin(
    host: *mut abi::EmHost,
    token: abi::EmToken,
    read: impl FnOnce() -> Result<Question, abi::STATUS>,
    request: *mut abi::EmRequest,
) -> abi::STATUS {
    let begin = || {
        // SAFETY: by the caller's promise.
        let (host, store) = unsafe { asked(host) }?;
        let question = read()?;
        let ask = move || question.ask(host, &*store);
        host.state_requests.begin(host, token, || host.state_calls.make(ask))
    };
    // SAFETY: by the caller's promise.
    unsafe { super::hand_out(request, begin) }
}

unsafe extern "C" fn get(
    host: *mut abi::EmHost,
    token: abi::EmToken,
    of: abi::EmText,
    request: *mut abi::EmRequest,
) -> abi::STATUS {
    // SAFETY: the contract gives what `key` and `begin` want.
    unsafe { begin(host, token, || Ok(Question::Get(key(of)?)), request) }
}

unsafe extern "C" fn put(
    host: *mut abi::EmHost,
    token: abi::EmToken,
    of: abi::EmText,
    new: abi::EmText,
    request: *mut abi::EmRequest,
) -> abi::STATUS {
    // SAFETY: the contract gives what `key`, `value` and `begin` want.
    unsafe { begin(host, token, || Ok(Question::Put(key(of)?, value(new)?)), request) }
}

unsafe extern "C" fn remove(
    host: *mut abi::EmHost,
    token: abi::EmToken,
    of: abi::EmText,
    request: *mut abi::EmRequest,
) -> abi::STATUS {
    // SAFETY: the contract gives what `key` and `begin` want.
    unsafe { begin(host, token, || Ok(Question::Remove(key(of)?)), request) }
}

unsafe extern "C" fn next(
    host: *mut abi::EmHost,
    token: abi::EmToken,
    prefix: abi::EmText,
    after: abi::EmText,
    request: *mut abi::EmRequest,
) -> abi::STATUS {
    // SAFETY: the contract gives what `next_question` and `begin` want.
    unsafe { begin(host, token, || next_question(prefix, after), request) }
}

unsafe extern "C" fn result(
    host: *mut abi::EmHost,
    request: abi::EmRequest,
    buffer: *mut c_char,
    capacity: u64,
    length: *mut u64,
) -> abi::STATUS {
    answer(|| {
        super::check_buffer(buffer, capacity, length)?;
        // SAFETY: the contract: `host` is what em_entry was given.
        let host = unsafe { Host::from_handle(host) }.ok_or(abi::ERR_MISC_INVALID_ARGS)?;
        // SAFETY: the contract gives what `fill` wants.
        let read = |found: &Vec<u8>| unsafe { super::fill(found, buffer, capacity, length) };
        host.state_requests.take(request, read).ok_or(abi::ERR_MISC_INVALID_ARGS)?
    })
}
