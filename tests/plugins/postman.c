/* Answers at each event behind the session as the recipient's name says: `route-reject@...` is rejected at EM_SMTPROUTE, and so on;
 * what is to bounce it has fail at EM_SMTPDELIVER, and what is to expire it puts off there. Logs what it is told after each. */
#include <stdio.h>
#include <string.h>

#include "extmgr.h"

EM_DESCRIPTOR("postman", "1.0", EM_CLASS_BLOCKING,
              EM_STAGE_QUEUE | EM_STAGE_ROUTE | EM_STAGE_DELIVER | EM_STAGE_BOUNCE | EM_STAGE_EXPIRE,
              EM_EDIT_VERDICT | EM_EDIT_HEADER | EM_EDIT_HOLD | EM_EDIT_DISCARD | EM_EDIT_ROUTE);

/* Set once by em_entry, before any handler runs. */
static EmHost *self;
static const EmEditsService *edits;
static const EmSessionService *sessions;
static const EmMessageService *messages;
static const EmLogService *logs;
static EmText way;

/* What the name of the first recipient says of an event; NULL: nothing. */
static const char *wanted(const EmSession *session, const char *event, char *place, size_t room)
{
    size_t event_len = strlen(event), at;
    EmText recipient;

    if (sessions->recipient(session, 0, &recipient) != NOERROR || recipient.len <= event_len)
        return NULL;
    if (memcmp(recipient.data, event, event_len) != 0 || recipient.data[event_len] != '-')
        return NULL;
    for (at = 0; at + 1 < room && event_len + 1 + at < recipient.len; at++) {
        place[at] = recipient.data[event_len + 1 + at];
        if (place[at] == '@')
            break;
    }
    place[at] = '\0';
    return place;
}

static STATUS verdict(struct EmEdits *sheet, uint32_t kind, uint16_t code, const char *enhanced)
{
    STATUS status = edits->verdict(sheet, kind, code, em_text(enhanced), em_text("as the name says"));

    return status == NOERROR ? (kind == EM_VERDICT_HANDLED ? NOERROR : EM_VERDICT) : EM_FAULT;
}

static STATUS goes_on(STATUS status)
{
    return status == NOERROR ? ERR_EM_CONTINUE : EM_FAULT;
}

static STATUS answer(const EmEvent *event, const char *name)
{
    char place[32];
    const char *what = wanted(event->session, name, place, sizeof place);
    struct EmEdits *sheet = event->edits;

    if (what == NULL || strcmp(what, "continue") == 0)
        return ERR_EM_CONTINUE;
    if (strcmp(what, "handled") == 0)
        return verdict(sheet, EM_VERDICT_HANDLED, 250, "2.9.9");
    if (strcmp(what, "reject") == 0)
        return verdict(sheet, EM_VERDICT_REJECT, 550, "5.9.9");
    if (strcmp(what, "defer") == 0)
        return verdict(sheet, EM_VERDICT_DEFER, 450, "4.9.9");
    if (strcmp(what, "leave4") == 0)
        return verdict(sheet, EM_VERDICT_DISCONNECT, 421, "4.9.8");
    if (strcmp(what, "leave5") == 0)
        return verdict(sheet, EM_VERDICT_DISCONNECT, 554, "5.9.8");
    if (strcmp(what, "fault") == 0)
        return EM_FAULT;
    if (strcmp(what, "hold") == 0)
        return goes_on(edits->hold(sheet, em_text("kept")));
    if (strcmp(what, "header") == 0)
        return goes_on(edits->header_add(sheet, em_text("X-Postman"), em_text(name)));
    if (strcmp(what, "discard") == 0)
        return goes_on(edits->discard(sheet));
    if (strcmp(what, "way") == 0)
        return goes_on(edits->route(sheet, way));
    if (strcmp(what, "nowhere") == 0)
        return goes_on(edits->route(sheet, em_text("no-port")));
    return EM_FAULT;
}

static void tell(const char *text)
{
    logs->write(self, NULL, EM_LOG_INFO, em_text(text));
}

static STATUS on_queue(const EMRECORD *record)
{
    const EmQueue *event = (const EmQueue *)record->Event;
    char line[256];

    if (record->NotificationType == EM_BEFORE)
        return answer(&event->event, "queue");
    snprintf(line, sizeof line, "queued %llu octets, message %s", (unsigned long long)event->octets,
             event->message == NULL ? "gone" : "there");
    tell(line);
    return ERR_EM_CONTINUE;
}

