/* Takes MAIL over, which nobody may: client and server would be out of step. */
#include "fault.h"

EM_DESCRIPTOR("handled-at-mail", "1.0", EM_CLASS_BLOCKING, EM_STAGE_MAIL, EM_EDIT_VERDICT);

static STATUS on_mail(const EMRECORD *record)
{
    (void)record;
    return NOERROR;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    return before(base, host, EM_SMTPMAIL, on_mail);
}
