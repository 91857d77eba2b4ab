/* stdnames.h: names of the items that a mail note has. */

#ifndef STDNAMES_DEFS
#define STDNAMES_DEFS

#define FIELD_FORM "Form"
#define MAIL_FORM_ITEM "Form"
#define MAIL_FROM_ITEM "From"
#define MAIL_SENDTO_ITEM "SendTo"
#define MAIL_COPYTO_ITEM "CopyTo"
#define MAIL_BLINDCOPYTO_ITEM "BlindCopyTo"
#define MAIL_INETFROM_ITEM "INetFrom"
#define MAIL_INETSENDTO_ITEM "INetSendTo"
#define MAIL_REPLYTO_ITEM "ReplyTo"
#define MAIL_SENDER_ITEM "Sender"
#define MAIL_SUBJECT_ITEM "Subject"
#define MAIL_BODY_ITEM "Body"
#define MAIL_POSTEDDATE_ITEM "PostedDate"
#define MAIL_MESSAGEID_ITEM "$MessageID"
#define MAIL_RECIPIENTS_ITEM "Recipients"
#define MAIL_RECEIVED_ITEM "Received"
#define MAIL_ROUTESERVERS_ITEM "RouteServers"
#define MAIL_ROUTETIMES_ITEM "RouteTimes"
#define MAIL_ROUTINGSTATE_ITEM "RoutingState"
#define MAIL_MIMEVERSION_ITEM "MIME_Version"
#define MAIL_SMTPORIGINATOR_ITEM "SMTPOriginator"
#define MAIL_SMTPRETURNHDRS_ITEM "SMTPReturnHdrs"
#define MAIL_SMTPENVID_ITEM "SMTPEnvid"
#define MAIL_SMTPDSNRECIPIENTS_ITEM "SMTPDSNRecipients"
#define MAIL_MIMETRACK_ITEM "$MIMETrack"
#define MAIL_NOTEHASNATIVEMIME_ITEM "$NoteHasNativeMIME"
#define MAIL_SMTPNOTFROMNOTES_ITEM "$SMTPNotFromNotes"
#define MAIL_INETORIG_ITEM "$INetOrig"

#endif
