/* Decides on recipients with a thread of its own: its handlers hand their call over and return EM_PENDING. What the thread
 * does depends on the recipient:
 *   nobody@  refuses, from the thread
 *   polled@  refuses, from poll, which it has called
 *   twice@   answers twice, and logs what it is told
 *   slow@    answers when the deadline has passed, and logs what it is told
 * and it accepts all others. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "extmgr.h"

EM_DESCRIPTOR("clerk", "1.0", EM_CLASS_INLINE, EM_STAGE_RCPT | EM_STAGE_DISCONNECT, EM_EDIT_VERDICT);

/* A call that waits for the thread. Freed by its release, when the call has ended. */
struct job {
    struct job *next;
    const EmRcpt *rcpt;
    EmToken token;
    int over; /* guarded by the lock, as the list is */
};

static const EmAsyncService *later;
static const EmEditsService *edits;
static const EmLogService *logging;
static EmHost *our_host;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct job *jobs;

static int is_for(const struct job *job, const char *local_part)
{
    size_t length = strlen(local_part);
    EmText recipient = job->rcpt->recipient;

    return recipient.len > length && memcmp(recipient.data, local_part, length) == 0 && recipient.data[length] == '@';
}

static STATUS refuse(const struct job *job)
{
    STATUS status = edits->verdict(job->rcpt->event.edits, EM_VERDICT_REJECT, 550, em_text("5.1.1"),
                                   em_text("The clerk knows nobody of that name"));
    return status == NOERROR ? EM_VERDICT : EM_FAULT;
}

/* Looks after a job that is answered on the session's thread, or that nobody waits for any more. */
static STATUS poll_job(const EMRECORD *record, void *data, uint32_t reason)
{
    struct job *job = data;

    (void)record;
    if (reason == EM_POLL_WOKEN)
        return refuse(job);
    /* The thread has the job: it is told, and it ends the call. */
    pthread_mutex_lock(&lock);
    job->over = 1;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    return EM_PENDING;
}

static void answer(struct job *job)
{
    EmToken token = job->token;
    int twice = is_for(job, "twice");
    STATUS status;

    if (is_for(job, "polled") && later->wake(our_host, token) == NOERROR)
        return;
    status = later->complete(our_host, token, is_for(job, "nobody") ? refuse(job) : ERR_EM_CONTINUE);
    /* From here on nothing of the call may be touched. */
    if (status == EM_ERR_OVER)
        logging->write(our_host, NULL, EM_LOG_INFO, em_text("told that it is too late"));
    if (twice && later->complete(our_host, token, ERR_EM_CONTINUE) == EM_ERR_OVER)
        logging->write(our_host, NULL, EM_LOG_INFO, em_text("told that it has answered"));
}

/* Takes a job that can be answered now. Called with the lock. */
static struct job *next_job(void)
{
    struct job **place;

    for (place = &jobs; *place != NULL; place = &(*place)->next) {
        struct job *job = *place;
        if (job->over || !is_for(job, "slow")) {
            *place = job->next;
            return job;
        }
    }
    return NULL;
}

static void *work(void *nothing)
{
    (void)nothing;
    pthread_mutex_lock(&lock);
    for (;;) {
        struct job *job = next_job();
        if (job == NULL) {
            pthread_cond_wait(&changed, &lock);
            continue;
        }
        pthread_mutex_unlock(&lock);
        answer(job);
        pthread_mutex_lock(&lock);
    }
    return NULL;
}

static STATUS before_rcpt(const EMRECORD *record)
{
    const EmRcpt *rcpt = (const EmRcpt *)record->Event;
    struct job *job = calloc(1, sizeof *job);

    if (job == NULL)
        return EM_FAULT;
    job->rcpt = rcpt;
    if (later->pending(rcpt->event.edits, poll_job, job, free, &job->token) != NOERROR) {
        free(job);
        return EM_FAULT;
    }
    pthread_mutex_lock(&lock);
    job->next = jobs;
    jobs = job;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    return EM_PENDING;
}

static STATUS before_disconnect(const EMRECORD *record)
{
    const EmDisconnect *disconnect = (const EmDisconnect *)record->Event;

    logging->write(our_host, disconnect->event.session, EM_LOG_INFO, em_text("told of the end"));
    return ERR_EM_CONTINUE;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    pthread_t thread;
    STATUS status;

    our_host = host;
    later = (const EmAsyncService *)base->service(host, em_text(EM_ASYNC_ID));
    edits = (const EmEditsService *)base->service(host, em_text(EM_EDITS_ID));
    logging = (const EmLogService *)base->service(host, em_text(EM_LOG_ID));
    if (later == NULL || edits == NULL || logging == NULL)
        return ERR_NOT_FOUND;
    status = base->EMRegister(host, EM_SMTPRCPT, EM_REG_BEFORE, before_rcpt, NULL, NULL, 0, NULL);
    if (status == NOERROR)
        status = base->EMRegister(host, EM_SMTPDISCONNECT, EM_REG_BEFORE, before_disconnect, NULL, NULL, 0, NULL);
    if (status == NOERROR && pthread_create(&thread, NULL, work, NULL) != 0)
        status = EM_FAULT;
    return status;
}
