//! The layout service: how a Rust plug-in has its view of the contract compared with the host's.

use core::ffi::c_void;

use crate::{EmHost, STATUS};

/// Id of EmLayoutService.
pub const EM_LAYOUT_ID: &core::ffi::CStr = c"em.layout/1";

/// Compares layouts of the contract. Used by stagepost-sdk; C plug-ins have no need of it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EmLayoutService {
    /// sizeof(EmLayoutService) of the host.
    pub size: u32,
    /// Zero.
    pub reserved: u32,

    /// Compares the plug-in's layout, a stagepost_layout::Offer, with the host's. A plug-in whose descriptor says
    /// EM_LANGUAGE_RUST must do so before it registers anything.
    ///
    /// Returns NOERROR, EM_ERR_LAYOUT (the host has logged what differs) or ERR_MISC_INVALID_ARGS.
    /// [main-thread & loading]
    pub check: unsafe extern "C" fn(host: *mut EmHost, offer: *const c_void) -> STATUS,
}
