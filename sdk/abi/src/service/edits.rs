//! The edits service: how a handler changes things and gives a verdict.

use crate::{EmEdits, EmText, STATUS};

/// Id of EmEditsService.
pub const EM_EDITS_ID: &core::ffi::CStr = c"em.edits/2";

/// Verdict: handled. Code 2yz, or 0 for the core's own words. At EM_SMTPAUTH 235 alone; nowhere else 235, 220 or 221, by
/// which clients know that they are logged in, or what becomes of the connection: another is a fault.
pub const EM_VERDICT_HANDLED: u32 = 1;
/// Verdict: refuse for good. Code 5yz.
pub const EM_VERDICT_REJECT: u32 = 2;
/// Verdict: refuse for now. Code 4yz.
pub const EM_VERDICT_DEFER: u32 = 3;
/// Verdict: send the reply and close the connection. Code 4yz or 5yz.
pub const EM_VERDICT_DISCONNECT: u32 = 4;

/// Writes to the sheet of one handler call. Nothing happens while the handler runs: the host reads the sheet when it
/// returns. Later handlers see the edits of earlier ones. All text is copied.
///
/// Every function returns NOERROR, ERR_EM_NOTAUTHORIZED (the descriptor does not declare the edit), EM_ERR_STAGE (not at
/// this event or stage), EM_ERR_LIMIT (at most 256 edits and 1 MiB in one call, text for the body not counted), or
/// ERR_MISC_INVALID_ARGS; it has then changed nothing.
///
/// One transaction keeps at most 1,024 edits, attributes not counted, and 1 MiB of their text, of all plug-ins together:
/// the command beyond is answered 452, and its edits are dropped.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EmEditsService {
    /// sizeof(EmEditsService) of the host.
    pub size: u32,
    /// Zero.
    pub reserved: u32,

    /// Gives the verdict that counts when the handler returns EM_VERDICT. EM_BEFORE only, not at EM_SMTPDISCONNECT; the
    /// last one given counts.
    /// Do not return what this function returns: EMHANDLER tells why.
    ///
    /// - verdict: EM_VERDICT_...
    /// - code: as the verdict says, else ERR_MISC_INVALID_ARGS.
    /// - enhanced: "5.7.1" or the like, of the code's class; empty for none.
    /// - text: printable ASCII, lines separated by LF, at most 64 lines and 4,096 octets; empty for the core's own words.
    ///
    /// [session-thread & in-handler]
    pub verdict: unsafe extern "C" fn(
        edits: *mut EmEdits,
        verdict: u32,
        code: u16,
        enhanced: EmText,
        text: EmText,
    ) -> STATUS,

    /// Replaces the words of the reply; its code, and so its class, stays. Of a greeting and of the reply to HELO or EHLO
    /// the server's name and the keywords stay too. EM_AFTER only, not at EM_SMTPDISCONNECT.
    ///
    /// - text: printable ASCII, lines separated by LF, at most 64 lines and 4,096 octets.
    ///
    /// [session-thread & in-handler]
    pub reply_text: unsafe extern "C" fn(edits: *mut EmEdits, text: EmText) -> STATUS,

    /// Sets an attribute of the session, for every later handler and, for a grant, for the core. At every event but
    /// EM_SMTPDISCONNECT.
    ///
    /// - name: 1 to 64 octets of a-z, 0-9, '_', '-', '.'; a session keeps at most 64 attributes, else EM_ERR_LIMIT.
    /// - value: at most 1,024 octets of UTF-8 without NUL.
    ///
    /// [session-thread & in-handler]
    pub attribute: unsafe extern "C" fn(edits: *mut EmEdits, name: EmText, value: EmText) -> STATUS,

    /// Adds a header field at the end of the header block. EM_BEFORE of EM_SMTPMAIL, EM_SMTPRCPT, EM_SMTPDATA,
    /// EM_SMTPHEADERS, EM_SMTPBODY, EM_SMTPMESSAGEACCEPT and EM_SMTPQUEUE, and of EM_SMTPBOUNCE for the notification; the edits of
    /// a MAIL or RCPT that is refused, and of a RCPT whose recipient is known already, are dropped.
    ///
    /// - name: 1 to 76 printable ASCII octets without ':' and space (RFC 5322 section 2.2).
    /// - value: octets without NUL; a line break is CRLF followed by space or tab, the last CRLF is left out; no line
    ///   over 998 octets.
    ///
    /// [session-thread & in-handler]
    pub header_add:
        unsafe extern "C" fn(edits: *mut EmEdits, name: EmText, value: EmText) -> STATUS,

    /// Keeps the message in the queue, undelivered, until an operator releases it: the whole message, for all its
    /// recipients, also when asked for at one of them. When as header_add, and at EM_SMTPROUTE, EM_SMTPDELIVER and EM_SMTPEXPIRE,
    /// for the recipients of the attempt. The chain goes on.
    ///
    /// - reason: for the operator, 1 to 256 printable ASCII octets.
    ///
    /// [session-thread & in-handler]
    pub hold: unsafe extern "C" fn(edits: *mut EmEdits, reason: EmText) -> STATUS,

    /// Lets the message be acknowledged and dropped: the whole message, for all its recipients, also when asked for at
    /// one of them. When as header_add but for EM_SMTPQUEUE and EM_SMTPBOUNCE, and at EM_SMTPROUTE, for the recipients of the attempt.
    /// The chain goes on.
    ///
    /// [session-thread & in-handler]
    pub discard: unsafe extern "C" fn(edits: *mut EmEdits) -> STATUS,

    /// Puts a header field before the field at a position. When as header_add; what is asked for before the message is
    /// there is done, in the order of the edits, when it is.
    ///
    /// - position: how many fields come before it, 0 for the top; more than there are mean the end. The server's own
    ///   trace fields are put above all of them later.
    /// - name, value: as in header_add.
    ///
    /// [session-thread & in-handler]
    pub header_insert: unsafe extern "C" fn(
        edits: *mut EmEdits,
        position: u32,
        name: EmText,
        value: EmText,
    ) -> STATUS,

    /// Replaces the body of a header field; its name keeps its spelling. Nothing happens when there is no such field.
    /// When as header_insert.
    ///
    /// - name: as in header_add, in any case.
    /// - index: which of the fields of that name, from 1; 0 is ERR_MISC_INVALID_ARGS.
    /// - value: as in header_add.
    ///
    /// [session-thread & in-handler]
    pub header_change: unsafe extern "C" fn(
        edits: *mut EmEdits,
        name: EmText,
        index: u32,
        value: EmText,
    ) -> STATUS,

    /// Takes a header field out, with its continuation lines. Nothing happens when there is no such field. When as
    /// header_insert.
    ///
    /// - name, index: as in header_change.
    ///
    /// [session-thread & in-handler]
    pub header_delete:
        unsafe extern "C" fn(edits: *mut EmEdits, name: EmText, index: u32) -> STATUS,

    /// Replaces the sender. EM_BEFORE of EM_SMTPMAIL, EM_SMTPHEADERS and EM_SMTPMESSAGEACCEPT. Later handlers of the same MAIL see it as
    /// EmMail.sender, all others as EM_FACT_SENDER.
    ///
    /// - path: as MAIL takes it, without angle brackets; empty for the null path.
    /// - parameters: as MAIL takes them, in the place of all those received; empty: those received stay.
    ///
    /// [session-thread & in-handler]
    pub sender:
        unsafe extern "C" fn(edits: *mut EmEdits, path: EmText, parameters: EmText) -> STATUS,

    /// Adds a recipient; one who is there already stays as they are. EM_BEFORE of EM_SMTPRCPT, EM_SMTPDATA, EM_SMTPHEADERS
    /// and EM_SMTPMESSAGEACCEPT.
    ///
    /// The recipient needs a route or a grant, as at EM_SMTPRCPT; a grant made in the same chain counts. Without one the
    /// plug-in is at fault, whatever its fault contract says: the command is answered 451, and none of the edits made at
    /// it is carried out. What is added at a RCPT is dropped when the recipient in hand is refused. Whom the client names at a
    /// later RCPT is the client's: the parameters are those of that RCPT, and nothing was added.
    ///
    /// - path: as RCPT takes it, without angle brackets.
    /// - parameters: as RCPT takes them; may be empty.
    ///
    /// [session-thread & in-handler]
    pub recipient_add:
        unsafe extern "C" fn(edits: *mut EmEdits, path: EmText, parameters: EmText) -> STATUS,

    /// Removes a recipient; nothing happens when they are not there. EM_BEFORE of EM_SMTPDATA, EM_SMTPHEADERS and
    /// EM_SMTPMESSAGEACCEPT.
    ///
    /// Who removes the last one is at fault as in recipient_add, unless the message is discarded: that is how to have a
    /// message for nobody.
    ///
    /// - path: as in recipient_add; the case of the domain is no difference.
    ///
    /// [session-thread & in-handler]
    pub recipient_remove: unsafe extern "C" fn(edits: *mut EmEdits, path: EmText) -> STATUS,

    /// Puts another recipient in the place of one. EM_BEFORE of EM_SMTPRCPT, EM_SMTPDATA, EM_SMTPHEADERS and
    /// EM_SMTPMESSAGEACCEPT.
    ///
    /// At EM_SMTPRCPT it is the one in hand. Later handlers see the new one as EmRcpt.recipient; the route or grant that counts
    /// is that of the new one, and without one the client is refused as for any recipient. At the other events it is one of
    /// the transaction's; nothing happens when they are not there, and the new one needs a route or a grant as in
    /// recipient_add. One who is a recipient already is kept once, as they are, and whoever they replace only goes; the same
    /// when the client itself names them later.
    ///
    /// - replaced: at EM_SMTPRCPT empty; elsewhere who goes, as in recipient_remove.
    /// - path: who comes, as in recipient_add.
    /// - parameters: as RCPT takes them, in the place of all those there are; empty: those stay.
    ///
    /// [session-thread & in-handler]
    pub recipient_replace: unsafe extern "C" fn(
        edits: *mut EmEdits,
        replaced: EmText,
        path: EmText,
        parameters: EmText,
    ) -> STATUS,

    /// Puts another line in the place of the command line in hand. EM_BEFORE of EM_SMTPCOMMAND. Later handlers see it as
    /// EmCommand.line, and the core parses it as it would have the one received; it is not shown to earlier ones again.
    ///
    /// Client and server must stay in step, so the handler is at fault when it replaces the line of DATA, BDAT, STARTTLS,
    /// XCLIENT, AUTH or ATRN, or makes one; and when a line of MAIL, RCPT, RSET or QUIT gets another verb, or one of HELO and EHLO
    /// a verb that is neither. A line longer than the server takes from clients is the plug-in's fault as in
    /// recipient_add: 451.
    ///
    /// - line: printable ASCII, without CRLF.
    ///
    /// [session-thread & in-handler]
    pub command_replace: unsafe extern "C" fn(edits: *mut EmEdits, line: EmText) -> STATUS,

    /// Marks the message for later handlers and for whoever looks at the queue, with which the tag is kept; one that is
    /// there already stays. When as header_add but for EM_SMTPQUEUE and EM_SMTPBOUNCE; at a RCPT it is the whole message that is marked.
    ///
    /// - name: 1 to 64 octets of a-z, 0-9, '_', '-', '.'; a message has at most 64 tags, else EM_ERR_LIMIT.
    ///
    /// [session-thread & in-handler]
    pub tag: unsafe extern "C" fn(edits: *mut EmEdits, name: EmText) -> STATUS,

    /// Adds octets to a text that is put before that of the body. EM_BEFORE of EM_SMTPMESSAGEACCEPT. All that one call
    /// gives stands in the order in which it was given; later handlers read the body with it.
    ///
    /// What is written is text behind the empty line that ends the header block. That line is the host's: it stays, or
    /// comes when there was none.
    ///
    /// - octets: any but NUL, and CR and LF only as CRLF, though a call may end between the two and the next go on there;
    ///   others are ERR_MISC_INVALID_ARGS. A last line without CRLF gets one. Of a message that was sent with
    ///   BODY=BINARYMIME (RFC 3030) any octets, to the letter. Give pieces of some KiB of a long text, not
    ///   all of it: beyond 64 KiB it is kept in a file, which blocks shortly; a handler of class EM_CLASS_INLINE may do so.
    ///
    /// Returns EM_ERR_LIMIT when all handlers together would have written more than a message may have, texts that were
    /// replaced not counted; EM_ERR_IO: the file could not be written. The call is at fault then, whatever it answers, unless its
    /// verdict refuses the message: none of its edits counts. A piece that is refused otherwise changes nothing.
    ///
    /// [session-thread & in-handler]
    pub body_prepend: unsafe extern "C" fn(edits: *mut EmEdits, octets: EmText) -> STATUS,

    /// Adds octets to a text that is put behind that of the body. When, octets and status as in body_prepend.
    ///
    /// [session-thread & in-handler]
    pub body_append: unsafe extern "C" fn(edits: *mut EmEdits, octets: EmText) -> STATUS,

    /// Adds octets to a text that takes the place of all text there is, earlier handlers' included; what this call prepends
    /// and appends stands around it. When, octets and status as in body_prepend. Empty octets begin it too: a body without
    /// text is one.
    ///
    /// The body as EmMessageService reads it, from offset 2 on, is what this function would write to leave it as it is. It
    /// can be read while the new one is written.
    ///
    /// [session-thread & in-handler]
    pub body_replace: unsafe extern "C" fn(edits: *mut EmEdits, octets: EmText) -> STATUS,

    /// Announces an EHLO keyword in the reply in hand, or puts these parameters behind one that a plug-in announces already.
    /// EM_BEFORE of EM_SMTPEHLO; nothing happens to HELO. What is announced must work: answer the verb at EM_SMTPCOMMAND,
    /// or claim it (EmExtensionService). More keywords than one reply has room for, 63 and 3,072 octets, are the plug-in's
    /// fault as in recipient_add: 451.
    ///
    /// - keyword: 1 to 64 letters, digits and '-', which is not first (RFC 5321 section 4.1.1.1); one that the server
    ///   itself announces, or alone could, is EM_ERR_CLAIMED.
    /// - parameters: words of printable ASCII, one space between two, at most 256 octets; empty for none.
    ///
    /// [session-thread & in-handler]
    pub keyword_add:
        unsafe extern "C" fn(edits: *mut EmEdits, keyword: EmText, parameters: EmText) -> STATUS,

    /// Leaves a keyword out of the reply to EHLO in hand, whoever announces it; nothing happens when it is not there. When
    /// as keyword_add. Until the next EHLO the server refuses what it announced: the verb of its name (HELP, ETRN) with
    /// 502, the parameter of its name (SIZE; BODY for 8BITMIME) with 555; without ENHANCEDSTATUSCODES replies have none.
    /// Without PIPELINING, clients that pipeline all the same are still served.
    ///
    /// - keyword: in any case.
    ///
    /// [session-thread & in-handler]
    pub keyword_remove: unsafe extern "C" fn(edits: *mut EmEdits, keyword: EmText) -> STATUS,

    /// Replaces the code of the reply within its class, and its words; what is left empty stays. EM_AFTER only, and where
    /// there is a reply.
    ///
    /// - code: of the class of EmReply.code, else EM_ERR_CLASS; 0: that of the reply stays. 220, 221, 235, 3yz and 421 tell
    ///   what becomes of the connection, and 250 to HELO or EHLO who answers: neither can they become others, nor others they;
    ///   EM_ERR_CLASS too.
    /// - enhanced: "5.1.1" or the like, of the same class, else ERR_MISC_INVALID_ARGS; a reply that has none gets none.
    /// - text: as in reply_text.
    ///
    /// [session-thread & in-handler]
    pub reply_change: unsafe extern "C" fn(
        edits: *mut EmEdits,
        code: u16,
        enhanced: EmText,
        text: EmText,
    ) -> STATUS,
    /// Names the user whom the client is logged in as when this handler's answer is handled. EM_BEFORE of EM_SMTPAUTH, with
    /// EM_EDIT_CREDENTIALS declared, else ERR_EM_NOTAUTHORIZED. The last one of a call counts; with another answer than handled it
    /// changes nothing.
    ///
    /// - identity: 1 to 255 octets of UTF-8 without white space, in the form of SASLprep (RFC 4013).
    ///
    /// [session-thread & in-handler]
    pub identity: unsafe extern "C" fn(edits: *mut EmEdits, identity: EmText) -> STATUS,

    /// Names the mail that is sent over the connection once it is reversed, when this handler's answer is handled. EM_BEFORE of
    /// EM_SMTPATRN, with EM_EDIT_QUEUE declared, else ERR_EM_NOTAUTHORIZED. The last one of a call counts; with another answer than
    /// handled it changes nothing.
    ///
    /// - destinations: as EmQueueService takes them, one a line, lines separated by LF; 1 to 1,000.
    ///
    /// [session-thread & in-handler]
    pub reverse: unsafe extern "C" fn(edits: *mut EmEdits, destinations: EmText) -> STATUS,

    /// Says where mail leads in the place of the configuration, for this attempt. EM_BEFORE of EM_SMTPROUTE. Later handlers see it as
    /// EmRoute.next_hop; the last one counts. What the route wants of TLS stays, its login does not go to other servers.
    ///
    /// - next_hop: as in the configuration: `HOST:PORT`, `mx`, `mx:DOMAIN` or `discard`; printable ASCII, at most 512 octets. One
    ///   that can't be read is the plug-in's fault, and the attempt is put off.
    ///
    /// [message-thread & in-handler]
    pub route: unsafe extern "C" fn(edits: *mut EmEdits, next_hop: EmText) -> STATUS,

    /// Refuses the message for one of its recipients. EM_BEFORE of EM_SMTPMESSAGEACCEPT, with EM_EDIT_VERDICT declared. The chain
    /// goes on, and whatever ends it is for all recipients. Of several verdicts for one the strictest counts: reject, then
    /// defer, then the first. Nothing happens when the recipient is not there.
    ///
    /// A client that has asked for it (PRDR) is told of each recipient, and the message goes on for the others. Any other
    /// client gets one reply: the strictest, and the message is refused for all, unless the operator has it accepted for the
    /// others (`split`).
    ///
    /// - path: as in recipient_remove.
    /// - verdict: EM_VERDICT_REJECT or EM_VERDICT_DEFER.
    /// - code, enhanced, text: as in verdict; not 421.
    ///
    /// [session-thread & in-handler]
    pub recipient_verdict: unsafe extern "C" fn(
        edits: *mut EmEdits,
        path: EmText,
        verdict: u32,
        code: u16,
        enhanced: EmText,
        text: EmText,
    ) -> STATUS,
}
