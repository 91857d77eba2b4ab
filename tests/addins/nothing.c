/* An add-in that gives every function nothing where something is wanted: NULL, 0, numbers that name nothing. When it is entered, with no
 * note, and for each message, with the message's. */

#include "global.h"
#include "extmgr.h"
#include "kfm.h"
#include "log.h"
#include "mime.h"
#include "nif.h"
#include "nsfdb.h"
#include "nsfnote.h"
#include "nsferr.h"
#include "osenv.h"
#include "osfile.h"
#include "osmem.h"
#include "osmisc.h"
#include "ostime.h"
#include "addin.h"

static void give_nothing(void)
{
    char *finished = NULL;

    AddInLogMessageText(finished, 0);
    AddInLogErrorText(finished, 0, NULL);
    AddInFormatErrorText(NULL, finished);
    LogEventText(finished, 0, 0);
    LogEventTextNoConsole(finished, 0, 0);
    AddInLogMessageText("strings of nothing [%s] [%s]", 0, finished, (char *)8);
    EMRegister(0, 0, NULL, 0, NULL);
    EMCreateRecursionID(NULL);
    EMDeregister(0);
    OSGetEnvironmentString(NULL, NULL, 0);
    OSGetEnvironmentString("Directory", NULL, 100);
    OSGetEnvironmentLong(NULL);
    OSSetEnvironmentVariable(NULL, NULL);
    OSSetEnvironmentInt(NULL, 0);
    OSLoadString(0, 0, NULL, 0);
    OSTranslate(0, NULL, MAXWORD, NULL, 0);
    OSGetDataDirectory(NULL);
    OSGetExecutableDirectory(NULL);
    OSCurrentTIMEDATE(NULL);
    SECKFMGetUserName(NULL);
    OSMemAlloc(0, 10, NULL);
    OSMemFree(0);
    OSMemGetSize(0, NULL);
    OSMemRealloc(0, 10);
    OSLockObject(0);
    OSUnlockObject(0);
    OSMemoryAllocate(0, 0, NULL);
    OSMemoryFree(0);
    OSMemoryLock(0);
    OSMemoryUnlock(0);
}

static void give_no_database(DBHANDLE database)
{
    NSFDbOpen(NULL, NULL);
    NSFDbOpen("names.nsf", NULL);
    NSFDbPathGet(database, NULL, NULL);
    NSFDbUserNameGet(database, NULL, 0);
    NIFFindDesignNoteExt(database, NULL, 0, NULL, NULL, 0);
    NIFOpenCollection(database, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL);
    NIFFindByName(0, NULL, 0, NULL, NULL);
    NIFReadEntries(0, NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL);
    NIFCloseCollection(0);
    NSFDbClose(database);
}

static void give_no_names(NOTEHANDLE note, char *name)
{
    BLOCKID block = {0, 0};
    WORD length = name == NULL ? 3 : (WORD)strlen(name);

    NSFNoteGetInfo(note, _NOTE_ID, NULL);
    NSFNoteGetInfo(note, 999, NULL);
    NSFNoteSetInfo(note, _NOTE_ID, NULL);
    NSFNoteOpen(0, 0, 0, NULL);
    NSFNoteOpenExt(0, 0, 0, NULL);
    NSFNoteCreate(0, NULL);
    NSFNoteCopy(note, NULL);
    NSFNoteUpdate(note, 0);
    NSFNoteHasMIME(note);
    NSFNoteHasMIMEPart(note);
    NSFItemGetText(note, name, NULL, 0);
    NSFItemGetText(note, name, NULL, 100);
    NSFItemSetText(note, NULL, NULL, 0);
    NSFItemSetText(note, name, NULL, MAXWORD);
    NSFItemSetTextSummary(note, name, NULL, 10, 0);
    NSFItemConvertToText(note, name, NULL, 0, 0);
    NSFItemGetTextListEntries(note, name);
    NSFItemGetTextListEntry(note, name, MAXWORD, NULL, 0);
    NSFItemCreateTextList(note, name, NULL, 10);
    NSFItemAppendTextList(note, name, NULL, 0, 0);
    NSFItemAppend(note, 0, NULL, 5, TYPE_TEXT, NULL, 0);
    NSFItemAppend(note, 0, name, length, TYPE_TEXT, NULL, 10);
    NSFItemAppend(note, 0, name, length, TYPE_TEXT_LIST, "\5\0", 2);
    NSFItemInfo(note, name, length, NULL, NULL, NULL, NULL);
    NSFItemInfoNext(note, block, name, length, NULL, NULL, NULL, NULL);
    NSFItemInfo(note, NULL, 0, NULL, NULL, NULL, NULL);
    NSFItemInfoNext(note, block, NULL, 0, NULL, NULL, NULL, NULL);
    NSFItemGetNumber(note, name, NULL);
    NSFItemGetLong(note, NULL, 0);
    NSFItemGetTime(note, name, NULL);
    NSFItemSetNumber(note, name, NULL);
    NSFItemSetTime(note, name, NULL);
    NSFItemDelete(note, NULL, 0);
    NSFItemDelete(note, NULL, MAXWORD);
    NSFItemDelete(note, name, length);
}

static void give_no_stream(NOTEHANDLE note)
{
    MIMEHANDLE stream = NULL;
    unsigned int got;

    MIMEStreamOpen(note, NULL, 0, 0, NULL);
    MIMEStreamOpen(note, NULL, 0, MIME_STREAM_OPEN_WRITE, &stream);
    MIMEStreamRead(NULL, NULL, 0, stream);
    MIMEStreamRead(NULL, &got, 10, stream);
    MIMEStreamGetLine(NULL, 0, stream);
    MIMEStreamGetLine(NULL, 10, stream);
    MIMEStreamWrite(NULL, 10, stream);
    MIMEStreamPutLine(NULL, stream);
    MIMEStreamItemize(0, NULL, 0, 0, stream);
    MIMEStreamItemize(note, NULL, 0, 0, NULL);
    MIMEStreamRewind(NULL);
    MIMEStreamClose(stream);
    MIMEStreamClose(stream);
    MIMEStreamClose((void *)-1);
    MIMEStreamClose(NULL);
}

static void give_all(NOTEHANDLE note)
{
    DBHANDLE database = NULLHANDLE;

    give_nothing();
    give_no_database(0);
    if (NSFDbOpen("names.nsf", &database) == NOERROR)
        give_no_database(database);
    give_no_names(note, NULL);
    give_no_names(note, "");
    give_no_names(note, "Gone");
    give_no_stream(note);
    NSFNoteClose(0);
    NSFNoteClose(note);
    NSFNoteClose(note);
}

static STATUS LNCALLBACK on_message(EMRECORD far *record)
{
    (void)VARARG_GET(record->Ap, DWORD);
    give_all(VARARG_GET(record->Ap, NOTEHANDLE));
    AddInLogMessageText("still here after a message", 0);
    return ERR_EM_CONTINUE;
}

STATUS LNPUBLIC MainEntryPoint(void)
{
    give_all(NULLHANDLE);
    give_all(MAXDWORD);
    AddInLogMessageText("still here", 0);
    return EMRegister(EM_SMTPMESSAGEACCEPT, EM_REG_BEFORE | EM_REG_AFTER, on_message, 0, NULL);
}
