/* Has threads of its own that call the server's functions at random, with tokens of all ages and of nobody: while calls are
 * pending, when they have ended, while the server reloads, stops and ends. The threads never end. Its verb `rest` has them rest,
 * and from then on every call is answered by its handler at once. */
#define _POSIX_C_SOURCE 199309L
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "fault.h"

#ifndef CLASS
#define CLASS EM_CLASS_BLOCKING
#endif

EM_DESCRIPTOR("hammer", "1.0", CLASS, EM_STAGE_MAIL | EM_STAGE_RCPT | EM_STAGE_MESSAGEACCEPT | EM_STAGE_START | EM_STAGE_CONFIG | EM_STAGE_STOP,
              EM_EDIT_VERDICT | EM_EDIT_HEADER | EM_EDIT_SUBMIT | EM_EDIT_QUEUE | EM_EDIT_OUTBOUND);

#define THREADS 4
#define TOKENS 16

static const EmBase *table;
static EmHost *self;
static const EmAdminService *admin;
static const EmAsyncService *later;
static const EmDnsService *dns;
static const EmLogService *logging;
static const EmMetricsService *metrics;
static const EmOutboundService *outbound;
static const EmQueueService *queue;
static const EmStateService *state;
static const EmSubmitService *submit;
static const EmTimersService *timers;
static EmMetric *counter;

static _Atomic uint64_t tokens[TOKENS];
static _Atomic uint64_t requests[TOKENS];
static atomic_uint last_token, last_request, resting, rested;

