/* Hands the server, while it loads and at MAIL, every name, list and number that can't be one, and asks for services where they
 * are not to be had. Each must be told by its status and change nothing. What was not is in the log, and the plug-in does not
 * load, or refuses the sender. What it says for an operator, in the log and as a verb, would steer a terminal. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fault.h"

EM_DESCRIPTOR("odd-names", "1.0", EM_CLASS_BLOCKING, EM_STAGE_MAIL | EM_STAGE_RCPT | EM_STAGE_VERB | EM_STAGE_START,
              EM_EDIT_ATTRIBUTE | EM_EDIT_KEYWORD | EM_EDIT_VERDICT);

#define ESCAPES "a\n\033[2J\302\233m\342\200\256b\342\200\250c\357\273\277d"

static const EmBase *table;
static EmHost *self;
static const EmAdminService *admin;
static const EmAsyncService *later;
static const EmEditsService *edits;
static const EmLogService *logging;
static const EmSessionService *sessions;
static const EmStateService *state;
static const EmTimersService *timers;

static char wrong[1024];
static char many[10000];

#define WANT(wanted, call) \
    do { \
        STATUS found_ = (call); \
        if (found_ != (wanted) && strlen(wrong) < 900) \
            snprintf(wrong + strlen(wrong), 80, "line %d: %04x; ", __LINE__, found_); \
    } while (0)

static EmText octets(const char *data, uint64_t len)
{
    EmText text = {data, 0};
    text.len = len;
    return text;
}

/* Names that nothing has. */
static EmText odd(size_t number)
{
    switch (number) {
    case 0:
        return em_text("");
    case 1:
        return em_text("X Y");
    case 2:
        return octets("X\0Y", 3);
    case 3:
        return em_text("X\r\nQUIT");
    case 4:
        return octets(many, sizeof many);
    case 5:
        return em_text("\033[2J");
    case 6:
        return em_text("\303\211");
    case 7:
        return em_text("\377");
    case 8:
        return octets(NULL, 3);
    default:
        return octets("x", UINT64_MAX);
    }
}

#define ODD 10

static STATUS say(EmAdminCall *call, EmText arguments, void *user_data)
{
    (void)user_data;
    WANT(ERR_MISC_INVALID_ARGS, admin->answer(call, em_text("{")));
    WANT(ERR_MISC_INVALID_ARGS, admin->answer(call, em_text("\"\001\"")));
    WANT(ERR_MISC_INVALID_ARGS, admin->answer(NULL, em_text("1")));
    WANT(ERR_MISC_INVALID_ARGS, admin->fail(call, octets(NULL, 1)));
    WANT(NOERROR, admin->fail(call, em_text(ESCAPES)));
    WANT(NOERROR, admin->answer(call, em_text("\"\302\233m\342\200\256b\342\200\250c\"")));
    return arguments.len == 4 && wrong[0] == '\0' ? NOERROR : EM_FAULT;
}

