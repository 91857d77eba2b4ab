/* Talks to another server as an operator says: the verb `talk` takes steps with semicolons between them, and answers with what
 * came of each. `leave` begins a session that is left open; `twice` does two things to one at once, `wrong` what can't be. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "extmgr.h"

#ifndef EDITS
#define EDITS (EM_EDIT_OUTBOUND | EM_EDIT_QUEUE)
#endif

EM_DESCRIPTOR("caller", "1.0", EM_CLASS_BLOCKING, EM_STAGE_START | EM_STAGE_STOP, EDITS);

/* Set once by em_entry, before anything else is called. */
static EmHost *self;
static const EmOutboundService *outbound;
static const EmAdminService *admin;
static const EmLogService *logs;
static EmOutbound left;

/* What a verb answers: a JSON string. */
struct said {
    char text[16384];
    size_t len;
};

static void say(struct said *said, const char *octets, size_t len)
{
    size_t at;

    for (at = 0; at < len && said->len + 4 < sizeof said->text; at++) {
        if (octets[at] == '"' || octets[at] == '\\')
            said->text[said->len++] = '\\';
        said->text[said->len++] = octets[at] == '\n' ? '|' : octets[at];
    }
}

static void say_status(struct said *said, STATUS status)
{
    char text[16];

    snprintf(text, sizeof text, "[%04x]", status);
    say(said, text, strlen(text));
}

static void say_text(struct said *said, EmOutbound session, uint32_t what)
{
    char text[8192];
    uint64_t length = 0;
    STATUS status = outbound->text(self, session, what, text, sizeof text, &length);

    if (status == NOERROR)
        say(said, text, (size_t)length);
    else
        say_status(said, status);
}

static void say_progress(struct said *said, EmOutbound session)
{
    EmOutboundProgress progress;
    char text[128];
    STATUS status;

    memset(&progress, 0, sizeof progress);
    progress.size = sizeof progress;
    status = outbound->progress(self, session, &progress);
    if (status != NOERROR) {
        say_status(said, status);
        return;
    }
    snprintf(text, sizeof text, "state %u code %u tls %u pushed %llu done %llu received %llu", progress.state,
             progress.code, progress.secured, (unsigned long long)progress.pushed, (unsigned long long)progress.done,
             (unsigned long long)progress.received);
    say(said, text, strlen(text));
}

static STATUS begin(char *words, EmOutbound *session)
{
    EmOutboundTarget target;
    char host[256];
    unsigned port = 0, tls = 0, flags = 0, deadline_ms = 0;

    if (sscanf(words, "%255s %u %u %u %u", host, &port, &tls, &flags, &deadline_ms) < 2)
        return EM_FAULT;
    memset(&target, 0, sizeof target);
    target.size = sizeof target;
    target.tls = tls;
    target.flags = flags;
    target.deadline_ms = deadline_ms;
    target.host = em_text(host);
    target.port = (uint16_t)port;
    return outbound->begin(self, &target, session);
}

/* Commas stand for line feeds, since the whole is one line. */
static EmText list(char *words)
{
    char *comma;

    for (comma = words; *comma != '\0'; comma++)
        if (*comma == ',')
            *comma = '\n';
    return em_text(words);
}

/* DOMAINS/ACCEPT/LISTENER */
static STATUS reverse(char *words, EmOutbound session)
{
    EmOutboundReversal reversal;
    char *accept = strchr(words, '/'), *listener = accept == NULL ? NULL : strchr(accept + 1, '/');

    if (listener == NULL)
        return EM_FAULT;
    *accept = *listener = '\0';
    memset(&reversal, 0, sizeof reversal);
    reversal.size = sizeof reversal;
    reversal.domains = list(words);
    reversal.accept = list(accept + 1);
    reversal.listener = em_text(listener + 1);
    return outbound->reverse_wait(self, session, &reversal);
}

static STATUS log_in(char *words, EmOutbound session)
{
    char user[64], password[64];
    unsigned flags = 0;
    STATUS status;

    if (sscanf(words, "%63s %63s %u", user, password, &flags) < 2)
        return EM_FAULT;
    status = outbound->auth_wait(self, session, em_text(user), em_text(password), flags);
    /* They are not kept. */
    memset(password, 0, sizeof password);
    return status;
}

