//! Mirrors of the filter service.
//! Knows no id and calls nothing.

use abi_stable::StableAbi;
use stagepost_abi::{HEMREGISTRATION, STATUS};

use crate::mirror::base::{EmHost, EmText};

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmFilterRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmFilter {
    size: u32,
    reserved: u32,
    networks: EmText,
    listeners: EmText,
    sender_domains: EmText,
    recipient_domains: EmText,
    tls: u32,
    #[sabi(last_prefix_field)]
    authenticated: u32,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmFilterServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmFilterService {
    size: u32,
    reserved: u32,
    #[sabi(last_prefix_field)]
    narrow: unsafe extern "C" fn(
        host: *mut EmHost,
        registration: HEMREGISTRATION,
        filter: EmFilterRef,
    ) -> STATUS,
}

crate::mirror::twins! {
    EmFilter { size, reserved, networks, listeners, sender_domains, recipient_domains, tls, authenticated }
    EmFilterService { size, reserved, narrow }
}
