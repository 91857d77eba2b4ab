//! Events: their numbers and the struct that each hands to its handlers.
//! Numbers below 0x4000 are Domino's; ours start there, with room for the stages between. Those behind the session are next door.

use crate::{EID, EmReply, EmText};

/// A client has connected. Struct: EmConnect. Between before and after lies the composing of the greeting.
///
/// before: continue -> the greeting; reject -> its text is the greeting, with code 554, and every command but QUIT is
/// refused; defer, disconnect -> its text is the greeting, with code 421 (554 for a disconnect with 5yz), and the
/// connection is closed; handled -> fault. A greeting has no enhanced code (RFC 2034 section 4): one that is given is
/// left out.
/// When an earlier plug-in ends the chain, later ones get after(CONNECT) and EM_SMTPDISCONNECT of a session whose
/// before(CONNECT) they were not asked: do not count on a slot being set.
/// after: rewording keeps the server's name, which comes first; the first line of the text follows it.
pub const EM_SMTPCONNECT: EID = 224;

/// A command line was received and not parsed yet. Struct: EmCommand. Between lies the whole command.
///
/// before: continue -> it is parsed and carried out; handled -> it is not, and 250 (or the reply given) is sent;
/// reject, defer -> that reply, nothing carried out; disconnect -> that reply and the connection is closed.
/// Handled is a fault on HELO, EHLO, MAIL, RCPT, DATA, BDAT, RSET, QUIT, STARTTLS, XCLIENT, AUTH and ATRN: only the core
/// keeps client and server in step there. NOOP, HELP, VRFY, EXPN, ETRN, TURN and verbs that the core does not know may be
/// handled. Other lines can be put in the place of most: EmEditsService.command_replace.
pub const EM_SMTPCOMMAND: EID = 225;

/// The whole message was received. Struct: EmMessageAccept. Between lies the storing of the message.
///
/// before: continue -> it is stored and acknowledged once it is on disk; handled -> the plug-in has taken it over:
/// it is acknowledged and not stored; reject, defer -> that reply, not stored; disconnect -> the same, and closed.
/// after: called also for a message that the core refused by itself, for its size or its octets, or that a handler refused
/// at EM_SMTPHEADERS or EM_SMTPBODY, and of which before was not asked.
pub const EM_SMTPMESSAGEACCEPT: EID = 226;

/// The session is over. Struct: EmDisconnect. Called exactly once, before and after, for each session for which
/// EM_SMTPCONNECT was called, for this plug-in or for one before it. The return value changes nothing.
pub const EM_SMTPDISCONNECT: EID = 227;

/// HELO or EHLO. Struct: EmEhlo. Between lies the accepting of the name and the start of a fresh session state.
///
/// before: continue -> 250 with the extensions; reject, defer -> that reply; disconnect -> and closed; handled -> fault.
/// EmEditsService.keyword_add and keyword_remove change what is announced.
/// No reply to HELO or EHLO has an enhanced code (RFC 2034 section 4): one that is given is left out.
/// after: rewording keeps the server's name, which comes first, and the keywords; the first line of the text stands
/// between them.
pub const EM_SMTPEHLO: EID = 0x4000;

/// STARTTLS: the client wants the rest of the session to be protected (RFC 3207). Struct: EmStartTls. Between lies the TLS
/// handshake, with the 220 before it. Not called where the listener has no certificate, or when TLS is on already, as it is
/// from the first octet on a listener with implicit TLS.
///
/// before: continue -> 220 and the handshake; reject, defer -> that reply and no TLS; disconnect -> and closed;
/// handled -> fault, as is any other, and its reply is 454. after(COMMAND) is called before the 220 is sent.
/// after: called when the handshake has succeeded, with the facts of it (EM_FACT_TLS). There is no reply: reply is NULL.
/// The session begins anew: no HELO name, no transaction, and of the attributes those alone that were set at EM_SMTPCONNECT.
/// What a plug-in keeps in its slot stays, and what it learnt in clear text may have come from anybody. A handshake that fails ends
/// the session: after is not called, EM_SMTPDISCONNECT is.
pub const EM_SMTPSTARTTLS: EID = 0x4001;

