/* What several add-ins share: a library of theirs that calls functions of Notes by itself. */

#include "global.h"
#include "addin.h"

int count_user(char *name);

int count_user(char *name)
{
    static int users = 0;

    users++;
    AddInLogMessageText("%s: user %d of what is shared", 0, name, users);
    return users;
}
