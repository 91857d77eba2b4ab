/* Uses what a plug-in has beside the stages of a session: metrics and verbs of its own, the events of its life,
 * durable state, users and groups. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "extmgr.h"

EM_DESCRIPTOR("keeper", "1.0", EM_CLASS_INLINE, EM_STAGE_MAIL | EM_STAGE_START | EM_STAGE_CONFIG | EM_STAGE_STOP, 0);

static EmHost *our_host;
static const EmMetricsService *metrics;
static const EmStateService *state;
static const EmDirectoryService *directory;
static EmMetric *mails, *depth, *lengths, *kept;

static const EmAsyncService *later;

/* What one MAIL does with the state, step by step, and what it has asked for. */
struct keeping {
    int step;
    EmToken token;
    EmRequest last, own;
    char key[32];
};

static EmText whole(const char *data, uint64_t len)
{
    EmText text = {data, len};
    return text;
}

/* The result of the request is these octets, and is there once. */
static int is(EmRequest request, EmText wanted)
{
    char octets[320];
    uint64_t length = 0;
    STATUS status = state->result(our_host, request, NULL, 0, &length);

    if (wanted.len > 0 && status == EM_ERR_LIMIT && length == wanted.len)
        status = state->result(our_host, request, octets, sizeof octets, &length);
    return status == NOERROR && length == wanted.len && (length == 0 || memcmp(octets, wanted.data, length) == 0)
           && state->result(our_host, request, octets, sizeof octets, &length) == ERR_MISC_INVALID_ARGS;
}

/* Goes on when the request of the step is done. */
static STATUS poll_mail(const EMRECORD *record, void *data, uint32_t reason)
{
    const EmMail *mail = (const EmMail *)record->Event;
    struct keeping *keeping = (struct keeping *)data;
    EmText key = em_text(keeping->key);
    uint64_t length = 0;
    STATUS status;

    if (reason != EM_POLL_WOKEN)
        return EM_FAULT;
    status = state->result(our_host, keeping->own, NULL, 0, &length);
    if (status == EM_PENDING)
        return EM_PENDING;
    if (keeping->step == 0) {
        if (status != NOERROR || length != 0)
            return EM_FAULT;
        status = state->get(our_host, keeping->token, key, &keeping->own);
    } else if (keeping->step == 1) {
        if (mail->sender.len > 0 && !is(keeping->own, mail->sender))
            return EM_FAULT;
        status = state->next(our_host, keeping->token, key, em_text(""), &keeping->own);
    } else if (keeping->step == 2) {
        if (!is(keeping->own, key))
            return EM_FAULT;
        status = state->remove(our_host, keeping->token, key, &keeping->own);
    } else if (keeping->step == 3) {
        if (status != NOERROR)
            return EM_FAULT;
        status = state->get(our_host, keeping->token, key, &keeping->own);
    } else if (keeping->step == 4) {
        if (status != ERR_NOT_FOUND)
            return EM_FAULT;
        keeping->own = keeping->last;
        status = NOERROR;
    } else {
        /* The last sender is on disk. */
        return status == NOERROR && metrics->add(kept, 1) == NOERROR ? ERR_EM_CONTINUE : EM_FAULT;
    }
    keeping->step++;
    if (status != NOERROR)
        return EM_FAULT;
    /* The last request may be done already, and then nobody wakes for it. */
    return keeping->step == 5 ? poll_mail(record, data, reason) : EM_PENDING;
}

static STATUS keep_sender(const EmMail *mail)
{
    struct keeping *keeping = (struct keeping *)calloc(1, sizeof *keeping);
    EmText key, sender = mail->sender;
    EmToken token;

    if (keeping == NULL || later->pending(mail->event.edits, poll_mail, keeping, free, &token) != NOERROR) {
        free(keeping);
        return EM_FAULT;
    }
    keeping->token = token;
    snprintf(keeping->key, sizeof keeping->key, "own/%llx", (unsigned long long)token);
    key = em_text(keeping->key);
    if (state->put(our_host, token, em_text(""), sender, &keeping->own) != ERR_MISC_INVALID_ARGS
        || state->put(our_host, token, key, sender, NULL) != ERR_MISC_INVALID_ARGS
        || state->put(our_host, token, key, whole("", EM_STATE_VALUE_MAX + 1), &keeping->own) != ERR_MISC_INVALID_ARGS
        || state->put(our_host, 0, key, sender, &keeping->own) != ERR_NOT_FOUND
        || state->put(our_host, token, em_text("sender"), sender, &keeping->last) != NOERROR
        || state->put(our_host, token, key, sender, &keeping->own) != NOERROR || keeping->last == keeping->own)
        later->complete(our_host, token, EM_FAULT);
    return EM_PENDING;
}

