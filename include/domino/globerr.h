/* globerr.h: how a STATUS is made up, and the packages. */

#ifndef GLOBAL_ERR
#define GLOBAL_ERR

#include "global.h"

/* The same again as elsewhere: sources include the two in any order. */
#define NOERROR 0

#define ERR_MASK 0x3fff
#define PKG_MASK 0x3f00
#define ERRNUM_MASK 0x00ff
#define STS_DISPLAYED 0x8000
#define STS_REMOTE 0x4000

/** A status without its flags. */
#define ERR(status) ((STATUS)((status)&ERR_MASK))

#define PKG_OS 0x0100
#define PKG_NSF 0x0200
#define PKG_NIF 0x0300
#define PKG_MISC 0x0400
#define PKG_ROUTER 0x1100
#define PKG_BSAFE 0x1700
#define PKG_NSF6 0x29B0
/** For the codes of add-ins. */
#define PKG_ADDIN 0x3300
#define PKG_ADDIN2 0x3700
#define PKG_SMTP 0x3AE0
#define PKG_SMTPC 0x3AEB

/* Declarations of texts, for tools that are not here. */
#define errortext(symbol, text)
#define stringtext(symbol, text)
#define internaltext(symbol, text)
#define apitext(symbol, text)

#endif
