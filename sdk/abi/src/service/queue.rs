//! The queue service: mail that waits, by its destination.

use crate::{EmHost, EmRequest, EmText, EmToken, STATUS};

/// Id of EmQueueService.
pub const EM_QUEUE_ID: &core::ffi::CStr = c"em.queue/1";

/// What a request to the queue came to.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmQueueCount {
    /// Set by the plug-in: sizeof(EmQueueCount).
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// `count`: deliveries that are due or will be. The others: deliveries that it was done to.
    pub queued: u64,
    /// `count`: deliveries of which all recipients are held. The others: 0.
    pub held: u64,
    /// `count`: octets of the messages of both. The others: 0.
    pub octets: u64,
}

/// Counts, holds, releases and flushes mail that waits for a destination. A delivery is what one message has for one
/// destination. Nothing here ever reads the whole queue: a count takes as long as there are destinations below the one
/// named, and that of a queue is one look; the others take as long as there are deliveries to move.
///
/// - destination: the domain of the recipients or an address literal, in any case; or as in ETRN (RFC 1985) with '@' before
///   it a domain and all domains below it, or with '#' before it a queue: all mail that came by routes with this name of a
///   queue in the configuration, whatever its domains.
///
/// `hold`, `release` and `flush` need EM_EDIT_QUEUE in the descriptor. They are for what waits now: mail that comes later
/// is not held, which the edit `hold` is for. When they return, what they did is on disk.
///
/// Each function comes twice. With `_wait` in its name it waits for the disk and returns what happened; it is for threads
/// that may block: handlers of class EM_CLASS_BLOCKING and the plug-in's own threads. The other begins and returns at
/// once; when it is done the token is woken (EmAsyncService), and `result`, called in its poll, tells what happened.
///
/// All return NOERROR, ERR_EM_NOTAUTHORIZED (not declared), EM_ERR_STAGE (inside em_entry; `_wait` in line, on a thread
/// that must not block), EM_ERR_IO (the queue is not available now), or ERR_MISC_INVALID_ARGS. Those with a token return
/// what EmAsyncService returns for one that is not pending too, and EM_ERR_LIMIT for more than 4,096 requests that are
/// under way.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EmQueueService {
    /// sizeof(EmQueueService) of the host.
    pub size: u32,
    /// Zero.
    pub reserved: u32,

    /// Counts what waits. [any-thread & may-block]
    pub count_wait: unsafe extern "C" fn(
        host: *mut EmHost,
        destination: EmText,
        count: *mut EmQueueCount,
    ) -> STATUS,

    /// Keeps what waits undelivered until it is released, by `release` or by an operator. An attempt that is under way is
    /// not broken off.
    ///
    /// - reason: for the operator, 1 to 256 printable ASCII octets.
    ///
    /// [any-thread & may-block]
    pub hold_wait: unsafe extern "C" fn(
        host: *mut EmHost,
        destination: EmText,
        reason: EmText,
        count: *mut EmQueueCount,
    ) -> STATUS,

    /// Ends every hold on mail for the destination, whoever began it. [any-thread & may-block]
    pub release_wait: unsafe extern "C" fn(
        host: *mut EmHost,
        destination: EmText,
        count: *mut EmQueueCount,
    ) -> STATUS,

    /// Has everything that waits tried now; what is held stays held. [any-thread & may-block]
    pub flush_wait: unsafe extern "C" fn(
        host: *mut EmHost,
        destination: EmText,
        count: *mut EmQueueCount,
    ) -> STATUS,

    /// As count_wait, later. [any-thread]
    pub count: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        destination: EmText,
        request: *mut EmRequest,
    ) -> STATUS,

    /// As hold_wait, later. [any-thread]
    pub hold: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        destination: EmText,
        reason: EmText,
        request: *mut EmRequest,
    ) -> STATUS,

    /// As release_wait, later. [any-thread]
    pub release: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        destination: EmText,
        request: *mut EmRequest,
    ) -> STATUS,

    /// As flush_wait, later. [any-thread]
    pub flush: unsafe extern "C" fn(
        host: *mut EmHost,
        token: EmToken,
        destination: EmText,
        request: *mut EmRequest,
    ) -> STATUS,

    /// Takes the result of a request, once.
    ///
    /// Returns what the function with `_wait` would have, EM_PENDING (it is not done yet), or
    /// ERR_MISC_INVALID_ARGS (NULL; there is no such request, or its result was taken). [any-thread]
    pub result: unsafe extern "C" fn(
        host: *mut EmHost,
        request: EmRequest,
        count: *mut EmQueueCount,
    ) -> STATUS,
}
