/* nsfobjec.h: objects in databases. Sources include it; nothing of it is offered here. */

#ifndef NSF_OBJECTS_DEFS
#define NSF_OBJECTS_DEFS

#include "global.h"

#endif
