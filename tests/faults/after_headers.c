/* Wants to be called after the header block, of which there is only a before. */
#include "fault.h"

EM_DESCRIPTOR("after-headers", "1.0", EM_CLASS_INLINE, EM_STAGE_HEADERS, 0);

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    return base->EMRegister(host, EM_SMTPHEADERS, EM_REG_BEFORE | EM_REG_AFTER, go_on, NULL, NULL, 0, NULL);
}
