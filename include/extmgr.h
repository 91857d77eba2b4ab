/* extmgr.h: the contract between Stagepost and its plug-ins.
 *
 * Generated from sdk/abi. Change it there, then: BLESS=1 cargo test -p stagepost-tests --test header
 *
 * A plug-in is a shared object that exports one symbol, em_entry, and carries one descriptor, written with
 * EM_DESCRIPTOR. It links against nothing of the host: everything is reached through the tables given to em_entry.
 * Build it with -fPIC -shared -fvisibility=hidden.
 *
 * The tag that ends a function's comment says where it may be called, or is called:
 *   [main-thread]     the thread that loads plug-ins
 *   [session-thread]  any OS thread, but never two at once for one session
 *   [message-thread]  behind the session: any OS thread, but never two at once for one message and destination
 *   [any-thread]      any thread at any time
 * joined with
 *   & loading     only while em_entry runs
 *   & in-handler  only while a handler runs, with what it was given; and from any thread with what it was given, until
 *                 it returns or, if it went pending, until its call ends
 *   & in-verb     only while an operator's verb runs, with the call it was given
 *   & may-block   it waits: only on a thread that may block, a handler's of class EM_CLASS_BLOCKING, a verb's or one of
 *                 the plug-in's own; elsewhere it is EM_ERR_STAGE
 *
 * Structs only grow at their end; `size` tells how far the host's goes. Reserved members are zero. */

#ifndef STAGEPOST_EXTMGR_H
#define STAGEPOST_EXTMGR_H

#include <stddef.h>
#include <stdint.h>

#ifdef EXMGR_DEFS
#error "include either this extmgr.h or the Domino one, not both: they share names"
#endif

/** Makes a function visible outside a shared object that is built with -fvisibility=hidden. */
#if defined(_WIN32)
#define EM_EXPORT __declspec(dllexport)
#elif defined(__GNUC__)
#define EM_EXPORT __attribute__((visibility("default")))
#else
#define EM_EXPORT
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Status codes: what handlers, services and registration return. ---- */

/** What a function returns: 0 for success, else one of the codes below. */
typedef uint16_t STATUS;

/** Success; returned by a handler: the event is handled, the core skips its own work and replies positively. */
#define NOERROR 0

/** Returned by a handler: go on with the chain, then with the core's own work. */
#define ERR_EM_CONTINUE 0x02D5

/** Returned by a handler that has taken a token (EmAsyncService.pending): it answers later. */
#define EM_PENDING 0x3301

/** Returned by a handler: the verdict given to the edits sheet counts. */
#define EM_VERDICT 0x3302

/** Returned by a handler: it failed inside (a caught panic or exception). The fault contract applies. */
#define EM_FAULT 0x3303

/** EMRegister: no such event here. */
#define ERR_EM_ILLEGAL 0x02D1

/** EMRegister: flags are empty or unknown, or EM_REG_AFTER where the event has no after. */
#define ERR_EM_ILLEGALFLAGS 0x02D2

/** EMRegister: too many registrations. */
#define ERR_EM_TOOMANYADDINS 0x02D3

/** The plug-in's descriptor does not declare this stage or this edit. */
#define ERR_EM_NOTAUTHORIZED 0x02D4

/** There is no such thing: a configuration key, an attribute, a fact not known yet. */
#define ERR_NOT_FOUND 0x0404

/** An argument is not acceptable: a NULL where none may be, text with octets that can't be there, a code out of range. */
#define ERR_MISC_INVALID_ARGS 0x0495

/** The call does not fit this moment: outside em_entry, or an edit that this event or stage does not allow. */
#define EM_ERR_STAGE 0x3310

/** A limit is reached: too many or too large edits, attributes or registrations. */
#define EM_ERR_LIMIT 0x3311

/** The value is there but of another type. */
#define EM_ERR_TYPE 0x3312

/** The server, or another plug-in, has this already. */
#define EM_ERR_CLAIMED 0x3318

/** The host could not read or write something; its log says what. */
#define EM_ERR_IO 0x3314

/** The pending call is over: answered already, past its deadline, or its client is gone. */
#define EM_ERR_OVER 0x3315

/** Mail for this recipient goes nowhere from here: nobody of that name, or no route and no grant. */
#define EM_ERR_ROUTE 0x3316

/** The message is refused for its form, its size or its hops; the log says which. */
#define EM_ERR_REFUSED 0x3317

/** The reply in hand can't have this code: one of another class, or one by which programs know what becomes of the
 * connection (220, 221, 235, 3yz, 421), or another in the place of such a one. */
#define EM_ERR_CLASS 0x3319

/** The Rust layouts of the contract differ; the host has logged where. */
#define EM_ERR_LAYOUT 0x3313

/* ---- Text and replies as they cross the boundary. ---- */

/** Octets lent for reading: a pointer and a length, never NUL-terminated by promise.
 *
 * Text is UTF-8 unless the place that lends it says "octets". `data` may be NULL only when `len` is 0.
 * Whoever lends it says how long it stays valid; whoever is lent it never frees it. */
typedef struct EmText {
    /** The first octet. */
    const char *data;
    /** How many octets. */
    uint64_t len;
} EmText;

/** A reply to the client as the core composed it (RFC 5321 section 4.2). Valid during the call. */
typedef struct EmReply {
    /** sizeof(EmReply) of the host; members beyond it are not there. */
    uint32_t size;
    /** Three digits, 200 to 599. */
    uint16_t code;
    /** The enhanced code's class (RFC 3463): 2, 4 or 5; 0 when the reply has none. */
    uint8_t enhanced_class;
    /** Zero. */
    uint8_t reserved;
    /** The enhanced code's subject. */
    uint16_t enhanced_subject;
    /** The enhanced code's detail. */
    uint16_t enhanced_detail;
    /** Zero. */
    uint32_t reserved_2;
    /** The words; lines are separated by LF. */
    struct EmText text;
} EmReply;

/* ---- The record every handler is given, and the handler itself. ---- */

/** The number of an event. */
typedef uint16_t EID;

/** NotificationType: the core has not acted yet. */
#define EM_BEFORE 0

/** NotificationType: the core has acted; its reply is composed but not sent. */
#define EM_AFTER 1

/** What a handler is told. The record, the event struct and all text in it are valid until the handler returns or, if it
 * returned EM_PENDING, until its call ends (EmAsyncService).
 *
 * Every member is for reading only. */
typedef struct EMRECORD {
    /** Which event: EM_SMTPCONNECT and so on. */
    EID EId;
    /** EM_BEFORE or EM_AFTER. */
    uint16_t NotificationType;
    /** EM_BEFORE: NOERROR. EM_AFTER: NOERROR when the reply is positive (2yz, 3yz), else EM_VERDICT. */
    STATUS Status;
    /** sizeof(EMRECORD) of the host. */
    uint16_t Size;
    /** The event's own struct, which starts with an EmEvent: EmConnect for EM_SMTPCONNECT and so on. */
    const void *Event;
    /** What was given to EMRegister. */
    void *UserData;
} EMRECORD;

/** A handler: called for each event and stage it is registered for.
 *
 * Returns, and what happens next in EM_BEFORE:
 * - ERR_EM_CONTINUE: the next handler is asked; after the last one the core does its work.
 * - EM_VERDICT: the verdict given to the edits sheet ends the chain.
 * - NOERROR: handled; ends the chain. The core skips its own work and replies positively. A fault at
 *   CONNECT, EHLO, STARTTLS, MAIL, RCPT, DATA, HEADERS, BODY, RSET, QUIT, TIMEOUT and ROUTE, and at COMMAND for the commands that
 *   EM_SMTPCOMMAND names, where skipping would put client and server out of step.
 * - EM_PENDING: the answer comes later, if the handler has taken a token; else that is a fault.
 * - anything else is a fault of the plug-in: its fault contract applies, by default a 4yz reply.
 *
 * A status that contradicts the sheet is a fault as well: NOERROR with a verdict other than handled, and
 * ERR_EM_CONTINUE with any. So `return edits->verdict(...)`, which returns the setter's NOERROR, is told as an error and
 * accepts nothing.
 * A verdict to defer with code 421 closes the connection behind the reply, at every event (RFC 5321 section 3.8).
 *
 * In EM_AFTER everybody is asked, also when a handler in EM_BEFORE, or the core in its own work, refused (see Status).
 * The return value changes nothing; only EmEditsService.reply_text, reply_change and attribute have an effect.
 * One handler may be called for several sessions at the same time, on several threads; for one session never twice at
 * once, nor while a call of this plug-in is pending in it.
 * A handler must not throw, unwind or longjmp out of the call: what is thrown out of it aborts the process.
 *
 * [session-thread]; behind the session [message-thread]: any OS thread, never two at once for one message and destination. Both
 * slots (EmSessionService.slot, message_slot) last for one attempt there. */
typedef STATUS (*EMHANDLER)(const struct EMRECORD *record);

/** Gives something back to the plug-in when nobody can reach it any more. Called exactly once. At the end of a session
 * its slots are released before the registrations that it was the last to use.
 * It is called as handlers are: for a plug-in that is called in line perhaps on a thread that serves sessions, so it must
 * not block there (the functions that wait return EM_ERR_STAGE, and taking long is a fault); for one of class blocking on
 * a thread that may block. What came with a registration for EM_START, EM_CONFIG or EM_STOP, or with an admin verb, is
 * released on a thread that may block, whatever the class. No deadline is for a release on such a thread, but while it runs
 * it has one of the plug-in's threads_max threads, and the server ends without waiting for it for long. [any-thread] */
typedef void (*EmRelease)(void *data);

/* ---- Events: their numbers and the struct that each hands to its handlers. ---- */

/** A client has connected. Struct: EmConnect. Between before and after lies the composing of the greeting.
 *
 * before: continue -> the greeting; reject -> its text is the greeting, with code 554, and every command but QUIT is
 * refused; defer, disconnect -> its text is the greeting, with code 421 (554 for a disconnect with 5yz), and the
 * connection is closed; handled -> fault. A greeting has no enhanced code (RFC 2034 section 4): one that is given is
 * left out.
 * When an earlier plug-in ends the chain, later ones get after(CONNECT) and EM_SMTPDISCONNECT of a session whose
 * before(CONNECT) they were not asked: do not count on a slot being set.
 * after: rewording keeps the server's name, which comes first; the first line of the text follows it. */
#define EM_SMTPCONNECT 224

/** A command line was received and not parsed yet. Struct: EmCommand. Between lies the whole command.
 *
 * before: continue -> it is parsed and carried out; handled -> it is not, and 250 (or the reply given) is sent;
 * reject, defer -> that reply, nothing carried out; disconnect -> that reply and the connection is closed.
 * Handled is a fault on HELO, EHLO, MAIL, RCPT, DATA, BDAT, RSET, QUIT, STARTTLS, XCLIENT, AUTH and ATRN: only the core
 * keeps client and server in step there. NOOP, HELP, VRFY, EXPN, ETRN, TURN and verbs that the core does not know may be
 * handled. Other lines can be put in the place of most: EmEditsService.command_replace. */
#define EM_SMTPCOMMAND 225

/** The whole message was received. Struct: EmMessageAccept. Between lies the storing of the message.
 *
 * before: continue -> it is stored and acknowledged once it is on disk; handled -> the plug-in has taken it over:
 * it is acknowledged and not stored; reject, defer -> that reply, not stored; disconnect -> the same, and closed.
 * after: called also for a message that the core refused by itself, for its size or its octets, or that a handler refused
 * at EM_SMTPHEADERS or EM_SMTPBODY, and of which before was not asked. */
#define EM_SMTPMESSAGEACCEPT 226

/** The session is over. Struct: EmDisconnect. Called exactly once, before and after, for each session for which
 * EM_SMTPCONNECT was called, for this plug-in or for one before it. The return value changes nothing. */
#define EM_SMTPDISCONNECT 227

/** HELO or EHLO. Struct: EmEhlo. Between lies the accepting of the name and the start of a fresh session state.
 *
 * before: continue -> 250 with the extensions; reject, defer -> that reply; disconnect -> and closed; handled -> fault.
 * EmEditsService.keyword_add and keyword_remove change what is announced.
 * No reply to HELO or EHLO has an enhanced code (RFC 2034 section 4): one that is given is left out.
 * after: rewording keeps the server's name, which comes first, and the keywords; the first line of the text stands
 * between them. */
#define EM_SMTPEHLO 0x4000

/** STARTTLS: the client wants the rest of the session to be protected (RFC 3207). Struct: EmStartTls. Between lies the TLS
 * handshake, with the 220 before it. Not called where the listener has no certificate, or when TLS is on already, as it is
 * from the first octet on a listener with implicit TLS.
 *
 * before: continue -> 220 and the handshake; reject, defer -> that reply and no TLS; disconnect -> and closed;
 * handled -> fault, as is any other, and its reply is 454. after(COMMAND) is called before the 220 is sent.
 * after: called when the handshake has succeeded, with the facts of it (EM_FACT_TLS). There is no reply: reply is NULL.
 * The session begins anew: no HELO name, no transaction, and of the attributes those alone that were set at EM_SMTPCONNECT.
 * What a plug-in keeps in its slot stays, and what it learnt in clear text may have come from anybody. A handshake that fails ends
 * the session: after is not called, EM_SMTPDISCONNECT is. */
#define EM_SMTPSTARTTLS 0x4001

/** AUTH: the client wants to log in (RFC 4954). Struct: EmAuth. Between lies the check of its credentials: by the users that the
 * server knows, with SCRAM the client's proof. Called once it is known who wants to log in, so not for an exchange that ends before;
 * the lines of the client in between are no commands and are shown to nobody. before(COMMAND) and after(COMMAND) enclose all of it.
 *
 * before: continue -> the server checks; reject -> that reply, and it counts as a failed login; defer -> that reply;
 * disconnect -> and closed; handled -> 235, with the words given, and the client is logged in as EmEditsService.identity says.
 * Handled is a fault without that, and with SCRAM, where the client wants a proof that only who has its keys can give. Any fault
 * is answered 454.
 * after: called with the result when before was asked, or would have been. EM_FACT_IDENTITY tells who is logged in.
 * A handler that continues leaves the decision to those behind it and to the server: with none that knows, it is 535. */
#define EM_SMTPAUTH 0x4002

/** MAIL: a transaction begins. Struct: EmMail. Between lies the start of the transaction.
 *
 * before: continue -> it starts; reject, defer -> that reply and no transaction; disconnect -> and closed;
 * handled -> fault. */
#define EM_SMTPMAIL 0x4003

/** RCPT: a recipient is named. Struct: EmRcpt. Between lies the check for a route or a grant.
 *
 * before: continue -> accepted when it has a route (local, relay) or the session has the attribute
 * relay_granted, else 550; reject, defer -> that reply, the recipient is not accepted; disconnect -> and closed;
 * handled -> fault.
 * Edits made here are dropped when the recipient is refused, by whomever. When it is known already, those count that add
 * something the message has not: recipients, tags, hold and discard.
 * Attributes, and so grants, stay set all the same, for the whole session. */
#define EM_SMTPRCPT 0x4004

/** DATA, or the first BDAT of a message (RFC 3030): the message is about to be sent. Struct: EmData, which says which of the
 * two. Between lies the 354, or the reading of the chunk.
 *
 * before: continue -> 354, or the chunk is read; reject, defer -> that reply instead; disconnect -> and closed;
 * handled -> fault. The octets of a chunk are taken from the client whatever the verdict. One that is refused ends the
 * transaction, and chunks that the client has sent behind it get the same reply.
 * after: of a chunk with which the message ends the reply is the message's: after(MESSAGEACCEPT) comes before it.
 * Called once for each message: chunks behind the first are seen at EM_SMTPCOMMAND alone. */
#define EM_SMTPDATA 0x4005

/** The header block of the message is complete; none of the body is shown yet. Struct: EmHeaders. EM_BEFORE only: EMRegister
 * answers ERR_EM_ILLEGALFLAGS to EM_REG_AFTER. Called once for each message, also for one without a header block.
 *
 * before: continue -> the body is read; reject, defer -> the rest of the message is read and dropped, and that reply comes
 * behind its end; disconnect -> that reply at once, and closed; handled -> fault.
 * Not called for a message that the core refused already, for its size or its octets. Of a message that is refused here
 * EM_SMTPBODY and before(MESSAGEACCEPT) are not asked; after(MESSAGEACCEPT) is. */
#define EM_SMTPHEADERS 0x4006

/** Some of the body was received and is not kept yet. Struct: EmBody. EM_BEFORE only, as EM_SMTPHEADERS. Called for each chunk
 * of the body while it comes; the next octets are not read from the client before all handlers have answered.
 *
 * before: continue -> the chunk is kept and the message read on; reject, defer, disconnect, handled -> as at
 * EM_SMTPHEADERS, and no further chunk of this message is offered to anybody.
 * Nothing of a message is kept for good before its end: a client that goes away leaves a message without a last chunk, and
 * so does one whose octets the core refuses. */
#define EM_SMTPBODY 0x4007

/** ETRN: the client asks for mail waiting for a node (RFC 1985). Struct: EmEtrn. Between lies the queue run.
 *
 * before: continue -> 459 while nobody holds mail for the node; handled -> 250, or the reply given; reject, defer -> that
 * reply; disconnect -> and closed. */
#define EM_SMTPETRN 0x4008

/** ATRN: the client wants its mail over this connection (RFC 2645), which is reversed for it: it becomes the server. Struct: EmAtrn.
 * Between lies the finding of that mail; it is sent behind the 250, after(ATRN) and after(COMMAND). Called on listeners of purpose
 * "odmr" alone, for clients that have logged in.
 *
 * before: continue -> 450 when nobody has answered; handled -> 250, with the words given, and the connection is reversed: what
 * waits for the destinations that EmEditsService.reverse names is sent over it, message by message, each acknowledged by itself;
 * handled without that is a fault, as is another code; reject, defer -> that reply (450 not allowed, 451 not now, 453 no mail,
 * RFC 2645 section 5.2); disconnect -> and closed.
 * EM_SMTPDISCONNECT follows when all is sent or the connection broke: EM_DISCONNECT_REVERSED. */
#define EM_SMTPATRN 0x4009

/** VRFY or EXPN: the client asks who is here (RFC 5321 section 3.5). Struct: EmVrfy. Between lies the core's own answer:
 * 252 to VRFY, the same for everybody, and 502 to EXPN.
 *
 * before: continue -> the core's answer; handled -> 250, or the reply given; reject, defer -> that reply; disconnect ->
 * and closed. */
