/* osfile.h: where the server keeps things. */

#ifndef OS_FILE_DEFS
#define OS_FILE_DEFS

#include "global.h"
#include "names.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Tells the data directory.
 *
 * - path: receives at most MAXPATH octets with the NUL.
 *
 * Returns how many octets, without the NUL. */
WORD LNPUBLIC OSGetDataDirectory(char far *path);
/** Tells the directory of the program, in the same way. */
void LNPUBLIC OSGetExecutableDirectory(char far *path);

#ifdef __cplusplus
}
#endif

#endif
