/* recipient-list: refuses the recipients that are configured as `refused`: addresses separated by spaces, in any case. The
 * others of the same message are accepted. */
#include <ctype.h>
#include <string.h>

#include "extmgr.h"

EM_DESCRIPTOR("recipient-list", "1.0", EM_CLASS_INLINE, EM_STAGE_RCPT, EM_EDIT_VERDICT);

/* Set once by em_entry, before any handler runs. */
static const EmEditsService *edits;
static EmText refused;

static int same(const char *one, const char *other, size_t octets)
{
    size_t at;

    for (at = 0; at < octets; at++)
        if (tolower((unsigned char)one[at]) != tolower((unsigned char)other[at]))
            return 0;
    return 1;
}

static int is_refused(EmText recipient)
{
    const char *word = refused.data, *end = refused.data + refused.len;

    while (word < end) {
        const char *space = (const char *)memchr(word, ' ', (size_t)(end - word));
        size_t octets = (size_t)((space == NULL ? end : space) - word);

        if (octets > 0 && octets == recipient.len && same(word, recipient.data, octets))
            return 1;
        word += octets + 1;
    }
    return 0;
}

static STATUS on_rcpt(const EMRECORD *record)
{
    const EmRcpt *rcpt = (const EmRcpt *)record->Event;

    if (!is_refused(rcpt->recipient))
        return ERR_EM_CONTINUE;
    return edits->verdict(rcpt->event.edits, EM_VERDICT_REJECT, 550, em_text("5.7.1"),
                          em_text("This recipient takes no mail")) == NOERROR
               ? EM_VERDICT
               : EM_FAULT;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    const EmConfigService *config = (const EmConfigService *)base->service(host, em_text(EM_CONFIG_ID));
    const EmLogService *logging = (const EmLogService *)base->service(host, em_text(EM_LOG_ID));

    edits = (const EmEditsService *)base->service(host, em_text(EM_EDITS_ID));
    if (config == NULL || logging == NULL || edits == NULL)
        return ERR_NOT_FOUND;
    if (config->text(host, em_text("refused"), &refused) != NOERROR || refused.len == 0) {
        logging->write(host, NULL, EM_LOG_ERROR, em_text("`refused` must be a string of addresses"));
        return ERR_MISC_INVALID_ARGS;
    }
    return base->EMRegister(host, EM_SMTPRCPT, EM_REG_BEFORE, on_rcpt, NULL, NULL, 0, NULL);
}
