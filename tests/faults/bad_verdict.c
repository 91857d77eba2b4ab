/* At MAIL it announces a verdict and gives none. With `wrong_class = true` in its configuration it lets MAIL pass, and at
 * RCPT tries to reject with a code that accepts, which the host refuses, and announces the verdict all the same. */
#include "fault.h"

EM_DESCRIPTOR("bad-verdict", "1.0", EM_CLASS_BLOCKING, EM_STAGE_MAIL | EM_STAGE_RCPT, EM_EDIT_VERDICT);

static const EmEditsService *edits;
static uint8_t wrong_class;

static STATUS on_mail(const EMRECORD *record)
{
    (void)record;
    return wrong_class ? ERR_EM_CONTINUE : EM_VERDICT;
}

static STATUS on_rcpt(const EMRECORD *record)
{
    const EmRcpt *rcpt = (const EmRcpt *)record->Event;
    STATUS status = edits->verdict(rcpt->event.edits, EM_VERDICT_REJECT, 250, em_text("2.1.5"), em_text("welcome"));

    return status == ERR_MISC_INVALID_ARGS ? EM_VERDICT : ERR_EM_CONTINUE;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    const EmConfigService *config = (const EmConfigService *)base->service(host, em_text(EM_CONFIG_ID));
    STATUS status;

    edits = (const EmEditsService *)base->service(host, em_text(EM_EDITS_ID));
    if (edits == NULL || config == NULL)
        return ERR_NOT_FOUND;
    config->boolean(host, em_text("wrong_class"), &wrong_class);
    status = before(base, host, EM_SMTPMAIL, on_mail);
    return status != NOERROR ? status : before(base, host, EM_SMTPRCPT, on_rcpt);
}
