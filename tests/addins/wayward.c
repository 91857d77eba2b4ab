/* An add-in that does what it should not, as old ones do: wrong numbers when it registers, one handler registered twice, arguments
 * torn up and kept, handlers taken away while they are called, values that are wider than a STATUS, and much on the stack. */

#include <stdio.h>

#include "global.h"
#include "extmgr.h"
#include "nsferr.h"
#include "osenv.h"
#include "addin.h"

static HEMREGISTRATION first, second;

/* What was lent, kept beyond the call as a table of sessions would. */
static char *kept_ip, *kept_host;

static void register_wrongly(char *what, EID event, DWORD flags, EMHANDLER handler)
{
    HEMREGISTRATION registration = 99;
    STATUS status = EMRegister(event, flags, handler, 0, &registration);

    AddInLogMessageText("%s: status %x, written %d", 0, what, status, registration != 99);
}

static int use_the_stack(void)
{
    volatile char room[6 << 20];
    size_t at;

    for (at = 0; at < sizeof room; at += 4096)
        room[at] = 1;
    return room[4096];
}

/* A handler from the time when everything was an int: what is above the STATUS is not to be looked at. */
static int on_connect(EMRECORD far *record)
{
    VARARG_PTR ap;

    VARARG_COPY(ap, record->Ap);
    (void)VARARG_GET(ap, DWORD);
    kept_ip = VARARG_GET(ap, char *);
    kept_host = VARARG_GET(ap, char *);
    va_end(ap);
    strtok(kept_ip, ".");
    strcat(kept_host, "!");
    AddInLogMessageText("torn to [%s] and [%s]", 0, kept_ip, kept_host);
    if (OSGetEnvironmentLong("wayward_deep"))
        AddInLogMessageText("used the stack: %d", 0, use_the_stack());
    if (OSGetEnvironmentLong("wayward_off")) {
        AddInLogMessageText("the second is off: %x", 0, EMDeregister(second));
        AddInLogMessageText("off again: %x", 0, EMDeregister(second));
        AddInLogMessageText("the first is off: %x", 0, EMDeregister(first));
        register_wrongly("too late", EM_SMTPCONNECT, EM_REG_BEFORE, (EMHANDLER)(void (*)(void))on_connect);
    }
    return (int)0x7abc0000 | ERR_EM_CONTINUE;
}

static STATUS LNCALLBACK on_second(EMRECORD far *record)
{
    (void)record;
    AddInLogMessageText("the second is called", 0);
    return ERR_EM_CONTINUE | STS_DISPLAYED;
}

static STATUS LNCALLBACK on_command(EMRECORD far *record)
{
    char *command;

    (void)VARARG_GET(record->Ap, DWORD);
    command = VARARG_GET(record->Ap, char *);
    AddInLogMessageText("verb [%s]", 0, strtok(command, " "));
    return ERR_EM_CONTINUE;
}

/* Reads more arguments than there are. */
static STATUS LNCALLBACK on_end(EMRECORD far *record)
{
    DWORD session = VARARG_GET(record->Ap, DWORD);
    char *nothing = NULL;
    int i;

    for (i = 0; i < 9; i++)
        nothing = nothing == NULL ? VARARG_GET(record->Ap, char *) : nothing;
    AddInLogMessageText("the end of %d: beyond it %d, kept [%s] and [%s]", 0, session != 0, nothing != NULL, kept_ip, kept_host);
    return NOERROR;
}

STATUS LNPUBLIC MainEntryPoint(void)
{
    register_wrongly("no event", 0, EM_REG_BEFORE, on_second);
    register_wrongly("an event beyond", 258, EM_REG_BEFORE, on_second);
    register_wrongly("no stage", EM_SMTPCONNECT, 0, on_second);
    register_wrongly("an unknown stage", EM_SMTPCONNECT, 4, on_second);
    register_wrongly("no handler", EM_SMTPCONNECT, EM_REG_BEFORE, NULL);
    AddInLogMessageText("nothing is off: %x %x", 0, EMDeregister(0), EMDeregister(4711));
    EMRegister(EM_SMTPCONNECT, EM_REG_BEFORE, (EMHANDLER)(void (*)(void))on_connect, 0, &first);
    EMRegister(EM_SMTPCONNECT, EM_REG_BEFORE, on_second, 0, &second);
    EMRegister(EM_SMTPCOMMAND, EM_REG_AFTER, on_command, 0, NULL);
    EMRegister(EM_SMTPCOMMAND, EM_REG_AFTER, on_command, 0, NULL);
    return EMRegister(EM_SMTPDISCONNECT, EM_REG_BEFORE, on_end, 0, NULL);
}
