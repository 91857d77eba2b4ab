/* event.h: console events. Sources include it; nothing of it is offered here. */

#ifndef EVENT_DEFS
#define EVENT_DEFS

#include "global.h"

#endif
