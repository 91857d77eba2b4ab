/* nsfdata.h: names of databases and notes, and the types that items have. */

#ifndef NSF_DATA_DEFS
#define NSF_DATA_DEFS

#include "global.h"
#include "names.h"
#include "pool.h"

#define DBHANDLE DHANDLE
#define NOTEHANDLE DHANDLE
#define NULLDB 0

typedef DWORD NOTEID;

#define TYPE_INVALID_OR_UNKNOWN 0x0000
#define TYPE_COMPOSITE 0x0001
#define TYPE_OBJECT 0x0003
#define TYPE_MIME_PART 0x0019
#define TYPE_NUMBER 0x0300
#define TYPE_TIME 0x0400
#define TYPE_TEXT 0x0500
#define TYPE_TEXT_LIST 0x0501
#define TYPE_RFC822_TEXT 0x0502

#define NOTE_CLASS_DOCUMENT 0x0001
#define NOTE_CLASS_VIEW 0x0008

#endif
