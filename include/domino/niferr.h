/* niferr.h: status codes of views. Sources include it; none of its codes can come from here. */

#ifndef NIF_ERR
#define NIF_ERR

#include "globerr.h"

#endif
