/* Falls asleep in MAIL for the sender sleep@client.test, until another session says MAIL for wake@client.test next.
 * -DCLASS=EM_CLASS_INLINE makes it promise not to. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <string.h>

#include "extmgr.h"

#ifndef CLASS
#define CLASS EM_CLASS_BLOCKING
#endif

EM_DESCRIPTOR("sleeper", "1.0", CLASS, EM_STAGE_MAIL, 0);

/* Set once by em_entry, before any handler runs. */
static EmHost *our_host;
static const EmLogService *logging;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
/* How often it was woken. Guarded by the lock. */
static unsigned wakes;

static int is(EmText text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.data, word, strlen(word)) == 0;
}

static STATUS on_mail(const EMRECORD *record)
{
    const EmMail *mail = (const EmMail *)record->Event;

    pthread_mutex_lock(&lock);
    if (is(mail->sender, "wake@client.test")) {
        wakes++;
        pthread_cond_broadcast(&changed);
    } else if (is(mail->sender, "sleep@client.test")) {
        unsigned before = wakes;

        logging->write(our_host, NULL, EM_LOG_INFO, em_text("falling asleep"));
        while (wakes == before)
            pthread_cond_wait(&changed, &lock);
        logging->write(our_host, NULL, EM_LOG_INFO, em_text("woken up"));
    }
    pthread_mutex_unlock(&lock);
    return ERR_EM_CONTINUE;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    our_host = host;
    logging = (const EmLogService *)base->service(host, em_text(EM_LOG_ID));
    if (logging == NULL)
        return ERR_NOT_FOUND;
    return base->EMRegister(host, EM_SMTPMAIL, EM_REG_BEFORE, on_mail, NULL, NULL, 0, NULL);
}
