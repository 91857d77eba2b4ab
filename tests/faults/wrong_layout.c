/* Calls itself a Rust plug-in and offers no layout, then one of another form. */
#include "fault.h"

#undef EM_LANGUAGE_C
#define EM_LANGUAGE_C EM_LANGUAGE_RUST
EM_DESCRIPTOR("wrong-layout", "1.0", EM_CLASS_BLOCKING, EM_STAGE_CONNECT, 0);

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    /* Its size comes first, as in every offer, and there is nothing else. */
    static const uint32_t offer[1] = {sizeof offer};
    const EmLayoutService *layout = (const EmLayoutService *)base->service(host, em_text(EM_LAYOUT_ID));

    if (layout == NULL)
        return ERR_NOT_FOUND;
    if (layout->check(host, NULL) != ERR_MISC_INVALID_ARGS)
        return EM_FAULT;
    return layout->check(host, offer);
}
