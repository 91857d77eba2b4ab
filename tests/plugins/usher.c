/* Takes part in what a client says beside its mail. VRFY and EXPN: b@example.test is told, secret is refused, others get the
 * server's answer by another code. RSET: refused while there are two recipients. QUIT and the time-out: words of its own, and
 * a refusal for who has asked for secret. */
#include <string.h>

#include "extmgr.h"

EM_DESCRIPTOR("usher", "1.0", EM_CLASS_INLINE,
              EM_STAGE_VRFY | EM_STAGE_RSET | EM_STAGE_QUIT | EM_STAGE_TIMEOUT,
              EM_EDIT_VERDICT | EM_EDIT_ATTRIBUTE | EM_EDIT_REPLY_TEXT | EM_EDIT_REPLY_CODE);

/* Set once by em_entry, before any handler runs. */
static const EmEditsService *edits;
static const EmSessionService *sessions;

static int is(EmText text, const char *other)
{
    return text.len == strlen(other) && memcmp(text.data, other, (size_t)text.len) == 0;
}

static int is_nosy(const EmEvent *event)
{
    EmText value;

    return sessions->attribute(event->session, em_text("usher.nosy"), &value) == NOERROR;
}

static STATUS give(const EmEvent *event, uint32_t verdict, uint16_t code, const char *enhanced, const char *text)
{
    STATUS status = edits->verdict(event->edits, verdict, code, em_text(enhanced), em_text(text));

    return status == NOERROR ? EM_VERDICT : EM_FAULT;
}

static STATUS done(STATUS status)
{
    return status == NOERROR ? ERR_EM_CONTINUE : EM_FAULT;
}

static STATUS on_vrfy(const EMRECORD *record)
{
    const EmVrfy *vrfy = (const EmVrfy *)record->Event;

    if (record->NotificationType == EM_AFTER) {
        if (vrfy->event.reply->code == 252)
            return done(edits->reply_change(vrfy->event.edits, 253, em_text("2.5.2"), em_text("Who knows")));
        return done(edits->reply_text(vrfy->event.edits, em_text(vrfy->verb == EM_VRFY_EXPN ? "No list" : "As you asked")));
    }
    if (is(vrfy->argument, "b@example.test") && vrfy->verb == EM_VRFY_VRFY)
        return give(&vrfy->event, EM_VERDICT_HANDLED, 250, "2.1.5", "<b@example.test>");
    if (!is(vrfy->argument, "secret"))
        return ERR_EM_CONTINUE;
    if (edits->attribute(vrfy->event.edits, em_text("usher.nosy"), em_text("1")) != NOERROR)
        return EM_FAULT;
    return give(&vrfy->event, EM_VERDICT_REJECT, 550, "5.7.1", "");
}

static STATUS on_rset(const EMRECORD *record)
{
    const EmRset *rset = (const EmRset *)record->Event;
    EmText second;

    if (record->NotificationType == EM_AFTER)
        return done(edits->reply_text(rset->event.edits, em_text(record->Status == NOERROR ? "Forgotten" : "Kept")));
    if (sessions->recipient(rset->event.session, 1, &second) != NOERROR)
        return ERR_EM_CONTINUE;
    return give(&rset->event, EM_VERDICT_DEFER, 450, "4.7.1", "");
}

static STATUS on_quit(const EMRECORD *record)
{
    const EmQuit *quit = (const EmQuit *)record->Event;

    if (record->NotificationType == EM_AFTER)
        return done(edits->reply_text(quit->event.edits, em_text(record->Status == NOERROR ? "So long" : "At last")));
    return is_nosy(&quit->event) ? give(&quit->event, EM_VERDICT_REJECT, 554, "5.7.1", "") : ERR_EM_CONTINUE;
}

static STATUS on_timeout(const EMRECORD *record)
{
    const EmTimeout *timeout = (const EmTimeout *)record->Event;
    const char *words = timeout->awaited == EM_AWAITED_MESSAGE ? "Send faster" : "Speak sooner";

    if (is_nosy(&timeout->event))
        return give(&timeout->event, EM_VERDICT_REJECT, 554, "5.7.1", words);
    return give(&timeout->event, EM_VERDICT_DEFER, 421, "4.4.2", words);
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    static const struct {
        EID event;
        uint32_t flags;
        EMHANDLER handler;
    } stages[] = {
        {EM_SMTPVRFY, EM_REG_BEFORE | EM_REG_AFTER, on_vrfy},
        {EM_SMTPRSET, EM_REG_BEFORE | EM_REG_AFTER, on_rset},
        {EM_SMTPQUIT, EM_REG_BEFORE | EM_REG_AFTER, on_quit},
        {EM_SMTPTIMEOUT, EM_REG_BEFORE, on_timeout},
    };

    edits = (const EmEditsService *)base->service(host, em_text(EM_EDITS_ID));
    sessions = (const EmSessionService *)base->service(host, em_text(EM_SESSION_ID));
    if (edits == NULL || sessions == NULL)
        return ERR_NOT_FOUND;
    for (size_t at = 0; at < sizeof stages / sizeof stages[0]; at++) {
        STATUS status =
            base->EMRegister(host, stages[at].event, stages[at].flags, stages[at].handler, NULL, NULL, 0, NULL);
        if (status != NOERROR)
            return status;
    }
    return NOERROR;
}
