/* Refuses a message that has "forbidden" in its body, wherever the pieces of it begin and end. */
#include <string.h>

#include "extmgr.h"

EM_DESCRIPTOR("word", "1.0", EM_CLASS_BLOCKING, EM_STAGE_MESSAGEACCEPT, EM_EDIT_VERDICT);

/* Set once by em_entry, before any handler runs. */
static const EmEditsService *edits;
static const EmMessageService *messages;

static const char WORD[] = "forbidden";

static STATUS refuse(struct EmEdits *sheet)
{
    STATUS status = edits->verdict(sheet, EM_VERDICT_REJECT, 554, em_text("5.7.1"), em_text("A word in C"));

    return status == NOERROR ? EM_VERDICT : EM_FAULT;
}

static STATUS on_message(const EMRECORD *record)
{
    const EmMessageAccept *event = (const EmMessageAccept *)record->Event;
    size_t matched = 0;
    uint64_t offset = 0, at;
    EmText piece;

    for (;;) {
        if (messages->body(event->message, offset, &piece) != NOERROR)
            return EM_FAULT;
        if (piece.len == 0)
            return ERR_EM_CONTINUE;
        for (at = 0; at < piece.len; at++) {
            /* No part of the word but its beginning begins with its first letter. */
            if (piece.data[at] == WORD[matched])
                matched++;
            else
                matched = piece.data[at] == WORD[0];
            if (matched == strlen(WORD))
                return refuse(event->event.edits);
        }
        offset += piece.len;
    }
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    edits = (const EmEditsService *)base->service(host, em_text(EM_EDITS_ID));
    messages = (const EmMessageService *)base->service(host, em_text(EM_MESSAGE_ID));
    if (edits == NULL || messages == NULL)
        return ERR_NOT_FOUND;
    return base->EMRegister(host, EM_SMTPMESSAGEACCEPT, EM_REG_BEFORE, on_message, NULL, NULL, 0, NULL);
}