#define EM_SMTPVRFY 0x400A

/** RSET: the client drops the transaction. Struct: EmRset. Between lies the dropping of it, if there is one.
 *
 * before: continue -> 250; reject, defer -> that reply, and the transaction stays; disconnect -> and closed;
 * handled -> fault. */
#define EM_SMTPRSET 0x400B

/** QUIT: the client leaves. Struct: EmQuit. Between lies the 221. The connection is closed behind the reply, whatever the
 * verdict; EM_SMTPDISCONNECT follows. Not called for a client that was rejected at EM_SMTPCONNECT.
 *
 * before: continue -> 221; reject, defer, disconnect -> that reply in the place of the 221; handled -> fault, as is any
 * other, and its reply is 421. */
#define EM_SMTPQUIT 0x400C

/** The client was silent for too long. Struct: EmTimeout. EM_BEFORE only: EMRegister answers ERR_EM_ILLEGALFLAGS to
 * EM_REG_AFTER. A message under way is dropped already; the connection is closed behind the reply, whatever the verdict;
 * EM_SMTPDISCONNECT follows.
 *
 * before: continue -> 421; reject, defer, disconnect -> that reply in the place of the 421; handled -> fault, as is any
 * other, and its reply is 421. */
#define EM_SMTPTIMEOUT 0x400D

/** A command that a plug-in claims by EmExtensionService.claim_verb. Struct: EmVerb. Nothing lies between: the claimant
 * carries it out. Every plug-in that registered is asked, so look at EmVerb.verb. One line and one reply: a reply that has
 * the client go on, 3yz, is ERR_MISC_INVALID_ARGS to EmEditsService.verdict, since what follows it would be no command.
 *
 * before: handled -> 250, or the reply given; reject, defer -> that reply; disconnect -> and closed; continue -> 502 when
 * nobody has answered. */
#define EM_SMTPVERB 0x400E

/** A session as its plug-ins see it. Opaque; for EmSessionService. Valid as long as the record it came with. */
typedef struct EmSession EmSession;

/** The sheet that one handler call writes its edits and its verdict to. Opaque; for EmEditsService. Valid as long as
 * the record it came with. */
typedef struct EmEdits EmEdits;

/** A message, or its header block alone. Opaque; for EmMessageService. Valid as long as the record it came with. */
typedef struct EmMessage EmMessage;

/** What every event struct starts with. */
typedef struct EmEvent {
    /** Size of the whole event struct in the host; members beyond it are not there. */
    uint32_t size;
    /** Zero. */
    uint32_t reserved;

    /** The session; behind the session the one that the message came in, as far as it was kept. NULL at EM_START, EM_CONFIG and
     * EM_STOP, which belong to none. */
    const struct EmSession *session;

    /** The sheet of this call; NULL where there is no session. */
    struct EmEdits *edits;
    /** EM_AFTER: the reply about to be sent, NULL when there is none. EM_BEFORE: NULL. */
    const struct EmReply *reply;
} EmEvent;

/** Arguments of EM_SMTPCONNECT. */
typedef struct EmConnect {
    /** What every event has. */
    struct EmEvent event;
    /** The client's address, exactly as inet_ntop prints it. */
    struct EmText remote_ip;
    /** The address it connected to. */
    struct EmText local_ip;
    /** The name of the listener in the configuration. */
    struct EmText listener;
    /** The client's port. */
    uint16_t remote_port;
    /** Our port. */
    uint16_t local_port;
    /** Zero. */
    uint32_t reserved;
} EmConnect;

/** Arguments of EM_SMTPCOMMAND. */
typedef struct EmCommand {
    /** What every event has. */
    struct EmEvent event;

    /** The octets of the line as received, or as an earlier handler replaced it, without its CRLF; EM_AFTER: as it was
     * carried out. Of AUTH the words behind the mechanism are `*`, but with EM_EDIT_CREDENTIALS at EM_BEFORE. */
    struct EmText line;
} EmCommand;

/** Arguments of EM_SMTPEHLO. */
typedef struct EmEhlo {
    /** What every event has. */
    struct EmEvent event;
    /** The name the client gives itself: a domain or an address literal. */
    struct EmText name;
    /** 1 for EHLO, 0 for HELO. */
    uint8_t extended;
    /** Zero. */
    uint8_t reserved[7];

    /** The keywords, one a line, lines separated by LF, each with its parameters. EM_BEFORE: those that would be announced,
     * with the edits of earlier handlers. EM_AFTER: those that are. Empty for HELO, and for a refused EHLO. */
    struct EmText keywords;
} EmEhlo;

/** Arguments of EM_SMTPSTARTTLS. */
typedef struct EmStartTls {
    /** What every event has. */
    struct EmEvent event;
} EmStartTls;

/** EmAuth.result: it is not decided (EM_BEFORE). */
#define EM_AUTH_OPEN 0

/** EmAuth.result: the client is logged in. */
#define EM_AUTH_ACCEPTED 1

/** EmAuth.result: it is not: wrong credentials, or a plug-in has said no. */
#define EM_AUTH_REFUSED 2

/** EmAuth.result: nobody could say, or a plug-in has said not now. */
#define EM_AUTH_UNAVAILABLE 3

/** EmAuth.result: the client gave it up, or did not keep to the mechanism. */
#define EM_AUTH_BROKEN 4

/** Arguments of EM_SMTPAUTH. */
typedef struct EmAuth {
    /** What every event has. */
    struct EmEvent event;
    /** The mechanism in capitals: `PLAIN`, `LOGIN`, `CRAM-MD5`, `SCRAM-SHA-256` or `SCRAM-SHA-256-PLUS`. Others may come. */
    struct EmText mechanism;
    /** Who the client says that it is, as SASLprep (RFC 4013) has it: no white space, 1 to 255 octets of UTF-8. */
    struct EmText identity;
    /** On whose behalf it wants to act, in the same form; empty: its own. The server itself lets nobody act for others. */
    struct EmText authorization;

    /** The password as octets, of PLAIN and LOGIN at EM_BEFORE, for a plug-in with EM_EDIT_CREDENTIALS; else data is NULL.
     * Not to be kept, logged or shown. */
    struct EmText password;

    /** EM_AUTH_...; take an unknown value for EM_AUTH_REFUSED. */
    uint32_t result;
    /** Zero. */
    uint32_t reserved;
} EmAuth;

/** Arguments of EM_SMTPMAIL. */
typedef struct EmMail {
    /** What every event has. */
    struct EmEvent event;
    /** The sender as received, or as an earlier handler replaced it, without angle brackets; empty for the null path. */
    struct EmText sender;
    /** The parameters as received, without the space before them; empty when there are none. */
    struct EmText parameters;
} EmMail;

/** Arguments of EM_SMTPRCPT. */
typedef struct EmRcpt {
    /** What every event has. */
    struct EmEvent event;
    /** The recipient as received, or as an earlier handler replaced it, without angle brackets. */
    struct EmText recipient;
    /** The parameters as received, without the space before them; empty when there are none. */
    struct EmText parameters;
} EmRcpt;

/** EmData.verb: DATA, the message ends with a dot. */
#define EM_DATA_DATA 0

/** EmData.verb: BDAT, the message comes in chunks of announced length. */
#define EM_DATA_BDAT 1

/** Arguments of EM_SMTPDATA. */
typedef struct EmData {
    /** What every event has. */
    struct EmEvent event;
    /** BDAT: octets of the first chunk. DATA: 0. */
    uint64_t chunk_octets;
    /** EM_DATA_DATA or EM_DATA_BDAT; take an unknown value for EM_DATA_DATA. */
    uint8_t verb;
    /** BDAT: 1 when the message ends with that chunk. */
    uint8_t last;
    /** Zero. */
    uint8_t reserved[6];
} EmData;

/** Arguments of EM_SMTPHEADERS. */
typedef struct EmHeaders {
    /** What every event has. */
    struct EmEvent event;
    /** For EmMessageService.header; its body is empty here. */
    const struct EmMessage *message;
} EmHeaders;

/** Arguments of EM_SMTPBODY. */
typedef struct EmBody {
    /** What every event has. */
    struct EmEvent event;

    /** Octets of the body, transparency dots removed: 32 to 64 KiB, of the last chunk 0 to 64 KiB. All chunks, one behind
     * the other, are the body as EmMessageService.body lends it before any edit: it begins with the empty line.
     * A chunk may end anywhere, in the middle of a word, of a line end or of a character. */
    struct EmText octets;

    /** How many octets of the body came before them. */
    uint64_t offset;
    /** 1 when they are the last of the message. */
    uint8_t last;
    /** Zero. */
    uint8_t reserved[7];
} EmBody;

/** Arguments of EM_SMTPMESSAGEACCEPT. */
typedef struct EmMessageAccept {
    /** What every event has. */
    struct EmEvent event;
    /** Octets of the message as received, transparency dots removed. */
    uint64_t octets;
    /** EM_BEFORE: the message, to be read. EM_AFTER: NULL. */
    const struct EmMessage *message;
} EmMessageAccept;

/** EmEtrn.kind: `ETRN node`, this host or domain. */
#define EM_ETRN_HOST 0

/** EmEtrn.kind: `ETRN @node`, the domain and everything below it. */
#define EM_ETRN_DOMAIN 1

/** EmEtrn.kind: `ETRN #node`, a queue of that name. */
#define EM_ETRN_QUEUE 2

/** Arguments of EM_SMTPETRN. */
typedef struct EmEtrn {
    /** What every event has. */
    struct EmEvent event;
    /** The node, without `@` or `#`. */
    struct EmText node;
    /** EM_ETRN_HOST, EM_ETRN_DOMAIN or EM_ETRN_QUEUE; take an unknown value for a node you do not serve. */
    uint8_t kind;
    /** Zero. */
    uint8_t reserved[7];
} EmEtrn;

/** Arguments of EM_SMTPATRN. */
typedef struct EmAtrn {
    /** What every event has. */
    struct EmEvent event;
    /** Whose mail the client wants, as received: domains, one a line, lines separated by LF; at most 100. Empty: all that is its. */
    struct EmText domains;
} EmAtrn;

/** EmVrfy.verb: VRFY, about a user or a mailbox. */
#define EM_VRFY_VRFY 0

/** EmVrfy.verb: EXPN, about a mailing list. */
#define EM_VRFY_EXPN 1

/** Arguments of EM_SMTPVRFY. */
typedef struct EmVrfy {
    /** What every event has. */
    struct EmEvent event;
    /** What the client asks about, as received; never empty. */
    struct EmText argument;
    /** EM_VRFY_VRFY or EM_VRFY_EXPN; answer ERR_EM_CONTINUE to an unknown one. */
    uint8_t verb;
    /** Zero. */
    uint8_t reserved[7];
} EmVrfy;

/** Arguments of EM_SMTPVERB. */
typedef struct EmVerb {
    /** What every event has. */
    struct EmEvent event;
    /** The verb, in capitals. */
    struct EmText verb;
    /** What follows the verb and a space, as received, without spaces at its end; may be empty. */
    struct EmText argument;
} EmVerb;

/** Arguments of EM_SMTPRSET. */
typedef struct EmRset {
    /** What every event has. */
    struct EmEvent event;
} EmRset;

/** Arguments of EM_SMTPQUIT. */
typedef struct EmQuit {
    /** What every event has. */
    struct EmEvent event;
} EmQuit;

/** EmTimeout.awaited: a command. */
#define EM_AWAITED_COMMAND 0

/** EmTimeout.awaited: the octets of a message. */
#define EM_AWAITED_MESSAGE 1

/** Arguments of EM_SMTPTIMEOUT. */
typedef struct EmTimeout {
    /** What every event has. */
    struct EmEvent event;
    /** What was waited for: EM_AWAITED_...; take an unknown value for EM_AWAITED_COMMAND. */
    uint32_t awaited;
    /** Zero. */
    uint32_t reserved;
} EmTimeout;

/** EmDisconnect.reason: the client said QUIT. */
#define EM_DISCONNECT_QUIT 0

/** EmDisconnect.reason: the client closed the connection, or it broke. */
#define EM_DISCONNECT_HANGUP 1

/** EmDisconnect.reason: the client was silent for too long. */
#define EM_DISCONNECT_TIMEOUT 2

/** EmDisconnect.reason: the server closed it: a limit, or a plug-in's verdict. */
#define EM_DISCONNECT_REFUSED 3

/** EmDisconnect.reason: the server is shutting down. */
#define EM_DISCONNECT_SHUTDOWN 4

/** EmDisconnect.reason: the TLS handshake failed. */
#define EM_DISCONNECT_HANDSHAKE 5

/** EmDisconnect.reason: the connection was reversed (EM_SMTPATRN), and what followed is over. */
#define EM_DISCONNECT_REVERSED 6

/** Arguments of EM_SMTPDISCONNECT. */
typedef struct EmDisconnect {
    /** What every event has. */
    struct EmEvent event;
    /** EM_DISCONNECT_...; take an unknown value for EM_DISCONNECT_REFUSED. */
    uint32_t reason;
    /** Zero. */
    uint32_t reserved;
} EmDisconnect;

/* ---- Events behind the session: a message is queued, finds its way, is delivered, comes back, grows too old. ---- */

/** A message is about to be queued. Struct: EmQueue. Between lies the commit. Called for messages that clients send, on the session's
 * thread and with its slot, after before(MESSAGEACCEPT) and every edit; for those of plug-ins where EM_REG_SUBMITTED asks for
 * them; not for notifications, which have EM_SMTPBOUNCE.
 *
 * before: continue -> it is stored and acknowledged once it is on disk; handled -> the plug-in has taken it over: it is
 * acknowledged, with the words given, and not stored; reject, defer, disconnect -> that reply, not stored, and the session goes on
 * (behind 421 it is closed). header_... and hold may be used.
 * after: called once it is on disk; what is said of it comes with after(MESSAGEACCEPT): reply is NULL. */
#define EM_SMTPQUEUE 0x4020

/** An attempt to deliver begins: where does it lead? Struct: EmRoute. Between lies the choice of servers or mailboxes. Called at each
 * attempt for each destination of a message, so also for mail whose route has changed meanwhile.
 *
 * before: continue -> as the configuration says, or as EmEditsService.route has said last; reject, disconnect with 5yz -> every
 * recipient of the attempt fails with that reply, and its sender is told; defer, disconnect with 4yz -> nothing is tried, and
 * that reply is the reason for the next attempt; handled -> fault, whose contract is `defer`. hold keeps the recipients until they
 * are released, discard drops them in silence.
 * after: EmRoute.next_hop is what was chosen. There is no reply. */
#define EM_SMTPROUTE 0x4021

/** An attempt to deliver is made. Struct: EmDeliver. Between lies the conversation with the server, or the writing into mailboxes.
 *
 * before: continue -> it is made; handled -> the plug-in has delivered the message to every recipient of the attempt, with the reply
 * given; reject, defer, disconnect, hold -> as at EM_SMTPROUTE.
 * after: called with what became of each recipient (EmDeliver.results), also when before has ended it. There is no reply. */
#define EM_SMTPDELIVER 0x4022

/** A sender is about to be told what became of a message (RFC 3461). Struct: EmBounce. Between lies the queueing of the notification.
 *
 * before: continue -> the notification is queued, with the header fields as header_... has left them; handled, reject,
 * disconnect with 5yz -> there is none, and the recipients are done with; defer, disconnect with 4yz -> nobody is told yet, and
 * the recipients are tried again. hold keeps the notification until it is released.
 * after: called when it is queued, with its id, or with none when nobody is told. There is no reply. */
#define EM_SMTPBOUNCE 0x4023

/** A message could not be delivered for so long that it is not tried any more. Struct: EmExpire. Between lies the giving up.
 *
 * before: continue -> the recipients fail, and the sender is told; defer, disconnect with 4yz -> it is tried again as its route
 * says, and this event comes again with the next attempt that fails; reject, disconnect with 5yz -> they fail with that reply;
 * handled -> they are done with and nobody is told. hold keeps them until they are released.
 * after: called whatever was decided. There is no reply. */
#define EM_SMTPEXPIRE 0x4024

/** Arguments of EM_SMTPQUEUE. */
typedef struct EmQueue {
    /** What every event has. */
    struct EmEvent event;
    /** The message's id in the queue. */
    struct EmText id;
    /** Octets of header block and body. */
    uint64_t octets;
    /** EM_BEFORE: the message, to be read. EM_AFTER: NULL. */
    const struct EmMessage *message;
} EmQueue;

/** Arguments of EM_SMTPROUTE. */
typedef struct EmRoute {
    /** What every event has. EM_FACT_RECIPIENTS are those of the attempt. */
    struct EmEvent event;
    /** The message's id in the queue. */
    struct EmText id;
    /** The domain or address literal that it is queued under, in lower case. */
    struct EmText destination;

    /** Where it leads: `mx`, `mx:DOMAIN`, `discard`, servers as `HOST:PORT` with a comma and a space between, `local:DOMAIN`
     * for mailboxes here, `fetched` where who gets it has come for it, `pushed` where a plug-in hands it over (EmOutboundService), or empty where the configuration leads nowhere. */
    struct EmText next_hop;

    /** Seconds since the message was taken over. */
    uint64_t age_s;
    /** How often it was tried before. */
    uint32_t attempts;
    /** Zero. */
    uint32_t reserved;
    /** For EmMessageService.header; its body is empty here. */
    const struct EmMessage *message;
} EmRoute;

/** EmRecipientResult.result: the mailbox or the next hop has it. */
#define EM_RESULT_DELIVERED 0

/** EmRecipientResult.result: it never will be delivered. */
#define EM_RESULT_FAILED 1

/** EmRecipientResult.result: it is tried again. */
#define EM_RESULT_DEFERRED 2

/** EmRecipientResult.result: a next hop has it that tells nothing of such things (EM_SMTPBOUNCE alone). */
#define EM_RESULT_RELAYED 3

/** EmRecipientResult.result: it is kept until it is released. */
#define EM_RESULT_HELD 4

/** EmRecipientResult.result: it is dropped in silence. */
#define EM_RESULT_DROPPED 5

/** What became of one recipient. Valid as long as the record it came with. */
typedef struct EmRecipientResult {
    /** The recipient's address. */
    struct EmText recipient;
    /** Why, in words: the server's name and reply, or what was found out here. One line. */
    struct EmText reason;
    /** EM_RESULT_...; take an unknown value for EM_RESULT_DEFERRED. */
    uint32_t result;
    /** The enhanced code (RFC 3463): its class. */
    uint8_t enhanced_class;
    /** Zero. */
    uint8_t reserved[3];
    /** Its subject. */
    uint16_t enhanced_subject;
    /** Its detail. */
    uint16_t enhanced_detail;
    /** Zero. */
    uint32_t reserved_2;
} EmRecipientResult;

