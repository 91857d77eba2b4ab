//! The one database and its one view, as add-ins call for them.
#![allow(non_snake_case, reason = "the names are Domino's")]

use std::ffi::c_char;

use super::memory;
use super::pointer::{put, put_text, text};
use crate::bridge::Bridge;
use crate::names::{Names, VIEW};
use crate::status::{
    ERR_MEMORY, ERR_MISC_INVALID_ARGS, ERR_NOEXIST, ERR_NOT_FOUND, ERR_UNSUPPORTED_FLAGS, NOERROR,
};

/// MAXPATH, with the NUL.
const PATH_OCTETS: usize = 256;
const PATH: &[u8] = b"names.nsf";

/// READ_MASK_NOTEID, and what of a navigator says where to go: nif.h.
const NOTE_IDS: u32 = 1;
const NAVIGATE_MASK: u16 = 0x7f;

/// COLLECTIONPOSITION of nif.h.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Position {
    level: u16,
    min_level: u8,
    max_level: u8,
    tumbler: [u32; 32],
}

/// The bridge, if the database is open.
fn opened(database: u32) -> Option<&'static Bridge> {
    Bridge::get().filter(|bridge| bridge.handles.databases.with(database, |()| ()).is_some())
}

pub(super) unsafe extern "C" fn NSFDbOpen(path: *const c_char, database: *mut u32) -> u16 {
    // SAFETY: a text (nsfdb.h).
    let path = unsafe { text(path) };
    let (Some(bridge), false) = (Bridge::get(), database.is_null()) else {
        return ERR_MISC_INVALID_ARGS;
    };
    if !Names::is_here(path) {
        return ERR_NOEXIST;
    }
    let Some(handle) = bridge.handles.databases.add(()) else { return ERR_MEMORY };
    // SAFETY: a place for a handle (nsfdb.h).
    unsafe { put(database, handle) };
    NOERROR
}

pub(super) extern "C" fn NSFDbClose(database: u32) -> u16 {
    let closed = Bridge::get().and_then(|bridge| bridge.handles.databases.take(database));
    closed.map_or(ERR_MISC_INVALID_ARGS, |()| NOERROR)
}

pub(super) unsafe extern "C" fn NSFDbPathGet(
    database: u32,
    canonical: *mut c_char,
    expanded: *mut c_char,
) -> u16 {
    if opened(database).is_none() {
        return ERR_MISC_INVALID_ARGS;
    }
    // SAFETY: NULL, or buffers of MAXPATH octets (nsfdb.h).
    unsafe {
        put_text(canonical, PATH_OCTETS, PATH);
        put_text(expanded, PATH_OCTETS, PATH);
    }
    NOERROR
}

pub(super) unsafe extern "C" fn NSFDbUserNameGet(
    database: u32,
    name: *mut c_char,
    length: u16,
) -> u16 {
    let Some(bridge) = opened(database) else { return ERR_MISC_INVALID_ARGS };
    // SAFETY: a buffer of this length (nsfdb.h).
    unsafe { put_text(name, length.into(), &bridge.server_name()) };
    NOERROR
}

pub(super) unsafe extern "C" fn NIFFindDesignNoteExt(
    database: u32,
    name: *const c_char,
    _class: u16,
    _pattern: *const c_char,
    id: *mut u32,
    _options: u32,
) -> u16 {
    // SAFETY: a text (nif.h).
    let name = unsafe { text(name) };
    if opened(database).is_none() || id.is_null() {
        return ERR_MISC_INVALID_ARGS;
    }
    if !Names::is_view(name) {
        return ERR_NOT_FOUND;
    }
    // SAFETY: a place for a NOTEID (nif.h).
    unsafe { put(id, VIEW) };
    NOERROR
}

