//! The configuration service: a plug-in's own section, by typed getters and as JSON.

use serde_json::Value;
use stagepost_abi as abi;

use crate::arguments::{lend, size_of_u32};
use crate::configured::Configured;
use crate::host::Host;

pub(super) static TABLE: abi::EmConfigService = abi::EmConfigService {
    size: size_of_u32::<abi::EmConfigService>(),
    reserved: 0,
    text,
    integer,
    boolean,
    json,
    place,
    own_file,
};

/// The plug-in and the key that it asks for.
///
/// # Safety
/// `host` is what em_entry or EM_CONFIG was given; `key` is text lent for the call.
unsafe fn asked<'a>(
    host: *mut abi::EmHost,
    key: abi::EmText,
) -> Result<(&'static Configured, &'a str), abi::STATUS> {
    // SAFETY: by the caller's promise.
    let configured = unsafe { Configured::from_handle(host) }.ok_or(abi::ERR_MISC_INVALID_ARGS)?;
    // SAFETY: by the caller's promise.
    let key = unsafe { super::text(key) }?;
    // SAFETY: by the caller's promise.
    if let Some(plugin) = unsafe { Host::from_handle(host) } {
        plugin.note_key(key);
    }
    Ok((configured, key))
}

/// Looks a key up and reads it as one type.
fn read<T>(
    asked: Result<(&'static Configured, &str), abi::STATUS>,
    take: impl FnOnce(&'static Value) -> Option<T>,
) -> Result<T, abi::STATUS> {
    let (configured, key) = asked?;
    take(configured.section.value(key).ok_or(abi::ERR_NOT_FOUND)?).ok_or(abi::EM_ERR_TYPE)
}

unsafe extern "C" fn text(
    host: *mut abi::EmHost,
    key: abi::EmText,
    value: *mut abi::EmText,
) -> abi::STATUS {
    // SAFETY: the contract gives what `asked` and `hand_out` want.
    unsafe { super::hand_out(value, || read(asked(host, key), |found| found.as_str().map(lend))) }
}

unsafe extern "C" fn integer(
    host: *mut abi::EmHost,
    key: abi::EmText,
    value: *mut i64,
) -> abi::STATUS {
    // SAFETY: the contract gives what `asked` and `hand_out` want.
    unsafe { super::hand_out(value, || read(asked(host, key), Value::as_i64)) }
}

unsafe extern "C" fn boolean(
    host: *mut abi::EmHost,
    key: abi::EmText,
    value: *mut u8,
) -> abi::STATUS {
    let flag = |found: &'static Value| found.as_bool().map(u8::from);
    // SAFETY: the contract gives what `asked` and `hand_out` want.
    unsafe { super::hand_out(value, || read(asked(host, key), flag)) }
}

unsafe extern "C" fn json(
    host: *mut abi::EmHost,
    key: abi::EmText,
    value: *mut abi::EmText,
) -> abi::STATUS {
    let find = || {
        // SAFETY: the contract gives what `asked` wants.
        let (configured, key) = unsafe { asked(host, key) }?;
        configured.json(key).map(lend).ok_or(abi::ERR_NOT_FOUND)
    };
    // SAFETY: the contract gives what `hand_out` wants.
    unsafe { super::hand_out(value, find) }
}

unsafe extern "C" fn place(
    host: *mut abi::EmHost,
    key: abi::EmText,
    place: *mut abi::EmPlace,
) -> abi::STATUS {
    let find = || {
        // SAFETY: the contract gives what `asked` wants.
        let (configured, key) = unsafe { asked(host, key) }?;
        let (line, column) = configured.section.place(key).ok_or(abi::ERR_NOT_FOUND)?;
        Ok(abi::EmPlace { file: lend(configured.section.file()), line, column })
    };
    // SAFETY: the contract gives what `hand_out` wants.
    unsafe { super::hand_out(place, find) }
}

unsafe extern "C" fn own_file(host: *mut abi::EmHost, path: *mut abi::EmText) -> abi::STATUS {
    let find = || {
        // SAFETY: the contract: `host` is what em_entry or EM_CONFIG was given.
        let plugin = unsafe { Host::from_handle(host) }.ok_or(abi::ERR_MISC_INVALID_ARGS)?;
        plugin.file.to_str().map(lend).ok_or(abi::EM_ERR_TYPE)
    };
    // SAFETY: the contract gives what `hand_out` wants.
    unsafe { super::hand_out(path, find) }
}
