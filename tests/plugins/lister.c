/* Refuses clients that are on a list in the DNS, with the text that stands there: in line, without a thread. */
#include <stdio.h>
#include <stdlib.h>

#include "extmgr.h"

EM_DESCRIPTOR("lister", "1.0", EM_CLASS_INLINE, EM_STAGE_CONNECT, EM_EDIT_VERDICT);

/* Set once by em_entry, before any handler runs. */
static const EmAsyncService *later;
static const EmDnsService *dns;
static const EmEditsService *edits;
static EmHost *our_host;

/* What a call waits for; freed by its release. */
struct look_up {
    EmToken token;
    uint32_t query;
};

static STATUS answered(const EMRECORD *record, void *data, uint32_t reason)
{
    const struct look_up *look_up = data;
    const EmConnect *connect = (const EmConnect *)record->Event;
    const EmDnsAnswer *answer;
    STATUS status;

    if (reason != EM_POLL_WOKEN)
        return EM_FAULT;
    status = dns->answer(our_host, look_up->token, look_up->query, &answer);
    if (status == EM_PENDING)
        return EM_PENDING;
    if (status != NOERROR)
        return EM_FAULT;
    if (answer->outcome != EM_DNS_FOUND)
        return ERR_EM_CONTINUE;
    status = edits->verdict(connect->event.edits, EM_VERDICT_REJECT, 554, em_text(""), answer->records[0].value);
    return status == NOERROR ? EM_VERDICT : EM_FAULT;
}

static STATUS on_connect(const EMRECORD *record)
{
    const EmConnect *connect = (const EmConnect *)record->Event;
    struct look_up *look_up;
    unsigned a, b, c, d;
    char address[64], name[64];

    snprintf(address, sizeof address, "%.*s", (int)connect->remote_ip.len, connect->remote_ip.data);
    if (sscanf(address, "%u.%u.%u.%u", &a, &b, &c, &d) != 4)
        return ERR_EM_CONTINUE;
    snprintf(name, sizeof name, "%u.%u.%u.%u.list.test", d, c, b, a);
    look_up = calloc(1, sizeof *look_up);
    if (look_up == NULL)
        return EM_FAULT;
    if (later->pending(connect->event.edits, answered, look_up, free, &look_up->token) != NOERROR) {
        free(look_up);
        return EM_FAULT;
    }
    if (dns->ask(our_host, look_up->token, EM_DNS_TXT, em_text(name), &look_up->query) != NOERROR)
        later->complete(our_host, look_up->token, EM_FAULT);
    return EM_PENDING;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    our_host = host;
    later = (const EmAsyncService *)base->service(host, em_text(EM_ASYNC_ID));
    dns = (const EmDnsService *)base->service(host, em_text(EM_DNS_ID));
    edits = (const EmEditsService *)base->service(host, em_text(EM_EDITS_ID));
    if (later == NULL || dns == NULL || edits == NULL)
        return ERR_NOT_FOUND;
    return base->EMRegister(host, EM_SMTPCONNECT, EM_REG_BEFORE, on_connect, NULL, NULL, 0, NULL);
}
