//! Mirrors of the timers service.
//! Knows no id and calls nothing.

use abi_stable::StableAbi;
use stagepost_abi::{EmToken, STATUS};

use crate::mirror::base::{EmEdits, EmHost};

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmTimersServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmTimersService {
    size: u32,
    reserved: u32,
    wake_after:
        unsafe extern "C" fn(host: *mut EmHost, token: EmToken, milliseconds: u32) -> STATUS,
    #[sabi(last_prefix_field)]
    wait: unsafe extern "C" fn(edits: *mut EmEdits, milliseconds: u32) -> STATUS,
}

crate::mirror::twins! {
    EmTimersService { size, reserved, wake_after, wait }
}
