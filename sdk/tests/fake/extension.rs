//! The extension service of the fake host.

use stagepost_abi::*;

use super::{fake, read};

pub(super) static EXTENSION: EmExtensionService = EmExtensionService {
    size: size_of::<EmExtensionService>() as u32,
    reserved: 0,
    claim_verb,
    claim_keyword,
    claim_mail_parameter,
    claim_rcpt_parameter,
    parameter,
};

fn note(host: *mut EmHost, line: String) -> STATUS {
    let refused = line.ends_with(" TAKEN");
    fake(host).log.lock().unwrap().push(line);
    if refused { EM_ERR_CLAIMED } else { NOERROR }
}

unsafe extern "C" fn claim_verb(host: *mut EmHost, verb: EmText) -> STATUS {
    note(host, format!("claim_verb {}", read(verb)))
}

unsafe extern "C" fn claim_keyword(
    host: *mut EmHost,
    keyword: EmText,
    parameters: EmText,
) -> STATUS {
    note(host, format!("claim_keyword {} {}", read(keyword), read(parameters)))
}

unsafe extern "C" fn claim_mail_parameter(host: *mut EmHost, keyword: EmText) -> STATUS {
    note(host, format!("claim_mail_parameter {}", read(keyword)))
}

unsafe extern "C" fn claim_rcpt_parameter(host: *mut EmHost, keyword: EmText) -> STATUS {
    note(host, format!("claim_rcpt_parameter {}", read(keyword)))
}

unsafe extern "C" fn parameter(_: EmText, _: EmText, _: *mut EmText) -> STATUS {
    unreachable!("the SDK reads parameters by itself")
}
