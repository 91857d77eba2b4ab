//! The state service: what a plug-in keeps beyond the process.

use core::ffi::{c_char, c_void};

use crate::{EmHost, EmText, STATUS};

/// Id of EmStateService. A host may be without it.
pub const EM_STATE_ID: &core::ffi::CStr = c"em.state/1";

/// The most octets of a key of EmStateService; it has 1 at least.
pub const EM_STATE_KEY_MAX: u64 = 256;

/// The most octets of a value of EmStateService.
pub const EM_STATE_VALUE_MAX: u64 = 65_536;

/// Tells what became of an asynchronous call of EmStateService. Called exactly once for each that returned NOERROR, and
/// perhaps before that has returned.
///
/// - status: what the `_wait` form would have returned.
/// - value: for `get` and `next` what was found, valid until this returns; else empty.
/// - context: as given.
///
/// [any-thread]
pub type EmStateDone =
    Option<unsafe extern "C" fn(status: STATUS, value: EmText, context: *mut c_void)>;

/// Keeps values by key, durably, each plug-in its own. Keys and values are octets; keys are in the order of their octets.
///
/// The functions named `_wait` block: they are refused with EM_ERR_STAGE in a handler that is called in line. The others
/// begin and tell later what became of it; of two under way for one key, either may come first. They return NOERROR when
/// it has begun, ERR_MISC_INVALID_ARGS, EM_ERR_LIMIT (256 are under way), or EM_ERR_STAGE (the server does not serve yet, or
/// no more).
///
/// What was found is ERR_NOT_FOUND when there is none, EM_ERR_IO when the disk fails: whether a change was made is then not
/// known.
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
    /// [any-thread, blocks]
    pub get_wait: unsafe extern "C" fn(
        host: *mut EmHost,
        key: EmText,
        buffer: *mut c_char,
        capacity: u64,
        length: *mut u64,
    ) -> STATUS,

    /// Puts a value in the place of any other; it is on disk when this returns. [any-thread, blocks]
    pub put_wait: unsafe extern "C" fn(host: *mut EmHost, key: EmText, value: EmText) -> STATUS,

    /// Removes a value, if there is one; that is on disk when this returns. [any-thread, blocks]
    pub remove_wait: unsafe extern "C" fn(host: *mut EmHost, key: EmText) -> STATUS,

    /// Finds the first key behind another. To see all keys, begin with an empty `after` and go on behind each key found.
    ///
    /// - prefix: what the key begins with; may be empty.
    /// - after: the key found before; empty to begin.
    /// - buffer, capacity, length: for the key, as with get_wait.
    ///
    /// [any-thread, blocks]
    pub next_wait: unsafe extern "C" fn(
        host: *mut EmHost,
        prefix: EmText,
        after: EmText,
        buffer: *mut c_char,
        capacity: u64,
        length: *mut u64,
    ) -> STATUS,

    /// As get_wait, told by `done`. Key is copied. [any-thread]
    pub get: unsafe extern "C" fn(
        host: *mut EmHost,
        key: EmText,
        done: EmStateDone,
        context: *mut c_void,
    ) -> STATUS,

    /// As put_wait, told by `done`. Key and value are copied. [any-thread]
    pub put: unsafe extern "C" fn(
        host: *mut EmHost,
        key: EmText,
        value: EmText,
        done: EmStateDone,
        context: *mut c_void,
    ) -> STATUS,

    /// As remove_wait, told by `done`. Key is copied. [any-thread]
    pub remove: unsafe extern "C" fn(
        host: *mut EmHost,
        key: EmText,
        done: EmStateDone,
        context: *mut c_void,
    ) -> STATUS,

    /// As next_wait, told by `done`. Prefix and after are copied. [any-thread]
    pub next: unsafe extern "C" fn(
        host: *mut EmHost,
        prefix: EmText,
        after: EmText,
        done: EmStateDone,
        context: *mut c_void,
    ) -> STATUS,
}
