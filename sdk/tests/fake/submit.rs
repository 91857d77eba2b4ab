//! The submit service of the fake host: writes down what is done to a message.
//! Commits what has been written, and has no asynchronous form.

use super::session::session;
use super::*;

pub(super) static SUBMIT: EmSubmitService = EmSubmitService {
    size: size_of::<EmSubmitService>() as u32,
    reserved: 0,
    begin,
    recipient,
    write_wait,
    commit_wait,
    write,
    commit,
    result,
    abandon,
};

fn log(host: *mut EmHost, line: String) -> STATUS {
    fake(host).log.lock().unwrap().push(line);
    NOERROR
}

unsafe extern "C" fn begin(
    host: *mut EmHost,
    cause: *const EmSession,
    sender: EmText,
    parameters: EmText,
    submission: *mut EmSubmission,
) -> STATUS {
    let cause = if cause.is_null() { 0 } else { session(cause).id };
    log(host, format!("begin {cause} <{}> {}", read(sender), read(parameters)));
    // SAFETY: the SDK hands out room for a number.
    unsafe { submission.write(9) };
    NOERROR
}

unsafe extern "C" fn recipient(
    host: *mut EmHost,
    submission: EmSubmission,
    path: EmText,
    parameters: EmText,
    flags: u32,
) -> STATUS {
    let path = read(path);
    if path == "nobody" {
        return EM_ERR_ROUTE;
    }
    log(host, format!("recipient {submission} <{path}> {} {flags}", read(parameters)))
}

unsafe extern "C" fn write_wait(
    host: *mut EmHost,
    submission: EmSubmission,
    octets: EmText,
) -> STATUS {
    log(host, format!("write {submission} {}", read(octets)))
}

unsafe extern "C" fn commit_wait(
    host: *mut EmHost,
    submission: EmSubmission,
    id: *mut EmQueueId,
) -> STATUS {
    let mut text = [0; 32];
    for (place, octet) in text.iter_mut().zip(b"01J") {
        *place = *octet as std::ffi::c_char;
    }
    // SAFETY: the SDK hands out room for an id.
    unsafe { id.write(EmQueueId { text }) };
    log(host, format!("commit {submission}"))
}

unsafe extern "C" fn write(
    _: *mut EmHost,
    _: EmToken,
    _: EmSubmission,
    _: EmText,
    _: *mut EmRequest,
) -> STATUS {
    EM_ERR_OVER
}

unsafe extern "C" fn commit(
    _: *mut EmHost,
    _: EmToken,
    _: EmSubmission,
    _: *mut EmRequest,
) -> STATUS {
    EM_ERR_OVER
}

unsafe extern "C" fn result(_: *mut EmHost, _: EmRequest, _: *mut EmQueueId) -> STATUS {
    ERR_MISC_INVALID_ARGS
}

unsafe extern "C" fn abandon(host: *mut EmHost, submission: EmSubmission) -> STATUS {
    log(host, format!("abandon {submission}"))
}
