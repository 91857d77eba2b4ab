/* oserr.h: status codes of the system layer. */

#ifndef OS_ERR
#define OS_ERR

#include "globerr.h"

/** There is no such file. */
#define ERR_NOEXIST (PKG_OS + 3)
/** There is no memory left. */
#define ERR_MEMORY (PKG_OS + 7)
/** Given up on request. */
#define ERR_CANCEL (PKG_OS + 157)

#endif