/** Arguments of EM_SMTPDELIVER. */
typedef struct EmDeliver {
    /** What every event has. EM_FACT_RECIPIENTS are those of the attempt. */
    struct EmEvent event;
    /** The message's id in the queue. */
    struct EmText id;
    /** The domain or address literal that it is queued under, in lower case. */
    struct EmText destination;
    /** Where it leads, as in EmRoute. */
    struct EmText next_hop;
    /** EM_AFTER: what became of the recipients, in their order. EM_BEFORE: NULL. */
    const struct EmRecipientResult *results;
    /** How many. */
    uint32_t results_count;
    /** How often it was tried before. */
    uint32_t attempts;
    /** Seconds since the message was taken over. */
    uint64_t age_s;
    /** For EmMessageService.header; its body is empty here. */
    const struct EmMessage *message;
} EmDeliver;

/** Arguments of EM_SMTPBOUNCE. */
typedef struct EmBounce {
    /** What every event has: the session that the message came in. */
    struct EmEvent event;
    /** The id in the queue of the message that the sender is told of. */
    struct EmText id;
    /** EM_AFTER: the id of the notification, empty when there is none. EM_BEFORE: empty. */
    struct EmText notification;
    /** Who is told: the sender, or the postmaster for a message without one. */
    struct EmText to;
    /** What is told, of each recipient that it concerns. */
    const struct EmRecipientResult *results;
    /** How many. */
    uint32_t results_count;
    /** Zero. */
    uint32_t reserved;
    /** The header block of the message that the sender is told of; its body is empty here. */
    const struct EmMessage *message;
} EmBounce;

/** Arguments of EM_SMTPEXPIRE. */
typedef struct EmExpire {
    /** What every event has. EM_FACT_RECIPIENTS are those of the attempt. */
    struct EmEvent event;
    /** The message's id in the queue. */
    struct EmText id;
    /** The domain or address literal that it is queued under, in lower case. */
    struct EmText destination;
    /** Seconds since the message was taken over. */
    uint64_t age_s;
    /** How often it was tried, this attempt included. */
    uint32_t attempts;
    /** Zero. */
    uint32_t reserved;
    /** For EmMessageService.header; its body is empty here. */
    const struct EmMessage *message;
} EmExpire;

/* ---- The descriptor: what a plug-in says of itself in its file, read before any of its code runs. ---- */

/** The first eight octets of a descriptor: "STAGEPST". */
#define EM_DESCRIPTOR_MAGIC {'S', 'T', 'A', 'G', 'E', 'P', 'S', 'T'}

/** EmDescriptor.plugin_class: handlers may block; they are called on threads kept for that. */
#define EM_CLASS_BLOCKING 0

/** EmDescriptor.plugin_class: handlers promise never to block (no file, no network, no lock held for long); they may be
 * called in line, in nanoseconds. */
#define EM_CLASS_INLINE 1

/** EmDescriptor.language: C, or anything that keeps to the C contract by itself. */
#define EM_LANGUAGE_C 0

/** EmDescriptor.language: Rust by stagepost-sdk, which has its layouts compared while it is loaded. */
#define EM_LANGUAGE_RUST 1

/** EmDescriptor.stages: EM_SMTPCONNECT. */
#define EM_STAGE_CONNECT 0x0001ULL
/** EmDescriptor.stages: EM_SMTPCOMMAND. */
#define EM_STAGE_COMMAND 0x0002ULL
/** EmDescriptor.stages: EM_SMTPEHLO. */
#define EM_STAGE_EHLO 0x0004ULL
/** EmDescriptor.stages: EM_SMTPMAIL. */
#define EM_STAGE_MAIL 0x0008ULL
/** EmDescriptor.stages: EM_SMTPRCPT. */
#define EM_STAGE_RCPT 0x0010ULL
/** EmDescriptor.stages: EM_SMTPDATA. */
#define EM_STAGE_DATA 0x0020ULL
/** EmDescriptor.stages: EM_SMTPMESSAGEACCEPT. */
#define EM_STAGE_MESSAGEACCEPT 0x0040ULL
/** EmDescriptor.stages: EM_SMTPETRN. */
#define EM_STAGE_ETRN 0x0080ULL
/** EmDescriptor.stages: EM_SMTPDISCONNECT. */
#define EM_STAGE_DISCONNECT 0x0100ULL
/** EmDescriptor.stages: EM_SMTPHEADERS. */
#define EM_STAGE_HEADERS 0x0200ULL
/** EmDescriptor.stages: EM_SMTPBODY. */
#define EM_STAGE_BODY 0x0400ULL
/** EmDescriptor.stages: EM_SMTPVRFY. */
#define EM_STAGE_VRFY 0x0800ULL
/** EmDescriptor.stages: EM_SMTPRSET. */
#define EM_STAGE_RSET 0x1000ULL
/** EmDescriptor.stages: EM_SMTPQUIT. */
#define EM_STAGE_QUIT 0x2000ULL
/** EmDescriptor.stages: EM_SMTPVERB, and claims of verbs. */
#define EM_STAGE_VERB 0x8000ULL
/** EmDescriptor.stages: EM_SMTPTIMEOUT. */
#define EM_STAGE_TIMEOUT 0x4000ULL
/** EmDescriptor.stages: EM_SMTPSTARTTLS. */
#define EM_STAGE_STARTTLS 0x00010000ULL
/** EmDescriptor.stages: EM_SMTPAUTH. */
#define EM_STAGE_AUTH 0x00020000ULL
/** EmDescriptor.stages: EM_SMTPATRN. */
#define EM_STAGE_ATRN 0x00040000ULL
/** EmDescriptor.stages: EM_SMTPQUEUE. */
#define EM_STAGE_QUEUE 0x00100000ULL
/** EmDescriptor.stages: EM_SMTPROUTE. */
#define EM_STAGE_ROUTE 0x00200000ULL
/** EmDescriptor.stages: EM_SMTPDELIVER. */
#define EM_STAGE_DELIVER 0x00400000ULL
/** EmDescriptor.stages: EM_SMTPBOUNCE. */
#define EM_STAGE_BOUNCE 0x00800000ULL
/** EmDescriptor.stages: EM_SMTPEXPIRE. */
#define EM_STAGE_EXPIRE 0x01000000ULL
/** EmDescriptor.stages: EM_START. */
#define EM_STAGE_START 0x10000000ULL
/** EmDescriptor.stages: EM_CONFIG. */
#define EM_STAGE_CONFIG 0x20000000ULL
/** EmDescriptor.stages: EM_STOP. */
#define EM_STAGE_STOP 0x40000000ULL

/** EmDescriptor.edits: verdicts other than continue (EmEditsService.verdict, and NOERROR from a handler). */
#define EM_EDIT_VERDICT 0x0001ULL
/** EmDescriptor.edits: EmEditsService.reply_text. */
#define EM_EDIT_REPLY_TEXT 0x0002ULL
/** EmDescriptor.edits: EmEditsService.attribute, grants included. */
#define EM_EDIT_ATTRIBUTE 0x0004ULL
/** EmDescriptor.edits: EmEditsService.header_add, header_insert, header_change and header_delete. */
#define EM_EDIT_HEADER 0x0008ULL
/** EmDescriptor.edits: EmEditsService.hold. */
#define EM_EDIT_HOLD 0x0010ULL
/** EmDescriptor.edits: EmEditsService.discard. */
#define EM_EDIT_DISCARD 0x0020ULL
/** EmDescriptor.edits: EmEditsService.sender. */
#define EM_EDIT_SENDER 0x0040ULL
/** EmDescriptor.edits: EmEditsService.recipient_add, recipient_remove and recipient_replace. */
#define EM_EDIT_RECIPIENT 0x0080ULL
/** EmDescriptor.edits: EmEditsService.body_prepend, body_append and body_replace. */
#define EM_EDIT_BODY 0x0100ULL
/** EmDescriptor.edits: EmEditsService.command_replace. */
#define EM_EDIT_COMMAND 0x0200ULL
/** Mark the message with tags. */
#define EM_EDIT_TAG 0x0400ULL
/** EmDescriptor.edits: EmEditsService.keyword_add and keyword_remove, and claims of keywords. */
#define EM_EDIT_KEYWORD 0x0800ULL
/** Hold, release and flush queued mail (EmQueueService), and have it fetched (EmEditsService.reverse). */
#define EM_EDIT_QUEUE 0x1000ULL
/** Make new messages (EmSubmitService). */
#define EM_EDIT_SUBMIT 0x2000ULL
/** EmDescriptor.edits: EmEditsService.reply_change. */
#define EM_EDIT_REPLY_CODE 0x4000ULL
/** See the credentials of clients that log in, and log them in (EmAuth.password, EmCommand.line, EmEditsService.identity). */
#define EM_EDIT_CREDENTIALS 0x8000ULL
/** EmDescriptor.edits: EmEditsService.route. */
#define EM_EDIT_ROUTE 0x00010000ULL
/** Talk to other servers (EmOutboundService). */
#define EM_EDIT_OUTBOUND 0x00020000ULL

/** What a plug-in says of itself. Lies in its own section of the file (`.stagepost` on ELF), exactly once, and is read
 * before the file is loaded. Write it with EM_DESCRIPTOR. */
typedef struct EmDescriptor {
    /** EM_DESCRIPTOR_MAGIC. */
    uint8_t magic[8];
    /** sizeof(EmDescriptor). */
    uint32_t size;
    /** EM_ABI_MAJOR of the header it was built with. */
    uint16_t abi_major;
    /** The least minor version that it needs of the host; 0 unless it uses something newer. */
    uint16_t abi_minor;
    /** EM_BASE_DIGEST of the header it was built with. */
    uint64_t base_digest;
    /** EM_STAGE_...: what it may register for. */
    uint64_t stages;
    /** EM_EDIT_...: what it may change. */
    uint64_t edits;
    /** EM_CLASS_BLOCKING or EM_CLASS_INLINE. */
    uint32_t plugin_class;
    /** EM_LANGUAGE_C or EM_LANGUAGE_RUST. */
    uint32_t language;
    /** Its name: 1 to 63 octets of a-z, 0-9, '-' and '_', then zeros. */
    uint8_t name[64];
    /** Its version: 1 to 31 printable ASCII octets, then zeros. */
    uint8_t version[32];
    /** Zero. */
    uint64_t reserved[4];
} EmDescriptor;

/* ---- The base table: registration and the way to everything else. From 1.0 on it is frozen. ---- */

/** Version of this contract: the host refuses a plug-in of another major. 0 = the base may still change. */
#define EM_ABI_MAJOR 0

/** Minor version of this contract: grows with every addition. */
#define EM_ABI_MINOR 1

/** EMRegister flag: call the handler before the core acts. */
#define EM_REG_BEFORE 0x0001

/** EMRegister flag: call the handler after the core has acted. */
#define EM_REG_AFTER 0x0002

/** EMRegister flag, beside the others: call the handler for messages that plug-ins make (EmSubmitService), too. At
 * EM_SMTPHEADERS, EM_SMTPBODY and EM_SMTPMESSAGEACCEPT. */
#define EM_REG_SUBMITTED 0x0004

/** Names a registration for EMDeregister; 0 names none. */
typedef uint32_t HEMREGISTRATION;

/** The host as one plug-in sees it. Opaque; each plug-in has its own, valid until the process ends. */
typedef struct EmHost EmHost;

/** The base table, given to em_entry and valid until the process ends. */
typedef struct EmBase {
    /** sizeof(EmBase) of the host. */
    uint32_t size;
    /** EM_ABI_MAJOR of the host. */
    uint16_t abi_major;
    /** EM_ABI_MINOR of the host. */
    uint16_t abi_minor;

    /** Registers a handler for one event.
     *
     * - host: as given to em_entry.
     * - event: EM_SMTPCONNECT and so on; the descriptor must declare its stage.
     * - flags: EM_REG_BEFORE, EM_REG_AFTER or both (the handler is then called twice); and EM_REG_SUBMITTED.
     * - handler: never NULL.
     * - user_data: comes back as EMRECORD.UserData; may be NULL. The plug-in keeps it alive until release.
     * - release: called with user_data when no session can reach the registration any more; may be NULL.
     *   It is not called when EMRegister fails.
     * - recursion_id: 0, or one from EMCreateRecursionID: the handler is then not called for what a handler with the same id
     *   caused, however long the chain between them is, and on whatever thread. See EmSubmitService, whose messages are
     *   what a handler can cause. Ids are the server's: plug-ins that share one skip what the others caused.
     * - registration: receives the handle on success; may be NULL.
     *
     * Returns NOERROR, ERR_EM_ILLEGAL, ERR_EM_ILLEGALFLAGS (none, unknown, or after or submitted where there is none),
     * ERR_EM_NOTAUTHORIZED (not declared), ERR_EM_TOOMANYADDINS (more than 256), ERR_MISC_INVALID_ARGS (NULL handler or host, or
     * an id that nobody has made), EM_ERR_STAGE (outside em_entry).
     *
     * [main-thread & loading] */
    STATUS (*EMRegister)(struct EmHost *host,
                         EID event,
                         uint32_t flags,
                         EMHANDLER handler,
                         void *user_data,
                         EmRelease release,
                         uint16_t recursion_id,
                         HEMREGISTRATION *registration);

    /** Ends a registration: sessions that begin later no longer see it, those under way still do.
     *
     * Returns NOERROR, ERR_NOT_FOUND when it is not a registration of this plug-in, or ERR_MISC_INVALID_ARGS (NULL). Nobody
     * needs to call it: the host ends all registrations when it stops. [any-thread] */
    STATUS (*EMDeregister)(struct EmHost *host, HEMREGISTRATION registration);

    /** Makes an id for EMRegister; it is never given back.
     *
     * Returns NOERROR, ERR_MISC_INVALID_ARGS (NULL), or EM_ERR_LIMIT: 256 for each plug-in. [any-thread] */
    STATUS (*EMCreateRecursionID)(struct EmHost *host, uint16_t *recursion_id);

    /** Finds a service table by its id, for example EM_LOG_ID.
     *
     * Returns the table, valid until the process ends, or NULL when this host has no such service: test for it.
     * Tables only grow; read `size` before you use a member that a later minor version added. [any-thread] */
    const void *(*service)(struct EmHost *host, struct EmText id);

    /** NULL. */
    const void *reserved[4];
} EmBase;

/** Entry point: the one symbol that a plug-in exports. The plug-in defines it, the host calls it once.
 *
 * - base: the base table, valid until the process ends.
 * - host: this plug-in's own handle, for every call of the tables.
 *
 * Returns NOERROR when the plug-in is ready; anything else refuses it, and what it registered is taken back. One plug-in is
 * entered after the other, each on any thread; one that has not returned after the operator's
 * start_deadline_ms, 300 s by default, is refused, as by EM_START.
 *
 * [main-thread & loading] */
typedef STATUS (*EmEntry)(const struct EmBase *base, struct EmHost *host);

/* ---- Events of a plug-in's own life: it starts, its configuration changes, it stops. Registered for as any event is. ---- */

/** The server starts. Struct: EmStart. Between before and after the server opens its listeners.
 *
 * before: every plug-in is loaded and nobody is served yet; called once, plug-in by plug-in in the order of the chains.
 * ERR_EM_CONTINUE -> it starts; anything else -> the plug-in refuses to: as when it can't be loaded, the server does not
 * start, or starts without it (on_load_error). Log why.
 * after: the listeners are open; the return value changes nothing.
 * It may block, whatever the plug-in's class; while it does, the log names the plug-in. before that has not returned in the
 * operator's start_deadline_ms, 300 seconds by default, refuses, and the call goes on. [any-thread] */
#define EM_START 0x4040

/** The operator reloads the configuration. Struct: EmConfig. Between before and after the new section of the plug-in takes
 * the place of the old one. Called when the section is the same too: a plug-in that has files of its own reads them again.
 *
 * before: look at the new section by EmConfig.section; the old one is in force, and may stay so: keep nothing of the new
 * one. ERR_EM_CONTINUE -> it will do; anything else -> it will not: nothing changes, for no plug-in. Log why.
 * after: the new section is in force; take it over. The return value changes nothing.
 * Calls of one plug-in follow each other: while one is out, also beyond the 30 seconds that the server waits for it, a
 * reload that would make another is refused.
 * A plug-in that has not registered before(EM_CONFIG) keeps its section until the server starts again.
 * It may block, whatever the plug-in's class; handlers run meanwhile. [any-thread] */
#define EM_CONFIG 0x4041

/** The server stops: sessions and deliveries are over, as far as they could be waited for. Struct: EmStop. Before only.
 *
 * Called once, for each plug-in whose before(EM_START) did not refuse; write down what must outlive the process. The
 * return value changes nothing. Plug-ins are told at the same time; the process ends when all have returned, or the
 * deadline is over.
 * It may block, whatever the plug-in's class. A handler whose call has not returned may still run. [any-thread] */
#define EM_STOP 0x4042

/** Arguments of EM_START. */
typedef struct EmStart {
    /** What every event has. */
    struct EmEvent event;
} EmStart;

/** Arguments of EM_CONFIG. */
typedef struct EmConfig {
    /** What every event has. */
    struct EmEvent event;

    /** The new section: for the functions of EmConfigService alone, in the place of the host. Valid until the handler
     * returns; text that it hands out is valid until the process ends. */
    struct EmHost *section;
} EmConfig;

/** Arguments of EM_STOP. */
typedef struct EmStop {
    /** What every event has. */
    struct EmEvent event;
    /** How long the server waits. */
    uint32_t deadline_ms;
    /** Zero. */
    uint32_t reserved;
} EmStop;

/* ---- The log service. ---- */

/** Id of EmLogService. */
#define EM_LOG_ID "em.log/1"

/** EmLogService level: something failed that an operator must see. */
#define EM_LOG_ERROR 1
/** EmLogService level: something is odd. */
#define EM_LOG_WARN 2
/** EmLogService level: something worth knowing happened. */
#define EM_LOG_INFO 3
/** EmLogService level: for whoever looks for a fault. */
#define EM_LOG_DEBUG 4
/** EmLogService level: everything. */
#define EM_LOG_TRACE 5