static STATUS before_mail(const EMRECORD *record)
{
    const EmMail *mail = (const EmMail *)record->Event;
    STATUS waited;

    if (metrics->add(mails, 1) != NOERROR || metrics->set(depth, 7) != NOERROR || metrics->add(depth, -2) != NOERROR
        || metrics->observe(lengths, (double)mail->sender.len) != NOERROR)
        return EM_FAULT;
    /* In line nothing may block; on a pool it may. `last` looks whether this was refused. */
    waited = state->put_wait(our_host, em_text("waited"), mail->sender);
    if ((waited != EM_ERR_STAGE && waited != NOERROR)
        || directory->user(our_host, em_text("no address")) != ERR_MISC_INVALID_ARGS)
        return EM_FAULT;
    /* What is not theirs. */
    if (metrics->add(mails, -1) != ERR_MISC_INVALID_ARGS || metrics->set(mails, 1) != EM_ERR_TYPE
        || metrics->observe(depth, 1.0) != EM_ERR_TYPE || metrics->add(NULL, 1) != ERR_MISC_INVALID_ARGS)
        return EM_FAULT;
    return keep_sender(mail);
}

static STATUS make_metrics(const EmBase *base, EmHost *host)
{
    static const double bounds[] = {5.0, 10.0, 20.0}, falling[] = {2.0, 1.0};
    EmMetric *none = NULL;

    metrics = (const EmMetricsService *)base->service(host, em_text(EM_METRICS_ID));
    if (metrics == NULL)
        return ERR_NOT_FOUND;
    if (metrics->counter(host, em_text("mails"), em_text("Mails begun."), &mails) != NOERROR
        || metrics->gauge(host, em_text("depth"), em_text("Depth."), &depth) != NOERROR
        || metrics->counter(host, em_text("kept"), em_text("Senders on disk."), &kept) != NOERROR
        || metrics->histogram(host, em_text("sender_octets"), em_text("Lengths."), bounds, 3, &lengths) != NOERROR)
        return EM_FAULT;
    /* What can't be made. */
    if (metrics->counter(host, em_text("mails"), em_text("Again."), &none) != ERR_MISC_INVALID_ARGS
        || metrics->counter(host, em_text("a_total"), em_text("Taken."), &none) != ERR_MISC_INVALID_ARGS
        || metrics->gauge(host, em_text("x"), em_text(""), &none) != ERR_MISC_INVALID_ARGS
        || metrics->gauge(host, em_text("x"), em_text("X."), NULL) != ERR_MISC_INVALID_ARGS
        || metrics->histogram(host, em_text("x"), em_text("X."), falling, 2, &none) != ERR_MISC_INVALID_ARGS
        || metrics->histogram(host, em_text("x"), em_text("X."), NULL, 2, &none) != ERR_MISC_INVALID_ARGS
        || metrics->histogram(host, em_text("x"), em_text("X."), bounds, (uint64_t)-1, &none) != EM_ERR_LIMIT)
        return EM_FAULT;
    return none == NULL ? NOERROR : EM_FAULT;
}

static const EmAdminService *admin;

/* Gives back what it takes. */
static STATUS echo(EmAdminCall *call, EmText arguments, void *user_data)
{
    if (admin->answer(call, em_text("{")) != ERR_MISC_INVALID_ARGS
        || admin->answer(call, em_text("\xff")) != ERR_MISC_INVALID_ARGS
        || admin->answer(NULL, em_text("1")) != ERR_MISC_INVALID_ARGS || strcmp((const char *)user_data, "data") != 0)
        return EM_FAULT;
    return admin->answer(call, arguments);
}

