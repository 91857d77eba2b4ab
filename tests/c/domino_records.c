/* Reads records that the bridge's own call makes, in every way in which add-ins do; prints what was read. C and C++, on any
 * processor. */

#include <stdio.h>

#include "extmgr.h"
#include "nsferr.h"

#ifdef __cplusplus
extern "C" {
#endif
STATUS notes_call(EMHANDLER handler, EID event, WORD stage, STATUS status, const uint64_t *arguments);
#ifdef __cplusplus
}
#endif

static void show(const char *how, DWORD session, const char *ip, const char *host, BOOL *relay, const char *greeting, DWORD room)
{
    printf("%s %x %s %s %d %s %x\n", how, session, ip, host, *relay, greeting == NULL ? "NULL" : greeting, room);
    *relay += 1;
}

static STATUS LNCALLBACK by_copy(EMRECORD far *record)
{
    VARARG_PTR ap;
    DWORD session, room;
    char *ip, *host, *greeting;
    BOOL *relay;

    VARARG_COPY(ap, record->Ap);
    session = VARARG_GET(ap, DWORD);
    ip = VARARG_GET(ap, char *);
    host = VARARG_GET(ap, char *);
    relay = VARARG_GET(ap, BOOL *);
    greeting = VARARG_GET(ap, char *);
    room = VARARG_GET(ap, DWORD);
    va_end(ap);
    show("copy", session, ip, host, relay, greeting, room);
    /* The copy was read; the list itself begins at its beginning still. */
    session = VARARG_GET(record->Ap, DWORD);
    ip = VARARG_GET(record->Ap, char *);
    printf("list %x %s\n", session, ip);
    return ERR_EM_CONTINUE;
}

static STATUS LNCALLBACK by_record(EMRECORD far *record)
{
    DWORD session = VARARG_GET(record->Ap, DWORD);
    char *ip = VARARG_GET(record->Ap, char *);
    char *host = VARARG_GET(record->Ap, char *);
    BOOL *relay = VARARG_GET(record->Ap, BOOL *);
    char *greeting = VARARG_GET(record->Ap, char *);
    DWORD room = VARARG_GET(record->Ap, DWORD);

    show("record", session, ip, host, relay, greeting, room);
    return NOERROR;
}

static STATUS LNCALLBACK by_va_arg(EMRECORD far *record)
{
    va_list ap;
    DWORD session, room;
    char *ip, *host, *greeting;
    BOOL *relay;

    VARARG_COPY(ap, record->Ap);
    session = va_arg(ap, DWORD);
    ip = va_arg(ap, char *);
    host = va_arg(ap, char *);
    relay = va_arg(ap, BOOL *);
    greeting = va_arg(ap, char *);
    room = va_arg(ap, DWORD);
    va_end(ap);
    show("va_arg", session, ip, host, relay, greeting, room);
    return (STATUS)(record->EId + record->NotificationType + record->Status);
}

/* Narrow types, which are passed as wider ones. */
static STATUS LNCALLBACK by_narrow(EMRECORD far *record)
{
    WORD word = VARARG_GET(record->Ap, WORD);
    BYTE byte = VARARG_GET(record->Ap, BYTE);
    SWORD small = VARARG_GET(record->Ap, SWORD);
    char letter = VARARG_GET(record->Ap, char);

    printf("narrow %x %x %d %c\n", word, byte, small, letter);
    return ERR_NOACCESS;
}

int main(void)
{
    static char ip[] = "192.0.2.1", host[] = "", greeting[] = "220 hello";
    BOOL relay = 1;
    uint64_t before[6], after[6], narrow[6] = {0x1ffff, 0x1ff, (uint64_t)-2, 'x', 0, 0};
    int i;

    for (i = 0; i < 6; i++)
        before[i] = after[i] = 0;
    before[0] = after[0] = 0xfedcba98u;
    before[1] = after[1] = (uint64_t)(uintptr_t)ip;
    before[2] = after[2] = (uint64_t)(uintptr_t)host;
    before[3] = after[3] = (uint64_t)(uintptr_t)&relay;
    after[4] = (uint64_t)(uintptr_t)greeting;
    after[5] = 2048;
    for (i = 0; i < 2; i++) {
        printf("%x\n", notes_call(by_copy, EM_SMTPCONNECT, EM_BEFORE, NOERROR, before));
        printf("%x\n", notes_call(by_record, EM_SMTPCONNECT, EM_AFTER, NOERROR, after));
        printf("%x\n", notes_call(by_va_arg, EM_SMTPCONNECT, EM_AFTER, ERR_NOACCESS, after));
    }
    printf("%x\n", notes_call(by_narrow, EM_SMTPCONNECT, EM_BEFORE, NOERROR, narrow));
    return 0;
}
