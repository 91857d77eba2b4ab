/* An add-in that reads its lists from the server's configuration document, as those do that let no relay be checked. */

#include "global.h"
#include "extmgr.h"
#include "kfm.h"
#include "nif.h"
#include "nsfdb.h"
#include "nsfnote.h"
#include "nsferr.h"
#include "oserr.h"
#include "osenv.h"
#include "osfile.h"
#include "osmem.h"
#include "osmisc.h"
#include "addin.h"

static void read_document(DBHANDLE database, HCOLLECTION view, char *server)
{
    COLLECTIONPOSITION position;
    DWORD matches = 0, read = 0;
    DHANDLE buffer = NULLHANDLE;
    NOTEHANDLE note;
    WORD signal;
    STATUS status;
    char text[1024];

    status = NIFFindByName(view, server, FIND_CASE_INSENSITIVE | FIND_EQUAL, &position, &matches);
    AddInLogMessageText("document for %s: %u", ERR(status), server, matches);
    if (status != NOERROR)
        return;
    if (NIFReadEntries(view, &position, NAVIGATE_CURRENT, 0, NAVIGATE_NEXT, matches, READ_MASK_NOTEID, &buffer, NULL, NULL,
                       &read, &signal) != NOERROR || buffer == NULLHANDLE)
        return;
    if (NSFNoteOpen(database, *OSLock(NOTEID, buffer), 0, &note) == NOERROR) {
        NSFItemGetText(note, "SMTPRlyCheck", text, sizeof text);
        AddInLogMessageText("check [%s] read=%u", 0, text, read);
        NSFItemConvertToText(note, "SMTPRlyExcpts", text, sizeof text, 0);
        AddInLogMessageText("exceptions [%s]", 0, text);
        NSFNoteClose(note);
    }
    OSUnlock(buffer);
    AddInLogMessageText("freed", OSMemFree(buffer));
}

STATUS LNPUBLIC MainEntryPoint(void)
{
    DBHANDLE database;
    HCOLLECTION view;
    NOTEID id;
    DHANDLE memory;
    DWORD size;
    char name[MAXUSERNAME + 1], path[MAXPATH], text[40];

    AddInLogMessageText("mail.box", ERR(NSFDbOpen("mail.box", &database)));
    SECKFMGetUserName(name);
    if (NSFDbOpen("names.nsf", &database) != NOERROR || NIFFindView(database, "($ServerConfig)", &id) != NOERROR
        || NIFOpenCollection(database, database, id, 0, NULLHANDLE, &view, NULL, NULL, NULL, NULL) != NOERROR)
        return ERR_NOEXIST;
    read_document(database, view, name);
    read_document(database, view, "*");
    NSFDbPathGet(database, NULL, path);
    AddInLogMessageText("path %s", 0, path);
    NIFCloseCollection(view);
    NSFDbClose(database);

    OSSetEnvironmentInt("ListsRead", 2);
    OSSetEnvironmentVariable("ListsName", "two");
    OSGetEnvironmentString("listsNAME", text, 2);
    AddInLogMessageText("set %d [%s]", 0, OSGetEnvironmentInt("LISTSREAD"), text);
    if (OSMemAlloc(MEM_SHARE, 10, &memory) == NOERROR) {
        strcpy(OSLock(char, memory), "123456789");
        OSUnlock(memory);
        OSMemRealloc(memory, 5000);
        OSMemGetSize(memory, &size);
        AddInLogMessageText("memory %u [%s]", 0, size, OSLock(char, memory));
        OSMemFree(memory);
    }
    OSLoadString(NULLHANDLE, ERR_NOEXIST, text, sizeof text);
    AddInLogMessageText("means [%s]", 0, text);
    OSTranslate(0, "plain", MAXWORD, text, sizeof text);
    AddInLogErrorText("translated [%s]", 0, text);
    AddInFormatErrorText(path, "%s and %d", text, 5);
    AddInLogMessageText(path, 0);
    /* A finished text, with what looks like conversions. */
    AddInLogMessageText("host 100%s.example%n%5 of [%s] %% and %d", 0);
    return NOERROR;
}
