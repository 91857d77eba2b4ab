/* addin.h: lines for the server's log. */

#ifndef ADDIN_DEFS
#define ADDIN_DEFS

#include "global.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Writes a line.
 *
 * - format: as for printf, at most six conversions of integers, characters, pointers, strings and floating point.
 * - additional: when it is not NOERROR, what it means is put behind the line. */
void LNVARARGS AddInLogMessageText(char far *format, STATUS additional, ...);

/** Writes a line about an error.
 *
 * - format: may have one conversion, a string.
 * - argument: that string; may be NULL. */
void LNPUBLIC AddInLogErrorText(char far *format, STATUS additional, char far *argument);

/** Puts a text together.
 *
 * - text: receives at most 255 octets and a NUL. */
void LNVARARGS AddInFormatErrorText(char far *text, char far *format, ...);

#define AddInLogMsg AddInLogMessageText

#ifdef __cplusplus
}
#endif

#endif
