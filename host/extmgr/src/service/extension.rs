//! The extension service: claims of verbs, EHLO keywords and parameters, and the reading of one parameter.

use stagepost_abi as abi;
use stagepost_smtp::parameter as find;

use crate::arguments::{lend, size_of_u32};
use crate::base::answer;
use crate::claim::{self, Kind};
use crate::host::Host;

pub(super) static TABLE: abi::EmExtensionService = abi::EmExtensionService {
    size: size_of_u32::<abi::EmExtensionService>(),
    reserved: 0,
    claim_verb,
    claim_keyword,
    claim_mail_parameter,
    claim_rcpt_parameter,
    parameter,
};

/// Makes a claim for a plug-in whose descriptor declares it.
///
/// # Safety
/// `host` is what em_entry was given; both texts are lent for the call.
unsafe fn claim(
    host: *mut abi::EmHost,
    kind: Kind,
    declared: impl FnOnce(&Host) -> bool,
    name: abi::EmText,
    parameters: abi::EmText,
) -> abi::STATUS {
    answer(|| {
        // SAFETY: by the caller's promise.
        let plugin = unsafe { Host::from_handle(host) }.ok_or(abi::ERR_MISC_INVALID_ARGS)?;
        // SAFETY: by the caller's promise.
        let (name, parameters) = unsafe { (super::text(name)?, super::text(parameters)?) };
        if !declared(plugin) {
            return Err(abi::ERR_EM_NOTAUTHORIZED);
        }
        plugin.claim(kind, name, parameters)
    })
}

/// The empty text.
const NONE: abi::EmText = abi::EmText { data: std::ptr::null(), len: 0 };

unsafe extern "C" fn claim_verb(host: *mut abi::EmHost, verb: abi::EmText) -> abi::STATUS {
    let declared = |host: &Host| host.descriptor.stages & abi::EM_STAGE_VERB != 0;
    // SAFETY: the contract gives what `claim` wants.
    unsafe { claim(host, claim::VERB, declared, verb, NONE) }
}

unsafe extern "C" fn claim_keyword(
    host: *mut abi::EmHost,
    keyword: abi::EmText,
    parameters: abi::EmText,
) -> abi::STATUS {
    let declared = |host: &Host| host.descriptor.edits & abi::EM_EDIT_KEYWORD != 0;
    // SAFETY: the contract gives what `claim` wants.
    unsafe { claim(host, claim::KEYWORD, declared, keyword, parameters) }
}

unsafe extern "C" fn claim_mail_parameter(
    host: *mut abi::EmHost,
    keyword: abi::EmText,
) -> abi::STATUS {
    let declared = |host: &Host| host.descriptor.stages & abi::EM_STAGE_MAIL != 0;
    // SAFETY: the contract gives what `claim` wants.
    unsafe { claim(host, claim::MAIL, declared, keyword, NONE) }
}

unsafe extern "C" fn claim_rcpt_parameter(
    host: *mut abi::EmHost,
    keyword: abi::EmText,
) -> abi::STATUS {
    let declared = |host: &Host| host.descriptor.stages & abi::EM_STAGE_RCPT != 0;
    // SAFETY: the contract gives what `claim` wants.
    unsafe { claim(host, claim::RCPT, declared, keyword, NONE) }
}

unsafe extern "C" fn parameter(
    parameters: abi::EmText,
    keyword: abi::EmText,
    value: *mut abi::EmText,
) -> abi::STATUS {
    let find = || {
        // SAFETY: the contract: both texts are lent for the call, and the first for as long as the value is used.
        let (parameters, keyword) = unsafe { (super::text(parameters)?, super::text(keyword)?) };
        find(parameters, keyword).map(lend).ok_or(abi::ERR_NOT_FOUND)
    };
    // SAFETY: the contract gives what `hand_out` wants.
    unsafe { super::hand_out(value, find) }
}
