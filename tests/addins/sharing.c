/* An add-in that uses a library that others use as well. */

#include "global.h"
#include "extmgr.h"
#include "nsferr.h"
#include "addin.h"

#ifndef NAME
#define NAME "sharing"
#endif

int count_user(char *name);

static STATUS LNCALLBACK on_end(EMRECORD far *record)
{
    (void)record;
    AddInLogMessageText("%s: the end is near %d", 0, NAME, count_user(NAME));
    return ERR_EM_CONTINUE;
}

#ifdef NEEDS_MORE
extern STATUS LNPUBLIC NSFDbCopy(DHANDLE from, DHANDLE to, TIMEDATE since, WORD classes);
#endif

STATUS LNPUBLIC MainEntryPoint(void)
{
#ifdef NEEDS_MORE
    TIMEDATE since = {{0, 0}};

    NSFDbCopy(NULLHANDLE, NULLHANDLE, since, 0);
#endif
    count_user(NAME);
    return EMRegister(EM_SMTPDISCONNECT, EM_REG_BEFORE, on_end, 0, NULL);
}
