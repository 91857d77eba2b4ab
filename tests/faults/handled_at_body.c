/* Takes a body over in the middle of it, which nobody may: client and server would be out of step. */
#include "fault.h"

EM_DESCRIPTOR("handled-at-body", "1.0", EM_CLASS_INLINE, EM_STAGE_BODY, EM_EDIT_VERDICT);

static STATUS on_body(const EMRECORD *record)
{
    (void)record;
    return NOERROR;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    return before(base, host, EM_SMTPBODY, on_body);
}
