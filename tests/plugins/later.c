/* Has nothing against any sender, but says so later, from a thread of its own. For measuring. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>

#include "extmgr.h"

EM_DESCRIPTOR("later", "1.0", EM_CLASS_INLINE, EM_STAGE_MAIL, 0);

#define JOBS_MAX 256

static const EmAsyncService *later;
static EmHost *our_host;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
/* Guarded by the lock: a ring of calls that wait for the thread. */
static EmToken jobs[JOBS_MAX];
static unsigned first, count;

static void *work(void *nothing)
{
    (void)nothing;
    for (;;) {
        EmToken token;

        pthread_mutex_lock(&lock);
        while (count == 0)
            pthread_cond_wait(&changed, &lock);
        token = jobs[first];
        first = (first + 1) % JOBS_MAX;
        count--;
        pthread_mutex_unlock(&lock);
        later->complete(our_host, token, ERR_EM_CONTINUE);
    }
    return NULL;
}

static STATUS on_mail(const EMRECORD *record)
{
    const EmMail *mail = (const EmMail *)record->Event;
    STATUS status = EM_FAULT;

    pthread_mutex_lock(&lock);
    if (count < JOBS_MAX &&
        later->pending(mail->event.edits, NULL, NULL, NULL, &jobs[(first + count) % JOBS_MAX]) == NOERROR) {
        count++;
        status = EM_PENDING;
    }
    pthread_mutex_unlock(&lock);
    pthread_cond_signal(&changed);
    return status;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    pthread_t thread;

    our_host = host;
    later = (const EmAsyncService *)base->service(host, em_text(EM_ASYNC_ID));
    if (later == NULL)
        return ERR_NOT_FOUND;
    if (pthread_create(&thread, NULL, work, NULL) != 0)
        return EM_FAULT;
    return base->EMRegister(host, EM_SMTPMAIL, EM_REG_BEFORE, on_mail, NULL, NULL, 0, NULL);
}
