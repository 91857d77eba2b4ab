/* Before each message is stored, sends one more to the same recipient; with mode 2 one whose octets can't be. With mode 3 it
 * sees messages of plug-ins too, but for those that it led to, and with mode 4 these as well. */
#include <string.h>

#include "extmgr.h"

#ifndef NAME
#define NAME "looper"
#endif

EM_DESCRIPTOR(NAME, "1.0", EM_CLASS_BLOCKING, EM_STAGE_MESSAGEACCEPT, EM_EDIT_SUBMIT);

/* Set once by em_entry, before any handler runs. */
static EmHost *our_host;
static const EmLogService *logging;
static const EmSessionService *sessions;
static const EmSubmitService *submit;
static int64_t mode;

static void say(const EmSession *session, const char *text)
{
    logging->write(our_host, session, EM_LOG_INFO, em_text(text));
}

static STATUS on_message(const EMRECORD *record)
{
    const EmSession *session = ((const EmMessageAccept *)record->Event)->event.session;
    EmSubmission message;
    EmQueueId id;
    EmText recipient;
    STATUS status;
    /* Never given out: the next one may be another handler's by now, since several messages are made at once. */
    const EmSubmission unknown = UINT64_MAX;

    if (sessions->recipient(session, 0, &recipient) != NOERROR ||
        submit->begin(our_host, session, em_text("looper@example.test"), em_text(""), &message) != NOERROR ||
        submit->recipient(our_host, message, recipient, em_text(""), EM_SUBMIT_GRANT) != NOERROR)
        return EM_FAULT;
    if (submit->begin(our_host, session, em_text("a@b>\r\nRSET"), em_text(""), &message) != ERR_MISC_INVALID_ARGS ||
        submit->write_wait(our_host, unknown, em_text("x")) != ERR_NOT_FOUND)
        return EM_FAULT;
    status = submit->write_wait(our_host, message, em_text("Subject: once more\r\n\r\nagain\r\n"));
    if (status == NOERROR && mode == 2)
        status = submit->write_wait(our_host, message, em_text("a bare\nline feed\r\n"));
    if (status == NOERROR)
        status = submit->commit_wait(our_host, message, &id);
    if (submit->commit_wait(our_host, message, &id) != ERR_NOT_FOUND)
        return EM_FAULT;
    say(session, status == NOERROR ? "went round" : status == EM_ERR_REFUSED ? "was refused" : "failed");
    return ERR_EM_CONTINUE;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    const EmConfigService *config = (const EmConfigService *)base->service(host, em_text(EM_CONFIG_ID));
    uint16_t recursion = 0;

    our_host = host;
    logging = (const EmLogService *)base->service(host, em_text(EM_LOG_ID));
    sessions = (const EmSessionService *)base->service(host, em_text(EM_SESSION_ID));
    submit = (const EmSubmitService *)base->service(host, em_text(EM_SUBMIT_ID));
    if (config == NULL || logging == NULL || sessions == NULL || submit == NULL ||
        config->integer(host, em_text("mode"), &mode) != NOERROR)
        return ERR_NOT_FOUND;
    if (base->EMRegister(host, EM_SMTPMAIL, EM_REG_BEFORE | EM_REG_SUBMITTED, on_message, NULL, NULL, 0, NULL) !=
        ERR_EM_ILLEGALFLAGS)
        return EM_FAULT;
    if (mode == 3 && base->EMCreateRecursionID(host, &recursion) != NOERROR)
        return EM_FAULT;
    return base->EMRegister(host, EM_SMTPMESSAGEACCEPT, EM_REG_BEFORE | (mode >= 3 ? EM_REG_SUBMITTED : 0), on_message, NULL,
                            NULL, recursion, NULL);
}
