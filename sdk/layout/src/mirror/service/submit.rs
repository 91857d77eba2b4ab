//! Mirrors of the submit service.
//! Knows no id and calls nothing.

use std::ffi::c_char;

use abi_stable::StableAbi;
use stagepost_abi::{EmRequest, EmSubmission, EmToken, STATUS};

use crate::mirror::base::{EmHost, EmSession, EmText};

#[repr(C)]
#[derive(StableAbi)]
pub(crate) struct EmQueueId {
    text: [c_char; 32],
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmSubmitServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmSubmitService {
    size: u32,
    reserved: u32,
    begin: unsafe extern "C" fn(
        host: *mut EmHost,
        session: *const EmSession,
        sender: EmText,
        parameters: EmText,
        submission: *mut EmSubmission,
    ) -> STATUS,
    recipient: unsafe extern "C" fn(
        host: *mut EmHost,
        submission: EmSubmission,
        path: EmText,
        parameters: EmText,
        flags: u32,
    ) -> STATUS,
    write_wait:
        unsafe extern "C" fn(host: *mut EmHost, submission: EmSubmission, octets: EmText) -> STATUS,
    commit_wait: unsafe extern "C" fn(
        host: *mut EmHost,
        submission: EmSubmission,
        id: *mut EmQueueId,
    ) -> STATUS,
    write: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        submission: EmSubmission,
        octets: EmText,
        request: *mut EmRequest,
    ) -> STATUS,
    commit: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        submission: EmSubmission,
        request: *mut EmRequest,
    ) -> STATUS,
    result:
        unsafe extern "C" fn(host: *mut EmHost, request: EmRequest, id: *mut EmQueueId) -> STATUS,
    #[sabi(last_prefix_field)]
    abandon: unsafe extern "C" fn(host: *mut EmHost, submission: EmSubmission) -> STATUS,
}

crate::mirror::twins! {
    EmQueueId { text }
    EmSubmitService {
        size, reserved, begin, recipient, write_wait, commit_wait, write, commit, result, abandon,
    }
}
