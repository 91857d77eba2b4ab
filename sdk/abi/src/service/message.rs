//! The message service: reading a message.

use crate::{EmMessage, EmText, STATUS};

/// Id of EmMessageService.
pub const EM_MESSAGE_ID: &core::ffi::CStr = c"em.message/1";

/// Reads the message of an event: all of it at EM_SMTPMESSAGEACCEPT and EM_SMTPQUEUE, the header block alone at EM_SMTPHEADERS and
/// behind the session. Octets are octets: any above 127 may come, and in the body of a message that was sent with BODY=BINARYMIME
/// (RFC 3030) NUL, bare CR and bare LF too. The header block and the whole body, one behind the other, are the message as it
/// would be stored now, without the server's own trace fields.
///
/// Both functions write their output only on success and return NOERROR or ERR_MISC_INVALID_ARGS (a NULL).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EmMessageService {
    /// sizeof(EmMessageService) of the host.
    pub size: u32,
    /// Zero.
    pub reserved: u32,

    /// Reads the header block: whole lines, each ended by CRLF, without the empty line that ends the block. Edits of
    /// earlier handlers and earlier events are in it, this call's own are not.
    ///
    /// - value: octets, valid as long as the record.
    ///
    /// [session-thread & in-handler]
    pub header: unsafe extern "C" fn(message: *const EmMessage, value: *mut EmText) -> STATUS,

    /// Reads a piece of the body, which is what follows the header block and begins with the empty line between the two.
    /// To read all of it, begin at 0 and go on behind each piece until one is empty.
    ///
    /// A body of up to 64 KiB is in memory and is lent from there. Of a larger one pieces are read from a file, which
    /// blocks shortly; a handler of class EM_CLASS_INLINE may do so.
    ///
    /// - offset: where the piece begins, in octets from the beginning of the body.
    /// - value: 1 to 65,536 octets, valid until the next call of this function and as long as the record; empty at
    ///   the end of the body and behind it.
    ///
    /// Returns EM_ERR_IO too: the file could not be read.
    /// [session-thread & in-handler]
    pub body:
        unsafe extern "C" fn(message: *const EmMessage, offset: u64, value: *mut EmText) -> STATUS,
}
