/* Not a fault: subscribes to every event of a session, before and after, and has nothing against any of them. For measuring;
 * -DNAME='"..."' names it, so that several can be loaded; -DCLASS=EM_CLASS_BLOCKING has it called on the pool. */
#include "fault.h"

#ifndef NAME
#define NAME "noop"
#endif
#ifndef CLASS
#define CLASS EM_CLASS_INLINE
#endif

EM_DESCRIPTOR(NAME, "1.0", CLASS,
              EM_STAGE_CONNECT | EM_STAGE_COMMAND | EM_STAGE_EHLO | EM_STAGE_STARTTLS | EM_STAGE_AUTH | EM_STAGE_MAIL |
                  EM_STAGE_RCPT | EM_STAGE_DATA | EM_STAGE_HEADERS | EM_STAGE_BODY | EM_STAGE_MESSAGEACCEPT | EM_STAGE_ETRN |
                  EM_STAGE_ATRN | EM_STAGE_VRFY | EM_STAGE_VERB | EM_STAGE_RSET | EM_STAGE_QUIT | EM_STAGE_TIMEOUT | EM_STAGE_DISCONNECT,
              0);

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    static const EID events[] = {EM_SMTPCONNECT, EM_SMTPCOMMAND, EM_SMTPEHLO, EM_SMTPSTARTTLS, EM_SMTPAUTH,
                                 EM_SMTPMAIL,    EM_SMTPRCPT,    EM_SMTPDATA, EM_SMTPMESSAGEACCEPT,
                                 EM_SMTPETRN,    EM_SMTPATRN,    EM_SMTPVRFY,    EM_SMTPVERB, EM_SMTPRSET, EM_SMTPQUIT,
                                 EM_SMTPDISCONNECT};
    static const EID before_only[] = {EM_SMTPHEADERS, EM_SMTPBODY, EM_SMTPTIMEOUT};
    size_t at;

    for (at = 0; at < sizeof events / sizeof events[0]; at++) {
        STATUS status =
            base->EMRegister(host, events[at], EM_REG_BEFORE | EM_REG_AFTER, go_on, NULL, NULL, 0, NULL);
        if (status != NOERROR)
            return status;
    }
    for (at = 0; at < sizeof before_only / sizeof before_only[0]; at++) {
        STATUS status = base->EMRegister(host, before_only[at], EM_REG_BEFORE, go_on, NULL, NULL, 0, NULL);
        if (status != NOERROR)
            return status;
    }
    return NOERROR;
}
