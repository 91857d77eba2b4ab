/* Asks for edits with arguments that can't be: NULL with a length, lengths beyond all memory, octets that may not be there,
 * no sheet, a sheet of an earlier call. The server must refuse them all and change nothing. Logs "all refused", or what was
 * taken. */
#include <stdio.h>
#include <string.h>

#include "fault.h"

EM_DESCRIPTOR("bad-edits", "1.0", EM_CLASS_INLINE, EM_STAGE_MAIL | EM_STAGE_HEADERS | EM_STAGE_BODY | EM_STAGE_MESSAGEACCEPT,
              EM_EDIT_HEADER | EM_EDIT_BODY | EM_EDIT_SENDER | EM_EDIT_RECIPIENT | EM_EDIT_HOLD | EM_EDIT_ATTRIBUTE |
                  EM_EDIT_TAG);

static EmHost *our_host;
static const EmLogService *logging;
static const EmEditsService *edits;
static const EmMessageService *messages;

static unsigned taken;

static void refused(STATUS status)
{
    if (status == NOERROR || status == EM_FAULT)
        taken++;
}

/* Every edit with one bad text, and with a good one where it takes two. */
static void ask(struct EmEdits *sheet, EmText bad)
{
    EmText good = em_text("X-Good");

    refused(edits->header_add(sheet, bad, good));
    refused(edits->header_insert(sheet, 0, bad, good));
    refused(edits->header_change(sheet, bad, 1, good));
    refused(edits->header_delete(sheet, bad, 1));
    refused(edits->header_add(sheet, good, bad));
    refused(edits->header_insert(sheet, UINT32_MAX, good, bad));
    refused(edits->header_change(sheet, good, UINT32_MAX, bad));
    refused(edits->sender(sheet, bad, em_text("")));
    refused(edits->recipient_add(sheet, bad, em_text("")));
    refused(edits->recipient_add(sheet, em_text("b@example.test"), bad));
    refused(edits->recipient_remove(sheet, bad));
    refused(edits->recipient_replace(sheet, em_text(""), bad, em_text("")));
    refused(edits->recipient_replace(sheet, bad, em_text("b@example.test"), em_text("")));
    refused(edits->recipient_replace(sheet, em_text(""), em_text("b@example.test"), bad));
    refused(edits->reply_change(sheet, 550, bad, em_text("")));
    refused(edits->reply_change(sheet, 0, em_text(""), bad));
    refused(edits->hold(sheet, bad));
    refused(edits->tag(sheet, bad));
    refused(edits->attribute(sheet, bad, good));
    refused(edits->body_prepend(sheet, bad));
    refused(edits->body_append(sheet, bad));
    refused(edits->body_replace(sheet, bad));
    refused(edits->verdict(sheet, EM_VERDICT_REJECT, 550, em_text(""), bad));
    refused(edits->reply_text(sheet, bad));
}

static STATUS on_event(const EMRECORD *record)
{
    static struct EmEdits *earlier;
    static const uint64_t lengths[] = {1, 4096, 1ULL << 31, 1ULL << 32, 1ULL << 63, UINT64_MAX - 1, UINT64_MAX};
    struct EmEdits *sheet = ((const EmEvent *)record->Event)->edits;
    size_t at;
    char line[64];

    for (at = 0; at < sizeof lengths / sizeof lengths[0]; at++) {
        EmText bad = {NULL, 0};
        bad.len = lengths[at];
        ask(sheet, bad);
        bad.data = "x";
        /* Longer than any text that is taken: never read. */
        if (bad.len > 1ULL << 30)
            ask(sheet, bad);
    }
    ask(sheet, em_text("bare\n"));
    ask(sheet, em_text("bare\r "));
    ask(NULL, em_text("X-Other"));
    /* A record of before: its sheet is mostly told to be gone, and never one of this call. */
    if (earlier != NULL && earlier != sheet)
        ask(earlier, em_text("bare\n"));
    earlier = sheet;
    if (record->EId == EM_SMTPMESSAGEACCEPT) {
        const EmMessageAccept *event = (const EmMessageAccept *)record->Event;
        EmText piece;

        refused(messages->body(event->message, 0, NULL));
        refused(messages->header(NULL, &piece));
        if (messages->body(event->message, UINT64_MAX, &piece) != NOERROR || piece.len != 0)
            taken++;
        snprintf(line, sizeof line, taken == 0 ? "all refused" : "%u taken", taken);
        logging->write(our_host, event->event.session, EM_LOG_INFO, em_text(line));
    }
    return ERR_EM_CONTINUE;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    static const EID events[] = {EM_SMTPMAIL, EM_SMTPHEADERS, EM_SMTPBODY, EM_SMTPMESSAGEACCEPT};
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
    return NOERROR;
}