/// AUTH: the client wants to log in (RFC 4954). Struct: EmAuth. Between lies the check of its credentials: by the users that the
/// server knows, with SCRAM the client's proof. Called once it is known who wants to log in, so not for an exchange that ends before;
/// the lines of the client in between are no commands and are shown to nobody. before(COMMAND) and after(COMMAND) enclose all of it.
///
/// before: continue -> the server checks; reject -> that reply, and it counts as a failed login; defer -> that reply;
/// disconnect -> and closed; handled -> 235, with the words given, and the client is logged in as EmEditsService.identity says.
/// Handled is a fault without that, and with SCRAM, where the client wants a proof that only who has its keys can give. Any fault
/// is answered 454.
/// after: called with the result when before was asked, or would have been. EM_FACT_IDENTITY tells who is logged in.
/// A handler that continues leaves the decision to those behind it and to the server: with none that knows, it is 535.
pub const EM_SMTPAUTH: EID = 0x4002;

/// MAIL: a transaction begins. Struct: EmMail. Between lies the start of the transaction.
///
/// before: continue -> it starts; reject, defer -> that reply and no transaction; disconnect -> and closed;
/// handled -> fault.
pub const EM_SMTPMAIL: EID = 0x4003;

/// RCPT: a recipient is named. Struct: EmRcpt. Between lies the check for a route or a grant.
///
/// before: continue -> accepted when it has a route (local, relay) or the session has the attribute
/// relay_granted, else 550; reject, defer -> that reply, the recipient is not accepted; disconnect -> and closed;
/// handled -> fault.
/// Edits made here are dropped when the recipient is refused, by whomever. When it is known already, those count that add
/// something the message has not: recipients, tags, hold and discard.
/// Attributes, and so grants, stay set all the same, for the whole session.
pub const EM_SMTPRCPT: EID = 0x4004;

/// DATA, or the first BDAT of a message (RFC 3030): the message is about to be sent. Struct: EmData, which says which of the
/// two. Between lies the 354, or the reading of the chunk.
///
/// before: continue -> 354, or the chunk is read; reject, defer -> that reply instead; disconnect -> and closed;
/// handled -> fault. The octets of a chunk are taken from the client whatever the verdict. One that is refused ends the
/// transaction, and chunks that the client has sent behind it get the same reply.
/// after: of a chunk with which the message ends the reply is the message's: after(MESSAGEACCEPT) comes before it.
/// Called once for each message: chunks behind the first are seen at EM_SMTPCOMMAND alone.
pub const EM_SMTPDATA: EID = 0x4005;

/// The header block of the message is complete; none of the body is shown yet. Struct: EmHeaders. EM_BEFORE only: EMRegister
/// answers ERR_EM_ILLEGALFLAGS to EM_REG_AFTER. Called once for each message, also for one without a header block.
///
/// before: continue -> the body is read; reject, defer -> the rest of the message is read and dropped, and that reply comes
/// behind its end; disconnect -> that reply at once, and closed; handled -> fault.
/// Not called for a message that the core refused already, for its size or its octets. Of a message that is refused here
/// EM_SMTPBODY and before(MESSAGEACCEPT) are not asked; after(MESSAGEACCEPT) is.
pub const EM_SMTPHEADERS: EID = 0x4006;

/// Some of the body was received and is not kept yet. Struct: EmBody. EM_BEFORE only, as EM_SMTPHEADERS. Called for each chunk
/// of the body while it comes; the next octets are not read from the client before all handlers have answered.
///
/// before: continue -> the chunk is kept and the message read on; reject, defer, disconnect, handled -> as at
/// EM_SMTPHEADERS, and no further chunk of this message is offered to anybody.
/// Nothing of a message is kept for good before its end: a client that goes away leaves a message without a last chunk, and
/// so does one whose octets the core refuses.
pub const EM_SMTPBODY: EID = 0x4007;

/// ETRN: the client asks for mail waiting for a node (RFC 1985). Struct: EmEtrn. Between lies the queue run.
///
/// before: continue -> 459 while nobody holds mail for the node; handled -> 250, or the reply given; reject, defer -> that
/// reply; disconnect -> and closed.
pub const EM_SMTPETRN: EID = 0x4008;

/// ATRN: the client wants its mail over this connection (RFC 2645), which is reversed for it: it becomes the server. Struct: EmAtrn.
/// Between lies the finding of that mail; it is sent behind the 250, after(ATRN) and after(COMMAND). Called on listeners of purpose
/// "odmr" alone, for clients that have logged in.
///
/// before: continue -> 450 when nobody has answered; handled -> 250, with the words given, and the connection is reversed: what
/// waits for the destinations that EmEditsService.reverse names is sent over it, message by message, each acknowledged by itself;
/// handled without that is a fault, as is another code; reject, defer -> that reply (450 not allowed, 451 not now, 453 no mail,
/// RFC 2645 section 5.2); disconnect -> and closed.
/// EM_SMTPDISCONNECT follows when all is sent or the connection broke: EM_DISCONNECT_REVERSED.
pub const EM_SMTPATRN: EID = 0x4009;

