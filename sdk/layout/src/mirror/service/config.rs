//! Mirrors of the config service.
//! Knows no id and calls nothing.

use abi_stable::StableAbi;
use stagepost_abi::STATUS;

use crate::mirror::base::{EmHost, EmText};

#[repr(C)]
#[derive(StableAbi)]
pub(crate) struct EmPlace {
    file: EmText,
    line: u32,
    column: u32,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmConfigServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmConfigService {
    size: u32,
    reserved: u32,
    text: unsafe extern "C" fn(host: *mut EmHost, key: EmText, value: *mut EmText) -> STATUS,
    integer: unsafe extern "C" fn(host: *mut EmHost, key: EmText, value: *mut i64) -> STATUS,
    boolean: unsafe extern "C" fn(host: *mut EmHost, key: EmText, value: *mut u8) -> STATUS,
    json: unsafe extern "C" fn(host: *mut EmHost, key: EmText, value: *mut EmText) -> STATUS,
    #[sabi(last_prefix_field)]
    place: unsafe extern "C" fn(host: *mut EmHost, key: EmText, place: *mut EmPlace) -> STATUS,
    own_file: unsafe extern "C" fn(host: *mut EmHost, path: *mut EmText) -> STATUS,
}

crate::mirror::twins! {
    EmPlace { file, line, column }
    EmConfigService { size, reserved, text, integer, boolean, json, place, own_file }
}