/** Writes to the host's log, marked with the plug-in's name. */
typedef struct EmLogService {
    /** sizeof(EmLogService) of the host. */
    uint32_t size;
    /** Zero. */
    uint32_t reserved;

    /** Writes one line.
     *
     * - session: the line then carries the session's id; NULL when it belongs to none.
     * - level: EM_LOG_ERROR to EM_LOG_TRACE.
     * - message: copied; what would steer a terminal, controls and what turns the direction of writing, is shown escaped, and
     *   what is no UTF-8 as U+FFFD; cut after 4,096 octets.
     *
     * Returns NOERROR, or ERR_MISC_INVALID_ARGS for a NULL host, an unknown level, or a NULL with a length. [any-thread] */
    STATUS (*write)(struct EmHost *host,
                    const struct EmSession *session,
                    uint32_t level,
                    struct EmText message);

    /** Tells whether a line of this level would be written: 1 or 0. [any-thread] */
    uint8_t (*enabled)(struct EmHost *host, uint32_t level);
} EmLogService;

/* ---- The configuration service. ---- */

/** Id of EmConfigService. */
#define EM_CONFIG_ID "em.config/1"

/** Where a value stands in the configuration file, for error messages. */
typedef struct EmPlace {
    /** The file's path as the operator gave it; valid until the process ends. */
    struct EmText file;
    /** Line, from 1. */
    uint32_t line;
    /** Column, from 1. */
    uint32_t column;
} EmPlace;

/** Reads the plug-in's own section, `[plugin.config]`. A key is a name, or names joined by dots for tables inside the
 * section. Text handed out is valid until the process ends. All functions write their output only on success and return
 * NOERROR, ERR_NOT_FOUND (no such key), EM_ERR_TYPE (a value of another type) or ERR_MISC_INVALID_ARGS (a NULL). */
typedef struct EmConfigService {
    /** sizeof(EmConfigService) of the host. */
    uint32_t size;
    /** Zero. */
    uint32_t reserved;
    /** Reads a string. [any-thread] */
    STATUS (*text)(struct EmHost *host, struct EmText key, struct EmText *value);
    /** Reads an integer. [any-thread] */
    STATUS (*integer)(struct EmHost *host, struct EmText key, int64_t *value);
    /** Reads a boolean: 1 or 0. [any-thread] */
    STATUS (*boolean)(struct EmHost *host, struct EmText key, uint8_t *value);
    /** Reads any value as JSON text; the empty key means the whole section, `{}` when there is none. [any-thread] */
    STATUS (*json)(struct EmHost *host, struct EmText key, struct EmText *value);
    /** Tells where a value stands. [any-thread] */
    STATUS (*place)(struct EmHost *host, struct EmText key, struct EmPlace *place);

    /** Tells where the plug-in's own file is, as the configuration names it: an absolute path, for what comes beside it.
     * The code that runs is that of a private copy elsewhere. EM_ERR_TYPE for a path that is not UTF-8, and
     * ERR_MISC_INVALID_ARGS for a section (EmConfig.section). [any-thread] */
    STATUS (*own_file)(struct EmHost *host, struct EmText *path);
} EmConfigService;

/* ---- The session service: facts, attributes and the plug-in's slots. ---- */

/** Id of EmSessionService. */
#define EM_SESSION_ID "em.session/1"

/** Fact, number: the session's id, the same as in the log. */
#define EM_FACT_ID 1
/** Fact, text: the client's address, exactly as inet_ntop prints it. */
#define EM_FACT_REMOTE_IP 2
/** Fact, number: the client's port. */
#define EM_FACT_REMOTE_PORT 3
/** Fact, text: the address the client connected to. */
#define EM_FACT_LOCAL_IP 4
/** Fact, number: the port the client connected to. */
#define EM_FACT_LOCAL_PORT 5
/** Fact, text: the name of the listener in the configuration. */
#define EM_FACT_LISTENER 6
/** Fact, text: the accepted HELO or EHLO name. */
#define EM_FACT_HELO 7
/** Fact, number: 1 when the client said EHLO, 0 when HELO. */
#define EM_FACT_EXTENDED 8
/** Fact, text: the sender of the open transaction, empty for the null path. */
#define EM_FACT_SENDER 9
/** Fact, number: how many recipients the open transaction has. */
#define EM_FACT_RECIPIENTS 10
/** Fact, number: how many tags the open transaction has. */
#define EM_FACT_TAGS 11
/** Fact, number: 1 when the connection is protected by TLS, 0 when it is in clear text. */
#define EM_FACT_TLS 12
/** Fact, text: the version of TLS, such as `TLSv1.3`; not known in clear text, as the ones below. */
#define EM_FACT_TLS_VERSION 13
/** Fact, text: the cipher suite by its IANA name. */
#define EM_FACT_TLS_CIPHER 14
/** Fact, text: the server name that the client asked for (SNI), in lower case; not known when it asked for none. */
#define EM_FACT_TLS_SERVER_NAME 15
/** Fact, text: the subject of the certificate that the client has shown, as RFC 4514 writes it; not known when it has shown
 * none. The client writes what it likes there, and nobody was asked to vouch for it. */
#define EM_FACT_TLS_CLIENT_SUBJECT 16
/** Fact, text: the SHA-256 digest of that certificate, 64 small hexadecimal digits. The client has proved that it has the key
 * of it, so a digest that is known names the client. */
#define EM_FACT_TLS_CLIENT_SHA256 17
/** Fact, text: the client's host name as a trusted proxy has told it (XCLIENT); the server looks none up itself. */
#define EM_FACT_REMOTE_NAME 18
/** Fact, text: the address that the connection came from, when a trusted proxy has told who its client is (PROXY protocol or
 * XCLIENT); not known when the client has connected itself, as the next. */
#define EM_FACT_PROXY_IP 19
/** Fact, number: the port that the connection came from then. */
#define EM_FACT_PROXY_PORT 20

/** Fact, number: 1 when the client has logged in, 0 when not. */
#define EM_FACT_AUTHENTICATED 21
/** Fact, text: the name of the user who has logged in; not known before, as the one below. */
#define EM_FACT_IDENTITY 22
/** Fact, text: the mechanism by which they have, as EmAuth.mechanism has it; `XCLIENT` where a trusted proxy has told that they have. */
#define EM_FACT_MECHANISM 23

/** Attribute: "1" lets this session relay to any destination. The core sets it for clients that log in where the listener's
 * configuration says so, unless it is set already. */
#define EM_ATTRIBUTE_RELAY_GRANTED "relay_granted"
/** Attribute: "1" when a plug-in takes the client for a possible relay. */
#define EM_ATTRIBUTE_POSSIBLE_RELAY "possible_relay"
/** Attribute: "1" asks later plug-ins to skip their deny lists for this session. */
#define EM_ATTRIBUTE_SKIP_LISTS "skip_lists"

/** Reads what is known of a session. Text handed out is valid as long as the record that the session came with. All
 * functions write their output only on success and return NOERROR, ERR_NOT_FOUND (not known now, or no such fact),
 * EM_ERR_TYPE (a number asked for as text, or the reverse) or ERR_MISC_INVALID_ARGS (a NULL). */
typedef struct EmSessionService {
    /** sizeof(EmSessionService) of the host. */
    uint32_t size;
    /** Zero. */
    uint32_t reserved;
    /** Reads a fact that is text. [session-thread & in-handler] */
    STATUS (*text)(const struct EmSession *session, uint32_t fact, struct EmText *value);
    /** Reads a fact that is a number. [session-thread & in-handler] */
    STATUS (*number)(const struct EmSession *session, uint32_t fact, uint64_t *value);
    /** Reads an accepted recipient of the open transaction, counted from 0. [session-thread & in-handler] */
    STATUS (*recipient)(const struct EmSession *session, uint64_t index, struct EmText *value);
    /** Reads an attribute; this call's own edits to it are not seen. [session-thread & in-handler] */
    STATUS (*attribute)(const struct EmSession *session, struct EmText name, struct EmText *value);

    /** Reads the pointer that this plug-in keeps for this session; NULL until it was set.
     * [session-thread & in-handler] */
    STATUS (*slot)(const struct EmSession *session, void **value);

    /** Keeps a pointer for this session. `release` (may be NULL) is called with it when another one takes its place, or
     * after the session's last handler, before its registrations are released. [session-thread & in-handler] */
    STATUS (*slot_set)(const struct EmSession *session, void *value, EmRelease release);

    /** Reads a tag of the open transaction, counted from 0; this call's own edits are not seen.
     * [session-thread & in-handler] */
    STATUS (*tag)(const struct EmSession *session, uint64_t index, struct EmText *value);

    /** Reads the pointer that this plug-in keeps for the message of the open transaction; NULL until it was set. There is a
     * message from before(EM_SMTPMAIL) on, also of a MAIL that is refused, until the reply that ends its transaction is
     * sent: after(EM_SMTPMESSAGEACCEPT) has it still, after(EM_SMTPRSET) not any more. Else ERR_NOT_FOUND.
     * [session-thread & in-handler] */
    STATUS (*message_slot)(const struct EmSession *session, void **value);

    /** Keeps a pointer for that message. `release` (may be NULL) is called with it when another one takes its place, or when
     * the transaction is over and no call about it is out any more, before the session's slots are released. Else
     * ERR_NOT_FOUND, as above, and nothing is kept. [session-thread & in-handler] */
    STATUS (*message_slot_set)(const struct EmSession *session, void *value, EmRelease release);
} EmSessionService;

/* ---- The edits service: how a handler changes things and gives a verdict. ---- */

/** Id of EmEditsService. */
#define EM_EDITS_ID "em.edits/2"

/** Verdict: handled. Code 2yz, or 0 for the core's own words. At EM_SMTPAUTH 235 alone; nowhere else 235, 220 or 221, by
 * which clients know that they are logged in, or what becomes of the connection: another is a fault. */
#define EM_VERDICT_HANDLED 1
/** Verdict: refuse for good. Code 5yz. */
#define EM_VERDICT_REJECT 2
/** Verdict: refuse for now. Code 4yz. */
#define EM_VERDICT_DEFER 3
/** Verdict: send the reply and close the connection. Code 4yz or 5yz. */
#define EM_VERDICT_DISCONNECT 4

/** Writes to the sheet of one handler call. Nothing happens while the handler runs: the host reads the sheet when it
 * returns. Later handlers see the edits of earlier ones. All text is copied.
 *
 * Every function returns NOERROR, ERR_EM_NOTAUTHORIZED (the descriptor does not declare the edit), EM_ERR_STAGE (not at
 * this event or stage), EM_ERR_LIMIT (at most 256 edits and 1 MiB in one call, text for the body not counted), or
 * ERR_MISC_INVALID_ARGS; it has then changed nothing.
 *
 * One transaction keeps at most 1,024 edits, attributes not counted, and 1 MiB of their text, of all plug-ins together:
 * the command beyond is answered 452, and its edits are dropped. */
