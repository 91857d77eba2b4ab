/* table.h: what libnotes.so and the bridge agree on. */

#ifndef STAGEPOST_NOTES_TABLE_H
#define STAGEPOST_NOTES_TABLE_H

#include "addin.h"
#include "extmgr.h"
#include "kfm.h"
#include "log.h"
#include "mime.h"
#include "nif.h"
#include "nsfdb.h"
#include "nsfnote.h"
#include "osenv.h"
#include "osfile.h"
#include "osmem.h"
#include "osmisc.h"
#include "ostime.h"

/* Grows with every change of what is agreed: the two come from one build, and are refused when they do not. */
#define NOTES_AGREEMENT 1

/* The bridge's functions, under the names that add-ins call. */
struct NotesTable {
#define VALUE(type, name, parameters, arguments) type(*name) parameters;
#define PLAIN(name, parameters, arguments) void(*name) parameters;
#include "functions.def"
#undef VALUE
#undef PLAIN
    /* Writes a line that is put together already. */
    void (*write_line)(const char *text, STATUS additional);
};

extern struct NotesTable notes_table;

enum { NOTES_ARGUMENTS = 6 };

/* Calls a handler with a record of its own. There are NOTES_ARGUMENTS arguments, of which an event has the first few: integers,
 * zero-extended, or pointers. This is what the bridge is given back. */
typedef STATUS NotesCall(EMHANDLER handler, EID event, WORD stage, STATUS status, const uint64_t *arguments);

NotesCall notes_call;

/* Puts a text together as printf does, of what can be had safely: see format.c. At most size - 1 octets and a NUL. */
void notes_format(char *text, size_t size, const char *format, va_list arguments);

#endif
