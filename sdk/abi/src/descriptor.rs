//! The descriptor: what a plug-in says of itself in its file, read before any of its code runs.
//! Flat and free of pointers.

/// The first eight octets of a descriptor: "STAGEPST".
pub const EM_DESCRIPTOR_MAGIC: [u8; 8] = *b"STAGEPST";

/// EmDescriptor.plugin_class: handlers may block; they are called on threads kept for that.
pub const EM_CLASS_BLOCKING: u32 = 0;

/// EmDescriptor.plugin_class: handlers promise never to block (no file, no network, no lock held for long); they may be
/// called in line, in nanoseconds.
pub const EM_CLASS_INLINE: u32 = 1;

/// EmDescriptor.language: C, or anything that keeps to the C contract by itself.
pub const EM_LANGUAGE_C: u32 = 0;

/// EmDescriptor.language: Rust by stagepost-sdk, which has its layouts compared while it is loaded.
pub const EM_LANGUAGE_RUST: u32 = 1;

/// EmDescriptor.stages: EM_SMTPCONNECT.
pub const EM_STAGE_CONNECT: u64 = 0x0001;
/// EmDescriptor.stages: EM_SMTPCOMMAND.
pub const EM_STAGE_COMMAND: u64 = 0x0002;
/// EmDescriptor.stages: EM_SMTPEHLO.
pub const EM_STAGE_EHLO: u64 = 0x0004;
/// EmDescriptor.stages: EM_SMTPMAIL.
pub const EM_STAGE_MAIL: u64 = 0x0008;
/// EmDescriptor.stages: EM_SMTPRCPT.
pub const EM_STAGE_RCPT: u64 = 0x0010;
/// EmDescriptor.stages: EM_SMTPDATA.
pub const EM_STAGE_DATA: u64 = 0x0020;
/// EmDescriptor.stages: EM_SMTPMESSAGEACCEPT.
pub const EM_STAGE_MESSAGEACCEPT: u64 = 0x0040;
/// EmDescriptor.stages: EM_SMTPETRN.
pub const EM_STAGE_ETRN: u64 = 0x0080;
/// EmDescriptor.stages: EM_SMTPDISCONNECT.
pub const EM_STAGE_DISCONNECT: u64 = 0x0100;
/// EmDescriptor.stages: EM_SMTPHEADERS.
pub const EM_STAGE_HEADERS: u64 = 0x0200;
/// EmDescriptor.stages: EM_SMTPBODY.
pub const EM_STAGE_BODY: u64 = 0x0400;
/// EmDescriptor.stages: EM_SMTPVRFY.
pub const EM_STAGE_VRFY: u64 = 0x0800;
/// EmDescriptor.stages: EM_SMTPRSET.
pub const EM_STAGE_RSET: u64 = 0x1000;
/// EmDescriptor.stages: EM_SMTPQUIT.
pub const EM_STAGE_QUIT: u64 = 0x2000;
/// EmDescriptor.stages: EM_SMTPVERB, and claims of verbs.
pub const EM_STAGE_VERB: u64 = 0x8000;
/// EmDescriptor.stages: EM_SMTPTIMEOUT.
pub const EM_STAGE_TIMEOUT: u64 = 0x4000;
/// EmDescriptor.stages: EM_SMTPSTARTTLS.
pub const EM_STAGE_STARTTLS: u64 = 0x0001_0000;
/// EmDescriptor.stages: EM_SMTPAUTH.
pub const EM_STAGE_AUTH: u64 = 0x0002_0000;
/// EmDescriptor.stages: EM_SMTPATRN.
pub const EM_STAGE_ATRN: u64 = 0x0004_0000;
/// EmDescriptor.stages: EM_SMTPQUEUE.
pub const EM_STAGE_QUEUE: u64 = 0x0010_0000;
/// EmDescriptor.stages: EM_SMTPROUTE.
pub const EM_STAGE_ROUTE: u64 = 0x0020_0000;
/// EmDescriptor.stages: EM_SMTPDELIVER.
pub const EM_STAGE_DELIVER: u64 = 0x0040_0000;
/// EmDescriptor.stages: EM_SMTPBOUNCE.
pub const EM_STAGE_BOUNCE: u64 = 0x0080_0000;
/// EmDescriptor.stages: EM_SMTPEXPIRE.
pub const EM_STAGE_EXPIRE: u64 = 0x0100_0000;
/// EmDescriptor.stages: EM_START.
pub const EM_STAGE_START: u64 = 0x1000_0000;
/// EmDescriptor.stages: EM_CONFIG.
pub const EM_STAGE_CONFIG: u64 = 0x2000_0000;
/// EmDescriptor.stages: EM_STOP.
pub const EM_STAGE_STOP: u64 = 0x4000_0000;

