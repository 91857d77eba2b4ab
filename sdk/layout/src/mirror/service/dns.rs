//! Mirrors of the DNS service.
//! Knows no id and calls nothing.

use abi_stable::StableAbi;
use stagepost_abi::{EmToken, STATUS};

use crate::mirror::base::{EmEdits, EmHost, EmText};

#[repr(C)]
#[derive(StableAbi)]
pub(crate) struct EmDnsRecord {
    value: EmText,
    preference: u16,
    reserved: [u16; 3],
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmDnsAnswerRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmDnsAnswer {
    size: u32,
    outcome: u32,
    records: *const EmDnsRecord,
    count: u64,
    ttl_s: u32,
    #[sabi(last_prefix_field)]
    reserved: u32,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmDnsServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmDnsService {
    size: u32,
    reserved: u32,
    ask: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        record_type: u32,
        name: EmText,
        query: *mut u32,
    ) -> STATUS,
    answer: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        query: u32,
        value: *mut EmDnsAnswerRef,
    ) -> STATUS,
    #[sabi(last_prefix_field)]
    wait: unsafe extern "C" fn(
        edits: *mut EmEdits,
        record_type: u32,
        name: EmText,
        value: *mut EmDnsAnswerRef,
    ) -> STATUS,
}

crate::mirror::twins! {
    EmDnsRecord { value, preference, reserved }
    EmDnsAnswer { size, outcome, records, count, ttl_s, reserved }
    EmDnsService { size, reserved, ask, answer, wait }
}
