//! Mirrors of the base: frozen from 1.0 on, so compared exactly.
//! Knows no event and no service.

use std::ffi::{c_char, c_void};

use abi_stable::StableAbi;
use stagepost_abi::{EID, HEMREGISTRATION, STATUS};

/// The base's structs, each once.
#[repr(C)]
#[derive(StableAbi)]
pub(crate) struct Base {
    text: EmText,
    reply: EmReply,
    record: EMRECORD,
    event: EmEvent,
    table: EmBase,
    descriptor: EmDescriptor,
}

#[repr(C)]
#[derive(StableAbi)]
pub(crate) struct EmHost {
    opaque: [u8; 0],
}

#[repr(C)]
#[derive(StableAbi)]
pub(crate) struct EmSession {
    opaque: [u8; 0],
}

#[repr(C)]
#[derive(StableAbi)]
pub(crate) struct EmEdits {
    opaque: [u8; 0],
}

#[repr(C)]
#[derive(StableAbi)]
pub(crate) struct EmMessage {
    opaque: [u8; 0],
}

#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub(crate) struct EmText {
    data: *const c_char,
    len: u64,
}

#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub(crate) struct EmReply {
    size: u32,
    code: u16,
    enhanced_class: u8,
    reserved: u8,
    enhanced_subject: u16,
    enhanced_detail: u16,
    reserved_2: u32,
    text: EmText,
}

#[repr(C)]
#[derive(StableAbi)]
pub(crate) struct EMRECORD {
    EId: EID,
    NotificationType: u16,
    Status: STATUS,
    Size: u16,
    Event: *const c_void,
    UserData: *mut c_void,
}

#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub(crate) struct EmEvent {
    size: u32,
    reserved: u32,
    session: *const EmSession,
    edits: *mut EmEdits,
    reply: *const EmReply,
}

/// A struct, since abi_stable does not see through an alias of a function pointer.
#[repr(transparent)]
#[derive(StableAbi)]
pub(crate) struct EMHANDLER {
    handler: Option<unsafe extern "C" fn(record: *const EMRECORD) -> STATUS>,
}

/// A struct for the same reason.
#[repr(transparent)]
#[derive(StableAbi)]
pub(crate) struct EmRelease {
    release: Option<unsafe extern "C" fn(data: *mut c_void)>,
}

/// A struct for the same reason.
#[repr(transparent)]
#[derive(StableAbi)]
pub(crate) struct EmPoll {
    poll: Option<
        unsafe extern "C" fn(record: *const EMRECORD, data: *mut c_void, reason: u32) -> STATUS,
    >,
}

#[repr(C)]
#[derive(StableAbi)]
pub(crate) struct EmBase {
    size: u32,
    abi_major: u16,
    abi_minor: u16,
    EMRegister: unsafe extern "C" fn(
        host: *mut EmHost,
        event: EID,
        flags: u32,
        handler: EMHANDLER,
        user_data: *mut c_void,
        release: EmRelease,
        recursion_id: u16,
        registration: *mut HEMREGISTRATION,
    ) -> STATUS,
    EMDeregister: unsafe extern "C" fn(host: *mut EmHost, registration: HEMREGISTRATION) -> STATUS,
    EMCreateRecursionID: unsafe extern "C" fn(host: *mut EmHost, recursion_id: *mut u16) -> STATUS,
    service: unsafe extern "C" fn(host: *mut EmHost, id: EmText) -> *const c_void,
    reserved: [*const c_void; 4],
}

#[repr(C)]
#[derive(StableAbi)]
pub(crate) struct EmDescriptor {
    magic: [u8; 8],
    size: u32,
    abi_major: u16,
    abi_minor: u16,
    base_digest: u64,
    stages: u64,
    edits: u64,
    plugin_class: u32,
    language: u32,
    name: [u8; 64],
    version: [u8; 32],
    reserved: [u64; 4],
}

super::twins! {
    EmText { data, len }
    EmReply {
        size, code, enhanced_class, reserved, enhanced_subject, enhanced_detail, reserved_2, text,
    }
    EMRECORD { EId, NotificationType, Status, Size, Event, UserData }
    EmEvent { size, reserved, session, edits, reply }
    EmBase {
        size, abi_major, abi_minor, EMRegister, EMDeregister, EMCreateRecursionID, service, reserved,
    }
    EmDescriptor {
        magic, size, abi_major, abi_minor, base_digest, stages, edits, plugin_class, language, name,
        version, reserved,
    }
}