typedef struct EmEditsService {
    /** sizeof(EmEditsService) of the host. */
    uint32_t size;
    /** Zero. */
    uint32_t reserved;

    /** Gives the verdict that counts when the handler returns EM_VERDICT. EM_BEFORE only, not at EM_SMTPDISCONNECT; the
     * last one given counts.
     * Do not return what this function returns: EMHANDLER tells why.
     *
     * - verdict: EM_VERDICT_...
     * - code: as the verdict says, else ERR_MISC_INVALID_ARGS.
     * - enhanced: "5.7.1" or the like, of the code's class; empty for none.
     * - text: printable ASCII, lines separated by LF, at most 64 lines and 4,096 octets; empty for the core's own words.
     *
     * [session-thread & in-handler] */
    STATUS (*verdict)(struct EmEdits *edits,
                      uint32_t verdict,
                      uint16_t code,
                      struct EmText enhanced,
                      struct EmText text);

    /** Replaces the words of the reply; its code, and so its class, stays. Of a greeting and of the reply to HELO or EHLO
     * the server's name and the keywords stay too. EM_AFTER only, not at EM_SMTPDISCONNECT.
     *
     * - text: printable ASCII, lines separated by LF, at most 64 lines and 4,096 octets.
     *
     * [session-thread & in-handler] */
    STATUS (*reply_text)(struct EmEdits *edits, struct EmText text);

    /** Sets an attribute of the session, for every later handler and, for a grant, for the core. At every event but
     * EM_SMTPDISCONNECT.
     *
     * - name: 1 to 64 octets of a-z, 0-9, '_', '-', '.'; a session keeps at most 64 attributes, else EM_ERR_LIMIT.
     * - value: at most 1,024 octets of UTF-8 without NUL.
     *
     * [session-thread & in-handler] */
    STATUS (*attribute)(struct EmEdits *edits, struct EmText name, struct EmText value);

    /** Adds a header field at the end of the header block. EM_BEFORE of EM_SMTPMAIL, EM_SMTPRCPT, EM_SMTPDATA,
     * EM_SMTPHEADERS, EM_SMTPBODY, EM_SMTPMESSAGEACCEPT and EM_SMTPQUEUE, and of EM_SMTPBOUNCE for the notification; the edits of
     * a MAIL or RCPT that is refused, and of a RCPT whose recipient is known already, are dropped.
     *
     * - name: 1 to 76 printable ASCII octets without ':' and space (RFC 5322 section 2.2).
     * - value: octets without NUL; a line break is CRLF followed by space or tab, the last CRLF is left out; no line
     *   over 998 octets.
     *
     * [session-thread & in-handler] */
    STATUS (*header_add)(struct EmEdits *edits, struct EmText name, struct EmText value);

    /** Keeps the message in the queue, undelivered, until an operator releases it: the whole message, for all its
     * recipients, also when asked for at one of them. When as header_add, and at EM_SMTPROUTE, EM_SMTPDELIVER and EM_SMTPEXPIRE,
     * for the recipients of the attempt. The chain goes on.
     *
     * - reason: for the operator, 1 to 256 printable ASCII octets.
     *
     * [session-thread & in-handler] */
    STATUS (*hold)(struct EmEdits *edits, struct EmText reason);

    /** Lets the message be acknowledged and dropped: the whole message, for all its recipients, also when asked for at
     * one of them. When as header_add but for EM_SMTPQUEUE and EM_SMTPBOUNCE, and at EM_SMTPROUTE, for the recipients of the attempt.
     * The chain goes on.
     *
     * [session-thread & in-handler] */
    STATUS (*discard)(struct EmEdits *edits);

    /** Puts a header field before the field at a position. When as header_add; what is asked for before the message is
     * there is done, in the order of the edits, when it is.
     *
     * - position: how many fields come before it, 0 for the top; more than there are mean the end. The server's own
     *   trace fields are put above all of them later.
     * - name, value: as in header_add.
     *
     * [session-thread & in-handler] */
    STATUS (*header_insert)(struct EmEdits *edits, uint32_t position, struct EmText name, struct EmText value);

    /** Replaces the body of a header field; its name keeps its spelling. Nothing happens when there is no such field.
     * When as header_insert.
     *
     * - name: as in header_add, in any case.
     * - index: which of the fields of that name, from 1; 0 is ERR_MISC_INVALID_ARGS.
     * - value: as in header_add.
     *
     * [session-thread & in-handler] */
    STATUS (*header_change)(struct EmEdits *edits, struct EmText name, uint32_t index, struct EmText value);

    /** Takes a header field out, with its continuation lines. Nothing happens when there is no such field. When as
     * header_insert.
     *
     * - name, index: as in header_change.
     *
     * [session-thread & in-handler] */
    STATUS (*header_delete)(struct EmEdits *edits, struct EmText name, uint32_t index);

    /** Replaces the sender. EM_BEFORE of EM_SMTPMAIL, EM_SMTPHEADERS and EM_SMTPMESSAGEACCEPT. Later handlers of the same MAIL see it as
     * EmMail.sender, all others as EM_FACT_SENDER.
     *
     * - path: as MAIL takes it, without angle brackets; empty for the null path.
     * - parameters: as MAIL takes them, in the place of all those received; empty: those received stay.
     *
     * [session-thread & in-handler] */
    STATUS (*sender)(struct EmEdits *edits, struct EmText path, struct EmText parameters);

    /** Adds a recipient; one who is there already stays as they are. EM_BEFORE of EM_SMTPRCPT, EM_SMTPDATA, EM_SMTPHEADERS
     * and EM_SMTPMESSAGEACCEPT.
     *
     * The recipient needs a route or a grant, as at EM_SMTPRCPT; a grant made in the same chain counts. Without one the
     * plug-in is at fault, whatever its fault contract says: the command is answered 451, and none of the edits made at
     * it is carried out. What is added at a RCPT is dropped when the recipient in hand is refused. Whom the client names at a
     * later RCPT is the client's: the parameters are those of that RCPT, and nothing was added.
     *
     * - path: as RCPT takes it, without angle brackets.
     * - parameters: as RCPT takes them; may be empty.
     *
     * [session-thread & in-handler] */
    STATUS (*recipient_add)(struct EmEdits *edits, struct EmText path, struct EmText parameters);

    /** Removes a recipient; nothing happens when they are not there. EM_BEFORE of EM_SMTPDATA, EM_SMTPHEADERS and
     * EM_SMTPMESSAGEACCEPT.
     *
     * Who removes the last one is at fault as in recipient_add, unless the message is discarded: that is how to have a
     * message for nobody.
     *
     * - path: as in recipient_add; the case of the domain is no difference.
     *
     * [session-thread & in-handler] */
    STATUS (*recipient_remove)(struct EmEdits *edits, struct EmText path);

    /** Puts another recipient in the place of one. EM_BEFORE of EM_SMTPRCPT, EM_SMTPDATA, EM_SMTPHEADERS and
     * EM_SMTPMESSAGEACCEPT.
     *
     * At EM_SMTPRCPT it is the one in hand. Later handlers see the new one as EmRcpt.recipient; the route or grant that counts
     * is that of the new one, and without one the client is refused as for any recipient. At the other events it is one of
     * the transaction's; nothing happens when they are not there, and the new one needs a route or a grant as in
     * recipient_add. One who is a recipient already is kept once, as they are, and whoever they replace only goes; the same
     * when the client itself names them later.
     *
     * - replaced: at EM_SMTPRCPT empty; elsewhere who goes, as in recipient_remove.
     * - path: who comes, as in recipient_add.
     * - parameters: as RCPT takes them, in the place of all those there are; empty: those stay.
     *
     * [session-thread & in-handler] */
    STATUS (*recipient_replace)(struct EmEdits *edits,
                                struct EmText replaced,
                                struct EmText path,
                                struct EmText parameters);

    /** Puts another line in the place of the command line in hand. EM_BEFORE of EM_SMTPCOMMAND. Later handlers see it as
     * EmCommand.line, and the core parses it as it would have the one received; it is not shown to earlier ones again.
     *
     * Client and server must stay in step, so the handler is at fault when it replaces the line of DATA, BDAT, STARTTLS,
     * XCLIENT, AUTH or ATRN, or makes one; and when a line of MAIL, RCPT, RSET or QUIT gets another verb, or one of HELO and EHLO
     * a verb that is neither. A line longer than the server takes from clients is the plug-in's fault as in
     * recipient_add: 451.
     *
     * - line: printable ASCII, without CRLF.
     *
     * [session-thread & in-handler] */
    STATUS (*command_replace)(struct EmEdits *edits, struct EmText line);

    /** Marks the message for later handlers and for whoever looks at the queue, with which the tag is kept; one that is
     * there already stays. When as header_add but for EM_SMTPQUEUE and EM_SMTPBOUNCE; at a RCPT it is the whole message that is marked.
     *
     * - name: 1 to 64 octets of a-z, 0-9, '_', '-', '.'; a message has at most 64 tags, else EM_ERR_LIMIT.
     *
     * [session-thread & in-handler] */
    STATUS (*tag)(struct EmEdits *edits, struct EmText name);

    /** Adds octets to a text that is put before that of the body. EM_BEFORE of EM_SMTPMESSAGEACCEPT. All that one call
     * gives stands in the order in which it was given; later handlers read the body with it.
     *
     * What is written is text behind the empty line that ends the header block. That line is the host's: it stays, or
     * comes when there was none.
     *
     * - octets: any but NUL, and CR and LF only as CRLF, though a call may end between the two and the next go on there;
     *   others are ERR_MISC_INVALID_ARGS. A last line without CRLF gets one. Of a message that was sent with
     *   BODY=BINARYMIME (RFC 3030) any octets, to the letter. Give pieces of some KiB of a long text, not
     *   all of it: beyond 64 KiB it is kept in a file, which blocks shortly; a handler of class EM_CLASS_INLINE may do so.
     *
     * Returns EM_ERR_LIMIT when all handlers together would have written more than a message may have, texts that were
     * replaced not counted; EM_ERR_IO: the file could not be written. The call is at fault then, whatever it answers, unless its
     * verdict refuses the message: none of its edits counts. A piece that is refused otherwise changes nothing.
     *
     * [session-thread & in-handler] */
    STATUS (*body_prepend)(struct EmEdits *edits, struct EmText octets);

    /** Adds octets to a text that is put behind that of the body. When, octets and status as in body_prepend.
     *
     * [session-thread & in-handler] */
    STATUS (*body_append)(struct EmEdits *edits, struct EmText octets);

    /** Adds octets to a text that takes the place of all text there is, earlier handlers' included; what this call prepends
     * and appends stands around it. When, octets and status as in body_prepend. Empty octets begin it too: a body without
     * text is one.
     *
     * The body as EmMessageService reads it, from offset 2 on, is what this function would write to leave it as it is. It
     * can be read while the new one is written.
     *
     * [session-thread & in-handler] */
    STATUS (*body_replace)(struct EmEdits *edits, struct EmText octets);

    /** Announces an EHLO keyword in the reply in hand, or puts these parameters behind one that a plug-in announces already.
     * EM_BEFORE of EM_SMTPEHLO; nothing happens to HELO. What is announced must work: answer the verb at EM_SMTPCOMMAND,
     * or claim it (EmExtensionService). More keywords than one reply has room for, 63 and 3,072 octets, are the plug-in's
     * fault as in recipient_add: 451.
     *
     * - keyword: 1 to 64 letters, digits and '-', which is not first (RFC 5321 section 4.1.1.1); one that the server
     *   itself announces, or alone could, is EM_ERR_CLAIMED.
     * - parameters: words of printable ASCII, one space between two, at most 256 octets; empty for none.
     *
     * [session-thread & in-handler] */
    STATUS (*keyword_add)(struct EmEdits *edits, struct EmText keyword, struct EmText parameters);

    /** Leaves a keyword out of the reply to EHLO in hand, whoever announces it; nothing happens when it is not there. When
     * as keyword_add. Until the next EHLO the server refuses what it announced: the verb of its name (HELP, ETRN) with
     * 502, the parameter of its name (SIZE; BODY for 8BITMIME) with 555; without ENHANCEDSTATUSCODES replies have none.
     * Without PIPELINING, clients that pipeline all the same are still served.
     *
     * - keyword: in any case.
     *
     * [session-thread & in-handler] */
    STATUS (*keyword_remove)(struct EmEdits *edits, struct EmText keyword);

    /** Replaces the code of the reply within its class, and its words; what is left empty stays. EM_AFTER only, and where
     * there is a reply.
     *
     * - code: of the class of EmReply.code, else EM_ERR_CLASS; 0: that of the reply stays. 220, 221, 235, 3yz and 421 tell
     *   what becomes of the connection, and 250 to HELO or EHLO who answers: neither can they become others, nor others they;
     *   EM_ERR_CLASS too.
     * - enhanced: "5.1.1" or the like, of the same class, else ERR_MISC_INVALID_ARGS; a reply that has none gets none.
     * - text: as in reply_text.
     *
     * [session-thread & in-handler] */
    STATUS (*reply_change)(struct EmEdits *edits, uint16_t code, struct EmText enhanced, struct EmText text);

    /** Names the user whom the client is logged in as when this handler's answer is handled. EM_BEFORE of EM_SMTPAUTH, with
     * EM_EDIT_CREDENTIALS declared, else ERR_EM_NOTAUTHORIZED. The last one of a call counts; with another answer than handled it
     * changes nothing.
     *
     * - identity: 1 to 255 octets of UTF-8 without white space, in the form of SASLprep (RFC 4013).
     *
     * [session-thread & in-handler] */
    STATUS (*identity)(struct EmEdits *edits, struct EmText identity);

    /** Names the mail that is sent over the connection once it is reversed, when this handler's answer is handled. EM_BEFORE of
     * EM_SMTPATRN, with EM_EDIT_QUEUE declared, else ERR_EM_NOTAUTHORIZED. The last one of a call counts; with another answer than
     * handled it changes nothing.
     *
     * - destinations: as EmQueueService takes them, one a line, lines separated by LF; 1 to 1,000.
     *
     * [session-thread & in-handler] */
    STATUS (*reverse)(struct EmEdits *edits, struct EmText destinations);

    /** Says where mail leads in the place of the configuration, for this attempt. EM_BEFORE of EM_SMTPROUTE. Later handlers see it as
     * EmRoute.next_hop; the last one counts. What the route wants of TLS stays, its login does not go to other servers.
     *
     * - next_hop: as in the configuration: `HOST:PORT`, `mx`, `mx:DOMAIN` or `discard`; printable ASCII, at most 512 octets. One
     *   that can't be read is the plug-in's fault, and the attempt is put off.
     *
     * [message-thread & in-handler] */
    STATUS (*route)(struct EmEdits *edits, struct EmText next_hop);

    /** Refuses the message for one of its recipients. EM_BEFORE of EM_SMTPMESSAGEACCEPT, with EM_EDIT_VERDICT declared. The chain
     * goes on, and whatever ends it is for all recipients. Of several verdicts for one the strictest counts: reject, then
     * defer, then the first. Nothing happens when the recipient is not there.
     *
     * A client that has asked for it (PRDR) is told of each recipient, and the message goes on for the others. Any other
     * client gets one reply: the strictest, and the message is refused for all, unless the operator has it accepted for the
     * others (`split`).
     *
     * - path: as in recipient_remove.
     * - verdict: EM_VERDICT_REJECT or EM_VERDICT_DEFER.
     * - code, enhanced, text: as in verdict; not 421.
     *
     * [session-thread & in-handler] */
    STATUS (*recipient_verdict)(struct EmEdits *edits,
                                struct EmText path,
                                uint32_t verdict,
                                uint16_t code,
                                struct EmText enhanced,
                                struct EmText text);
} EmEditsService;

/* ---- The layout service: how a Rust plug-in has its view of the contract compared with the host's. ---- */

/** Id of EmLayoutService. */
#define EM_LAYOUT_ID "em.layout/1"

/** Compares layouts of the contract. Used by stagepost-sdk; C plug-ins have no need of it. */
typedef struct EmLayoutService {
    /** sizeof(EmLayoutService) of the host. */
    uint32_t size;
    /** Zero. */
    uint32_t reserved;

    /** Compares the plug-in's layout, a stagepost_layout::Offer, with the host's. A plug-in whose descriptor says
     * EM_LANGUAGE_RUST must do so before it registers anything.
     *
     * Returns NOERROR, EM_ERR_LAYOUT (the host has logged what differs) or ERR_MISC_INVALID_ARGS.
     * [main-thread & loading] */
    STATUS (*check)(struct EmHost *host, const void *offer);
} EmLayoutService;

/* ---- The message service: reading a message. ---- */

/** Id of EmMessageService. */
#define EM_MESSAGE_ID "em.message/1"

/** Reads the message of an event: all of it at EM_SMTPMESSAGEACCEPT and EM_SMTPQUEUE, the header block alone at EM_SMTPHEADERS and
 * behind the session. Octets are octets: any above 127 may come, and in the body of a message that was sent with BODY=BINARYMIME
 * (RFC 3030) NUL, bare CR and bare LF too. The header block and the whole body, one behind the other, are the message as it
 * would be stored now, without the server's own trace fields.
 *
 * Both functions write their output only on success and return NOERROR or ERR_MISC_INVALID_ARGS (a NULL). */
typedef struct EmMessageService {
    /** sizeof(EmMessageService) of the host. */
    uint32_t size;
    /** Zero. */
    uint32_t reserved;

    /** Reads the header block: whole lines, each ended by CRLF, without the empty line that ends the block. Edits of
     * earlier handlers and earlier events are in it, this call's own are not.
     *
     * - value: octets, valid as long as the record.
     *
     * [session-thread & in-handler] */
    STATUS (*header)(const struct EmMessage *message, struct EmText *value);

    /** Reads a piece of the body, which is what follows the header block and begins with the empty line between the two.
     * To read all of it, begin at 0 and go on behind each piece until one is empty.
     *
     * A body of up to 64 KiB is in memory and is lent from there. Of a larger one pieces are read from a file, which
     * blocks shortly; a handler of class EM_CLASS_INLINE may do so.
     *
     * - offset: where the piece begins, in octets from the beginning of the body.
     * - value: 1 to 65,536 octets, valid until the next call of this function and as long as the record; empty at
     *   the end of the body and behind it.
     *
     * Returns EM_ERR_IO too: the file could not be read.
     * [session-thread & in-handler] */
    STATUS (*body)(const struct EmMessage *message, uint64_t offset, struct EmText *value);
} EmMessageService;

/* ---- The metrics service: a plug-in's own counters, gauges and histograms. ---- */

/** Id of EmMetricsService. */
#define EM_METRICS_ID "em.metrics/1"

/** A metric of a plug-in. Opaque; valid until the process ends. */
typedef struct EmMetric EmMetric;

/** Counts what the plug-in has to tell, beside what the host counts of it. The operator reads it with the host's own
 * metrics, in the text format of Prometheus, as `plugin_NAME_METRIC`, where NAME is the plug-in's with `_` for `-`.
 *
 * A metric is made while em_entry runs and updated from any thread, without a lock. What makes one takes:
 *
 * - name: 1 to 64 octets of a-z, 0-9 and '_', the first a letter, the last no '_', no two '_' in a row; not ending in
 *   _total, _bucket, _sum, _count or _created, which the format adds by itself. Once a plug-in.
 * - help: what it tells, 1 to 256 octets without control characters.
 * - metric: receives the handle on success.
 *
 * and returns NOERROR, ERR_MISC_INVALID_ARGS, EM_ERR_LIMIT (more than 64 metrics), EM_ERR_STAGE (outside em_entry).
 * An update returns NOERROR, EM_ERR_TYPE (a metric of another kind) or ERR_MISC_INVALID_ARGS; it has then changed nothing. */
typedef struct EmMetricsService {
    /** sizeof(EmMetricsService) of the host. */
    uint32_t size;
    /** Zero. */
    uint32_t reserved;
    /** Makes a counter: it begins at 0 and only grows. [main-thread & loading] */
    STATUS (*counter)(struct EmHost *host, struct EmText name, struct EmText help, struct EmMetric **metric);
    /** Makes a gauge: it begins at 0 and goes up and down. [main-thread & loading] */
    STATUS (*gauge)(struct EmHost *host, struct EmText name, struct EmText help, struct EmMetric **metric);

    /** Makes a histogram.
     *
     * - bounds: the upper bounds of its buckets, finite and ascending, copied; one more bucket takes what is above them.
     * - bounds_count: 1 to 64.
     *
     * [main-thread & loading] */
    STATUS (*histogram)(struct EmHost *host,
                        struct EmText name,
                        struct EmText help,
                        const double *bounds,
                        uint64_t bounds_count,
                        struct EmMetric **metric);

    /** Adds to a counter or a gauge; to a counter nothing below 0. [any-thread] */
    STATUS (*add)(struct EmMetric *metric, int64_t amount);
    /** Sets a gauge. [any-thread] */
    STATUS (*set)(struct EmMetric *metric, int64_t value);
    /** Adds a value to a histogram; it must be finite. Time is best given in seconds. [any-thread] */
    STATUS (*observe)(struct EmMetric *metric, double value);
} EmMetricsService;

/* ---- The admin service: verbs of a plug-in that an operator calls. ---- */

/** Id of EmAdminService. */
#define EM_ADMIN_ID "em.admin/1"

/** One call of a verb. Opaque; valid until the verb's handler returns, on any thread. */
typedef struct EmAdminCall EmAdminCall;

/** A verb: does what an operator asks for.
 *
 * - call: to answer with.
 * - arguments: JSON of at most 1 MiB, `null` when the operator gave none; valid until the handler returns.
 * - user_data: as given to EmAdminService.verb.
 *
 * Returns NOERROR when it is done: the operator then sees what was answered, or `null`. Any other status is a failure: the
 * operator sees what EmAdminService.fail was given, or else the status, and the command fails.
 *
 * It may block, whatever the plug-in's class: it is called on a thread made for that, up to four verbs of a plug-in at
 * once and beside handlers. The operator waits for 30 seconds; a call that takes longer goes on unheard.
 * [any-thread] */
typedef STATUS (*EmAdminVerb)(struct EmAdminCall *call, struct EmText arguments, void *user_data);

/** Lets an operator call into the plug-in: `stagepost plugin call NAME VERB [JSON]`. */
typedef struct EmAdminService {
    /** sizeof(EmAdminService) of the host. */
    uint32_t size;
    /** Zero. */
    uint32_t reserved;

    /** Makes a verb.
     *
     * - name: 1 to 32 octets of a-z, 0-9 and '-', the first a letter. Once a plug-in.
     * - help: what it does and takes, 1 to 256 octets without control characters.
     * - handler: never NULL.
     * - user_data: comes back with each call; may be NULL. The plug-in keeps it alive until release.
     * - release: called with user_data when no call can reach it any more; may be NULL. It is not called when this fails.
     *
     * Returns NOERROR, ERR_MISC_INVALID_ARGS, EM_ERR_LIMIT (more than 32 verbs), EM_ERR_STAGE (outside em_entry).
     *
     * [main-thread & loading] */
    STATUS (*verb)(struct EmHost *host,
                   struct EmText name,
                   struct EmText help,
                   EmAdminVerb handler,
                   void *user_data,
                   EmRelease release);

    /** Gives the answer of a call; the last one given counts.
     *
     * - json: JSON of at most 1 MiB, nested at most 127 deep, copied.
     *
     * Returns NOERROR, ERR_MISC_INVALID_ARGS (no JSON, or a call that is over), EM_ERR_LIMIT.
     *
     * [any-thread & in-verb] */
    STATUS (*answer)(struct EmAdminCall *call, struct EmText json);

    /** Says why the call fails, for the operator; return another status than NOERROR then.
     *
     * - message: UTF-8, copied, cut after 4,096 octets.
     *
     * Returns NOERROR or ERR_MISC_INVALID_ARGS. [any-thread & in-verb] */
    STATUS (*fail)(struct EmAdminCall *call, struct EmText message);
} EmAdminService;

/* ---- The extension service: what a plug-in adds to the protocol. ---- */

/** Id of EmExtensionService. */
#define EM_EXTENSION_ID "em.extension/1"

/** Claims verbs, EHLO keywords and parameters of MAIL and RCPT for the plug-in. What is claimed counts in every session
 * that begins while the plug-in has a handler for it. Names are the same in any case.
 *
 * Two plug-ins can't have the same: the one loaded later is refused, in a line that names both. So is one that claims
 * what the server knows itself, or a verb or parameter without a handler before its event.
 *
 * The claim_ functions return NOERROR, EM_ERR_CLAIMED (it is the server's own: the plug-in will be refused),
 * EM_ERR_STAGE (outside em_entry), EM_ERR_LIMIT (at most 64 claims), ERR_EM_NOTAUTHORIZED (not declared: the
 * descriptor's stages for verbs and parameters, EM_EDIT_KEYWORD for keywords) or ERR_MISC_INVALID_ARGS. What is claimed
 * twice counts once. */
typedef struct EmExtensionService {
    /** sizeof(EmExtensionService) of the host. */
    uint32_t size;
    /** Zero. */
    uint32_t reserved;

    /** Claims a command: its handlers are called at EM_SMTPVERB.
     *
     * - verb: 1 to 64 letters and digits, a letter first.
     *
     * [main-thread & loading] */
    STATUS (*claim_verb)(struct EmHost *host, struct EmText verb);

    /** Claims a line in every reply to EHLO. All plug-ins together have 40 of them, of 2,048 octets.
     *
     * - keyword: 1 to 64 letters, digits and '-', which is not first (RFC 5321 section 4.1.1.1).
     * - parameters: words of printable ASCII, one space between two, at most 256 octets; empty for none.
     *
     * [main-thread & loading] */
    STATUS (*claim_keyword)(struct EmHost *host, struct EmText keyword, struct EmText parameters);

    /** Claims a parameter of MAIL: the server takes it from clients that have said EHLO, and leaves its meaning to the
     * plug-in. It is kept with the message as received and not sent on, since the next server may not know it.
     *
     * - keyword: as in claim_keyword.
     *
     * [main-thread & loading] */
    STATUS (*claim_mail_parameter)(struct EmHost *host, struct EmText keyword);

    /** Claims a parameter of RCPT, as claim_mail_parameter one of MAIL.
     *
     * [main-thread & loading] */
    STATUS (*claim_rcpt_parameter)(struct EmHost *host, struct EmText keyword);

    /** Finds one parameter in EmMail.parameters or EmRcpt.parameters.
     *
     * - parameters: as received.
     * - keyword: in any case.
     * - value: a piece of `parameters`, as received, empty for a keyword without a value; valid as long as those.
     *
     * Returns NOERROR, ERR_NOT_FOUND or ERR_MISC_INVALID_ARGS. [any-thread] */
    STATUS (*parameter)(struct EmText parameters, struct EmText keyword, struct EmText *value);
} EmExtensionService;

