/* osmem.h: memory by handles. */

#ifndef OS_MEMORY_DEFS
#define OS_MEMORY_DEFS

#include "global.h"
#include "pool.h"

/** Names memory of the newer family. */
typedef DWORD MEMHANDLE;
#define NULLMEMHANDLE 0

#define MEM_SHARE 0x8000
#define MEM_GROWABLE 0x4000

#ifdef __cplusplus
extern "C" {
#endif

/** Makes a block of memory, filled with zeros.
 *
 * - type: MEM_..., without effect. */
STATUS LNPUBLIC OSMemAlloc(WORD type, DWORD size, DHANDLE far *handle);
STATUS LNPUBLIC OSMemFree(DHANDLE handle);
STATUS LNPUBLIC OSMemGetSize(DHANDLE handle, DWORD far *size);
/** Changes the size of a block. Whoever has it locked must lock it again: it is somewhere else then. */
STATUS LNPUBLIC OSMemRealloc(DHANDLE handle, DWORD size);

/** Lends the octets of a block until it is freed or unlocked as often as it was locked; NULL when there is no such block. */
void far *LNPUBLIC OSLockObject(DHANDLE handle);
BOOL LNPUBLIC OSUnlockObject(DHANDLE handle);

STATUS LNPUBLIC OSMemoryAllocate(DWORD type, DWORD size, MEMHANDLE far *handle);
void LNPUBLIC OSMemoryFree(MEMHANDLE handle);
void far *LNPUBLIC OSMemoryLock(MEMHANDLE handle);
BOOL LNPUBLIC OSMemoryUnlock(MEMHANDLE handle);

#define OSLock(type, handle) ((type far *)OSLockObject(handle))
#define OSUnlock(handle) OSUnlockObject(handle)
#define OSLockBlock(type, id) ((type far *)((char far *)OSLockObject((id).pool) + (id).block))
#define OSUnlockBlock(id) OSUnlockObject((id).pool)

#ifdef __cplusplus
}
#endif

#endif