static void step(struct said *said, char *words, EmOutbound *session)
{
    char *rest = strchr(words, ' ');

    rest = rest == NULL ? words + strlen(words) : rest + 1;
    if (strncmp(words, "to ", 3) == 0)
        say_status(said, begin(rest, session));
    else if (strcmp(words, "open") == 0)
        say_status(said, outbound->open_wait(self, *session));
    else if (strncmp(words, "auth ", 5) == 0)
        say_status(said, log_in(rest, *session));
    else if (strncmp(words, "command", 7) == 0)
        say_status(said, outbound->command_wait(self, *session, em_text(rest)));
    else if (strncmp(words, "push ", 5) == 0)
        say_status(said, outbound->push_wait(self, *session, em_text(rest)));
    else if (strncmp(words, "reverse ", 8) == 0)
        say_status(said, reverse(rest, *session));
    else if (strcmp(words, "quit") == 0)
        say_status(said, outbound->quit_wait(self, *session));
    else if (strcmp(words, "close") == 0)
        say_status(said, outbound->close(self, *session));
    else if (strcmp(words, "told") == 0)
        say_text(said, *session, EM_OUTBOUND_TOLD);
    else if (strcmp(words, "keywords") == 0)
        say_text(said, *session, EM_OUTBOUND_KEYWORDS);
    else if (strcmp(words, "remote") == 0)
        say_text(said, *session, EM_OUTBOUND_REMOTE);
    else if (strcmp(words, "progress") == 0)
        say_progress(said, *session);
    else
        say(said, "what?", 5);
}

static STATUS on_talk(EmAdminCall *call, EmText arguments, void *user_data)
{
    struct said *said = (struct said *)calloc(1, sizeof *said);
    char *words, *end, *next;
    EmOutbound session = 0;
    STATUS status;

    (void)user_data;
    words = (char *)calloc(1, (size_t)arguments.len + 1);
    if (said == NULL || words == NULL || arguments.len < 2) {
        free(said);
        free(words);
        return EM_FAULT;
    }
    /* Without the quotes. */
    memcpy(words, arguments.data + 1, (size_t)arguments.len - 2);
    said->text[said->len++] = '"';
    for (next = words; next != NULL; next = end == NULL ? NULL : end + 1) {
        end = strchr(next, ';');
        if (end != NULL)
            *end = '\0';
        step(said, next, &session);
        say(said, ";", end == NULL ? 0 : 1);
    }
    said->text[said->len++] = '"';
    status = admin->answer(call, em_text(said->text));
    if (session != 0)
        outbound->close(self, session);
    free(said);
    free(words);
    return status;
}

/* PORT COUNT WHAT: opens so many sessions, one behind the other, and does one thing in each; how many came to a good end. */
static STATUS on_repeat(EmAdminCall *call, EmText arguments, void *user_data)
{
    char words[256], target[64], what[128], answer[32];
    unsigned port, count, good = 0;
    EmOutbound session;

    (void)user_data;
    if (arguments.len < 2 || arguments.len >= sizeof words)
        return EM_FAULT;
    memcpy(words, arguments.data + 1, (size_t)arguments.len - 2);
    words[arguments.len - 2] = '\0';
    if (sscanf(words, "%u %u %127[^\n]", &port, &count, what) != 3)
        return EM_FAULT;
    for (; count > 0; count--) {
        char again[128];

        snprintf(target, sizeof target, "127.0.0.1 %u", port);
        snprintf(again, sizeof again, "%s", what);
        if (begin(target, &session) != NOERROR)
            return EM_FAULT;
        if (outbound->open_wait(self, session) == NOERROR) {
            if (strncmp(again, "push ", 5) == 0)
                good += outbound->push_wait(self, session, em_text(again + 5)) == NOERROR;
            else
                good += reverse(again, session) == NOERROR;
        }
        outbound->close(self, session);
    }
    snprintf(answer, sizeof answer, "%u", good);
    return admin->answer(call, em_text(answer));
}

