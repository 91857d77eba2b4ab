/* An add-in for the four SMTP events, in the ways in which such add-ins are written: one handler for all of them, arguments read as
 * READ says, statics shared by all threads. What it does is in its variables, which are read anew at each event; what it is told, it
 * writes to the log. C and C++. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "global.h"
#include "extmgr.h"
#include "nsferr.h"
#include "osenv.h"
#include "addin.h"
#include "routeerr.h"

/* 1: VARARG_COPY, then VARARG_GET. 2: VARARG_GET on the record's own list. 3: VARARG_COPY, then va_arg. */
#ifndef READ
#define READ 1
#endif

#ifndef NAME
#define NAME "probe"
#endif

#if READ == 1
#define BEGIN VARARG_PTR ap; VARARG_COPY(ap, rec->Ap)
#define NEXT(type) VARARG_GET(ap, type)
#define END va_end(ap)
#elif READ == 2
#define BEGIN
#define NEXT(type) VARARG_GET(rec->Ap, type)
#define END
#else
#define BEGIN va_list ap; VARARG_COPY(ap, rec->Ap)
#define NEXT(type) va_arg(ap, type)
#define END va_end(ap)
#endif

#ifdef __cplusplus
extern "C" {
#endif

static WORD recursion_id;
static HEMREGISTRATION registrations[4];
static int registered = 0;

/* The variable of this add-in: a part of it, with its name before. */
static long number(const char *part)
{
    char name[64];
    sprintf(name, "%s_%s", NAME, part);
    return OSGetEnvironmentLong(name);
}

static BOOL string(const char *part, char *text)
{
    char name[64];
    sprintf(name, "%s_%s", NAME, part);
    return OSGetEnvironmentString(name, text, MAXENVVALUE - 1);
}

/* What a variable says to return; to go on when it says nothing. */
static STATUS verdict(const char *part)
{
    char text[MAXENVVALUE];
    return string(part, text) ? (STATUS)number(part) : (STATUS)ERR_EM_CONTINUE;
}

static const char *stage(EMRECORD *rec)
{
    return rec->NotificationType == EM_BEFORE ? "before" : "after";
}

/* Looks for the client's socket among the descriptors of the process, as add-ins do that want to know whether it is still there. */
static int find_client(const char *ip)
{
    struct sockaddr_storage peer;
    char text[INET6_ADDRSTRLEN];
    socklen_t length;
    int descriptor, found = 0;

    for (descriptor = 3; descriptor < 4096; descriptor++) {
        length = sizeof peer;
        if (getpeername(descriptor, (struct sockaddr *)&peer, &length) != 0)
            continue;
        if (peer.ss_family == AF_INET)
            inet_ntop(AF_INET, &((struct sockaddr_in *)&peer)->sin_addr, text, sizeof text);
        else if (peer.ss_family == AF_INET6)
            inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&peer)->sin6_addr, text, sizeof text);
        else
            continue;
        found += strcmp(text, ip) == 0;
    }
    return found;
}

static STATUS on_connect(EMRECORD *rec)
{
    char text[MAXENVVALUE];
    int seconds;
    DWORD session, room;
    char *ip, *host, *greeting;
    BOOL *relay;
    BEGIN;

    session = NEXT(DWORD);
    ip = NEXT(char *);
    host = NEXT(char *);
    relay = NEXT(BOOL *);
    greeting = NEXT(char *);
    room = NEXT(DWORD);
    END;
    AddInLogMessageText((char *)"connect %s session=%lu ip=%s host=[%s] relay=%d", 0, stage(rec), (unsigned long)session, ip, host, *relay);
    if (rec->NotificationType == EM_BEFORE) {
        if (greeting != NULL || room != 0)
            AddInLogMessageText((char *)"connect has a greeting too early", 0);
        for (seconds = (int)number("sleep"); seconds > 0; seconds--)
            sleep(1);
        if (number("scan"))
            AddInLogMessageText((char *)"found its socket %d times", 0, find_client(ip));
        if (string("relay", text))
            *relay = (BOOL)number("relay");
        return verdict("connect");
    }
    AddInLogMessageText((char *)"greeting room=%u status=%d is [%s]", 0, room, rec->Status, greeting);
    if (string("greeting", text) && strlen(text) < room)
        strcpy(greeting, text);
    if (number("overrun"))
        memset(greeting, 'x', room + 8);
    return verdict("after_connect");
}

