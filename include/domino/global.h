/* global.h: the scalar types, calling-convention words and vararg macros that sources written for Domino's C API expect.
 *
 * Written from published facts for Linux, whatever platform macros a makefile passes: every size is fixed here. */

#ifndef GLOBAL_DEFS
#define GLOBAL_DEFS

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* Old sources use isspace, strcmp and strcasecmp without these. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

/* ---- What sources test to know the platform. Behind the system's headers, which must not see such short names. ---- */

#ifndef W
#define W 1
#endif
#ifndef W32
#define W32 1
#endif
#ifndef MIRAGE
#define MIRAGE 1
#endif
#ifndef GCC
#define GCC 1
#endif
#ifndef THREADS
#define THREADS 1
#endif
#ifndef PREEMPTIVE
#define PREEMPTIVE 1
#endif
#ifndef SEMAPHORES
#define SEMAPHORES 1
#endif
#ifndef LITTLE_ENDIAN_ORDER
#define LITTLE_ENDIAN_ORDER 1
#endif
#ifndef ODS_NEEDED
#define ODS_NEEDED 1
#endif
#ifndef HANDLE_IS_32BITS
#define HANDLE_IS_32BITS 1
#endif
#ifndef LONGIS64BIT
#define LONGIS64BIT 1
#endif
#ifndef PTRIS64BIT
#define PTRIS64BIT 1
#endif

/* ---- Words of other compilers, which mean nothing here. ---- */

#undef far
#define far
#undef near
#define near
#undef huge
#define huge
#undef cdecl
#define cdecl
#undef pascal
#define pascal
#undef FAR
#define FAR
#undef NEAR
#define NEAR
#undef PASCAL
#define PASCAL

#define LNPUBLIC FAR PASCAL
#define LNCALLBACK FAR PASCAL
#define LNCALLBACKPTR LNCALLBACK FAR *
#define LNVARARGS FAR cdecl
#define NOTESAPI LNPUBLIC
#define NOTESCALLBACK LNCALLBACK
#define NOTESCALLBACKPTR LNCALLBACKPTR
#define NOTESPTR FAR *
#define NOTESBOOL BOOL

/* ---- Scalars. ---- */

#undef VOID
#define VOID void

typedef unsigned char BYTE;
typedef uint16_t WORD;
typedef uint16_t USHORT;
typedef uint32_t DWORD;
typedef int32_t LONG;
typedef uint32_t ULONG;
typedef uint32_t UINT;
typedef int32_t BOOL;
typedef double NUMBER;

#undef SWORD
#define SWORD int16_t
#undef BOOLBYTE
#define BOOLBYTE BYTE

/** What a function returns: NOERROR, or a package and a number in it. */
typedef WORD STATUS;

typedef uint32_t HANDLE;
typedef uint32_t DHANDLE;
typedef HANDLE WHANDLE;
#define HMODULE WHANDLE
#define NULLHANDLE 0

#ifndef FALSE
#define FALSE 0
#endif
#ifndef TRUE
#define TRUE (!FALSE)
#endif

#ifndef MAXDWORD
#define MAXDWORD ((DWORD)0xffffffff)
#endif
#ifndef MAXWORD
#define MAXWORD ((WORD)0xffff)
#endif
#ifndef MAXBYTE
#define MAXBYTE ((BYTE)0xff)
#endif

#define LOBYTE(word) ((BYTE)((word)&0xff))
#define HIBYTE(word) ((BYTE)(((WORD)(word) >> 8) & 0xff))
#define LOWORD(dword) ((WORD)((DWORD)(dword)&0xffff))
#define HIWORD(dword) ((WORD)(((DWORD)(dword) >> 16) & 0xffff))

/** A moment: opaque, set and read by functions. */
typedef struct {
    DWORD Innards[2];
} TIMEDATE;

/** Names one of the copies of a note in all replicas. */
typedef struct {
    TIMEDATE File;
    TIMEDATE Note;
} UNID;
typedef UNID UNIVERSALNOTEID;

/** The same with a version. */
typedef struct {
    TIMEDATE File;
    TIMEDATE Note;
    DWORD Sequence;
    TIMEDATE SequenceTime;
} ORIGINATORID;
typedef ORIGINATORID OID;

/** What a text list begins with. */
typedef struct {
    USHORT ListEntries;
} LIST;

/* ---- Arguments without types. ---- */

/** The list of arguments that a record carries: a real va_list, an array type on x86-64, so that it can't be assigned. */
#define VARARG_PTR va_list
#define VARARG_PTR_P va_list
#define VARARG_ADDR(list) list
#define VARARG_DEREF(list) list
#define VARARG_START(list, last) va_start(list, last)
#ifdef __va_copy
#define VARARG_COPY(to, from) __va_copy(to, from)
#else
#define VARARG_COPY(to, from) va_copy(to, from)
#endif
#define VARARG_ROUND_UP(number, unit) (((number) + (unit)-1) / (unit) * (unit))

/* The next argument. What is narrower than int is passed as one (C11 6.5.2.2), and must be fetched as one. */
#if defined(__cplusplus)
template <typename Type, bool narrow = (sizeof(Type) < sizeof(int))> struct StagepostPassed {
    typedef Type As;
};
template <typename Type> struct StagepostPassed<Type, true> {
    typedef int As;
};
#define VARARG_GET(list, type) ((type)va_arg(list, StagepostPassed<type>::As))
#elif defined(__GNUC__)
#define VARARG_GET(list, type)                                                              \
    ((type)va_arg(list, __typeof__(*__builtin_choose_expr(sizeof(type) < sizeof(int), (int *)0, \
                                                          (__typeof__(type) *)0))))
#else
#define VARARG_GET(list, type) ((type)va_arg(list, type))
#endif

/* ---- Functions. ---- */

#ifdef __cplusplus
extern "C" {
#endif

/** Begins and ends the use of this API on a thread that the add-in has made. */
STATUS LNPUBLIC NotesInitThread(void);
void LNPUBLIC NotesTermThread(void);

#ifdef __cplusplus
}
#endif

#include "globerr.h"

#endif
