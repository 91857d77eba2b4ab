/* Declares one stage and registers for another; passes on what it is told. */
#include "fault.h"

EM_DESCRIPTOR("undeclared-stage", "1.0", EM_CLASS_BLOCKING, EM_STAGE_CONNECT, 0);

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    return before(base, host, EM_SMTPRCPT, go_on);
}