pub(super) unsafe extern "C" fn NIFOpenCollection(
    view_database: u32,
    _data_database: u32,
    id: u32,
    _flags: u16,
    _unread: u32,
    collection: *mut u16,
    note: *mut u32,
    view: *mut [u32; 4],
    collapsed: *mut u32,
    selected: *mut u32,
) -> u16 {
    let (Some(bridge), false) = (opened(view_database), collection.is_null()) else {
        return ERR_MISC_INVALID_ARGS;
    };
    if id != VIEW {
        return ERR_NOT_FOUND;
    }
    let Some(handle) = bridge.handles.open_collection() else { return ERR_MEMORY };
    // SAFETY: a place for a handle; the others are NULL or places for what they are named for (nif.h).
    unsafe {
        put(collection, handle);
        put(note, 0);
        put(view, [0; 4]);
        put(collapsed, 0);
        put(selected, 0);
    }
    NOERROR
}

pub(super) extern "C" fn NIFCloseCollection(collection: u16) -> u16 {
    let closed = Bridge::get().is_some_and(|bridge| bridge.handles.close_collection(collection));
    if closed { NOERROR } else { ERR_MISC_INVALID_ARGS }
}

pub(super) unsafe extern "C" fn NIFFindByName(
    collection: u16,
    name: *const c_char,
    _flags: u16,
    position: *mut Position,
    matches: *mut u32,
) -> u16 {
    // SAFETY: a text (nif.h).
    let name = unsafe { text(name) };
    let Some(bridge) = Bridge::get().filter(|bridge| bridge.handles.is_collection(collection))
    else {
        return ERR_MISC_INVALID_ARGS;
    };
    let found = bridge.names.find(name);
    let mut tumbler = [0; 32];
    tumbler[0] = found.unwrap_or(0);
    // SAFETY: NULL, or places for a position and a number (nif.h).
    unsafe {
        put(position, Position { level: 0, min_level: 0, max_level: 0, tumbler });
        put(matches, u32::from(found.is_some()));
    }
    if found.is_some() { NOERROR } else { ERR_NOT_FOUND }
}

pub(super) unsafe extern "C" fn NIFReadEntries(
    collection: u16,
    position: *mut Position,
    skip_navigator: u16,
    skip: u32,
    _return_navigator: u16,
    count: u32,
    mask: u32,
    buffer: *mut u32,
    length: *mut u16,
    skipped: *mut u32,
    read: *mut u32,
    signal: *mut u16,
) -> u16 {
    let known = Bridge::get().filter(|bridge| bridge.handles.is_collection(collection));
    let (Some(bridge), false, false) = (known, position.is_null(), buffer.is_null()) else {
        return ERR_MISC_INVALID_ARGS;
    };
    // What else may be asked for has another form in the buffer.
    if mask != NOTE_IDS {
        return ERR_UNSUPPORTED_FLAGS;
    }
    // SAFETY: a position (nif.h).
    let mut place = unsafe { position.read_unaligned() };
    // NAVIGATE_CURRENT stays where it is; every other step goes on by as many as are to be skipped.
    let skip = if skip_navigator & NAVIGATE_MASK == 0 { 0 } else { skip };
    let first = place.tumbler[0].saturating_add(skip).max(1);
    let ids = bridge.names.ids_from(first, count);
    let octets: Vec<u8> = ids.iter().flat_map(|id| id.to_ne_bytes()).collect();
    let block = match ids.is_empty() {
        true => Some(0),
        false => memory::make(&octets, 0),
    };
    let Some(block) = block else { return ERR_MEMORY };
    let read_now = u32::try_from(ids.len()).unwrap_or(0);
    // The last that was read, from which the next call goes on.
    if read_now > 0 {
        place.tumbler[0] = first + (read_now - 1);
    }
    // SAFETY: a position and a place for a handle; the others are NULL or places for numbers (nif.h).
    unsafe {
        put(position, place);
        put(buffer, block);
        put(length, u16::try_from(octets.len()).unwrap_or(u16::MAX));
        put(skipped, skip);
        put(read, read_now);
        put(signal, 0);
    }
    NOERROR
}