/// VRFY or EXPN: the client asks who is here (RFC 5321 section 3.5). Struct: EmVrfy. Between lies the core's own answer:
/// 252 to VRFY, the same for everybody, and 502 to EXPN.
///
/// before: continue -> the core's answer; handled -> 250, or the reply given; reject, defer -> that reply; disconnect ->
/// and closed.
pub const EM_SMTPVRFY: EID = 0x400A;

/// RSET: the client drops the transaction. Struct: EmRset. Between lies the dropping of it, if there is one.
///
/// before: continue -> 250; reject, defer -> that reply, and the transaction stays; disconnect -> and closed;
/// handled -> fault.
pub const EM_SMTPRSET: EID = 0x400B;

/// QUIT: the client leaves. Struct: EmQuit. Between lies the 221. The connection is closed behind the reply, whatever the
/// verdict; EM_SMTPDISCONNECT follows. Not called for a client that was rejected at EM_SMTPCONNECT.
///
/// before: continue -> 221; reject, defer, disconnect -> that reply in the place of the 221; handled -> fault, as is any
/// other, and its reply is 421.
pub const EM_SMTPQUIT: EID = 0x400C;

/// The client was silent for too long. Struct: EmTimeout. EM_BEFORE only: EMRegister answers ERR_EM_ILLEGALFLAGS to
/// EM_REG_AFTER. A message under way is dropped already; the connection is closed behind the reply, whatever the verdict;
/// EM_SMTPDISCONNECT follows.
///
/// before: continue -> 421; reject, defer, disconnect -> that reply in the place of the 421; handled -> fault, as is any
/// other, and its reply is 421.
pub const EM_SMTPTIMEOUT: EID = 0x400D;

/// A command that a plug-in claims by EmExtensionService.claim_verb. Struct: EmVerb. Nothing lies between: the claimant
/// carries it out. Every plug-in that registered is asked, so look at EmVerb.verb. One line and one reply: a reply that has
/// the client go on, 3yz, is ERR_MISC_INVALID_ARGS to EmEditsService.verdict, since what follows it would be no command.
///
/// before: handled -> 250, or the reply given; reject, defer -> that reply; disconnect -> and closed; continue -> 502 when
/// nobody has answered.
pub const EM_SMTPVERB: EID = 0x400E;

/// A session as its plug-ins see it. Opaque; for EmSessionService. Valid as long as the record it came with.
pub struct EmSession {
    _opaque: [u8; 0],
}

/// The sheet that one handler call writes its edits and its verdict to. Opaque; for EmEditsService. Valid as long as
/// the record it came with.
pub struct EmEdits {
    _opaque: [u8; 0],
}

/// A message, or its header block alone. Opaque; for EmMessageService. Valid as long as the record it came with.
pub struct EmMessage {
    _opaque: [u8; 0],
}

/// What every event struct starts with.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmEvent {
    /// Size of the whole event struct in the host; members beyond it are not there.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// The session; behind the session the one that the message came in, as far as it was kept. NULL at EM_START, EM_CONFIG and
    /// EM_STOP, which belong to none.
    pub session: *const EmSession,
    /// The sheet of this call; NULL where there is no session.
    pub edits: *mut EmEdits,
    /// EM_AFTER: the reply about to be sent, NULL when there is none. EM_BEFORE: NULL.
    pub reply: *const EmReply,
}

/// Arguments of EM_SMTPCONNECT.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmConnect {
    /// What every event has.
    pub event: EmEvent,
    /// The client's address, exactly as inet_ntop prints it.
    pub remote_ip: EmText,
    /// The address it connected to.
    pub local_ip: EmText,
    /// The name of the listener in the configuration.
    pub listener: EmText,
    /// The client's port.
    pub remote_port: u16,
    /// Our port.
    pub local_port: u16,
    /// Zero.
    pub reserved: u32,
}

/// Arguments of EM_SMTPCOMMAND.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmCommand {
    /// What every event has.
    pub event: EmEvent,
    /// The octets of the line as received, or as an earlier handler replaced it, without its CRLF; EM_AFTER: as it was
    /// carried out. Of AUTH the words behind the mechanism are `*`, but with EM_EDIT_CREDENTIALS at EM_BEFORE.
    pub line: EmText,
}

