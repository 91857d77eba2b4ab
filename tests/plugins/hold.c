/* Keeps every message in the queue, undelivered: for measuring what accepting and queueing cost. */
#include "extmgr.h"

EM_DESCRIPTOR("hold", "1.0", EM_CLASS_INLINE, EM_STAGE_MESSAGEACCEPT, EM_EDIT_HOLD);

static const EmEditsService *edits;

static STATUS on_message(const EMRECORD *record)
{
    const EmMessageAccept *message = (const EmMessageAccept *)record->Event;

    return edits->hold(message->event.edits, em_text("measured")) == NOERROR ? ERR_EM_CONTINUE : EM_FAULT;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    edits = (const EmEditsService *)base->service(host, em_text(EM_EDITS_ID));
    if (edits == NULL)
        return ERR_NOT_FOUND;
    return base->EMRegister(host, EM_SMTPMESSAGEACCEPT, EM_REG_BEFORE, on_message, NULL, NULL, 0, NULL);
}