static STATUS on_route(const EMRECORD *record)
{
    const EmRoute *event = (const EmRoute *)record->Event;
    char line[512];

    if (record->NotificationType == EM_BEFORE)
        return answer(&event->event, "route");
    snprintf(line, sizeof line, "routed %.*s by %.*s", (int)event->destination.len, event->destination.data,
             (int)event->next_hop.len, event->next_hop.data);
    tell(line);
    return ERR_EM_CONTINUE;
}

static STATUS on_deliver(const EMRECORD *record)
{
    const EmDeliver *event = (const EmDeliver *)record->Event;
    char line[512], place[32];
    uint32_t at;

    if (record->NotificationType == EM_BEFORE) {
        if (wanted(event->event.session, "bounce", place, sizeof place) != NULL)
            return verdict(event->event.edits, EM_VERDICT_REJECT, 550, "5.1.1");
        if (wanted(event->event.session, "expire", place, sizeof place) != NULL)
            return verdict(event->event.edits, EM_VERDICT_DEFER, 450, "4.2.1");
        return answer(&event->event, "deliver");
    }
    for (at = 0; at < event->results_count; at++) {
        const EmRecipientResult *one = &event->results[at];

        snprintf(line, sizeof line, "result %.*s: %u %u.%u.%u %.*s", (int)one->recipient.len, one->recipient.data,
                 one->result, one->enhanced_class, one->enhanced_subject, one->enhanced_detail, (int)one->reason.len,
                 one->reason.data);
        tell(line);
    }
    return ERR_EM_CONTINUE;
}

static STATUS on_bounce(const EMRECORD *record)
{
    const EmBounce *event = (const EmBounce *)record->Event;
    EmText header;
    char line[512];

    if (record->NotificationType == EM_BEFORE)
        return answer(&event->event, "bounce");
    if (messages->header(event->message, &header) != NOERROR || header.len == 0)
        return EM_FAULT;
    snprintf(line, sizeof line, "told %.*s of %.*s: %u, notification %s", (int)event->to.len, event->to.data,
             (int)event->results[0].recipient.len, event->results[0].recipient.data, event->results[0].result,
             event->notification.len == 0 ? "none" : "queued");
    tell(line);
    return ERR_EM_CONTINUE;
}

static STATUS on_expire(const EMRECORD *record)
{
    const EmExpire *event = (const EmExpire *)record->Event;
    char line[512];

    if (record->NotificationType == EM_BEFORE)
        return answer(&event->event, "expire");
    snprintf(line, sizeof line, "expired for %.*s", (int)event->destination.len, event->destination.data);
    tell(line);
    return ERR_EM_CONTINUE;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    static const struct {
        EID event;
        EMHANDLER handler;
    } handlers[] = {
        {EM_SMTPQUEUE, on_queue},   {EM_SMTPROUTE, on_route},   {EM_SMTPDELIVER, on_deliver},
        {EM_SMTPBOUNCE, on_bounce}, {EM_SMTPEXPIRE, on_expire},
    };
    const EmConfigService *config = (const EmConfigService *)base->service(host, em_text(EM_CONFIG_ID));
    size_t at;

    self = host;
    edits = (const EmEditsService *)base->service(host, em_text(EM_EDITS_ID));
    sessions = (const EmSessionService *)base->service(host, em_text(EM_SESSION_ID));
    messages = (const EmMessageService *)base->service(host, em_text(EM_MESSAGE_ID));
    logs = (const EmLogService *)base->service(host, em_text(EM_LOG_ID));
    if (edits == NULL || sessions == NULL || messages == NULL || logs == NULL || config == NULL)
        return ERR_NOT_FOUND;
    if (config->text(host, em_text("way"), &way) != NOERROR)
        return ERR_NOT_FOUND;
    for (at = 0; at < sizeof handlers / sizeof handlers[0]; at++) {
        STATUS status = base->EMRegister(host, handlers[at].event, EM_REG_BEFORE | EM_REG_AFTER, handlers[at].handler,
                                         NULL, NULL, 0, NULL);
        if (status != NOERROR)
            return status;
    }
    return NOERROR;
}
