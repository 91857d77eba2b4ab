//! The state service: what a plug-in keeps beyond the process.

use core::ffi::c_char;

use crate::{EmHost, EmRequest, EmText, EmToken, STATUS};

/// Id of EmStateService. A host may be without it.
pub const EM_STATE_ID: &core::ffi::CStr = c"em.state/1";

/// The most octets of a key of EmStateService; it has 1 at least.
pub const EM_STATE_KEY_MAX: u64 = 256;

/// The most octets of a value of EmStateService.
pub const EM_STATE_VALUE_MAX: u64 = 65_536;

/// Keeps values by key, durably, each plug-in its own. Keys and values are octets; keys are in the order of their octets.
///
/// Each function comes twice. With `_wait` in its name it waits for the disk and returns what happened; it is for threads
/// that may block: handlers of class EM_CLASS_BLOCKING and the plug-in's own threads. The other begins and returns at
/// once; when it is done the token is woken (EmAsyncService), and `result`, called in its poll, tells what happened. Of
/// two under way for one key, either may come first.
///
/// All return NOERROR, ERR_NOT_FOUND (there is no such value or key), EM_ERR_STAGE (inside em_entry; `_wait` in line, on a
/// thread that must not block), EM_ERR_LIMIT (a put: with it the plug-in's keys and values would come to more than the
/// operator's state_octets_max; nothing has changed), EM_ERR_IO (the disk fails; whether a change was made is then not
/// known), or ERR_MISC_INVALID_ARGS. Those with a token return what EmAsyncService returns for one that is not pending too,
/// and EM_ERR_LIMIT for more than 256 requests that are under way or not read.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EmStateService {
    /// sizeof(EmStateService) of the host.
    pub size: u32,
    /// Zero.
    pub reserved: u32,

    /// Reads a value.
    ///
    /// - buffer: receives it; may be NULL if capacity is 0.
    /// - capacity: the octets that buffer has room for.
    /// - length: receives the value's length, also with EM_ERR_LIMIT: it is longer than capacity, and buffer unchanged.
    ///
    /// [any-thread & may-block]
    pub get_wait: unsafe extern "C" fn(
        host: *mut EmHost,
        key: EmText,
        buffer: *mut c_char,
        capacity: u64,
        length: *mut u64,
    ) -> STATUS,

    /// Puts a value in the place of any other; it is on disk when this returns. [any-thread & may-block]
    pub put_wait: unsafe extern "C" fn(host: *mut EmHost, key: EmText, value: EmText) -> STATUS,

    /// Removes a value, if there is one; that is on disk when this returns. [any-thread & may-block]
    pub remove_wait: unsafe extern "C" fn(host: *mut EmHost, key: EmText) -> STATUS,

    /// Finds the first key behind another. To see all keys, begin with an empty `after` and go on behind each key found.
    ///
    /// - prefix: what the key begins with; may be empty.
    /// - after: the key found before; empty to begin.
    /// - buffer, capacity, length: for the key, as with get_wait.
    ///
    /// [any-thread & may-block]
    pub next_wait: unsafe extern "C" fn(
        host: *mut EmHost,
        prefix: EmText,
        after: EmText,
        buffer: *mut c_char,
        capacity: u64,
        length: *mut u64,
    ) -> STATUS,

    /// As get_wait, later. Key is copied. [any-thread]
    pub get: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        key: EmText,
        request: *mut EmRequest,
    ) -> STATUS,

    /// As put_wait, later. Key and value are copied. [any-thread]
    pub put: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        key: EmText,
        value: EmText,
        request: *mut EmRequest,
    ) -> STATUS,

    /// As remove_wait, later. Key is copied. [any-thread]
    pub remove: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        key: EmText,
        request: *mut EmRequest,
    ) -> STATUS,

    /// As next_wait, later. Prefix and after are copied. [any-thread]
    pub next: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        prefix: EmText,
        after: EmText,
        request: *mut EmRequest,
    ) -> STATUS,

    /// Takes the result of a request, once.
    ///
    /// - buffer, capacity, length: for what `get` or `next` found, as with get_wait. The others find nothing: length 0.
    ///
    /// Returns what the function with `_wait` would have, EM_PENDING (it is not done yet), or ERR_MISC_INVALID_ARGS (NULL;
    /// there is no such request, or its result was taken). With EM_ERR_LIMIT it stays to be taken. [any-thread]
    pub result: unsafe extern "C" fn(
        host: *mut EmHost,
        request: EmRequest,
        buffer: *mut c_char,
        capacity: u64,
        length: *mut u64,
    ) -> STATUS,
}
