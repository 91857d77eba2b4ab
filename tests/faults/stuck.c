/* Never returns from where its configuration says, `at`: "entry", "start", "mail", "stop", or "release", of what came with its
 * handler for START; with "refusal" the same, and its entry point fails. With "slow" that fails too, and the release returns, but
 * not at once. */
#define _POSIX_C_SOURCE 199309L
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fault.h"

EM_DESCRIPTOR("stuck", "1.0", EM_CLASS_BLOCKING, EM_STAGE_MAIL | EM_STAGE_START | EM_STAGE_STOP, 0);

static EmHost *our_host;
static const EmLogService *logging;
static EmText at;

/* Whether this is where it does not return. */
static int is_here(const char *place)
{
    return at.len == strlen(place) && memcmp(at.data, place, strlen(place)) == 0;
}

static void stay(void)
{
    for (;;)
        pause();
}

static STATUS on_start(const EMRECORD *record)
{
    (void)record;
    if (is_here("start"))
        stay();
    return ERR_EM_CONTINUE;
}

static STATUS on_mail(const EMRECORD *record)
{
    (void)record;
    if (is_here("mail"))
        stay();
    return ERR_EM_CONTINUE;
}

static STATUS on_stop(const EMRECORD *record)
{
    (void)record;
    if (is_here("stop"))
        stay();
    return ERR_EM_CONTINUE;
}

static void on_release(void *data)
{
    const struct timespec moment = {0, 200000000};

    (void)data;
    if (is_here("release") || is_here("refusal"))
        stay();
    nanosleep(&moment, NULL);
    logging->write(our_host, NULL, EM_LOG_INFO, em_text("released"));
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    const EmConfigService *config = (const EmConfigService *)base->service(host, em_text(EM_CONFIG_ID));
    STATUS status;

    our_host = host;
    logging = (const EmLogService *)base->service(host, em_text(EM_LOG_ID));
    if (config == NULL || logging == NULL)
        return ERR_NOT_FOUND;
    status = config->text(host, em_text("at"), &at);
    if (status == NOERROR && is_here("entry"))
        stay();
    if (status == NOERROR)
        status = base->EMRegister(host, EM_START, EM_REG_BEFORE, on_start, NULL, on_release, 0, NULL);
    if (status == NOERROR && (is_here("refusal") || is_here("slow")))
        return EM_FAULT;
    if (status == NOERROR)
        status = before(base, host, EM_SMTPMAIL, on_mail);
    return status != NOERROR ? status : before(base, host, EM_STOP, on_stop);
}
