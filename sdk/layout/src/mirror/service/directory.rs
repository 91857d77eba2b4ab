//! Mirrors of the directory service.
//! Knows no id and calls nothing.

use abi_stable::StableAbi;
use stagepost_abi::{EmToken, STATUS};

use crate::mirror::base::{EmHost, EmText};

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmDirectoryServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmDirectoryService {
    size: u32,
    reserved: u32,
    user: unsafe extern "C" fn(host: *mut EmHost, address: EmText) -> STATUS,
    member: unsafe extern "C" fn(host: *mut EmHost, address: EmText, group: EmText) -> STATUS,
    group: unsafe extern "C" fn(
        host: *mut EmHost,
        address: EmText,
        index: u32,
        group: *mut EmText,
    ) -> STATUS,
    route: unsafe extern "C" fn(host: *mut EmHost, address: EmText, route: *mut u32) -> STATUS,
    fetch: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        address: EmText,
        what: u32,
    ) -> STATUS,
    #[sabi(last_prefix_field)]
    wait: unsafe extern "C" fn(host: *mut EmHost, address: EmText, what: u32) -> STATUS,
}

crate::mirror::twins! {
    EmDirectoryService { size, reserved, user, member, group, route, fetch, wait }
}
