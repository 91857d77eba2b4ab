/* extmgr.h: the extension manager as add-ins written for Domino see it: registration, the record with its list of
 * arguments, and the number of every event.
 *
 * This is not the header for new plug-ins, which is ../extmgr.h: the two share names and can't be used together. */

#ifdef STAGEPOST_EXTMGR_H
#error "include either this extmgr.h or the native one, not both: they share names"
#endif

#ifndef EXMGR_DEFS
#define EXMGR_DEFS

#include "global.h"
#include "nsfdata.h"
#include "nif.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The number of an event. */
typedef WORD EID;

/** Names a registration; 0 names none. */
typedef DWORD HEMREGISTRATION;

/* NotificationType: the server has not acted yet, or has. */
#define EM_BEFORE 0
#define EM_AFTER 1

/* Flags of EMRegister: which of the two, or both. */
#define EM_REG_BEFORE 0x0001
#define EM_REG_AFTER 0x0002

#define MAXAUTHEMNAMELENGTH 1024

/** What a handler is told. Made anew for each call; its list of arguments is read once, in order. */
typedef struct {
    EID EId;
    WORD NotificationType;
    /** EM_BEFORE: NOERROR. EM_AFTER: what became of the event. */
    STATUS Status;
    /** The arguments of the event, for VARARG_GET. */
    VARARG_PTR Ap;
} EMRECORD;

/** A handler. Returns ERR_EM_CONTINUE, NOERROR (the event is dealt with) or an error (it is refused). */
typedef STATUS(LNCALLBACKPTR EMHANDLER)(EMRECORD far *record);

/** Registers a handler for an event, any of those below, while MainEntryPoint runs.
 *
 * - recursion_id: 0, or one of EMCreateRecursionID: then it is not called on a thread that is in a handler with the same.
 * - registration: receives its name; may be NULL.
 *
 * Returns NOERROR, ERR_EM_ILLEGALFLAGS, ERR_EM_ILLEGAL, ERR_EM_TOOMANYADDINS or ERR_EM_NOTAUTHORIZED (at another time). */
STATUS LNPUBLIC EMRegister(EID event, DWORD flags, EMHANDLER handler, WORD recursion_id,
                           HEMREGISTRATION far *registration);
STATUS LNPUBLIC EMDeregister(HEMREGISTRATION registration);
STATUS LNPUBLIC EMCreateRecursionID(WORD far *recursion_id);

/** The entry of an add-in, which the add-in defines. Without C linkage it is not found. */
STATUS LNPUBLIC MainEntryPoint(void);

/* ---- The events. Those of SMTP and TERMINATENSF happen here; all others may be registered for and never do. ---- */

