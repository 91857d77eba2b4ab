/* Talks to another server at MAIL in every way that can't be, and leaves what it has begun: each must be told by its status. What
 * was not is in its refusal; else it has nothing against anything. */
#include <stdio.h>
#include <string.h>

#include "fault.h"

EM_DESCRIPTOR("strange-session", "1.0", EM_CLASS_INLINE, EM_STAGE_MAIL, EM_EDIT_OUTBOUND | EM_EDIT_VERDICT);

/* The most sessions of a plug-in. */
#define SESSIONS_MAX 64

/* Set once by em_entry, before any handler runs. */
static const EmAsyncService *later;
static const EmEditsService *edits;
static const EmOutboundService *outbound;
static EmHost *self;
static int64_t port;

/* Of the call that runs; there is one client. */
static EmToken token;
static EmRequest request;
static char wrong[512];

#define WANT(wanted, call) \
    do { \
        STATUS found_ = (call); \
        if (found_ != (wanted) && strlen(wrong) < 400) \
            snprintf(wrong + strlen(wrong), 80, "line %d: %04x; ", __LINE__, found_); \
    } while (0)

static STATUS begin(EmOutbound *session)
{
    EmOutboundTarget target;

    memset(&target, 0, sizeof target);
    target.size = sizeof target;
    target.host = em_text("127.0.0.1");
    target.port = (uint16_t)port;
    return outbound->begin(self, &target, session);
}

static STATUS answer(const EMRECORD *record)
{
    const EmMail *mail = (const EmMail *)record->Event;

    if (wrong[0] == '\0')
        return ERR_EM_CONTINUE;
    return edits->verdict(mail->event.edits, EM_VERDICT_REJECT, 550, em_text("5.7.1"), em_text(wrong)) == NOERROR ? EM_VERDICT
                                                                                                                   : EM_FAULT;
}

/* The session was closed while it was opened. */
static STATUS closed(const EMRECORD *record, void *data, uint32_t reason)
{
    EmOutbound session;
    int count;

    (void)data;
    if (reason != EM_POLL_WOKEN)
        return EM_FAULT;
    WANT(EM_ERR_OVER, outbound->result(self, request));
    WANT(ERR_MISC_INVALID_ARGS, outbound->result(self, request));
    for (count = 0; count < SESSIONS_MAX; count++)
        WANT(NOERROR, begin(&session));
    WANT(EM_ERR_LIMIT, begin(&session));
    return answer(record);
}

static STATUS on_mail(const EMRECORD *record)
{
    const EmMail *mail = (const EmMail *)record->Event;
    EmOutbound session;
    EmRequest none;

    if (token != 0) {
        /* The second time: those that were left are there, and the token is not. */
        WANT(EM_ERR_LIMIT, begin(&session));
        WANT(EM_ERR_OVER, outbound->open(self, token, 2, &none));
        return answer(record);
    }
    WANT(NOERROR, begin(&session));
    WANT(EM_ERR_STAGE, outbound->open_wait(self, session));
    WANT(ERR_NOT_FOUND, outbound->open(self, 0, session, &none));
    if (later->pending(mail->event.edits, closed, NULL, NULL, &token) != NOERROR)
        return EM_FAULT;
    WANT(ERR_NOT_FOUND, outbound->open(self, token + 1, session, &none));
    WANT(ERR_NOT_FOUND, outbound->open(self, token, session + 1, &none));
    WANT(ERR_MISC_INVALID_ARGS, outbound->open(self, token, session, NULL));
    WANT(NOERROR, outbound->open(self, token, session, &request));
    WANT(EM_ERR_STAGE, outbound->open(self, token, session, &none));
    WANT(EM_ERR_STAGE, outbound->command(self, token, session, em_text("NOOP"), &none));
    WANT(EM_PENDING, outbound->result(self, request));
    WANT(ERR_MISC_INVALID_ARGS, outbound->result(self, request + 1));
    WANT(ERR_MISC_INVALID_ARGS, outbound->result(self, 0));
    WANT(NOERROR, outbound->close(self, session));
    WANT(ERR_NOT_FOUND, outbound->close(self, session));
    return EM_PENDING;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    const EmConfigService *config = (const EmConfigService *)base->service(host, em_text(EM_CONFIG_ID));

    self = host;
    later = (const EmAsyncService *)base->service(host, em_text(EM_ASYNC_ID));
    edits = (const EmEditsService *)base->service(host, em_text(EM_EDITS_ID));
    outbound = (const EmOutboundService *)base->service(host, em_text(EM_OUTBOUND_ID));
    if (config == NULL || later == NULL || edits == NULL || outbound == NULL)
        return ERR_NOT_FOUND;
    if (config->integer(host, em_text("port"), &port) != NOERROR)
        return ERR_NOT_FOUND;
    return before(base, host, EM_SMTPMAIL, on_mail);
}
