//! Mirrors of the state service.
//! Knows no id and calls nothing.

use std::ffi::c_char;

use abi_stable::StableAbi;
use stagepost_abi::{EmRequest, EmToken, STATUS};

use crate::mirror::base::{EmHost, EmText};

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmStateServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmStateService {
    size: u32,
    reserved: u32,
    get_wait: unsafe extern "C" fn(
        host: *mut EmHost,
        key: EmText,
        buffer: *mut c_char,
        capacity: u64,
        length: *mut u64,
    ) -> STATUS,
    put_wait: unsafe extern "C" fn(host: *mut EmHost, key: EmText, value: EmText) -> STATUS,
    remove_wait: unsafe extern "C" fn(host: *mut EmHost, key: EmText) -> STATUS,
    next_wait: unsafe extern "C" fn(
        host: *mut EmHost,
        prefix: EmText,
        after: EmText,
        buffer: *mut c_char,
        capacity: u64,
        length: *mut u64,
    ) -> STATUS,
    get: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        key: EmText,
        request: *mut EmRequest,
    ) -> STATUS,
    put: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        key: EmText,
        value: EmText,
        request: *mut EmRequest,
    ) -> STATUS,
    remove: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        key: EmText,
        request: *mut EmRequest,
    ) -> STATUS,
    next: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        prefix: EmText,
        after: EmText,
        request: *mut EmRequest,
    ) -> STATUS,
    #[sabi(last_prefix_field)]
    result: unsafe extern "C" fn(
        host: *mut EmHost,
        request: EmRequest,
        buffer: *mut c_char,
        capacity: u64,
        length: *mut u64,
    ) -> STATUS,
}

crate::mirror::twins! {
    EmStateService {
        size, reserved, get_wait, put_wait, remove_wait, next_wait, get, put, remove, next, result,
    }
}
