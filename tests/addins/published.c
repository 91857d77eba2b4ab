/* An add-in that counts on what is published of the functions: what they leave behind when they fail, how views are read on, items without a
 * name, lists as one text, memory that grows while it is locked. */

#include <stdio.h>

#include "global.h"
#include "extmgr.h"
#include "nif.h"
#include "niferr.h"
#include "nsfdb.h"
#include "nsfnote.h"
#include "nsferr.h"
#include "osmem.h"
#include "osmisc.h"
#include "mime.h"
#include "addin.h"

/* As many entries at once as are asked for, on from the last one that was read. */
static void read_view(DBHANDLE database, HCOLLECTION view, DWORD at_once)
{
    COLLECTIONPOSITION position;
    DHANDLE buffer;
    NOTEHANDLE note;
    NOTEID *ids;
    DWORD read, i, all = 0;
    WORD signals;
    char text[40];

    memset(&position, 0, sizeof position);
    do {
        if (NIFReadEntries(view, &position, NAVIGATE_NEXT, 1L, NAVIGATE_NEXT, at_once, READ_MASK_NOTEID, &buffer, NULL, NULL, &read,
                           &signals) != NOERROR || buffer == NULLHANDLE)
            break;
        ids = (NOTEID *)OSLockObject(buffer);
        for (i = 0; i < read; i++, all++) {
            if (NSFNoteOpen(database, ids[i], 0, &note) != NOERROR)
                break;
            NSFItemGetText(note, "Mark", text, sizeof text);
            AddInLogMessageText("by %u: document %u is %s", 0, at_once, all, text);
            NSFNoteClose(note);
        }
        OSUnlockObject(buffer);
        OSMemFree(buffer);
    } while ((signals & SIGNAL_MORE_TO_DO) != 0 || read == at_once);
    AddInLogMessageText("by %u: %u documents", 0, at_once, all);
}

static void read_views(void)
{
    DBHANDLE database;
    HCOLLECTION view;
    NOTEID id;
    COLLECTIONPOSITION position;
    DHANDLE buffer;
    STATUS status;

    if (NSFDbOpen("names.nsf", &database) == NOERROR && NIFFindView(database, "($ServerConfig)", &id) == NOERROR
        && NIFOpenCollection(database, database, id, 0, NULLHANDLE, &view, NULL, NULL, NULL, NULL) == NOERROR) {
        read_view(database, view, 1);
        read_view(database, view, 2);
        read_view(database, view, 0xffff);
        memset(&position, 0, sizeof position);
        status = NIFReadEntries(view, &position, NAVIGATE_NEXT, 1L, NAVIGATE_NEXT, 1L, 0x8000, &buffer, NULL, NULL, NULL, NULL);
        AddInLogMessageText("summaries of a view: %d", 0, ERR(status) == ERR_UNSUPPORTED_FLAGS);
    }
}

static void grow(void)
{
    DHANDLE memory;
    char *text;
    char upper[20];

    OSMemAlloc(MEM_GROWABLE, 4, &memory);
    text = OSLock(char, memory);
    strcpy(text, "abc");
    AddInLogMessageText("grown while it is locked: %x", 0, OSMemRealloc(memory, 100000));
    text = OSLock(char, memory);
    AddInLogMessageText("it has [%s]", 0, text);
    OSUnlock(memory);
    OSUnlock(memory);
    OSMemFree(memory);
    OSTranslate(OS_TRANSLATE_LOWER_TO_UPPER, "Mx.Example", MAXWORD, upper, sizeof upper);
    AddInLogMessageText("upper [%s]", 0, upper);
    OSTranslate(OS_TRANSLATE_UPPER_TO_LOWER, upper, MAXWORD, upper, sizeof upper);
    AddInLogMessageText("lower [%s]", 0, upper);
    OSTranslate(OS_TRANSLATE_LMBCS_TO_UTF8, "Mx", MAXWORD, upper, sizeof upper);
    AddInLogMessageText("translated [%s]", 0, upper);
}

