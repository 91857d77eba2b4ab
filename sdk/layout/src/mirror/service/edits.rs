//! Mirrors of the edits service.
//! Knows no id and calls nothing.

use abi_stable::StableAbi;
use stagepost_abi::STATUS;

use crate::mirror::base::{EmEdits, EmText};

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EmEditsServiceRef)))]
#[sabi(missing_field(panic))]
pub(crate) struct EmEditsService {
    size: u32,
    reserved: u32,
    verdict: unsafe extern "C" fn(
        edits: *mut EmEdits,
        verdict: u32,
        code: u16,
        enhanced: EmText,
        text: EmText,
    ) -> STATUS,
    reply_text: unsafe extern "C" fn(edits: *mut EmEdits, text: EmText) -> STATUS,
    attribute: unsafe extern "C" fn(edits: *mut EmEdits, name: EmText, value: EmText) -> STATUS,
    header_add: unsafe extern "C" fn(edits: *mut EmEdits, name: EmText, value: EmText) -> STATUS,
    hold: unsafe extern "C" fn(edits: *mut EmEdits, reason: EmText) -> STATUS,
    discard: unsafe extern "C" fn(edits: *mut EmEdits) -> STATUS,
    header_insert: unsafe extern "C" fn(
        edits: *mut EmEdits,
        position: u32,
        name: EmText,
        value: EmText,
    ) -> STATUS,
    header_change: unsafe extern "C" fn(
        edits: *mut EmEdits,
        name: EmText,
        index: u32,
        value: EmText,
    ) -> STATUS,
    header_delete: unsafe extern "C" fn(edits: *mut EmEdits, name: EmText, index: u32) -> STATUS,
    sender: unsafe extern "C" fn(edits: *mut EmEdits, path: EmText, parameters: EmText) -> STATUS,
    recipient_add:
        unsafe extern "C" fn(edits: *mut EmEdits, path: EmText, parameters: EmText) -> STATUS,
    recipient_remove: unsafe extern "C" fn(edits: *mut EmEdits, path: EmText) -> STATUS,
    recipient_replace: unsafe extern "C" fn(
        edits: *mut EmEdits,
        replaced: EmText,
        path: EmText,
        parameters: EmText,
    ) -> STATUS,
    command_replace: unsafe extern "C" fn(edits: *mut EmEdits, line: EmText) -> STATUS,
    tag: unsafe extern "C" fn(edits: *mut EmEdits, name: EmText) -> STATUS,
    body_prepend: unsafe extern "C" fn(edits: *mut EmEdits, octets: EmText) -> STATUS,
    body_append: unsafe extern "C" fn(edits: *mut EmEdits, octets: EmText) -> STATUS,
    body_replace: unsafe extern "C" fn(edits: *mut EmEdits, octets: EmText) -> STATUS,
    keyword_add:
        unsafe extern "C" fn(edits: *mut EmEdits, keyword: EmText, parameters: EmText) -> STATUS,
    keyword_remove: unsafe extern "C" fn(edits: *mut EmEdits, keyword: EmText) -> STATUS,
    reply_change: unsafe extern "C" fn(
        edits: *mut EmEdits,
        code: u16,
        enhanced: EmText,
        text: EmText,
    ) -> STATUS,
    identity: unsafe extern "C" fn(edits: *mut EmEdits, identity: EmText) -> STATUS,
    reverse: unsafe extern "C" fn(edits: *mut EmEdits, destinations: EmText) -> STATUS,
    route: unsafe extern "C" fn(edits: *mut EmEdits, next_hop: EmText) -> STATUS,
    #[sabi(last_prefix_field)]
    recipient_verdict: unsafe extern "C" fn(
        edits: *mut EmEdits,
        path: EmText,
        verdict: u32,
        code: u16,
        enhanced: EmText,
        text: EmText,
    ) -> STATUS,
}

crate::mirror::twins! {
    EmEditsService {
        size, reserved, verdict, reply_text, attribute, header_add, hold, discard, header_insert,
        header_change, header_delete, sender, recipient_add, recipient_remove, recipient_replace,
        command_replace, tag, body_prepend, body_append, body_replace, keyword_add, keyword_remove,
        reply_change, identity, reverse, route, recipient_verdict,
    }
}
