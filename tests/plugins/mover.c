/* Does what `XMAIL count|hold|release|flush DESTINATION` says with the mail that waits, on a thread that may block. */
#include <stdio.h>
#include <string.h>

#include "extmgr.h"

EM_DESCRIPTOR("mover", "1.0", EM_CLASS_BLOCKING, EM_STAGE_COMMAND, EM_EDIT_VERDICT | EM_EDIT_QUEUE);

/* Set once by em_entry, before any handler runs. */
static EmHost *our_host;
static const EmEditsService *edits;
static const EmQueueService *queue;

static int begins(EmText line, const char *with)
{
    size_t len = strlen(with);
    return line.len > len && memcmp(line.data, with, len) == 0;
}

static STATUS on_command(const EMRECORD *record)
{
    const EmCommand *command = (const EmCommand *)record->Event;
    EmQueueCount count = {sizeof count, 0, 0, 0, 0};
    EmText line = command->line, destination;
    const char *space;
    char text[100];
    STATUS status;

    if (!begins(line, "XMAIL "))
        return ERR_EM_CONTINUE;
    line.data += 6;
    line.len -= 6;
    space = (const char *)memchr(line.data, ' ', (size_t)line.len);
    if (space == NULL)
        return ERR_EM_CONTINUE;
    destination.data = space + 1;
    destination.len = line.len - (uint64_t)(space + 1 - line.data);
    if (begins(line, "count "))
        status = queue->count_wait(our_host, destination, &count);
    else if (begins(line, "hold "))
        status = queue->hold_wait(our_host, destination, em_text("asked for"), &count);
    else if (begins(line, "release "))
        status = queue->release_wait(our_host, destination, &count);
    else
        status = queue->flush_wait(our_host, destination, &count);
    if (status != NOERROR)
        return EM_FAULT;
    if (begins(line, "count "))
        snprintf(text, sizeof text, "%llu %llu %llu", (unsigned long long)count.queued,
                 (unsigned long long)count.held, (unsigned long long)count.octets);
    else
        snprintf(text, sizeof text, "%llu", (unsigned long long)count.queued);
    status = edits->verdict(command->event.edits, EM_VERDICT_HANDLED, 250, em_text("2.0.0"), em_text(text));
    return status == NOERROR ? EM_VERDICT : EM_FAULT;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    our_host = host;
    edits = (const EmEditsService *)base->service(host, em_text(EM_EDITS_ID));
    queue = (const EmQueueService *)base->service(host, em_text(EM_QUEUE_ID));
    if (edits == NULL || queue == NULL)
        return ERR_NOT_FOUND;
    return base->EMRegister(host, EM_SMTPCOMMAND, EM_REG_BEFORE, on_command, NULL, NULL, 0, NULL);
}