/* ---- The filter service: which sessions and addresses a registration is asked about. ---- */

/** Id of EmFilterService. */
#define EM_FILTER_ID "em.filter/1"

/** EmFilter.tls: it does not matter. */
#define EM_FILTER_TLS_ANY 0
/** EmFilter.tls: when the connection is protected by TLS. */
#define EM_FILTER_TLS_ON 1
/** EmFilter.tls: when it is in clear text. */
#define EM_FILTER_TLS_OFF 2

/** EmFilter.authenticated: it does not matter. */
#define EM_FILTER_AUTHENTICATED_ANY 0
/** EmFilter.authenticated: when the client has logged in. */
#define EM_FILTER_AUTHENTICATED_YES 1
/** EmFilter.authenticated: when it has not. */
#define EM_FILTER_AUTHENTICATED_NO 2

/** What a registration is asked about: all lists that are not empty must fit. Items are separated by white space. */
typedef struct EmFilter {
    /** sizeof(EmFilter) of the plug-in; members beyond it count as empty. */
    uint32_t size;
    /** Zero. */
    uint32_t reserved;
    /** The client's address is one of these, or in one of these networks: `192.0.2.1`, `2001:db8::/32`. */
    struct EmText networks;
    /** The listener that accepted the connection is one of these names of the configuration. */
    struct EmText listeners;

    /** At EM_SMTPMAIL and, for the sender accepted, the later events of the transaction but EM_SMTPCOMMAND: the domain of
     * the sender is one of these. `example.org` is that domain alone, `.example.org` everything below it, `<>` the null
     * path. Not looked at elsewhere. */
    struct EmText sender_domains;

    /** At EM_SMTPRCPT the domain of the recipient in hand, at the later events of the transaction but EM_SMTPCOMMAND
     * that of any recipient accepted, is one of these, written as in sender_domains. Not looked at elsewhere. */
    struct EmText recipient_domains;

    /** EM_FILTER_TLS_...: whether the connection is protected when the question is put. */
    uint32_t tls;
    /** EM_FILTER_AUTHENTICATED_...: whether the client has logged in when the question is put. */
    uint32_t authenticated;
} EmFilter;

/** Narrows registrations, so that a handler is not called for what cannot matter to it: the host looks, which costs less
 * than a call. */
typedef struct EmFilterService {
    /** sizeof(EmFilterService) of the host. */
    uint32_t size;
    /** Zero. */
    uint32_t reserved;

    /** Gives a registration its filter, once.
     *
     * - registration: what EMRegister has written.
     * - filter: copied; at most 256 items in each list.
     *
     * Returns NOERROR, ERR_NOT_FOUND (no such registration of this plug-in), EM_ERR_STAGE (it has a filter, or em_entry
     * is over), EM_ERR_LIMIT (too many items), or ERR_MISC_INVALID_ARGS (the host has logged which item is not
     * acceptable).
     * [main-thread & loading] */
    STATUS (*narrow)(struct EmHost *host, HEMREGISTRATION registration, const struct EmFilter *filter);
} EmFilterService;

/* ---- The async service: a handler that answers later, without a thread waiting for it. ---- */

/** Id of EmAsyncService. */
#define EM_ASYNC_ID "em.async/1"

/** EmPoll reason: the token was woken. */
#define EM_POLL_WOKEN 0
/** EmPoll reason: nobody waits for the answer any more. The deadline has passed, or the client is gone. */
#define EM_POLL_OVER 1

/** Names one pending call, for as long as the process runs: no two have the same, and 0 names none. */
typedef uint64_t EmToken;

/** Names something that was asked for with a token and is done later: the token is woken then, and the service that was
 * asked tells the result. No two of a process have the same, and 0 names none. */
typedef uint64_t EmRequest;

/** Looks after a pending call: called after EmAsyncService.wake, and once more when the call is over unanswered. Never
 * while the handler runs, and never twice at once for one call; for a plug-in of class blocking on a thread that may
 * block, and within its deadline.
 *
 * - record: the handler's own, still valid.
 * - data: what was given to EmAsyncService.pending.
 * - reason: EM_POLL_...; take an unknown value for EM_POLL_OVER.
 *
 * Returns, and what happens next:
 * - EM_PENDING: the call stays pending. After EM_POLL_OVER its record stays valid until `complete` is called, and no
 *   further event of the session reaches the plug-in until then.
 * - anything else: the answer, as a handler returns it (EMHANDLER), and the end of the call. After EM_POLL_OVER, and
 *   when `complete` has answered already, it changes nothing.
 *
 * [session-thread] */
typedef STATUS (*EmPoll)(const struct EMRECORD *record, void *data, uint32_t reason);

/** Lets a handler return EM_PENDING and answer later. The session waits, and with it nothing else: no thread, and no
 * other session.
 *
 * A pending call ends when it is answered, by `complete` or by its poll. Until then everything that came with its
 * record stays valid, from any thread, also past the deadline and past the end of the session; from then on nothing of
 * it may be used. What was written to the sheet counts if the answer comes in time.
 *
 * When the deadline passes first, that is a fault of the plug-in, and its fault contract applies. When the connection
 * breaks first, it is none; EM_SMTPHEADERS, EM_SMTPBODY and EM_SMTPMESSAGEACCEPT are then waited for all the same, since
 * the message may be stored. A client that only stops sending may still want its replies, and is waited for.
 *
 * Ask for this table while em_entry runs: before a plug-in has asked, its calls can't go pending.
 *
 * All functions but `pending` take a token that may be any number: one that was never given out, or not to this plug-in,
 * is ERR_NOT_FOUND, and one whose call is over is EM_ERR_OVER. */
typedef struct EmAsyncService {
    /** sizeof(EmAsyncService) of the host. */
    uint32_t size;
    /** Zero. */
    uint32_t reserved;

    /** Takes a token for the call of the handler that runs, which must then return EM_PENDING: another status is a
     * fault, even though the token may have been completed already. EM_BEFORE only, not at EM_SMTPDISCONNECT.
     *
     * - edits: the sheet of the call.
     * - poll: called after `wake`; may be NULL, and then `wake` is refused.
     * - data: handed to poll; may be NULL.
     * - release: called with data when the call has ended and poll is never called again; may be NULL. It is not called
     *   when this function fails.
     * - token: receives the token on success.
     *
     * Returns NOERROR, EM_ERR_STAGE (not here, or the call has a token), EM_ERR_LIMIT (pending_max calls of this plug-in
     * are pending), or ERR_MISC_INVALID_ARGS (a NULL). [session-thread & in-handler] */
    STATUS (*pending)(struct EmEdits *edits, EmPoll poll, void *data, EmRelease release, EmToken *token);

    /** Answers and ends a pending call. Exactly once for each token that no poll has ended. May be called before the
     * handler has returned: its record stays valid until then.
     *
     * - status: what a handler returns (EMHANDLER), but EM_PENDING. EM_FAULT gives the call up.
     *
     * Returns NOERROR, EM_ERR_OVER (too late, and nothing comes of it; or the second time), ERR_NOT_FOUND, or
     * ERR_MISC_INVALID_ARGS (NULL, or EM_PENDING). [any-thread] */
    STATUS (*complete)(struct EmHost *host, EmToken token, STATUS status);

    /** Has poll called soon. Calls of this function before it is called are one.
     *
     * Returns NOERROR, EM_ERR_OVER (poll is not called any more, or for EM_POLL_OVER only), ERR_NOT_FOUND,
     * EM_ERR_STAGE (there is no poll), or ERR_MISC_INVALID_ARGS (NULL). [any-thread] */
    STATUS (*wake)(struct EmHost *host, EmToken token);

    /** Lets the call take at least so long from now on; a deadline that is later already stays.
     *
     * - milliseconds: what is left then, at most up to deadline_max_ms from the beginning of the call, and up to the end
     *   of the budget that all plug-ins have together at one event.
     *
     * Returns NOERROR, EM_ERR_LIMIT (more than there may be; nothing is changed), EM_ERR_OVER, ERR_NOT_FOUND, or
     * ERR_MISC_INVALID_ARGS (NULL). [any-thread] */
    STATUS (*extend)(struct EmHost *host, EmToken token, uint32_t milliseconds);
} EmAsyncService;

/* ---- The directory service: who has a mailbox here, and in which groups they are. ---- */

/** Id of EmDirectoryService. A host may be without it. */
#define EM_DIRECTORY_ID "em.directory/1"

/** EmDirectoryService.route: a mailbox of ours. */
#define EM_ROUTE_LOCAL 1
/** EmDirectoryService.route: a domain of ours, without such a mailbox; refused. */
#define EM_ROUTE_UNKNOWN_USER 2
/** EmDirectoryService.route: a domain that the operator relays for, whoever asks. */
#define EM_ROUTE_RELAY 3
/** EmDirectoryService.route: any other domain; accepted with a grant alone (EM_ATTRIBUTE_RELAY_GRANTED). */
#define EM_ROUTE_FOREIGN 4
/** EmDirectoryService.route: any other domain, that mail could not reach now even with a grant. */
#define EM_ROUTE_UNREACHABLE 5
/** EmDirectoryService.route: nobody knows now; deferred. */
#define EM_ROUTE_UNAVAILABLE 6
/** EmDirectoryService.route: a domain of ours where several have the address; refused. */
#define EM_ROUTE_AMBIGUOUS 7

/** EmDirectoryService.fetch and wait: what becomes of mail for the address, for `user` and `route`. */
#define EM_DIRECTORY_ROUTE 1
/** EmDirectoryService.fetch and wait: the groups of the address, for `member` and `group`. */
#define EM_DIRECTORY_GROUPS 2

/** Looks users up, in what the operator has configured: local domains with their mailboxes, the groups file, and LDAP. An
 * address is written as in MAIL and RCPT, without angle brackets; the case of its letters makes no difference.
 *
 * `user`, `member`, `group` and `route` answer from memory, so that handlers called in line may ask. What is kept elsewhere, in
 * LDAP, is fetched before, by `fetch` or `wait`, and is in memory for seconds at least; of the recipient in hand after(RCPT) finds
 * it there.
 *
 * They return NOERROR, ERR_NOT_FOUND (no such user, no further group, not a member), EM_PENDING (it is to be fetched before),
 * EM_ERR_IO (nobody knows now: no reason to refuse for good) or ERR_MISC_INVALID_ARGS (a NULL, or what is no address). */
typedef struct EmDirectoryService {
    /** sizeof(EmDirectoryService) of the host. */
    uint32_t size;
    /** Zero. */
    uint32_t reserved;

    /** Tells whether an address is that of a user with a mailbox here. Where mailboxes are for anybody, every address of
     * the domain is. [any-thread] */
    STATUS (*user)(struct EmHost *host, struct EmText address);

    /** Tells whether an address is in a group, whether it is of a user here or elsewhere. [any-thread] */
    STATUS (*member)(struct EmHost *host, struct EmText address, struct EmText group);

    /** Reads the groups of an address, by index from 0: those of the file in its order, then others.
     *
     * - group: receives the name; valid until the process ends.
     *
     * [any-thread] */
    STATUS (*group)(struct EmHost *host, struct EmText address, uint32_t index, struct EmText *group);

    /** Tells what becomes of mail for an address, as far as RCPT depends on it.
     *
     * - route: receives one of EM_ROUTE_LOCAL and its kin; take an unknown one for EM_ROUTE_FOREIGN.
     *
     * [any-thread] */
    STATUS (*route)(struct EmHost *host, struct EmText address, uint32_t *route);

    /** Fetches what the directory says of an address. Once that is in memory, however it came out, this returns NOERROR: ask
     * then. Until then it returns EM_PENDING and has the call woken when it is there: poll calls this again.
     *
     * - token: of a call with a poll.
     * - what: EM_DIRECTORY_ROUTE, EM_DIRECTORY_GROUPS, or both by `|`.
     *
     * Returns NOERROR, EM_PENDING, EM_ERR_LIMIT (64 of this call are under way), EM_ERR_STAGE (there is no poll), EM_ERR_OVER,
     * ERR_NOT_FOUND (no such token), or ERR_MISC_INVALID_ARGS. [any-thread] */
    STATUS (*fetch)(struct EmHost *host, EmToken token, struct EmText address, uint32_t what);

    /** Fetches the same and waits for it, in a handler called on the pool, or in an admin verb.
     *
     * Returns NOERROR, EM_ERR_OVER (it took too long), EM_ERR_STAGE (this thread must not block, or is one of the plug-in's
     * own), or ERR_MISC_INVALID_ARGS.
     * [any-thread & may-block] */
    STATUS (*wait)(struct EmHost *host, struct EmText address, uint32_t what);
} EmDirectoryService;

/* ---- The queue service: mail that waits, by its destination. ---- */

/** Id of EmQueueService. */
#define EM_QUEUE_ID "em.queue/1"

/** What a request to the queue came to. */
typedef struct EmQueueCount {
    /** Set by the plug-in: sizeof(EmQueueCount). */
    uint32_t size;
    /** Zero. */
    uint32_t reserved;
    /** `count`: deliveries that are due or will be. The others: deliveries that it was done to. */
    uint64_t queued;
    /** `count`: deliveries of which all recipients are held. The others: 0. */
    uint64_t held;
    /** `count`: octets of the messages of both. The others: 0. */
    uint64_t octets;
} EmQueueCount;

/** Counts, holds, releases and flushes mail that waits for a destination. A delivery is what one message has for one
 * destination. Nothing here ever reads the whole queue: a count takes as long as there are destinations below the one
 * named, and that of a queue is one look; the others take as long as there are deliveries to move.
 *
 * - destination: the domain of the recipients or an address literal, in any case; or as in ETRN (RFC 1985) with '@' before
 *   it a domain and all domains below it, or with '#' before it a queue: all mail that came by routes with this name of a
 *   queue in the configuration, whatever its domains.
 *
 * `hold`, `release` and `flush` need EM_EDIT_QUEUE in the descriptor. They are for what waits now: mail that comes later
 * is not held, which the edit `hold` is for. When they return, what they did is on disk.
 *
 * Each function comes twice. With `_wait` in its name it waits for the disk and returns what happened; it is for threads
 * that may block: handlers of class EM_CLASS_BLOCKING and the plug-in's own threads. The other begins and returns at
 * once; when it is done the token is woken (EmAsyncService), and `result`, called in its poll, tells what happened.
 *
 * All return NOERROR, ERR_EM_NOTAUTHORIZED (not declared), EM_ERR_STAGE (inside em_entry; `_wait` in line, on a thread
 * that must not block), EM_ERR_IO (the queue is not available now), or ERR_MISC_INVALID_ARGS. Those with a token return
 * what EmAsyncService returns for one that is not pending too, and EM_ERR_LIMIT for more than 4,096 requests that are
 * under way. */
typedef struct EmQueueService {
    /** sizeof(EmQueueService) of the host. */
    uint32_t size;
    /** Zero. */
    uint32_t reserved;
    /** Counts what waits. [any-thread & may-block] */
    STATUS (*count_wait)(struct EmHost *host, struct EmText destination, struct EmQueueCount *count);

    /** Keeps what waits undelivered until it is released, by `release` or by an operator. An attempt that is under way is
     * not broken off.
     *
     * - reason: for the operator, 1 to 256 printable ASCII octets.
     *
     * [any-thread & may-block] */
    STATUS (*hold_wait)(struct EmHost *host,
                        struct EmText destination,
                        struct EmText reason,
                        struct EmQueueCount *count);

    /** Ends every hold on mail for the destination, whoever began it. [any-thread & may-block] */
    STATUS (*release_wait)(struct EmHost *host, struct EmText destination, struct EmQueueCount *count);
    /** Has everything that waits tried now; what is held stays held. [any-thread & may-block] */
    STATUS (*flush_wait)(struct EmHost *host, struct EmText destination, struct EmQueueCount *count);
    /** As count_wait, later. [any-thread] */
    STATUS (*count)(struct EmHost *host, EmToken token, struct EmText destination, EmRequest *request);
    /** As hold_wait, later. [any-thread] */
    STATUS (*hold)(struct EmHost *host,
                   EmToken token,
                   struct EmText destination,
                   struct EmText reason,
                   EmRequest *request);
    /** As release_wait, later. [any-thread] */
    STATUS (*release)(struct EmHost *host, EmToken token, struct EmText destination, EmRequest *request);
    /** As flush_wait, later. [any-thread] */
    STATUS (*flush)(struct EmHost *host, EmToken token, struct EmText destination, EmRequest *request);

    /** Takes the result of a request, once.
     *
     * Returns what the function with `_wait` would have, EM_PENDING (it is not done yet), or
     * ERR_MISC_INVALID_ARGS (NULL; there is no such request, or its result was taken). [any-thread] */
    STATUS (*result)(struct EmHost *host, EmRequest request, struct EmQueueCount *count);
} EmQueueService;

/* ---- The state service: what a plug-in keeps beyond the process. ---- */

/** Id of EmStateService. A host may be without it. */
#define EM_STATE_ID "em.state/1"

/** The most octets of a key of EmStateService; it has 1 at least. */
#define EM_STATE_KEY_MAX 256ULL

/** The most octets of a value of EmStateService. */
#define EM_STATE_VALUE_MAX 65536ULL

/** Keeps values by key, durably, each plug-in its own. Keys and values are octets; keys are in the order of their octets.
 *
 * Each function comes twice. With `_wait` in its name it waits for the disk and returns what happened; it is for threads
 * that may block: handlers of class EM_CLASS_BLOCKING and the plug-in's own threads. The other begins and returns at
 * once; when it is done the token is woken (EmAsyncService), and `result`, called in its poll, tells what happened. Of
 * two under way for one key, either may come first.
 *
 * All return NOERROR, ERR_NOT_FOUND (there is no such value or key), EM_ERR_STAGE (inside em_entry; `_wait` in line, on a
 * thread that must not block), EM_ERR_LIMIT (a put: with it the plug-in's keys and values would come to more than the
 * operator's state_octets_max; nothing has changed), EM_ERR_IO (the disk fails; whether a change was made is then not
 * known), or ERR_MISC_INVALID_ARGS. Those with a token return what EmAsyncService returns for one that is not pending too,
 * and EM_ERR_LIMIT for more than 256 requests that are under way or not read. */
