//! Mirrors of the event structs: they grow at their end, so they are compared as far as the plug-in knows them.
//! Knows no handler.

use abi_stable::StableAbi;

use super::base::{EmEvent, EmHost, EmMessage, EmText};

/// The event structs, each once.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EventsRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct Events {
    connect: EmConnectRef,
    command: EmCommandRef,
    ehlo: EmEhloRef,
    mail: EmMailRef,
    rcpt: EmRcptRef,
    data: EmDataRef,
    headers: EmHeadersRef,
    body: EmBodyRef,
    message_accept: EmMessageAcceptRef,
    etrn: EmEtrnRef,
    disconnect: EmDisconnectRef,
    vrfy: EmVrfyRef,
    rset: EmRsetRef,
    quit: EmQuitRef,
    timeout: EmTimeoutRef,
    start: EmStartRef,
    config: EmConfigRef,
    stop: EmStopRef,
    verb: EmVerbRef,
    starttls: EmStartTlsRef,
    auth: EmAuthRef,
    atrn: EmAtrnRef,
    queue: EmQueueRef,
    route: EmRouteRef,
    deliver: EmDeliverRef,
    bounce: EmBounceRef,
    #[sabi(last_prefix_field)]
    expire: EmExpireRef,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmConnectRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmConnect {
    event: EmEvent,
    remote_ip: EmText,
    local_ip: EmText,
    listener: EmText,
    remote_port: u16,
    local_port: u16,
    #[sabi(last_prefix_field)]
    reserved: u32,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmCommandRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmCommand {
    event: EmEvent,
    #[sabi(last_prefix_field)]
    line: EmText,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmEhloRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmEhlo {
    event: EmEvent,
    name: EmText,
    extended: u8,
    reserved: [u8; 7],
    #[sabi(last_prefix_field)]
    keywords: EmText,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmMailRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmMail {
    event: EmEvent,
    sender: EmText,
    #[sabi(last_prefix_field)]
    parameters: EmText,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmRcptRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmRcpt {
    event: EmEvent,
    recipient: EmText,
    #[sabi(last_prefix_field)]
    parameters: EmText,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmDataRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmData {
    event: EmEvent,
    chunk_octets: u64,
    verb: u8,
    last: u8,
    #[sabi(last_prefix_field)]
    reserved: [u8; 6],
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmHeadersRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmHeaders {
    event: EmEvent,
    #[sabi(last_prefix_field)]
    message: *const EmMessage,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmBodyRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmBody {
    event: EmEvent,
    octets: EmText,
    offset: u64,
    last: u8,
    #[sabi(last_prefix_field)]
    reserved: [u8; 7],
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmMessageAcceptRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmMessageAccept {
    event: EmEvent,
    octets: u64,
    #[sabi(last_prefix_field)]
    message: *const EmMessage,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmEtrnRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmEtrn {
    event: EmEvent,
    node: EmText,
    kind: u8,
    #[sabi(last_prefix_field)]
    reserved: [u8; 7],
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmAtrnRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmAtrn {
    event: EmEvent,
    #[sabi(last_prefix_field)]
    domains: EmText,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmDisconnectRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmDisconnect {
    event: EmEvent,
    reason: u32,
    #[sabi(last_prefix_field)]
    reserved: u32,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmVrfyRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmVrfy {
    event: EmEvent,
    argument: EmText,
    verb: u8,
    #[sabi(last_prefix_field)]
    reserved: [u8; 7],
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmRsetRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmRset {
    #[sabi(last_prefix_field)]
    event: EmEvent,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmQuitRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmQuit {
    #[sabi(last_prefix_field)]
    event: EmEvent,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmTimeoutRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmTimeout {
    event: EmEvent,
    awaited: u32,
    #[sabi(last_prefix_field)]
    reserved: u32,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmVerbRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmVerb {
    event: EmEvent,
    verb: EmText,
    #[sabi(last_prefix_field)]
    argument: EmText,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmStartRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmStart {
    #[sabi(last_prefix_field)]
    event: EmEvent,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmConfigRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmConfig {
    event: EmEvent,
    #[sabi(last_prefix_field)]
    section: *mut EmHost,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmStopRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmStop {
    event: EmEvent,
    deadline_ms: u32,
    #[sabi(last_prefix_field)]
    reserved: u32,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmStartTlsRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmStartTls {
    #[sabi(last_prefix_field)]
    event: EmEvent,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmAuthRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmAuth {
    event: EmEvent,
    mechanism: EmText,
    identity: EmText,
    authorization: EmText,
    password: EmText,
    result: u32,
    #[sabi(last_prefix_field)]
    reserved: u32,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmQueueRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmQueue {
    event: EmEvent,
    id: EmText,
    octets: u64,
    #[sabi(last_prefix_field)]
    message: *const EmMessage,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmRouteRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmRoute {
    event: EmEvent,
    id: EmText,
    destination: EmText,
    next_hop: EmText,
    age_s: u64,
    attempts: u32,
    reserved: u32,
    #[sabi(last_prefix_field)]
    message: *const EmMessage,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmDeliverRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmDeliver {
    event: EmEvent,
    id: EmText,
    destination: EmText,
    next_hop: EmText,
    results: *const EmRecipientResult,
    results_count: u32,
    attempts: u32,
    age_s: u64,
    #[sabi(last_prefix_field)]
    message: *const EmMessage,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmBounceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmBounce {
    event: EmEvent,
    id: EmText,
    notification: EmText,
    to: EmText,
    results: *const EmRecipientResult,
    results_count: u32,
    reserved: u32,
    #[sabi(last_prefix_field)]
    message: *const EmMessage,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmExpireRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmExpire {
    event: EmEvent,
    id: EmText,
    destination: EmText,
    age_s: u64,
    attempts: u32,
    reserved: u32,
    #[sabi(last_prefix_field)]
    message: *const EmMessage,
}

/// An element of lists, so compared exactly.
#[repr(C)]
#[derive(StableAbi)]
pub(crate) struct EmRecipientResult {
    recipient: EmText,
    reason: EmText,
    result: u32,
    enhanced_class: u8,
    reserved: [u8; 3],
    enhanced_subject: u16,
    enhanced_detail: u16,
    reserved_2: u32,
}

super::twins! {
    EmRecipientResult {
        recipient, reason, result, enhanced_class, reserved, enhanced_subject, enhanced_detail,
        reserved_2,
    }
    EmConnect { event, remote_ip, local_ip, listener, remote_port, local_port, reserved }
    EmCommand { event, line }
    EmEhlo { event, name, extended, reserved, keywords }
    EmMail { event, sender, parameters }
    EmRcpt { event, recipient, parameters }
    EmData { event, chunk_octets, verb, last, reserved }
    EmHeaders { event, message }
    EmBody { event, octets, offset, last, reserved }
    EmMessageAccept { event, octets, message }
    EmEtrn { event, node, kind, reserved }
    EmAtrn { event, domains }
    EmDisconnect { event, reason, reserved }
    EmVrfy { event, argument, verb, reserved }
    EmRset { event }
    EmStartTls { event }
    EmAuth { event, mechanism, identity, authorization, password, result, reserved }
    EmQuit { event }
    EmTimeout { event, awaited, reserved }
    EmStart { event }
    EmConfig { event, section }
    EmStop { event, deadline_ms, reserved }
    EmVerb { event, verb, argument }
    EmQueue { event, id, octets, message }
    EmRoute { event, id, destination, next_hop, age_s, attempts, reserved, message }
    EmDeliver { event, id, destination, next_hop, results, results_count, attempts, age_s, message }
    EmBounce { event, id, notification, to, results, results_count, reserved, message }
    EmExpire { event, id, destination, age_s, attempts, reserved, message }
}
