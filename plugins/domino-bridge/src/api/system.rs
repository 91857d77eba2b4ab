//! The environment, texts of status codes, the clock and who the server is, as add-ins call for them.
#![allow(non_snake_case, reason = "the names are Domino's")]

use std::ffi::{c_char, c_int, c_long};
use std::path::Path;

use jiff::Timestamp;

use super::pointer::{octets, put, put_text, text};
use crate::bridge::Bridge;
use crate::note::time::TimeDate;
use crate::status::{self, NOERROR};

/// MAXPATH and MAXUSERNAME, with the NUL.
const PATH_OCTETS: usize = 256;
const NAME_OCTETS: usize = 257;

/// Modes of OSTranslate that are about letters, not about sets of characters: osmisc.h.
const LOWER_TO_UPPER: u16 = 3;
const UPPER_TO_LOWER: u16 = 4;

pub(super) unsafe extern "C" fn OSGetEnvironmentString(
    name: *const c_char,
    value: *mut c_char,
    length: u16,
) -> i32 {
    // SAFETY: a text (osenv.h).
    let name = unsafe { text(name) };
    let found = Bridge::get().and_then(|bridge| bridge.environment.get(name));
    // SAFETY: the buffer has one octet more than its length says (osenv.h).
    unsafe { put_text(value, usize::from(length) + 1, found.as_deref().unwrap_or_default()) };
    found.is_some().into()
}

pub(super) unsafe extern "C" fn OSGetEnvironmentLong(name: *const c_char) -> c_long {
    // SAFETY: a text (osenv.h).
    let name = unsafe { text(name) };
    Bridge::get().map_or(0, |bridge| bridge.environment.number(name))
}

pub(super) unsafe extern "C" fn OSSetEnvironmentVariable(
    name: *const c_char,
    value: *const c_char,
) {
    // SAFETY: two texts (osenv.h).
    let (name, value) = unsafe { (text(name), text(value)) };
    set(name, value.to_owned());
}

pub(super) unsafe extern "C" fn OSSetEnvironmentInt(name: *const c_char, value: c_int) {
    // SAFETY: a text (osenv.h).
    set(unsafe { text(name) }, value.to_string().into_bytes());
}

fn set(name: &[u8], value: Vec<u8>) {
    let Some(bridge) = Bridge::get() else { return };
    if !bridge.environment.set(name, value) {
        bridge
            .say(&format!("{} was not set: too long, or too many", String::from_utf8_lossy(name)));
    }
}

pub(super) unsafe extern "C" fn OSLoadString(
    _module: u32,
    status: u16,
    place: *mut c_char,
    length: u16,
) -> u16 {
    let words = match status::words(status) {
        "" => format!("Status {:#06x}", status::plain(status)),
        words => words.to_owned(),
    };
    // SAFETY: a buffer of this length (osmisc.h).
    unsafe { put_text(place, length.into(), words.as_bytes()) }
}

pub(super) unsafe extern "C" fn OSTranslate(
    mode: u16,
    from: *const c_char,
    length: u16,
    place: *mut c_char,
    room: u16,
) -> u16 {
    // SAFETY: so many octets, or a text (osmisc.h).
    let from = unsafe { octets(from, length) };
    let count = from.len().min(room.into());
    if place.is_null() {
        return 0;
    }
    let mut text = from[..count].to_vec();
    match mode {
        LOWER_TO_UPPER => text.make_ascii_uppercase(),
        UPPER_TO_LOWER => text.make_ascii_lowercase(),
        _ => {}
    }
    // SAFETY: a buffer of `room` octets (osmisc.h). Sources translate in place, so the two may be one.
    unsafe {
        place.cast::<u8>().copy_from(text.as_ptr(), count);
        if count < room.into() {
            place.add(count).write(0);
        }
    }
    // No more than `room`.
    count as u16
}

pub(super) unsafe extern "C" fn OSGetDataDirectory(path: *mut c_char) -> u16 {
    let named = Bridge::get().and_then(|bridge| bridge.environment.get(b"Directory"));
    let here =
        || std::env::current_dir().ok().map(|path| path.into_os_string().into_encoded_bytes());
    let folder = named.or_else(here).unwrap_or_default();
    // SAFETY: a buffer of MAXPATH octets (osfile.h).
    unsafe { put_text(path, PATH_OCTETS, &folder) }
}

pub(super) unsafe extern "C" fn OSGetExecutableDirectory(path: *mut c_char) {
    let program = std::env::current_exe().ok();
    let folder = program.as_deref().and_then(Path::parent).unwrap_or_else(|| Path::new("/"));
    // SAFETY: a buffer of MAXPATH octets (osfile.h).
    unsafe { put_text(path, PATH_OCTETS, folder.as_os_str().as_encoded_bytes()) };
}

pub(super) unsafe extern "C" fn OSCurrentTIMEDATE(now: *mut TimeDate) {
    // SAFETY: a place for a TIMEDATE, which is two DWORDs (ostime.h).
    unsafe { put(now, TimeDate::of(Timestamp::now())) };
}

pub(super) unsafe extern "C" fn SECKFMGetUserName(name: *mut c_char) -> u16 {
    let server = Bridge::get().map(Bridge::server_name).unwrap_or_default();
    // SAFETY: a buffer of MAXUSERNAME octets and a NUL (kfm.h).
    unsafe { put_text(name, NAME_OCTETS, &server) };
    NOERROR
}
