//! Mirrors of the async service.
//! Knows no id and calls nothing.

use std::ffi::c_void;

use abi_stable::StableAbi;
use stagepost_abi::{EmToken, STATUS};

use crate::mirror::base::{EmEdits, EmHost, EmPoll, EmRelease};

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmAsyncServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmAsyncService {
    size: u32,
    reserved: u32,
    pending: unsafe extern "C" fn(
        edits: *mut EmEdits,
        poll: EmPoll,
        data: *mut c_void,
        release: EmRelease,
        token: *mut EmToken,
    ) -> STATUS,
    complete: unsafe extern "C" fn(host: *mut EmHost, token: EmToken, status: STATUS) -> STATUS,
    wake: unsafe extern "C" fn(host: *mut EmHost, token: EmToken) -> STATUS,
    #[sabi(last_prefix_field)]
    extend: unsafe extern "C" fn(host: *mut EmHost, token: EmToken, milliseconds: u32) -> STATUS,
}

crate::mirror::twins! {
    EmAsyncService { size, reserved, pending, complete, wake, extend }
}
