//! A message of the fake host, and its service.

use std::ptr;

use stagepost_abi::*;

use super::{text, write};

/// A message of the test.
pub(crate) struct Message {
    pub(crate) header: &'static [u8],
    /// Lent piece by piece; the offset must be where one begins.
    pub(crate) pieces: Vec<&'static [u8]>,
}

impl Message {
    pub(crate) fn handle(&self) -> *const EmMessage {
        ptr::from_ref(self).cast()
    }
}

pub(super) static MESSAGE: EmMessageService = EmMessageService {
    size: size_of::<EmMessageService>() as u32,
    reserved: 0,
    header: message_header,
    body: message_body,
};

fn message<'a>(handle: *const EmMessage) -> &'a Message {
    // SAFETY: the handle is what `Message::handle` made, and lives during the call.
    unsafe { &*handle.cast() }
}

unsafe extern "C" fn message_header(of: *const EmMessage, value: *mut EmText) -> STATUS {
    write(value, Some(text(message(of).header)))
}

unsafe extern "C" fn message_body(of: *const EmMessage, offset: u64, value: *mut EmText) -> STATUS {
    let mut at = 0;
    for piece in &message(of).pieces {
        if at == offset {
            return if *piece == b"unreadable" {
                EM_ERR_IO
            } else {
                write(value, Some(text(piece)))
            };
        }
        at += piece.len() as u64;
    }
    assert_eq!(at, offset, "the SDK asks where pieces begin");
    write(value, Some(text(b"")))
}
