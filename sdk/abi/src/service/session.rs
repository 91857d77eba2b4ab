//! The session service: facts, attributes and the plug-in's slots.

use core::ffi::c_void;

use crate::{EmRelease, EmSession, EmText, STATUS};

/// Id of EmSessionService.
pub const EM_SESSION_ID: &core::ffi::CStr = c"em.session/1";

/// Fact, number: the session's id, the same as in the log.
pub const EM_FACT_ID: u32 = 1;
/// Fact, text: the client's address, exactly as inet_ntop prints it.
pub const EM_FACT_REMOTE_IP: u32 = 2;
/// Fact, number: the client's port.
pub const EM_FACT_REMOTE_PORT: u32 = 3;
/// Fact, text: the address the client connected to.
pub const EM_FACT_LOCAL_IP: u32 = 4;
/// Fact, number: the port the client connected to.
pub const EM_FACT_LOCAL_PORT: u32 = 5;
/// Fact, text: the name of the listener in the configuration.
pub const EM_FACT_LISTENER: u32 = 6;
/// Fact, text: the accepted HELO or EHLO name.
pub const EM_FACT_HELO: u32 = 7;
/// Fact, number: 1 when the client said EHLO, 0 when HELO.
pub const EM_FACT_EXTENDED: u32 = 8;
/// Fact, text: the sender of the open transaction, empty for the null path.
pub const EM_FACT_SENDER: u32 = 9;
/// Fact, number: how many recipients the open transaction has.
pub const EM_FACT_RECIPIENTS: u32 = 10;
/// Fact, number: how many tags the open transaction has.
pub const EM_FACT_TAGS: u32 = 11;
/// Fact, number: 1 when the connection is protected by TLS, 0 when it is in clear text.
pub const EM_FACT_TLS: u32 = 12;
/// Fact, text: the version of TLS, such as `TLSv1.3`; not known in clear text, as the ones below.
pub const EM_FACT_TLS_VERSION: u32 = 13;
/// Fact, text: the cipher suite by its IANA name.
pub const EM_FACT_TLS_CIPHER: u32 = 14;
/// Fact, text: the server name that the client asked for (SNI), in lower case; not known when it asked for none.
pub const EM_FACT_TLS_SERVER_NAME: u32 = 15;
/// Fact, text: the subject of the certificate that the client has shown, as RFC 4514 writes it; not known when it has shown
/// none. The client writes what it likes there, and nobody was asked to vouch for it.
pub const EM_FACT_TLS_CLIENT_SUBJECT: u32 = 16;
/// Fact, text: the SHA-256 digest of that certificate, 64 small hexadecimal digits. The client has proved that it has the key
/// of it, so a digest that is known names the client.
pub const EM_FACT_TLS_CLIENT_SHA256: u32 = 17;
/// Fact, text: the client's host name as a trusted proxy has told it (XCLIENT); the server looks none up itself.
pub const EM_FACT_REMOTE_NAME: u32 = 18;
/// Fact, text: the address that the connection came from, when a trusted proxy has told who its client is (PROXY protocol or
/// XCLIENT); not known when the client has connected itself, as the next.
pub const EM_FACT_PROXY_IP: u32 = 19;
/// Fact, number: the port that the connection came from then.
pub const EM_FACT_PROXY_PORT: u32 = 20;

/// Fact, number: 1 when the client has logged in, 0 when not.
pub const EM_FACT_AUTHENTICATED: u32 = 21;
/// Fact, text: the name of the user who has logged in; not known before, as the one below.
pub const EM_FACT_IDENTITY: u32 = 22;
/// Fact, text: the mechanism by which they have, as EmAuth.mechanism has it; `XCLIENT` where a trusted proxy has told that they have.
pub const EM_FACT_MECHANISM: u32 = 23;

/// Attribute: "1" lets this session relay to any destination. The core sets it for clients that log in where the listener's
/// configuration says so, unless it is set already.
pub const EM_ATTRIBUTE_RELAY_GRANTED: &core::ffi::CStr = c"relay_granted";
/// Attribute: "1" when a plug-in takes the client for a possible relay.
pub const EM_ATTRIBUTE_POSSIBLE_RELAY: &core::ffi::CStr = c"possible_relay";
/// Attribute: "1" asks later plug-ins to skip their deny lists for this session.
pub const EM_ATTRIBUTE_SKIP_LISTS: &core::ffi::CStr = c"skip_lists";

/// Reads what is known of a session. Text handed out is valid as long as the record that the session came with. All
/// functions write their output only on success and return NOERROR, ERR_NOT_FOUND (not known now, or no such fact),
/// EM_ERR_TYPE (a number asked for as text, or the reverse) or ERR_MISC_INVALID_ARGS (a NULL).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EmSessionService {
    /// sizeof(EmSessionService) of the host.
    pub size: u32,
    /// Zero.
    pub reserved: u32,

    /// Reads a fact that is text. [session-thread & in-handler]
    pub text:
        unsafe extern "C" fn(session: *const EmSession, fact: u32, value: *mut EmText) -> STATUS,

    /// Reads a fact that is a number. [session-thread & in-handler]
    pub number:
        unsafe extern "C" fn(session: *const EmSession, fact: u32, value: *mut u64) -> STATUS,

    /// Reads an accepted recipient of the open transaction, counted from 0. [session-thread & in-handler]
    pub recipient:
        unsafe extern "C" fn(session: *const EmSession, index: u64, value: *mut EmText) -> STATUS,

    /// Reads an attribute; this call's own edits to it are not seen. [session-thread & in-handler]
    pub attribute:
        unsafe extern "C" fn(session: *const EmSession, name: EmText, value: *mut EmText) -> STATUS,

    /// Reads the pointer that this plug-in keeps for this session; NULL until it was set.
    /// [session-thread & in-handler]
    pub slot: unsafe extern "C" fn(session: *const EmSession, value: *mut *mut c_void) -> STATUS,

    /// Keeps a pointer for this session. `release` (may be NULL) is called with it when another one takes its place, or
    /// after the session's last handler, before its registrations are released. [session-thread & in-handler]
    pub slot_set: unsafe extern "C" fn(
        session: *const EmSession,
        value: *mut c_void,
        release: EmRelease,
    ) -> STATUS,

    /// Reads a tag of the open transaction, counted from 0; this call's own edits are not seen.
    /// [session-thread & in-handler]
    pub tag:
        unsafe extern "C" fn(session: *const EmSession, index: u64, value: *mut EmText) -> STATUS,

    /// Reads the pointer that this plug-in keeps for the message of the open transaction; NULL until it was set. There is a
    /// message from before(EM_SMTPMAIL) on, also of a MAIL that is refused, until the reply that ends its transaction is
    /// sent: after(EM_SMTPMESSAGEACCEPT) has it still, after(EM_SMTPRSET) not any more. Else ERR_NOT_FOUND.
    /// [session-thread & in-handler]
    pub message_slot:
        unsafe extern "C" fn(session: *const EmSession, value: *mut *mut c_void) -> STATUS,

    /// Keeps a pointer for that message. `release` (may be NULL) is called with it when another one takes its place, or when
    /// the transaction is over and no call about it is out any more, before the session's slots are released. Else
    /// ERR_NOT_FOUND, as above, and nothing is kept. [session-thread & in-handler]
    pub message_slot_set: unsafe extern "C" fn(
        session: *const EmSession,
        value: *mut c_void,
        release: EmRelease,
    ) -> STATUS,
}
