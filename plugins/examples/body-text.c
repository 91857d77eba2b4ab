/* body-text: refuses a message while it comes, when its body has the text that is configured as `text`.
 *
 * A chunk may end inside the text, so how much of it the body has just ended with is kept for the message: a number, which
 * needs no memory of its own, in the slot. Chunks are octets: no encoding is undone and no case is folded. */
#include <string.h>

#include "extmgr.h"

EM_DESCRIPTOR("body-text", "1.0", EM_CLASS_INLINE, EM_STAGE_BODY, EM_EDIT_VERDICT);

#define TEXT_OCTETS_MAX 255

/* Set once by em_entry, before any handler runs. */
static const EmEditsService *edits;
static const EmSessionService *sessions;
static EmText text;
/* How much of the text's beginning still matches when the octet behind its first n does not (Knuth, Morris and Pratt). */
static size_t shorter[TEXT_OCTETS_MAX + 1];

static size_t matched_with(size_t matched, char octet)
{
    while (matched > 0 && text.data[matched] != octet)
        matched = shorter[matched];
    return matched + (text.data[matched] == octet);
}

static STATUS on_body(const EMRECORD *record)
{
    const EmBody *body = (const EmBody *)record->Event;
    void *slot = NULL;
    size_t matched;
    uint64_t at;

    if (sessions->message_slot(body->event.session, &slot) != NOERROR)
        return EM_FAULT;
    matched = (size_t)(uintptr_t)slot;
    for (at = 0; at < body->octets.len; at++) {
        matched = matched_with(matched, body->octets.data[at]);
        if (matched == text.len)
            return edits->verdict(body->event.edits, EM_VERDICT_REJECT, 554, em_text("5.7.1"),
                                  em_text("This text is not taken here")) == NOERROR
                       ? EM_VERDICT
                       : EM_FAULT;
    }
    if (sessions->message_slot_set(body->event.session, (void *)(uintptr_t)matched, NULL) != NOERROR)
        return EM_FAULT;
    return ERR_EM_CONTINUE;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    const EmConfigService *config = (const EmConfigService *)base->service(host, em_text(EM_CONFIG_ID));
    const EmLogService *logging = (const EmLogService *)base->service(host, em_text(EM_LOG_ID));
    size_t at;

    edits = (const EmEditsService *)base->service(host, em_text(EM_EDITS_ID));
    sessions = (const EmSessionService *)base->service(host, em_text(EM_SESSION_ID));
    if (config == NULL || logging == NULL || edits == NULL || sessions == NULL)
        return ERR_NOT_FOUND;
    if (config->text(host, em_text("text"), &text) != NOERROR || text.len == 0 || text.len > TEXT_OCTETS_MAX) {
        logging->write(host, NULL, EM_LOG_ERROR, em_text("`text` must be a string of 1 to 255 octets"));
        return ERR_MISC_INVALID_ARGS;
    }
    for (at = 1; at < text.len; at++)
        shorter[at + 1] = matched_with(shorter[at], text.data[at]);
    return base->EMRegister(host, EM_SMTPBODY, EM_REG_BEFORE, on_body, NULL, NULL, 0, NULL);
}
