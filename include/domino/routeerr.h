/* routeerr.h: status codes of mail routing, and those that SMTP handlers return to choose between 5yz and 4yz. */

#ifndef ROUTER_ERR
#define ROUTER_ERR

#include "globerr.h"

/** Returned by a handler: refuse for good. */
#define ERR_HOOK_SMTP_ERROR (PKG_ROUTER + 69)
/** Returned by a handler: refuse for now. */
#define ERR_HOOK_SMTP_TRANSIENT (PKG_ROUTER + 70)

#endif
