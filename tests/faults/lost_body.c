/* Puts more in the place of a body than the disk has room for, and answers as if all were well; with `refuse` = true it
 * refuses the message. Does not look at what the setters say but to know when it is enough. */
#include <string.h>

#include "fault.h"

EM_DESCRIPTOR("lost-body", "1.0", EM_CLASS_BLOCKING, EM_STAGE_MESSAGEACCEPT,
              EM_EDIT_VERDICT | EM_EDIT_HEADER | EM_EDIT_BODY);

static const EmEditsService *edits;
static uint8_t refuse;

/* One line of a text without end. */
static char piece[65536];

static STATUS on_message(const EMRECORD *record)
{
    struct EmEdits *sheet = ((const EmEvent *)record->Event)->edits;
    EmText octets = {piece, sizeof piece};

    edits->header_add(sheet, em_text("X-Replaced"), em_text("yes"));
    while (edits->body_replace(sheet, octets) == NOERROR)
        ;
    edits->body_replace(sheet, em_text("What fits.\r\n"));
    if (refuse == 0)
        return ERR_EM_CONTINUE;
    edits->verdict(sheet, EM_VERDICT_REJECT, 550, em_text("5.7.1"), em_text("Not this one"));
    return EM_VERDICT;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    const EmConfigService *config = (const EmConfigService *)base->service(host, em_text(EM_CONFIG_ID));

    edits = (const EmEditsService *)base->service(host, em_text(EM_EDITS_ID));
    if (edits == NULL || config == NULL)
        return ERR_NOT_FOUND;
    memset(piece, 'x', sizeof piece);
    if (config->boolean(host, em_text("refuse"), &refuse) != NOERROR)
        refuse = 0;
    return before(base, host, EM_SMTPMESSAGEACCEPT, on_message);
}
