//! Mirrors of the layout service.
//! Knows no id and calls nothing.

use std::ffi::c_void;

use abi_stable::StableAbi;
use stagepost_abi::STATUS;

use crate::mirror::base::EmHost;

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmLayoutServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmLayoutService {
    size: u32,
    reserved: u32,
    #[sabi(last_prefix_field)]
    check: unsafe extern "C" fn(host: *mut EmHost, offer: *const c_void) -> STATUS,
}

crate::mirror::twins! {
    EmLayoutService { size, reserved, check }
}
