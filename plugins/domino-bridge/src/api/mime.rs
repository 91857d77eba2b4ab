//! Streams of a message's octets, as add-ins call for them. What stands for a stream is a handle, made a pointer.
#![allow(non_snake_case, reason = "the names are Domino's")]

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::ptr;
use std::sync::Arc;

use super::note::with;
use super::pointer::{put, put_text, text};
use crate::bridge::Bridge;
use crate::handles::Stream;
use crate::note::field;
use crate::status::{ERR_MEMORY, ERR_MISC_INVALID_ARGS, NOERROR};

/// Flags of MIMEStreamOpen and MIMEStreamItemize, and what the others return: mime.h.
const OPEN_READ: u32 = 0x1;
const OPEN_WRITE: u32 = 0x2;
const INCLUDE_HEADERS: u32 = 0x30;
const ITEMIZE_HEADERS: u32 = 0x2;
const ITEMIZE_BODY: u32 = 0x4;
const SUCCESS: c_int = 0;
const END: c_int = 1;
const FAILED: c_int = 2;

/// The longest message that is written.
const OCTETS_MAX: usize = 256 << 20;

/// Uses a stream, if there is one.
fn stream<R>(handle: *mut c_void, using: impl FnOnce(&mut Stream) -> R) -> Option<R> {
    Bridge::get()?.handles.streams.with(u32::try_from(handle.addr()).ok()?, using)
}

pub(super) unsafe extern "C" fn MIMEStreamOpen(
    note: u32,
    _item: *mut c_char,
    _item_length: u16,
    flags: u32,
    place: *mut *mut c_void,
) -> u16 {
    let (Some(bridge), false) = (Bridge::get(), place.is_null()) else {
        return ERR_MISC_INVALID_ARGS;
    };
    // SAFETY: a place for a handle (mime.h), NULL whatever comes of it.
    unsafe { put(place, ptr::null_mut()) };
    let writes = flags & OPEN_READ == 0;
    if writes && flags & OPEN_WRITE == 0 {
        return ERR_MISC_INVALID_ARGS;
    }
    let read = with(note, |note| match writes {
        true => Vec::new(),
        false => note.message(flags & INCLUDE_HEADERS != 0),
    });
    let Some(octets) = read else { return ERR_MISC_INVALID_ARGS };
    let Some(handle) = bridge.handles.streams.add(Stream { octets, place: 0, writes }) else {
        return ERR_MEMORY;
    };
    // SAFETY: a place for a handle (mime.h).
    unsafe { put(place, ptr::without_provenance_mut(handle as usize)) };
    NOERROR
}

pub(super) unsafe extern "C" fn MIMEStreamRead(
    place: *mut u8,
    got: *mut c_uint,
    most: c_uint,
    handle: *mut c_void,
) -> c_int {
    let read = stream(handle, |stream| {
        let left = &stream.octets[stream.place..];
        let count = left.len().min(most as usize);
        if !place.is_null() {
            // SAFETY: a buffer of so many octets (mime.h).
            unsafe { place.copy_from_nonoverlapping(left.as_ptr(), count) };
        }
        stream.place += count;
        count
    });
    // SAFETY: a place for a number (mime.h). No more than was asked for.
    unsafe { put(got, read.unwrap_or(0) as c_uint) };
    match read {
        None => FAILED,
        Some(0) if most > 0 => END,
        Some(_) => SUCCESS,
    }
}

pub(super) unsafe extern "C" fn MIMEStreamGetLine(
    line: *mut c_char,
    most: c_uint,
    handle: *mut c_void,
) -> c_int {
    // SAFETY: a buffer of so many octets (mime.h), with an empty text whatever comes of it.
    unsafe { put_text(line, most as usize, &[]) };
    let read = stream(handle, |stream| {
        let left = &stream.octets[stream.place..];
        let end = left.iter().position(|octet| *octet == b'\n').map_or(left.len(), |end| end + 1);
        // A longer line comes in pieces, each with room for its NUL.
        let count = end.min((most as usize).saturating_sub(1)).min(usize::from(u16::MAX) - 1);
        if count > 0 {
            // SAFETY: a buffer of so many octets (mime.h).
            unsafe { put_text(line, most as usize, &left[..count]) };
        }
        stream.place += count;
        count
    });
    match read {
        None => FAILED,
        Some(0) => END,
        Some(_) => SUCCESS,
    }
}

pub(super) extern "C" fn MIMEStreamRewind(handle: *mut c_void) -> c_int {
    stream(handle, |stream| stream.place = 0).map_or(FAILED, |()| SUCCESS)
}

/// Adds octets to a stream that is written.
fn write(handle: *mut c_void, octets: &[u8]) -> c_int {
    let written = stream(handle, |stream| {
        let fits = stream.writes && stream.octets.len() + octets.len() <= OCTETS_MAX;
        if fits {
            stream.octets.extend_from_slice(octets);
        }
        fits
    });
    if written == Some(true) { SUCCESS } else { FAILED }
}

pub(super) unsafe extern "C" fn MIMEStreamWrite(
    octets: *mut u8,
    count: c_uint,
    handle: *mut c_void,
) -> c_int {
    if octets.is_null() {
        return if count == 0 { SUCCESS } else { FAILED };
    }
    // SAFETY: so many octets (mime.h).
    write(handle, unsafe { std::slice::from_raw_parts(octets, count as usize) })
}

pub(super) unsafe extern "C" fn MIMEStreamPutLine(line: *mut c_char, handle: *mut c_void) -> c_int {
    // SAFETY: a text (mime.h).
    let line = unsafe { text(line) };
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    write(handle, &[line, b"\r\n"].concat())
}

pub(super) unsafe extern "C" fn MIMEStreamItemize(
    note: u32,
    _item: *mut c_char,
    _item_length: u16,
    flags: u32,
    handle: *mut c_void,
) -> u16 {
    let octets = stream(handle, |stream| stream.writes.then(|| stream.octets.clone())).flatten();
    let Some(octets) = octets else { return ERR_MISC_INVALID_ARGS };
    let flags = if flags & (ITEMIZE_HEADERS | ITEMIZE_BODY) == 0 { ITEMIZE_BODY } else { flags };
    // A stream of a body alone has no header in front.
    let end = match flags & ITEMIZE_HEADERS {
        0 => None,
        _ => octets.windows(4).position(|window| window == b"\r\n\r\n"),
    };
    let (header, body) = match end {
        Some(end) => (&octets[..end + 2], &octets[end + 4..]),
        None if flags & ITEMIZE_HEADERS != 0 => (octets.as_slice(), &[][..]),
        None => (&[][..], octets.as_slice()),
    };
    let done = with(note, |note| {
        if flags & ITEMIZE_HEADERS != 0 {
            note.fields = field::split(header);
        }
        if flags & ITEMIZE_BODY != 0 {
            note.body = Arc::new(body.to_owned());
        }
        note.is_message = true;
    });
    done.map_or(ERR_MISC_INVALID_ARGS, |()| NOERROR)
}

pub(super) extern "C" fn MIMEStreamClose(handle: *mut c_void) {
    if let (Some(bridge), Ok(handle)) = (Bridge::get(), u32::try_from(handle.addr())) {
        bridge.handles.streams.take(handle);
    }
}