static STATUS refuse(EmAdminCall *call, EmText arguments, void *user_data)
{
    (void)arguments, (void)user_data;
    return admin->fail(call, em_text("not today")) == NOERROR ? ERR_NOT_FOUND : NOERROR;
}

static STATUS say_nothing(EmAdminCall *call, EmText arguments, void *user_data)
{
    (void)call, (void)user_data;
    return arguments.len == 4 && memcmp(arguments.data, "null", 4) == 0 ? NOERROR : ERR_MISC_INVALID_ARGS;
}

/* Shows every key and value, and keeps one more: each call finds what earlier ones have left. */
static STATUS keep(EmAdminCall *call, EmText arguments, void *user_data)
{
    char key[EM_STATE_KEY_MAX], value[16], json[512] = "[", number[16];
    EmText after = em_text(""), new_key = em_text(""), large = em_text("");
    uint64_t length = 0, found = 0;
    size_t used = 1;
    STATUS status;

    (void)arguments, (void)user_data;
    while ((status = state->next_wait(our_host, em_text("k/"), after, key, sizeof key, &length)) == NOERROR) {
        after.data = key;
        after.len = length;
        if (state->get_wait(our_host, after, value, sizeof value, &length) != NOERROR)
            return EM_FAULT;
        used += (size_t)snprintf(json + used, sizeof json - used, "%s\"%.*s=%.*s\"", found == 0 ? "" : ", ",
                                 (int)after.len, key, (int)length, value);
        found++;
    }
    if (status != ERR_NOT_FOUND)
        return status;
    snprintf(number, sizeof number, "k/%d", (int)found);
    new_key = em_text(number);
    large.len = EM_STATE_VALUE_MAX + 1;
    if (state->put_wait(our_host, new_key, em_text("a value")) != NOERROR
        || state->get_wait(our_host, new_key, value, 3, &length) != EM_ERR_LIMIT || length != 7
        || state->put_wait(our_host, em_text("gone"), em_text("x")) != NOERROR
        || state->remove_wait(our_host, em_text("gone")) != NOERROR
        || state->remove_wait(our_host, em_text("gone")) != NOERROR
        || state->get_wait(our_host, em_text("gone"), NULL, 0, &length) != ERR_NOT_FOUND
        || state->get_wait(our_host, em_text(""), NULL, 0, &length) != ERR_MISC_INVALID_ARGS
        || state->get_wait(our_host, new_key, NULL, 9, &length) != ERR_MISC_INVALID_ARGS
        || state->get_wait(NULL, new_key, NULL, 0, &length) != ERR_MISC_INVALID_ARGS
        || state->put_wait(our_host, new_key, large) != ERR_MISC_INVALID_ARGS)
        return EM_FAULT;
    snprintf(json + used, sizeof json - used, "]");
    return admin->answer(call, em_text(json));
}

/* The last sender kept, without the quotes that JSON wants around it. */
static STATUS last(EmAdminCall *call, EmText arguments, void *user_data)
{
    char value[256], json[300];
    uint64_t length = 0;
    STATUS status = state->get_wait(our_host, em_text("sender"), value, sizeof value, &length);

    (void)arguments, (void)user_data;
    if (status != NOERROR || state->get_wait(our_host, em_text("waited"), NULL, 0, &(uint64_t){0}) != ERR_NOT_FOUND)
        return status == NOERROR ? EM_FAULT : status;
    snprintf(json, sizeof json, "\"%.*s\"", (int)length, value);
    return admin->answer(call, em_text(json));
}

