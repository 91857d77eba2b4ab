/* ostime.h: the clock. */

#ifndef OS_TIME_DEFS
#define OS_TIME_DEFS

#include "global.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Tells what time it is. */
void LNPUBLIC OSCurrentTIMEDATE(TIMEDATE far *now);

#ifdef __cplusplus
}
#endif

#endif
