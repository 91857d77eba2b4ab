//! Status codes of Domino's that the bridge gives and takes, and what they mean in words.
//! The numbers are those of include/domino.

pub(crate) const NOERROR: u16 = 0;
pub(crate) const ERR_NOEXIST: u16 = 0x0103;
pub(crate) const ERR_MEMORY: u16 = 0x0107;
pub(crate) const ERR_CANCEL: u16 = 0x019D;
pub(crate) const ERR_ITEM_NOT_FOUND: u16 = 0x0222;
pub(crate) const ERR_NOACCESS: u16 = 0x0246;
pub(crate) const ERR_EM_ILLEGAL: u16 = 0x02D1;
pub(crate) const ERR_EM_ILLEGALFLAGS: u16 = 0x02D2;
pub(crate) const ERR_EM_TOOMANYADDINS: u16 = 0x02D3;
pub(crate) const ERR_EM_NOTAUTHORIZED: u16 = 0x02D4;
pub(crate) const ERR_EM_CONTINUE: u16 = 0x02D5;
pub(crate) const ERR_UNSUPPORTED_FLAGS: u16 = 0x0306;
pub(crate) const ERR_NOT_FOUND: u16 = 0x0404;
pub(crate) const ERR_MISC_INVALID_ARGS: u16 = 0x0495;
pub(crate) const ERR_HOOK_SMTP_ERROR: u16 = 0x1145;
pub(crate) const ERR_HOOK_SMTP_TRANSIENT: u16 = 0x1146;

/// A status without the flags that say that it was shown, or came from elsewhere.
pub(crate) const fn plain(status: u16) -> u16 {
    status & 0x3fff
}

/// What a status means; empty for success and for what is not known here.
pub(crate) const fn words(status: u16) -> &'static str {
    match plain(status) {
        ERR_NOEXIST => "File does not exist",
        ERR_MEMORY => "Insufficient memory",
        ERR_CANCEL => "Operation cancelled",
        ERR_ITEM_NOT_FOUND => "No such item",
        ERR_NOACCESS => "Not permitted",
        ERR_EM_ILLEGAL => "No such event",
        ERR_EM_ILLEGALFLAGS => "Neither before nor after an event",
        ERR_EM_TOOMANYADDINS => "Too many registrations",
        ERR_EM_NOTAUTHORIZED => "Registration is not permitted here",
        ERR_EM_CONTINUE => "Go on",
        ERR_UNSUPPORTED_FLAGS => "Not supported",
        ERR_NOT_FOUND => "No such entry",
        ERR_MISC_INVALID_ARGS => "Invalid argument",
        ERR_HOOK_SMTP_ERROR => "Refused",
        ERR_HOOK_SMTP_TRANSIENT => "Refused for now",
        _ => "",
    }
}