/// Arguments of EM_SMTPEHLO.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmEhlo {
    /// What every event has.
    pub event: EmEvent,
    /// The name the client gives itself: a domain or an address literal.
    pub name: EmText,
    /// 1 for EHLO, 0 for HELO.
    pub extended: u8,
    /// Zero.
    pub reserved: [u8; 7],
    /// The keywords, one a line, lines separated by LF, each with its parameters. EM_BEFORE: those that would be announced,
    /// with the edits of earlier handlers. EM_AFTER: those that are. Empty for HELO, and for a refused EHLO.
    pub keywords: EmText,
}

/// Arguments of EM_SMTPSTARTTLS.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmStartTls {
    /// What every event has.
    pub event: EmEvent,
}

/// EmAuth.result: it is not decided (EM_BEFORE).
pub const EM_AUTH_OPEN: u32 = 0;

/// EmAuth.result: the client is logged in.
pub const EM_AUTH_ACCEPTED: u32 = 1;

/// EmAuth.result: it is not: wrong credentials, or a plug-in has said no.
pub const EM_AUTH_REFUSED: u32 = 2;

/// EmAuth.result: nobody could say, or a plug-in has said not now.
pub const EM_AUTH_UNAVAILABLE: u32 = 3;

/// EmAuth.result: the client gave it up, or did not keep to the mechanism.
pub const EM_AUTH_BROKEN: u32 = 4;

/// Arguments of EM_SMTPAUTH.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmAuth {
    /// What every event has.
    pub event: EmEvent,
    /// The mechanism in capitals: `PLAIN`, `LOGIN`, `CRAM-MD5`, `SCRAM-SHA-256` or `SCRAM-SHA-256-PLUS`. Others may come.
    pub mechanism: EmText,
    /// Who the client says that it is, as SASLprep (RFC 4013) has it: no white space, 1 to 255 octets of UTF-8.
    pub identity: EmText,
    /// On whose behalf it wants to act, in the same form; empty: its own. The server itself lets nobody act for others.
    pub authorization: EmText,
    /// The password as octets, of PLAIN and LOGIN at EM_BEFORE, for a plug-in with EM_EDIT_CREDENTIALS; else data is NULL.
    /// Not to be kept, logged or shown.
    pub password: EmText,
    /// EM_AUTH_...; take an unknown value for EM_AUTH_REFUSED.
    pub result: u32,
    /// Zero.
    pub reserved: u32,
}

/// Arguments of EM_SMTPMAIL.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmMail {
    /// What every event has.
    pub event: EmEvent,
    /// The sender as received, or as an earlier handler replaced it, without angle brackets; empty for the null path.
    pub sender: EmText,
    /// The parameters as received, without the space before them; empty when there are none.
    pub parameters: EmText,
}

/// Arguments of EM_SMTPRCPT.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmRcpt {
    /// What every event has.
    pub event: EmEvent,
    /// The recipient as received, or as an earlier handler replaced it, without angle brackets.
    pub recipient: EmText,
    /// The parameters as received, without the space before them; empty when there are none.
    pub parameters: EmText,
}

/// EmData.verb: DATA, the message ends with a dot.
pub const EM_DATA_DATA: u8 = 0;

/// EmData.verb: BDAT, the message comes in chunks of announced length.
pub const EM_DATA_BDAT: u8 = 1;

/// Arguments of EM_SMTPDATA.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmData {
    /// What every event has.
    pub event: EmEvent,
    /// BDAT: octets of the first chunk. DATA: 0.
    pub chunk_octets: u64,
    /// EM_DATA_DATA or EM_DATA_BDAT; take an unknown value for EM_DATA_DATA.
    pub verb: u8,
    /// BDAT: 1 when the message ends with that chunk.
    pub last: u8,
    /// Zero.
    pub reserved: [u8; 6],
}

/// Arguments of EM_SMTPHEADERS.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmHeaders {
    /// What every event has.
    pub event: EmEvent,
    /// For EmMessageService.header; its body is empty here.
    pub message: *const EmMessage,
}

/// Arguments of EM_SMTPBODY.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmBody {
    /// What every event has.
    pub event: EmEvent,
    /// Octets of the body, transparency dots removed: 32 to 64 KiB, of the last chunk 0 to 64 KiB. All chunks, one behind
    /// the other, are the body as EmMessageService.body lends it before any edit: it begins with the empty line.
    /// A chunk may end anywhere, in the middle of a word, of a line end or of a character.
    pub octets: EmText,
    /// How many octets of the body came before them.
    pub offset: u64,
    /// 1 when they are the last of the message.
    pub last: u8,
    /// Zero.
    pub reserved: [u8; 7],
}

