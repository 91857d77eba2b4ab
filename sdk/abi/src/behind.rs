//! Events behind the session: a message is queued, finds its way, is delivered, comes back, grows too old.
//! Their session is the one that the message came in, as far as it was saved with the message.

use crate::{EID, EmEvent, EmMessage, EmText};

/// A message is about to be queued. Struct: EmQueue. Between lies the commit. Called for messages that clients send, on the session's
/// thread and with its slot, after before(MESSAGEACCEPT) and every edit; for those of plug-ins where EM_REG_SUBMITTED asks for
/// them; not for notifications, which have EM_SMTPBOUNCE.
///
/// before: continue -> it is stored and acknowledged once it is on disk; handled -> the plug-in has taken it over: it is
/// acknowledged, with the words given, and not stored; reject, defer, disconnect -> that reply, not stored, and the session goes on
/// (behind 421 it is closed). header_... and hold may be used.
/// after: called once it is on disk; what is said of it comes with after(MESSAGEACCEPT): reply is NULL.
pub const EM_SMTPQUEUE: EID = 0x4020;

/// An attempt to deliver begins: where does it lead? Struct: EmRoute. Between lies the choice of servers or mailboxes. Called at each
/// attempt for each destination of a message, so also for mail whose route has changed meanwhile.
///
/// before: continue -> as the configuration says, or as EmEditsService.route has said last; reject, disconnect with 5yz -> every
/// recipient of the attempt fails with that reply, and its sender is told; defer, disconnect with 4yz -> nothing is tried, and
/// that reply is the reason for the next attempt; handled -> fault, whose contract is `defer`. hold keeps the recipients until they
/// are released, discard drops them in silence.
/// after: EmRoute.next_hop is what was chosen. There is no reply.
pub const EM_SMTPROUTE: EID = 0x4021;

/// An attempt to deliver is made. Struct: EmDeliver. Between lies the conversation with the server, or the writing into mailboxes.
///
/// before: continue -> it is made; handled -> the plug-in has delivered the message to every recipient of the attempt, with the reply
/// given; reject, defer, disconnect, hold -> as at EM_SMTPROUTE.
/// after: called with what became of each recipient (EmDeliver.results), also when before has ended it. There is no reply.
pub const EM_SMTPDELIVER: EID = 0x4022;

/// A sender is about to be told what became of a message (RFC 3461). Struct: EmBounce. Between lies the queueing of the notification.
///
/// before: continue -> the notification is queued, with the header fields as header_... has left them; handled, reject,
/// disconnect with 5yz -> there is none, and the recipients are done with; defer, disconnect with 4yz -> nobody is told yet, and
/// the recipients are tried again. hold keeps the notification until it is released.
/// after: called when it is queued, with its id, or with none when nobody is told. There is no reply.
pub const EM_SMTPBOUNCE: EID = 0x4023;

/// A message could not be delivered for so long that it is not tried any more. Struct: EmExpire. Between lies the giving up.
///
/// before: continue -> the recipients fail, and the sender is told; defer, disconnect with 4yz -> it is tried again as its route
/// says, and this event comes again with the next attempt that fails; reject, disconnect with 5yz -> they fail with that reply;
/// handled -> they are done with and nobody is told. hold keeps them until they are released.
/// after: called whatever was decided. There is no reply.
pub const EM_SMTPEXPIRE: EID = 0x4024;

/// Arguments of EM_SMTPQUEUE.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmQueue {
    /// What every event has.
    pub event: EmEvent,
    /// The message's id in the queue.
    pub id: EmText,
    /// Octets of header block and body.
    pub octets: u64,
    /// EM_BEFORE: the message, to be read. EM_AFTER: NULL.
    pub message: *const EmMessage,
}