#define EM_NSFDBCLOSESESSION 1
#define EM_NSFDBCLOSE 2
#define EM_NSFDBCREATE 3
#define EM_NSFDBDELETE 4
#define EM_NSFNOTEOPEN 5
#define EM_NSFNOTECLOSE 6
#define EM_NSFNOTECREATE 7
#define EM_NSFNOTEDELETE 8
#define EM_NSFNOTEOPENBYUNID 10
#define EM_FTGETLASTINDEXTIME 11
#define EM_FTINDEX 12
#define EM_FTSEARCH 13
#define EM_NIFFINDBYKEY 14
#define EM_NIFFINDBYNAME 15
#define EM_NIFOPENNOTE 17
#define EM_NIFREADENTRIES 18
#define EM_NIFUPDATECOLLECTION 20
#define EM_NSFDBALLOCOBJECT 22
#define EM_NSFDBCOMPACT 23
#define EM_NSFDBDELETENOTES 24
#define EM_NSFDBFREEOBJECT 25
#define EM_NSFDBGETMODIFIEDNOTETABLE 26
#define EM_NSFDBGETNOTEINFO 29
#define EM_NSFDBGETNOTEINFOBYUNID 30
#define EM_NSFDBGETOBJECTSIZE 31
#define EM_NSFDBGETSPECIALNOTEID 32
#define EM_NSFDBINFOGET 33
#define EM_NSFDBINFOSET 34
#define EM_NSFDBLOCATEBYREPLICAID 35
#define EM_NSFDBMODIFIEDTIME 36
#define EM_NSFDBREADOBJECT 37
#define EM_NSFDBREALLOCOBJECT 39
#define EM_NSFDBREPLICAINFOGET 40
#define EM_NSFDBREPLICAINFOSET 41
#define EM_NSFDBSPACEUSAGE 42
#define EM_NSFDBSTAMPNOTES 43
#define EM_NSFDBWRITEOBJECT 45
#define EM_NSFNOTEUPDATE 47
#define EM_NIFOPENCOLLECTION 50
#define EM_NIFCLOSECOLLECTION 51
#define EM_NSFDBGETBUILDVERSION 52
#define EM_NSFDBRENAME 54
#define EM_NSFDBITEMDEFTABLE 56
#define EM_NSFDBREOPEN 59
#define EM_NSFDBOPENEXTENDED 63
#define EM_NSFNOTEOPENEXTENDED 64
#define EM_TERMINATENSF 69
#define EM_NSFNOTEDECRYPT 70
#define EM_GETPASSWORD 73
#define EM_SETPASSWORD 74
#define EM_NSFCONFLICTHANDLER 75
#define EM_MAILSENDNOTE 83
#define EM_CLEARPASSWORD 90
#define EM_NSFNOTEUPDATEXTENDED 102
#define EM_SCHFREETIMESEARCH 105
#define EM_SCHRETRIEVE 106
#define EM_SCHSRVRETRIEVE 107
#define EM_NSFDBCOMPACTEXTENDED 121
#define EM_ADMINPPROCESSREQUEST 124
#define EM_NIFGETCOLLECTIONDATA 126
#define EM_NSFDBCOPYNOTE 127
#define EM_NSFNOTECOPY 128
#define EM_NSFNOTEATTACHFILE 129
#define EM_NSFNOTEDETACHFILE 130
#define EM_NSFNOTEEXTRACTFILE 131
#define EM_NSFNOTEATTACHOLE2OBJECT 132
#define EM_NSFNOTEDELETEOLE2OBJECT 133
#define EM_NSFNOTEEXTRACTOLE2OBJECT 134
#define EM_NSGETSERVERLIST 135
#define EM_NSFDBCOPY 136
#define EM_NSFDBCREATEANDCOPY 137
#define EM_NSFDBCOPYACL 138
#define EM_NSFDBCOPYTEMPLATEACL 139
#define EM_NSFDBCREATEACLFROMTEMPLATE 140
#define EM_NSFDBREADACL 141
#define EM_NSFDBSTOREACL 142
#define EM_NSFDBFILTER 143
#define EM_FTDELETEINDEX 144
#define EM_NSFNOTEGETINFO 145
#define EM_NSFNOTESETINFO 146
#define EM_NSFNOTECOMPUTEWITHFORM 147
#define EM_NIFFINDDESIGNNOTE 148
#define EM_NIFFINDPRIVATEDESIGNNOTE 149
#define EM_NIFGETLASTMODIFIEDTIME 150
#define EM_FTSEARCHEXT 160
#define EM_NAMELOOKUP 161
#define EM_NSFNOTEUPDATEMAILBOX 164
#define EM_NIFFINDDESIGNNOTEEXT 167
#define EM_AGENTOPEN 170
#define EM_AGENTRUN 171
#define EM_AGENTCLOSE 172
#define EM_AGENTISENABLED 173
#define EM_AGENTCREATERUNCONTEXT 175
#define EM_AGENTDESTROYRUNCONTEXT 176
#define EM_AGENTSETDOCUMENTCONTEXT 177
#define EM_AGENTSETTIMEEXECUTIONLIMIT 178
#define EM_AGENTQUERYSTDOUTBUFFER 179
#define EM_AGENTREDIRECTSTDOUT 180
#define EM_SECAUTHENTICATION 184
#define EM_NAMELOOKUP2 185
#define EM_NSFDBHASPROFILENOTECHANGED 198
#define EM_NSFMARKREAD 208
#define EM_NSFADDTOFOLDER 209
#define EM_NSFDBSPACEUSAGESCALED 210
#define EM_NSFDBGETMAJMINVERSION 222
#define EM_ROUTERJOURNALMESSAGE 223
#define EM_SMTPCONNECT 224
#define EM_SMTPCOMMAND 225
#define EM_SMTPMESSAGEACCEPT 226
#define EM_SMTPDISCONNECT 227
#define EM_NSFARCHIVECOPYNOTES 228
#define EM_NSFARCHIVEDELETENOTES 229
#define EM_NSFNOTEEXTRACTWITHCALLBACK 235
#define EM_NSFDBSTAMPNOTESMULTIITEM 239
#define EM_MEDIARECOVERY_NOTE 244
#define EM_NSFGETCHANGEDDBS 246
#define EM_NSFDBMODIFIEDTIMEBYNAME 247
#define EM_NSFGETDBCHANGES 250
#define EM_NSFNOTECIPHERDECRYPT 251
#define EM_NSFNOTECIPHEREXTRACTFILE 252
#define EM_NSFNOTECIPHEREXTRACTWITHCALLBACK 253
#define EM_NSFNOTECIPHEREXTRACTOLE2OBJECT 254
#define EM_NSFNOTECIPHERDELETEOLE2OBJECT 255
#define EM_NSFDBNOTELOCK 256
#define EM_NSFDBNOTEUNLOCK 257

#ifdef __cplusplus
}
#endif

#endif
