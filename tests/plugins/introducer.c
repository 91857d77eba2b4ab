/* Answers VRFY with what is known of the two ends of the session and of a proxy between them. */
#include <stdio.h>
#include <string.h>

#include "extmgr.h"

EM_DESCRIPTOR("introducer", "1.0", EM_CLASS_BLOCKING, EM_STAGE_VRFY, EM_EDIT_VERDICT);

/* Set once by em_entry, before any handler runs. */
static const EmEditsService *edits;
static const EmSessionService *sessions;

static STATUS on_vrfy(const EMRECORD *record)
{
    static const struct {
        uint32_t text, number;
    } ends[] = {{EM_FACT_REMOTE_IP, EM_FACT_REMOTE_PORT},
                {EM_FACT_LOCAL_IP, EM_FACT_LOCAL_PORT},
                {EM_FACT_PROXY_IP, EM_FACT_PROXY_PORT},
                {EM_FACT_REMOTE_NAME, 0}};
    const EmVrfy *event = (const EmVrfy *)record->Event;
    char words[400];
    size_t at, used = 0;
    EmText answer;

    for (at = 0; at < sizeof ends / sizeof ends[0]; at++) {
        EmText value = {"-", 1};
        uint64_t number = 0;

        /* What is not known leaves the dash and no port. */
        sessions->text(event->event.session, ends[at].text, &value);
        sessions->number(event->event.session, ends[at].number, &number);
        used += (size_t)snprintf(words + used, sizeof words - used, "%s%.*s %d", at == 0 ? "" : " ", (int)value.len,
                                 value.data, (int)number);
        if (used >= sizeof words)
            return EM_FAULT;
    }
    answer.data = words;
    answer.len = used;
    return edits->verdict(event->event.edits, EM_VERDICT_HANDLED, 250, em_text("2.1.5"), answer) == NOERROR ? EM_VERDICT
                                                                                                          : EM_FAULT;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    edits = (const EmEditsService *)base->service(host, em_text(EM_EDITS_ID));
    sessions = (const EmSessionService *)base->service(host, em_text(EM_SESSION_ID));
    if (edits == NULL || sessions == NULL)
        return ERR_NOT_FOUND;
    return base->EMRegister(host, EM_SMTPVRFY, EM_REG_BEFORE, on_vrfy, NULL, NULL, 0, NULL);
}