static void register_oddly(const EmFilterService *filters)
{
    static const char *const networks[] = {"300.1.2.3", "1.2.3.4/33", "1.2.3.4/-1", "::/129", "0/0", "10.0.0.1/8", "\377", "host"};
    static const char *const domains[] = {".", "a..b", "*.example.org", "-", "a@b", "<>x", "\303\251.test", "\033"};
    static char zeros[4096];
    HEMREGISTRATION registration = 0;
    EmFilter filter;
    size_t at;

    WANT(ERR_EM_ILLEGAL, before(table, self, 0, go_on));
    WANT(ERR_EM_ILLEGAL, before(table, self, UINT16_MAX, go_on));
    WANT(ERR_EM_ILLEGALFLAGS, table->EMRegister(self, EM_SMTPMAIL, 0, go_on, NULL, NULL, 0, NULL));
    WANT(ERR_EM_ILLEGALFLAGS, table->EMRegister(self, EM_SMTPMAIL, UINT32_MAX, go_on, NULL, NULL, 0, NULL));
    WANT(ERR_EM_NOTAUTHORIZED, before(table, self, EM_SMTPQUIT, go_on));
    WANT(ERR_MISC_INVALID_ARGS, table->EMRegister(self, EM_SMTPMAIL, EM_REG_BEFORE, go_on, NULL, NULL, UINT16_MAX, NULL));
    WANT(ERR_MISC_INVALID_ARGS, table->EMRegister(self, EM_SMTPMAIL, EM_REG_BEFORE, NULL, NULL, NULL, 0, NULL));
    WANT(ERR_MISC_INVALID_ARGS, before(table, NULL, EM_SMTPMAIL, go_on));
    WANT(ERR_MISC_INVALID_ARGS, before(table, (EmHost *)(void *)zeros, EM_SMTPMAIL, go_on));
    WANT(ERR_MISC_INVALID_ARGS, table->EMRegister(self, EM_SMTPMAIL, EM_REG_BEFORE, go_on, NULL, NULL, 0,
                                                  (HEMREGISTRATION *)(void *)(zeros + 1)));
    WANT(ERR_NOT_FOUND, table->EMDeregister(self, 0));
    WANT(ERR_NOT_FOUND, table->EMDeregister(self, UINT32_MAX));
    WANT(NOERROR, table->EMRegister(self, EM_SMTPRCPT, EM_REG_BEFORE, go_on, NULL, NULL, 0, &registration));
    WANT(ERR_MISC_INVALID_ARGS, filters->narrow(self, registration, NULL));
    memset(&filter, 0, sizeof filter);
    for (at = 0; at < 3; at++) {
        static const uint32_t sizes[] = {0, sizeof filter - 1, UINT32_MAX};
        filter.size = sizes[at];
        WANT(ERR_MISC_INVALID_ARGS, filters->narrow(self, registration, &filter));
    }
    filter.size = sizeof filter;
    filter.tls = 3;
    WANT(ERR_MISC_INVALID_ARGS, filters->narrow(self, registration, &filter));
    filter.tls = EM_FILTER_TLS_ANY;
    for (at = 0; at < sizeof networks / sizeof networks[0]; at++) {
        filter.networks = em_text(networks[at]);
        WANT(ERR_MISC_INVALID_ARGS, filters->narrow(self, registration, &filter));
    }
    for (at = 1; at < sizeof many; at += 2)
        many[at] = ' ';
    filter.networks = octets(many, sizeof many);
    WANT(EM_ERR_LIMIT, filters->narrow(self, registration, &filter));
    memset(many, 'X', sizeof many);
    WANT(ERR_MISC_INVALID_ARGS, filters->narrow(self, registration, &filter));
    filter.networks = em_text(" \t\r\n");
    for (at = 0; at < sizeof domains / sizeof domains[0]; at++) {
        filter.sender_domains = em_text(domains[at]);
        WANT(ERR_MISC_INVALID_ARGS, filters->narrow(self, registration, &filter));
    }
    filter.sender_domains = em_text("");
    filter.networks = em_text("::ffff:127.0.0.0/104");
    WANT(ERR_NOT_FOUND, filters->narrow(self, 0, &filter));
    WANT(NOERROR, filters->narrow(self, registration, &filter));
    WANT(EM_ERR_STAGE, filters->narrow(self, registration, &filter));
}

static void claim_oddly(const EmExtensionService *extensions)
{
    size_t at;

    for (at = 0; at < ODD; at++) {
        WANT(ERR_MISC_INVALID_ARGS, extensions->claim_verb(self, odd(at)));
        WANT(ERR_MISC_INVALID_ARGS, extensions->claim_keyword(self, odd(at), em_text("")));
        WANT(ERR_MISC_INVALID_ARGS, extensions->claim_mail_parameter(self, odd(at)));
        WANT(ERR_MISC_INVALID_ARGS, extensions->claim_rcpt_parameter(self, odd(at)));
        if (at != 0 && at != 1)
            WANT(ERR_MISC_INVALID_ARGS, extensions->claim_keyword(self, em_text("XODD"), odd(at)));
    }
    WANT(ERR_MISC_INVALID_ARGS, extensions->claim_verb(NULL, em_text("XODD")));
}

