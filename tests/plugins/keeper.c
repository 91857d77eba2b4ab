/* Uses what a plug-in has beside the stages of a session: metrics and verbs of its own, and the events of its life. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "extmgr.h"

EM_DESCRIPTOR("keeper", "1.0", EM_CLASS_INLINE, EM_STAGE_MAIL | EM_STAGE_START | EM_STAGE_CONFIG | EM_STAGE_STOP, 0);

static const EmMetricsService *metrics;
static EmMetric *mails, *depth, *lengths;

static STATUS before_mail(const EMRECORD *record)
{
    const EmMail *mail = (const EmMail *)record->Event;

    if (metrics->add(mails, 1) != NOERROR || metrics->set(depth, 7) != NOERROR || metrics->add(depth, -2) != NOERROR
        || metrics->observe(lengths, (double)mail->sender.len) != NOERROR)
        return EM_FAULT;
    /* What is not theirs. */
    if (metrics->add(mails, -1) != ERR_MISC_INVALID_ARGS || metrics->set(mails, 1) != EM_ERR_TYPE
        || metrics->observe(depth, 1.0) != EM_ERR_TYPE || metrics->add(NULL, 1) != ERR_MISC_INVALID_ARGS)
        return EM_FAULT;
    return ERR_EM_CONTINUE;
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
static EmHost *our_host;

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
    say(record->NotificationType == EM_BEFORE ? "before start" : "after start", limit(our_host));
    return limit(our_host) == 13 ? ERR_NOT_FOUND : ERR_EM_CONTINUE;
}

static STATUS on_config(const EMRECORD *record)
{
    const EmConfig *change = (const EmConfig *)record->Event;
    EmText json;
    EmMetric *none = NULL;

    /* The section's handle is no host. */
    if (metrics->counter(change->section, em_text("x"), em_text("X."), &none) != ERR_MISC_INVALID_ARGS
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

static STATUS live(const EmBase *base, EmHost *host)
{
    const uint32_t both = EM_REG_BEFORE | EM_REG_AFTER;
    STATUS status;

    our_host = host;
    logging = (const EmLogService *)base->service(host, em_text(EM_LOG_ID));
    config = (const EmConfigService *)base->service(host, em_text(EM_CONFIG_ID));
    if (logging == NULL || config == NULL)
        return ERR_NOT_FOUND;
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

    if (status == NOERROR)
        status = make_verbs(base, host);
    if (status == NOERROR)
        status = live(base, host);
    if (status != NOERROR)
        return status;
    return base->EMRegister(host, EM_SMTPMAIL, EM_REG_BEFORE, before_mail, NULL, NULL, 0, NULL);
}
