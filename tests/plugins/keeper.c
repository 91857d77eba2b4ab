/* Uses what a plug-in has beside the stages of a session: metrics of its own. */
#include <string.h>

#include "extmgr.h"

EM_DESCRIPTOR("keeper", "1.0", EM_CLASS_INLINE, EM_STAGE_MAIL, 0);

static const EmMetricsService *metrics;
static EmMetric *mails, *depth, *lengths;

static STATUS before_mail(const EMRECORD *record)
{
    const EmMail *mail = (const EmMail *)record->Event;

    if (metrics->add(mails, 1) != NOERROR || metrics->set(depth, 7) != NOERROR || metrics->add(depth, -2) != NOERROR
        || metrics->observe(lengths, (double)mail->sender.len) != NOERROR)
        return EM_FAULT;
    /* What is not theirs. */
    if (metrics->add(mails, -1) != ERR_MISC_INVALID_ARGS || metrics->set(mails, 1) != EM_ERR_TYPE
        || metrics->observe(depth, 1.0) != EM_ERR_TYPE || metrics->add(NULL, 1) != ERR_MISC_INVALID_ARGS)
        return EM_FAULT;
    return ERR_EM_CONTINUE;
}

static STATUS make_metrics(const EmBase *base, EmHost *host)
{
    static const double bounds[] = {5.0, 10.0, 20.0}, falling[] = {2.0, 1.0};
    EmMetric *none = NULL;

    metrics = (const EmMetricsService *)base->service(host, em_text(EM_METRICS_ID));
    if (metrics == NULL)
        return ERR_NOT_FOUND;
    if (metrics->counter(host, em_text("mails"), em_text("Mails begun."), &mails) != NOERROR
        || metrics->gauge(host, em_text("depth"), em_text("Depth."), &depth) != NOERROR
        || metrics->histogram(host, em_text("sender_octets"), em_text("Lengths."), bounds, 3, &lengths) != NOERROR)
        return EM_FAULT;
    /* What can't be made. */
    if (metrics->counter(host, em_text("mails"), em_text("Again."), &none) != ERR_MISC_INVALID_ARGS
        || metrics->counter(host, em_text("a_total"), em_text("Taken."), &none) != ERR_MISC_INVALID_ARGS
        || metrics->gauge(host, em_text("x"), em_text(""), &none) != ERR_MISC_INVALID_ARGS
        || metrics->gauge(host, em_text("x"), em_text("X."), NULL) != ERR_MISC_INVALID_ARGS
        || metrics->histogram(host, em_text("x"), em_text("X."), falling, 2, &none) != ERR_MISC_INVALID_ARGS
        || metrics->histogram(host, em_text("x"), em_text("X."), NULL, 2, &none) != ERR_MISC_INVALID_ARGS
        || metrics->histogram(host, em_text("x"), em_text("X."), bounds, (uint64_t)-1, &none) != EM_ERR_LIMIT)
        return EM_FAULT;
    return none == NULL ? NOERROR : EM_FAULT;
}

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    STATUS status = make_metrics(base, host);

    if (status != NOERROR)
        return status;
    return base->EMRegister(host, EM_SMTPMAIL, EM_REG_BEFORE, before_mail, NULL, NULL, 0, NULL);
}