static void count_oddly(const EmMetricsService *metrics)
{
    static const double falling[] = {2.0, 1.0};
    static const double rising[] = {1.0, 2.0};
    double none[1];
    char zeros[256] = "";
    EmMetric *counter = NULL, *histogram = NULL, *other;
    size_t at;

    none[0] = (double)NAN;
    for (at = 0; at < ODD; at++) {
        WANT(ERR_MISC_INVALID_ARGS, metrics->counter(self, odd(at), em_text("help"), &other));
        if (at != 1 && at != 6)
            WANT(ERR_MISC_INVALID_ARGS, metrics->gauge(self, em_text("sound"), odd(at), &other));
    }
    WANT(ERR_MISC_INVALID_ARGS, metrics->counter(self, em_text("a_total"), em_text("help"), &other));
    WANT(ERR_MISC_INVALID_ARGS, metrics->counter(self, em_text("counter"), em_text("help"), NULL));
    WANT(NOERROR, metrics->counter(self, em_text("counter"), em_text("help"), &counter));
    WANT(ERR_MISC_INVALID_ARGS, metrics->gauge(self, em_text("counter"), em_text("help"), &other));
    WANT(ERR_MISC_INVALID_ARGS, metrics->histogram(self, em_text("h"), em_text("help"), NULL, 1, &histogram));
    WANT(ERR_MISC_INVALID_ARGS, metrics->histogram(self, em_text("h"), em_text("help"), rising, 0, &histogram));
    WANT(EM_ERR_LIMIT, metrics->histogram(self, em_text("h"), em_text("help"), rising, UINT64_MAX, &histogram));
    WANT(ERR_MISC_INVALID_ARGS, metrics->histogram(self, em_text("h"), em_text("help"), falling, 2, &histogram));
    WANT(ERR_MISC_INVALID_ARGS, metrics->histogram(self, em_text("h"), em_text("help"), none, 1, &histogram));
    WANT(NOERROR, metrics->histogram(self, em_text("h"), em_text("help"), rising, 2, &histogram));
    for (at = 0; at < 3; at++)
        WANT(NOERROR, metrics->add(counter, INT64_MAX));
    WANT(ERR_MISC_INVALID_ARGS, metrics->add(counter, INT64_MIN));
    WANT(EM_ERR_TYPE, metrics->set(counter, 1));
    WANT(EM_ERR_TYPE, metrics->add(histogram, 1));
    WANT(EM_ERR_TYPE, metrics->observe(counter, 1.0));
    WANT(ERR_MISC_INVALID_ARGS, metrics->observe(histogram, (double)INFINITY));
    WANT(ERR_MISC_INVALID_ARGS, metrics->observe(histogram, (double)NAN));
    WANT(ERR_MISC_INVALID_ARGS, metrics->add(NULL, 1));
    WANT(ERR_MISC_INVALID_ARGS, metrics->add((EmMetric *)(void *)(((uintptr_t)zeros + 7) & ~(uintptr_t)7), 1));
}

static void speak_oddly(const EmConfigService *config)
{
    EmText value;
    uint16_t id;
    size_t at, ids = 0;

    for (at = 0; at < ODD; at++) {
        WANT(ERR_MISC_INVALID_ARGS, admin->verb(self, odd(at), em_text("help"), say, NULL, NULL));
        if (at != 1 && at != 6)
            WANT(ERR_MISC_INVALID_ARGS, admin->verb(self, em_text("sound"), odd(at), say, NULL, NULL));
    }
    WANT(ERR_MISC_INVALID_ARGS, admin->verb(self, em_text("say"), em_text("help"), NULL, NULL, NULL));
    WANT(NOERROR, admin->verb(self, em_text("say"), em_text("turns \342\200\256words"), say, NULL, NULL));
    WANT(ERR_MISC_INVALID_ARGS, admin->verb(self, em_text("say"), em_text("help"), say, NULL, NULL));
    while (table->EMCreateRecursionID(self, &id) == NOERROR && ids <= 256)
        ids++;
    WANT(256, (STATUS)ids);
    WANT(EM_ERR_LIMIT, table->EMCreateRecursionID(self, &id));
    for (at = 0; at < ODD; at++)
        WANT(0, table->service(self, odd(at)) != NULL);
    WANT(0, table->service(self, octets(EM_LOG_ID, sizeof EM_LOG_ID)) != NULL);
    for (at = 1; at < 7; at++)
        WANT(ERR_NOT_FOUND, config->text(self, odd(at), &value));
    WANT(ERR_NOT_FOUND, config->json(self, em_text("."), &value));
    WANT(EM_ERR_TYPE, config->text(self, em_text(""), &value));
    WANT(ERR_MISC_INVALID_ARGS, config->json(self, em_text(""), NULL));
    WANT(ERR_MISC_INVALID_ARGS, logging->write(self, NULL, 0, em_text("x")));
    WANT(ERR_MISC_INVALID_ARGS, logging->write(self, NULL, EM_LOG_TRACE + 1, em_text("x")));
    WANT(ERR_MISC_INVALID_ARGS, logging->write(self, NULL, EM_LOG_INFO, octets(NULL, 5)));
    WANT(ERR_MISC_INVALID_ARGS, logging->write(NULL, NULL, EM_LOG_INFO, em_text("x")));
    WANT(NOERROR, logging->write(self, NULL, EM_LOG_INFO, octets(many, sizeof many)));
    WANT(NOERROR, logging->write(self, NULL, EM_LOG_INFO, em_text(ESCAPES)));
    WANT(NOERROR, logging->write(self, NULL, EM_LOG_INFO, octets("\377\0x", 3)));
}

