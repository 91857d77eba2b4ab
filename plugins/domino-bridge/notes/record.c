/* record.c: calls a handler with a record whose list of arguments the C compiler has made. A record is never used for a
 * second call, since a handler may read the arguments off the list itself. */

#include "table.h"

static STATUS call(EMHANDLER handler, EMRECORD *record, ...)
{
    STATUS status;

    va_start(record->Ap, record);
    status = handler(record);
    va_end(record->Ap);
    return status;
}

STATUS notes_call(EMHANDLER handler, EID event, WORD stage, STATUS outcome, const uint64_t *arguments)
{
    const uint64_t none = 0;
    EMRECORD record;

    memset(&record, 0, sizeof record);
    record.EId = event;
    record.NotificationType = stage;
    record.Status = outcome;
    /* As many as any event has: NOTES_ARGUMENTS. Where the list wants an int, the slot's lower half is it. Behind them are zeros, for
     * handlers that read on. */
    return call(handler, &record, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5], none,
                none, none, none, none, none, none, none, none, none);
}
