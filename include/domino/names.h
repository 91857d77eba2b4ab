/* names.h: how long names and paths can be. */

#ifndef NAMES_DEFS
#define NAMES_DEFS

#include "global.h"

#define MAXPATH 256
#define MAXUSERNAME 256

#endif