/* Handles of what is not there now. */
static void ask_early(void)
{
    uint64_t number;
    EmText text;

    WANT(ERR_NOT_FOUND, later->complete(self, 0, ERR_EM_CONTINUE));
    WANT(ERR_MISC_INVALID_ARGS, later->complete(self, 0, EM_PENDING));
    WANT(ERR_NOT_FOUND, later->wake(self, UINT64_MAX));
    WANT(ERR_NOT_FOUND, later->extend(self, 1, UINT32_MAX));
    WANT(ERR_MISC_INVALID_ARGS, later->wake(NULL, 1));
    WANT(ERR_NOT_FOUND, timers->wake_after(self, 1, 0));
    WANT(ERR_MISC_INVALID_ARGS, timers->wait(NULL, UINT32_MAX));
    WANT(ERR_MISC_INVALID_ARGS, edits->discard(NULL));
    WANT(ERR_MISC_INVALID_ARGS, sessions->number(NULL, EM_FACT_ID, &number));
    WANT(ERR_MISC_INVALID_ARGS, sessions->text(NULL, EM_FACT_HELO, &text));
    WANT(EM_ERR_STAGE, state->get_wait(self, em_text("k"), NULL, 0, &number));
    WANT(EM_ERR_STAGE, state->put_wait(self, em_text("k"), em_text("v")));
}

static void keep_oddly(void)
{
    static const char key[] = {'\0', '\377', '\n', '/', '.', '.', '\033'};
    char buffer[16];
    uint64_t length = 0;

    WANT(ERR_MISC_INVALID_ARGS, state->put_wait(self, em_text(""), em_text("v")));
    WANT(ERR_MISC_INVALID_ARGS, state->put_wait(self, octets(many, EM_STATE_KEY_MAX + 1), em_text("v")));
    WANT(ERR_MISC_INVALID_ARGS, state->put_wait(self, octets(NULL, 3), em_text("v")));
    WANT(ERR_MISC_INVALID_ARGS, state->put_wait(self, em_text("k"), octets(NULL, EM_STATE_VALUE_MAX)));
    WANT(ERR_MISC_INVALID_ARGS, state->put_wait(self, em_text("k"), octets("v", EM_STATE_VALUE_MAX + 1)));
    WANT(NOERROR, state->put_wait(self, octets(key, sizeof key), octets(key, sizeof key)));
    WANT(EM_ERR_LIMIT, state->get_wait(self, octets(key, sizeof key), buffer, 6, &length));
    WANT(sizeof key, (STATUS)length);
    WANT(ERR_MISC_INVALID_ARGS, state->get_wait(self, octets(key, sizeof key), NULL, 6, &length));
    WANT(ERR_MISC_INVALID_ARGS, state->get_wait(self, octets(key, sizeof key), buffer, sizeof buffer, NULL));
    WANT(NOERROR, state->get_wait(self, octets(key, sizeof key), buffer, sizeof buffer, &length));
    WANT(0, memcmp(buffer, key, sizeof key) != 0);
    WANT(NOERROR, state->next_wait(self, octets("\0", 1), em_text(""), buffer, sizeof buffer, &length));
    WANT(sizeof key, (STATUS)length);
    WANT(ERR_NOT_FOUND, state->next_wait(self, octets("\0", 1), octets(key, sizeof key), buffer, sizeof buffer, &length));
    WANT(ERR_NOT_FOUND, state->next_wait(self, octets("\377\377", 2), em_text(""), buffer, sizeof buffer, &length));
}

