/* nsferr.h: status codes of storage and of the extension manager. */

#ifndef NSF_ERR
#define NSF_ERR

#include "globerr.h"

/** A note has no such item. */
#define ERR_ITEM_NOT_FOUND (PKG_NSF + 34)
/** The add-in may not do this; returned by add-ins to turn a client away. */
#define ERR_NOACCESS (PKG_NSF + 70)

#define ERR_EM_ILLEGALAID (PKG_NSF + 208)
/** No such event. */
#define ERR_EM_ILLEGAL (PKG_NSF + 209)
/** Neither before nor after, or something else. */
#define ERR_EM_ILLEGALFLAGS (PKG_NSF + 210)
#define ERR_EM_TOOMANYADDINS (PKG_NSF + 211)
#define ERR_EM_NOTAUTHORIZED (PKG_NSF + 212)
/** Returned by a handler: go on. */
#define ERR_EM_CONTINUE (PKG_NSF + 213)
#define ERR_EM_POOLFULL (PKG_NSF + 247)
#define ERR_EM_SUCCESS (PKG_NSF6 + 0)

#endif
