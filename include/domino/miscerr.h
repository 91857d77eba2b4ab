/* miscerr.h: status codes of several parts. */

#ifndef MISC_ERR
#define MISC_ERR

#include "globerr.h"

/** There is no such entry. */
#define ERR_NOT_FOUND (PKG_MISC + 4)
/** An argument is not acceptable. */
#define ERR_MISC_INVALID_ARGS (PKG_MISC + 149)

#endif
