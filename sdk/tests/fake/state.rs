//! The state service of the fake host: a table that is gone with it.

use std::ffi::{c_char, c_void};
use std::ptr;

use stagepost_abi::*;

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
        Ok(_) => EM_ERR_LIMIT,
        Err(status) => status,
    }
}

/// Tells now, or later from another thread, as a host may; "refused" it does not begin.
fn tell(found: Result<String, STATUS>, done: EmStateDone, context: *mut c_void) -> STATUS {
    let done = done.unwrap();
    if found == Err(EM_ERR_LIMIT) {
        return EM_ERR_LIMIT;
    }
    let (status, value) = match found {
        Ok(value) => (NOERROR, value),
        Err(status) => (status, String::new()),
    };
    let context = context as usize;
    let say = move || {
        let text = EmText { data: value.as_ptr().cast(), len: value.len() as u64 };
        // SAFETY: told once, with the context that was given.
        unsafe { done(status, text, context as *mut c_void) };
    };
    if status == NOERROR {
        drop(std::thread::spawn(say))
    } else {
        say()
    }
    NOERROR
}

fn unless_refused(key: EmText, found: Result<String, STATUS>) -> Result<String, STATUS> {
    if read(key) == "refused" { Err(EM_ERR_LIMIT) } else { found }
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

unsafe extern "C" fn state_get(
    host: *mut EmHost,
    key: EmText,
    done: EmStateDone,
    context: *mut c_void,
) -> STATUS {
    tell(unless_refused(key, state_found(host, key)), done, context)
}

unsafe extern "C" fn state_put(
    host: *mut EmHost,
    key: EmText,
    value: EmText,
    done: EmStateDone,
    context: *mut c_void,
) -> STATUS {
    tell(state_changed(host, key, Some(value)), done, context)
}

unsafe extern "C" fn state_remove(
    host: *mut EmHost,
    key: EmText,
    done: EmStateDone,
    context: *mut c_void,
) -> STATUS {
    tell(state_changed(host, key, None), done, context)
}

unsafe extern "C" fn state_next(
    host: *mut EmHost,
    prefix: EmText,
    after: EmText,
    done: EmStateDone,
    context: *mut c_void,
) -> STATUS {
    tell(state_behind(host, prefix, after), done, context)
}
