/* Answers MAIL with a status that means nothing. */
#include "fault.h"

EM_DESCRIPTOR("bad-status", "1.0", EM_CLASS_BLOCKING, EM_STAGE_MAIL, 0);

static STATUS on_mail(const EMRECORD *record)
{
    (void)record;
    return 0x7777;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    return before(base, host, EM_SMTPMAIL, on_mail);
}
