/* osenv.h: the environment, which is what notes.ini says. */

#ifndef OS_ENVIRON_DEFS
#define OS_ENVIRON_DEFS

#include "global.h"

#define MAXENVVALUE 256

#ifdef __cplusplus
extern "C" {
#endif

/** Reads a variable, whose name is the same in any case. Every call sees the configuration that is in force.
 *
 * - value: receives the text, cut to length octets, and a NUL behind it: length is the size of the buffer less one.
 *
 * Returns whether there is such a variable. */
BOOL LNPUBLIC OSGetEnvironmentString(const char far *name, char far *value, WORD length);

/** Reads a variable as a number; 0 when there is none or it is no number. */
long LNPUBLIC OSGetEnvironmentLong(const char far *name);

/** Sets a variable until the process ends. */
void LNPUBLIC OSSetEnvironmentVariable(const char far *name, const char far *value);
void LNPUBLIC OSSetEnvironmentInt(const char far *name, int value);

#define OSGetEnvironmentInt(name) ((int)OSGetEnvironmentLong(name))

#ifdef __cplusplus
}
#endif

#endif
