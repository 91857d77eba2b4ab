//! The services as plug-ins ask for them: by id, each a table that only grows.
//! Holds the list and how text comes in from a plug-in; each service has its own module.

mod admin;
mod config;
mod directory;
mod dns;
mod edits;
mod extension;
mod filter;
mod layout;
mod log;
mod message;
mod metrics;
pub(crate) mod outbound;
mod pending;
pub(crate) mod queue;
mod session;
pub(crate) mod state;
pub(crate) mod submit;
mod timers;

use std::ffi::{c_char, c_void};

use stagepost_abi as abi;

use crate::base::answer;
use crate::host::Host;

/// The longest text taken from a plug-in, in octets; longer is a wrong length rather than text.
const TEXT_OCTETS_MAX: u64 = 64 << 20;

/// Finds a service's table; part of the base table.
pub(crate) unsafe extern "C" fn find(host: *mut abi::EmHost, id: abi::EmText) -> *const c_void {
    // SAFETY: the contract: `id` is text lent for the call.
    let Ok(id) = (unsafe { octets(id) }) else {
        return std::ptr::null();
    };
    match id {
        id if id == name(abi::EM_LOG_ID) => (&raw const log::TABLE).cast(),
        id if id == name(abi::EM_CONFIG_ID) => (&raw const config::TABLE).cast(),
        id if id == name(abi::EM_SESSION_ID) => (&raw const session::TABLE).cast(),
        id if id == name(abi::EM_EDITS_ID) => (&raw const edits::TABLE).cast(),
        id if id == name(abi::EM_MESSAGE_ID) => (&raw const message::TABLE).cast(),
        id if id == name(abi::EM_STATE_ID) => {
            // SAFETY: the contract: `host` is what em_entry was given.
            match unsafe { Host::from_handle(host) } {
                Some(host) if host.hosted().state.is_some() => (&raw const state::TABLE).cast(),
                _ => std::ptr::null(),
            }
        }
        id if id == name(abi::EM_DIRECTORY_ID) => {
            // SAFETY: the contract: `host` is what em_entry was given.
            match unsafe { Host::from_handle(host) } {
                Some(host) if host.hosted().users.is_some() => (&raw const directory::TABLE).cast(),
                _ => std::ptr::null(),
            }
        }
        id if id == name(abi::EM_ADMIN_ID) => (&raw const admin::TABLE).cast(),
        id if id == name(abi::EM_METRICS_ID) => (&raw const metrics::TABLE).cast(),
        id if id == name(abi::EM_FILTER_ID) => (&raw const filter::TABLE).cast(),
        id if id == name(abi::EM_ASYNC_ID) => {
            // SAFETY: the contract: `host` is what em_entry was given.
            if let Some(plugin) = unsafe { Host::from_handle(host) } {
                plugin.learn_pending();
            }
            (&raw const pending::TABLE).cast()
        }
        id if id == name(abi::EM_EXTENSION_ID) => (&raw const extension::TABLE).cast(),
        id if id == name(abi::EM_QUEUE_ID) => (&raw const queue::TABLE).cast(),
        id if id == name(abi::EM_TIMERS_ID) => (&raw const timers::TABLE).cast(),
        id if id == name(abi::EM_DNS_ID) => (&raw const dns::TABLE).cast(),
        id if id == name(abi::EM_SUBMIT_ID) => (&raw const submit::TABLE).cast(),
        id if id == name(abi::EM_OUTBOUND_ID) => (&raw const outbound::TABLE).cast(),
        id if id == name(abi::EM_LAYOUT_ID) => (&raw const layout::TABLE).cast(),
        _ => std::ptr::null(),
    }
}

/// An id as octets, without the NUL that ends it in the header.
fn name(id: &'static std::ffi::CStr) -> &'static [u8] {
    id.to_bytes()
}

/// Octets lent by a plug-in.
///
/// # Safety
/// `text` is NULL and 0, or names that many readable octets, unchanged while they are borrowed.
unsafe fn octets<'a>(text: abi::EmText) -> Result<&'a [u8], abi::STATUS> {
    if text.len == 0 {
        return Ok(&[]);
    }
    let length = usize::try_from(text.len).ok().filter(|_| text.len <= TEXT_OCTETS_MAX);
    let (Some(length), false) = (length, text.data.is_null()) else {
        return Err(abi::ERR_MISC_INVALID_ARGS);
    };
    let data: *const c_char = text.data;
    // SAFETY: not NULL, and by the caller's promise readable for `length` octets.
    Ok(unsafe { std::slice::from_raw_parts(data.cast(), length) })
}

/// Text lent by a plug-in: UTF-8.
///
/// # Safety
/// As [`octets`].
unsafe fn text<'a>(text: abi::EmText) -> Result<&'a str, abi::STATUS> {
    // SAFETY: by the caller's promise.
    let octets = unsafe { octets(text) }?;
    std::str::from_utf8(octets).map_err(|_| abi::ERR_MISC_INVALID_ARGS)
}

/// Finds a result and writes it to where the plug-in wants it.
///
/// # Safety
/// `place` is NULL or a place of the plug-in's for a `T`.
unsafe fn hand_out<T>(place: *mut T, find: impl FnOnce() -> Result<T, abi::STATUS>) -> abi::STATUS {
    answer(|| {
        if place.is_null() || !place.is_aligned() {
            return Err(abi::ERR_MISC_INVALID_ARGS);
        }
        let found = find()?;
        // SAFETY: not NULL, and by the caller's promise writable.
        unsafe { place.write(found) };
        Ok(())
    })
}

/// Hands octets out into a plug-in's buffer.
///
/// # Safety
/// `buffer` is NULL or has room for `capacity` octets; `length` is NULL or a place for a number.
unsafe fn fill(
    found: &[u8],
    buffer: *mut c_char,
    capacity: u64,
    length: *mut u64,
) -> Result<(), abi::STATUS> {
    // SAFETY: not NULL: `check_buffer` was asked; writable by the caller's promise.
    unsafe { length.write(found.len() as u64) };
    if found.len() as u64 > capacity {
        return Err(abi::EM_ERR_LIMIT);
    }
    if !found.is_empty() {
        // SAFETY: not NULL, since its capacity is not 0; room enough by the caller's promise; memory of two owners.
        unsafe { std::ptr::copy_nonoverlapping(found.as_ptr(), buffer.cast(), found.len()) };
    }
    Ok(())
}

/// Whether there is a buffer, and a place for how long what it gets is.
fn check_buffer(buffer: *mut c_char, capacity: u64, length: *mut u64) -> Result<(), abi::STATUS> {
    if length.is_null() || !length.is_aligned() || (buffer.is_null() && capacity > 0) {
        return Err(abi::ERR_MISC_INVALID_ARGS);
    }
    Ok(())
}
