/* Asks for whatever the session's attribute `wishes` says, in hexadecimal, at every event, and puts what it was answered into the
 * attribute `statuses`, four digits each. The first octet says what the handler returns. Each wish is an operation, a number of
 * one octet, one of two, and two texts; a text is its length and its octets, with 255 for one at NULL and 254 for one that is
 * longer than any memory. What is missing at the end is zero. */
#include <string.h>

#include "extmgr.h"

EM_DESCRIPTOR("wishes", "1.0", EM_CLASS_INLINE,
              EM_STAGE_CONNECT | EM_STAGE_COMMAND | EM_STAGE_EHLO | EM_STAGE_STARTTLS | EM_STAGE_AUTH | EM_STAGE_MAIL |
                  EM_STAGE_RCPT | EM_STAGE_DATA | EM_STAGE_HEADERS | EM_STAGE_BODY | EM_STAGE_MESSAGEACCEPT | EM_STAGE_ETRN |
                  EM_STAGE_ATRN | EM_STAGE_VRFY | EM_STAGE_VERB | EM_STAGE_RSET | EM_STAGE_QUIT | EM_STAGE_TIMEOUT | EM_STAGE_DISCONNECT,
              EM_EDIT_VERDICT | EM_EDIT_REPLY_TEXT | EM_EDIT_REPLY_CODE | EM_EDIT_ATTRIBUTE | EM_EDIT_HEADER | EM_EDIT_HOLD |
                  EM_EDIT_DISCARD | EM_EDIT_SENDER | EM_EDIT_RECIPIENT | EM_EDIT_BODY | EM_EDIT_COMMAND | EM_EDIT_TAG |
                  EM_EDIT_KEYWORD | EM_EDIT_CREDENTIALS | EM_EDIT_QUEUE);

#define WISHES_MAX 100

/* Set once by em_entry, before any handler runs. */
static const EmEditsService *edits;
static const EmSessionService *sessions;

/* What is left of the wishes: hexadecimal digits. */
struct wishes {
    const char *at, *end;
};

static unsigned digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10) & 15;
}

static unsigned draw(struct wishes *left)
{
    unsigned octet;

    if (left->end - left->at < 2)
        return 0;
    octet = digit(left->at[0]) << 4 | digit(left->at[1]);
    left->at += 2;
    return octet;
}

static EmText draw_text(struct wishes *left, char *room)
{
    EmText text = {room, draw(left)};
    uint64_t at;

    if (text.len == 255)
        text.data = NULL;
    else if (text.len == 254)
        text.len = UINT64_MAX;
    else
        for (at = 0; at < text.len; at++)
            room[at] = (char)draw(left);
    return text;
}

static STATUS wish(EmEdits *sheet, struct wishes *left)
{
    char rooms[2][256];
    unsigned operation = draw(left) % 24, number = draw(left);
    uint16_t code = (uint16_t)(draw(left) << 8);
    EmText a, b;

    code = (uint16_t)(code | draw(left));
    a = draw_text(left, rooms[0]);
    b = draw_text(left, rooms[1]);
    switch (operation) {
    case 0: return edits->verdict(sheet, number, code, a, b);
    case 1: return edits->reply_text(sheet, a);
    case 2: return edits->reply_change(sheet, code, a, b);
    case 3: return edits->attribute(sheet, a, b);
    case 4: return edits->header_add(sheet, a, b);
    case 5: return edits->header_insert(sheet, number, a, b);
    case 6: return edits->header_change(sheet, a, number, b);
    case 7: return edits->header_delete(sheet, a, number);
    case 8: return edits->hold(sheet, a);
    case 9: return edits->discard(sheet);
    case 10: return edits->sender(sheet, a, b);
    case 11: return edits->recipient_add(sheet, a, b);
    case 12: return edits->recipient_remove(sheet, a);
    case 13: return edits->recipient_replace(sheet, a, b, em_text(number % 2 == 0 ? "" : "NOTIFY=NEVER"));
    case 14: return edits->command_replace(sheet, a);
    case 15: return edits->tag(sheet, a);
    case 16: return edits->body_prepend(sheet, a);
    case 17: return edits->body_append(sheet, a);
    case 18: return edits->body_replace(sheet, a);
    case 19: return edits->keyword_add(sheet, a, b);
    case 20: return edits->keyword_remove(sheet, a);
    case 21: return edits->identity(sheet, a);
    case 22: return edits->reverse(sheet, a);
    default: return edits->recipient_verdict(sheet, a, number, code, em_text(""), b);
    }
}

static STATUS on_event(const EMRECORD *record)
{
    static const char digits[] = "0123456789abcdef";
    static const STATUS answers[] = {ERR_EM_CONTINUE, EM_VERDICT, NOERROR, EM_FAULT, EM_PENDING, 0x7777};
    const EmEvent *event = (const EmEvent *)record->Event;
    char statuses[4 * WISHES_MAX];
    EmText text, said = {statuses, 0};
    struct wishes left;
    STATUS answer;

    if (sessions->attribute(event->session, em_text("wishes"), &text) != NOERROR)
        return ERR_EM_CONTINUE;
    left.at = text.data;
    left.end = text.data + text.len;
    answer = answers[draw(&left) % (sizeof answers / sizeof answers[0])];
    while (left.end - left.at >= 2 && said.len < sizeof statuses) {
        STATUS status = wish(event->edits, &left);
        int shift;

        for (shift = 12; shift >= 0; shift -= 4)
            statuses[said.len++] = digits[status >> shift & 15];
    }
    edits->attribute(event->edits, em_text("statuses"), said);
    return answer;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    static const EID events[] = {
        EM_SMTPCONNECT, EM_SMTPCOMMAND, EM_SMTPEHLO, EM_SMTPSTARTTLS, EM_SMTPAUTH, EM_SMTPMAIL,
        EM_SMTPRCPT, EM_SMTPDATA, EM_SMTPMESSAGEACCEPT, EM_SMTPETRN, EM_SMTPATRN, EM_SMTPVRFY,
        EM_SMTPRSET, EM_SMTPVERB, EM_SMTPQUIT, EM_SMTPDISCONNECT,
    };
    static const EID before_only[] = {EM_SMTPHEADERS, EM_SMTPBODY, EM_SMTPTIMEOUT};
    STATUS status = NOERROR;
    size_t at;

    edits = (const EmEditsService *)base->service(host, em_text(EM_EDITS_ID));
    sessions = (const EmSessionService *)base->service(host, em_text(EM_SESSION_ID));
    if (edits == NULL || sessions == NULL)
        return ERR_NOT_FOUND;
    for (at = 0; status == NOERROR && at < sizeof events / sizeof events[0]; at++)
        status = base->EMRegister(host, events[at], EM_REG_BEFORE | EM_REG_AFTER, on_event, NULL, NULL, 0, NULL);
    for (at = 0; status == NOERROR && at < sizeof before_only / sizeof before_only[0]; at++)
        status = base->EMRegister(host, before_only[at], EM_REG_BEFORE, on_event, NULL, NULL, 0, NULL);
    return status;
}
