//! The state service of the fake host: a table that is gone with it.

use std::ffi::c_char;
use std::ptr;

use stagepost_abi::*;

use super::pending::TOKENS;
use super::{fake, read, write};

pub(super) static STATE: EmStateService = EmStateService {
    size: size_of::<EmStateService>() as u32,
    reserved: 0,
    get_wait: state_get_wait,
    put_wait: state_put_wait,
    remove_wait: state_remove_wait,
    next_wait: state_next_wait,
    get: state_get,
    put: state_put,
    remove: state_remove,
    next: state_next,
    result: state_result,
};

fn state_found(host: *mut EmHost, key: EmText) -> Result<String, STATUS> {
    match read(key).as_str() {
        "broken" => Err(EM_ERR_IO),
        key => fake(host).state.lock().unwrap().get(key).cloned().ok_or(ERR_NOT_FOUND),
    }
}

fn state_behind(host: *mut EmHost, prefix: EmText, after: EmText) -> Result<String, STATUS> {
    let (prefix, after) = (read(prefix), read(after));
    let state = fake(host).state.lock().unwrap();
    let mut keys = state.keys().filter(|key| key.starts_with(&prefix) && **key > after);
    keys.next().cloned().ok_or(ERR_NOT_FOUND)
}

fn state_changed(host: *mut EmHost, key: EmText, value: Option<EmText>) -> Result<String, STATUS> {
    let key = read(key);
    if key == "broken" {
        return Err(EM_ERR_IO);
    }
    let mut state = fake(host).state.lock().unwrap();
    match value {
        Some(value) => drop(state.insert(key, read(value))),
        None => drop(state.remove(&key)),
    }
    Ok(String::new())
}

fn fill(
    found: Result<String, STATUS>,
    buffer: *mut c_char,
    capacity: u64,
    length: *mut u64,
) -> STATUS {
    match found {
        Ok(found) if found.len() as u64 <= capacity => {
            // SAFETY: the SDK hands out a buffer of that capacity.
            unsafe { ptr::copy_nonoverlapping(found.as_ptr(), buffer.cast(), found.len()) };
            write(length, Some(found.len() as u64))
        }
        Ok(found) => {
            write(length, Some(found.len() as u64));
            EM_ERR_LIMIT
        }
        Err(status) => status,
    }
}

unsafe extern "C" fn state_get_wait(
    host: *mut EmHost,
    key: EmText,
    buffer: *mut c_char,
    capacity: u64,
    length: *mut u64,
) -> STATUS {
    fill(state_found(host, key), buffer, capacity, length)
}

unsafe extern "C" fn state_put_wait(host: *mut EmHost, key: EmText, value: EmText) -> STATUS {
    state_changed(host, key, Some(value)).map_or_else(|status| status, |_| NOERROR)
}

unsafe extern "C" fn state_remove_wait(host: *mut EmHost, key: EmText) -> STATUS {
    state_changed(host, key, None).map_or_else(|status| status, |_| NOERROR)
}

unsafe extern "C" fn state_next_wait(
    host: *mut EmHost,
    prefix: EmText,
    after: EmText,
    buffer: *mut c_char,
    capacity: u64,
    length: *mut u64,
) -> STATUS {
    fill(state_behind(host, prefix, after), buffer, capacity, length)
}

/// Begins what was asked of the state, unless the key says otherwise. A request names its call in the upper half.
fn begin(
    token: EmToken,
    key: EmText,
    found: impl FnOnce() -> Result<String, STATUS>,
    request: *mut EmRequest,
) -> STATUS {
    if read(key) == "refused" {
        return EM_ERR_LIMIT;
    }
    let found = found();
    let mut tokens = TOKENS.lock().unwrap();
    let Some(known) = tokens.get_mut(&token) else { return EM_ERR_OVER };
    known.requests.push(Some(found));
    write(request, Some(token << 32 | known.requests.len() as u64))
}

unsafe extern "C" fn state_get(
    host: *mut EmHost,
    token: EmToken,
    key: EmText,
    request: *mut EmRequest,
) -> STATUS {
    begin(token, key, || state_found(host, key), request)
}

unsafe extern "C" fn state_put(
    host: *mut EmHost,
    token: EmToken,
    key: EmText,
    value: EmText,
    request: *mut EmRequest,
) -> STATUS {
    begin(token, key, || state_changed(host, key, Some(value)), request)
}

unsafe extern "C" fn state_remove(
    host: *mut EmHost,
    token: EmToken,
    key: EmText,
    request: *mut EmRequest,
) -> STATUS {
    begin(token, key, || state_changed(host, key, None), request)
}

unsafe extern "C" fn state_next(
    host: *mut EmHost,
    token: EmToken,
    prefix: EmText,
    after: EmText,
    request: *mut EmRequest,
) -> STATUS {
    begin(token, prefix, || state_behind(host, prefix, after), request)
}

unsafe extern "C" fn state_result(
    _: *mut EmHost,
    request: EmRequest,
    buffer: *mut c_char,
    capacity: u64,
    length: *mut u64,
) -> STATUS {
    let mut tokens = TOKENS.lock().unwrap();
    let Some(known) = tokens.get_mut(&(request >> 32)) else { return ERR_MISC_INVALID_ARGS };
    if !known.answered {
        return EM_PENDING;
    }
    let place = &mut known.requests[(request & 0xffff_ffff) as usize - 1];
    let Some(found) = place.clone() else { return ERR_MISC_INVALID_ARGS };
    let status = fill(found, buffer, capacity, length);
    if status != EM_ERR_LIMIT {
        *place = None;
    }
    status
}