typedef struct EmStateService {
    /** sizeof(EmStateService) of the host. */
    uint32_t size;
    /** Zero. */
    uint32_t reserved;

    /** Reads a value.
     *
     * - buffer: receives it; may be NULL if capacity is 0.
     * - capacity: the octets that buffer has room for.
     * - length: receives the value's length, also with EM_ERR_LIMIT: it is longer than capacity, and buffer unchanged.
     *
     * [any-thread & may-block] */
    STATUS (*get_wait)(struct EmHost *host,
                       struct EmText key,
                       char *buffer,
                       uint64_t capacity,
                       uint64_t *length);

    /** Puts a value in the place of any other; it is on disk when this returns. [any-thread & may-block] */
    STATUS (*put_wait)(struct EmHost *host, struct EmText key, struct EmText value);
    /** Removes a value, if there is one; that is on disk when this returns. [any-thread & may-block] */
    STATUS (*remove_wait)(struct EmHost *host, struct EmText key);

    /** Finds the first key behind another. To see all keys, begin with an empty `after` and go on behind each key found.
     *
     * - prefix: what the key begins with; may be empty.
     * - after: the key found before; empty to begin.
     * - buffer, capacity, length: for the key, as with get_wait.
     *
     * [any-thread & may-block] */
    STATUS (*next_wait)(struct EmHost *host,
                        struct EmText prefix,
                        struct EmText after,
                        char *buffer,
                        uint64_t capacity,
                        uint64_t *length);

    /** As get_wait, later. Key is copied. [any-thread] */
    STATUS (*get)(struct EmHost *host, EmToken token, struct EmText key, EmRequest *request);
    /** As put_wait, later. Key and value are copied. [any-thread] */
    STATUS (*put)(struct EmHost *host,
                  EmToken token,
                  struct EmText key,
                  struct EmText value,
                  EmRequest *request);
    /** As remove_wait, later. Key is copied. [any-thread] */
    STATUS (*remove)(struct EmHost *host, EmToken token, struct EmText key, EmRequest *request);
    /** As next_wait, later. Prefix and after are copied. [any-thread] */
    STATUS (*next)(struct EmHost *host,
                   EmToken token,
                   struct EmText prefix,
                   struct EmText after,
                   EmRequest *request);

    /** Takes the result of a request, once.
     *
     * - buffer, capacity, length: for what `get` or `next` found, as with get_wait. The others find nothing: length 0.
     *
     * Returns what the function with `_wait` would have, EM_PENDING (it is not done yet), or ERR_MISC_INVALID_ARGS (NULL;
     * there is no such request, or its result was taken). With EM_ERR_LIMIT it stays to be taken. [any-thread] */
    STATUS (*result)(struct EmHost *host, EmRequest request, char *buffer, uint64_t capacity, uint64_t *length);
} EmStateService;

/* ---- The timers service: time that passes without a thread. ---- */

/** Id of EmTimersService. */
#define EM_TIMERS_ID "em.timers/1"

/** Tells pending calls that time has passed, and lets handlers of class blocking wait for it. */
typedef struct EmTimersService {
    /** sizeof(EmTimersService) of the host. */
    uint32_t size;
    /** Zero. */
    uint32_t reserved;

    /** Wakes a pending call when time has passed, never sooner: its poll is called. A timer that would end after the call
     * does is none. It does not put the deadline off: EmAsyncService.extend does.
     *
     * - token: of a call with a poll.
     *
     * Returns NOERROR, EM_ERR_LIMIT (64 timers of this call are running), EM_ERR_STAGE (there is no poll), EM_ERR_OVER,
     * ERR_NOT_FOUND, or ERR_MISC_INVALID_ARGS (NULL). [any-thread] */
    STATUS (*wake_after)(struct EmHost *host, EmToken token, uint32_t milliseconds);

    /** Waits on the thread of a handler that is called on the pool, as every handler of class blocking is.
     *
     * - edits: the sheet of the call.
     *
     * Returns NOERROR when the time has passed, EM_ERR_OVER when the deadline of the call came first, EM_ERR_STAGE (this
     * thread must not block), or ERR_MISC_INVALID_ARGS (NULL). [session-thread & in-handler & may-block] */
    STATUS (*wait)(struct EmEdits *edits, uint32_t milliseconds);
} EmTimersService;

/* ---- The DNS service: look-ups that keep no thread waiting. ---- */

/** Id of EmDnsService. */
#define EM_DNS_ID "em.dns/1"

/** Record type: an IPv4 address, as inet_ntop prints it. */
#define EM_DNS_A 1
/** Record type: the name that belongs to an address. Ask for the address itself, or for its name below in-addr.arpa or
 * ip6.arpa. */
#define EM_DNS_PTR 12
/** Record type: a host that takes mail for a domain; with a preference. */
#define EM_DNS_MX 15
/** Record type: octets, the strings of one record joined. */
#define EM_DNS_TXT 16
/** Record type: an IPv6 address, as inet_ntop prints it. */
#define EM_DNS_AAAA 28

/** EmDnsAnswer.outcome: there are records. */
#define EM_DNS_FOUND 0
/** EmDnsAnswer.outcome: the name does not exist (NXDOMAIN, RFC 8020). */
#define EM_DNS_NO_NAME 1
/** EmDnsAnswer.outcome: the name exists, without records of this type. */
#define EM_DNS_NO_DATA 2
/** EmDnsAnswer.outcome: nobody knows now: no server answered in time, or one failed. Not a reason to refuse for good. */
#define EM_DNS_TROUBLE 3

/** One record. This struct never grows. */
typedef struct EmDnsRecord {
    /** What the record type says: an address or a name as text, names without the last dot; or octets. */
    struct EmText value;
    /** EM_DNS_MX: lower ones are tried first. Zero for other types. */
    uint16_t preference;
    /** Zero. */
    uint16_t reserved[3];
} EmDnsRecord;

/** What came of a look-up. */
typedef struct EmDnsAnswer {
    /** sizeof(EmDnsAnswer) of the host; members beyond it are not there. */
    uint32_t size;
    /** EM_DNS_...; take an unknown value for EM_DNS_TROUBLE. */
    uint32_t outcome;
    /** The records, in the order of the answer; NULL when there are none. */
    const struct EmDnsRecord *records;
    /** How many. */
    uint64_t count;
    /** How many seconds the answer may be kept; 0 unless EM_DNS_FOUND. */
    uint32_t ttl_s;
    /** Zero. */
    uint32_t reserved;
} EmDnsAnswer;

/** Looks names up, by the servers that the operator chose. Answers are cached as long as their servers allow, of which
 * plug-ins need to know nothing.
 *
 * A name is ASCII, with or without the last dot, at most 253 octets; nothing is appended to it. */
typedef struct EmDnsService {
    /** sizeof(EmDnsService) of the host. */
    uint32_t size;
    /** Zero. */
    uint32_t reserved;

    /** Begins a look-up for a pending call, which is woken when the answer is there: poll then reads it with `answer`. Never
     * inside this function.
     *
     * - token: of a call with a poll.
     * - record_type: EM_DNS_A and so on.
     * - name: copied.
     * - query: receives what names the look-up among those of this call.
     *
     * Returns NOERROR, EM_ERR_LIMIT (64 look-ups of this call were begun), EM_ERR_STAGE (there is no poll), EM_ERR_OVER,
     * ERR_NOT_FOUND, or ERR_MISC_INVALID_ARGS (NULL, an unknown type, or no name). [any-thread] */
    STATUS (*ask)(struct EmHost *host,
                  EmToken token,
                  uint32_t record_type,
                  struct EmText name,
                  uint32_t *query);

    /** Reads an answer.
     *
     * - value: receives the answer, valid until the call ends.
     *
     * Returns NOERROR, EM_PENDING (it is not there yet), EM_ERR_OVER, ERR_NOT_FOUND, or ERR_MISC_INVALID_ARGS (NULL, or no
     * such look-up). [any-thread] */
    STATUS (*answer)(struct EmHost *host, EmToken token, uint32_t query, const struct EmDnsAnswer **value);

    /** Looks up and waits, on the thread of a handler that is called on the pool, as every handler of class blocking is.
     *
     * - edits: the sheet of the call.
     * - record_type, name: as in `ask`.
     * - value: receives the answer, valid until the handler returns or, if it went pending, until its call ends.
     *
     * Returns NOERROR, EM_ERR_OVER (the deadline of the call came first), EM_ERR_LIMIT (64 answers of this call are lent),
     * EM_ERR_STAGE (this thread must not block), or ERR_MISC_INVALID_ARGS. [session-thread & in-handler & may-block] */
    STATUS (*wait)(struct EmEdits *edits,
                   uint32_t record_type,
                   struct EmText name,
                   const struct EmDnsAnswer **value);
} EmDnsService;

/* ---- The submit service: a new message, made by a plug-in. ---- */

/** Id of EmSubmitService. */
#define EM_SUBMIT_ID "em.submit/1"

/** EmSubmitService.recipient flag: the plug-in vouches for a recipient of a foreign domain, as relay_granted does for a
 * session. */
#define EM_SUBMIT_GRANT 1

/** Names a message that is being made. Never comes twice for one plug-in; 0 names none. */
typedef uint64_t EmSubmission;

/** The id of a queued message. */
typedef struct EmQueueId {
    /** 26 digits and capital letters, then a NUL. */
    char text[32];
} EmQueueId;

/** Makes a new message: sender, recipients, then its octets in pieces of any size, then the commit. Once that returns
 * NOERROR the message is on disk, as one that a client was told 250 for, and it goes out like any other.
 *
 * It is held to what clients are held to: paths and parameters as MAIL and RCPT take them, the server's limits, lines
 * ended by CRLF, no NUL and no bare CR or LF. Its octets are the header block, an empty line and the body, without dots
 * doubled. The server puts its own Received field on top.
 *
 * No handler is called for it but those registered with EM_REG_SUBMITTED, and of these none with a recursion id that led to
 * it: the ids that the calling plug-in gave at the event of its handler, and those that led to that event if it is about
 * a message that a plug-in makes. Without a cause (`session` is NULL) they are all ids of the plug-in, of whose handlers then
 * none is called, with an id or without. To such handlers the
 * listener is "plug-in" and the client 127.0.0.1; nothing was said before, so slots and attributes are empty. A verdict
 * that refuses the message is EM_ERR_REFUSED, one that defers it EM_ERR_IO.
 *
 * What no recursion id keeps apart, and the way through other servers, is bounded by hops: made because of a message that
 * it is allowed to see, it begins with as many Received fields as that one has, and one more if that one is a plug-in's;
 * beyond the server's limit it is refused. So give the cause where there is one: a message without begins anew, and of two
 * plug-ins that answer each other's so, nothing ends it. An automatic reply is best sent from the null path, and never to one (RFC 3834 section 2).
 *
 * Needs EM_EDIT_SUBMIT in the descriptor. A plug-in makes at most 64 messages at once, and one message is made by one
 * thread at a time, any one. The functions with `_wait` and those with a token are as in EmQueueService; while one of
 * a message is under way every other of it is EM_ERR_STAGE.
 *
 * All return NOERROR, ERR_EM_NOTAUTHORIZED (not declared), ERR_NOT_FOUND (no such message, or it was committed, given up
 * or refused), EM_ERR_STAGE (not in this order, or as in EmQueueService), EM_ERR_IO (the queue is not available or has no
 * room now) or ERR_MISC_INVALID_ARGS. */
typedef struct EmSubmitService {
    /** sizeof(EmSubmitService) of the host. */
    uint32_t size;
    /** Zero. */
    uint32_t reserved;

    /** Begins a message.
     *
     * - session: that of the handler that runs or is pending, when the message is made because of what happens there; NULL
     *   when it has no such cause.
     * - sender: a path without angle brackets, empty for the null path.
     * - parameters: those of MAIL; may be empty.
     * - submission: receives its name.
     *
     * Returns EM_ERR_LIMIT too: 64 messages are being made. [any-thread] */
    STATUS (*begin)(struct EmHost *host,
                    const struct EmSession *session,
                    struct EmText sender,
                    struct EmText parameters,
                    EmSubmission *submission);

    /** Adds a recipient, before anything is written. Does not wait.
     *
     * - path: without angle brackets. parameters: those of RCPT; may be empty.
     * - flags: EM_SUBMIT_..., or 0.
     *
     * Returns EM_ERR_ROUTE too: nobody of that name is here, or no mail goes there. The message goes on without them.
     * EM_ERR_LIMIT: more than a message may have. [any-thread] */
    STATUS (*recipient)(struct EmHost *host,
                        EmSubmission submission,
                        struct EmText path,
                        struct EmText parameters,
                        uint32_t flags);

    /** Writes octets, which are copied; waits for the disk when they are many. [any-thread & may-block] */
    STATUS (*write_wait)(struct EmHost *host, EmSubmission submission, struct EmText octets);

    /** Makes the message durable, and ends it. Without CRLF at its end it gets one.
     *
     * - id: receives the message's id, empty when a handler has had it dropped or took it over; may be NULL.
     *
     * Returns EM_ERR_REFUSED too: the message can't be stored; the log says why. [any-thread & may-block] */
    STATUS (*commit_wait)(struct EmHost *host, EmSubmission submission, struct EmQueueId *id);

    /** As write_wait, later. [any-thread] */
    STATUS (*write)(struct EmHost *host,
                    EmToken token,
                    EmSubmission submission,
                    struct EmText octets,
                    EmRequest *request);
    /** As commit_wait, later. [any-thread] */
    STATUS (*commit)(struct EmHost *host, EmToken token, EmSubmission submission, EmRequest *request);

    /** Takes the result of `write` or `commit`, once.
     *
     * - id: receives the message's id after `commit`; may be NULL.
     *
     * Returns what the function with `_wait` would have, EM_PENDING (it is not done yet), or
     * ERR_MISC_INVALID_ARGS (there is no such request, or its result was taken). [any-thread] */
    STATUS (*result)(struct EmHost *host, EmRequest request, struct EmQueueId *id);

    /** Gives a message up: nothing of it is kept. Whoever begins one ends it, by this or by its commit. [any-thread] */
    STATUS (*abandon)(struct EmHost *host, EmSubmission submission);
} EmSubmitService;

/* ---- The outbound session service: a connection of the plug-in's own to another server, spoken by the server's sending session. ---- */

/** Id of EmOutboundService. */
#define EM_OUTBOUND_ID "em.outbound/1"

/** EmOutboundTarget.tls: none of it. */
#define EM_OUTBOUND_TLS_NONE 0
/** EmOutboundTarget.tls: by STARTTLS where it is offered, with whoever answers; in clear text where it is not, or fails. */
#define EM_OUTBOUND_TLS_OFFERED 1
/** EmOutboundTarget.tls: nothing is said without; anybody may be at the other end. */
#define EM_OUTBOUND_TLS_REQUIRED 2
/** EmOutboundTarget.tls: nothing is said without, and but to who has a certificate for the host's name. */
#define EM_OUTBOUND_TLS_VERIFIED 3

/** EmOutboundTarget.flags: TLS is begun before the server says anything (RFC 8314); with EM_OUTBOUND_TLS_REQUIRED or
 * EM_OUTBOUND_TLS_VERIFIED. */
#define EM_OUTBOUND_IMPLICIT_TLS 1

/** EmOutboundService.auth flag: CRAM-MD5 may be used where the server offers nothing better. Whoever reads it can try
 * passwords against it. */
#define EM_OUTBOUND_CRAM_MD5 1

/** EmOutboundProgress.state: nothing was done yet. */
#define EM_OUTBOUND_NEW 0
/** EmOutboundProgress.state: the server is dialled, or is to let us in. */
#define EM_OUTBOUND_OPENING 1
/** EmOutboundProgress.state: nothing is under way. */
#define EM_OUTBOUND_READY 2
/** EmOutboundProgress.state: the reply to a command is awaited. */
#define EM_OUTBOUND_ASKING 3
/** EmOutboundProgress.state: mail is pushed. */
#define EM_OUTBOUND_PUSHING 4
/** EmOutboundProgress.state: the server has become the client, and sends mail. */
#define EM_OUTBOUND_REVERSED 5
/** EmOutboundProgress.state: there is no connection any more. */
#define EM_OUTBOUND_OVER 6

/** EmOutboundService.text: what the server last said, its reply with a line feed between lines; or why nothing more is to be had of
 * it, and then EmOutboundProgress.code is 0. */
#define EM_OUTBOUND_TOLD 1
/** EmOutboundService.text: what the server offers in its reply to EHLO, each keyword with its parameters in a line. */
#define EM_OUTBOUND_KEYWORDS 2
/** EmOutboundService.text: the address of the server, as inet_ntop prints it. */
#define EM_OUTBOUND_REMOTE 3

/** Names a session that a plug-in has begun. Never comes twice for one plug-in; 0 names none. */
typedef uint64_t EmOutbound;

/** Whom a session leads to. */
typedef struct EmOutboundTarget {
    /** Set by the plug-in: sizeof(EmOutboundTarget). */
    uint32_t size;
    /** EM_OUTBOUND_TLS_... */
    uint32_t tls;
    /** EM_OUTBOUND_IMPLICIT_TLS, or 0. */
    uint32_t flags;
    /** For all of `open`, 1 to 600000; 0: a minute. */
    uint32_t deadline_ms;
    /** A domain name, or an IP address without brackets. */
    struct EmText host;
    /** Its port, 1 to 65535. */
    uint16_t port;
    /** Zero. */
    uint16_t reserved[3];
} EmOutboundTarget;

/** How the roles are changed, and what is taken then. */
typedef struct EmOutboundReversal {
    /** Set by the plug-in: sizeof(EmOutboundReversal). */
    uint32_t size;
    /** Zero. */
    uint32_t reserved;
    /** What ATRN asks for: domains with a line feed between them; empty: the server's default for who has logged in. */
    struct EmText domains;

    /** For whom mail is taken: domains with a line feed between them, each with '@' before it for those below it, too. Others
     * are refused as a foreign domain is. Empty: for whom mail of clients is taken. */
    struct EmText accept;

    /** The name of a listener, whose settings the receiving session has but for TLS and AUTH; empty: what all listeners have
     * in common. */
    struct EmText listener;
} EmOutboundReversal;

