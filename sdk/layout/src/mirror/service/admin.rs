//! Mirrors of the admin service.
//! Knows no id and calls nothing.

use std::ffi::c_void;

use abi_stable::StableAbi;
use stagepost_abi::STATUS;

use crate::mirror::base::{EmHost, EmRelease, EmText};

#[repr(C)]
#[derive(StableAbi)]
pub(crate) struct EmAdminCall {
    opaque: [u8; 0],
}

/// A struct, since abi_stable does not see through an alias of a function pointer.
#[repr(transparent)]
#[derive(StableAbi)]
pub(crate) struct EmAdminVerb {
    handler: Option<
        unsafe extern "C" fn(
            call: *mut EmAdminCall,
            arguments: EmText,
            user_data: *mut c_void,
        ) -> STATUS,
    >,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmAdminServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmAdminService {
    size: u32,
    reserved: u32,
    verb: unsafe extern "C" fn(
        host: *mut EmHost,
        name: EmText,
        help: EmText,
        handler: EmAdminVerb,
        user_data: *mut c_void,
        release: EmRelease,
    ) -> STATUS,
    answer: unsafe extern "C" fn(call: *mut EmAdminCall, json: EmText) -> STATUS,
    #[sabi(last_prefix_field)]
    fail: unsafe extern "C" fn(call: *mut EmAdminCall, message: EmText) -> STATUS,
}

crate::mirror::twins! {
    EmAdminService { size, reserved, verb, answer, fail }
}
