//! The log service of the fake host.

use stagepost_abi::*;

use super::{fake, read, session::session};

pub(super) static LOG: EmLogService =
    EmLogService { size: size_of::<EmLogService>() as u32, reserved: 0, write: log_write, enabled };

unsafe extern "C" fn log_write(
    host: *mut EmHost,
    of: *const EmSession,
    level: u32,
    message: EmText,
) -> STATUS {
    let place = if of.is_null() { "-".to_owned() } else { session(of).id.to_string() };
    fake(host).log.lock().unwrap().push(format!("{level} {place} {}", read(message)));
    NOERROR
}

unsafe extern "C" fn enabled(_: *mut EmHost, level: u32) -> u8 {
    (level <= EM_LOG_INFO).into()
}
