//! The edits service: lets a handler write to the sheet of its call.

use std::sync::MutexGuard;

use stagepost_abi as abi;

use crate::arguments::size_of_u32;
use crate::base::answer;
use crate::frame::CallSheet;
use crate::sheet::Sheet;
use crate::writing::Place;

pub(super) static TABLE: abi::EmEditsService = abi::EmEditsService {
    size: size_of_u32::<abi::EmEditsService>(),
    reserved: 0,
    verdict,
    reply_text,
    attribute,
    header_add,
    hold,
    discard,
    header_insert,
    header_change,
    header_delete,
    sender,
    recipient_add,
    recipient_remove,
    recipient_replace,
    command_replace,
    tag,
    body_prepend,
    body_append,
    body_replace,
    keyword_add,
    keyword_remove,
    reply_change,
    identity,
    reverse,
    route,
    recipient_verdict,
};

/// The sheet that a handler writes to.
///
/// # Safety
/// `edits` came with the record of a call that has not ended.
unsafe fn sheet<'a>(edits: *mut abi::EmEdits) -> Result<MutexGuard<'a, Sheet<'a>>, abi::STATUS> {
    // SAFETY: by the caller's promise.
    let sheet: Option<&'a CallSheet<'a>> = unsafe { CallSheet::from_handle(edits) };
    Ok(sheet.ok_or(abi::ERR_MISC_INVALID_ARGS)?.write())
}

unsafe extern "C" fn verdict(
    edits: *mut abi::EmEdits,
    verdict: u32,
    code: u16,
    enhanced: abi::EmText,
    text: abi::EmText,
) -> abi::STATUS {
    // SAFETY: the contract: the sheet of the running handler, text lent for the call.
    answer(|| unsafe {
        sheet(edits)?.set_verdict(verdict, code, super::text(enhanced)?, super::text(text)?)
    })
}

unsafe extern "C" fn reply_text(edits: *mut abi::EmEdits, text: abi::EmText) -> abi::STATUS {
    // SAFETY: the contract: the sheet of the running handler, text lent for the call.
    answer(|| unsafe { sheet(edits)?.reply_text(super::text(text)?) })
}

unsafe extern "C" fn reply_change(
    edits: *mut abi::EmEdits,
    code: u16,
    enhanced: abi::EmText,
    text: abi::EmText,
) -> abi::STATUS {
    // SAFETY: the contract: the sheet of the running handler, text lent for the call.
    answer(|| unsafe {
        sheet(edits)?.reply_change(code, super::text(enhanced)?, super::text(text)?)
    })
}

unsafe extern "C" fn attribute(
    edits: *mut abi::EmEdits,
    name: abi::EmText,
    value: abi::EmText,
) -> abi::STATUS {
    // SAFETY: the contract: the sheet of the running handler, text lent for the call.
    answer(|| unsafe { sheet(edits)?.attribute(super::text(name)?, super::text(value)?) })
}

unsafe extern "C" fn header_add(
    edits: *mut abi::EmEdits,
    name: abi::EmText,
    value: abi::EmText,
) -> abi::STATUS {
    // SAFETY: the contract: the sheet of the running handler, octets lent for the call.
    answer(|| unsafe { sheet(edits)?.header_add(super::text(name)?, super::octets(value)?) })
}

unsafe extern "C" fn hold(edits: *mut abi::EmEdits, reason: abi::EmText) -> abi::STATUS {
    // SAFETY: the contract: the sheet of the running handler, text lent for the call.
    answer(|| unsafe { sheet(edits)?.hold(super::text(reason)?) })
}

unsafe extern "C" fn discard(edits: *mut abi::EmEdits) -> abi::STATUS {
    // SAFETY: the contract: the sheet of the running handler.
    answer(|| unsafe { sheet(edits)?.discard() })
}

unsafe extern "C" fn header_insert(
    edits: *mut abi::EmEdits,
    position: u32,
    name: abi::EmText,
    value: abi::EmText,
) -> abi::STATUS {
    // SAFETY: the contract: the sheet of the running handler, octets lent for the call.
    answer(|| unsafe {
        sheet(edits)?.header_insert(position, super::text(name)?, super::octets(value)?)
    })
}

unsafe extern "C" fn header_change(
    edits: *mut abi::EmEdits,
    name: abi::EmText,
    index: u32,
    value: abi::EmText,
) -> abi::STATUS {
    // SAFETY: the contract: the sheet of the running handler, octets lent for the call.
    answer(|| unsafe {
        sheet(edits)?.header_change(super::text(name)?, index, super::octets(value)?)
    })
}

unsafe extern "C" fn header_delete(
    edits: *mut abi::EmEdits,
    name: abi::EmText,
    index: u32,
) -> abi::STATUS {
    // SAFETY: the contract: the sheet of the running handler, text lent for the call.
    answer(|| unsafe { sheet(edits)?.header_delete(super::text(name)?, index) })
}