/* Begins a session and leaves it to the host; a thread of the host's waits in it. */
static STATUS on_leave(EmAdminCall *call, EmText arguments, void *user_data)
{
    char words[256], line[64];
    STATUS status;

    (void)user_data;
    if (arguments.len < 2 || arguments.len >= sizeof words)
        return EM_FAULT;
    memcpy(words, arguments.data + 1, (size_t)arguments.len - 2);
    words[arguments.len - 2] = '\0';
    status = begin(words, &left);
    if (status == NOERROR)
        status = outbound->open_wait(self, left);
    if (status == NOERROR)
        status = outbound->command_wait(self, left, em_text("NOOP"));
    snprintf(line, sizeof line, "left with %04x", status);
    logs->write(self, NULL, EM_LOG_INFO, em_text(line));
    return admin->answer(call, em_text("null"));
}

/* One thing of each kind that can't be; the names of those that were not told. */
static STATUS on_wrong(EmAdminCall *call, EmText arguments, void *user_data)
{
    static const char *const lines[] = {"", "QUIT", "MAIL FROM:<>", "NOOP\r\nQUIT", " NOOP", "starttls", "AUTH PLAIN x"};
    EmOutboundTarget target, good;
    EmOutboundReversal reversal;
    EmOutboundProgress progress;
    EmOutbound session = 0, none = 0;
    uint64_t length = 0;
    char octet, what[512] = "\"";
    size_t at;

    (void)arguments;
    (void)user_data;
    memset(&good, 0, sizeof good);
    good.size = sizeof good;
    good.host = em_text("127.0.0.1");
    good.port = 1;
#define WANT(wanted, call) \
    do { \
        STATUS found_ = (call); \
        if (found_ != (wanted) && strlen(what) < 400) \
            snprintf(what + strlen(what), 80, "line %d: %04x;", __LINE__, found_); \
    } while (0)
#define BAD_TARGET(change) \
    do { \
        target = good; \
        change; \
        WANT(ERR_MISC_INVALID_ARGS, outbound->begin(self, &target, &none)); \
    } while (0)
    WANT(ERR_MISC_INVALID_ARGS, outbound->begin(self, NULL, &none));
    WANT(ERR_MISC_INVALID_ARGS, outbound->begin(self, &good, NULL));
    BAD_TARGET(target.size = 8);
    BAD_TARGET(target.tls = 4);
    BAD_TARGET(target.flags = 2);
    BAD_TARGET(target.flags = EM_OUTBOUND_IMPLICIT_TLS);
    BAD_TARGET(target.deadline_ms = 600001);
    BAD_TARGET(target.port = 0);
    BAD_TARGET(target.host = em_text(""));
    BAD_TARGET(target.host = em_text("a b"));
    BAD_TARGET(target.host = em_text("[127.0.0.1]"));
    BAD_TARGET(target.host = em_text("a..b"));
    BAD_TARGET(target.reserved[1] = 1);
    WANT(NOERROR, outbound->begin(self, &good, &session));
    WANT(ERR_NOT_FOUND, outbound->open_wait(self, session + 1));
    WANT(EM_ERR_STAGE, outbound->command_wait(self, session, em_text("NOOP")));
    WANT(EM_ERR_STAGE, outbound->push_wait(self, session, em_text("a.test")));
    WANT(EM_ERR_STAGE, outbound->quit_wait(self, session));
    WANT(EM_ERR_STAGE, outbound->auth_wait(self, session, em_text("u"), em_text("p"), 0));
    for (at = 0; at < sizeof lines / sizeof lines[0]; at++)
        WANT(ERR_MISC_INVALID_ARGS, outbound->command_wait(self, session, em_text(lines[at])));
    WANT(ERR_MISC_INVALID_ARGS, outbound->auth_wait(self, session, em_text(""), em_text("p"), 0));
    WANT(ERR_MISC_INVALID_ARGS, outbound->auth_wait(self, session, em_text("u"), em_text(""), 0));
    WANT(ERR_MISC_INVALID_ARGS, outbound->auth_wait(self, session, em_text("u"), em_text("p"), 2));
    WANT(ERR_MISC_INVALID_ARGS, outbound->reverse_wait(self, session, NULL));
    memset(&reversal, 0, sizeof reversal);
    reversal.size = sizeof reversal;
    reversal.domains = em_text("a.test b.test");
    WANT(ERR_MISC_INVALID_ARGS, outbound->reverse_wait(self, session, &reversal));
    reversal.domains = em_text("a.test,b.test");
    WANT(ERR_MISC_INVALID_ARGS, outbound->reverse_wait(self, session, &reversal));
    reversal.domains = em_text("");
    reversal.accept = em_text("#queue");
    WANT(ERR_MISC_INVALID_ARGS, outbound->reverse_wait(self, session, &reversal));
    reversal.accept = em_text("");
    reversal.listener = em_text("none");
    WANT(ERR_MISC_INVALID_ARGS, outbound->reverse_wait(self, session, &reversal));
    WANT(ERR_MISC_INVALID_ARGS, outbound->text(self, session, 9, &octet, 1, &length));
    WANT(ERR_MISC_INVALID_ARGS, outbound->text(self, session, EM_OUTBOUND_TOLD, NULL, 1, &length));
    WANT(ERR_MISC_INVALID_ARGS, outbound->text(self, session, EM_OUTBOUND_TOLD, &octet, 1, NULL));
    progress.size = 8;
    WANT(ERR_MISC_INVALID_ARGS, outbound->progress(self, session, &progress));
    WANT(ERR_MISC_INVALID_ARGS, outbound->progress(self, session, NULL));
    WANT(ERR_MISC_INVALID_ARGS, outbound->result(self, 7));
    WANT(EM_ERR_IO, outbound->open_wait(self, session));
    WANT(EM_ERR_STAGE, outbound->open_wait(self, session));
    WANT(EM_ERR_IO, outbound->command_wait(self, session, em_text("NOOP")));
    WANT(EM_ERR_LIMIT, outbound->text(self, session, EM_OUTBOUND_TOLD, &octet, 1, &length));
    WANT(NOERROR, outbound->quit_wait(self, session));
    WANT(NOERROR, outbound->close(self, session));
    WANT(ERR_NOT_FOUND, outbound->close(self, session));
    for (at = 0; at < 64; at++)
        WANT(NOERROR, outbound->begin(self, &good, &none));
    WANT(EM_ERR_LIMIT, outbound->begin(self, &good, &none));
    for (at = 0; at < 64; at++)
        WANT(NOERROR, outbound->close(self, none - at));
    strcat(what, "\"");
    return admin->answer(call, em_text(what));
}

