/* pool.h: names of values that lie in a block of memory. */

#ifndef POOL_DEFS
#define POOL_DEFS

#include "global.h"

/** A block of memory, and where in it a value lies. */
typedef struct {
    DHANDLE pool;
    WORD block;
} BLOCKID;

#define NULLBLOCK 0
#define ISNULLBLOCKID(id) ((id).pool == NULLHANDLE)

#endif
