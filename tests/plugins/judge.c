/* Does at each MAIL what its configuration says under `does`: "grant" lets the session relay, "hold" and "discard" decide
 * what becomes of the message. */
#include <string.h>

#include "extmgr.h"

EM_DESCRIPTOR("judge", "1.0", EM_CLASS_BLOCKING, EM_STAGE_MAIL, EM_EDIT_ATTRIBUTE | EM_EDIT_HOLD | EM_EDIT_DISCARD);

/* Set once by em_entry, before any handler runs. */
static const EmEditsService *edits;
static EmText does;

static int is(const char *word)
{
    return does.len == strlen(word) && memcmp(does.data, word, strlen(word)) == 0;
}

static STATUS on_mail(const EMRECORD *record)
{
    struct EmEdits *sheet = ((const EmMail *)record->Event)->event.edits;
    STATUS status = EM_FAULT;

    if (is("grant"))
        status = edits->attribute(sheet, em_text(EM_ATTRIBUTE_RELAY_GRANTED), em_text("1"));
    else if (is("hold"))
        status = edits->hold(sheet, em_text("kept for a look"));
    else if (is("discard"))
        status = edits->discard(sheet);
    return status == NOERROR ? ERR_EM_CONTINUE : EM_FAULT;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    const EmConfigService *config = (const EmConfigService *)base->service(host, em_text(EM_CONFIG_ID));

    edits = (const EmEditsService *)base->service(host, em_text(EM_EDITS_ID));
    if (edits == NULL || config == NULL || config->text(host, em_text("does"), &does) != NOERROR)
        return ERR_NOT_FOUND;
    return base->EMRegister(host, EM_SMTPMAIL, EM_REG_BEFORE, on_mail, NULL, NULL, 0, NULL);
}