static STATUS on_command(EMRECORD *rec)
{
    char text[MAXENVVALUE];
    DWORD session, room, reply_room;
    char *command, *reply;
    BEGIN;

    session = NEXT(DWORD);
    command = NEXT(char *);
    room = NEXT(DWORD);
    reply = NEXT(char *);
    reply_room = NEXT(DWORD);
    END;
    AddInLogMessageText((char *)"command %s session=%u [%s] status=%d reply=[%s]", 0, stage(rec), session, command, rec->Status,
                        reply == NULL ? "" : reply);
    /* Only one command, if a variable names it. */
    if (string("only", text) && strncasecmp(command, text, strlen(text)) != 0)
        return ERR_EM_CONTINUE;
    if (rec->NotificationType == EM_BEFORE) {
        if (reply != NULL || reply_room != 0)
            AddInLogMessageText((char *)"command has a reply too early", 0);
        if (string("rewrite", text) && strlen(text) < room)
            strcpy(command, text);
        return verdict("command");
    }
    if (string("reply", text) && strlen(text) < reply_room)
        strcpy(reply, text);
    return verdict("after_command");
}

static STATUS on_message(EMRECORD *rec)
{
    char text[MAXENVVALUE];
    DWORD session, room;
    NOTEHANDLE note;
    char *reply;
    BEGIN;

    session = NEXT(DWORD);
    note = NEXT(NOTEHANDLE);
    reply = NEXT(char *);
    room = NEXT(DWORD);
    END;
    AddInLogMessageText((char *)"message %s session=%u note=%d status=%d reply=[%s]", 0, stage(rec), session, note != NULLHANDLE,
                        rec->Status, reply == NULL ? "" : reply);
    if (rec->NotificationType == EM_BEFORE)
        return verdict("message");
    if (string("message_reply", text) && strlen(text) < room)
        strcpy(reply, text);
    return verdict("after_message");
}

static STATUS LNCALLBACK on_event(EMRECORD far *rec)
{
    /* Before anything else, as add-ins do: the host must not set it before an event. */
    if (rec->NotificationType == EM_BEFORE && rec->Status != NOERROR)
        return ERR_EM_CONTINUE;
    switch (rec->EId) {
    case EM_SMTPCONNECT:
        return on_connect(rec);
    case EM_SMTPCOMMAND:
        return on_command(rec);
    case EM_SMTPMESSAGEACCEPT:
        return on_message(rec);
    case EM_SMTPDISCONNECT: {
        BEGIN;
        AddInLogMessageText((char *)"disconnect %s session=%u", 0, stage(rec), NEXT(DWORD));
        END;
        return verdict("disconnect");
    }
    default:
        return ERR_EM_CONTINUE;
    }
}

STATUS LNPUBLIC MainEntryPoint(void)
{
    static const EID events[4] = {EM_SMTPCONNECT, EM_SMTPCOMMAND, EM_SMTPMESSAGEACCEPT, EM_SMTPDISCONNECT};
    STATUS status;
    int i;

    if (registered)
        return NOERROR;
    /* Forbidden by the book, and done by everybody. */
    AddInLogMessageText((char *)"%s: configured with %ld", 0, NAME, OSGetEnvironmentLong("probe_number"));
    if ((status = EMCreateRecursionID(&recursion_id)) != NOERROR)
        return status;
    for (i = 0; i < 4; i++) {
        status = EMRegister(events[i], EM_REG_BEFORE | EM_REG_AFTER, (EMHANDLER)on_event, recursion_id, &registrations[i]);
        if (status != NOERROR)
            return status;
    }
    registered = 1;
    return (STATUS)number("entry");
}

STATUS LNPUBLIC TerminateLibrary(void)
{
    int i;

    AddInLogMessageText((char *)"terminating", 0);
    for (i = 0; i < 4; i++)
        EMDeregister(registrations[i]);
    return NOERROR;
}

#ifdef __cplusplus
}
#endif
