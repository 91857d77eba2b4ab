/* Prints the values of what extmgr.h has by hand: the descriptor that EM_DESCRIPTOR makes, and em_text. C and C++. */

#include <stdio.h>

#include "extmgr.h"

EM_DESCRIPTOR("a-name_1", "1.2.3", EM_CLASS_INLINE, EM_STAGE_CONNECT | EM_STAGE_DISCONNECT,
              EM_EDIT_VERDICT | EM_EDIT_DISCARD);

EM_EXPORT STATUS em_entry(const EmBase *base, EmHost *host)
{
    return base == NULL && host == NULL ? NOERROR : ERR_NOT_FOUND;
}

int main(void)
{
    const unsigned char *octets = (const unsigned char *)&em_descriptor;
    EmText some = em_text("some");
    EmText none = em_text(NULL);
    size_t at;

    for (at = 0; at < sizeof em_descriptor; at++)
        printf("%02x", octets[at]);
    printf("\n%.*s %u, %u %d\n", (int)some.len, some.data, (unsigned)some.len, (unsigned)none.len,
           none.data == NULL);
    printf("%s %s %s\n", EM_LOG_ID, EM_EDITS_ID, EM_ATTRIBUTE_RELAY_GRANTED);
    printf("%d %d %d %d\n", ERR_EM_CONTINUE, EM_SMTPCONNECT, EM_SMTPETRN, em_entry(NULL, NULL));
    return 0;
}