/* All items, whatever they are called. */
static void walk(NOTEHANDLE note)
{
    BLOCKID item, value;
    WORD type = 77;
    DWORD length;
    int count = 0, texts = 0;
    STATUS status = NSFItemInfo(note, NULL, 0, &item, &type, &value, &length);

    while (status == NOERROR && count < 1000) {
        count++;
        texts += type == TYPE_TEXT && length >= sizeof(WORD);
        status = NSFItemInfoNext(note, item, NULL, 0, &item, &type, &value, &length);
    }
    AddInLogMessageText("%d items, of which %d are texts; then %d, type %x", 0, count, texts, status == ERR_ITEM_NOT_FOUND, type);
    status = NSFItemInfo(note, "Nowhere", 7, NULL, &type, NULL, NULL);
    AddInLogMessageText("an item that is not there: %d", 0, ERR(status) == ERR_ITEM_NOT_FOUND);
    AddInLogMessageText("nor can it be deleted: %d", 0, ERR(NSFItemDelete(note, "Nowhere", 7)) == ERR_ITEM_NOT_FOUND);
}

static void read_streams(NOTEHANDLE note)
{
    MIMEHANDLE stream = (MIMEHANDLE)99;
    char line[100] = "before";
    STATUS status = MIMEStreamOpen(NULLHANDLE, "Body", 4, MIME_STREAM_OPEN_READ, &stream);

    AddInLogMessageText("no stream: %d, %d", 0, status != NOERROR, stream == NULL);
    MIMEStreamOpen(note, "Body", 4, MIME_STREAM_OPEN_READ, &stream);
    while (MIMEStreamGetLine(line, sizeof line, stream) == MIME_STREAM_SUCCESS)
        ;
    AddInLogMessageText("behind the end [%s]", 0, line);
    MIMEStreamClose(stream);
}

/* Without a flag, it is the body that a stream becomes. */
static void replace_body(NOTEHANDLE note)
{
    MIMEHANDLE stream;

    MIMEStreamOpen(note, NULL, 0, MIME_STREAM_OPEN_WRITE, &stream);
    MIMEStreamPutLine("another body", stream);
    AddInLogMessageText("itemized: %x", 0, MIMEStreamItemize(note, NULL, 0, 0, stream));
    MIMEStreamClose(stream);
}

/* What is longer than a line of a message may be, and what a list can have in it. */
static void lengthen(NOTEHANDLE note)
{
    char text[5000];
    int i;

    for (i = 0; i < 4999; i++)
        text[i] = i % 50 == 49 ? ' ' : 'a' + i % 26;
    text[4999] = '\0';
    NSFItemSetText(note, "X-Long", text, MAXWORD);
    for (i = 0; i < 4999; i++)
        text[i] = 'b';
    NSFItemSetText(note, "X-Whole", text, MAXWORD);
    NSFItemCreateTextList(note, "X-List", "one", 3);
    NSFItemAppendTextList(note, "X-List", "", 0, TRUE);
    NSFItemAppendTextList(note, "X-List", " ", 1, TRUE);
    NSFItemAppendTextList(note, "X-List", "two\r\nX-Forged: yes", MAXWORD, TRUE);
    NSFItemSetText(note, "Subject", "Gr\374n\r\nX-Forged: yes\r\n\r\nbody", MAXWORD);
}

static STATUS LNCALLBACK on_message(EMRECORD far *record)
{
    NOTEHANDLE note;
    char text[200];

    (void)VARARG_GET(record->Ap, DWORD);
    note = VARARG_GET(record->Ap, NOTEHANDLE);
    NSFItemGetText(note, "SendTo", text, sizeof text);
    AddInLogMessageText("to [%s]", 0, text);
    walk(note);
    read_streams(note);
    NSFItemGetText(note, "Subject", text, sizeof text);
    if (strcmp(text, "body") == 0)
        replace_body(note);
    if (strcmp(text, "long") == 0)
        lengthen(note);
    return ERR_EM_CONTINUE;
}

STATUS LNPUBLIC MainEntryPoint(void)
{
    read_views();
    grow();
    return EMRegister(EM_SMTPMESSAGEACCEPT, EM_REG_BEFORE, on_message, 0, NULL);
}
