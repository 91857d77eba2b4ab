//! Mirrors of the log service.
//! Knows no id and calls nothing.

use abi_stable::StableAbi;
use stagepost_abi::STATUS;

use crate::mirror::base::{EmHost, EmSession, EmText};

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmLogServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmLogService {
    size: u32,
    reserved: u32,
    write: unsafe extern "C" fn(
        host: *mut EmHost,
        session: *const EmSession,
        level: u32,
        message: EmText,
    ) -> STATUS,
    #[sabi(last_prefix_field)]
    enabled: unsafe extern "C" fn(host: *mut EmHost, level: u32) -> u8,
}

crate::mirror::twins! {
    EmLogService { size, reserved, write, enabled }
}
