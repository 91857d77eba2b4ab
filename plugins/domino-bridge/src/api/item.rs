//! Items of notes, as add-ins call for them.
#![allow(non_snake_case, reason = "the names are Domino's")]

use std::ffi::{c_char, c_void};
use std::sync::PoisonError;

use super::memory;
use super::note::with;
use super::pointer::{name, octets, put, put_text};
use crate::bridge::Bridge;
use crate::note::time::TimeDate;
use crate::note::value::{UNKNOWN, Value};
use crate::note::{Note, TooMany};
use crate::status::{ERR_ITEM_NOT_FOUND, ERR_MEMORY, ERR_MISC_INVALID_ARGS, NOERROR};

/// The longest text that NSFItemConvertToText gives, with the NUL.
const CONVERTED_OCTETS: usize = 60 << 10;

/// BLOCKID of pool.h.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct BlockId {
    pool: u32,
    block: u16,
}

/// The value of the first item of a name.
///
/// # Safety
///
/// `item` is a text.
unsafe fn value(note: u32, item: *const c_char) -> Option<Value> {
    // SAFETY: by the caller's promise.
    let item = unsafe { name(item) };
    with(note, |note| note.value(&item)).flatten()
}

/// Puts a value in the place of an item.
///
/// # Safety
///
/// `item` is a text.
unsafe fn set(note: u32, item: *const c_char, value: Value) -> u16 {
    // SAFETY: by the caller's promise.
    let item = unsafe { name(item) };
    changed(note, &item, |note| note.set(&item, value))
}

fn changed(note: u32, item: &str, change: impl FnOnce(&mut Note) -> Result<(), TooMany>) -> u16 {
    if item.is_empty() {
        return ERR_MISC_INVALID_ARGS;
    }
    match with(note, change) {
        Some(Ok(())) => NOERROR,
        Some(Err(TooMany)) => ERR_MEMORY,
        None => ERR_MISC_INVALID_ARGS,
    }
}

/// Text as an item has it on one line: what are line ends in it are NULs.
fn with_nuls(text: &[u8]) -> Vec<u8> {
    text.iter().map(|octet| if *octet == b'\n' { 0 } else { *octet }).collect()
}

pub(super) unsafe extern "C" fn NSFItemGetText(
    note: u32,
    item: *const c_char,
    text: *mut c_char,
    length: u16,
) -> u16 {
    // SAFETY: a text (nsfnote.h).
    let value = unsafe { value(note, item) };
    let found = value.map(|value| value.text()).unwrap_or_default();
    // SAFETY: a buffer of this length (nsfnote.h).
    unsafe { put_text(text, length.into(), &with_nuls(&found)) }
}

pub(super) unsafe extern "C" fn NSFItemSetText(
    note: u32,
    item: *const c_char,
    text: *const c_char,
    length: u16,
) -> u16 {
    // SAFETY: texts, or so many octets (nsfnote.h).
    unsafe { set(note, item, Value::Text(octets(text, length).to_owned())) }
}

pub(super) unsafe extern "C" fn NSFItemSetTextSummary(
    note: u32,
    item: *const c_char,
    text: *const c_char,
    length: u16,
    _summary: i32,
) -> u16 {
    // SAFETY: as for NSFItemSetText.
    unsafe { NSFItemSetText(note, item, text, length) }
}

pub(super) unsafe extern "C" fn NSFItemConvertToText(
    note: u32,
    item: *const c_char,
    text: *mut c_char,
    length: u16,
    separator: c_char,
) -> u16 {
    // SAFETY: a text (nsfnote.h).
    let value = unsafe { value(note, item) };
    // The same eight bits.
    let separator = if separator == 0 { b';' } else { separator as u8 };
    let joined = value.map(|value| value.joined(&[separator])).unwrap_or_default();
    // SAFETY: a buffer of this length (nsfnote.h).
    unsafe { put_text(text, usize::from(length).min(CONVERTED_OCTETS), &joined) }
}

