//! Mirrors of the message service.
//! Knows no id and calls nothing.

use abi_stable::StableAbi;
use stagepost_abi::STATUS;

use crate::mirror::base::{EmMessage, EmText};

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmMessageServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmMessageService {
    size: u32,
    reserved: u32,
    header: unsafe extern "C" fn(message: *const EmMessage, value: *mut EmText) -> STATUS,
    #[sabi(last_prefix_field)]
    body:
        unsafe extern "C" fn(message: *const EmMessage, offset: u64, value: *mut EmText) -> STATUS,
}

crate::mirror::twins! {
    EmMessageService { size, reserved, header, body }
}