/** How far a session is. */
typedef struct EmOutboundProgress {
    /** Set by the plug-in: sizeof(EmOutboundProgress). */
    uint32_t size;
    /** EM_OUTBOUND_...; take an unknown value for EM_OUTBOUND_ASKING. */
    uint32_t state;
    /** The code of the last reply; 0 when there is none, and when something failed since. */
    uint16_t code;
    /** 1 under TLS, else 0. */
    uint16_t secured;
    /** Zero. */
    uint32_t reserved;
    /** Deliveries that `push` has tried. */
    uint64_t pushed;
    /** Those of them of which nothing is left to deliver. */
    uint64_t done;
    /** Messages that the server has sent since `reverse` and that are on disk. */
    uint64_t received;
} EmOutboundProgress;

/** Talks to another server: dials it, logs in, says a command, hands it the mail that waits for a destination, or has it hand
 * over mail (ATRN, RFC 2645).
 *
 * `begin`, then `open`; `auth` where that is wanted; then any of `command`, `push` and `reverse`, in any order and number,
 * but nothing behind `reverse` or an EM_ERR_IO; in the end `quit`. In any case `close` ends a session and forgets it; until
 * then `text` and `progress` tell of it. Sessions that are left when the plug-in has stopped are closed then, and what is under
 * way returns EM_ERR_OVER.
 *
 * Needs EM_EDIT_OUTBOUND in the descriptor, and EM_EDIT_QUEUE for `push`. From the event START on, after. A plug-in has at most 64
 * sessions, and one thing is under way in a session at a time.
 *
 * Functions come twice as in EmQueueService: those with `_wait` in their names return when it is done; the others begin, wake
 * the token when it is done, and `result` tells what happened then.
 *
 * All return NOERROR, ERR_EM_NOTAUTHORIZED (not declared), ERR_NOT_FOUND (no such session), EM_ERR_STAGE (not in this order,
 * something is under way, or as in EmQueueService), EM_ERR_REFUSED (the server says no: EM_OUTBOUND_TOLD has its words),
 * EM_ERR_IO (there is no connection, or none any more: EM_OUTBOUND_TOLD says why), EM_ERR_OVER (the server stops, or the
 * session was closed meanwhile), or ERR_MISC_INVALID_ARGS. Those with a token return what EmAsyncService returns for one
 * that is not pending too, and EM_ERR_LIMIT for more than 64 requests that are under way. */
typedef struct EmOutboundService {
    /** sizeof(EmOutboundService) of the host. */
    uint32_t size;
    /** Zero. */
    uint32_t reserved;

    /** Begins a session; nobody is dialled yet.
     *
     * - target: copied.
     * - session: receives its name.
     *
     * Returns EM_ERR_LIMIT too: there are 64. [any-thread] */
    STATUS (*begin)(struct EmHost *host, const struct EmOutboundTarget *target, EmOutbound *session);

    /** Dials, and goes as far as the server is ready for whatever comes: greeting, EHLO, and STARTTLS where that is wanted.
     * EM_ERR_REFUSED when it is not. [any-thread & may-block] */
    STATUS (*open_wait)(struct EmHost *host, EmOutbound session);

    /** Logs in, by the best of SCRAM-SHA-256, PLAIN, LOGIN and, where it is allowed, CRAM-MD5. The password itself is shown
     * under EM_OUTBOUND_TLS_VERIFIED alone. What comes to nothing ends the conversation.
     *
     * - user, password: copied, and wiped when they were used. Not empty, no NUL, UTF-8.
     * - flags: EM_OUTBOUND_CRAM_MD5, or 0.
     *
     * [any-thread & may-block] */
    STATUS (*auth_wait)(struct EmHost *host,
                        EmOutbound session,
                        struct EmText user,
                        struct EmText password,
                        uint32_t flags);

    /** Says a command and awaits its reply, for up to 10 minutes. NOERROR whatever the server answers: EM_OUTBOUND_TOLD has
     * it. A reply of 421 or 3yz ends the conversation: EM_ERR_REFUSED.
     *
     * - line: 1 to 510 printable ASCII octets, without CRLF. Not a command that is a part of a message or that changes what
     *   follows (MAIL, RCPT, DATA, BDAT, RSET, SEND, SOML, SAML, EHLO, HELO, LHLO, STARTTLS, AUTH, ATRN, TURN, XCLIENT, QUIT).
     *
     * [any-thread & may-block] */
    STATUS (*command_wait)(struct EmHost *host, EmOutbound session, struct EmText line);

    /** Hands the server what waits for a destination, each message settled by itself as in any delivery; what it refuses
     * for now waits on. What another delivery has in hand is left out. NOERROR also when nothing waits; EmOutboundProgress tells
     * how much it was. EM_ERR_REFUSED when the server takes no mail here, such as at a port for ATRN: all of it waits on, and the session
     * goes on. EM_ERR_IO when the connection breaks: what was not acknowledged waits on.
     *
     * - destination: as in EmQueueService.
     *
     * [any-thread & may-block] */
    STATUS (*push_wait)(struct EmHost *host, EmOutbound session, struct EmText destination);

    /** Says ATRN, and where the server agrees takes mail from it until it says QUIT. To plug-ins that is a session like others,
     * but that EM_SMTPCONNECT is not asked: nobody has connected. What the server says between its agreement and our greeting is
     * dropped. EM_ERR_REFUSED when it does not agree, and the session goes on then; EM_ERR_IO when the connection breaks in
     * the middle: what was acknowledged until then is on disk. EM_ERR_LIMIT too: there are as many sessions here as there may be.
     *
     * - reversal: copied.
     *
     * [any-thread & may-block] */
    STATUS (*reverse_wait)(struct EmHost *host, EmOutbound session, const struct EmOutboundReversal *reversal);

    /** Says QUIT and ends the connection; NOERROR also when there is none any more. [any-thread & may-block] */
    STATUS (*quit_wait)(struct EmHost *host, EmOutbound session);
    /** As open_wait, later. [any-thread] */
    STATUS (*open)(struct EmHost *host, EmToken token, EmOutbound session, EmRequest *request);
    /** As auth_wait, later. [any-thread] */
    STATUS (*auth)(struct EmHost *host,
                   EmToken token,
                   EmOutbound session,
                   struct EmText user,
                   struct EmText password,
                   uint32_t flags,
                   EmRequest *request);
    /** As command_wait, later. [any-thread] */
    STATUS (*command)(struct EmHost *host,
                      EmToken token,
                      EmOutbound session,
                      struct EmText line,
                      EmRequest *request);
    /** As push_wait, later. [any-thread] */
    STATUS (*push)(struct EmHost *host,
                   EmToken token,
                   EmOutbound session,
                   struct EmText destination,
                   EmRequest *request);
    /** As reverse_wait, later. [any-thread] */
    STATUS (*reverse)(struct EmHost *host,
                      EmToken token,
                      EmOutbound session,
                      const struct EmOutboundReversal *reversal,
                      EmRequest *request);
    /** As quit_wait, later. [any-thread] */
    STATUS (*quit)(struct EmHost *host, EmToken token, EmOutbound session, EmRequest *request);

    /** Takes the result of a request, once.
     *
     * Returns what the function with `_wait` would have, EM_PENDING (it is not done yet), or ERR_MISC_INVALID_ARGS (there is
     * no such request, or its result was taken). [any-thread] */
    STATUS (*result)(struct EmHost *host, EmRequest request);

    /** Reads what is known of a session in words; empty when it is not known.
     *
     * - what: EM_OUTBOUND_TOLD, EM_OUTBOUND_KEYWORDS or EM_OUTBOUND_REMOTE.
     * - buffer: receives the text, when it has room for it; may be NULL when capacity is 0. At most 8,192 octets.
     * - length: receives how many octets it has.
     *
     * Returns EM_ERR_LIMIT too: the buffer is too small. [any-thread] */
    STATUS (*text)(struct EmHost *host,
                   EmOutbound session,
                   uint32_t what,
                   char *buffer,
                   uint64_t capacity,
                   uint64_t *length);

    /** Tells how far a session is, also while something is under way. [any-thread] */
    STATUS (*progress)(struct EmHost *host, EmOutbound session, struct EmOutboundProgress *progress);
    /** Ends a session at once, without a word to the server, and forgets it. [any-thread] */
    STATUS (*close)(struct EmHost *host, EmOutbound session);
} EmOutboundService;

/* ---- The digest of the frozen base: one number that changes when a layout of the base does. ---- */

/** Digest of the base's layout on 64-bit targets; stands in the descriptor, so that a plug-in built with another base is
 * refused before it is loaded. */
#define EM_BASE_DIGEST 0x4771990ca0c525a0ULL

/* ---- To write a plug-in ---- */

/** The entry point, defined by the plug-in; see EmEntry. */
EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host);

/* Keeps the descriptor in the file, also when the linker drops what nobody refers to; only ELF has a mark for that. */
#if defined(__ELF__) && defined(__has_attribute)
#if __has_attribute(retain)
#define EM_RETAIN __attribute__((used, retain))
#endif
#endif
#ifndef EM_RETAIN
#define EM_RETAIN __attribute__((used))
#endif

/** Defines the plug-in's descriptor. Once per shared object, at file scope, for example:
 *
 * EM_DESCRIPTOR("my-filter", "1.0", EM_CLASS_BLOCKING, EM_STAGE_CONNECT | EM_STAGE_RCPT, EM_EDIT_VERDICT);
 *
 * - name, version: string literals, as in EmDescriptor.
 * - plugin_class: EM_CLASS_...
 * - stages, edits: EM_STAGE_... and EM_EDIT_... joined with |, or 0. */
#define EM_DESCRIPTOR(name, version, plugin_class, stages, edits)                                 \
    EM_RETAIN __attribute__((section(".stagepost"))) static const EmDescriptor em_descriptor = {  \
        EM_DESCRIPTOR_MAGIC, sizeof(EmDescriptor), EM_ABI_MAJOR, 0, EM_BASE_DIGEST, (stages),     \
        (edits), (plugin_class), EM_LANGUAGE_C, name, version, {0, 0, 0, 0}}

/** Lends a NUL-terminated string as EmText; NULL becomes the empty text. */
static inline EmText em_text(const char *nul_terminated)
{
    EmText text = {nul_terminated, 0};
    while (nul_terminated != NULL && nul_terminated[text.len] != '\0')
        text.len++;
    return text;
}

/* ---- The layout that the host has, checked by compilers that can ---- */

#if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L && UINTPTR_MAX == UINT64_MAX
_Static_assert(sizeof(EmText) == 16 && offsetof(EmText, len) == 8, "EmText");
_Static_assert(sizeof(EmReply) == 32 && offsetof(EmReply, text) == 16, "EmReply");
_Static_assert(sizeof(EMRECORD) == 24 && offsetof(EMRECORD, UserData) == 16, "EMRECORD");
_Static_assert(sizeof(EmEvent) == 32 && offsetof(EmEvent, reply) == 24, "EmEvent");
_Static_assert(sizeof(EmConnect) == 88 && offsetof(EmConnect, reserved) == 84, "EmConnect");
_Static_assert(sizeof(EmCommand) == 48 && offsetof(EmCommand, line) == 32, "EmCommand");
_Static_assert(sizeof(EmEhlo) == 72 && offsetof(EmEhlo, keywords) == 56, "EmEhlo");
_Static_assert(sizeof(EmMail) == 64 && offsetof(EmMail, parameters) == 48, "EmMail");
_Static_assert(sizeof(EmRcpt) == 64 && offsetof(EmRcpt, parameters) == 48, "EmRcpt");
_Static_assert(sizeof(EmData) == 48 && offsetof(EmData, reserved) == 42, "EmData");
_Static_assert(sizeof(EmHeaders) == 40 && offsetof(EmHeaders, message) == 32, "EmHeaders");
_Static_assert(sizeof(EmBody) == 64 && offsetof(EmBody, reserved) == 57, "EmBody");
_Static_assert(sizeof(EmMessageAccept) == 48 && offsetof(EmMessageAccept, message) == 40, "EmMessageAccept");
_Static_assert(sizeof(EmEtrn) == 56 && offsetof(EmEtrn, reserved) == 49, "EmEtrn");
_Static_assert(sizeof(EmAtrn) == 48 && offsetof(EmAtrn, domains) == 32, "EmAtrn");
_Static_assert(sizeof(EmVrfy) == 56 && offsetof(EmVrfy, reserved) == 49, "EmVrfy");
_Static_assert(sizeof(EmVerb) == 64 && offsetof(EmVerb, argument) == 48, "EmVerb");
_Static_assert(sizeof(EmRset) == 32 && offsetof(EmRset, event) == 0, "EmRset");
_Static_assert(sizeof(EmStartTls) == 32 && offsetof(EmStartTls, event) == 0, "EmStartTls");
_Static_assert(sizeof(EmAuth) == 104 && offsetof(EmAuth, reserved) == 100, "EmAuth");
_Static_assert(sizeof(EmQuit) == 32 && offsetof(EmQuit, event) == 0, "EmQuit");
_Static_assert(sizeof(EmTimeout) == 40 && offsetof(EmTimeout, reserved) == 36, "EmTimeout");
_Static_assert(sizeof(EmDisconnect) == 40 && offsetof(EmDisconnect, reserved) == 36, "EmDisconnect");
_Static_assert(sizeof(EmQueue) == 64 && offsetof(EmQueue, message) == 56, "EmQueue");
_Static_assert(sizeof(EmRoute) == 104 && offsetof(EmRoute, message) == 96, "EmRoute");
_Static_assert(sizeof(EmDeliver) == 112 && offsetof(EmDeliver, message) == 104, "EmDeliver");
_Static_assert(sizeof(EmBounce) == 104 && offsetof(EmBounce, message) == 96, "EmBounce");
_Static_assert(sizeof(EmExpire) == 88 && offsetof(EmExpire, message) == 80, "EmExpire");
_Static_assert(sizeof(EmRecipientResult) == 48 && offsetof(EmRecipientResult, reserved_2) == 44, "EmRecipientResult");
_Static_assert(sizeof(EmStart) == 32 && offsetof(EmStart, event) == 0, "EmStart");
_Static_assert(sizeof(EmConfig) == 40 && offsetof(EmConfig, section) == 32, "EmConfig");
_Static_assert(sizeof(EmStop) == 40 && offsetof(EmStop, reserved) == 36, "EmStop");
_Static_assert(sizeof(EmDescriptor) == 176 && offsetof(EmDescriptor, reserved) == 144, "EmDescriptor");
_Static_assert(sizeof(EmBase) == 72 && offsetof(EmBase, reserved) == 40, "EmBase");
_Static_assert(sizeof(EmLogService) == 24 && offsetof(EmLogService, enabled) == 16, "EmLogService");
_Static_assert(sizeof(EmPlace) == 24 && offsetof(EmPlace, column) == 20, "EmPlace");
_Static_assert(sizeof(EmConfigService) == 56 && offsetof(EmConfigService, own_file) == 48, "EmConfigService");
_Static_assert(sizeof(EmSessionService) == 80 && offsetof(EmSessionService, message_slot_set) == 72, "EmSessionService");
_Static_assert(sizeof(EmEditsService) == 208 && offsetof(EmEditsService, recipient_verdict) == 200, "EmEditsService");
_Static_assert(sizeof(EmExtensionService) == 48 && offsetof(EmExtensionService, parameter) == 40, "EmExtensionService");
_Static_assert(sizeof(EmLayoutService) == 16 && offsetof(EmLayoutService, check) == 8, "EmLayoutService");
_Static_assert(sizeof(EmMessageService) == 24 && offsetof(EmMessageService, body) == 16, "EmMessageService");
_Static_assert(sizeof(EmStateService) == 80 && offsetof(EmStateService, result) == 72, "EmStateService");
_Static_assert(sizeof(EmDirectoryService) == 56 && offsetof(EmDirectoryService, wait) == 48, "EmDirectoryService");
_Static_assert(sizeof(EmAdminService) == 32 && offsetof(EmAdminService, fail) == 24, "EmAdminService");
_Static_assert(sizeof(EmMetricsService) == 56 && offsetof(EmMetricsService, observe) == 48, "EmMetricsService");
_Static_assert(sizeof(EmQueueId) == 32 && offsetof(EmQueueId, text) == 0, "EmQueueId");
_Static_assert(sizeof(EmSubmitService) == 72 && offsetof(EmSubmitService, abandon) == 64, "EmSubmitService");
_Static_assert(sizeof(EmQueueCount) == 32 && offsetof(EmQueueCount, octets) == 24, "EmQueueCount");
_Static_assert(sizeof(EmQueueService) == 80 && offsetof(EmQueueService, result) == 72, "EmQueueService");
_Static_assert(sizeof(EmOutboundTarget) == 40 && offsetof(EmOutboundTarget, reserved) == 34, "EmOutboundTarget");
_Static_assert(sizeof(EmOutboundReversal) == 56 && offsetof(EmOutboundReversal, listener) == 40, "EmOutboundReversal");
_Static_assert(sizeof(EmOutboundProgress) == 40 && offsetof(EmOutboundProgress, received) == 32, "EmOutboundProgress");
_Static_assert(sizeof(EmOutboundService) == 144 && offsetof(EmOutboundService, close) == 136, "EmOutboundService");
_Static_assert(sizeof(EmFilter) == 80 && offsetof(EmFilter, authenticated) == 76, "EmFilter");
_Static_assert(sizeof(EmFilterService) == 16 && offsetof(EmFilterService, narrow) == 8, "EmFilterService");
_Static_assert(sizeof(EmAsyncService) == 40 && offsetof(EmAsyncService, extend) == 32, "EmAsyncService");
_Static_assert(sizeof(EmTimersService) == 24 && offsetof(EmTimersService, wait) == 16, "EmTimersService");
_Static_assert(sizeof(EmDnsRecord) == 24 && offsetof(EmDnsRecord, reserved) == 18, "EmDnsRecord");
_Static_assert(sizeof(EmDnsAnswer) == 32 && offsetof(EmDnsAnswer, reserved) == 28, "EmDnsAnswer");
_Static_assert(sizeof(EmDnsService) == 32 && offsetof(EmDnsService, wait) == 24, "EmDnsService");
#endif

#ifdef __cplusplus
}
#endif

#endif /* STAGEPOST_EXTMGR_H */
