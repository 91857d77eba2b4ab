/* Before every message is stored: puts a field on top, changes Subject, takes X-Secret out, replaces the sender, adds the
 * recipient that is configured under `add`, and removes gone@example.test. */
#include "extmgr.h"

EM_DESCRIPTOR("editor", "1.0", EM_CLASS_BLOCKING, EM_STAGE_MESSAGEACCEPT,
              EM_EDIT_HEADER | EM_EDIT_SENDER | EM_EDIT_RECIPIENT);

/* Set once by em_entry, before any handler runs. */
static const EmEditsService *edits;
static EmText add;

static STATUS on_message(const EMRECORD *record)
{
    struct EmEdits *sheet = ((const EmMessageAccept *)record->Event)->event.edits;

    if (edits->header_insert(sheet, 0, em_text("X-Top"), em_text("folded\r\n here")) != NOERROR ||
        edits->header_change(sheet, em_text("subject"), 1, em_text("changed")) != NOERROR ||
        edits->header_delete(sheet, em_text("X-Secret"), 1) != NOERROR ||
        edits->sender(sheet, em_text("new@client.test"), em_text("")) != NOERROR ||
        edits->recipient_add(sheet, add, em_text("")) != NOERROR ||
        edits->recipient_remove(sheet, em_text("gone@example.test")) != NOERROR)
        return EM_FAULT;
    return ERR_EM_CONTINUE;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    const EmConfigService *config = (const EmConfigService *)base->service(host, em_text(EM_CONFIG_ID));

    edits = (const EmEditsService *)base->service(host, em_text(EM_EDITS_ID));
    if (edits == NULL || config == NULL || config->text(host, em_text("add"), &add) != NOERROR)
        return ERR_NOT_FOUND;
    return base->EMRegister(host, EM_SMTPMESSAGEACCEPT, EM_REG_BEFORE, on_message, NULL, NULL, 0, NULL);
}
