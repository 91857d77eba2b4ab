/* What the bad plug-ins share. */

#ifndef FAULT_H
#define FAULT_H

#include "extmgr.h"

/* Registers one handler before one event. */
static inline STATUS before(const EmBase *base, EmHost *host, EID event, EMHANDLER handler)
{
    return base->EMRegister(host, event, EM_REG_BEFORE, handler, NULL, NULL, 0, NULL);
}

/* A handler that has nothing against anything. */
static inline STATUS go_on(const EMRECORD *record)
{
    (void)record;
    return ERR_EM_CONTINUE;
}

#endif
