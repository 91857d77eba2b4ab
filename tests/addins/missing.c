/* An add-in that needs functions that the bridge does not have. */

#include "global.h"
#include "extmgr.h"

extern STATUS LNPUBLIC NSFDbCopy(DHANDLE from, DHANDLE to, TIMEDATE since, WORD classes);
extern STATUS LNPUBLIC BillingWrite(WORD length);

STATUS LNPUBLIC MainEntryPoint(void)
{
    TIMEDATE since = {{0, 0}};

    return NSFDbCopy(NULLHANDLE, NULLHANDLE, since, 0) | BillingWrite(0);
}
