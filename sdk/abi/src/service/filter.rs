//! The filter service: which sessions and addresses a registration is asked about.

use crate::{EmHost, EmText, HEMREGISTRATION, STATUS};

/// Id of EmFilterService.
pub const EM_FILTER_ID: &core::ffi::CStr = c"em.filter/1";

/// EmFilter.tls: it does not matter.
pub const EM_FILTER_TLS_ANY: u32 = 0;
/// EmFilter.tls: when the connection is protected by TLS.
pub const EM_FILTER_TLS_ON: u32 = 1;
/// EmFilter.tls: when it is in clear text.
pub const EM_FILTER_TLS_OFF: u32 = 2;

/// EmFilter.authenticated: it does not matter.
pub const EM_FILTER_AUTHENTICATED_ANY: u32 = 0;
/// EmFilter.authenticated: when the client has logged in.
pub const EM_FILTER_AUTHENTICATED_YES: u32 = 1;
/// EmFilter.authenticated: when it has not.
pub const EM_FILTER_AUTHENTICATED_NO: u32 = 2;

/// What a registration is asked about: all lists that are not empty must fit. Items are separated by white space.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmFilter {
    /// sizeof(EmFilter) of the plug-in; members beyond it count as empty.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// The client's address is one of these, or in one of these networks: `192.0.2.1`, `2001:db8::/32`.
    pub networks: EmText,
    /// The listener that accepted the connection is one of these names of the configuration.
    pub listeners: EmText,
    /// At EM_SMTPMAIL and, for the sender accepted, the later events of the transaction but EM_SMTPCOMMAND: the domain of
    /// the sender is one of these. `example.org` is that domain alone, `.example.org` everything below it, `<>` the null
    /// path. Not looked at elsewhere.
    pub sender_domains: EmText,
    /// At EM_SMTPRCPT the domain of the recipient in hand, at the later events of the transaction but EM_SMTPCOMMAND
    /// that of any recipient accepted, is one of these, written as in sender_domains. Not looked at elsewhere.
    pub recipient_domains: EmText,
    /// EM_FILTER_TLS_...: whether the connection is protected when the question is put.
    pub tls: u32,
    /// EM_FILTER_AUTHENTICATED_...: whether the client has logged in when the question is put.
    pub authenticated: u32,
}

/// Narrows registrations, so that a handler is not called for what cannot matter to it: the host looks, which costs less
/// than a call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EmFilterService {
    /// sizeof(EmFilterService) of the host.
    pub size: u32,
    /// Zero.
    pub reserved: u32,

    /// Gives a registration its filter, once.
    ///
    /// - registration: what EMRegister has written.
    /// - filter: copied; at most 256 items in each list.
    ///
    /// Returns NOERROR, ERR_NOT_FOUND (no such registration of this plug-in), EM_ERR_STAGE (it has a filter, or em_entry
    /// is over), EM_ERR_LIMIT (too many items), or ERR_MISC_INVALID_ARGS (the host has logged which item is not
    /// acceptable).
    /// [main-thread & loading]
    pub narrow: unsafe extern "C" fn(
        host: *mut EmHost,
        registration: HEMREGISTRATION,
        filter: *const EmFilter,
    ) -> STATUS,
}
