//! The DNS service: look-ups for pending calls, and for threads that may block.

use stagepost_abi as abi;
use tokio::runtime::Handle;
use tokio::time::timeout_at;

use crate::arguments::size_of_u32;
use crate::frame::CallSheet;
use crate::lookup::question;

pub(super) static TABLE: abi::EmDnsService =
    abi::EmDnsService { size: size_of_u32::<abi::EmDnsService>(), reserved: 0, ask, answer, wait };

unsafe extern "C" fn ask(
    host: *mut abi::EmHost,
    token: abi::EmToken,
    record_type: u32,
    name: abi::EmText,
    query: *mut u32,
) -> abi::STATUS {
    let begin = || {
        // SAFETY: the contract gives what `asked` wants, and lends text for the call.
        let (pending, name) = unsafe { (super::pending::asked(host, token)?, super::text(name)?) };
        pending.look_up(question(record_type, name)?)
    };
    // SAFETY: the contract gives what `hand_out` wants.
    unsafe { super::hand_out(query, begin) }
}

unsafe extern "C" fn answer(
    host: *mut abi::EmHost,
    token: abi::EmToken,
    query: u32,
    value: *mut *const abi::EmDnsAnswer,
) -> abi::STATUS {
    // SAFETY: the contract gives what `asked` wants.
    let find = || unsafe { super::pending::asked(host, token) }?.lookups().lend(query);
    // SAFETY: the contract gives what `hand_out` wants.
    unsafe { super::hand_out(value, find) }
}

unsafe extern "C" fn wait(
    edits: *mut abi::EmEdits,
    record_type: u32,
    name: abi::EmText,
    value: *mut *const abi::EmDnsAnswer,
) -> abi::STATUS {
    let look_up = || {
        // SAFETY: the contract: the sheet of a call that has not ended.
        let sheet = unsafe { CallSheet::from_handle(edits) }.ok_or(abi::ERR_MISC_INVALID_ARGS)?;
        // SAFETY: the contract: text lent for the call.
        let question = question(record_type, unsafe { super::text(name) }?)?;
        let deadline = sheet.may_block_until()?;
        let runtime = Handle::try_current().map_err(|_| abi::EM_ERR_STAGE)?;
        let lookups = &sheet.lookups;
        let query = lookups.begin()?;
        let looking_up = sheet.plugin().look_up(question);
        // A thread that may block is none of those that the runtime needs.
        let found = runtime.block_on(async { timeout_at(deadline, looking_up).await });
        lookups.keep(query, found.map_err(|_| abi::EM_ERR_OVER)?);
        lookups.lend(query)
    };
    // SAFETY: the contract gives what `hand_out` wants.
    unsafe { super::hand_out(value, look_up) }
}
