/* sub-address: delivers user+tag@ to user@, for the domains that are configured as `domains`, and keeps the tag in a header
 * field. `domains` has names separated by white space; `.example.org` stands for everything below it.
 *
 * The host looks at the domain (EmFilterService), so the handler is called for nothing else. All recipients of a message
 * see the field, as they see any other. */
#include <string.h>

#include "extmgr.h"

EM_DESCRIPTOR("sub-address", "1.0", EM_CLASS_INLINE, EM_STAGE_RCPT, EM_EDIT_RECIPIENT | EM_EDIT_HEADER);

#define PATH_OCTETS_MAX 320

/* Set once by em_entry, before any handler runs. */
static const EmEditsService *edits;

static STATUS on_rcpt(const EMRECORD *record)
{
    const EmRcpt *rcpt = (const EmRcpt *)record->Event;
    const char *path = rcpt->recipient.data;
    size_t octets = (size_t)rcpt->recipient.len, at = octets, plus;
    char plain[PATH_OCTETS_MAX];
    EmText recipient = {plain, 0}, tag;

    while (at > 0 && path[at - 1] != '@')
        at--;
    if (at == 0)
        return ERR_EM_CONTINUE; /* a bare postmaster */
    at--;
    for (plus = 0; plus < at && path[plus] != '+'; plus++)
        ;
    /* No user before the plus, no tag behind it, or a quoted local part, where a plus is a letter like any other. */
    if (plus == 0 || plus + 1 >= at || path[0] == '"' || octets > sizeof plain)
        return ERR_EM_CONTINUE;
    memcpy(plain, path, plus);
    memcpy(plain + plus, path + at, octets - at);
    recipient.len = plus + octets - at;
    tag.data = path + plus + 1;
    tag.len = at - plus - 1;
    if (edits->recipient_replace(rcpt->event.edits, em_text(""), recipient, em_text("")) != NOERROR ||
        edits->header_add(rcpt->event.edits, em_text("X-Sub-Address"), tag) != NOERROR)
        return EM_FAULT;
    return ERR_EM_CONTINUE;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    const EmConfigService *config = (const EmConfigService *)base->service(host, em_text(EM_CONFIG_ID));
    const EmFilterService *filters = (const EmFilterService *)base->service(host, em_text(EM_FILTER_ID));
    const EmLogService *logging = (const EmLogService *)base->service(host, em_text(EM_LOG_ID));
    EmFilter filter;
    HEMREGISTRATION registration;
    STATUS status;

    edits = (const EmEditsService *)base->service(host, em_text(EM_EDITS_ID));
    if (config == NULL || filters == NULL || logging == NULL || edits == NULL)
        return ERR_NOT_FOUND;
    /* Zeros stand for anything, in members too that a later header adds. */
    memset(&filter, 0, sizeof filter);
    filter.size = sizeof filter;
    if (config->text(host, em_text("domains"), &filter.recipient_domains) != NOERROR ||
        filter.recipient_domains.len == 0) {
        logging->write(host, NULL, EM_LOG_ERROR, em_text("`domains` must be a string of domains"));
        return ERR_MISC_INVALID_ARGS;
    }
    status = base->EMRegister(host, EM_SMTPRCPT, EM_REG_BEFORE, on_rcpt, NULL, NULL, 0, &registration);
    return status == NOERROR ? filters->narrow(host, registration, &filter) : status;
}