pub(super) unsafe extern "C" fn NSFItemGetTextListEntries(note: u32, item: *const c_char) -> u16 {
    // SAFETY: a text (nsfnote.h).
    let value = unsafe { value(note, item) };
    value.map_or(0, |value| u16::try_from(value.texts().len()).unwrap_or(u16::MAX))
}

pub(super) unsafe extern "C" fn NSFItemGetTextListEntry(
    note: u32,
    item: *const c_char,
    position: u16,
    text: *mut c_char,
    length: u16,
) -> u16 {
    // SAFETY: a text (nsfnote.h).
    let value = unsafe { value(note, item) };
    let entry = value.as_ref().and_then(|value| value.texts().get(usize::from(position)));
    // SAFETY: a buffer of this length (nsfnote.h).
    unsafe { put_text(text, length.into(), entry.map_or(&[], Vec::as_slice)) }
}

pub(super) unsafe extern "C" fn NSFItemCreateTextList(
    note: u32,
    item: *const c_char,
    text: *const c_char,
    length: u16,
) -> u16 {
    // SAFETY: texts, or so many octets (nsfnote.h).
    unsafe { set(note, item, Value::List(vec![octets(text, length).to_owned()])) }
}

pub(super) unsafe extern "C" fn NSFItemAppendTextList(
    note: u32,
    item: *const c_char,
    text: *const c_char,
    length: u16,
    duplicates: i32,
) -> u16 {
    // SAFETY: texts, or so many octets (nsfnote.h).
    let (item, text) = unsafe { (name(item), octets(text, length).to_owned()) };
    changed(note, &item, |note| {
        let mut texts = note.value(&item).map(|value| value.texts().to_vec()).unwrap_or_default();
        if duplicates != 0 || !texts.contains(&text) {
            texts.push(text);
        }
        note.set(&item, Value::List(texts))
    })
}

pub(super) unsafe extern "C" fn NSFItemAppend(
    note: u32,
    _flags: u16,
    item: *const c_char,
    name_length: u16,
    kind: u16,
    value: *const c_void,
    length: u32,
) -> u16 {
    // SAFETY: so many octets (nsfnote.h).
    let item = String::from_utf8_lossy(unsafe { octets(item, name_length) }).into_owned();
    if value.is_null() && length > 0 {
        return ERR_MISC_INVALID_ARGS;
    }
    let octets = match length {
        0 => &[],
        // SAFETY: so many octets (nsfnote.h).
        _ => unsafe { std::slice::from_raw_parts(value.cast::<u8>(), length as usize) },
    };
    match Value::read(kind, octets) {
        Some(value) => changed(note, &item, |note| note.append(&item, value)),
        None => ERR_MISC_INVALID_ARGS,
    }
}

pub(super) unsafe extern "C" fn NSFItemDelete(
    note: u32,
    item: *const c_char,
    name_length: u16,
) -> u16 {
    // SAFETY: so many octets (nsfnote.h).
    let item = String::from_utf8_lossy(unsafe { octets(item, name_length) }).into_owned();
    match with(note, |note| note.delete(&item)) {
        Some(true) => NOERROR,
        Some(false) => ERR_ITEM_NOT_FOUND,
        None => ERR_MISC_INVALID_ARGS,
    }
}

pub(super) unsafe extern "C" fn NSFItemInfo(
    note: u32,
    item: *const c_char,
    name_length: u16,
    found: *mut BlockId,
    kind: *mut u16,
    value: *mut BlockId,
    length: *mut u32,
) -> u16 {
    // SAFETY: as for this function (nsfnote.h).
    unsafe { info(note, 0, item_name(item, name_length), found, kind, value, length) }
}

pub(super) unsafe extern "C" fn NSFItemInfoNext(
    note: u32,
    previous: BlockId,
    item: *const c_char,
    name_length: u16,
    found: *mut BlockId,
    kind: *mut u16,
    value: *mut BlockId,
    length: *mut u32,
) -> u16 {
    let next = usize::from(previous.block) + 1;
    // SAFETY: as for this function (nsfnote.h).
    unsafe { info(note, next, item_name(item, name_length), found, kind, value, length) }
}

