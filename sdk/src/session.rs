//! A session while one of its handlers runs: facts, attributes and its own log lines.
//! Knows no event; what a plug-in keeps for a session is in `slot`.

use std::ffi::CStr;
use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::mem::MaybeUninit;

use stagepost_abi::{
    EM_ATTRIBUTE_POSSIBLE_RELAY, EM_ATTRIBUTE_RELAY_GRANTED, EM_ATTRIBUTE_SKIP_LISTS,
    EM_FACT_AUTHENTICATED, EM_FACT_EXTENDED, EM_FACT_HELO, EM_FACT_ID, EM_FACT_IDENTITY,
    EM_FACT_LISTENER, EM_FACT_LOCAL_IP, EM_FACT_LOCAL_PORT, EM_FACT_MECHANISM, EM_FACT_PROXY_IP,
    EM_FACT_PROXY_PORT, EM_FACT_RECIPIENTS, EM_FACT_REMOTE_IP, EM_FACT_REMOTE_NAME,
    EM_FACT_REMOTE_PORT, EM_FACT_SENDER, EM_FACT_TAGS, EM_FACT_TLS, EM_FACT_TLS_CIPHER,
    EM_FACT_TLS_CLIENT_SHA256, EM_FACT_TLS_CLIENT_SUBJECT, EM_FACT_TLS_SERVER_NAME,
    EM_FACT_TLS_VERSION, EmMessageService, EmSession, EmSessionService, EmText, NOERROR,
};

use crate::host::{Host, Level};
use crate::text::{lend, text};

/// A session, as long as the handler runs that was called for it.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    handle: *const EmSession,
    host: &'a Host,
    record: PhantomData<&'a EmSession>,
}

// SAFETY: the host lets what a record lends be used from any thread until the call has ended, and serialises what
// changes; the slot, whose content is ours, is guarded in `slot`.
unsafe impl Send for Session<'_> {}
// SAFETY: as for Send.
unsafe impl Sync for Session<'_> {}

impl fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl<'a> Session<'a> {
    /// # Safety
    ///
    /// `handle` came with a record whose handler runs during `'a`, and the record with `host`.
    pub(crate) unsafe fn new(handle: *const EmSession, host: &'a Host) -> Self {
        Self { handle, host, record: PhantomData }
    }

    pub(crate) fn handle(&self) -> *const EmSession {
        self.handle
    }

