/* example-c: a plug-in in C. Logs who connects and stamps a header field on every message. */

#include <stdio.h>

#include "extmgr.h"

EM_DESCRIPTOR("example-c", "0.1.0", EM_CLASS_BLOCKING, EM_STAGE_CONNECT | EM_STAGE_MESSAGEACCEPT, EM_EDIT_HEADER);

/* Set once by em_entry, before any handler runs. */
static EmHost *our_host;
static const EmLogService *logging;
static const EmSessionService *sessions;
static const EmEditsService *edits;

static STATUS on_connect(const EMRECORD *record)
{
    const EmConnect *connect = (const EmConnect *)record->Event;
    char line[128];

    snprintf(line, sizeof line, "connection from %.*s", (int)connect->remote_ip.len, connect->remote_ip.data);
    logging->write(our_host, connect->event.session, EM_LOG_INFO, em_text(line));
    return ERR_EM_CONTINUE;
}

static STATUS on_message(const EMRECORD *record)
{
    const EmMessageAccept *message = (const EmMessageAccept *)record->Event;
    uint64_t id = 0;
    char stamp[128];
    STATUS status = sessions->number(message->event.session, EM_FACT_ID, &id);

    if (status != NOERROR)
        return EM_FAULT;
    snprintf(stamp, sizeof stamp, "seen by example-c, session %llu", (unsigned long long)id);
    if (edits->header_add(message->event.edits, em_text("X-Example-C"), em_text(stamp)) != NOERROR)
        return EM_FAULT;
    logging->write(our_host, message->event.session, EM_LOG_INFO, em_text("stamped the message"));
    return ERR_EM_CONTINUE;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    STATUS status;

    our_host = host;
    logging = (const EmLogService *)base->service(host, em_text(EM_LOG_ID));
    sessions = (const EmSessionService *)base->service(host, em_text(EM_SESSION_ID));
    edits = (const EmEditsService *)base->service(host, em_text(EM_EDITS_ID));
    if (logging == NULL || sessions == NULL || edits == NULL)
        return ERR_NOT_FOUND;

    status = base->EMRegister(host, EM_SMTPCONNECT, EM_REG_BEFORE, on_connect, NULL, NULL, 0, NULL);
    if (status != NOERROR)
        return status;
    return base->EMRegister(host, EM_SMTPMESSAGEACCEPT, EM_REG_BEFORE, on_message, NULL, NULL, 0, NULL);
}
