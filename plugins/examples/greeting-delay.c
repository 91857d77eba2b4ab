/* greeting-delay: lets every client wait `delay_ms` milliseconds (default 5,000) for the greeting, and holds no thread for it.
 * Senders in a hurry leave, or talk before their turn and are refused for it.
 *
 * The handler takes a token, sets a timer and returns; the host calls `passed` when the time has passed. */
#include "extmgr.h"

EM_DESCRIPTOR("greeting-delay", "1.0", EM_CLASS_INLINE, EM_STAGE_CONNECT, 0);

#define DELAY_MS_MAX 600000
/* What the answer itself may take. */
#define GRACE_MS 1000

/* Set once by em_entry, before any handler runs. */
static const EmAsyncService *later;
static const EmTimersService *timers;
static const EmLogService *logging;
static EmHost *our_host;
static int64_t delay_ms = 5000;

static STATUS passed(const EMRECORD *record, void *data, uint32_t reason)
{
    (void)record;
    (void)data;
    /* Nothing else wakes the call. When it is over the client is gone, and nobody wants an answer. */
    return reason == EM_POLL_WOKEN ? ERR_EM_CONTINUE : EM_FAULT;
}

static STATUS on_connect(const EMRECORD *record)
{
    const EmConnect *connect = (const EmConnect *)record->Event;
    EmToken token;

    switch (later->pending(connect->event.edits, passed, NULL, NULL, &token)) {
    case NOERROR:
        break;
    case EM_ERR_LIMIT:
        return ERR_EM_CONTINUE; /* pending_max clients wait already: this one is lucky */
    default:
        return EM_FAULT;
    }
    if (later->extend(our_host, token, (uint32_t)delay_ms + GRACE_MS) != NOERROR) {
        logging->write(our_host, connect->event.session, EM_LOG_ERROR,
                       em_text("`delay_ms` is more than `deadline_max_ms` and `chain_budget_ms` allow"));
        later->complete(our_host, token, EM_FAULT);
    } else if (timers->wake_after(our_host, token, (uint32_t)delay_ms) != NOERROR) {
        later->complete(our_host, token, EM_FAULT);
    }
    return EM_PENDING;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    const EmConfigService *config = (const EmConfigService *)base->service(host, em_text(EM_CONFIG_ID));
    STATUS status;

    our_host = host;
    logging = (const EmLogService *)base->service(host, em_text(EM_LOG_ID));
    later = (const EmAsyncService *)base->service(host, em_text(EM_ASYNC_ID));
    timers = (const EmTimersService *)base->service(host, em_text(EM_TIMERS_ID));
    if (config == NULL || logging == NULL || later == NULL || timers == NULL)
        return ERR_NOT_FOUND;
    status = config->integer(host, em_text("delay_ms"), &delay_ms);
    if ((status != NOERROR && status != ERR_NOT_FOUND) || delay_ms < 0 || delay_ms > DELAY_MS_MAX) {
        logging->write(host, NULL, EM_LOG_ERROR, em_text("`delay_ms` must be 0 to 600000"));
        return ERR_MISC_INVALID_ARGS;
    }
    return base->EMRegister(host, EM_SMTPCONNECT, EM_REG_BEFORE, on_connect, NULL, NULL, 0, NULL);
}
