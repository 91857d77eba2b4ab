/* Needs a newer host. Its descriptor is written by hand: EM_DESCRIPTOR asks for no minor version. */
#include "fault.h"

EM_RETAIN __attribute__((section(".stagepost"))) static const EmDescriptor em_descriptor = {
    EM_DESCRIPTOR_MAGIC, sizeof(EmDescriptor), EM_ABI_MAJOR, EM_ABI_MINOR + 1, EM_BASE_DIGEST, EM_STAGE_CONNECT,
    0, EM_CLASS_BLOCKING, EM_LANGUAGE_C, "newer-minor", "1.0", {0, 0, 0, 0}};

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    return before(base, host, EM_SMTPCONNECT, go_on);
}
