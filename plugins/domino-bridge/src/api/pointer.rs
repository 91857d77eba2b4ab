//! Pointers of add-ins: text that ends with NUL, and places for results. A NULL is no text and no place.
//! Knows no function. What can't be told from a good pointer is the add-in's to get right.

use std::ffi::{CStr, c_char};

/// The length that means "up to the NUL".
pub(crate) const WHOLE: u16 = u16::MAX;

/// The longest text that is taken, in octets.
const TEXT_MAX: usize = 16 << 20;

/// Takes text that ends with NUL.
///
/// # Safety
///
/// `text` is NULL, or readable up to its NUL for as long as the result is used.
pub(crate) unsafe fn text<'a>(text: *const c_char) -> &'a [u8] {
    if text.is_null() {
        return &[];
    }
    // SAFETY: by the caller's promise.
    let octets = unsafe { CStr::from_ptr(text) }.to_bytes();
    &octets[..octets.len().min(TEXT_MAX)]
}

/// Takes a name, of which octets that are no UTF-8 are replaced: such names are nowhere.
///
/// # Safety
///
/// As `text`.
pub(crate) unsafe fn name(name: *const c_char) -> String {
    // SAFETY: by the caller's promise.
    String::from_utf8_lossy(unsafe { text(name) }).into_owned()
}

/// Takes octets, as many as are said or, for `WHOLE`, up to the NUL.
///
/// # Safety
///
/// As `text`, or readable for so many octets.
pub(crate) unsafe fn octets<'a>(octets: *const c_char, length: u16) -> &'a [u8] {
    if length == WHOLE || octets.is_null() {
        // SAFETY: by the caller's promise.
        return unsafe { text(octets) };
    }
    // SAFETY: by the caller's promise.
    unsafe { std::slice::from_raw_parts(octets.cast(), length.into()) }
}

/// Writes a result.
///
/// # Safety
///
/// `place` is NULL, or writable for a `T`, at any alignment.
pub(crate) unsafe fn put<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: by the caller's promise.
        unsafe { place.write_unaligned(value) };
    }
}

/// Writes text and a NUL, cut to `room` octets in all; how many octets without the NUL.
///
/// # Safety
///
/// `place` is NULL, or writable for `room` octets; `text` is elsewhere.
pub(crate) unsafe fn put_text(place: *mut c_char, room: usize, text: &[u8]) -> u16 {
    if place.is_null() || room == 0 {
        return 0;
    }
    let length = text.len().min(room - 1).min(usize::from(u16::MAX));
    // SAFETY: by the caller's promise; the NUL is the last of at most `room` octets.
    unsafe {
        place.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), length);
        place.add(length).write(0);
    }
    // No more than a u16 has.
    length as u16
}
