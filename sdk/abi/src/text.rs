//! Text and replies as they cross the boundary.
//! Knows neither who made them nor how long they live: each use says so.

use core::ffi::c_char;

/// Octets lent for reading: a pointer and a length, never NUL-terminated by promise.
///
/// Text is UTF-8 unless the place that lends it says "octets". `data` may be NULL only when `len` is 0.
/// Whoever lends it says how long it stays valid; whoever is lent it never frees it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmText {
    /// The first octet.
    pub data: *const c_char,
    /// How many octets.
    pub len: u64,
}

/// A reply to the client as the core composed it (RFC 5321 section 4.2). Valid during the call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmReply {
    /// sizeof(EmReply) of the host; members beyond it are not there.
    pub size: u32,
    /// Three digits, 200 to 599.
    pub code: u16,
    /// The enhanced code's class (RFC 3463): 2, 4 or 5; 0 when the reply has none.
    pub enhanced_class: u8,
    /// Zero.
    pub reserved: u8,
    /// The enhanced code's subject.
    pub enhanced_subject: u16,
    /// The enhanced code's detail.
    pub enhanced_detail: u16,
    /// Zero.
    pub reserved_2: u32,
    /// The words; lines are separated by LF.
    pub text: EmText,
}
