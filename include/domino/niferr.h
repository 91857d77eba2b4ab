/* niferr.h: status codes of views. */

#ifndef NIF_ERR
#define NIF_ERR

#include "globerr.h"

/** What is asked for is not offered. */
#define ERR_UNSUPPORTED_FLAGS (PKG_NIF + 6)

#endif
