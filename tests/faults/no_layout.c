/* Calls itself a Rust plug-in and does not have its layouts compared: it may register nothing, and is not loaded. */
#include "fault.h"

#undef EM_LANGUAGE_C
#define EM_LANGUAGE_C EM_LANGUAGE_RUST
EM_DESCRIPTOR("no-layout", "1.0", EM_CLASS_BLOCKING, EM_STAGE_CONNECT, 0);

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    return before(base, host, EM_SMTPCONNECT, go_on) == EM_ERR_STAGE ? NOERROR : EM_FAULT;
}
