/* Answers VRFY with what is known of TLS, and says at STARTTLS what it is called for. */
#include <stdio.h>
#include <string.h>

#include "extmgr.h"

EM_DESCRIPTOR("secure", "1.0", EM_CLASS_BLOCKING, EM_STAGE_VRFY | EM_STAGE_STARTTLS | EM_STAGE_DISCONNECT,
              EM_EDIT_VERDICT);

/* Set once by em_entry, before any handler runs. */
static const EmEditsService *edits;
static const EmSessionService *sessions;
static const EmLogService *logs;
static EmHost *own_host;

static STATUS on_vrfy(const EMRECORD *record)
{
    static const uint32_t facts[] = {EM_FACT_TLS_VERSION, EM_FACT_TLS_CIPHER, EM_FACT_TLS_SERVER_NAME,
                                     EM_FACT_TLS_CLIENT_SUBJECT, EM_FACT_TLS_CLIENT_SHA256};
    const EmVrfy *event = (const EmVrfy *)record->Event;
    char words[400];
    uint64_t on = 9;
    size_t at, used;
    EmText answer;

    if (sessions->number(event->event.session, EM_FACT_TLS, &on) != NOERROR)
        return EM_FAULT;
    used = (size_t)snprintf(words, sizeof words, "tls %d", (int)on);
    for (at = 0; at < sizeof facts / sizeof facts[0]; at++) {
        EmText value = {"-", 1};

        /* What is not known leaves the dash. */
        sessions->text(event->event.session, facts[at], &value);
        if (used + value.len + 2 > sizeof words)
            return EM_FAULT;
        words[used++] = ' ';
        memcpy(words + used, value.data, value.len);
        used += value.len;
    }
    answer.data = words;
    answer.len = used;
    return edits->verdict(event->event.edits, EM_VERDICT_HANDLED, 250, em_text("2.1.5"), answer) == NOERROR ? EM_VERDICT
                                                                                                          : EM_FAULT;
}

static STATUS on_starttls(const EMRECORD *record)
{
    const EmStartTls *event = (const EmStartTls *)record->Event;
    int before = record->NotificationType == EM_BEFORE;

    if (event->event.reply != NULL)
        return EM_FAULT;
    logs->write(own_host, event->event.session, EM_LOG_INFO, em_text(before ? "before starttls" : "after starttls"));
    return ERR_EM_CONTINUE;
}

static STATUS on_disconnect(const EMRECORD *record)
{
    const EmDisconnect *event = (const EmDisconnect *)record->Event;

    if (event->reason == EM_DISCONNECT_HANDSHAKE)
        logs->write(own_host, event->event.session, EM_LOG_INFO, em_text("no handshake"));
    return ERR_EM_CONTINUE;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    STATUS status;

    own_host = host;
    edits = (const EmEditsService *)base->service(host, em_text(EM_EDITS_ID));
    sessions = (const EmSessionService *)base->service(host, em_text(EM_SESSION_ID));
    logs = (const EmLogService *)base->service(host, em_text(EM_LOG_ID));
    if (edits == NULL || sessions == NULL || logs == NULL)
        return ERR_NOT_FOUND;
    status = base->EMRegister(host, EM_SMTPVRFY, EM_REG_BEFORE, on_vrfy, NULL, NULL, 0, NULL);
    if (status == NOERROR)
        status = base->EMRegister(host, EM_SMTPSTARTTLS, EM_REG_BEFORE | EM_REG_AFTER, on_starttls, NULL, NULL, 0, NULL);
    if (status == NOERROR)
        status = base->EMRegister(host, EM_SMTPDISCONNECT, EM_REG_BEFORE, on_disconnect, NULL, NULL, 0, NULL);
    return status;
}
