//! The configuration service.

use crate::{EmHost, EmText, STATUS};

/// Id of EmConfigService.
pub const EM_CONFIG_ID: &core::ffi::CStr = c"em.config/1";

/// Where a value stands in the configuration file, for error messages.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmPlace {
    /// The file's path as the operator gave it; valid until the process ends.
    pub file: EmText,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

/// Reads the plug-in's own section, `[plugin.config]`. A key is a name, or names joined by dots for tables inside the
/// section. Text handed out is valid until the process ends. All functions write their output only on success and return
/// NOERROR, ERR_NOT_FOUND (no such key), EM_ERR_TYPE (a value of another type) or ERR_MISC_INVALID_ARGS (a NULL).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EmConfigService {
    /// sizeof(EmConfigService) of the host.
    pub size: u32,
    /// Zero.
    pub reserved: u32,

    /// Reads a string. [any-thread]
    pub text: unsafe extern "C" fn(host: *mut EmHost, key: EmText, value: *mut EmText) -> STATUS,

    /// Reads an integer. [any-thread]
    pub integer: unsafe extern "C" fn(host: *mut EmHost, key: EmText, value: *mut i64) -> STATUS,

    /// Reads a boolean: 1 or 0. [any-thread]
    pub boolean: unsafe extern "C" fn(host: *mut EmHost, key: EmText, value: *mut u8) -> STATUS,

    /// Reads any value as JSON text; the empty key means the whole section, `{}` when there is none. [any-thread]
    pub json: unsafe extern "C" fn(host: *mut EmHost, key: EmText, value: *mut EmText) -> STATUS,

    /// Tells where a value stands. [any-thread]
    pub place: unsafe extern "C" fn(host: *mut EmHost, key: EmText, place: *mut EmPlace) -> STATUS,

    /// Tells where the plug-in's own file is, as the configuration names it: an absolute path, for what comes beside it.
    /// The code that runs is that of a private copy elsewhere. EM_ERR_TYPE for a path that is not UTF-8, and
    /// ERR_MISC_INVALID_ARGS for a section (EmConfig.section). [any-thread]
    pub own_file: unsafe extern "C" fn(host: *mut EmHost, path: *mut EmText) -> STATUS,
}
