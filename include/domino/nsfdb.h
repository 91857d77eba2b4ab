/* nsfdb.h: databases. There is one, names.nsf, for reading. */

#ifndef NSF_DB_DEFS
#define NSF_DB_DEFS

#include "nsfdata.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Opens a database by its path.
 *
 * Returns ERR_NOEXIST for any but names.nsf. */
STATUS LNPUBLIC NSFDbOpen(const char far *path, DBHANDLE far *database);
STATUS LNPUBLIC NSFDbClose(DBHANDLE database);
/** Tells where a database is.
 *
 * - canonical, expanded: receive at most MAXPATH octets with the NUL; may be NULL. */
STATUS LNPUBLIC NSFDbPathGet(DBHANDLE database, char far *canonical, char far *expanded);
/** Tells who has opened a database: the server.
 *
 * - name: receives at most length octets with the NUL. */
STATUS LNPUBLIC NSFDbUserNameGet(DBHANDLE database, char far *name, WORD length);

#ifdef __cplusplus
}
#endif

#endif
