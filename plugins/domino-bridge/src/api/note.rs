//! Notes, as add-ins call for them.
#![allow(non_snake_case, reason = "the names are Domino's")]

use std::ffi::c_void;
use std::sync::PoisonError;

use jiff::Timestamp;

use super::memory;
use super::pointer::put;
use crate::bridge::Bridge;
use crate::note::Note;
use crate::note::time::TimeDate;
use crate::status::{ERR_MEMORY, ERR_MISC_INVALID_ARGS, ERR_NOACCESS, ERR_NOT_FOUND, NOERROR};

/// _NOTE_DB and its kin, of nsfnote.h.
const DATABASE: u16 = 0;
const ID: u16 = 1;
const ORIGINATOR_ID: u16 = 2;
const CLASS: u16 = 3;
const MODIFIED: u16 = 4;
const FLAGS: u16 = 7;

/// Uses a note, if there is one of this handle.
pub(super) fn with<R>(note: u32, using: impl FnOnce(&mut Note) -> R) -> Option<R> {
    Bridge::get()?.handles.notes.with(note, using)
}

/// Keeps a note; its handle goes to a place.
///
/// # Safety
///
/// `place` is NULL or a place for a handle.
unsafe fn keep(note: Note, place: *mut u32) -> u16 {
    let (Some(bridge), false) = (Bridge::get(), place.is_null()) else {
        return ERR_MISC_INVALID_ARGS;
    };
    let Some(handle) = bridge.handles.notes.add(note) else { return ERR_MEMORY };
    // SAFETY: by the caller's promise.
    unsafe { put(place, handle) };
    NOERROR
}

/// Forgets a note and the values that were lent of it.
pub(crate) fn forget(bridge: &Bridge, note: u32) -> Option<Note> {
    let mut lent = bridge.handles.value_blocks.lock().unwrap_or_else(PoisonError::into_inner);
    for block in lent.remove(&note).unwrap_or_default() {
        memory::free(block);
    }
    drop(lent);
    bridge.handles.notes.take(note)
}

pub(super) unsafe extern "C" fn NSFNoteGetInfo(note: u32, member: u16, value: *mut c_void) {
    let known = with(note, |note| (note.database, note.id, note.class, note.flags));
    let (database, id, class, flags) = known.unwrap_or_default();
    // SAFETY: a place for what the member is (nsfnote.h); an ORIGINATORID is seven DWORDs.
    unsafe {
        match member {
            DATABASE => put(value.cast(), database),
            ID => put(value.cast(), id),
            ORIGINATOR_ID => put(value.cast(), [0_u32; 7]),
            CLASS => put(value.cast(), class),
            MODIFIED => put(value.cast(), TimeDate::of(Timestamp::now())),
            FLAGS => put(value.cast(), flags),
            _ => {}
        }
    }
}

pub(super) unsafe extern "C" fn NSFNoteSetInfo(note: u32, member: u16, value: *mut c_void) {
    if value.is_null() {
        return;
    }
    // SAFETY: a place with what the member is (nsfnote.h), of which only as much is read.
    let set = |note: &mut Note| unsafe {
        match member {
            DATABASE => note.database = value.cast::<u32>().read_unaligned(),
            ID => note.id = value.cast::<u32>().read_unaligned(),
            CLASS => note.class = value.cast::<u16>().read_unaligned(),
            FLAGS => note.flags = value.cast::<u16>().read_unaligned(),
            _ => {}
        }
    };
    with(note, set);
}

pub(super) unsafe extern "C" fn NSFNoteOpen(
    database: u32,
    id: u32,
    _flags: u16,
    note: *mut u32,
) -> u16 {
    let Some(bridge) = Bridge::get() else { return ERR_MISC_INVALID_ARGS };
    if bridge.handles.databases.with(database, |()| ()).is_none() {
        return ERR_MISC_INVALID_ARGS;
    }
    match bridge.names.note(id, database) {
        // SAFETY: a place for a handle (nsfnote.h).
        Some(found) => unsafe { keep(found, note) },
        None => ERR_NOT_FOUND,
    }
}

pub(super) unsafe extern "C" fn NSFNoteOpenExt(
    database: u32,
    id: u32,
    _flags: u32,
    note: *mut u32,
) -> u16 {
    // SAFETY: as for NSFNoteOpen.
    unsafe { NSFNoteOpen(database, id, 0, note) }
}

pub(super) unsafe extern "C" fn NSFNoteCreate(database: u32, note: *mut u32) -> u16 {
    // SAFETY: a place for a handle (nsfnote.h).
    unsafe { keep(Note { database, class: 1, ..Note::default() }, note) }
}

pub(super) unsafe extern "C" fn NSFNoteCopy(note: u32, copy: *mut u32) -> u16 {
    match with(note, |note| Note { in_hand: false, ..note.clone() }) {
        // SAFETY: a place for a handle (nsfnote.h).
        Some(made) => unsafe { keep(made, copy) },
        None => ERR_MISC_INVALID_ARGS,
    }
}

pub(super) extern "C" fn NSFNoteUpdate(note: u32, _flags: u16) -> u16 {
    with(note, |_| ERR_NOACCESS).unwrap_or(ERR_MISC_INVALID_ARGS)
}

pub(super) extern "C" fn NSFNoteClose(note: u32) -> u16 {
    // The message in hand is the host's to close; an add-in that does so all the same finds it still there.
    let closed = Bridge::get().filter(|_| with(note, |note| note.in_hand) != Some(true));
    match closed.and_then(|bridge| forget(bridge, note)) {
        Some(_) => NOERROR,
        None => ERR_MISC_INVALID_ARGS,
    }
}

pub(super) extern "C" fn NSFNoteHasMIME(note: u32) -> i32 {
    with(note, |note| note.has_mime()).unwrap_or(false).into()
}

pub(super) extern "C" fn NSFNoteHasMIMEPart(note: u32) -> i32 {
    NSFNoteHasMIME(note)
}
