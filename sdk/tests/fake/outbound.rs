//! The outbound session service of the fake host: writes down what is done with a session.
//! Refuses and breaks where the argument says so, and has no asynchronous form.

use std::ffi::c_char;

use super::*;

pub(super) static OUTBOUND: EmOutboundService = EmOutboundService {
    size: size_of::<EmOutboundService>() as u32,
    reserved: 0,
    begin,
    open_wait,
    auth_wait,
    command_wait,
    push_wait,
    reverse_wait,
    quit_wait,
    open,
    auth,
    command,
    push,
    reverse,
    quit,
    result,
    text,
    progress,
    close,
};

fn log(host: *mut EmHost, line: String) -> STATUS {
    let status = match &line {
        refused if refused.contains("refuse") => EM_ERR_REFUSED,
        broken if broken.contains("break") => EM_ERR_IO,
        over if over.contains("end") => EM_ERR_OVER,
        _ => NOERROR,
    };
    fake(host).log.lock().unwrap().push(line);
    status
}

unsafe extern "C" fn begin(
    host: *mut EmHost,
    target: *const EmOutboundTarget,
    session: *mut EmOutbound,
) -> STATUS {
    // SAFETY: the SDK lends a target.
    let target = unsafe { &*target };
    let EmOutboundTarget { tls, flags, deadline_ms, port, .. } = *target;
    // SAFETY: the SDK hands out room for a number.
    unsafe { session.write(4) };
    log(host, format!("dial {} {port} {tls} {flags} {deadline_ms}", read(target.host)))
}

unsafe extern "C" fn open_wait(host: *mut EmHost, session: EmOutbound) -> STATUS {
    log(host, format!("open {session}"))
}

unsafe extern "C" fn auth_wait(
    host: *mut EmHost,
    session: EmOutbound,
    user: EmText,
    password: EmText,
    flags: u32,
) -> STATUS {
    log(host, format!("auth {session} {} {} {flags}", read(user), read(password)))
}

unsafe extern "C" fn command_wait(host: *mut EmHost, session: EmOutbound, line: EmText) -> STATUS {
    log(host, format!("command {session} {}", read(line)))
}

unsafe extern "C" fn push_wait(host: *mut EmHost, session: EmOutbound, to: EmText) -> STATUS {
    log(host, format!("push {session} {}", read(to)))
}

unsafe extern "C" fn reverse_wait(
    host: *mut EmHost,
    session: EmOutbound,
    reversal: *const EmOutboundReversal,
) -> STATUS {
    // SAFETY: the SDK lends a reversal.
    let reversal = unsafe { &*reversal };
    let (domains, accept) = (read(reversal.domains), read(reversal.accept));
    log(host, format!("reverse {session} {domains:?} {accept:?} {}", read(reversal.listener)))
}

unsafe extern "C" fn quit_wait(host: *mut EmHost, session: EmOutbound) -> STATUS {
    log(host, format!("quit {session}"))
}

unsafe extern "C" fn open(_: *mut EmHost, _: EmToken, _: EmOutbound, _: *mut EmRequest) -> STATUS {
    ERR_NOT_FOUND
}

unsafe extern "C" fn auth(
    _: *mut EmHost,
    _: EmToken,
    _: EmOutbound,
    _: EmText,
    _: EmText,
    _: u32,
    _: *mut EmRequest,
) -> STATUS {
    ERR_NOT_FOUND
}

unsafe extern "C" fn command(
    _: *mut EmHost,
    _: EmToken,
    _: EmOutbound,
    _: EmText,
    _: *mut EmRequest,
) -> STATUS {
    ERR_NOT_FOUND
}

unsafe extern "C" fn push(
    _: *mut EmHost,
    _: EmToken,
    _: EmOutbound,
    _: EmText,
    _: *mut EmRequest,
) -> STATUS {
    ERR_NOT_FOUND
}

unsafe extern "C" fn reverse(
    _: *mut EmHost,
    _: EmToken,
    _: EmOutbound,
    _: *const EmOutboundReversal,
    _: *mut EmRequest,
) -> STATUS {
    ERR_NOT_FOUND
}

unsafe extern "C" fn quit(_: *mut EmHost, _: EmToken, _: EmOutbound, _: *mut EmRequest) -> STATUS {
    ERR_NOT_FOUND
}

unsafe extern "C" fn result(_: *mut EmHost, _: EmRequest) -> STATUS {
    ERR_NOT_FOUND
}

unsafe extern "C" fn text(
    _: *mut EmHost,
    _: EmOutbound,
    what: u32,
    buffer: *mut c_char,
    capacity: u64,
    length: *mut u64,
) -> STATUS {
    let text = match what {
        EM_OUTBOUND_TOLD => "450 told\nso",
        EM_OUTBOUND_KEYWORDS => "ETRN\nauth PLAIN CRAM-MD5",
        _ => "192.0.2.1",
    };
    assert!(text.len() as u64 <= capacity);
    // SAFETY: the SDK hands out room for the text and its length.
    unsafe {
        ptr::copy_nonoverlapping(text.as_ptr().cast(), buffer, text.len());
        length.write(text.len() as u64);
    }
    NOERROR
}

unsafe extern "C" fn progress(
    _: *mut EmHost,
    _: EmOutbound,
    progress: *mut EmOutboundProgress,
) -> STATUS {
    // SAFETY: the SDK hands out room for a progress, with its size.
    unsafe {
        assert_eq!((*progress).size as usize, size_of::<EmOutboundProgress>());
        (*progress).state = EM_OUTBOUND_READY;
        (*progress).code = 450;
        (*progress).secured = 1;
        (*progress).pushed = 3;
        (*progress).done = 2;
        (*progress).received = 1;
    }
    NOERROR
}

unsafe extern "C" fn close(host: *mut EmHost, session: EmOutbound) -> STATUS {
    log(host, format!("close {session}"))
}
