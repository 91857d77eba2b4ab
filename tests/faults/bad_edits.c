/* Asks for edits with arguments that can't be: NULL with a length, lengths beyond all memory, octets that may not be there,
 * no sheet, a sheet of an earlier call. The server must refuse them all and change nothing, and where the edit may be made
 * it must be the arguments that it refuses. Logs "all refused", where it was not asked, or what was taken. */
#include <stdio.h>
#include <string.h>

#include "fault.h"

EM_DESCRIPTOR("bad-edits", "1.0", EM_CLASS_INLINE,
              EM_STAGE_COMMAND | EM_STAGE_EHLO | EM_STAGE_AUTH | EM_STAGE_MAIL | EM_STAGE_HEADERS | EM_STAGE_BODY |
                  EM_STAGE_MESSAGEACCEPT,
              EM_EDIT_VERDICT | EM_EDIT_REPLY_TEXT | EM_EDIT_REPLY_CODE | EM_EDIT_HEADER | EM_EDIT_BODY | EM_EDIT_SENDER |
                  EM_EDIT_RECIPIENT | EM_EDIT_HOLD | EM_EDIT_ATTRIBUTE | EM_EDIT_TAG | EM_EDIT_COMMAND | EM_EDIT_KEYWORD |
                  EM_EDIT_CREDENTIALS);

/* Where it asks. */
#define AT_COMMAND 0x01U
#define AT_EHLO 0x02U
#define AT_AUTH 0x04U
#define AT_MAIL 0x08U
#define AT_HEADERS 0x10U
#define AT_BODY 0x20U
#define AT_ACCEPT 0x40U
#define AFTER_MAIL 0x80U
#define EVERYWHERE 0xffU

/* Where which edits may be made. */
#define BEFORE (EVERYWHERE & ~AFTER_MAIL)
#define OF_MESSAGE (AT_MAIL | AT_HEADERS | AT_BODY | AT_ACCEPT)
#define OF_SENDER (AT_MAIL | AT_HEADERS | AT_ACCEPT)
#define OF_RECIPIENTS (AT_HEADERS | AT_ACCEPT)

static EmHost *our_host;
static const EmLogService *logging;
static const EmEditsService *edits;
static const EmMessageService *messages;

static unsigned asked;
static unsigned taken;
/* Where the call in hand is; 0: with a sheet of another. */
static unsigned place;

static void refused(unsigned allowed, STATUS status)
{
    if ((allowed & place) != 0 ? status != ERR_MISC_INVALID_ARGS : status == NOERROR || status == EM_FAULT)
        taken++;
}

/* Every edit with one bad text, and with a good one where it takes two. */
static void ask(struct EmEdits *sheet, EmText bad)
{
    EmText good = em_text("X-Good"), none = em_text(""), path = em_text("b@example.test");

    refused(OF_MESSAGE, edits->header_add(sheet, bad, good));
    refused(OF_MESSAGE, edits->header_insert(sheet, 0, bad, good));
    refused(OF_MESSAGE, edits->header_change(sheet, bad, 1, good));
    refused(OF_MESSAGE, edits->header_delete(sheet, bad, 1));
    refused(OF_MESSAGE, edits->header_add(sheet, good, bad));
    refused(OF_MESSAGE, edits->header_insert(sheet, UINT32_MAX, good, bad));
    refused(OF_MESSAGE, edits->header_change(sheet, good, UINT32_MAX, bad));
    refused(OF_SENDER, edits->sender(sheet, bad, none));
    refused(OF_SENDER, edits->sender(sheet, path, bad));
    refused(OF_RECIPIENTS, edits->recipient_add(sheet, bad, none));
    refused(OF_RECIPIENTS, edits->recipient_add(sheet, path, bad));
    refused(OF_RECIPIENTS, edits->recipient_remove(sheet, bad));
    refused(OF_RECIPIENTS, edits->recipient_replace(sheet, none, bad, none));
    refused(OF_RECIPIENTS, edits->recipient_replace(sheet, bad, path, none));
    refused(OF_RECIPIENTS, edits->recipient_replace(sheet, path, bad, none));
    refused(OF_RECIPIENTS, edits->recipient_replace(sheet, path, path, bad));
    refused(AFTER_MAIL, edits->reply_text(sheet, bad));
    refused(AFTER_MAIL, edits->reply_change(sheet, 0, bad, none));
    refused(AFTER_MAIL, edits->reply_change(sheet, 0, none, bad));
    refused(OF_MESSAGE, edits->hold(sheet, bad));
    refused(OF_MESSAGE, edits->tag(sheet, bad));
    refused(EVERYWHERE, edits->attribute(sheet, bad, good));
    refused(AT_ACCEPT, edits->body_prepend(sheet, bad));
    refused(AT_ACCEPT, edits->body_append(sheet, bad));
    refused(AT_ACCEPT, edits->body_replace(sheet, bad));
    refused(BEFORE, edits->verdict(sheet, EM_VERDICT_REJECT, 550, bad, good));
    refused(BEFORE, edits->verdict(sheet, EM_VERDICT_REJECT, 550, none, bad));
    refused(AT_ACCEPT, edits->recipient_verdict(sheet, bad, EM_VERDICT_REJECT, 550, none, good));
    refused(AT_ACCEPT, edits->recipient_verdict(sheet, path, EM_VERDICT_REJECT, 450, none, good));
    refused(AT_ACCEPT, edits->recipient_verdict(sheet, path, EM_VERDICT_DEFER, 421, none, good));
    refused(AT_ACCEPT, edits->recipient_verdict(sheet, path, EM_VERDICT_DISCONNECT, 550, none, good));
    refused(AT_ACCEPT, edits->recipient_verdict(sheet, path, EM_VERDICT_DEFER, 450, none, bad));
    refused(AT_COMMAND, edits->command_replace(sheet, bad));
    refused(AT_EHLO, edits->keyword_add(sheet, bad, none));
    refused(AT_EHLO, edits->keyword_add(sheet, good, bad));
    refused(AT_EHLO, edits->keyword_remove(sheet, bad));
    refused(AT_AUTH, edits->identity(sheet, bad));
}

