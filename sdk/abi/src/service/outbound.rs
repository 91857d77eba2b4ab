//! The outbound session service: a connection of the plug-in's own to another server, spoken by the server's sending session.

use core::ffi::c_char;

use crate::{EmHost, EmRequest, EmText, EmToken, STATUS};

/// Id of EmOutboundService.
pub const EM_OUTBOUND_ID: &core::ffi::CStr = c"em.outbound/1";

/// EmOutboundTarget.tls: none of it.
pub const EM_OUTBOUND_TLS_NONE: u32 = 0;
/// EmOutboundTarget.tls: by STARTTLS where it is offered, with whoever answers; in clear text where it is not, or fails.
pub const EM_OUTBOUND_TLS_OFFERED: u32 = 1;
/// EmOutboundTarget.tls: nothing is said without; anybody may be at the other end.
pub const EM_OUTBOUND_TLS_REQUIRED: u32 = 2;
/// EmOutboundTarget.tls: nothing is said without, and but to who has a certificate for the host's name.
pub const EM_OUTBOUND_TLS_VERIFIED: u32 = 3;

/// EmOutboundTarget.flags: TLS is begun before the server says anything (RFC 8314); with EM_OUTBOUND_TLS_REQUIRED or
/// EM_OUTBOUND_TLS_VERIFIED.
pub const EM_OUTBOUND_IMPLICIT_TLS: u32 = 1;

/// EmOutboundService.auth flag: CRAM-MD5 may be used where the server offers nothing better. Whoever reads it can try
/// passwords against it.
pub const EM_OUTBOUND_CRAM_MD5: u32 = 1;

/// EmOutboundProgress.state: nothing was done yet.
pub const EM_OUTBOUND_NEW: u32 = 0;
/// EmOutboundProgress.state: the server is dialled, or is to let us in.
pub const EM_OUTBOUND_OPENING: u32 = 1;
/// EmOutboundProgress.state: nothing is under way.
pub const EM_OUTBOUND_READY: u32 = 2;
/// EmOutboundProgress.state: the reply to a command is awaited.
pub const EM_OUTBOUND_ASKING: u32 = 3;
/// EmOutboundProgress.state: mail is pushed.
pub const EM_OUTBOUND_PUSHING: u32 = 4;
/// EmOutboundProgress.state: the server has become the client, and sends mail.
pub const EM_OUTBOUND_REVERSED: u32 = 5;
/// EmOutboundProgress.state: there is no connection any more.
pub const EM_OUTBOUND_OVER: u32 = 6;

/// EmOutboundService.text: what the server last said, its reply with a line feed between lines; or why nothing more is to be had of
/// it, and then EmOutboundProgress.code is 0.
pub const EM_OUTBOUND_TOLD: u32 = 1;
/// EmOutboundService.text: what the server offers in its reply to EHLO, each keyword with its parameters in a line.
pub const EM_OUTBOUND_KEYWORDS: u32 = 2;
/// EmOutboundService.text: the address of the server, as inet_ntop prints it.
pub const EM_OUTBOUND_REMOTE: u32 = 3;

/// Names a session that a plug-in has begun. Never comes twice for one plug-in; 0 names none.
pub type EmOutbound = u64;

/// Whom a session leads to.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmOutboundTarget {
    /// Set by the plug-in: sizeof(EmOutboundTarget).
    pub size: u32,
    /// EM_OUTBOUND_TLS_...
    pub tls: u32,
    /// EM_OUTBOUND_IMPLICIT_TLS, or 0.
    pub flags: u32,
    /// For all of `open`, 1 to 600000; 0: a minute.
    pub deadline_ms: u32,
    /// A domain name, or an IP address without brackets.
    pub host: EmText,
    /// Its port, 1 to 65535.
    pub port: u16,
    /// Zero.
    pub reserved: [u16; 3],
}

/// How the roles are changed, and what is taken then.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmOutboundReversal {
    /// Set by the plug-in: sizeof(EmOutboundReversal).
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// What ATRN asks for: domains with a line feed between them; empty: the server's default for who has logged in.
    pub domains: EmText,
    /// For whom mail is taken: domains with a line feed between them, each with '@' before it for those below it, too. Others
    /// are refused as a foreign domain is. Empty: for whom mail of clients is taken.
    pub accept: EmText,
    /// The name of a listener, whose settings the receiving session has but for TLS and AUTH; empty: what all listeners have
    /// in common.
    pub listener: EmText,
}

