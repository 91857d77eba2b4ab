/* osmisc.h: texts of status codes, and character sets. */

#ifndef OS_MISC_DEFS
#define OS_MISC_DEFS

#include "global.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Tells what a status means, in words.
 *
 * - module: not looked at.
 * - text: receives at most length - 1 octets and a NUL.
 *
 * Returns how many octets. */
WORD LNPUBLIC OSLoadString(HMODULE module, STATUS status, char far *text, WORD length);

/** Copies text: all character sets are taken for the same, and octets pass unchanged.
 *
 * - in_length: MAXWORD for a text that ends with NUL.
 * - out: receives at most out_length octets, and a NUL if there is room.
 *
 * Returns how many octets, without the NUL. */
WORD LNPUBLIC OSTranslate(WORD mode, const char far *in, WORD in_length, char far *out, WORD out_length);

#define OSPreemptOccasionally()

#ifdef __cplusplus
}
#endif

#endif