/* Marsaglia's xorshift: what follows each other is not alike in any of its bits. */
static uint32_t random_of(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static void keep(EmRequest request)
{
    atomic_store(&requests[atomic_fetch_add(&last_request, 1) % TOKENS], request);
}

/* Makes a message, or part of one, and leaves some of them. */
static void make_message(uint32_t chance, EmToken token)
{
    EmSubmission message;
    EmRequest request;

    if (submit->begin(self, NULL, em_text(""), em_text(""), &message) != NOERROR)
        return;
    submit->recipient(self, message, em_text("made@example.test"), em_text(""), chance % 4);
    if (chance % 3 == 0 && submit->write(self, token, message, em_text("Subject: made\r\n\r\n.\r\n"), &request) == NOERROR)
        keep(request);
    if (chance % 5 == 0 && submit->commit(self, token, message, &request) == NOERROR)
        keep(request);
    if (chance % 3 == 1)
        submit->write_wait(self, message, em_text("\r\n.\r\nMAIL FROM:<x>\r\n"));
    if (chance % 2 == 0)
        submit->abandon(self, message);
    submit->abandon(self, message);
}

static void dial(uint32_t chance, EmToken token)
{
    EmOutboundTarget target = {0};
    EmOutbound session;
    EmRequest request;

    target.size = sizeof target;
    target.host = em_text("127.0.0.1");
    target.port = 1;
    if (outbound->begin(self, &target, &session) != NOERROR)
        return;
    if (chance % 2 == 0 && outbound->open(self, token, session, &request) == NOERROR)
        keep(request);
    outbound->close(self, session);
}

static void strike(uint32_t *seed)
{
    static const STATUS answers[] = {ERR_EM_CONTINUE, ERR_EM_CONTINUE, ERR_EM_CONTINUE, EM_FAULT, NOERROR, EM_VERDICT, 0x7777, EM_PENDING};
    uint32_t chance = random_of(seed), more = random_of(seed);
    EmToken token = more % 8 == 0 ? more : atomic_load(&tokens[more % TOKENS]);
    EmRequest request = atomic_load(&requests[chance % TOKENS]);
    EmQueueCount count = {sizeof count, 0, 0, 0, 0};
    char buffer[64];
    uint64_t length;
    uint32_t query;
    uint16_t id;

    switch (chance % 16) {
    case 0:
    case 1:
    case 2:
        later->complete(self, token, answers[more % 8]);
        break;
    case 3:
    case 4:
        later->wake(self, token);
        break;
    case 5:
        later->extend(self, token, more % 2 == 0 ? UINT32_MAX : more % 500);
        break;
    case 6:
        timers->wake_after(self, token, more % 3 == 0 ? UINT32_MAX : more % 3);
        break;
    case 7:
        dns->ask(self, token, EM_DNS_A, em_text("a.test"), &query);
        break;
    case 8:
        if (state->put(self, token, em_text("k"), em_text("v"), &request) == NOERROR)
            keep(request);
        break;
    case 9:
        state->result(self, request, buffer, sizeof buffer, &length);
        queue->result(self, request, &count);
        submit->result(self, request, NULL);
        outbound->result(self, request);
        break;
    case 10:
        if (queue->count(self, token, em_text("@test"), &request) == NOERROR)
            keep(request);
        break;
    case 11:
        make_message(more, token);
        break;
    case 12:
        dial(more, token);
        break;
    case 13:
        state->get_wait(self, em_text("k"), buffer, sizeof buffer, &length);
        queue->count_wait(self, em_text("#none"), &count);
        break;
    case 14:
        logging->write(self, NULL, EM_LOG_TRACE, em_text("strikes"));
        metrics->add(counter, 1);
        table->EMCreateRecursionID(self, &id);
        break;
    default:
        table->EMDeregister(self, 1U << 30 | more);
        sched_yield();
    }
}

static void *hammer(void *number)
{
    const struct timespec rest = {0, 200000};
    uint32_t seed = (uint32_t)(uintptr_t)number;

    for (;;) {
        if (atomic_load(&resting) != 0) {
            atomic_fetch_add(&rested, 1);
            while (atomic_load(&resting) != 0)
                nanosleep(&rest, NULL);
        }
        strike(&seed);
        nanosleep(&rest, NULL);
    }
    return NULL;
}

static STATUS look(const EMRECORD *record, void *data, uint32_t reason)
{
    uint32_t seed = (uint32_t)(uintptr_t)data + 1;

    (void)record;
    if (reason == EM_POLL_OVER)
        return EM_FAULT;
    return random_of(&seed) % 2 == 0 ? ERR_EM_CONTINUE : EM_PENDING;
}

static STATUS on_event(const EMRECORD *record)
{
    EmEdits *edits = ((const EmEvent *)record->Event)->edits;
    unsigned place = atomic_fetch_add(&last_token, 1);
    EmToken token;

    if (later->pending(edits, look, (void *)(uintptr_t)place, NULL, &token) != NOERROR)
        return EM_FAULT;
    if (atomic_load(&resting) != 0)
        return later->complete(self, token, ERR_EM_CONTINUE) == NOERROR ? EM_PENDING : EM_FAULT;
    atomic_store(&tokens[place % TOKENS], token);
    return EM_PENDING;
}

static STATUS on_start(const EMRECORD *record)
{
    uintptr_t number;
    pthread_t thread;

    (void)record;
    for (number = 1; number <= THREADS; number++)
        if (pthread_create(&thread, NULL, hammer, (void *)number) != 0)
            return EM_FAULT;
    return ERR_EM_CONTINUE;
}

static STATUS rest(EmAdminCall *call, EmText arguments, void *user_data)
{
    const struct timespec moment = {0, 1000000};

    (void)call;
    (void)arguments;
    (void)user_data;
    atomic_store(&resting, 1);
    while (atomic_load(&rested) < THREADS)
        nanosleep(&moment, NULL);
    return NOERROR;
}

static STATUS rouse(EmAdminCall *call, EmText arguments, void *user_data)
{
    (void)call;
    (void)arguments;
    (void)user_data;
    atomic_store(&rested, 0);
    atomic_store(&resting, 0);
    return NOERROR;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    static const EID events[] = {EM_SMTPMAIL, EM_SMTPRCPT, EM_SMTPMESSAGEACCEPT};
    STATUS status = NOERROR;
    size_t at;

    table = base;
    self = host;
    admin = (const EmAdminService *)base->service(host, em_text(EM_ADMIN_ID));
    later = (const EmAsyncService *)base->service(host, em_text(EM_ASYNC_ID));
    dns = (const EmDnsService *)base->service(host, em_text(EM_DNS_ID));
    logging = (const EmLogService *)base->service(host, em_text(EM_LOG_ID));
    metrics = (const EmMetricsService *)base->service(host, em_text(EM_METRICS_ID));
    outbound = (const EmOutboundService *)base->service(host, em_text(EM_OUTBOUND_ID));
    queue = (const EmQueueService *)base->service(host, em_text(EM_QUEUE_ID));
    state = (const EmStateService *)base->service(host, em_text(EM_STATE_ID));
    submit = (const EmSubmitService *)base->service(host, em_text(EM_SUBMIT_ID));
    timers = (const EmTimersService *)base->service(host, em_text(EM_TIMERS_ID));
    if (admin == NULL || later == NULL || dns == NULL || logging == NULL || metrics == NULL || outbound == NULL || queue == NULL ||
        state == NULL || submit == NULL || timers == NULL)
        return ERR_NOT_FOUND;
    if (metrics->counter(host, em_text("strikes"), em_text("Strikes."), &counter) != NOERROR)
        return EM_FAULT;
    if (admin->verb(host, em_text("rest"), em_text("has the threads rest"), rest, NULL, NULL) != NOERROR ||
        admin->verb(host, em_text("rouse"), em_text("has them go on"), rouse, NULL, NULL) != NOERROR)
        return EM_FAULT;
    for (at = 0; status == NOERROR && at < sizeof events / sizeof events[0]; at++)
        status = before(base, host, events[at], on_event);
    if (status == NOERROR)
        status = before(base, host, EM_START, on_start);
    if (status == NOERROR)
        status = base->EMRegister(host, EM_CONFIG, EM_REG_BEFORE | EM_REG_AFTER, go_on, NULL, NULL, 0, NULL);
    return status != NOERROR ? status : before(base, host, EM_STOP, go_on);
}