/* Before the server serves there is no way to others. */
static STATUS on_start(const EMRECORD *record)
{
    EmOutboundTarget target;
    EmOutbound session = 0;

    if (record->NotificationType != EM_BEFORE)
        return ERR_EM_CONTINUE;
    memset(&target, 0, sizeof target);
    target.size = sizeof target;
    target.host = em_text("127.0.0.1");
    target.port = 1;
    return outbound->begin(self, &target, &session) == EM_ERR_STAGE ? ERR_EM_CONTINUE : EM_FAULT;
}

static STATUS on_stop(const EMRECORD *record)
{
    (void)record;
    return ERR_EM_CONTINUE;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    HEMREGISTRATION registration;
    STATUS status;

    self = host;
    outbound = (const EmOutboundService *)base->service(host, em_text(EM_OUTBOUND_ID));
    admin = (const EmAdminService *)base->service(host, em_text(EM_ADMIN_ID));
    logs = (const EmLogService *)base->service(host, em_text(EM_LOG_ID));
    if (outbound == NULL || admin == NULL || logs == NULL)
        return ERR_NOT_FOUND;
    if (admin->verb(host, em_text("talk"), em_text("Talks to a server."), on_talk, NULL, NULL) != NOERROR
        || admin->verb(host, em_text("repeat"), em_text("Does it often."), on_repeat, NULL, NULL) != NOERROR
        || admin->verb(host, em_text("leave"), em_text("Leaves a session open."), on_leave, NULL, NULL) != NOERROR
        || admin->verb(host, em_text("wrong"), em_text("Does what can't be."), on_wrong, NULL, NULL) != NOERROR)
        return EM_FAULT;
    status = base->EMRegister(host, EM_START, EM_REG_BEFORE, on_start, NULL, NULL, 0, &registration);
    if (status != NOERROR)
        return status;
    return base->EMRegister(host, EM_STOP, EM_REG_BEFORE, on_stop, NULL, NULL, 0, &registration);
}
