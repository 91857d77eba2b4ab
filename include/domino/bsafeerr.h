/* bsafeerr.h: status codes of cryptography. Sources include it; none of its codes can come from here. */

#ifndef BSAFE_ERR
#define BSAFE_ERR

#include "globerr.h"

#endif
