/* Reads every message to its end, logs "read N octets, digest X" and changes nothing: X is FNV-1a of header and body.
 * -DNAME='"..."' names it, so that several can be loaded. */
#include <inttypes.h>
#include <stdio.h>

#include "extmgr.h"

#ifndef NAME
#define NAME "reader"
#endif

EM_DESCRIPTOR(NAME, "1.0", EM_CLASS_INLINE, EM_STAGE_MESSAGEACCEPT, 0);

/* Set once by em_entry, before any handler runs. */
static EmHost *our_host;
static const EmLogService *logging;
static const EmMessageService *messages;

static uint64_t digest(uint64_t so_far, EmText octets)
{
    uint64_t at;

    for (at = 0; at < octets.len; at++)
        so_far = (so_far ^ (unsigned char)octets.data[at]) * UINT64_C(0x100000001b3);
    return so_far;
}

static STATUS on_message(const EMRECORD *record)
{
    const EmMessageAccept *event = (const EmMessageAccept *)record->Event;
    uint64_t found = UINT64_C(0xcbf29ce484222325), offset = 0, octets;
    EmText piece;
    char line[96];

    if (messages->header(event->message, &piece) != NOERROR)
        return EM_FAULT;
    octets = piece.len;
    found = digest(found, piece);
    do {
        if (messages->body(event->message, offset, &piece) != NOERROR || piece.len > 65536)
            return EM_FAULT;
        found = digest(found, piece);
        offset += piece.len;
    } while (piece.len > 0);
    octets += offset;
    snprintf(line, sizeof line, "read %" PRIu64 " octets, digest %016" PRIx64, octets, found);
    logging->write(our_host, event->event.session, EM_LOG_INFO, em_text(line));
    return ERR_EM_CONTINUE;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    our_host = host;
    logging = (const EmLogService *)base->service(host, em_text(EM_LOG_ID));
    messages = (const EmMessageService *)base->service(host, em_text(EM_MESSAGE_ID));
    if (logging == NULL || messages == NULL)
        return ERR_NOT_FOUND;
    return base->EMRegister(host, EM_SMTPMESSAGEACCEPT, EM_REG_BEFORE, on_message, NULL, NULL, 0, NULL);
}
