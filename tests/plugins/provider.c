/* Has the mail of branch.test sent to whoever has logged in and says ATRN; says how the session ended. */
#include <stdio.h>
#include <string.h>

#include "extmgr.h"

EM_DESCRIPTOR("provider", "1.0", EM_CLASS_INLINE, EM_STAGE_ATRN | EM_STAGE_DISCONNECT, EM_EDIT_VERDICT | EM_EDIT_QUEUE);

/* Set once by em_entry, before any handler runs. */
static const EmEditsService *edits;
static const EmLogService *logs;
static EmHost *own_host;

static STATUS on_atrn(const EMRECORD *record)
{
    const EmAtrn *event = (const EmAtrn *)record->Event;

    if (event->domains.len == 0)
        return ERR_EM_CONTINUE;
    if (edits->reverse(event->event.edits, em_text("branch.test\n@below.branch.test")) != NOERROR)
        return EM_FAULT;
    return NOERROR;
}

static STATUS on_disconnect(const EMRECORD *record)
{
    const EmDisconnect *event = (const EmDisconnect *)record->Event;

    if (event->reason == EM_DISCONNECT_REVERSED)
        logs->write(own_host, event->event.session, EM_LOG_INFO, em_text("it was reversed"));
    return ERR_EM_CONTINUE;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    HEMREGISTRATION registration;
    STATUS status;

    own_host = host;
    edits = (const EmEditsService *)base->service(host, em_text(EM_EDITS_ID));
    logs = (const EmLogService *)base->service(host, em_text(EM_LOG_ID));
    if (edits == NULL || logs == NULL)
        return ERR_NOT_FOUND;
    status = base->EMRegister(host, EM_SMTPATRN, EM_REG_BEFORE, on_atrn, NULL, NULL, 0, &registration);
    if (status != NOERROR)
        return status;
    return base->EMRegister(host, EM_SMTPDISCONNECT, EM_REG_BEFORE, on_disconnect, NULL, NULL, 0, &registration);
}
