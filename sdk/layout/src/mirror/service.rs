//! Mirrors of the service tables: they grow at their end, so they are compared as far as the plug-in knows them.
//! Knows no id.

use std::ffi::{c_char, c_void};

use abi_stable::StableAbi;
use stagepost_abi::{EmRequest, EmSubmission, EmToken, HEMREGISTRATION, STATUS};

use super::base::{EmEdits, EmHost, EmMessage, EmPoll, EmRelease, EmSession, EmText};

/// The service tables, each once.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = ServicesRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct Services {
    log: EmLogServiceRef,
    config: EmConfigServiceRef,
    session: EmSessionServiceRef,
    edits: EmEditsServiceRef,
    layout: EmLayoutServiceRef,
    message: EmMessageServiceRef,
    metrics: EmMetricsServiceRef,
    filter: EmFilterServiceRef,
    pending: EmAsyncServiceRef,
    timers: EmTimersServiceRef,
    dns: EmDnsServiceRef,
    admin: EmAdminServiceRef,
    extension: EmExtensionServiceRef,
    queue: EmQueueServiceRef,
    state: EmStateServiceRef,
    directory: EmDirectoryServiceRef,
    #[sabi(last_prefix_field)]
    submit: EmSubmitServiceRef,
}

#[repr(C)]
#[derive(StableAbi)]
pub(crate) struct EmPlace {
    file: EmText,
    line: u32,
    column: u32,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmLogServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmLogService {
    size: u32,
    reserved: u32,
    write: unsafe extern "C" fn(
        host: *mut EmHost,
        session: *const EmSession,
        level: u32,
        message: EmText,
    ) -> STATUS,
    #[sabi(last_prefix_field)]
    enabled: unsafe extern "C" fn(host: *mut EmHost, level: u32) -> u8,
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
}

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
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmEditsServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmEditsService {
    size: u32,
    reserved: u32,
    verdict: unsafe extern "C" fn(
        edits: *mut EmEdits,
        verdict: u32,
        code: u16,
        enhanced: EmText,
        text: EmText,
    ) -> STATUS,
    reply_text: unsafe extern "C" fn(edits: *mut EmEdits, text: EmText) -> STATUS,
    attribute: unsafe extern "C" fn(edits: *mut EmEdits, name: EmText, value: EmText) -> STATUS,
    header_add: unsafe extern "C" fn(edits: *mut EmEdits, name: EmText, value: EmText) -> STATUS,
    hold: unsafe extern "C" fn(edits: *mut EmEdits, reason: EmText) -> STATUS,
    discard: unsafe extern "C" fn(edits: *mut EmEdits) -> STATUS,
    header_insert: unsafe extern "C" fn(
        edits: *mut EmEdits,
        position: u32,
        name: EmText,
        value: EmText,
    ) -> STATUS,
    header_change: unsafe extern "C" fn(
        edits: *mut EmEdits,
        name: EmText,
        index: u32,
        value: EmText,
    ) -> STATUS,
    header_delete: unsafe extern "C" fn(edits: *mut EmEdits, name: EmText, index: u32) -> STATUS,
    sender: unsafe extern "C" fn(edits: *mut EmEdits, path: EmText, parameters: EmText) -> STATUS,
    recipient_add:
        unsafe extern "C" fn(edits: *mut EmEdits, path: EmText, parameters: EmText) -> STATUS,
    recipient_remove: unsafe extern "C" fn(edits: *mut EmEdits, path: EmText) -> STATUS,
    recipient_replace: unsafe extern "C" fn(edits: *mut EmEdits, path: EmText) -> STATUS,
    command_replace: unsafe extern "C" fn(edits: *mut EmEdits, line: EmText) -> STATUS,
    tag: unsafe extern "C" fn(edits: *mut EmEdits, name: EmText) -> STATUS,
    body_prepend: unsafe extern "C" fn(edits: *mut EmEdits, octets: EmText) -> STATUS,
    body_append: unsafe extern "C" fn(edits: *mut EmEdits, octets: EmText) -> STATUS,
    body_replace: unsafe extern "C" fn(edits: *mut EmEdits, octets: EmText) -> STATUS,
    keyword_add:
        unsafe extern "C" fn(edits: *mut EmEdits, keyword: EmText, parameters: EmText) -> STATUS,
    #[sabi(last_prefix_field)]
    keyword_remove: unsafe extern "C" fn(edits: *mut EmEdits, keyword: EmText) -> STATUS,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmLayoutServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmLayoutService {
    size: u32,
    reserved: u32,
    #[sabi(last_prefix_field)]
    check: unsafe extern "C" fn(host: *mut EmHost, offer: *const c_void) -> STATUS,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmMessageServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmMessageService {
    size: u32,
    reserved: u32,
    header: unsafe extern "C" fn(message: *const EmMessage, value: *mut EmText) -> STATUS,
    #[sabi(last_prefix_field)]
    body:
        unsafe extern "C" fn(message: *const EmMessage, offset: u64, value: *mut EmText) -> STATUS,
}

#[repr(C)]
#[derive(StableAbi)]
pub(crate) struct EmMetric {
    opaque: [u8; 0],
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmMetricsServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmMetricsService {
    size: u32,
    reserved: u32,
    counter: unsafe extern "C" fn(
        host: *mut EmHost,
        name: EmText,
        help: EmText,
        metric: *mut *mut EmMetric,
    ) -> STATUS,
    gauge: unsafe extern "C" fn(
        host: *mut EmHost,
        name: EmText,
        help: EmText,
        metric: *mut *mut EmMetric,
    ) -> STATUS,
    histogram: unsafe extern "C" fn(
        host: *mut EmHost,
        name: EmText,
        help: EmText,
        bounds: *const f64,
        bounds_count: u64,
        metric: *mut *mut EmMetric,
    ) -> STATUS,
    add: unsafe extern "C" fn(metric: *mut EmMetric, amount: i64) -> STATUS,
    set: unsafe extern "C" fn(metric: *mut EmMetric, value: i64) -> STATUS,
    #[sabi(last_prefix_field)]
    observe: unsafe extern "C" fn(metric: *mut EmMetric, value: f64) -> STATUS,
}

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
    reserved_2: u32,
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

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmAsyncServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmAsyncService {
    size: u32,
    reserved: u32,
    pending: unsafe extern "C" fn(
        edits: *mut EmEdits,
        poll: EmPoll,
        data: *mut c_void,
        release: EmRelease,
        token: *mut EmToken,
    ) -> STATUS,
    complete: unsafe extern "C" fn(host: *mut EmHost, token: EmToken, status: STATUS) -> STATUS,
    wake: unsafe extern "C" fn(host: *mut EmHost, token: EmToken) -> STATUS,
    #[sabi(last_prefix_field)]
    extend: unsafe extern "C" fn(host: *mut EmHost, token: EmToken, milliseconds: u32) -> STATUS,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmTimersServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmTimersService {
    size: u32,
    reserved: u32,
    wake_after:
        unsafe extern "C" fn(host: *mut EmHost, token: EmToken, milliseconds: u32) -> STATUS,
    #[sabi(last_prefix_field)]
    wait: unsafe extern "C" fn(edits: *mut EmEdits, milliseconds: u32) -> STATUS,
}

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

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmExtensionServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmExtensionService {
    size: u32,
    reserved: u32,
    claim_verb: unsafe extern "C" fn(host: *mut EmHost, verb: EmText) -> STATUS,
    claim_keyword:
        unsafe extern "C" fn(host: *mut EmHost, keyword: EmText, parameters: EmText) -> STATUS,
    claim_mail_parameter: unsafe extern "C" fn(host: *mut EmHost, keyword: EmText) -> STATUS,
    claim_rcpt_parameter: unsafe extern "C" fn(host: *mut EmHost, keyword: EmText) -> STATUS,
    #[sabi(last_prefix_field)]
    parameter:
        unsafe extern "C" fn(parameters: EmText, keyword: EmText, value: *mut EmText) -> STATUS,
}

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

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmStateServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmStateService {
    size: u32,
    reserved: u32,
    get_wait: unsafe extern "C" fn(
        host: *mut EmHost,
        key: EmText,
        buffer: *mut c_char,
        capacity: u64,
        length: *mut u64,
    ) -> STATUS,
    put_wait: unsafe extern "C" fn(host: *mut EmHost, key: EmText, value: EmText) -> STATUS,
    remove_wait: unsafe extern "C" fn(host: *mut EmHost, key: EmText) -> STATUS,
    next_wait: unsafe extern "C" fn(
        host: *mut EmHost,
        prefix: EmText,
        after: EmText,
        buffer: *mut c_char,
        capacity: u64,
        length: *mut u64,
    ) -> STATUS,
    get: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        key: EmText,
        request: *mut EmRequest,
    ) -> STATUS,
    put: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        key: EmText,
        value: EmText,
        request: *mut EmRequest,
    ) -> STATUS,
    remove: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        key: EmText,
        request: *mut EmRequest,
    ) -> STATUS,
    next: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        prefix: EmText,
        after: EmText,
        request: *mut EmRequest,
    ) -> STATUS,
    #[sabi(last_prefix_field)]
    result: unsafe extern "C" fn(
        host: *mut EmHost,
        request: EmRequest,
        buffer: *mut c_char,
        capacity: u64,
        length: *mut u64,
    ) -> STATUS,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmDirectoryServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmDirectoryService {
    size: u32,
    reserved: u32,
    user: unsafe extern "C" fn(host: *mut EmHost, address: EmText) -> STATUS,
    member: unsafe extern "C" fn(host: *mut EmHost, address: EmText, group: EmText) -> STATUS,
    #[sabi(last_prefix_field)]
    group: unsafe extern "C" fn(
        host: *mut EmHost,
        address: EmText,
        index: u32,
        group: *mut EmText,
    ) -> STATUS,
}

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

super::twins! {
    EmPlace { file, line, column }
    EmLogService { size, reserved, write, enabled }
    EmConfigService { size, reserved, text, integer, boolean, json, place }
    EmSessionService { size, reserved, text, number, recipient, attribute, slot, slot_set, tag }
    EmEditsService {
        size, reserved, verdict, reply_text, attribute, header_add, hold, discard, header_insert,
        header_change, header_delete, sender, recipient_add, recipient_remove, recipient_replace,
        command_replace, tag, body_prepend, body_append, body_replace, keyword_add, keyword_remove,
    }
    EmLayoutService { size, reserved, check }
    EmMessageService { size, reserved, header, body }
    EmMetricsService { size, reserved, counter, gauge, histogram, add, set, observe }
    EmFilter { size, reserved, networks, listeners, sender_domains, recipient_domains, tls, reserved_2 }
    EmFilterService { size, reserved, narrow }
    EmAsyncService { size, reserved, pending, complete, wake, extend }
    EmTimersService { size, reserved, wake_after, wait }
    EmDnsRecord { value, preference, reserved }
    EmDnsAnswer { size, outcome, records, count, ttl_s, reserved }
    EmDnsService { size, reserved, ask, answer, wait }
    EmAdminService { size, reserved, verb, answer, fail }
    EmExtensionService {
        size, reserved, claim_verb, claim_keyword, claim_mail_parameter, claim_rcpt_parameter, parameter,
    }
    EmQueueCount { size, reserved, queued, held, octets }
    EmQueueId { text }
    EmSubmitService {
        size, reserved, begin, recipient, write_wait, commit_wait, write, commit, result, abandon,
    }
    EmQueueService {
        size, reserved, count_wait, hold_wait, release_wait, flush_wait, count, hold, release, flush,
        result,
    }
    EmStateService {
        size, reserved, get_wait, put_wait, remove_wait, next_wait, get, put, remove, next, result,
    }
    EmDirectoryService { size, reserved, user, member, group }
}
