/* Adds to the protocol: the verb XHELLO, the keyword X-HELLO, the parameters XTAG of MAIL and XNOTE of RCPT, which it puts
 * into a header field. To a client that calls itself plain.test it does not offer SIZE, but X-PLAIN. Takes "XDO line" for
 * "line". */
#include <stdio.h>
#include <string.h>

#include "extmgr.h"

#ifndef NAME
#define NAME "greeter"
#endif
#ifndef VERB
#define VERB "XHELLO"
#endif

EM_DESCRIPTOR(NAME, "1.0", EM_CLASS_INLINE,
              EM_STAGE_COMMAND | EM_STAGE_EHLO | EM_STAGE_VERB | EM_STAGE_MAIL | EM_STAGE_RCPT,
              EM_EDIT_VERDICT | EM_EDIT_HEADER | EM_EDIT_COMMAND | EM_EDIT_KEYWORD);

/* Set once by em_entry, before any handler runs. */
static const EmEditsService *edits;
static const EmExtensionService *extension;

static int is(EmText text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.data, word, text.len) == 0;
}

static STATUS on_command(const EMRECORD *record)
{
    const EmCommand *command = (const EmCommand *)record->Event;
    EmText line = command->line;

    if (line.len <= 4 || memcmp(line.data, "XDO ", 4) != 0)
        return ERR_EM_CONTINUE;
    line.data += 4;
    line.len -= 4;
    return edits->command_replace(command->event.edits, line) == NOERROR ? ERR_EM_CONTINUE : EM_FAULT;
}

static STATUS on_ehlo(const EMRECORD *record)
{
    const EmEhlo *ehlo = (const EmEhlo *)record->Event;

    if (!is(ehlo->name, "plain.test"))
        return ERR_EM_CONTINUE;
    if (edits->keyword_remove(ehlo->event.edits, em_text("SIZE")) != NOERROR ||
        edits->keyword_add(ehlo->event.edits, em_text("X-PLAIN"), em_text("")) != NOERROR ||
        edits->keyword_add(ehlo->event.edits, em_text("PIPELINING"), em_text("")) != EM_ERR_CLAIMED)
        return EM_FAULT;
    return ERR_EM_CONTINUE;
}

static STATUS on_verb(const EMRECORD *record)
{
    const EmVerb *verb = (const EmVerb *)record->Event;
    char words[128];

    if (!is(verb->verb, VERB))
        return ERR_EM_CONTINUE;
    snprintf(words, sizeof words, "Hello, %.*s", (int)verb->argument.len, verb->argument.data);
    return edits->verdict(verb->event.edits, EM_VERDICT_HANDLED, 250, em_text("2.0.0"), em_text(words)) == NOERROR
               ? EM_VERDICT
               : EM_FAULT;
}

static STATUS note(struct EmEdits *sheet, EmText parameters, const char *keyword, const char *field)
{
    EmText value;
    STATUS status = extension->parameter(parameters, em_text(keyword), &value);

    if (status == ERR_NOT_FOUND)
        return ERR_EM_CONTINUE;
    if (status != NOERROR || edits->header_add(sheet, em_text(field), value) != NOERROR)
        return EM_FAULT;
    return ERR_EM_CONTINUE;
}

static STATUS on_mail(const EMRECORD *record)
{
    const EmMail *mail = (const EmMail *)record->Event;

    return note(mail->event.edits, mail->parameters, "XTAG", "X-Tag");
}

static STATUS on_rcpt(const EMRECORD *record)
{
    const EmRcpt *rcpt = (const EmRcpt *)record->Event;

    return note(rcpt->event.edits, rcpt->parameters, "XNOTE", "X-Note");
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    static const struct {
        EID event;
        STATUS (*handler)(const EMRECORD *record);
    } handlers[] = {{EM_SMTPCOMMAND, on_command},
                    {EM_SMTPEHLO, on_ehlo},
                    {EM_SMTPVERB, on_verb},
                    {EM_SMTPMAIL, on_mail},
                    {EM_SMTPRCPT, on_rcpt}};
    STATUS status = NOERROR;
    size_t at;

    edits = (const EmEditsService *)base->service(host, em_text(EM_EDITS_ID));
    extension = (const EmExtensionService *)base->service(host, em_text(EM_EXTENSION_ID));
    if (edits == NULL || extension == NULL)
        return ERR_NOT_FOUND;
    if (extension->claim_verb(host, em_text(VERB)) != NOERROR ||
        extension->claim_keyword(host, em_text("X-" VERB), em_text("world moon")) != NOERROR ||
        extension->claim_mail_parameter(host, em_text("XTAG")) != NOERROR ||
        extension->claim_rcpt_parameter(host, em_text("XNOTE")) != NOERROR)
        return EM_FAULT;
    for (at = 0; status == NOERROR && at < sizeof handlers / sizeof handlers[0]; at++)
        status = base->EMRegister(host, handlers[at].event, EM_REG_BEFORE, handlers[at].handler, NULL, NULL, 0, NULL);
    return status;
}
