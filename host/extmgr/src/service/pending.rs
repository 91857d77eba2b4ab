//! The async service: tokens for calls that are answered later.

use std::ffi::c_void;
use std::sync::Arc;
use std::time::Duration;

use stagepost_abi as abi;

use crate::arguments::size_of_u32;
use crate::base::answer;
use crate::frame::CallSheet;
use crate::host::Host;
use crate::pending::Pending;
use crate::token;

pub(super) static TABLE: abi::EmAsyncService = abi::EmAsyncService {
    size: size_of_u32::<abi::EmAsyncService>(),
    reserved: 0,
    pending,
    complete,
    wake,
    extend,
};

/// The pending call that a plug-in means.
///
/// # Safety
/// `host` is what em_entry was given.
pub(super) unsafe fn asked(
    host: *mut abi::EmHost,
    token: abi::EmToken,
) -> Result<Arc<Pending>, abi::STATUS> {
    // SAFETY: by the caller's promise.
    let plugin = unsafe { Host::from_handle(host) }.ok_or(abi::ERR_MISC_INVALID_ARGS)?;
    token::find(plugin, token)
}

unsafe extern "C" fn pending(
    edits: *mut abi::EmEdits,
    poll: abi::EmPoll,
    data: *mut c_void,
    release: abi::EmRelease,
    token: *mut abi::EmToken,
) -> abi::STATUS {
    let take = || {
        // SAFETY: the contract: the sheet of a call that has not ended.
        let sheet = unsafe { CallSheet::from_handle(edits) }.ok_or(abi::ERR_MISC_INVALID_ARGS)?;
        sheet.site.ok_or(abi::EM_ERR_STAGE)?.take_token(poll, data, release)
    };
    // SAFETY: the contract gives what `hand_out` wants.
    unsafe { super::hand_out(token, take) }
}

unsafe extern "C" fn complete(
    host: *mut abi::EmHost,
    token: abi::EmToken,
    status: abi::STATUS,
) -> abi::STATUS {
    answer(|| {
        if status == abi::EM_PENDING {
            return Err(abi::ERR_MISC_INVALID_ARGS);
        }
        // SAFETY: the contract gives what `asked` wants.
        unsafe { asked(host, token) }?.complete(status)
    })
}

unsafe extern "C" fn wake(host: *mut abi::EmHost, token: abi::EmToken) -> abi::STATUS {
    // SAFETY: the contract gives what `asked` wants.
    answer(|| unsafe { asked(host, token) }?.wake())
}

unsafe extern "C" fn extend(
    host: *mut abi::EmHost,
    token: abi::EmToken,
    milliseconds: u32,
) -> abi::STATUS {
    let more = Duration::from_millis(milliseconds.into());
    // SAFETY: the contract gives what `asked` wants.
    answer(|| unsafe { asked(host, token) }?.extend(more))
}
