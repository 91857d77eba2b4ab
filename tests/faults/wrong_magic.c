/* Its descriptor is something else's. */
#include "fault.h"

#undef EM_DESCRIPTOR_MAGIC
#define EM_DESCRIPTOR_MAGIC {'S', 'T', 'A', 'G', 'E', 'H', 'A', 'N'}
EM_DESCRIPTOR("wrong-magic", "1.0", EM_CLASS_BLOCKING, EM_STAGE_CONNECT, 0);

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    return before(base, host, EM_SMTPCONNECT, go_on);
}