/// The name of the item that is asked for. None: NULL, which means any.
///
/// # Safety
///
/// NULL, or as `octets`.
unsafe fn item_name(item: *const c_char, length: u16) -> Option<String> {
    // SAFETY: by the caller's promise.
    let name = (!item.is_null()).then(|| unsafe { octets(item, length) });
    name.map(|name| String::from_utf8_lossy(name).into_owned())
}

/// Tells of an item of a name, or of any, from a place on: an item is named by its note and its place.
///
/// # Safety
///
/// The places are NULL, or for what they are named for.
unsafe fn info(
    note: u32,
    from: usize,
    item: Option<String>,
    found: *mut BlockId,
    kind: *mut u16,
    value: *mut BlockId,
    length: *mut u32,
) -> u16 {
    let known = with(note, |note| note.entries(from, item.as_deref()).next()).flatten();
    let known = known.and_then(|(place, known)| Some((u16::try_from(place).ok()?, known)));
    let (Some((block, known)), Some(bridge)) = (known, Bridge::get()) else {
        // SAFETY: by the caller's promise.
        unsafe { put(kind, UNKNOWN) };
        return ERR_ITEM_NOT_FOUND;
    };
    let octets = known.octets();
    let pool = match value.is_null() {
        true => 0,
        false => {
            let typed = [&known.kind().to_ne_bytes()[..], &octets].concat();
            let Some(pool) = memory::make(&typed, 0) else { return ERR_MEMORY };
            let mut lent =
                bridge.handles.value_blocks.lock().unwrap_or_else(PoisonError::into_inner);
            lent.entry(note).or_default().push(pool);
            pool
        }
    };
    // SAFETY: by the caller's promise.
    unsafe {
        put(found, BlockId { pool: note, block });
        put(kind, known.kind());
        put(value, BlockId { pool, block: 0 });
        put(length, u32::try_from(octets.len() + 2).unwrap_or(u32::MAX));
    }
    NOERROR
}

pub(super) unsafe extern "C" fn NSFItemGetNumber(
    note: u32,
    item: *const c_char,
    number: *mut f64,
) -> i32 {
    // SAFETY: a text (nsfnote.h).
    let Some(Value::Number(found)) = (unsafe { value(note, item) }) else { return 0 };
    // SAFETY: a place for a number (nsfnote.h).
    unsafe { put(number, found) };
    1
}

pub(super) unsafe extern "C" fn NSFItemGetLong(
    note: u32,
    item: *const c_char,
    otherwise: i32,
) -> i32 {
    // SAFETY: a text (nsfnote.h).
    match unsafe { value(note, item) } {
        // What does not fit is the nearest that does.
        Some(Value::Number(number)) => number as i32,
        _ => otherwise,
    }
}

pub(super) unsafe extern "C" fn NSFItemGetTime(
    note: u32,
    item: *const c_char,
    time: *mut TimeDate,
) -> i32 {
    // SAFETY: a text (nsfnote.h).
    let Some(Value::Time(found)) = (unsafe { value(note, item) }) else { return 0 };
    // SAFETY: a place for a TIMEDATE (nsfnote.h).
    unsafe { put(time, found) };
    1
}

pub(super) unsafe extern "C" fn NSFItemSetNumber(
    note: u32,
    item: *const c_char,
    number: *const f64,
) -> u16 {
    if number.is_null() {
        return ERR_MISC_INVALID_ARGS;
    }
    // SAFETY: a text and a number (nsfnote.h).
    unsafe { set(note, item, Value::Number(number.read_unaligned())) }
}

pub(super) unsafe extern "C" fn NSFItemSetTime(
    note: u32,
    item: *const c_char,
    time: *const TimeDate,
) -> u16 {
    if time.is_null() {
        return ERR_MISC_INVALID_ARGS;
    }
    // SAFETY: a text and a TIMEDATE (nsfnote.h).
    unsafe { set(note, item, Value::Time(time.read_unaligned())) }
}
