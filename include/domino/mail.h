/* mail.h: limits of mail. */

#ifndef MAIL_DEFS
#define MAIL_DEFS

#include "global.h"

#define MAXMESSAGEIDSTRLEN 50

#endif