static STATUS on_mail(const EMRECORD *record)
{
    const EmMail *mail = (const EmMail *)record->Event;
    EmText text;
    void *slot;
    char name[8];
    size_t at;

    for (at = 0; at < ODD; at++) {
        WANT(ERR_MISC_INVALID_ARGS, edits->attribute(mail->event.edits, odd(at), em_text("v")));
        if (at >= 7 || at == 4 || at == 2)
            WANT(ERR_MISC_INVALID_ARGS, edits->attribute(mail->event.edits, em_text("a"), odd(at)));
    }
    for (at = 0; at < 64; at++) {
        snprintf(name, sizeof name, "a%u", (unsigned)at);
        WANT(NOERROR, edits->attribute(mail->event.edits, em_text(name), octets(many, 1024)));
    }
    WANT(EM_ERR_LIMIT, edits->attribute(mail->event.edits, em_text("one-more"), em_text("")));
    WANT(NOERROR, edits->attribute(mail->event.edits, em_text("a63"), em_text(ESCAPES)));
    WANT(ERR_NOT_FOUND, sessions->text(mail->event.session, 0, &text));
    WANT(ERR_NOT_FOUND, sessions->text(mail->event.session, UINT32_MAX, &text));
    WANT(EM_ERR_TYPE, sessions->text(mail->event.session, EM_FACT_ID, &text));
    WANT(ERR_NOT_FOUND, sessions->recipient(mail->event.session, UINT64_MAX, &text));
    WANT(ERR_NOT_FOUND, sessions->tag(mail->event.session, UINT64_MAX, &text));
    WANT(ERR_MISC_INVALID_ARGS, sessions->slot(mail->event.session, NULL));
    WANT(NOERROR, sessions->slot(mail->event.session, &slot));
    WANT(ERR_EM_NOTAUTHORIZED, edits->tag(mail->event.edits, em_text("x")));
    WANT(EM_ERR_STAGE, before(table, self, EM_SMTPMAIL, go_on));
    WANT(NOERROR, timers->wait(mail->event.edits, 0));
    keep_oddly();
    if (wrong[0] == '\0')
        return ERR_EM_CONTINUE;
    return edits->verdict(mail->event.edits, EM_VERDICT_REJECT, 550, em_text("5.7.1"), em_text(wrong)) == NOERROR ? EM_VERDICT
                                                                                                                   : EM_FAULT;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    const EmConfigService *config = (const EmConfigService *)base->service(host, em_text(EM_CONFIG_ID));
    const EmExtensionService *extensions = (const EmExtensionService *)base->service(host, em_text(EM_EXTENSION_ID));
    const EmFilterService *filters = (const EmFilterService *)base->service(host, em_text(EM_FILTER_ID));
    const EmMetricsService *metrics = (const EmMetricsService *)base->service(host, em_text(EM_METRICS_ID));

    table = base;
    self = host;
    admin = (const EmAdminService *)base->service(host, em_text(EM_ADMIN_ID));
    later = (const EmAsyncService *)base->service(host, em_text(EM_ASYNC_ID));
    edits = (const EmEditsService *)base->service(host, em_text(EM_EDITS_ID));
    logging = (const EmLogService *)base->service(host, em_text(EM_LOG_ID));
    sessions = (const EmSessionService *)base->service(host, em_text(EM_SESSION_ID));
    state = (const EmStateService *)base->service(host, em_text(EM_STATE_ID));
    timers = (const EmTimersService *)base->service(host, em_text(EM_TIMERS_ID));
    if (config == NULL || extensions == NULL || filters == NULL || metrics == NULL || admin == NULL || later == NULL ||
        edits == NULL || logging == NULL || sessions == NULL || state == NULL || timers == NULL)
        return ERR_NOT_FOUND;
    memset(many, 'X', sizeof many);
    register_oddly(filters);
    claim_oddly(extensions);
    count_oddly(metrics);
    speak_oddly(config);
    ask_early();
    if (wrong[0] != '\0') {
        logging->write(host, NULL, EM_LOG_ERROR, em_text(wrong));
        return EM_FAULT;
    }
    return before(base, host, EM_SMTPMAIL, on_mail);
}
