/* An add-in that reads a message's note and changes it, as its Subject asks for. */

#include <stdio.h>

#include "global.h"
#include "extmgr.h"
#include "nsfnote.h"
#include "nsferr.h"
#include "osmem.h"
#include "ostime.h"
#include "misc.h"
#include "mime.h"
#include "addin.h"

static void show(NOTEHANDLE note, char *name)
{
    char text[512];
    WORD length = NSFItemGetText(note, name, text, sizeof text - 1);

    AddInLogMessageText("item %s %d [%s]", 0, name, length, text);
}

/* Walks all items of a name by their blocks. */
static void walk(NOTEHANDLE note, char *name)
{
    BLOCKID item, value;
    WORD type;
    DWORD length;
    STATUS status = NSFItemInfo(note, name, (WORD)strlen(name), &item, &type, &value, &length);

    while (status == NOERROR) {
        char *octets = OSLockBlock(char, value);

        AddInLogMessageText("block %s type=%x typed=%x [%.*s]", 0, name, type, *(WORD *)octets, (int)(length - sizeof(WORD)),
                            octets + sizeof(WORD));
        OSUnlockBlock(value);
        status = NSFItemInfoNext(note, item, name, (WORD)strlen(name), &item, &type, &value, &length);
    }
}

static void read_stream(NOTEHANDLE note)
{
    MIMEHANDLE stream;
    char line[200], last[200] = "";
    int lines = 0;

    if (MIMEStreamOpen(note, "Body", 4, MIME_STREAM_OPEN_READ | MIME_STREAM_INCLUDE_HEADERS, &stream) != NOERROR)
        return;
    while (MIMEStreamGetLine(line, sizeof line, stream) == MIME_STREAM_SUCCESS) {
        strcpy(last, line);
        lines++;
    }
    AddInLogMessageText("stream of %d lines, the last [%s]", 0, lines, strtok(last, "\r\n"));
    MIMEStreamRewind(stream);
    MIMEStreamClose(stream);
}

static void rewrite(NOTEHANDLE note)
{
    MIMEHANDLE in, out;
    unsigned char piece[64];
    unsigned int got;

    if (MIMEStreamOpen(note, "Body", 4, MIME_STREAM_OPEN_READ, &in) != NOERROR
        || MIMEStreamOpen(note, "Body", 4, MIME_STREAM_OPEN_WRITE, &out) != NOERROR)
        return;
    MIMEStreamPutLine("Put before by an add-in.", out);
    while (MIMEStreamRead(piece, &got, sizeof piece, in) == MIME_STREAM_SUCCESS)
        MIMEStreamWrite(piece, got, out);
    AddInLogMessageText("itemize", MIMEStreamItemize(note, "Body", 4, MIME_STREAM_ITEMIZE_BODY, out));
    MIMEStreamClose(in);
    MIMEStreamClose(out);
}

static STATUS LNCALLBACK on_message(EMRECORD far *record)
{
    VARARG_PTR ap;
    NOTEHANDLE note, copy;
    NUMBER count = 2.5, back = 0;
    TIMEDATE now, posted;
    NOTEID id = 99;
    char subject[128], list[256];
    WORD i, entries;

    VARARG_COPY(ap, record->Ap);
    (void)VARARG_GET(ap, DWORD);
    note = VARARG_GET(ap, NOTEHANDLE);

    NSFItemGetText(note, "Subject", subject, sizeof subject);
    show(note, "From");
    show(note, "SMTPOriginator");
    show(note, "Form");
    show(note, "NotThere");
    entries = NSFItemGetTextListEntries(note, "Recipients");
    for (i = 0; i < entries; i++) {
        NSFItemGetTextListEntry(note, "Recipients", i, list, sizeof list);
        AddInLogMessageText("recipient %d of %d [%s]", 0, i, entries, list);
    }
    NSFItemConvertToText(note, "SendTo", list, sizeof list, '|');
    AddInLogMessageText("to [%s]", 0, list);
    NSFNoteGetInfo(note, _NOTE_ID, &id);
    AddInLogMessageText("id=%d mime=%d present=%d absent=%d", 0, id, NSFNoteHasMIME(note), NSFItemIsPresent(note, "Subject", 7),
                        NSFItemIsPresent(note, "Nowhere", 7));
    walk(note, "X-Twice");
    read_stream(note);
    AddInLogMessageText("posted %d", 0, NSFItemGetTime(note, "PostedDate", &posted));

    if (strstr(subject, "numbers") != NULL) {
        OSCurrentTIMEDATE(&now);
        NSFItemSetNumber(note, "Count", &count);
        NSFItemSetTime(note, "Seen", &now);
        NSFItemGetNumber(note, "Count", &back);
        AddInLogMessageText("number %.1f long=%d none=%d", 0, back, NSFItemGetLong(note, "Count", 7), NSFItemGetLong(note, "None", 7));
        AddInLogMessageText("closing the message", NSFNoteClose(note));
        if (NSFNoteCopy(note, &copy) == NOERROR) {
            NSFItemSetText(copy, "Subject", "of the copy", MAXWORD);
            show(copy, "Subject");
            AddInLogMessageText("storing the copy", NSFNoteUpdate(copy, 0));
            NSFNoteClose(copy);
            AddInLogMessageText("the copy is closed: %d", 0, NSFItemGetTextListEntries(copy, "Recipients"));
        }
    }
    if (strstr(subject, "header") != NULL) {
        NSFItemSetText(note, "X-Checked", "by an add-in", MAXWORD);
        NSFItemSetTextSummary(note, "Subject", "another subject", 7, TRUE);
        NSFItemAppend(note, ITEM_SUMMARY, "X-Twice", 7, TYPE_TEXT, "three", 5);
        NSFItemDelete(note, "X-Gone", 6);
    }
    if (strstr(subject, "envelope") != NULL) {
        NSFItemSetText(note, "SMTPOriginator", "other@client.test", MAXWORD);
        NSFItemAppendTextList(note, "Recipients", "added@example.test", MAXWORD, FALSE);
        NSFItemAppendTextList(note, "Recipients", "added@example.test", MAXWORD, FALSE);
    }
    if (strstr(subject, "sender") != NULL)
        NSFItemSetText(note, "SMTPOriginator", "CN=Ann Other/O=X", MAXWORD);
    if (strstr(subject, "hold") != NULL)
        NSFItemSetText(note, "RoutingState", "HOLD", 4);
    if (strstr(subject, "body") != NULL)
        rewrite(note);
    va_end(ap);
    return ERR_EM_CONTINUE;
}

STATUS LNPUBLIC MainEntryPoint(void)
{
    return EMRegister(EM_SMTPMESSAGEACCEPT, EM_REG_BEFORE, on_message, 0, NULL);
}
