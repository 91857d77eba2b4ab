/* OSfile.h: osfile.h, as some sources spell it. */

#include "osfile.h"
