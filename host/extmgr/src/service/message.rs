//! The message service: lends a handler the header block and pieces of the body.

use std::sync::PoisonError;

use stagepost_abi as abi;

use crate::arguments::{lend, size_of_u32};
use crate::frame::CallMessage;

pub(super) static TABLE: abi::EmMessageService = abi::EmMessageService {
    size: size_of_u32::<abi::EmMessageService>(),
    reserved: 0,
    header,
    body,
};

/// The message that a handler reads.
///
/// # Safety
/// `message` came with the record of a call that has not ended.
unsafe fn read<'a>(message: *const abi::EmMessage) -> Result<&'a CallMessage<'a>, abi::STATUS> {
    // SAFETY: by the caller's promise.
    unsafe { CallMessage::from_handle(message) }.ok_or(abi::ERR_MISC_INVALID_ARGS)
}

unsafe extern "C" fn header(
    message: *const abi::EmMessage,
    value: *mut abi::EmText,
) -> abi::STATUS {
    // SAFETY: the contract gives what `read` wants.
    let find = || Ok(lend(unsafe { read(message) }?.draft.header()));
    // SAFETY: the contract gives what `hand_out` wants.
    unsafe { super::hand_out(value, find) }
}

unsafe extern "C" fn body(
    message: *const abi::EmMessage,
    offset: u64,
    value: *mut abi::EmText,
) -> abi::STATUS {
    let find = || {
        // SAFETY: the contract gives what `read` wants.
        let message = unsafe { read(message) }?;
        // A pending call may be read from several threads; one piece is lent at a time all the same.
        let mut buffer = message.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        message.draft.body(offset, &mut buffer).map(lend).map_err(|error| {
            tracing::error!(session = message.session, "a received message can't be read: {error}");
            abi::EM_ERR_IO
        })
    };
    // SAFETY: the contract gives what `hand_out` wants.
    unsafe { super::hand_out(value, find) }
}
