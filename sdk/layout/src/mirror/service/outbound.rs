//! Mirrors of the outbound session service.
//! Knows no id and calls nothing.

use std::ffi::c_char;

use abi_stable::StableAbi;
use stagepost_abi::{EmOutbound, EmRequest, EmToken, STATUS};

use crate::mirror::base::{EmHost, EmText};

#[repr(C)]
#[derive(StableAbi)]
pub(crate) struct EmOutboundTarget {
    size: u32,
    tls: u32,
    flags: u32,
    deadline_ms: u32,
    host: EmText,
    port: u16,
    reserved: [u16; 3],
}

#[repr(C)]
#[derive(StableAbi)]
pub(crate) struct EmOutboundReversal {
    size: u32,
    reserved: u32,
    domains: EmText,
    accept: EmText,
    listener: EmText,
}

#[repr(C)]
#[derive(StableAbi)]
pub(crate) struct EmOutboundProgress {
    size: u32,
    state: u32,
    code: u16,
    secured: u16,
    reserved: u32,
    pushed: u64,
    done: u64,
    received: u64,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmOutboundServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmOutboundService {
    size: u32,
    reserved: u32,
    begin: unsafe extern "C" fn(
        host: *mut EmHost,
        target: *const EmOutboundTarget,
        session: *mut EmOutbound,
    ) -> STATUS,
    open_wait: unsafe extern "C" fn(host: *mut EmHost, session: EmOutbound) -> STATUS,
    auth_wait: unsafe extern "C" fn(
        host: *mut EmHost,
        session: EmOutbound,
        user: EmText,
        password: EmText,
        flags: u32,
    ) -> STATUS,
    command_wait:
        unsafe extern "C" fn(host: *mut EmHost, session: EmOutbound, line: EmText) -> STATUS,
    push_wait:
        unsafe extern "C" fn(host: *mut EmHost, session: EmOutbound, destination: EmText) -> STATUS,
    reverse_wait: unsafe extern "C" fn(
        host: *mut EmHost,
        session: EmOutbound,
        reversal: *const EmOutboundReversal,
    ) -> STATUS,
    quit_wait: unsafe extern "C" fn(host: *mut EmHost, session: EmOutbound) -> STATUS,
    open: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        session: EmOutbound,
        request: *mut EmRequest,
    ) -> STATUS,
    auth: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        session: EmOutbound,
        user: EmText,
        password: EmText,
        flags: u32,
        request: *mut EmRequest,
    ) -> STATUS,
    command: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        session: EmOutbound,
        line: EmText,
        request: *mut EmRequest,
    ) -> STATUS,
    push: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        session: EmOutbound,
        destination: EmText,
        request: *mut EmRequest,
    ) -> STATUS,
    reverse: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        session: EmOutbound,
        reversal: *const EmOutboundReversal,
        request: *mut EmRequest,
    ) -> STATUS,
    quit: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        session: EmOutbound,
        request: *mut EmRequest,
    ) -> STATUS,
    result: unsafe extern "C" fn(host: *mut EmHost, request: EmRequest) -> STATUS,
    text: unsafe extern "C" fn(
        host: *mut EmHost,
        session: EmOutbound,
        what: u32,
        buffer: *mut c_char,
        capacity: u64,
        length: *mut u64,
    ) -> STATUS,
    progress: unsafe extern "C" fn(
        host: *mut EmHost,
        session: EmOutbound,
        progress: *mut EmOutboundProgress,
    ) -> STATUS,
    #[sabi(last_prefix_field)]
    close: unsafe extern "C" fn(host: *mut EmHost, session: EmOutbound) -> STATUS,
}

crate::mirror::twins! {
    EmOutboundTarget { size, tls, flags, deadline_ms, host, port, reserved }
    EmOutboundReversal { size, reserved, domains, accept, listener }
    EmOutboundProgress { size, state, code, secured, reserved, pushed, done, received }
    EmOutboundService {
        size, reserved, begin, open_wait, auth_wait, command_wait, push_wait, reverse_wait, quit_wait,
        open, auth, command, push, reverse, quit, result, text, progress, close,
    }
}
