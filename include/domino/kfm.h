/* kfm.h: who the server is. */

#ifndef KFM_DEFS
#define KFM_DEFS

#include "global.h"
#include "names.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Tells the server's canonical name.
 *
 * - name: receives at most MAXUSERNAME octets and a NUL. */
STATUS LNPUBLIC SECKFMGetUserName(char far *name);

#ifdef __cplusplus
}
#endif

#endif
