/* Describes itself and has no way in. */
#include "fault.h"

EM_DESCRIPTOR("no-entry", "1.0", EM_CLASS_BLOCKING, EM_STAGE_CONNECT, 0);
