//! The timers service: wakes pending calls, and lets threads that may block wait.

use std::time::Duration;

use stagepost_abi as abi;
use tokio::time::Instant;

use crate::arguments::size_of_u32;
use crate::base::answer;
use crate::frame::CallSheet;

pub(super) static TABLE: abi::EmTimersService = abi::EmTimersService {
    size: size_of_u32::<abi::EmTimersService>(),
    reserved: 0,
    wake_after,
    wait,
};

unsafe extern "C" fn wake_after(
    host: *mut abi::EmHost,
    token: abi::EmToken,
    milliseconds: u32,
) -> abi::STATUS {
    let time = Duration::from_millis(milliseconds.into());
    // SAFETY: the contract gives what `asked` wants.
    answer(|| unsafe { super::pending::asked(host, token) }?.wake_after(time))
}

unsafe extern "C" fn wait(edits: *mut abi::EmEdits, milliseconds: u32) -> abi::STATUS {
    answer(|| {
        // SAFETY: the contract: the sheet of a call that has not ended.
        let sheet = unsafe { CallSheet::from_handle(edits) }.ok_or(abi::ERR_MISC_INVALID_ARGS)?;
        let deadline = sheet.may_block_until()?;
        let wanted = Instant::now() + Duration::from_millis(milliseconds.into());
        std::thread::sleep(wanted.min(deadline).saturating_duration_since(Instant::now()));
        if wanted <= deadline { Ok(()) } else { Err(abi::EM_ERR_OVER) }
    })
}
