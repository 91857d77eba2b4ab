/* nsfnote.h: notes and their items, in memory. */

#ifndef NSF_NOTE_DEFS
#define NSF_NOTE_DEFS

#include "nsfdata.h"

#define ITEM_SUMMARY 0x0004

#define UPDATE_FORCE 0x0001

#define _NOTE_DB 0
#define _NOTE_ID 1
#define _NOTE_OID 2
#define _NOTE_CLASS 3
#define _NOTE_MODIFIED 4
#define _NOTE_FLAGS 7

#ifdef __cplusplus
extern "C" {
#endif

/** Reads and sets what a note has beside its items.
 *
 * - member: _NOTE_...
 * - value: a DBHANDLE, a NOTEID, an ORIGINATORID, a WORD, a TIMEDATE or a WORD. */
void LNPUBLIC NSFNoteGetInfo(NOTEHANDLE note, WORD member, void far *value);
void LNPUBLIC NSFNoteSetInfo(NOTEHANDLE note, WORD member, void far *value);

STATUS LNPUBLIC NSFNoteOpen(DBHANDLE database, NOTEID id, WORD flags, NOTEHANDLE far *note);
STATUS LNPUBLIC NSFNoteOpenExt(DBHANDLE database, NOTEID id, DWORD flags, NOTEHANDLE far *note);
STATUS LNPUBLIC NSFNoteCreate(DBHANDLE database, NOTEHANDLE far *note);
STATUS LNPUBLIC NSFNoteCopy(NOTEHANDLE note, NOTEHANDLE far *copy);
/** Stores a note: ERR_NOACCESS here, since there is nothing to store it in. */
STATUS LNPUBLIC NSFNoteUpdate(NOTEHANDLE note, WORD flags);
STATUS LNPUBLIC NSFNoteClose(NOTEHANDLE note);
BOOL LNPUBLIC NSFNoteHasMIME(NOTEHANDLE note);
BOOL LNPUBLIC NSFNoteHasMIMEPart(NOTEHANDLE note);

/** Reads the text of an item; of a list all entries, with "; " between.
 *
 * - text: receives at most length octets with the NUL; line ends in it are NULs.
 *
 * Returns how many octets; 0 for an item that is empty or not there. */
WORD LNPUBLIC NSFItemGetText(NOTEHANDLE note, const char far *name, char far *text, WORD length);
/** Puts a text in the place of an item.
 *
 * - length: MAXWORD for a text that ends with NUL. */
STATUS LNPUBLIC NSFItemSetText(NOTEHANDLE note, const char far *name, const char far *text, WORD length);
STATUS LNPUBLIC NSFItemSetTextSummary(NOTEHANDLE note, const char far *name, const char far *text, WORD length,
                                      BOOL summary);
/** Reads an item of any type as text.
 *
 * - text: receives at most length octets with the NUL, never more than 60 KB.
 * - separator: stands between the entries of a list; 0 means ';'. */
WORD LNPUBLIC NSFItemConvertToText(NOTEHANDLE note, const char far *name, char far *text, WORD length,
                                   char separator);

WORD LNPUBLIC NSFItemGetTextListEntries(NOTEHANDLE note, const char far *name);
/** Reads one entry of a list, counted from 0; as NSFItemGetText. */
WORD LNPUBLIC NSFItemGetTextListEntry(NOTEHANDLE note, const char far *name, WORD position, char far *text,
                                      WORD length);
STATUS LNPUBLIC NSFItemCreateTextList(NOTEHANDLE note, const char far *name, const char far *text, WORD length);
STATUS LNPUBLIC NSFItemAppendTextList(NOTEHANDLE note, const char far *name, const char far *text, WORD length,
                                      BOOL duplicates);

/** Adds an item; one of the same name stays.
 *
 * - value: as the type says, without the type's own code before it. */
STATUS LNPUBLIC NSFItemAppend(NOTEHANDLE note, WORD flags, const char far *name, WORD name_length, WORD type,
                              const void far *value, DWORD value_length);
STATUS LNPUBLIC NSFItemDelete(NOTEHANDLE note, const char far *name, WORD name_length);

/** Finds an item; each of the last four may be NULL.
 *
 * - name: NULL means the first item, whatever it is called.
 * - type: receives TYPE_INVALID_OR_UNKNOWN when there is none.
 * - value: the block that holds the type's code, a WORD, and the value. Valid until the item changes.
 * - value_length: octets of both.
 *
 * Returns ERR_ITEM_NOT_FOUND when there is none. */
STATUS LNPUBLIC NSFItemInfo(NOTEHANDLE note, const char far *name, WORD name_length, BLOCKID far *item,
                            WORD far *type, BLOCKID far *value, DWORD far *value_length);
/** Finds the next item of the same name; with NULL for it, the next item. */
STATUS LNPUBLIC NSFItemInfoNext(NOTEHANDLE note, BLOCKID previous, const char far *name, WORD name_length,
                                BLOCKID far *item, WORD far *type, BLOCKID far *value, DWORD far *value_length);
#define NSFItemIsPresent(note, name, length) (NSFItemInfo(note, name, length, NULL, NULL, NULL, NULL) == NOERROR)

BOOL LNPUBLIC NSFItemGetNumber(NOTEHANDLE note, const char far *name, NUMBER far *value);
LONG LNPUBLIC NSFItemGetLong(NOTEHANDLE note, const char far *name, LONG otherwise);
BOOL LNPUBLIC NSFItemGetTime(NOTEHANDLE note, const char far *name, TIMEDATE far *value);
STATUS LNPUBLIC NSFItemSetNumber(NOTEHANDLE note, const char far *name, const NUMBER far *value);
STATUS LNPUBLIC NSFItemSetTime(NOTEHANDLE note, const char far *name, const TIMEDATE far *value);

#ifdef __cplusplus
}
#endif

#endif
