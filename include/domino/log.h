/* log.h: lines for the server's log. */

#ifndef LOG_DEFS
#define LOG_DEFS

#include "global.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Writes a line, as AddInLogMessageText does.
 *
 * - module: not looked at. */
STATUS LNVARARGS LogEventText(char far *format, HMODULE module, STATUS additional, ...);
STATUS LNVARARGS LogEventTextNoConsole(char far *format, HMODULE module, STATUS additional, ...);

#ifdef __cplusplus
}
#endif

#endif
