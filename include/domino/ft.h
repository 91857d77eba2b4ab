/* ft.h: full-text search. Sources include it; nothing of it is offered here. */

#ifndef FT_DEFS
#define FT_DEFS

#include "global.h"

#endif
