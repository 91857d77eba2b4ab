//! The sheet of one call of the fake host, and the service that writes to it.

use std::cell::RefCell;
use std::ptr;

use stagepost_abi::*;

use super::read;

/// The sheet of one call.
#[derive(Default)]
pub(crate) struct Sheet(RefCell<Vec<String>>);

impl Sheet {
    pub(crate) fn handle(&self) -> *mut EmEdits {
        ptr::from_ref(self).cast_mut().cast()
    }

    pub(crate) fn take(&self) -> Vec<String> {
        self.0.take()
    }
}

pub(super) fn note(edits: *mut EmEdits, line: String) -> STATUS {
    let refused = line.contains("refuse me");
    // SAFETY: the handle is what `Sheet::handle` made, and lives during the call.
    unsafe { &*edits.cast_const().cast::<Sheet>() }.0.borrow_mut().push(line);
    if refused { EM_ERR_STAGE } else { NOERROR }
}

pub(super) static EDITS: EmEditsService = EmEditsService {
    size: size_of::<EmEditsService>() as u32,
    reserved: 0,
    verdict: edits_verdict,
    reply_text: edits_reply_text,
    attribute: edits_attribute,
    header_add: edits_header_add,
    hold: edits_hold,
    discard: edits_discard,
    header_insert: edits_header_insert,
    header_change: edits_header_change,
    header_delete: edits_header_delete,
    sender: edits_sender,
    recipient_add: edits_recipient_add,
    recipient_remove: edits_recipient_remove,
    recipient_replace: edits_recipient_replace,
    command_replace: edits_command_replace,
    tag: edits_tag,
    body_prepend: edits_body_prepend,
    body_append: edits_body_append,
    body_replace: edits_body_replace,
    keyword_add: edits_keyword_add,
    keyword_remove: edits_keyword_remove,
    reply_change: edits_reply_change,
    identity: edits_identity,
    reverse: edits_reverse,
    route: edits_route,
    recipient_verdict: edits_recipient_verdict,
};

unsafe extern "C" fn edits_verdict(
    edits: *mut EmEdits,
    verdict: u32,
    code: u16,
    enhanced: EmText,
    text: EmText,
) -> STATUS {
    note(edits, format!("verdict {verdict} {code} {} {}", read(enhanced), read(text)));
    let class = code / 100;
    match verdict {
        EM_VERDICT_REJECT if class != 5 => ERR_MISC_INVALID_ARGS,
        EM_VERDICT_DEFER if class != 4 => ERR_MISC_INVALID_ARGS,
        _ => NOERROR,
    }
}

unsafe extern "C" fn edits_reply_text(edits: *mut EmEdits, text: EmText) -> STATUS {
    note(edits, format!("reply_text {}", read(text)))
}

unsafe extern "C" fn edits_attribute(edits: *mut EmEdits, name: EmText, value: EmText) -> STATUS {
    note(edits, format!("attribute {} {}", read(name), read(value)))
}

unsafe extern "C" fn edits_header_add(edits: *mut EmEdits, name: EmText, value: EmText) -> STATUS {
    note(edits, format!("header_add {}: {}", read(name), read(value)))
}

unsafe extern "C" fn edits_hold(edits: *mut EmEdits, reason: EmText) -> STATUS {
    note(edits, format!("hold {}", read(reason)))
}

unsafe extern "C" fn edits_discard(edits: *mut EmEdits) -> STATUS {
    note(edits, "discard".to_owned())
}

unsafe extern "C" fn edits_header_insert(
    edits: *mut EmEdits,
    position: u32,
    name: EmText,
    value: EmText,
) -> STATUS {
    note(edits, format!("header_insert {position} {}: {}", read(name), read(value)))
}

unsafe extern "C" fn edits_header_change(
    edits: *mut EmEdits,
    name: EmText,
    index: u32,
    value: EmText,
) -> STATUS {
    note(edits, format!("header_change {} {index}: {}", read(name), read(value)))
}

unsafe extern "C" fn edits_header_delete(edits: *mut EmEdits, name: EmText, index: u32) -> STATUS {
    note(edits, format!("header_delete {} {index}", read(name)))
}

unsafe extern "C" fn edits_sender(edits: *mut EmEdits, path: EmText, parameters: EmText) -> STATUS {
    note(edits, format!("sender <{}> {}", read(path), read(parameters)))
}

unsafe extern "C" fn edits_recipient_add(
    edits: *mut EmEdits,
    path: EmText,
    parameters: EmText,
) -> STATUS {
    note(edits, format!("recipient_add <{}> {}", read(path), read(parameters)))
}

unsafe extern "C" fn edits_recipient_remove(edits: *mut EmEdits, path: EmText) -> STATUS {
    note(edits, format!("recipient_remove <{}>", read(path)))
}

unsafe extern "C" fn edits_recipient_replace(
    edits: *mut EmEdits,
    replaced: EmText,
    path: EmText,
    parameters: EmText,
) -> STATUS {
    let (replaced, path) = (read(replaced), read(path));
    note(edits, format!("recipient_replace <{replaced}> <{path}> {}", read(parameters)))
}

unsafe extern "C" fn edits_reply_change(
    edits: *mut EmEdits,
    code: u16,
    enhanced: EmText,
    text: EmText,
) -> STATUS {
    note(edits, format!("reply_change {code} {} {}", read(enhanced), read(text)));
    if code / 100 == 2 { NOERROR } else { EM_ERR_CLASS }
}

unsafe extern "C" fn edits_tag(edits: *mut EmEdits, name: EmText) -> STATUS {
    note(edits, format!("tag {}", read(name)))
}

unsafe extern "C" fn edits_body_prepend(edits: *mut EmEdits, octets: EmText) -> STATUS {
    note(edits, format!("body_prepend {}", read(octets)))
}

unsafe extern "C" fn edits_body_append(edits: *mut EmEdits, octets: EmText) -> STATUS {
    note(edits, format!("body_append {}", read(octets)))
}

unsafe extern "C" fn edits_body_replace(edits: *mut EmEdits, octets: EmText) -> STATUS {
    note(edits, format!("body_replace {}", read(octets)))
}

unsafe extern "C" fn edits_keyword_add(
    edits: *mut EmEdits,
    keyword: EmText,
    parameters: EmText,
) -> STATUS {
    note(edits, format!("keyword_add {} {}", read(keyword), read(parameters)))
}

unsafe extern "C" fn edits_identity(edits: *mut EmEdits, identity: EmText) -> STATUS {
    note(edits, format!("identity {}", read(identity)))
}

unsafe extern "C" fn edits_reverse(edits: *mut EmEdits, destinations: EmText) -> STATUS {
    note(edits, format!("reverse {}", read(destinations)))
}

unsafe extern "C" fn edits_route(edits: *mut EmEdits, next_hop: EmText) -> STATUS {
    note(edits, format!("route {}", read(next_hop)))
}

unsafe extern "C" fn edits_recipient_verdict(
    edits: *mut EmEdits,
    path: EmText,
    verdict: u32,
    code: u16,
    enhanced: EmText,
    text: EmText,
) -> STATUS {
    let (path, enhanced, text) = (read(path), read(enhanced), read(text));
    note(edits, format!("recipient_verdict <{path}> {verdict} {code} {enhanced} {text}"))
}

unsafe extern "C" fn edits_keyword_remove(edits: *mut EmEdits, keyword: EmText) -> STATUS {
    note(edits, format!("keyword_remove {}", read(keyword)))
}

unsafe extern "C" fn edits_command_replace(edits: *mut EmEdits, line: EmText) -> STATUS {
    note(edits, format!("command_replace {}", read(line)))
}
