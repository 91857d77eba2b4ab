/* Takes a token before MAIL and forgets it: `mode` of its configuration says how. */
#include <string.h>

#include "fault.h"

EM_DESCRIPTOR("leaked-token", "1.0", EM_CLASS_INLINE, EM_STAGE_MAIL, 0);

static const EmAsyncService *later;
static EmText mode;

static int is(const char *name)
{
    return mode.len == strlen(name) && memcmp(mode.data, name, mode.len) == 0;
}

static STATUS on_mail(const EMRECORD *record)
{
    const EmMail *mail = (const EmMail *)record->Event;
    EmToken token;

    if (!is("none") && later->pending(mail->event.edits, NULL, NULL, NULL, &token) != NOERROR)
        return EM_FAULT;
    return is("returned") ? ERR_EM_CONTINUE : EM_PENDING;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    const EmConfigService *config = (const EmConfigService *)base->service(host, em_text(EM_CONFIG_ID));

    later = (const EmAsyncService *)base->service(host, em_text(EM_ASYNC_ID));
    if (config == NULL || later == NULL || config->text(host, em_text("mode"), &mode) != NOERROR)
        return ERR_NOT_FOUND;
    return before(base, host, EM_SMTPMAIL, on_mail);
}