/// Arguments of EM_SMTPROUTE.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmRoute {
    /// What every event has. EM_FACT_RECIPIENTS are those of the attempt.
    pub event: EmEvent,
    /// The message's id in the queue.
    pub id: EmText,
    /// The domain or address literal that it is queued under, in lower case.
    pub destination: EmText,
    /// Where it leads: `mx`, `mx:DOMAIN`, `discard`, servers as `HOST:PORT` with a comma and a space between, `local:DOMAIN`
    /// for mailboxes here, `fetched` where who gets it has come for it, `pushed` where a plug-in hands it over (EmOutboundService), or empty where the configuration leads nowhere.
    pub next_hop: EmText,
    /// Seconds since the message was taken over.
    pub age_s: u64,
    /// How often it was tried before.
    pub attempts: u32,
    /// Zero.
    pub reserved: u32,
    /// For EmMessageService.header; its body is empty here.
    pub message: *const EmMessage,
}

/// EmRecipientResult.result: the mailbox or the next hop has it.
pub const EM_RESULT_DELIVERED: u32 = 0;

/// EmRecipientResult.result: it never will be delivered.
pub const EM_RESULT_FAILED: u32 = 1;

/// EmRecipientResult.result: it is tried again.
pub const EM_RESULT_DEFERRED: u32 = 2;

/// EmRecipientResult.result: a next hop has it that tells nothing of such things (EM_SMTPBOUNCE alone).
pub const EM_RESULT_RELAYED: u32 = 3;

/// EmRecipientResult.result: it is kept until it is released.
pub const EM_RESULT_HELD: u32 = 4;

/// EmRecipientResult.result: it is dropped in silence.
pub const EM_RESULT_DROPPED: u32 = 5;

/// What became of one recipient. Valid as long as the record it came with.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmRecipientResult {
    /// The recipient's address.
    pub recipient: EmText,
    /// Why, in words: the server's name and reply, or what was found out here. One line.
    pub reason: EmText,
    /// EM_RESULT_...; take an unknown value for EM_RESULT_DEFERRED.
    pub result: u32,
    /// The enhanced code (RFC 3463): its class.
    pub enhanced_class: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// Its subject.
    pub enhanced_subject: u16,
    /// Its detail.
    pub enhanced_detail: u16,
    /// Zero.
    pub reserved_2: u32,
}

/// Arguments of EM_SMTPDELIVER.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmDeliver {
    /// What every event has. EM_FACT_RECIPIENTS are those of the attempt.
    pub event: EmEvent,
    /// The message's id in the queue.
    pub id: EmText,
    /// The domain or address literal that it is queued under, in lower case.
    pub destination: EmText,
    /// Where it leads, as in EmRoute.
    pub next_hop: EmText,
    /// EM_AFTER: what became of the recipients, in their order. EM_BEFORE: NULL.
    pub results: *const EmRecipientResult,
    /// How many.
    pub results_count: u32,
    /// How often it was tried before.
    pub attempts: u32,
    /// Seconds since the message was taken over.
    pub age_s: u64,
    /// For EmMessageService.header; its body is empty here.
    pub message: *const EmMessage,
}

/// Arguments of EM_SMTPBOUNCE.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmBounce {
    /// What every event has: the session that the message came in.
    pub event: EmEvent,
    /// The id in the queue of the message that the sender is told of.
    pub id: EmText,
    /// EM_AFTER: the id of the notification, empty when there is none. EM_BEFORE: empty.
    pub notification: EmText,
    /// Who is told: the sender, or the postmaster for a message without one.
    pub to: EmText,
    /// What is told, of each recipient that it concerns.
    pub results: *const EmRecipientResult,
    /// How many.
    pub results_count: u32,
    /// Zero.
    pub reserved: u32,
    /// The header block of the message that the sender is told of; its body is empty here.
    pub message: *const EmMessage,
}

/// Arguments of EM_SMTPEXPIRE.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmExpire {
    /// What every event has. EM_FACT_RECIPIENTS are those of the attempt.
    pub event: EmEvent,
    /// The message's id in the queue.
    pub id: EmText,
    /// The domain or address literal that it is queued under, in lower case.
    pub destination: EmText,
    /// Seconds since the message was taken over.
    pub age_s: u64,
    /// How often it was tried, this attempt included.
    pub attempts: u32,
    /// Zero.
    pub reserved: u32,
    /// For EmMessageService.header; its body is empty here.
    pub message: *const EmMessage,
}
