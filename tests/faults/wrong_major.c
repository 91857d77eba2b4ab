/* Was built for a contract that there is not yet. */
#include "fault.h"

#undef EM_ABI_MAJOR
#define EM_ABI_MAJOR 99
EM_DESCRIPTOR("wrong-major", "1.0", EM_CLASS_BLOCKING, EM_STAGE_CONNECT, 0);

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    return before(base, host, EM_SMTPCONNECT, go_on);
}