    pub(crate) fn table(&self) -> &'static EmSessionService {
        self.host.services().session
    }

    pub(crate) fn messages(&self) -> &'static EmMessageService {
        self.host.services().message
    }

    /// The host, as the plug-in was given it at its start.
    pub fn host(&self) -> &'a Host {
        self.host
    }

    /// The session's id, the same as in the log; 0 when the host does not say.
    pub fn id(&self) -> u64 {
        self.number(EM_FACT_ID).unwrap_or(0)
    }

    /// The client's address, exactly as inet_ntop prints it.
    pub fn remote_ip(&self) -> Option<&'a str> {
        self.text(EM_FACT_REMOTE_IP)
    }

    /// The client's port.
    pub fn remote_port(&self) -> Option<u16> {
        self.number(EM_FACT_REMOTE_PORT)?.try_into().ok()
    }

    /// The client's host name as a trusted proxy has told it; the server looks none up itself.
    pub fn remote_name(&self) -> Option<&'a str> {
        self.text(EM_FACT_REMOTE_NAME)
    }

    /// The address that the connection came from, when a trusted proxy has told who its client is.
    pub fn proxy_ip(&self) -> Option<&'a str> {
        self.text(EM_FACT_PROXY_IP)
    }

    /// The port that the connection came from then.
    pub fn proxy_port(&self) -> Option<u16> {
        self.number(EM_FACT_PROXY_PORT)?.try_into().ok()
    }

    /// The address the client connected to.
    pub fn local_ip(&self) -> Option<&'a str> {
        self.text(EM_FACT_LOCAL_IP)
    }

    /// The port the client connected to.
    pub fn local_port(&self) -> Option<u16> {
        self.number(EM_FACT_LOCAL_PORT)?.try_into().ok()
    }

    /// The name of the listener in the configuration.
    pub fn listener(&self) -> Option<&'a str> {
        self.text(EM_FACT_LISTENER)
    }

    /// The accepted HELO or EHLO name.
    pub fn helo(&self) -> Option<&'a str> {
        self.text(EM_FACT_HELO)
    }

    /// Whether the client said EHLO.
    pub fn extended(&self) -> Option<bool> {
        Some(self.number(EM_FACT_EXTENDED)? != 0)
    }

    /// The sender of the open transaction, empty for the null path; `None` when none is open.
    pub fn sender(&self) -> Option<&'a str> {
        self.text(EM_FACT_SENDER)
    }

    /// The accepted recipients of the open transaction.
    pub fn recipients(&self) -> impl Iterator<Item = &'a str> {
        let session = *self;
        let count = session.number(EM_FACT_RECIPIENTS).unwrap_or(0);
        (0..count).map_while(move |index| {
            let mut value = MaybeUninit::<EmText>::uninit();
            // SAFETY: the handle is valid during 'a, and the value has room for what is written.
            let status =
                unsafe { (session.table().recipient)(session.handle, index, value.as_mut_ptr()) };
            // SAFETY: the value is written on success, with text that is valid as long as the record.
            (status == NOERROR).then(|| unsafe { text(value.assume_init()) }.ok()).flatten()
        })
    }

    /// The tags of the open transaction, as handlers before this one left them.
    pub fn tags(&self) -> impl Iterator<Item = &'a str> {
        let session = *self;
        let count = session.number(EM_FACT_TAGS).unwrap_or(0);
        (0..count).map_while(move |index| {
            let mut value = MaybeUninit::<EmText>::uninit();
            // SAFETY: the handle is valid during 'a, and the value has room for what is written.
            let status =
                unsafe { (session.table().tag)(session.handle, index, value.as_mut_ptr()) };
            // SAFETY: the value is written on success, with text that is valid as long as the record.
            (status == NOERROR).then(|| unsafe { text(value.assume_init()) }.ok()).flatten()
        })
    }

    /// Whether the connection is protected by TLS.
    pub fn tls(&self) -> bool {
        self.number(EM_FACT_TLS) == Some(1)
    }

    /// The version of TLS, such as `TLSv1.3`; `None` in clear text.
    pub fn tls_version(&self) -> Option<&'a str> {
        self.text(EM_FACT_TLS_VERSION)
    }

    /// The cipher suite by its IANA name; `None` in clear text.
    pub fn tls_cipher(&self) -> Option<&'a str> {
        self.text(EM_FACT_TLS_CIPHER)
    }

    /// The server name that the client asked for (SNI), in lower case.
    pub fn tls_server_name(&self) -> Option<&'a str> {
        self.text(EM_FACT_TLS_SERVER_NAME)
    }

    /// The subject of the certificate that the client has shown, as RFC 4514 writes it. The client writes what it likes there.
    pub fn tls_client_subject(&self) -> Option<&'a str> {
        self.text(EM_FACT_TLS_CLIENT_SUBJECT)
    }

    /// The SHA-256 digest of that certificate, 64 small hexadecimal digits. The client has proved that it has the key of it.
    pub fn tls_client_sha256(&self) -> Option<&'a str> {
        self.text(EM_FACT_TLS_CLIENT_SHA256)
    }

    /// Whether the client has logged in.
    pub fn authenticated(&self) -> bool {
        self.number(EM_FACT_AUTHENTICATED) == Some(1)
    }

    /// The name of the user who has logged in.
    pub fn identity(&self) -> Option<&'a str> {
        self.text(EM_FACT_IDENTITY)
    }

    /// The mechanism by which they have, in capitals.
    pub fn mechanism(&self) -> Option<&'a str> {
        self.text(EM_FACT_MECHANISM)
    }

    /// An attribute, as handlers before this one left it.
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        let mut value = MaybeUninit::<EmText>::uninit();
        let name = lend(name.as_bytes());
        // SAFETY: the handle is valid during 'a, the name is lent for the call, and the value has room for what is
        // written.
        let status = unsafe { (self.table().attribute)(self.handle, name, value.as_mut_ptr()) };
        // SAFETY: the value is written on success, with text that is valid as long as the record.
        (status == NOERROR).then(|| unsafe { text(value.assume_init()) }.ok()).flatten()
    }

    /// Whether some plug-in lets this session relay to any destination.
    pub fn relay_granted(&self) -> bool {
        self.is_set(EM_ATTRIBUTE_RELAY_GRANTED)
    }

    /// Whether some plug-in takes the client for a possible relay.
    pub fn possible_relay(&self) -> bool {
        self.is_set(EM_ATTRIBUTE_POSSIBLE_RELAY)
    }

    /// Whether some plug-in asks later ones to skip their deny lists.
    pub fn skip_lists(&self) -> bool {
        self.is_set(EM_ATTRIBUTE_SKIP_LISTS)
    }

    /// Writes a line that carries the session's id. Formats it only when somebody reads it.
    pub fn log(&self, level: Level, message: impl Display) {
        // SAFETY: the handle is valid during 'a.
        unsafe { self.host.log_in(self.handle, level, &message) }
    }

    fn is_set(&self, name: &CStr) -> bool {
        name.to_str().is_ok_and(|name| self.attribute(name) == Some("1"))
    }

    fn text(&self, fact: u32) -> Option<&'a str> {
        let mut value = MaybeUninit::<EmText>::uninit();
        // SAFETY: the handle is valid during 'a, and the value has room for what is written.
        let status = unsafe { (self.table().text)(self.handle, fact, value.as_mut_ptr()) };
        // SAFETY: the value is written on success, with text that is valid as long as the record.
        (status == NOERROR).then(|| unsafe { text(value.assume_init()) }.ok()).flatten()
    }

    fn number(&self, fact: u32) -> Option<u64> {
        let mut value = 0;
        // SAFETY: the handle is valid during 'a.
        let status = unsafe { (self.table().number)(self.handle, fact, &raw mut value) };
        (status == NOERROR).then_some(value)
    }
}
