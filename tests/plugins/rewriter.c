/* Rewrites the body of every message piece by piece: each 'a' becomes a 'b', a line comes before and one behind.
 * With `fail` = true it fails when all is written: nothing of it may count. */
#include <string.h>

#include "extmgr.h"

EM_DESCRIPTOR("rewriter", "1.0", EM_CLASS_BLOCKING, EM_STAGE_MESSAGEACCEPT, EM_EDIT_BODY);

/* Set once by em_entry, before any handler runs. */
static const EmEditsService *edits;
static const EmMessageService *messages;
static uint8_t fail;

static STATUS on_message(const EMRECORD *record)
{
    const EmMessageAccept *event = (const EmMessageAccept *)record->Event;
    /* Behind the empty line, which is the host's. */
    uint64_t offset = 2, at;
    char changed[65536];
    EmText piece, empty = {NULL, 0};

    if (edits->body_replace(event->event.edits, empty) != NOERROR)
        return EM_FAULT;
    for (;;) {
        EmText octets = {changed, 0};

        if (messages->body(event->message, offset, &piece) != NOERROR || piece.len > sizeof changed)
            return EM_FAULT;
        if (piece.len == 0)
            break;
        for (at = 0; at < piece.len; at++)
            changed[at] = piece.data[at] == 'a' ? 'b' : piece.data[at];
        octets.len = piece.len;
        if (edits->body_replace(event->event.edits, octets) != NOERROR)
            return EM_FAULT;
        offset += piece.len;
    }
    if (edits->body_append(event->event.edits, em_text("last line")) != NOERROR
        || edits->body_prepend(event->event.edits, em_text("first line\r\n")) != NOERROR)
        return EM_FAULT;
    return fail ? EM_FAULT : ERR_EM_CONTINUE;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    const EmConfigService *config = (const EmConfigService *)base->service(host, em_text(EM_CONFIG_ID));

    edits = (const EmEditsService *)base->service(host, em_text(EM_EDITS_ID));
    messages = (const EmMessageService *)base->service(host, em_text(EM_MESSAGE_ID));
    if (config == NULL || edits == NULL || messages == NULL)
        return ERR_NOT_FOUND;
    if (config->boolean(host, em_text("fail"), &fail) != NOERROR)
        fail = 0;
    return base->EMRegister(host, EM_SMTPMESSAGEACCEPT, EM_REG_BEFORE, on_message, NULL, NULL, 0, NULL);
}
