/* Was built with another base. */
#include "fault.h"

#undef EM_BASE_DIGEST
#define EM_BASE_DIGEST 0x0123456789abcdefULL
EM_DESCRIPTOR("wrong-digest", "1.0", EM_CLASS_BLOCKING, EM_STAGE_CONNECT, 0);

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    return before(base, host, EM_SMTPCONNECT, go_on);
}