/// Arguments of EM_SMTPMESSAGEACCEPT.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmMessageAccept {
    /// What every event has.
    pub event: EmEvent,
    /// Octets of the message as received, transparency dots removed.
    pub octets: u64,
    /// EM_BEFORE: the message, to be read. EM_AFTER: NULL.
    pub message: *const EmMessage,
}

/// EmEtrn.kind: `ETRN node`, this host or domain.
pub const EM_ETRN_HOST: u8 = 0;

/// EmEtrn.kind: `ETRN @node`, the domain and everything below it.
pub const EM_ETRN_DOMAIN: u8 = 1;

/// EmEtrn.kind: `ETRN #node`, a queue of that name.
pub const EM_ETRN_QUEUE: u8 = 2;

/// Arguments of EM_SMTPETRN.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmEtrn {
    /// What every event has.
    pub event: EmEvent,
    /// The node, without `@` or `#`.
    pub node: EmText,
    /// EM_ETRN_HOST, EM_ETRN_DOMAIN or EM_ETRN_QUEUE; take an unknown value for a node you do not serve.
    pub kind: u8,
    /// Zero.
    pub reserved: [u8; 7],
}

/// Arguments of EM_SMTPATRN.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmAtrn {
    /// What every event has.
    pub event: EmEvent,
    /// Whose mail the client wants, as received: domains, one a line, lines separated by LF; at most 100. Empty: all that is its.
    pub domains: EmText,
}

/// EmVrfy.verb: VRFY, about a user or a mailbox.
pub const EM_VRFY_VRFY: u8 = 0;

/// EmVrfy.verb: EXPN, about a mailing list.
pub const EM_VRFY_EXPN: u8 = 1;

/// Arguments of EM_SMTPVRFY.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmVrfy {
    /// What every event has.
    pub event: EmEvent,
    /// What the client asks about, as received; never empty.
    pub argument: EmText,
    /// EM_VRFY_VRFY or EM_VRFY_EXPN; answer ERR_EM_CONTINUE to an unknown one.
    pub verb: u8,
    /// Zero.
    pub reserved: [u8; 7],
}

/// Arguments of EM_SMTPVERB.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmVerb {
    /// What every event has.
    pub event: EmEvent,
    /// The verb, in capitals.
    pub verb: EmText,
    /// What follows the verb and a space, as received, without spaces at its end; may be empty.
    pub argument: EmText,
}

/// Arguments of EM_SMTPRSET.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmRset {
    /// What every event has.
    pub event: EmEvent,
}

/// Arguments of EM_SMTPQUIT.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmQuit {
    /// What every event has.
    pub event: EmEvent,
}

/// EmTimeout.awaited: a command.
pub const EM_AWAITED_COMMAND: u32 = 0;

/// EmTimeout.awaited: the octets of a message.
pub const EM_AWAITED_MESSAGE: u32 = 1;

/// Arguments of EM_SMTPTIMEOUT.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmTimeout {
    /// What every event has.
    pub event: EmEvent,
    /// What was waited for: EM_AWAITED_...; take an unknown value for EM_AWAITED_COMMAND.
    pub awaited: u32,
    /// Zero.
    pub reserved: u32,
}

/// EmDisconnect.reason: the client said QUIT.
pub const EM_DISCONNECT_QUIT: u32 = 0;

/// EmDisconnect.reason: the client closed the connection, or it broke.
pub const EM_DISCONNECT_HANGUP: u32 = 1;

/// EmDisconnect.reason: the client was silent for too long.
pub const EM_DISCONNECT_TIMEOUT: u32 = 2;

/// EmDisconnect.reason: the server closed it: a limit, or a plug-in's verdict.
pub const EM_DISCONNECT_REFUSED: u32 = 3;

/// EmDisconnect.reason: the server is shutting down.
pub const EM_DISCONNECT_SHUTDOWN: u32 = 4;

/// EmDisconnect.reason: the TLS handshake failed.
pub const EM_DISCONNECT_HANDSHAKE: u32 = 5;

/// EmDisconnect.reason: the connection was reversed (EM_SMTPATRN), and what followed is over.
pub const EM_DISCONNECT_REVERSED: u32 = 6;

/// Arguments of EM_SMTPDISCONNECT.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmDisconnect {
    /// What every event has.
    pub event: EmEvent,
    /// EM_DISCONNECT_...; take an unknown value for EM_DISCONNECT_REFUSED.
    pub reason: u32,
    /// Zero.
    pub reserved: u32,
}
