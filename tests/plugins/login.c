/* Logs in whoever knows the word "sesame", if it is built to be trusted with credentials; says what it is shown at COMMAND and AUTH;
 * answers VRFY with who is logged in. */
#include <stdio.h>
#include <string.h>

#include "extmgr.h"

#ifdef TRUSTED
#define EDITS EM_EDIT_VERDICT | EM_EDIT_CREDENTIALS
#else
#define EDITS EM_EDIT_VERDICT
#endif

EM_DESCRIPTOR("login", "1.0", EM_CLASS_BLOCKING, EM_STAGE_COMMAND | EM_STAGE_AUTH | EM_STAGE_VRFY, EDITS);

/* Set once by em_entry, before any handler runs. */
static const EmEditsService *edits;
static const EmSessionService *sessions;
static const EmLogService *logs;
static EmHost *own_host;

static void say(const EmEvent *event, const char *what, EmText one, EmText two)
{
    char line[600];
    EmText text;

    snprintf(line, sizeof line, "%s %.*s %.*s", what, (int)one.len, one.data, (int)two.len, two.data);
    text.data = line;
    text.len = strlen(line);
    logs->write(own_host, event->session, EM_LOG_INFO, text);
}

static STATUS on_command(const EMRECORD *record)
{
    const EmCommand *event = (const EmCommand *)record->Event;

    say(&event->event, "line", event->line, em_text(""));
    return ERR_EM_CONTINUE;
}

static STATUS on_auth(const EMRECORD *record)
{
    const EmAuth *event = (const EmAuth *)record->Event;
    EmText password = event->password;

    if (record->NotificationType == EM_AFTER) {
        say(&event->event, event->result == EM_AUTH_ACCEPTED ? "accepted" : "not accepted", event->identity, em_text(""));
        return ERR_EM_CONTINUE;
    }
    if (password.data == NULL)
        password = em_text("(none)");
    say(&event->event, "asked", event->identity, password);
    if (password.len != 6 || memcmp(password.data, "sesame", 6) != 0)
        return ERR_EM_CONTINUE;
    return edits->identity(event->event.edits, em_text("branch@example.test")) == NOERROR ? NOERROR : EM_FAULT;
}

static STATUS on_vrfy(const EMRECORD *record)
{
    const EmVrfy *event = (const EmVrfy *)record->Event;
    EmText identity = {"-", 1}, mechanism = {"-", 1}, answer;
    uint64_t known = 9;
    char words[400];

    if (sessions->number(event->event.session, EM_FACT_AUTHENTICATED, &known) != NOERROR)
        return EM_FAULT;
    /* What is not known leaves the dash. */
    sessions->text(event->event.session, EM_FACT_IDENTITY, &identity);
    sessions->text(event->event.session, EM_FACT_MECHANISM, &mechanism);
    snprintf(words, sizeof words, "%d %.*s %.*s", (int)known, (int)identity.len, identity.data, (int)mechanism.len,
             mechanism.data);
    answer.data = words;
    answer.len = strlen(words);
    return edits->verdict(event->event.edits, EM_VERDICT_HANDLED, 250, em_text("2.1.5"), answer) == NOERROR ? EM_VERDICT
                                                                                                          : EM_FAULT;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    STATUS status;

    own_host = host;
    edits = (const EmEditsService *)base->service(host, em_text(EM_EDITS_ID));
    sessions = (const EmSessionService *)base->service(host, em_text(EM_SESSION_ID));
    logs = (const EmLogService *)base->service(host, em_text(EM_LOG_ID));
    if (edits == NULL || sessions == NULL || logs == NULL)
        return ERR_NOT_FOUND;
    status = base->EMRegister(host, EM_SMTPCOMMAND, EM_REG_BEFORE | EM_REG_AFTER, on_command, NULL, NULL, 0, NULL);
    if (status == NOERROR)
        status = base->EMRegister(host, EM_SMTPAUTH, EM_REG_BEFORE | EM_REG_AFTER, on_auth, NULL, NULL, 0, NULL);
    if (status == NOERROR)
        status = base->EMRegister(host, EM_SMTPVRFY, EM_REG_BEFORE, on_vrfy, NULL, NULL, 0, NULL);
    return status;
}
