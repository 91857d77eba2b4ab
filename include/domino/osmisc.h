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

/* What OSTranslate does. */
#define OS_TRANSLATE_NATIVE_TO_LMBCS 0
#define OS_TRANSLATE_LMBCS_TO_NATIVE 1
#define OS_TRANSLATE_LOWER_TO_UPPER 3
#define OS_TRANSLATE_UPPER_TO_LOWER 4
#define OS_TRANSLATE_LMBCS_TO_UTF8 22
#define OS_TRANSLATE_UTF8_TO_LMBCS 24

/** Copies text: all character sets are taken for the same, so that octets pass unchanged but for ASCII letters in the two modes that
 * are about these.
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
