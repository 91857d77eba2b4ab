//! Mirrors of the queue service.
//! Knows no id and calls nothing.

use abi_stable::StableAbi;
use stagepost_abi::{EmRequest, EmToken, STATUS};

use crate::mirror::base::{EmHost, EmText};

#[repr(C)]
#[derive(StableAbi)]
pub(crate) struct EmQueueCount {
    size: u32,
    reserved: u32,
    queued: u64,
    held: u64,
    octets: u64,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmQueueServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmQueueService {
    size: u32,
    reserved: u32,
    count_wait: unsafe extern "C" fn(
        host: *mut EmHost,
        destination: EmText,
        count: *mut EmQueueCount,
    ) -> STATUS,
    hold_wait: unsafe extern "C" fn(
        host: *mut EmHost,
        destination: EmText,
        reason: EmText,
        count: *mut EmQueueCount,
    ) -> STATUS,
    release_wait: unsafe extern "C" fn(
        host: *mut EmHost,
        destination: EmText,
        count: *mut EmQueueCount,
    ) -> STATUS,
    flush_wait: unsafe extern "C" fn(
        host: *mut EmHost,
        destination: EmText,
        count: *mut EmQueueCount,
    ) -> STATUS,
    count: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        destination: EmText,
        request: *mut EmRequest,
    ) -> STATUS,
    hold: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        destination: EmText,
        reason: EmText,
        request: *mut EmRequest,
    ) -> STATUS,
    release: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        destination: EmText,
        request: *mut EmRequest,
    ) -> STATUS,
    flush: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        destination: EmText,
        request: *mut EmRequest,
    ) -> STATUS,
    #[sabi(last_prefix_field)]
    result: unsafe extern "C" fn(
        host: *mut EmHost,
        request: EmRequest,
        count: *mut EmQueueCount,
    ) -> STATUS,
}

crate::mirror::twins! {
    EmQueueCount { size, reserved, queued, held, octets }
    EmQueueService {
        size, reserved, count_wait, hold_wait, release_wait, flush_wait, count, hold, release, flush,
        result,
    }
}