/// How far a session is.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmOutboundProgress {
    /// Set by the plug-in: sizeof(EmOutboundProgress).
    pub size: u32,
    /// EM_OUTBOUND_...; take an unknown value for EM_OUTBOUND_ASKING.
    pub state: u32,
    /// The code of the last reply; 0 when there is none, and when something failed since.
    pub code: u16,
    /// 1 under TLS, else 0.
    pub secured: u16,
    /// Zero.
    pub reserved: u32,
    /// Deliveries that `push` has tried.
    pub pushed: u64,
    /// Those of them of which nothing is left to deliver.
    pub done: u64,
    /// Messages that the server has sent since `reverse` and that are on disk.
    pub received: u64,
}

/// Talks to another server: dials it, logs in, says a command, hands it the mail that waits for a destination, or has it hand
/// over mail (ATRN, RFC 2645).
///
/// `begin`, then `open`; `auth` where that is wanted; then any of `command`, `push` and `reverse`, in any order and number,
/// but nothing behind `reverse` or an EM_ERR_IO; in the end `quit`. In any case `close` ends a session and forgets it; until
/// then `text` and `progress` tell of it. Sessions that are left when the plug-in has stopped are closed then, and what is under
/// way returns EM_ERR_OVER.
///
/// Needs EM_EDIT_OUTBOUND in the descriptor, and EM_EDIT_QUEUE for `push`. From the event START on, after. A plug-in has at most 64
/// sessions, and one thing is under way in a session at a time.
///
/// Functions come twice as in EmQueueService: those with `_wait` in their names return when it is done; the others begin, wake
/// the token when it is done, and `result` tells what happened then.
///
/// All return NOERROR, ERR_EM_NOTAUTHORIZED (not declared), ERR_NOT_FOUND (no such session), EM_ERR_STAGE (not in this order,
/// something is under way, or as in EmQueueService), EM_ERR_REFUSED (the server says no: EM_OUTBOUND_TOLD has its words),
/// EM_ERR_IO (there is no connection, or none any more: EM_OUTBOUND_TOLD says why), EM_ERR_OVER (the server stops, or the
/// session was closed meanwhile), or ERR_MISC_INVALID_ARGS. Those with a token return what EmAsyncService returns for one
/// that is not pending too, and EM_ERR_LIMIT for more than 64 requests that are under way.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EmOutboundService {
    /// sizeof(EmOutboundService) of the host.
    pub size: u32,
    /// Zero.
    pub reserved: u32,

    /// Begins a session; nobody is dialled yet.
    ///
    /// - target: copied.
    /// - session: receives its name.
    ///
    /// Returns EM_ERR_LIMIT too: there are 64. [any-thread]
    pub begin: unsafe extern "C" fn(
        host: *mut EmHost,
        target: *const EmOutboundTarget,
        session: *mut EmOutbound,
    ) -> STATUS,

    /// Dials, and goes as far as the server is ready for whatever comes: greeting, EHLO, and STARTTLS where that is wanted.
    /// EM_ERR_REFUSED when it is not. [any-thread & may-block]
    pub open_wait: unsafe extern "C" fn(host: *mut EmHost, session: EmOutbound) -> STATUS,

    /// Logs in, by the best of SCRAM-SHA-256, PLAIN, LOGIN and, where it is allowed, CRAM-MD5. The password itself is shown
    /// under EM_OUTBOUND_TLS_VERIFIED alone. What comes to nothing ends the conversation.
    ///
    /// - user, password: copied, and wiped when they were used. Not empty, no NUL, UTF-8.
    /// - flags: EM_OUTBOUND_CRAM_MD5, or 0.
    ///
    /// [any-thread & may-block]
    pub auth_wait: unsafe extern "C" fn(
        host: *mut EmHost,
        session: EmOutbound,
        user: EmText,
        password: EmText,
        flags: u32,
    ) -> STATUS,

    /// Says a command and awaits its reply, for up to 10 minutes. NOERROR whatever the server answers: EM_OUTBOUND_TOLD has
    /// it. A reply of 421 or 3yz ends the conversation: EM_ERR_REFUSED.
    ///
    /// - line: 1 to 510 printable ASCII octets, without CRLF. Not a command that is a part of a message or that changes what
    ///   follows (MAIL, RCPT, DATA, BDAT, RSET, SEND, SOML, SAML, EHLO, HELO, LHLO, STARTTLS, AUTH, ATRN, TURN, XCLIENT, QUIT).
    ///
    /// [any-thread & may-block]
    pub command_wait:
        unsafe extern "C" fn(host: *mut EmHost, session: EmOutbound, line: EmText) -> STATUS,

    /// Hands the server what waits for a destination, each message settled by itself as in any delivery; what it refuses
    /// for now waits on. What another delivery has in hand is left out. NOERROR also when nothing waits; EmOutboundProgress tells
    /// how much it was. EM_ERR_REFUSED when the server takes no mail here, such as at a port for ATRN: all of it waits on, and the session
    /// goes on. EM_ERR_IO when the connection breaks: what was not acknowledged waits on.
    ///
    /// - destination: as in EmQueueService.
    ///
    /// [any-thread & may-block]
    pub push_wait:
        unsafe extern "C" fn(host: *mut EmHost, session: EmOutbound, destination: EmText) -> STATUS,

    /// Says ATRN, and where the server agrees takes mail from it until it says QUIT. To plug-ins that is a session like others,
    /// but that EM_SMTPCONNECT is not asked: nobody has connected. What the server says between its agreement and our greeting is
    /// dropped. EM_ERR_REFUSED when it does not agree, and the session goes on then; EM_ERR_IO when the connection breaks in
    /// the middle: what was acknowledged until then is on disk. EM_ERR_LIMIT too: there are as many sessions here as there may be.
    ///
    /// - reversal: copied.
    ///
    /// [any-thread & may-block]
    pub reverse_wait: unsafe extern "C" fn(
        host: *mut EmHost,
        session: EmOutbound,
        reversal: *const EmOutboundReversal,
    ) -> STATUS,

    /// Says QUIT and ends the connection; NOERROR also when there is none any more. [any-thread & may-block]
    pub quit_wait: unsafe extern "C" fn(host: *mut EmHost, session: EmOutbound) -> STATUS,

    /// As open_wait, later. [any-thread]
    pub open: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        session: EmOutbound,
        request: *mut EmRequest,
    ) -> STATUS,

    /// As auth_wait, later. [any-thread]
    pub auth: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        session: EmOutbound,
        user: EmText,
        password: EmText,
        flags: u32,
        request: *mut EmRequest,
    ) -> STATUS,

    /// As command_wait, later. [any-thread]
    pub command: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        session: EmOutbound,
        line: EmText,
        request: *mut EmRequest,
    ) -> STATUS,

    /// As push_wait, later. [any-thread]
    pub push: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        session: EmOutbound,
        destination: EmText,
        request: *mut EmRequest,
    ) -> STATUS,

    /// As reverse_wait, later. [any-thread]
    pub reverse: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        session: EmOutbound,
        reversal: *const EmOutboundReversal,
        request: *mut EmRequest,
    ) -> STATUS,

    /// As quit_wait, later. [any-thread]
    pub quit: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        session: EmOutbound,
        request: *mut EmRequest,
    ) -> STATUS,

    /// Takes the result of a request, once.
    ///
    /// Returns what the function with `_wait` would have, EM_PENDING (it is not done yet), or ERR_MISC_INVALID_ARGS (there is
    /// no such request, or its result was taken). [any-thread]
    pub result: unsafe extern "C" fn(host: *mut EmHost, request: EmRequest) -> STATUS,

    /// Reads what is known of a session in words; empty when it is not known.
    ///
    /// - what: EM_OUTBOUND_TOLD, EM_OUTBOUND_KEYWORDS or EM_OUTBOUND_REMOTE.
    /// - buffer: receives the text, when it has room for it; may be NULL when capacity is 0. At most 8,192 octets.
    /// - length: receives how many octets it has.
    ///
    /// Returns EM_ERR_LIMIT too: the buffer is too small. [any-thread]
    pub text: unsafe extern "C" fn(
        host: *mut EmHost,
        session: EmOutbound,
        what: u32,
        buffer: *mut c_char,
        capacity: u64,
        length: *mut u64,
    ) -> STATUS,

    /// Tells how far a session is, also while something is under way. [any-thread]
    pub progress: unsafe extern "C" fn(
        host: *mut EmHost,
        session: EmOutbound,
        progress: *mut EmOutboundProgress,
    ) -> STATUS,

    /// Ends a session at once, without a word to the server, and forgets it. [any-thread]
    pub close: unsafe extern "C" fn(host: *mut EmHost, session: EmOutbound) -> STATUS,
}
