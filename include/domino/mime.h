/* mime.h: the message of a note as one stream of octets. */

#ifndef MIME_DEFS
#define MIME_DEFS

#include "nsfdata.h"

typedef void *MIMEHANDLE;

#define MIME_STREAM_OPEN_READ 0x00000001
#define MIME_STREAM_OPEN_WRITE 0x00000002
#define MIME_STREAM_MIME_INCLUDE_HEADERS 0x00000010
#define MIME_STREAM_RFC2822_INCLUDE_HEADERS 0x00000020
#define MIME_STREAM_INCLUDE_HEADERS (MIME_STREAM_MIME_INCLUDE_HEADERS | MIME_STREAM_RFC2822_INCLUDE_HEADERS)

#define MIME_STREAM_NO_DELETE_ATTACHMENTS 0x00000001
#define MIME_STREAM_ITEMIZE_HEADERS 0x00000002
#define MIME_STREAM_ITEMIZE_BODY 0x00000004
#define MIME_STREAM_ITEMIZE_FULL (MIME_STREAM_ITEMIZE_HEADERS | MIME_STREAM_ITEMIZE_BODY)

/* What the functions that return an int return. */
#define MIME_STREAM_SUCCESS 0
#define MIME_STREAM_EOS 1
#define MIME_STREAM_IO 2

#ifdef __cplusplus
extern "C" {
#endif

/** Opens a stream, or leaves a NULL: the message of the note for reading, which wins, or nothing for writing. */
STATUS LNPUBLIC MIMEStreamOpen(NOTEHANDLE note, char far *item, WORD item_length, DWORD flags, MIMEHANDLE far *stream);
int LNPUBLIC MIMEStreamRead(unsigned char far *octets, unsigned int far *got, unsigned int max, MIMEHANDLE stream);
/** Reads a line with its end, at most max - 1 octets of it, and a NUL; an empty text at the end. */
int LNPUBLIC MIMEStreamGetLine(char far *line, unsigned int max, MIMEHANDLE stream);
int LNPUBLIC MIMEStreamRewind(MIMEHANDLE stream);
int LNPUBLIC MIMEStreamWrite(unsigned char far *octets, unsigned int count, MIMEHANDLE stream);
int LNPUBLIC MIMEStreamPutLine(char far *line, MIMEHANDLE stream);
/** Makes the stream's message, headers, body or both, that of the note; without a flag the body. Without the headers, the whole
 * stream is the body. */
STATUS LNPUBLIC MIMEStreamItemize(NOTEHANDLE note, char far *item, WORD item_length, DWORD flags, MIMEHANDLE stream);
void LNPUBLIC MIMEStreamClose(MIMEHANDLE stream);

#ifdef __cplusplus
}
#endif

#endif
