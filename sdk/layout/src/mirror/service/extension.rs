//! Mirrors of the extension service.
//! Knows no id and calls nothing.

use abi_stable::StableAbi;
use stagepost_abi::STATUS;

use crate::mirror::base::{EmHost, EmText};

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmExtensionServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmExtensionService {
    size: u32,
    reserved: u32,
    claim_verb: unsafe extern "C" fn(host: *mut EmHost, verb: EmText) -> STATUS,
    claim_keyword:
        unsafe extern "C" fn(host: *mut EmHost, keyword: EmText, parameters: EmText) -> STATUS,
    claim_mail_parameter: unsafe extern "C" fn(host: *mut EmHost, keyword: EmText) -> STATUS,
    claim_rcpt_parameter: unsafe extern "C" fn(host: *mut EmHost, keyword: EmText) -> STATUS,
    #[sabi(last_prefix_field)]
    parameter:
        unsafe extern "C" fn(parameters: EmText, keyword: EmText, value: *mut EmText) -> STATUS,
}

crate::mirror::twins! {
    EmExtensionService {
        size, reserved, claim_verb, claim_keyword, claim_mail_parameter, claim_rcpt_parameter, parameter,
    }
}
