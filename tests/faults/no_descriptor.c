/* Says nothing of itself. */
#include "fault.h"

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    return before(base, host, EM_SMTPCONNECT, go_on);
}