/// EmDescriptor.edits: verdicts other than continue (EmEditsService.verdict, and NOERROR from a handler).
pub const EM_EDIT_VERDICT: u64 = 0x0001;
/// EmDescriptor.edits: EmEditsService.reply_text.
pub const EM_EDIT_REPLY_TEXT: u64 = 0x0002;
/// EmDescriptor.edits: EmEditsService.attribute, grants included.
pub const EM_EDIT_ATTRIBUTE: u64 = 0x0004;
/// EmDescriptor.edits: EmEditsService.header_add, header_insert, header_change and header_delete.
pub const EM_EDIT_HEADER: u64 = 0x0008;
/// EmDescriptor.edits: EmEditsService.hold.
pub const EM_EDIT_HOLD: u64 = 0x0010;
/// EmDescriptor.edits: EmEditsService.discard.
pub const EM_EDIT_DISCARD: u64 = 0x0020;
/// EmDescriptor.edits: EmEditsService.sender.
pub const EM_EDIT_SENDER: u64 = 0x0040;
/// EmDescriptor.edits: EmEditsService.recipient_add, recipient_remove and recipient_replace.
pub const EM_EDIT_RECIPIENT: u64 = 0x0080;
/// EmDescriptor.edits: EmEditsService.body_prepend, body_append and body_replace.
pub const EM_EDIT_BODY: u64 = 0x0100;
/// EmDescriptor.edits: EmEditsService.command_replace.
pub const EM_EDIT_COMMAND: u64 = 0x0200;
/// Mark the message with tags.
pub const EM_EDIT_TAG: u64 = 0x0400;
/// EmDescriptor.edits: EmEditsService.keyword_add and keyword_remove, and claims of keywords.
pub const EM_EDIT_KEYWORD: u64 = 0x0800;
/// Hold, release and flush queued mail (EmQueueService), and have it fetched (EmEditsService.reverse).
pub const EM_EDIT_QUEUE: u64 = 0x1000;
/// Make new messages (EmSubmitService).
pub const EM_EDIT_SUBMIT: u64 = 0x2000;
/// EmDescriptor.edits: EmEditsService.reply_change.
pub const EM_EDIT_REPLY_CODE: u64 = 0x4000;
/// See the credentials of clients that log in, and log them in (EmAuth.password, EmCommand.line, EmEditsService.identity).
pub const EM_EDIT_CREDENTIALS: u64 = 0x8000;
/// EmDescriptor.edits: EmEditsService.route.
pub const EM_EDIT_ROUTE: u64 = 0x0001_0000;
/// Talk to other servers (EmOutboundService).
pub const EM_EDIT_OUTBOUND: u64 = 0x0002_0000;

/// What a plug-in says of itself. Lies in its own section of the file (`.stagepost` on ELF), exactly once, and is read
/// before the file is loaded. Write it with EM_DESCRIPTOR.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmDescriptor {
    /// EM_DESCRIPTOR_MAGIC.
    pub magic: [u8; 8],
    /// sizeof(EmDescriptor).
    pub size: u32,
    /// EM_ABI_MAJOR of the header it was built with.
    pub abi_major: u16,
    /// The least minor version that it needs of the host; 0 unless it uses something newer.
    pub abi_minor: u16,
    /// EM_BASE_DIGEST of the header it was built with.
    pub base_digest: u64,
    /// EM_STAGE_...: what it may register for.
    pub stages: u64,
    /// EM_EDIT_...: what it may change.
    pub edits: u64,
    /// EM_CLASS_BLOCKING or EM_CLASS_INLINE.
    pub plugin_class: u32,
    /// EM_LANGUAGE_C or EM_LANGUAGE_RUST.
    pub language: u32,
    /// Its name: 1 to 63 octets of a-z, 0-9, '-' and '_', then zeros.
    pub name: [u8; 64],
    /// Its version: 1 to 31 printable ASCII octets, then zeros.
    pub version: [u8; 32],
    /// Zero.
    pub reserved: [u64; 4],
}