/* An address in quotes: whether it is a user's, its route and its groups. */
static STATUS who(EmAdminCall *call, EmText arguments, void *user_data)
{
    char json[256];
    EmText address = arguments, group;
    uint32_t index = 0, route = 0;
    int used;

    (void)user_data;
    if (arguments.len < 2)
        return ERR_MISC_INVALID_ARGS;
    address.data++;
    address.len -= 2;
    if (directory->wait(our_host, address, EM_DIRECTORY_ROUTE | EM_DIRECTORY_GROUPS) != NOERROR
        || directory->wait(our_host, address, 0) != ERR_MISC_INVALID_ARGS
        || directory->wait(our_host, address, 4) != ERR_MISC_INVALID_ARGS
        || directory->fetch(our_host, 0, address, EM_DIRECTORY_ROUTE) != ERR_NOT_FOUND)
        return EM_FAULT;
    used = snprintf(json, sizeof json, "\"%s", directory->user(our_host, address) == NOERROR ? "user" : "nobody");
    if (directory->route(our_host, address, &route) != NOERROR)
        return EM_FAULT;
    used += snprintf(json + used, sizeof json - (size_t)used, " route %u", (unsigned)route);
    for (; directory->group(our_host, address, index, &group) == NOERROR; index++) {
        if (directory->member(our_host, address, group) != NOERROR)
            return EM_FAULT;
        used += snprintf(json + used, sizeof json - (size_t)used, " %.*s", (int)group.len, group.data);
    }
    if (directory->member(our_host, address, em_text("none")) != ERR_NOT_FOUND
        || directory->group(our_host, address, 0, NULL) != ERR_MISC_INVALID_ARGS)
        return EM_FAULT;
    snprintf(json + used, sizeof json - (size_t)used, "\"");
    return admin->answer(call, em_text(json));
}

static void give_back(void *data)
{
    free(data);
}

static STATUS make_verbs(const EmBase *base, EmHost *host)
{
    char *data = (char *)malloc(5);

    admin = (const EmAdminService *)base->service(host, em_text(EM_ADMIN_ID));
    if (admin == NULL || data == NULL)
        return ERR_NOT_FOUND;
    memcpy(data, "data", 5);
    if (admin->verb(host, em_text("echo"), em_text("gives back what it takes"), echo, data, give_back) != NOERROR
        || admin->verb(host, em_text("refuse"), em_text("fails"), refuse, NULL, NULL) != NOERROR
        || admin->verb(host, em_text("nothing"), em_text("takes nothing"), say_nothing, NULL, NULL) != NOERROR)
        return EM_FAULT;
    if (admin->verb(host, em_text("keep"), em_text("keeps one more value"), keep, NULL, NULL) != NOERROR
        || admin->verb(host, em_text("last"), em_text("the last sender"), last, NULL, NULL) != NOERROR
        || admin->verb(host, em_text("who"), em_text("looks an address up"), who, NULL, NULL) != NOERROR)
        return EM_FAULT;
    /* What can't be made, and what is then not given back. */
    if (admin->verb(host, em_text("echo"), em_text("again"), echo, data, give_back) != ERR_MISC_INVALID_ARGS
        || admin->verb(host, em_text("Bad"), em_text("name"), echo, data, give_back) != ERR_MISC_INVALID_ARGS
        || admin->verb(host, em_text("bad"), em_text(""), echo, data, give_back) != ERR_MISC_INVALID_ARGS
        || admin->verb(host, em_text("bad"), em_text("NULL"), NULL, data, give_back) != ERR_MISC_INVALID_ARGS
        || admin->verb(NULL, em_text("bad"), em_text("host"), echo, data, give_back) != ERR_MISC_INVALID_ARGS)
        return EM_FAULT;
    return NOERROR;
}

static const EmConfigService *config;
static const EmLogService *logging;

static void say(const char *what, long long number)
{
    char line[64];

    snprintf(line, sizeof line, "%s %lld", what, number);
    logging->write(our_host, NULL, EM_LOG_INFO, em_text(line));
}

/* The setting, by a handle that reads a section. */
static long long limit(EmHost *section)
{
    int64_t value = 0;

    return config->integer(section, em_text("limit"), &value) == NOERROR ? value : -1;
}

