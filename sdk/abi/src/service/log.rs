//! The log service.

use crate::{EmHost, EmSession, EmText, STATUS};

/// Id of EmLogService.
pub const EM_LOG_ID: &core::ffi::CStr = c"em.log/1";

/// EmLogService level: something failed that an operator must see.
pub const EM_LOG_ERROR: u32 = 1;
/// EmLogService level: something is odd.
pub const EM_LOG_WARN: u32 = 2;
/// EmLogService level: something worth knowing happened.
pub const EM_LOG_INFO: u32 = 3;
/// EmLogService level: for whoever looks for a fault.
pub const EM_LOG_DEBUG: u32 = 4;
/// EmLogService level: everything.
pub const EM_LOG_TRACE: u32 = 5;

/// Writes to the host's log, marked with the plug-in's name.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EmLogService {
    /// sizeof(EmLogService) of the host.
    pub size: u32,
    /// Zero.
    pub reserved: u32,

    /// Writes one line.
    ///
    /// - session: the line then carries the session's id; NULL when it belongs to none.
    /// - level: EM_LOG_ERROR to EM_LOG_TRACE.
    /// - message: copied; what would steer a terminal, controls and what turns the direction of writing, is shown escaped, and
    ///   what is no UTF-8 as U+FFFD; cut after 4,096 octets.
    ///
    /// Returns NOERROR, or ERR_MISC_INVALID_ARGS for a NULL host, an unknown level, or a NULL with a length. [any-thread]
    pub write: unsafe extern "C" fn(
        host: *mut EmHost,
        session: *const EmSession,
        level: u32,
        message: EmText,
    ) -> STATUS,

    /// Tells whether a line of this level would be written: 1 or 0. [any-thread]
    pub enabled: unsafe extern "C" fn(host: *mut EmHost, level: u32) -> u8,
}