unsafe extern "C" fn sender(
    edits: *mut abi::EmEdits,
    path: abi::EmText,
    parameters: abi::EmText,
) -> abi::STATUS {
    // SAFETY: the contract: the sheet of the running handler, text lent for the call.
    answer(|| unsafe { sheet(edits)?.sender(super::text(path)?, super::text(parameters)?) })
}

unsafe extern "C" fn recipient_add(
    edits: *mut abi::EmEdits,
    path: abi::EmText,
    parameters: abi::EmText,
) -> abi::STATUS {
    // SAFETY: the contract: the sheet of the running handler, text lent for the call.
    answer(|| unsafe { sheet(edits)?.recipient_add(super::text(path)?, super::text(parameters)?) })
}

unsafe extern "C" fn recipient_remove(edits: *mut abi::EmEdits, path: abi::EmText) -> abi::STATUS {
    // SAFETY: the contract: the sheet of the running handler, text lent for the call.
    answer(|| unsafe { sheet(edits)?.recipient_remove(super::text(path)?) })
}

unsafe extern "C" fn recipient_replace(
    edits: *mut abi::EmEdits,
    replaced: abi::EmText,
    path: abi::EmText,
    parameters: abi::EmText,
) -> abi::STATUS {
    // SAFETY: the contract: the sheet of the running handler, text lent for the call.
    answer(|| unsafe {
        let (replaced, path) = (super::text(replaced)?, super::text(path)?);
        sheet(edits)?.recipient_replace(replaced, path, super::text(parameters)?)
    })
}

unsafe extern "C" fn command_replace(edits: *mut abi::EmEdits, line: abi::EmText) -> abi::STATUS {
    // SAFETY: the contract: the sheet of the running handler, octets lent for the call.
    answer(|| unsafe { sheet(edits)?.command_replace(super::octets(line)?) })
}

unsafe extern "C" fn tag(edits: *mut abi::EmEdits, name: abi::EmText) -> abi::STATUS {
    // SAFETY: the contract: the sheet of the running handler, text lent for the call.
    answer(|| unsafe { sheet(edits)?.tag(super::text(name)?) })
}

unsafe extern "C" fn body_prepend(edits: *mut abi::EmEdits, octets: abi::EmText) -> abi::STATUS {
    // SAFETY: the contract: the sheet of the running handler, octets lent for the call.
    answer(|| unsafe { sheet(edits)?.body(Place::Front, super::octets(octets)?) })
}

unsafe extern "C" fn body_append(edits: *mut abi::EmEdits, octets: abi::EmText) -> abi::STATUS {
    // SAFETY: the contract: the sheet of the running handler, octets lent for the call.
    answer(|| unsafe { sheet(edits)?.body(Place::Back, super::octets(octets)?) })
}

unsafe extern "C" fn body_replace(edits: *mut abi::EmEdits, octets: abi::EmText) -> abi::STATUS {
    // SAFETY: the contract: the sheet of the running handler, octets lent for the call.
    answer(|| unsafe { sheet(edits)?.body(Place::Whole, super::octets(octets)?) })
}

unsafe extern "C" fn keyword_add(
    edits: *mut abi::EmEdits,
    keyword: abi::EmText,
    parameters: abi::EmText,
) -> abi::STATUS {
    // SAFETY: the contract: the sheet of the running handler, text lent for the call.
    answer(|| unsafe { sheet(edits)?.keyword_add(super::text(keyword)?, super::text(parameters)?) })
}

unsafe extern "C" fn keyword_remove(edits: *mut abi::EmEdits, keyword: abi::EmText) -> abi::STATUS {
    // SAFETY: the contract: the sheet of the running handler, text lent for the call.
    answer(|| unsafe { sheet(edits)?.keyword_remove(super::text(keyword)?) })
}

unsafe extern "C" fn identity(edits: *mut abi::EmEdits, identity: abi::EmText) -> abi::STATUS {
    // SAFETY: the contract: the sheet of the running handler, text lent for the call.
    answer(|| unsafe { sheet(edits)?.identity(super::text(identity)?) })
}

unsafe extern "C" fn reverse(edits: *mut abi::EmEdits, destinations: abi::EmText) -> abi::STATUS {
    // SAFETY: the contract: the sheet of the running handler, text lent for the call.
    answer(|| unsafe { sheet(edits)?.reverse(super::text(destinations)?) })
}

unsafe extern "C" fn route(edits: *mut abi::EmEdits, next_hop: abi::EmText) -> abi::STATUS {
    // SAFETY: the contract: the sheet of the running handler, text lent for the call.
    answer(|| unsafe { sheet(edits)?.route(super::text(next_hop)?) })
}

unsafe extern "C" fn recipient_verdict(
    edits: *mut abi::EmEdits,
    path: abi::EmText,
    verdict: u32,
    code: u16,
    enhanced: abi::EmText,
    text: abi::EmText,
) -> abi::STATUS {
    // SAFETY: the contract: the sheet of the running handler, text lent for the call.
    answer(|| unsafe {
        let (path, enhanced, text) =
            (super::text(path)?, super::text(enhanced)?, super::text(text)?);
        sheet(edits)?.recipient_verdict(path, verdict, code, enhanced, text)
    })
}
