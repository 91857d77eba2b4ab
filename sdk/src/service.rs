//! The host's service tables, as this plug-in found them.
//! Knows ids and sizes, not what the functions do.

use std::ffi::{CStr, c_void};

use stagepost_abi::{
    EM_ADMIN_ID, EM_ASYNC_ID, EM_CONFIG_ID, EM_DIRECTORY_ID, EM_DNS_ID, EM_EDITS_ID,
    EM_EXTENSION_ID, EM_FILTER_ID, EM_LAYOUT_ID, EM_LOG_ID, EM_MESSAGE_ID, EM_METRICS_ID,
    EM_OUTBOUND_ID, EM_QUEUE_ID, EM_SESSION_ID, EM_STATE_ID, EM_SUBMIT_ID, EM_TIMERS_ID,
    EmAdminService, EmAsyncService, EmBase, EmConfigService, EmDirectoryService, EmDnsService,
    EmEditsService, EmExtensionService, EmFilterService, EmHost, EmLayoutService, EmLogService,
    EmMessageService, EmMetricsService, EmOutboundService, EmQueueService, EmSessionService,
    EmStateService, EmSubmitService, EmTimersService,
};

use crate::start::StartError;
use crate::text::lend;

/// The tables every plug-in of this SDK needs. Valid until the process ends.
#[derive(Clone, Copy)]
pub(crate) struct Services {
    pub(crate) log: &'static EmLogService,
    pub(crate) config: &'static EmConfigService,
    pub(crate) session: &'static EmSessionService,
    pub(crate) edits: &'static EmEditsService,
    pub(crate) message: &'static EmMessageService,
    pub(crate) metrics: &'static EmMetricsService,
    pub(crate) extension: &'static EmExtensionService,
    pub(crate) queue: &'static EmQueueService,
    pub(crate) timers: &'static EmTimersService,
    pub(crate) dns: &'static EmDnsService,
    pub(crate) submit: &'static EmSubmitService,
    pub(crate) outbound: &'static EmOutboundService,
    /// For asynchronous handlers only: the host makes room for calls that may go pending.
    pub(crate) pending: Option<&'static EmAsyncService>,
    pub(crate) admin: &'static EmAdminService,
    /// A host may be without it, and the next.
    pub(crate) state: Option<&'static EmStateService>,
    pub(crate) directory: Option<&'static EmDirectoryService>,
}

impl Services {
    /// Finds them all, the log first: it tells what becomes of the others.
    ///
    /// # Safety
    ///
    /// `base` and `host` are those given to em_entry.
    pub(crate) unsafe fn find(
        log: &'static EmLogService,
        base: &EmBase,
        host: *mut EmHost,
        asynchronous: bool,
    ) -> Result<Self, StartError> {
        // SAFETY: the caller's promise; and each id stands with the type of its table.
        unsafe {
            Ok(Self {
                log,
                config: table(base, host, EM_CONFIG_ID)?,
                session: table(base, host, EM_SESSION_ID)?,
                edits: table(base, host, EM_EDITS_ID)?,
                message: table(base, host, EM_MESSAGE_ID)?,
                metrics: table(base, host, EM_METRICS_ID)?,
                extension: table(base, host, EM_EXTENSION_ID)?,
                queue: table(base, host, EM_QUEUE_ID)?,
                timers: table(base, host, EM_TIMERS_ID)?,
                dns: table(base, host, EM_DNS_ID)?,
                submit: table(base, host, EM_SUBMIT_ID)?,
                outbound: table(base, host, EM_OUTBOUND_ID)?,
                pending: if asynchronous { Some(table(base, host, EM_ASYNC_ID)?) } else { None },
                admin: table(base, host, EM_ADMIN_ID)?,
                state: table(base, host, EM_STATE_ID).ok(),
                directory: table(base, host, EM_DIRECTORY_ID).ok(),
            })
        }
    }
}

/// Finds the log table.
///
/// # Safety
///
/// As `Services::find`.
pub(crate) unsafe fn log(
    base: &EmBase,
    host: *mut EmHost,
) -> Result<&'static EmLogService, StartError> {
    // SAFETY: the caller's promise; EmLogService is the table of this id.
    unsafe { table(base, host, EM_LOG_ID) }
}

/// Finds the filter table, for a plug-in that has a filter.
///
/// # Safety
///
/// As `Services::find`.
pub(crate) unsafe fn filter(
    base: &EmBase,
    host: *mut EmHost,
) -> Result<&'static EmFilterService, StartError> {
    // SAFETY: the caller's promise; EmFilterService is the table of this id.
    unsafe { table(base, host, EM_FILTER_ID) }
}

/// Finds the layout table; a host may be without it.
///
/// # Safety
///
/// As `Services::find`.
pub(crate) unsafe fn layout(base: &EmBase, host: *mut EmHost) -> Option<&'static EmLayoutService> {
    // SAFETY: the caller's promise; EmLayoutService is the table of this id.
    unsafe { table(base, host, EM_LAYOUT_ID) }.ok()
}

/// # Safety
///
/// As `Services::find`; and `T` is the struct of the table with this id, so it starts with its `u32` size.
unsafe fn table<T>(base: &EmBase, host: *mut EmHost, id: &CStr) -> Result<&'static T, StartError> {
    let name = || id.to_string_lossy().into_owned();
    // SAFETY: `base` and `host` belong together, by the caller's promise; the id is lent for the call.
    let found: *const c_void = unsafe { (base.service)(host, lend(id.to_bytes())) };
    if found.is_null() {
        return Err(StartError::NoService(name()));
    }
    // SAFETY: every table starts with its size.
    let size = unsafe { found.cast::<u32>().read() };
    let wanted = size_of::<T>();
    if (size as usize) < wanted {
        return Err(StartError::OldService { id: name(), wanted, found: size });
    }
    // SAFETY: the table is at least as long as `T`, and valid and unchanged until the process ends.
    Ok(unsafe { &*found.cast::<T>() })
}
