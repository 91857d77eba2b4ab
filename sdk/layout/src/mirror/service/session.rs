//! Mirrors of the session service.
//! Knows no id and calls nothing.

use std::ffi::c_void;

use abi_stable::StableAbi;
use stagepost_abi::STATUS;

use crate::mirror::base::{EmRelease, EmSession, EmText};

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmSessionServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmSessionService {
    size: u32,
    reserved: u32,
    text: unsafe extern "C" fn(session: *const EmSession, fact: u32, value: *mut EmText) -> STATUS,
    number: unsafe extern "C" fn(session: *const EmSession, fact: u32, value: *mut u64) -> STATUS,
    recipient:
        unsafe extern "C" fn(session: *const EmSession, index: u64, value: *mut EmText) -> STATUS,
    attribute:
        unsafe extern "C" fn(session: *const EmSession, name: EmText, value: *mut EmText) -> STATUS,
    slot: unsafe extern "C" fn(session: *const EmSession, value: *mut *mut c_void) -> STATUS,
    slot_set: unsafe extern "C" fn(
        session: *const EmSession,
        value: *mut c_void,
        release: EmRelease,
    ) -> STATUS,
    tag: unsafe extern "C" fn(session: *const EmSession, index: u64, value: *mut EmText) -> STATUS,
    message_slot:
        unsafe extern "C" fn(session: *const EmSession, value: *mut *mut c_void) -> STATUS,
    message_slot_set: unsafe extern "C" fn(
        session: *const EmSession,
        value: *mut c_void,
        release: EmRelease,
    ) -> STATUS,
}

crate::mirror::twins! {
    EmSessionService { size, reserved, text, number, recipient, attribute, slot, slot_set, tag, message_slot, message_slot_set }
}
