/* Edits every message by chance, wherever it may: header fields, body, sender, recipients, tags, hold. What it does depends on the
 * setting `seed` and on how often it was called. The recipients that it names are few, and the client names the same, before or
 * after it. keep@example.test is never removed nor replaced. With CLAIM it claims the RCPT parameter that all of them give. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "extmgr.h"

#ifndef NAME
#define NAME "chance"
#endif

EM_DESCRIPTOR(NAME, "1.0", EM_CLASS_INLINE,
              EM_STAGE_MAIL | EM_STAGE_RCPT | EM_STAGE_DATA | EM_STAGE_HEADERS | EM_STAGE_MESSAGEACCEPT,
              EM_EDIT_HEADER | EM_EDIT_BODY | EM_EDIT_SENDER | EM_EDIT_RECIPIENT | EM_EDIT_HOLD | EM_EDIT_TAG);

/* Set once by em_entry, before any handler runs. */
static const EmEditsService *edits;
static uint64_t seed;

static atomic_uint_fast64_t calls;

/* xorshift64*. */
static uint64_t next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dULL;
}

static EmText pick(uint64_t *state, const char *const *texts, size_t count)
{
    return em_text(texts[next(state) % count]);
}

static EmText name(uint64_t *state)
{
    static const char *const names[] = {"X-A", "x-a", "Subject", "X-B", "To"};
    return pick(state, names, 5);
}

static EmText value(uint64_t *state)
{
    static const char *const values[] = {"", "plain", "folded\r\n here", "8-bit \xff\xe4", "back\\slash \"quoted\""};
    return pick(state, values, 5);
}

/* Some of them in another spelling than the client's. */
static EmText known(uint64_t *state)
{
    static const char *const known[] = {"p0@example.test", "p1@EXAMPLE.test", "p1@example.test", "r0@example.test",
                                        "r1@example.test", "r2@Example.test", "r3@example.test"};
    return pick(state, known, 7);
}

static EmText parameters(uint64_t *state)
{
    static const char *const parameters[] = {"", "XCHANCE=1", "xchance=2"};
    return pick(state, parameters, 3);
}

static STATUS edit_header(uint64_t *state, struct EmEdits *sheet)
{
    EmText field = name(state);
    uint32_t number = (uint32_t)(next(state) % 4);

    switch (next(state) % 4) {
    case 0:
        return edits->header_add(sheet, field, value(state));
    case 1:
        return edits->header_insert(sheet, number, field, value(state));
    case 2:
        return edits->header_change(sheet, field, number + 1, value(state));
    default:
        return edits->header_delete(sheet, field, number + 1);
    }
}

static STATUS edit_body(uint64_t *state, struct EmEdits *sheet)
{
    static const char *const texts[] = {"one line\r\n", "8-bit \xff\r\n\r\n", ""};
    EmText text = pick(state, texts, 3);

    switch (next(state) % 5) {
    case 0:
        return edits->body_replace(sheet, text);
    case 1:
    case 2:
        return edits->body_prepend(sheet, text);
    default:
        return edits->body_append(sheet, text);
    }
}

static STATUS edit_sender(uint64_t *state, struct EmEdits *sheet)
{
    static const char *const paths[] = {"", "n0@client.test", "n1@client.test"};
    static const char *const given[] = {"", "SIZE=77", "BODY=8BITMIME SIZE=5"};
    EmText path = pick(state, paths, 3);

    return edits->sender(sheet, path, pick(state, given, 3));
}

static STATUS edit_recipients(uint64_t *state, struct EmEdits *sheet, EID event)
{
    EmText recipient = known(state);

    if (event == EM_SMTPRCPT || next(state) % 2 == 0)
        return edits->recipient_add(sheet, recipient, parameters(state));
    return edits->recipient_remove(sheet, recipient);
}

/* By one whom nobody else names, or by one who may be there already or come later. */
static STATUS replace(uint64_t *state, const EMRECORD *record, uint64_t call)
{
    const EmRcpt *rcpt = (const EmRcpt *)record->Event;
    EmText replaced = record->EId == EM_SMTPRCPT ? em_text("") : known(state);
    char path[64];

    if (record->EId == EM_SMTPRCPT && rcpt->recipient.len >= 5 && memcmp(rcpt->recipient.data, "keep@", 5) == 0)
        return NOERROR;
    snprintf(path, sizeof path, "q%llu-" NAME "@example.test", (unsigned long long)call);
    return edits->recipient_replace(rcpt->event.edits, replaced, next(state) % 2 ? em_text(path) : known(state),
                                    parameters(state));
}

static STATUS on_event(const EMRECORD *record)
{
    struct EmEdits *sheet = ((const EmEvent *)record->Event)->edits;
    uint64_t call = atomic_fetch_add(&calls, 1);
    uint64_t state = (seed + 1) * 0x9e3779b97f4a7c15ULL + call * 0xbf58476d1ce4e5b9ULL + 1;

    next(&state);
    for (uint64_t left = next(&state) % 5; left > 0; left--) {
        STATUS status = NOERROR;
        switch (next(&state) % 7) {
        case 0:
            if (record->EId == EM_SMTPMAIL || record->EId == EM_SMTPHEADERS || record->EId == EM_SMTPMESSAGEACCEPT)
                status = edit_sender(&state, sheet);
            break;
        case 1:
            if (record->EId != EM_SMTPMAIL)
                status = edit_recipients(&state, sheet, record->EId);
            break;
        case 2:
            if (record->EId != EM_SMTPMAIL)
                status = replace(&state, record, call * 8 + left);
            break;
        case 3:
            if (next(&state) % 2 == 0)
                status = edits->tag(sheet, em_text(next(&state) % 2 ? "odd" : "even"));
            if (status == NOERROR && next(&state) % 4 == 0)
                status = edits->hold(sheet, em_text("by chance"));
            break;
        case 4:
            if (record->EId == EM_SMTPMESSAGEACCEPT)
                status = edit_body(&state, sheet);
            break;
        default:
            status = edit_header(&state, sheet);
        }
        if (status != NOERROR)
            return EM_FAULT;
    }
    return ERR_EM_CONTINUE;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    static const EID events[] = {EM_SMTPMAIL, EM_SMTPRCPT, EM_SMTPDATA, EM_SMTPHEADERS, EM_SMTPMESSAGEACCEPT};
    const EmConfigService *config = (const EmConfigService *)base->service(host, em_text(EM_CONFIG_ID));
    int64_t given;

    edits = (const EmEditsService *)base->service(host, em_text(EM_EDITS_ID));
    if (edits == NULL || config == NULL || config->integer(host, em_text("seed"), &given) != NOERROR)
        return ERR_NOT_FOUND;
    seed = (uint64_t)given;
#ifdef CLAIM
    {
        const EmExtensionService *claims = (const EmExtensionService *)base->service(host, em_text(EM_EXTENSION_ID));
        if (claims == NULL || claims->claim_rcpt_parameter(host, em_text("XCHANCE")) != NOERROR)
            return ERR_NOT_FOUND;
    }
#endif
    for (size_t at = 0; at < sizeof events / sizeof events[0]; at++) {
        STATUS status = base->EMRegister(host, events[at], EM_REG_BEFORE, on_event, NULL, NULL, 0, NULL);
        if (status != NOERROR)
            return status;
    }
    return NOERROR;
}
