/* Sleeps in connect, for `sleep_ms` milliseconds of its configuration (default 1,000). */
#define _POSIX_C_SOURCE 199309L
#include <errno.h>
#include <time.h>

#include "fault.h"

EM_DESCRIPTOR("slow", "1.0", EM_CLASS_BLOCKING, EM_STAGE_CONNECT, 0);

static int64_t sleep_ms = 1000;

static STATUS on_connect(const EMRECORD *record)
{
    struct timespec left;

    (void)record;
    left.tv_sec = (time_t)(sleep_ms / 1000);
    left.tv_nsec = (long)(sleep_ms % 1000) * 1000000L;
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
    return ERR_EM_CONTINUE;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    const EmConfigService *config = (const EmConfigService *)base->service(host, em_text(EM_CONFIG_ID));

    if (config == NULL)
        return ERR_NOT_FOUND;
    config->integer(host, em_text("sleep_ms"), &sleep_ms);
    return before(base, host, EM_SMTPCONNECT, on_connect);
}
