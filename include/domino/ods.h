/* ods.h: the on-disk structure. Sources include it; nothing of it is offered here. */

#ifndef ODS_DEFS
#define ODS_DEFS

#include "global.h"

#endif
