/* An add-in with threads of its own, one of which is at work until the end, and with two handlers for the end of a session, the first of
 * which takes its time. */

#include <pthread.h>
#include <unistd.h>

#include "global.h"
#include "extmgr.h"
#include "nsferr.h"
#include "osenv.h"
#include "osmem.h"
#include "addin.h"

static pthread_t worker;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int stopping, rounds;

static STATUS LNCALLBACK on_first_end(EMRECORD far *record)
{
    (void)record;
    sleep((unsigned)OSGetEnvironmentLong("busy_sleep"));
    AddInLogMessageText("the first end", 0);
    return ERR_EM_CONTINUE;
}

static STATUS LNCALLBACK on_second_end(EMRECORD far *record)
{
    AddInLogMessageText("the second end, %s", 0, record->NotificationType == EM_BEFORE ? "before" : "after");
    return ERR_NOACCESS;
}

static void *start(void *nothing)
{
    HEMREGISTRATION registration;

    NotesInitThread();
    AddInLogMessageText("registered on a thread: %x", 0, EMRegister(EM_SMTPCONNECT, EM_REG_BEFORE, on_second_end, 0, &registration));
    NotesTermThread();
    return nothing;
}

static void *work(void *nothing)
{
    DHANDLE memory;
    int stop;

    do {
        if (OSMemAlloc(0, 64, &memory) == NOERROR) {
            strcpy(OSLock(char, memory), "at work");
            OSUnlock(memory);
            OSMemFree(memory);
        }
        OSSetEnvironmentInt("busy_rounds", rounds++);
        usleep(1000);
        pthread_mutex_lock(&lock);
        stop = stopping;
        pthread_mutex_unlock(&lock);
    } while (!stop);
    return nothing;
}

STATUS LNPUBLIC MainEntryPoint(void)
{
    pthread_t starter;

    if (pthread_create(&starter, NULL, start, NULL) != 0 || pthread_create(&worker, NULL, work, NULL) != 0)
        return ERR_NOACCESS;
    pthread_join(starter, NULL);
    EMRegister(EM_SMTPDISCONNECT, EM_REG_BEFORE, on_first_end, 0, NULL);
    return EMRegister(EM_SMTPDISCONNECT, EM_REG_BEFORE | EM_REG_AFTER, on_second_end, 0, NULL);
}

STATUS LNPUBLIC TerminateLibrary(void)
{
    pthread_mutex_lock(&lock);
    stopping = 1;
    pthread_mutex_unlock(&lock);
    pthread_join(worker, NULL);
    AddInLogMessageText("its thread has ended: %d", 0, OSGetEnvironmentLong("busy_rounds") == rounds - 1);
    return NOERROR;
}
