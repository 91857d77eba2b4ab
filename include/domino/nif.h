/* nif.h: views. There is one in names.nsf, ($ServerConfig). */

#ifndef NIF_DEFS
#define NIF_DEFS

#include "nsfdata.h"

typedef WORD HCOLLECTION;
#define NULLHCOLLECTION 0

#define FIND_CASE_INSENSITIVE 0x0002
#define FIND_EQUAL 0x0800
#define NAVIGATE_CURRENT 0
#define NAVIGATE_NEXT 1
#define READ_MASK_NOTEID 1

/* What NIFReadEntries signals: nothing ever changes under it here, and it gives all that is asked for at once. */
#define SIGNAL_DEFN_ITEM_MODIFIED 0x0001
#define SIGNAL_VIEW_ITEM_MODIFIED 0x0002
#define SIGNAL_INDEX_MODIFIED 0x0004
#define SIGNAL_UNREADLIST_MODIFIED 0x0008
#define SIGNAL_DATABASE_MODIFIED 0x0010
#define SIGNAL_MORE_TO_DO 0x0020
#define SIGNAL_ANY_CONFLICT                                                                          \
    (SIGNAL_DEFN_ITEM_MODIFIED | SIGNAL_VIEW_ITEM_MODIFIED | SIGNAL_INDEX_MODIFIED | SIGNAL_UNREADLIST_MODIFIED | \
     SIGNAL_DATABASE_MODIFIED)

#define MAXTUMBLERLEVELS 32

/** A place in a view. */
typedef struct {
    WORD Level;
    BYTE MinLevel;
    BYTE MaxLevel;
    DWORD Tumbler[MAXTUMBLERLEVELS];
} COLLECTIONPOSITION;

#ifdef __cplusplus
extern "C" {
#endif

/** Finds a view by its name. */
STATUS LNPUBLIC NIFFindDesignNoteExt(DBHANDLE database, const char far *name, WORD note_class,
                                     const char far *pattern, NOTEID far *id, DWORD options);
#define NIFFindView(database, name, id) NIFFindDesignNoteExt(database, name, NOTE_CLASS_VIEW, "-G40n^", id, 0)

/** Opens a view. The last four may be NULL; what they receive is empty. */
STATUS LNPUBLIC NIFOpenCollection(DBHANDLE view_database, DBHANDLE data_database, NOTEID id, WORD flags,
                                  DHANDLE unread, HCOLLECTION far *collection, NOTEHANDLE far *note,
                                  UNID far *view, DHANDLE far *collapsed, DHANDLE far *selected);
STATUS LNPUBLIC NIFCloseCollection(HCOLLECTION collection);

/** Finds the documents of a name, in any case.
 *
 * - position: receives the first of them; may be NULL.
 * - matches: receives how many; may be NULL. */
STATUS LNPUBLIC NIFFindByName(HCOLLECTION collection, const char far *name, WORD flags,
                              COLLECTIONPOSITION far *position, DWORD far *matches);

/** Reads the NOTEIDs of entries.
 *
 * - position: where to begin; receives that of the last entry that was read, from which to skip one to go on.
 * - mask: READ_MASK_NOTEID; anything else is ERR_UNSUPPORTED_FLAGS.
 * - buffer: receives a block that the caller frees, or NULLHANDLE.
 * - the rest may be NULL. */
STATUS LNPUBLIC NIFReadEntries(HCOLLECTION collection, COLLECTIONPOSITION far *position, WORD skip_navigator,
                               DWORD skip, WORD return_navigator, DWORD count, DWORD mask, DHANDLE far *buffer,
                               WORD far *length, DWORD far *skipped, DWORD far *read, WORD far *signal);

#ifdef __cplusplus
}
#endif

#endif
