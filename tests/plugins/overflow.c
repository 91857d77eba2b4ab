/* Reads beyond what it has allocated, by as many octets as the sender has: for showing that a sanitizer sees it. */
#include <stdlib.h>
#include <string.h>

#include "extmgr.h"

EM_DESCRIPTOR("overflow", "1.0", EM_CLASS_BLOCKING, EM_STAGE_MAIL, 0);

static STATUS on_mail(const EMRECORD *record)
{
    const EmMail *mail = (const EmMail *)record->Event;
    char *copy = (char *)malloc((size_t)mail->sender.len + 1);
    STATUS status = ERR_EM_CONTINUE;

    if (copy == NULL)
        return EM_FAULT;
    memset(copy, 0, (size_t)mail->sender.len + 1);
    if (copy[2 * mail->sender.len] != 0)
        status = EM_FAULT;
    free(copy);
    return status;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    return base->EMRegister(host, EM_SMTPMAIL, EM_REG_BEFORE, on_mail, NULL, NULL, 0, NULL);
}
