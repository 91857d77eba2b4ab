/* Says what would be commands to a terminal, and takes its time to start while there is a file "wait". */
#define _DEFAULT_SOURCE
#include <string.h>
#include <unistd.h>

#include "extmgr.h"

EM_DESCRIPTOR("crier", "1.0", EM_CLASS_BLOCKING, EM_STAGE_START, 0);

static const EmAdminService *admin;
static const EmStateService *state;
static EmHost *our_host;

static EmText piece(const char *data, uint64_t len)
{
    EmText text = em_text("");

    text.data = data;
    text.len = len;
    return text;
}

static STATUS cry(EmAdminCall *call, EmText arguments, void *user_data)
{
    (void)arguments, (void)user_data;
    admin->fail(call, em_text("\x1b[31mred\xc2\x9b" "31m\x7f\nsecond"));
    return ERR_NOT_FOUND;
}

static STATUS say(EmAdminCall *call, EmText arguments, void *user_data)
{
    (void)arguments, (void)user_data;
    return admin->answer(call, em_text("[\r\"\xc2\x9b" "31m\x7f\"]"));
}

/* Tells how long what it was given is. */
static STATUS measure(EmAdminCall *call, EmText arguments, void *user_data)
{
    char number[24];
    size_t at = sizeof number;

    (void)user_data;
    do {
        number[--at] = (char)('0' + arguments.len % 10);
        arguments.len /= 10;
    } while (arguments.len != 0);
    return admin->answer(call, piece(number + at, sizeof number - at));
}

/* Keeps values until it may not: answers what it was told then. */
static STATUS hoard(EmAdminCall *call, EmText arguments, void *user_data)
{
    static char value[EM_STATE_VALUE_MAX];
    char key[2] = "a";
    STATUS status = NOERROR;

    (void)arguments, (void)user_data;
    for (; status == NOERROR && key[0] < 'z'; key[0]++)
        status = state->put_wait(our_host, em_text(key), piece(value, sizeof value));
    if (status != EM_ERR_LIMIT)
        return EM_FAULT;
    /* What makes room is done. */
    if (state->put_wait(our_host, em_text("a"), em_text("")) != NOERROR
        || state->put_wait(our_host, em_text("b"), piece(value, sizeof value)) != NOERROR
        || state->remove_wait(our_host, em_text("b")) != NOERROR)
        return EM_FAULT;
    key[0]--;
    key[1] = '\0';
    return admin->answer(call, em_text(key[0] == 'd' ? "\"d\"" : "\"another\""));
}

static STATUS before_start(const EMRECORD *record)
{
    (void)record;
    for (int turn = 0; turn < 6000 && access("wait", F_OK) == 0; turn++)
        usleep(10000);
    return ERR_EM_CONTINUE;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    our_host = host;
    admin = (const EmAdminService *)base->service(host, em_text(EM_ADMIN_ID));
    state = (const EmStateService *)base->service(host, em_text(EM_STATE_ID));
    if (admin == NULL || state == NULL)
        return ERR_NOT_FOUND;
    if (admin->verb(host, em_text("cry"), em_text("fails loudly"), cry, NULL, NULL) != NOERROR
        || admin->verb(host, em_text("say"), em_text("answers loudly"), say, NULL, NULL) != NOERROR
        || admin->verb(host, em_text("measure"), em_text("the length of its arguments"), measure, NULL, NULL) != NOERROR
        || admin->verb(host, em_text("hoard"), em_text("keeps too much"), hoard, NULL, NULL) != NOERROR)
        return EM_FAULT;
    return base->EMRegister(host, EM_START, EM_REG_BEFORE, before_start, NULL, NULL, 0, NULL);
}
