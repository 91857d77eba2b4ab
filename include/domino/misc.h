/* misc.h: how long formatted texts can be. */

#ifndef MISC_DEFS
#define MISC_DEFS

#include "global.h"

#ifdef USE_LARGE_MAXSPRINTF
#define MAXSPRINTF 1024
#else
#define MAXSPRINTF 256
#endif
#define MAXALPHATIMEDATE 80

#endif