static unsigned place_of(const EMRECORD *record)
{
    switch (record->EId) {
    case EM_SMTPCOMMAND:
        return AT_COMMAND;
    case EM_SMTPEHLO:
        return AT_EHLO;
    case EM_SMTPAUTH:
        return AT_AUTH;
    case EM_SMTPMAIL:
        return record->NotificationType == EM_AFTER ? AFTER_MAIL : AT_MAIL;
    case EM_SMTPHEADERS:
        return AT_HEADERS;
    case EM_SMTPBODY:
        return AT_BODY;
    default:
        return AT_ACCEPT;
    }
}

static STATUS on_event(const EMRECORD *record)
{
    static struct EmEdits *earlier;
    static const uint64_t lengths[] = {1, 4096, 1ULL << 31, 1ULL << 32, 1ULL << 63, UINT64_MAX - 1, UINT64_MAX};
    struct EmEdits *sheet = ((const EmEvent *)record->Event)->edits;
    size_t at;
    char line[64];

    place = place_of(record);
    asked |= place;
    for (at = 0; at < sizeof lengths / sizeof lengths[0]; at++) {
        EmText bad = {NULL, 0};
        bad.len = lengths[at];
        ask(sheet, bad);
        bad.data = "x";
        /* Longer than any text that is taken: never read. */
        if (bad.len > 1ULL << 30)
            ask(sheet, bad);
    }
    /* LF alone parts the lines of a reply, and is refused elsewhere; what follows it is in no reply. */
    ask(sheet, em_text("bare\n\001"));
    ask(sheet, em_text("bare\r "));
    ask(NULL, em_text("X-Other"));
    /* A record of before: its sheet is mostly told to be gone, and never one of this call. */
    place = 0;
    if (earlier != NULL && earlier != sheet)
        ask(earlier, em_text("bare\n\001"));
    earlier = sheet;
    if (record->EId == EM_SMTPMESSAGEACCEPT) {
        const EmMessageAccept *event = (const EmMessageAccept *)record->Event;
        EmText piece;

        refused(0, messages->body(event->message, 0, NULL));
        refused(0, messages->header(NULL, &piece));
        if (messages->body(event->message, UINT64_MAX, &piece) != NOERROR || piece.len != 0)
            taken++;
        if (taken != 0)
            snprintf(line, sizeof line, "%u taken", taken);
        else if (asked != EVERYWHERE)
            snprintf(line, sizeof line, "not asked at %#x", EVERYWHERE & ~asked);
        else
            snprintf(line, sizeof line, "all refused");
        logging->write(our_host, event->event.session, EM_LOG_INFO, em_text(line));
    }
    return ERR_EM_CONTINUE;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    static const EID events[] = {EM_SMTPCOMMAND, EM_SMTPEHLO, EM_SMTPAUTH,         EM_SMTPMAIL,
                                 EM_SMTPHEADERS, EM_SMTPBODY, EM_SMTPMESSAGEACCEPT};
    size_t at;

    our_host = host;
    logging = (const EmLogService *)base->service(host, em_text(EM_LOG_ID));
    edits = (const EmEditsService *)base->service(host, em_text(EM_EDITS_ID));
    messages = (const EmMessageService *)base->service(host, em_text(EM_MESSAGE_ID));
    if (logging == NULL || edits == NULL || messages == NULL)
        return ERR_NOT_FOUND;
    for (at = 0; at < sizeof events / sizeof events[0]; at++) {
        STATUS status = before(base, host, events[at], on_event);
        if (status != NOERROR)
            return status;
    }
    return base->EMRegister(host, EM_SMTPMAIL, EM_REG_AFTER, on_event, NULL, NULL, 0, NULL);
}
