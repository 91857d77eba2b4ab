/* Registers a handler that refuses everybody, then says that it could not start. */
#include "fault.h"

EM_DESCRIPTOR("failing-init", "1.0", EM_CLASS_BLOCKING, EM_STAGE_CONNECT, 0);

static STATUS never_called(const EMRECORD *record)
{
    (void)record;
    return EM_FAULT;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    STATUS status = before(base, host, EM_SMTPCONNECT, never_called);
    return status != NOERROR ? status : ERR_NOT_FOUND;
}