static STATUS on_start(const EMRECORD *record)
{
    const EmStart *start = (const EmStart *)record->Event;

    if (record->EId != EM_START || start->event.session != NULL || start->event.edits != NULL)
        return EM_FAULT;
    /* No session waits yet. */
    if (record->NotificationType == EM_BEFORE && state->put_wait(our_host, em_text("early"), em_text("x")) != NOERROR)
        return EM_FAULT;
    say(record->NotificationType == EM_BEFORE ? "before start" : "after start", limit(our_host));
    return limit(our_host) == 13 ? ERR_NOT_FOUND : ERR_EM_CONTINUE;
}

static STATUS on_config(const EMRECORD *record)
{
    const EmConfig *change = (const EmConfig *)record->Event;
    EmText json, path;
    EmMetric *none = NULL;

    /* The section's handle is no host. */
    if (config->own_file(change->section, &path) != ERR_MISC_INVALID_ARGS || metrics->counter(change->section, em_text("x"), em_text("X."), &none) != ERR_MISC_INVALID_ARGS
        || config->json(change->section, em_text(""), &json) != NOERROR || json.len == 0)
        return EM_FAULT;
    if (record->NotificationType == EM_BEFORE) {
        say("offered", limit(change->section));
        say("in force", limit(our_host));
        return limit(change->section) < 0 ? ERR_MISC_INVALID_ARGS : ERR_EM_CONTINUE;
    }
    say("taken", limit(our_host));
    return limit(our_host) == limit(change->section) ? ERR_EM_CONTINUE : EM_FAULT;
}

static STATUS on_stop(const EMRECORD *record)
{
    say("stop", ((const EmStop *)record->Event)->deadline_ms);
    return ERR_EM_CONTINUE;
}

/* An absolute path with the name under which the tests compile this: a private copy has another. */
static int is_of_keeper(EmText path)
{
    const char name[] = "/libkeeper";
    uint64_t at;

    for (at = 0; at + sizeof name <= path.len; at++)
        if (memcmp(path.data + at, name, sizeof name - 1) == 0)
            return path.data[0] == '/';
    return 0;
}

static STATUS live(const EmBase *base, EmHost *host)
{
    const uint32_t both = EM_REG_BEFORE | EM_REG_AFTER;
    EmText path;
    STATUS status;

    logging = (const EmLogService *)base->service(host, em_text(EM_LOG_ID));
    config = (const EmConfigService *)base->service(host, em_text(EM_CONFIG_ID));
    if (logging == NULL || config == NULL)
        return ERR_NOT_FOUND;
    /* Where the operator has it, not where the copy is that runs. */
    if (config->own_file(host, NULL) != ERR_MISC_INVALID_ARGS || config->own_file(host, &path) != NOERROR
        || !is_of_keeper(path))
        return EM_FAULT;
    if (base->EMRegister(host, EM_STOP, both, on_stop, NULL, NULL, 0, NULL) != ERR_EM_ILLEGALFLAGS)
        return EM_FAULT;
    status = base->EMRegister(host, EM_START, both, on_start, NULL, NULL, 0, NULL);
    if (status == NOERROR && limit(host) != 99)
        status = base->EMRegister(host, EM_CONFIG, both, on_config, NULL, NULL, 0, NULL);
    if (status == NOERROR)
        status = base->EMRegister(host, EM_STOP, EM_REG_BEFORE, on_stop, NULL, NULL, 0, NULL);
    return status;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    STATUS status = make_metrics(base, host);

    our_host = host;
    state = (const EmStateService *)base->service(host, em_text(EM_STATE_ID));
    directory = (const EmDirectoryService *)base->service(host, em_text(EM_DIRECTORY_ID));
    later = (const EmAsyncService *)base->service(host, em_text(EM_ASYNC_ID));
    if (state == NULL || directory == NULL || later == NULL)
        return ERR_NOT_FOUND;
    /* Not while the server loads. */
    if (state->put_wait(host, em_text("early"), em_text("x")) != EM_ERR_STAGE)
        return EM_FAULT;
    if (status == NOERROR)
        status = make_verbs(base, host);
    if (status == NOERROR)
        status = live(base, host);
    if (status != NOERROR)
        return status;
    return base->EMRegister(host, EM_SMTPMAIL, EM_REG_BEFORE, before_mail, NULL, NULL, 0, NULL);
}
