//! The DNS service: look-ups that keep no thread waiting.

use crate::{EmEdits, EmHost, EmText, EmToken, STATUS};

/// Id of EmDnsService.
pub const EM_DNS_ID: &core::ffi::CStr = c"em.dns/1";

/// Record type: an IPv4 address, as inet_ntop prints it.
pub const EM_DNS_A: u32 = 1;
/// Record type: the name that belongs to an address. Ask for the address itself, or for its name below in-addr.arpa or
/// ip6.arpa.
pub const EM_DNS_PTR: u32 = 12;
/// Record type: a host that takes mail for a domain; with a preference.
pub const EM_DNS_MX: u32 = 15;
/// Record type: octets, the strings of one record joined.
pub const EM_DNS_TXT: u32 = 16;
/// Record type: an IPv6 address, as inet_ntop prints it.
pub const EM_DNS_AAAA: u32 = 28;

/// EmDnsAnswer.outcome: there are records.
pub const EM_DNS_FOUND: u32 = 0;
/// EmDnsAnswer.outcome: the name does not exist (NXDOMAIN, RFC 8020).
pub const EM_DNS_NO_NAME: u32 = 1;
/// EmDnsAnswer.outcome: the name exists, without records of this type.
pub const EM_DNS_NO_DATA: u32 = 2;
/// EmDnsAnswer.outcome: nobody knows now: no server answered in time, or one failed. Not a reason to refuse for good.
pub const EM_DNS_TROUBLE: u32 = 3;

/// One record. This struct never grows.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmDnsRecord {
    /// What the record type says: an address or a name as text, names without the last dot; or octets.
    pub value: EmText,
    /// EM_DNS_MX: lower ones are tried first. Zero for other types.
    pub preference: u16,
    /// Zero.
    pub reserved: [u16; 3],
}

/// What came of a look-up.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmDnsAnswer {
    /// sizeof(EmDnsAnswer) of the host; members beyond it are not there.
    pub size: u32,
    /// EM_DNS_...; take an unknown value for EM_DNS_TROUBLE.
    pub outcome: u32,
    /// The records, in the order of the answer; NULL when there are none.
    pub records: *const EmDnsRecord,
    /// How many.
    pub count: u64,
    /// How many seconds the answer may be kept; 0 unless EM_DNS_FOUND.
    pub ttl_s: u32,
    /// Zero.
    pub reserved: u32,
}

/// Looks names up, by the servers that the operator chose. Answers are cached as long as their servers allow, of which
/// plug-ins need to know nothing.
///
/// A name is ASCII, with or without the last dot, at most 253 octets; nothing is appended to it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EmDnsService {
    /// sizeof(EmDnsService) of the host.
    pub size: u32,
    /// Zero.
    pub reserved: u32,

    /// Begins a look-up for a pending call, which is woken when the answer is there: poll then reads it with `answer`. Never
    /// inside this function.
    ///
    /// - token: of a call with a poll.
    /// - record_type: EM_DNS_A and so on.
    /// - name: copied.
    /// - query: receives what names the look-up among those of this call.
    ///
    /// Returns NOERROR, EM_ERR_LIMIT (64 look-ups of this call were begun), EM_ERR_STAGE (there is no poll), EM_ERR_OVER,
    /// ERR_NOT_FOUND, or ERR_MISC_INVALID_ARGS (NULL, an unknown type, or no name). [any-thread]
    pub ask: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        record_type: u32,
        name: EmText,
        query: *mut u32,
    ) -> STATUS,

    /// Reads an answer.
    ///
    /// - value: receives the answer, valid until the call ends.
    ///
    /// Returns NOERROR, EM_PENDING (it is not there yet), EM_ERR_OVER, ERR_NOT_FOUND, or ERR_MISC_INVALID_ARGS (NULL, or no
    /// such look-up). [any-thread]
    pub answer: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        query: u32,
        value: *mut *const EmDnsAnswer,
    ) -> STATUS,

    /// Looks up and waits, on the thread of a handler that is called on the pool, as every handler of class blocking is.
    ///
    /// - edits: the sheet of the call.
    /// - record_type, name: as in `ask`.
    /// - value: receives the answer, valid until the handler returns or, if it went pending, until its call ends.
    ///
    /// Returns NOERROR, EM_ERR_OVER (the deadline of the call came first), EM_ERR_LIMIT (64 answers of this call are lent),
    /// EM_ERR_STAGE (this thread must not block), or ERR_MISC_INVALID_ARGS. [session-thread & in-handler & may-block]
    pub wait: unsafe extern "C" fn(
        edits: *mut EmEdits,
        record_type: u32,
        name: EmText,
        value: *mut *const EmDnsAnswer,
    ) -> STATUS,
}
